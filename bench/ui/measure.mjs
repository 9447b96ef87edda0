// Loads the page and moves a graph of so many nodes about; prints "MEASURE VALUE" lines.
//   node measure.mjs FOLDER_OF_THE_PAGE CHROMIUM NODES ROUNDS FOLDER_FOR_SCREENSHOTS
import { chromium } from 'playwright-core';
import { cluster, serve } from './server.mjs';

const [folder, executablePath, size, rounds, screenshots] = process.argv.slice(2);
const nodes = cluster(Number(size));
const { server, compressed, base } = await serve(folder, nodes);
const MOVING_MS = 4000;
const SETTLED_MS = 60000;

const browser = await chromium.launch({
  executablePath,
  args: ['--no-sandbox', '--use-angle=swiftshader', '--enable-unsafe-swiftshader', '--ignore-gpu-blocklist'],
});
const context = await browser.newContext({ viewport: { width: 1440, height: 860 }, colorScheme: 'dark' });

async function open() {
  const page = await context.newPage();
  await page.routeWebSocket(/\/ws/, (socket) => {
    socket.send(JSON.stringify({ add: nodes, update: null, remove: null, reset: true }));
  });
  await page.goto(`${base}/#/containers`);
  return page;
}

const painted = (page) =>
  page.evaluate(
    () =>
      new Promise((resolve) => {
        const tell = (entries) => {
          const found = entries.find((entry) => entry.name === 'first-contentful-paint');
          if (found) resolve(found.startTime);
        };
        tell(performance.getEntriesByType('paint'));
        new PerformanceObserver((list) => tell(list.getEntries())).observe({ type: 'paint', buffered: true });
      }),
  );

// Frames that the page has drawn while `move` moves the mouse.
async function frames(page, move) {
  await page.evaluate(() => {
    globalThis.drawn = [];
    globalThis.counts = true;
    const step = (at) => {
      globalThis.drawn.push(at);
      if (globalThis.counts) requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  });
  const until = Date.now() + MOVING_MS;
  for (let index = 0; Date.now() < until; index += 1) await move(index);
  const drawn = await page.evaluate(() => {
    globalThis.counts = false;
    return globalThis.drawn;
  });
  const gaps = drawn.slice(1).map((at, index) => at - drawn[index]);
  return { rate: (1000 * gaps.length) / (drawn.at(-1) - drawn[0]), longest: Math.max(...gaps) };
}

console.log('compressed', compressed);
for (let round = 0; round < Number(rounds); round += 1) {
  const page = await open();
  console.log('first_paint', await painted(page));
  await page.close();
}
const page = await open();
await page.getByText(new RegExp(`^${size} nodes`)).waitFor({ timeout: SETTLED_MS });
console.log(`shown_${size}`, await page.evaluate(() => performance.now()));
// The layout is computed off the main thread; the graph is there once it says so and a frame has been drawn.
await page.locator('.canvas[aria-busy=false]').waitFor({ timeout: SETTLED_MS });
const drawn = () => new Promise((done) => requestAnimationFrame(() => setTimeout(() => done(performance.now()))));
console.log(`placed_${size}`, await page.evaluate(drawn));
await page.screenshot({ path: `${screenshots}/graph-${size}.png` });
await page.mouse.move(720, 430);
await page.mouse.down();
const pan = await frames(page, (index) => page.mouse.move(720 + 200 * Math.sin(index / 9), 430 + 120 * Math.cos(index / 7)));
await page.screenshot({ path: `${screenshots}/moving-${size}.png` });
await page.mouse.up();
const zoom = await frames(page, (index) => page.mouse.wheel(0, index % 40 < 20 ? -120 : 120));
await page.screenshot({ path: `${screenshots}/zoomed-${size}.png` });
console.log(`pan_${size}`, pan.rate);
console.log(`zoom_${size}`, zoom.rate);
console.log(`longest_${size}`, Math.max(pan.longest, zoom.longest));
await browser.close();
server.close();
