// A page in a Chromium that notes what a person would not see: errors on the console, requests to elsewhere.
import { chromium } from 'playwright-core';

const WAIT = { timeout: 20000 };

export async function openPage(base, executablePath, folder) {
  const browser = await chromium.launch({
    executablePath,
    args: ['--no-sandbox', '--use-angle=swiftshader', '--enable-unsafe-swiftshader', '--ignore-gpu-blocklist'],
  });
  const page = await browser.newPage({ viewport: { width: 1440, height: 860 }, colorScheme: 'dark' });
  const complaints = [];
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('request', (request) => {
    if (!request.url().startsWith(base)) complaints.push(`a request to ${request.url()}`);
  });

  const step = async (name, run) => {
    console.log(`--- ${name}`);
    try {
      await run();
    } catch (error) {
      await page.screenshot({ path: `${folder}/failed.png` });
      console.error(`FAILED: ${name}: ${error.message}`);
      console.error(complaints.join('\n'));
      process.exit(1);
    }
  };
  // As page.waitForFunction, which the content-security policy stops after its first look.
  const until = async (check, argument) => {
    const deadline = Date.now() + WAIT.timeout;
    while (!(await page.evaluate(check, argument))) {
      if (Date.now() > deadline) throw new Error(`not within ${WAIT.timeout} ms: ${check}`);
      await page.waitForTimeout(100);
    }
  };
  const button = (name) => page.getByRole('button', { name, exact: true });
  // A shell in the container whose details are open: typed into, answered, and left open.
  const openShell = async (container) => {
    await button('Exec shell').click();
    const terminal = page.getByRole('region', { name: `Exec shell: ${container}` });
    await terminal.getByText('Connected').waitFor(WAIT);
    await page.locator('.xterm-helper-textarea').waitFor(WAIT);
    await page.keyboard.type('echo answer $((6*7))\n');
    await terminal.locator('.xterm-rows').getByText('answer 42').first().waitFor(WAIT);
    return terminal;
  };
  const leaveShell = async (terminal) => {
    await page.keyboard.type('exit\n');
    await terminal.getByText('Ended').waitFor(WAIT);
    await button('Close terminal').click();
  };
  return { browser, page, complaints, step, until, button, openShell, leaveShell, WAIT };
}
