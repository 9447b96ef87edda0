// Clicks through the web UI of a real agent, as people do, and fails on any console error.
//   node journeys.mjs URL CHROMIUM FOLDER_FOR_SCREENSHOTS
// The cluster behind it (journeys_test.sh) has hosts h1 and h2; container web on h1 asks db on h2.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { openPage } from './browser.mjs';

const [base, executablePath, folder] = process.argv.slice(2);
const { browser, page, complaints, step, until, button, openShell, leaveShell, WAIT } = await openPage(base, executablePath, folder);

// axe-core runs in the page, past its content-security policy, as playwright's own scripts do.
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const checkAccessibility = async (where) => {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  const grave = violations.filter((found) => ['serious', 'critical'].includes(found.impact));
  const told = grave.map((found) => `${found.id}: ${found.help}: ${found.nodes.map((node) => node.html).join(' | ')}`);
  assert.deepEqual(told, [], `axe finds nothing serious: ${where}`);
};

// What a button hands to the browser as a file.
const saved = async (name, file) => {
  const [download] = await Promise.all([page.waitForEvent('download', WAIT), button(name).click()]);
  assert.equal(download.suggestedFilename(), file);
  return readFile(await download.path(), 'utf8');
};

await step('the containers of both hosts are there', async () => {
  await page.goto(`${base}/#/containers`);
  await page.getByText(/^\d+ nodes, (1 edge|\d+ edges)( |$)/).waitFor(WAIT);
  await page.locator('[data-topology=containers][aria-current=page]').waitFor(WAIT);
  const header = await page.locator('header.bar').boundingBox();
  assert.ok(header.height < 70, `the header has one row, but is ${header.height} px high`);
  await page.screenshot({ path: `${folder}/graph.png` });
  await checkAccessibility('graph');
});

await step('the table lists them, sorts and finds', async () => {
  await button('Table').click();
  await page.locator('tbody tr', { hasText: 'db' }).first().waitFor(WAIT);
  await button('Name').click();
  const first = () => page.locator('tbody tr td:first-child').first().innerText();
  const one = await first();
  await button('Name').click();
  assert.notEqual(await first(), one, 'sorting the other way shows another first row');
  assert.match(page.url(), /sort=-label/);
  await page.getByRole('searchbox').fill('host:h2');
  await page.getByText('1 found').waitFor(WAIT);
  assert.equal(await page.locator('tbody tr').count(), 1);
  // Beside each view stands how many of its nodes match.
  const found = (id) => page.locator(`[data-topology=${id}] .count b`);
  assert.equal(await found('containers').innerText(), '1');
  await found('hosts').waitFor(WAIT);
  assert.equal(await found('hosts').innerText(), '1');
  await found('processes').waitFor(WAIT);
  const header = await page.locator('header.bar').boundingBox();
  assert.ok(header.height < 70, `the header has one row, but is ${header.height} px high`);
  await page.screenshot({ path: `${folder}/search.png` });
  // Pinned, a search stays while the next is asked for; a link has both.
  await page.getByRole('searchbox').press('Enter');
  await button('No longer only host:h2').waitFor(WAIT);
  await page.getByText(/^1 node, 0 edges/).waitFor(WAIT);
  await page.getByRole('searchbox').fill('web');
  await page.getByText('Nothing matches.').waitFor(WAIT);
  assert.match(page.url(), /q=web.*pin=host%3Ah2/);
  await page.getByRole('searchbox').fill('');
  await button('No longer only host:h2').click();
  await found('hosts').waitFor({ state: 'detached', ...WAIT });
  await page.locator('tbody tr', { hasText: 'web' }).first().waitFor(WAIT);
  assert.match(await saved('Save as CSV', 'weft-containers.csv'), /^Name,Where,CPU.*\r\n(web|db),/);
});

