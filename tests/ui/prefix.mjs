// The web UI below a path of a reverse proxy, with a login: what would break if anything in it named a place from
// the root, or its server judged requests by the proxy's words for it.
//   node prefix.mjs URL NAME PASSWORD CHROMIUM FOLDER_FOR_SCREENSHOTS
import assert from 'node:assert/strict';
import { openPage } from './browser.mjs';

const [base, name, password, executablePath, folder] = process.argv.slice(2);
const { browser, page, complaints, step, button, openShell, leaveShell, WAIT } = await openPage(base, executablePath, folder);

await step('the login page lets somebody in', async () => {
  await page.goto(`${base}/`);
  await page.getByLabel('Name (none for a token)').fill(name);
  await page.getByLabel('Password or token').fill(password);
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.waitForURL(`${base}/**`, WAIT);
  await page.getByText(/^[1-9]\d* nodes/).waitFor(WAIT);
  // The first page was refused with a status that browsers write to the console.
  complaints.length = 0;
});

await step('the cookie is for this path alone', async () => {
  const cookies = await page.context().cookies(base);
  assert.deepEqual(cookies.map((cookie) => [cookie.name, cookie.path]), [['weft_session', new URL(base).pathname]]);
  assert.deepEqual(await page.context().cookies(new URL('/', base).href), []);
});

await step('the picture follows what happens, over a WebSocket', async () => {
  await page.goto(`${base}/#/containers?mode=table`);
  await page.locator('tbody tr', { hasText: 'web' }).first().waitFor(WAIT);
  await page.locator('tbody tr', { hasText: 'web' }).first().click();
  const panel = page.getByRole('complementary', { name: 'Details' });
  await panel.getByRole('heading', { name: 'web' }).waitFor(WAIT);
  await button('Pause').click();
  await panel.getByRole('button', { name: 'Unpause' }).click(WAIT);
  await panel.getByRole('button', { name: 'Pause', exact: true }).waitFor(WAIT);
});

await step('a shell in the container, typed into', async () => {
  const terminal = await openShell('web');
  await page.screenshot({ path: `${folder}/prefix.png` });
  await leaveShell(terminal);
});

await step('the layout worker draws the graph', async () => {
  await page.keyboard.press('Escape');
  await page.keyboard.press('g');
  await page.locator('.graph canvas').first().waitFor(WAIT);
});

await step('who logs out is asked again', async () => {
  await button('Log out').click();
  await page.getByLabel('Password or token').waitFor(WAIT);
  assert.deepEqual(await page.context().cookies(base), []);
  complaints.length = 0; // The refused page, as above.
});

await browser.close();
assert.deepEqual(complaints, [], 'nothing on the console, no request elsewhere');
console.log('ui below a path: ok');
