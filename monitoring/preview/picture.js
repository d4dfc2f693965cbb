// Shows the dashboard in headless Chromium, writes a picture of the whole page, and prints one JSON document:
//   node picture.js PROMETHEUS PICTURE.png [DURATION]
// `panels`: title, text, and number of painted pixels of each panel; `errors`: everything that the browser's console and the
// network reported. Fails if the page does not come to rest within five minutes.
import { writeFileSync } from 'node:fs';
import { chromium } from 'playwright-core';
import UPNG from 'upng-js';
import { executablePath } from './chromium.js';
import { serve } from './page.js';

const [, , prometheus, picture, duration = '15m'] = process.argv;
const timeout = 300_000;
const url = `${await serve(0)}?prometheus=${prometheus}&start=${duration}&refresh=0s`;

const args = ['--no-sandbox', '--headless=shell', '--font-render-hinting=none', '--hide-scrollbars'];
const browser = await chromium.launch({ executablePath, args, timeout });
const page = await browser.newPage({ viewport: { width: 1400, height: 1000 } });
page.setDefaultTimeout(timeout);
const errors = [];
page.on('console', (line) => line.type() === 'error' && errors.push(line.text()));
page.on('pageerror', (error) => errors.push(String(error)));
page.on('requestfailed', (request) => errors.push(`${request.url()}: ${request.failure()?.errorText}`));
page.on('response', (answer) => answer.status() >= 400 && errors.push(`${answer.url()}: ${answer.status()}`));

await page.goto(url);
await page.waitForSelector('[data-testid="panel"]');
// Panels outside the window are not drawn.
const height = await page.evaluate(() => document.documentElement.scrollHeight);
await page.setViewportSize({ width: 1400, height });
await page.waitForFunction(isDrawn, null, { polling: 500 });
// The last panel is drawn in steps.
await page.evaluate(() => new Promise((resolve) => requestIdleCallback(resolve)));
const panels = await page.evaluate(describe);
const full = UPNG.decode(await page.screenshot({ fullPage: true }));
await browser.close();
// 256 colors: half the size, and no difference that the eye sees.
writeFileSync(picture, Buffer.from(UPNG.encode(UPNG.toRGBA8(full), full.width, full.height, 256)));
console.log(JSON.stringify({ panels, errors }, null, 2));
process.exit();

// The functions below run in the page.

function isDrawn() {
  const isLoading = document.querySelector('[role="progressbar"], .MuiSkeleton-root');
  const isEmpty = (panel) => !panel.querySelector('figure :is(canvas, table, h3, p, [role="alert"])');
  return !isLoading && ![...document.querySelectorAll('[data-testid="panel"]')].some(isEmpty);
}

function describe() {
  const painted = (canvas) => {
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    return data.filter((value, index) => index % 4 === 3 && value > 0).length;
  };
  return [...document.querySelectorAll('[data-testid="panel"]')].map((panel) => ({
    title: panel.querySelector('header')?.innerText ?? '',
    text: panel.innerText,
    painted: [...panel.querySelectorAll('canvas')].reduce((sum, canvas) => sum + painted(canvas), 0),
  }));
}