await step('a row opens the details, with the other end of its connection', async () => {
  await page.locator('tbody tr', { hasText: 'db' }).first().click();
  const panel = page.getByRole('complementary', { name: 'Details' });
  await panel.getByRole('heading', { name: 'db' }).waitFor(WAIT);
  await panel.getByText('Inbound').waitFor(WAIT);
  await panel.getByText('5432/tcp').waitFor(WAIT);
  // web connects anew every second: what BPF has counted is worth a column.
  await panel.getByRole('columnheader', { name: 'Opened' }).waitFor(WAIT);
  await panel.getByRole('button', { name: 'web', exact: true }).click();
  await panel.getByRole('heading', { name: 'web' }).waitFor(WAIT);
  await page.screenshot({ path: `${folder}/details.png` });
  await checkAccessibility('table and details');
});

await step('how one reaches another, by name', async () => {
  const panel = page.getByRole('complementary', { name: 'Details' });
  await panel.getByRole('textbox', { name: 'How does web reach' }).fill('db');
  await button('How?').click();
  await panel.getByText(/Frames of the overlay from h1 to h2 go/).waitFor(WAIT);
  await panel.getByText('5432/tcp, overlay').first().waitFor(WAIT);
  await page.screenshot({ path: `${folder}/reach.png` });
  await checkAccessibility('reach');
});

await step('a shell in the container, typed into', async () => {
  const terminal = await openShell('web');
  const sized = await page.locator('.xterm-rows > div').first().evaluate((row) => row.getBoundingClientRect().height);
  assert.ok(sized > 8, 'the terminal has its styles, although the policy forbids style elements');
  await page.screenshot({ path: `${folder}/terminal.png` });
  await checkAccessibility('terminal');
  await leaveShell(terminal);
});

await step('a terminal moves to a window of its own, with what it has said', async () => {
  const terminal = await openShell('web');
  const opened = page.context().waitForEvent('page', WAIT);
  await button('Open in a window of its own').click();
  const own = await opened;
  await own.getByText('Connected').waitFor(WAIT);
  await own.locator('.xterm-rows').getByText('answer 42').first().waitFor(WAIT);
  await terminal.waitFor({ state: 'detached', ...WAIT });
  await own.locator('.xterm-helper-textarea').focus();
  await own.keyboard.type('echo more $((5*5))\n');
  await own.locator('.xterm-rows').getByText('more 25').first().waitFor(WAIT);
  await own.screenshot({ path: `${folder}/terminal-window.png` });
  await own.keyboard.type('exit\n');
  await own.getByText('Ended').waitFor(WAIT);
  await own.close();
});

await step('what cannot be undone is confirmed, and can be left', async () => {
  const panel = page.getByRole('complementary', { name: 'Details' });
  await button('Stop').click();
  const dialog = page.getByRole('dialog', { name: 'Stop web' });
  await dialog.waitFor(WAIT);
  await page.screenshot({ path: `${folder}/confirm.png` });
  await dialog.getByRole('button', { name: 'Cancel' }).click();
  await dialog.waitFor({ state: 'hidden', ...WAIT });
  await button('Pause').click();
  await panel.getByRole('button', { name: 'Unpause' }).click(WAIT);
  await panel.getByRole('button', { name: 'Pause', exact: true }).waitFor(WAIT);
});

await step('a parent leads to its own view, the address bar there and back', async () => {
  await page.getByRole('navigation', { name: 'Parents' }).getByRole('button', { name: 'h1', exact: true }).click();
  await page.locator('[data-topology=hosts][aria-current=page]').waitFor(WAIT);
  await page.goBack();
  await page.locator('[data-topology=containers][aria-current=page]').waitFor(WAIT);
});

await step('keys switch the view and close the details', async () => {
  await page.keyboard.press('Escape');
  await page.getByRole('complementary', { name: 'Details' }).waitFor({ state: 'detached', ...WAIT });
  await page.keyboard.press('g');
  await page.locator('.graph canvas').first().waitFor(WAIT);
});

await step('every view renders', async () => {
  for (const id of ['processes', 'hosts', 'weave', 'containers']) {
    await page.locator(`[data-topology=${id}]`).click();
    await page.locator(`[data-topology=${id}][aria-current=page]`).waitFor(WAIT);
    await page.getByText(/^[1-9]\d* nodes/).waitFor(WAIT);
  }
});

