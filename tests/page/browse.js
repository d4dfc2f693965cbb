// Does steps in headless Chromium and prints one JSON document:
//   node browse.js '{"url": "http://…", "steps": [["open", "/"], ["texts", "h1"]], "width": 1440, "script": true, "dark": false}'
// `results`: one value for each step; `errors`: everything that the browser's console, the network and scripts reported,
// violations of the Content-Security-Policy included. Fails if a step does not succeed within a minute.
import { writeFileSync } from 'node:fs';
import { chromium } from 'playwright-core';
import UPNG from 'upng-js';
import { executablePath } from './chromium.js';

const { url, steps, width = 1440, height = 1000, script = true, dark = false } = JSON.parse(process.argv[2]);
const timeout = 60_000;
const args = ['--no-sandbox', '--headless=shell', '--font-render-hinting=none', '--hide-scrollbars'];
const browser = await chromium.launch({ executablePath, args, timeout });
const colorScheme = dark ? 'dark' : 'light';
const page = await browser.newPage({ viewport: { width, height }, javaScriptEnabled: script, colorScheme });
page.setDefaultTimeout(timeout);
const errors = [];
page.on('console', (line) => errors.push(`console: ${line.text()}`));
page.on('pageerror', (error) => errors.push(String(error)));
page.on('dialog', (dialog) => (errors.push(`dialog: ${dialog.message()}`), dialog.dismiss()));
page.on('requestfailed', (request) => errors.push(`${request.url()}: ${request.failure()?.errorText}`));
page.on('response', (answer) => answer.status() >= 400 && errors.push(`${answer.url()}: ${answer.status()}`));

const actions = {
  open: async (path) => (await page.goto(new URL(path, url).href)).status(),
  click: (selector) => page.click(selector),
  fill: (selector, text) => page.fill(selector, text),
  select: (selector, value) => page.selectOption(selector, value),
  press: (key) => page.keyboard.press(key),
  texts: (selector) => page.locator(selector).allInnerTexts(),
  count: (selector) => page.locator(selector).count(),
  visible: async (selector) => (await page.locator(selector).filter({ visible: true }).count()),
  attribute: (selector, name) => page.locator(selector).first().getAttribute(name),
  // Waits until an element has this text.
  wait: (selector, text) => page.locator(selector).filter({ hasText: text }).first().waitFor(),
  address: () => page.url(),
  // Pixels by which the page is wider than the window.
  overflow: () => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth),
  focused: () => page.evaluate(() => document.activeElement?.id || document.activeElement?.className),
  resize: (newWidth) => page.setViewportSize({ width: newWidth, height }),
  openAll: () => page.evaluate(() => document.querySelectorAll('details').forEach((details) => (details.open = true))),
  // Names of form fields, links and buttons without an accessible name, repeated IDs, and headings that skip a level.
  faults: () => page.evaluate(faults),
  picture: async (file) => {
    const picture = UPNG.decode(await page.screenshot());
    // 256 colors: half the size, and no difference that the eye sees.
    writeFileSync(file, Buffer.from(UPNG.encode(UPNG.toRGBA8(picture), picture.width, picture.height, 256)));
  },
};

const results = [];
for (const [name, ...values] of steps) {
  try {
    results.push((await actions[name](...values)) ?? null);
  } catch (error) {
    console.error(`${name} ${values.join(' ')}: ${error}\n${errors.join('\n')}\n${(await page.content()).slice(0, 3000)}`);
    process.exit(1);
  }
}
await browser.close();
console.log(JSON.stringify({ results, errors }));
process.exit();

// Runs in the page.
function faults() {
  const found = [];
  for (const element of document.querySelectorAll('a, button, input, select, summary, img')) {
    const label = element.labels?.[0]?.textContent ?? '';
    const name = `${element.getAttribute('aria-label') ?? ''}${element.textContent}${label}`.trim();
    const isDecoration = element.localName === 'img' && element.hasAttribute('alt');
    if (!name && !isDecoration) found.push(`no name: ${element.outerHTML.slice(0, 200)}`);
  }
  const ids = [...document.querySelectorAll('[id]')].map((element) => element.id);
  found.push(...ids.filter((id, index) => ids.indexOf(id) !== index).map((id) => `repeated: ${id}`));
  let last = 1;
  for (const heading of document.querySelectorAll('h1, h2, h3')) {
    const level = Number(heading.localName[1]);
    if (level > last + 1) found.push(`${heading.localName} after h${last}: ${heading.textContent}`);
    last = level;
  }
  for (const landmark of ['header', 'nav', 'main', 'footer']) {
    if (!document.querySelector(landmark)) found.push(`no ${landmark}`);
  }
  return found;
}
