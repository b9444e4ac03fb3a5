// Pictures of the page in target/wasm/pictures, to look at: node pictures.mjs
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { PAGE, browser } from './browser.mjs';

const to = fileURLToPath(new URL('pictures/', PAGE));
mkdirSync(to, { recursive: true });
const chromium = await browser();
for (const [size, viewport] of [['desktop', { width: 1280, height: 860 }], ['phone', { width: 390, height: 844 }]])
  for (const colorScheme of ['light', 'dark'])
    for (const locale of ['en', 'zh-CN']) {
      const context = await chromium.newContext({ viewport, colorScheme, locale, deviceScaleFactor: size === 'phone' ? 2 : 1 });
      const page = await context.newPage();
      await page.goto(PAGE.href);
      await page.waitForSelector('.verdict');
      await page.screenshot({ path: `${to}${size}-${colorScheme}-${locale}.png` });
      if (colorScheme === 'light') await page.screenshot({ path: `${to}${size}-${locale}-whole.png`, fullPage: true });
      await context.close();
    }
// The README's.
const page = await (await chromium.newContext({ viewport: { width: 1080, height: 790 }, locale: 'en' })).newPage();
await page.goto(PAGE.href);
await page.waitForSelector('.verdict');
await page.screenshot({ path: `${to}readme.png` });
await chromium.close();