await step('nodes of one host are drawn as one, which opens when clicked', async () => {
  await page.goto(`${base}/#/processes?o.unconnected=show`);
  await page.getByText(/^\d+ nodes, /).waitFor(WAIT);
  await button('by host').click();
  await page.getByText(/^\d+ nodes, .*drawn as [23]( |$)/).waitFor(WAIT);
  assert.match(page.url(), /group=hosts/);
  await page.locator('.canvas[aria-busy=false]').waitFor(WAIT);
  await page.screenshot({ path: `${folder}/groups.png` });
  await checkAccessibility('groups');
  const canvas = page.locator('.canvas');
  const { x, y, width, height } = await canvas.boundingBox();
  const isNode = () => canvas.evaluate((box) => box.style.cursor === 'pointer');
  const findNode = async () => {
    // Two nodes are in the middle, and wider than these steps.
    for (let down = height * 0.3; down < height * 0.7; down += 20) {
      for (let right = width * 0.35; right < width * 0.65; right += 24) {
        await page.mouse.move(x + right, y + down);
        if (await isNode()) return { x: x + right, y: y + down };
      }
    }
    return assert.fail('no node is under the pointer anywhere');
  };
  const at = await findNode();
  await page.mouse.click(at.x, at.y);
  await page.waitForURL(/open=group/, WAIT);
  assert.equal(await page.getByRole('complementary', { name: 'Details' }).count(), 0);
  await button('Ungrouped').click();
  await page.getByText(/^\d+ nodes, \d+ edges?( |$)/).waitFor(WAIT);
});

await step('edges tell what is asked of them, those of the overlay which way frames go', async () => {
  await page.goto(`${base}/#/containers`);
  await button('Round trip').click();
  await button('Round trip').and(page.locator('[aria-pressed=true]')).waitFor(WAIT);
  assert.match(page.url(), /edges=rtt/);
  await page.locator('.canvas[aria-busy=false]').waitFor(WAIT);
  // Words are drawn on a layer of their own.
  const hasWords = () => {
    const layer = document.querySelector('.sigma-edgeLabels');
    const { data } = layer.getContext('2d').getImageData(0, 0, layer.width, layer.height);
    return data.some((value) => value > 0);
  };
  await until(hasWords);
  await page.screenshot({ path: `${folder}/edges.png` });
  const svg = await saved('Save as SVG', 'weft-containers.svg');
  assert.ok(['<svg ', '>web</text>', '>db</text>', '<line '].every((part) => svg.includes(part)), svg);
  await page.goto(`${base}/#/weave`);
  await page.locator('[data-topology=weave][aria-current=page]').waitFor(WAIT);
  await until(hasWords);
  await page.screenshot({ path: `${folder}/overlay.png` });
});

await step('the resources: hosts, what stands on them, and what uses it', async () => {
  await page.locator('[data-topology=hosts]').click();
  await page.locator('[data-topology=weave]').click(); // The overlay has none, and says so.
  await page.locator('[data-topology=weave][aria-current=page]').waitFor(WAIT);
  assert.ok(await button('Resources').isDisabled());
  await page.locator('[data-topology=containers]').click();
  await button('Resources').click();
  await page.getByText(/^2 hosts, [1-9]\d* containers?, [1-9]\d* process/).waitFor(WAIT);
  const tree = page.getByRole('tree', { name: 'Memory of hosts, containers and processes' });
  const tile = (name, level) => tree.locator(`[role=treeitem][aria-level="${level}"]`, { hasText: name });
  await tile('h1', 1).waitFor(WAIT);
  await tile('h2', 1).waitFor(WAIT);
  await page.screenshot({ path: `${folder}/resources.png` });
  await checkAccessibility('resources');
  await page.getByRole('group', { name: 'Metric of the boxes' }).getByRole('button', { name: 'CPU' }).click();
  await page.getByRole('tree', { name: /^CPU/ }).waitFor(WAIT);
  assert.match(page.url(), /mode=resources/);
  await page.reload();
  await page.getByRole('tree', { name: /^CPU/ }).waitFor(WAIT);
  await page.getByRole('group', { name: 'Metric of the boxes' }).getByRole('button', { name: 'Memory' }).click();
  await tile('h1', 1).waitFor(WAIT);

  // Little of these hosts is used: of what is, more can be seen.
  await button('What is used').click();
  await tile('Uncontained', 2).first().waitFor(WAIT);
  assert.match(page.url(), /of=used/);
  await page.screenshot({ path: `${folder}/resources-used.png` });
  await checkAccessibility('resources that are used');
  await button('All there is').click();

  // By keyboard: up from the host to what stands on it, closer, and into the details.
  const focused = () => page.evaluate(() => document.activeElement.getAttribute('aria-label'));
  await tile('h1', 1).focus();
  await page.keyboard.press('ArrowUp');
  assert.match(await focused(), / on h1: .* of /);
  await page.keyboard.press('ArrowDown');
  assert.match(await focused(), /^h1: /);
  const before = await tile('h1', 1).boundingBox();
  await page.keyboard.press('+');
  assert.ok((await tile('h1', 1).boundingBox()).width > before.width * 1.4, 'closer');
  await page.keyboard.press('0');
  await page.keyboard.press('Enter');
  await page.getByRole('complementary', { name: 'Details' }).getByRole('heading', { name: 'h1' }).waitFor(WAIT);
  await page.locator('[data-topology=hosts][aria-current=page]').waitFor(WAIT);
  await checkAccessibility('resources and details');
  await page.keyboard.press('Escape');

  // By pointer: wheel and drag, and a drag opens nothing.
  await tile('h1', 1).hover();
  await page.mouse.wheel(0, -1000);
  await until((width) => document.querySelector('[role=treeitem]').offsetWidth > width * 3, before.width);
  await page.mouse.down();
  await page.mouse.move(700, 500, { steps: 5 });
  await page.mouse.up();
  assert.equal(await page.getByRole('complementary', { name: 'Details' }).count(), 0);
  await page.screenshot({ path: `${folder}/resources-close.png` });
  await button('Fit to screen').click();

  // What is searched for stands out; an address that asks for resources of a view without them is answered.
  await page.getByRole('searchbox').fill('socat');
  await page.locator('.tile.faint').first().waitFor(WAIT);
  await page.getByRole('searchbox').fill('');
  await page.goto(`${base}/#/weave?mode=resources`);
  await page.getByRole('heading', { name: 'No resources here' }).waitFor(WAIT);
  await page.goto(`${base}/#/containers`);
  await page.locator('.graph canvas').first().waitFor(WAIT);
});

await step('a pause keeps the picture, and what follows it is whole', async () => {
  const start = (name) => execFileSync('docker', ['run', '-d', '--name', name, 'weft-tools', 'sleep', '600']);
  const row = (name) => page.locator('tbody tr', { hasText: name });
  start('leaves');
  await button('Table').click();
  await row('leaves').waitFor(WAIT);
  await button('Live').click();
  await page.getByRole('button', { name: /^Paused \d\d:/ }).waitFor(WAIT);
  start('comes');
  execFileSync('docker', ['rm', '-f', 'leaves']);
  const isTold = async () => {
    const { nodes } = await (await fetch('api/topology/containers')).json();
    const names = Object.values(nodes).map((node) => node.label);
    return names.includes('comes') && !names.includes('leaves');
  };
  await until(isTold);
  assert.deepEqual([await row('leaves').count(), await row('comes').count()], [1, 0]);
  await page.getByRole('button', { name: /^Paused/ }).click();
  await row('comes').waitFor(WAIT);
  await row('leaves').waitFor({ state: 'detached', ...WAIT });
  execFileSync('docker', ['rm', '-f', 'comes']);
  await row('comes').waitFor({ state: 'detached', ...WAIT });
  await button('Graph').click();
});

await step('where drawing is slow the graph is dragged as a picture, and drawn anew once it is still', async () => {
  const picture = page.locator('.canvas.pictured > .picture');
  await picture.waitFor(WAIT);
  await picture.evaluate((canvas) => {
    globalThis.dragged = 0;
    const look = () => {
      const { e, f } = new DOMMatrix(getComputedStyle(canvas).transform);
      globalThis.dragged = Math.max(globalThis.dragged, Math.hypot(e, f));
    };
    new MutationObserver(look).observe(canvas, { attributeFilter: ['style'] });
  });
  await page.locator('.canvas[aria-busy=false]').waitFor(WAIT);
  const { x, y } = await page.locator('.canvas').boundingBox();
  // On a busy machine all of a drag can be over before the page draws its next frame: then there is another, back.
  const drag = async (from, to) => {
    await page.mouse.move(x + from, y + 40);
    await page.mouse.down();
    await page.mouse.move(x + to, y + 40, { steps: 12 });
    await page.mouse.up();
  };
  const deadline = Date.now() + WAIT.timeout;
  let [from, to] = [400, 520];
  while (!(await page.evaluate(() => globalThis.dragged > 20))) {
    assert.ok(Date.now() < deadline, 'the picture moves while it is dragged');
    await drag(from, to);
    [from, to] = [to, from];
  }
  await page.locator('.canvas:not(.moving)').waitFor(WAIT);
  const drawn = await picture.evaluate((canvas) => {
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    return data.some((value) => value > 0);
  });
  assert.ok(drawn, 'the picture shows the graph');
});

await step('the theme can be changed', async () => {
  await button('Light theme').click();
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), 'light');
  await page.screenshot({ path: `${folder}/light.png` });
  await checkAccessibility('light');
  await page.keyboard.press('r');
  await page.locator('[role=treeitem]').first().waitFor(WAIT);
  await page.screenshot({ path: `${folder}/resources-light.png` });
  await checkAccessibility('resources, light');
  await page.keyboard.press('g');
});

await step('with high contrast and without motion', async () => {
  // Playwright's own call knows nothing of contrast.
  const features = Object.entries({
    'prefers-contrast': 'more',
    'prefers-reduced-motion': 'reduce',
    'prefers-color-scheme': 'dark',
  }).map(([name, value]) => ({ name, value }));
  const session = await page.context().newCDPSession(page);
  await session.send('Emulation.setEmulatedMedia', { features });
  await page.locator(':root[data-contrast=more]').waitFor(WAIT);
  await page.screenshot({ path: `${folder}/contrast.png` });
  await checkAccessibility('high contrast');
  await session.detach();
  await page.emulateMedia({ reducedMotion: null, colorScheme: 'dark' });
  await page.locator(':root[data-contrast=normal]').waitFor(WAIT);
  await button('High contrast').click();
  await page.locator(':root[data-contrast=more]').waitFor(WAIT);
  await button('High contrast').click();
});

await step('by keyboard alone: to a row of the table and its details', async () => {
  await page.goto(`${base}/#/containers?mode=table`);
  await page.locator('tbody tr').first().waitFor(WAIT);
  await page.locator('tbody tr button').first().focus();
  await page.keyboard.press('Enter');
  await page.getByRole('complementary', { name: 'Details' }).waitFor(WAIT);
});

await step('on a phone nothing is wider than the screen', async () => {
  await page.setViewportSize({ width: 390, height: 844 });
  await page.goto(`${base}/#/containers`);
  await page.getByText(/^[1-9]\d* nodes/).waitFor(WAIT);
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(width <= 390, `the page is ${width} pixels wide`);
  await page.screenshot({ path: `${folder}/phone.png` });
  await checkAccessibility('phone');
});

assert.deepEqual(complaints, [], 'nothing on the console, no request elsewhere');

await step('when the agent is gone, what was known stays, and nothing lies over it', async () => {
  await page.setViewportSize({ width: 1440, height: 860 });
  execFileSync('weft', ['stop']);
  await page.getByText('Disconnected: this is how it was.').waitFor(WAIT);
  await page.getByText(/^[1-9]\d* nodes/).waitFor(WAIT);
  assert.equal(await page.getByRole('heading', { name: 'No agent answers' }).count(), 0);
  await page.screenshot({ path: `${folder}/disconnected.png` });
});

await browser.close();
console.log('ui: ok');
