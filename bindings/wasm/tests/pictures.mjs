// Pictures of the page in target/wasm/pictures, to look at, and the one in the README: node pictures.mjs
import { mkdirSync, writeFileSync } from 'node:fs';
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
const picture = (await page.screenshot()).toString('base64');
await page.goto('about:blank');
const webp = await page.evaluate(async png => {
  const image = new Image();
  image.src = `data:image/png;base64,${png}`;
  await image.decode();
  const canvas = Object.assign(document.createElement('canvas'), { width: image.width, height: image.height });
  canvas.getContext('2d').drawImage(image, 0, 0);
  return canvas.toDataURL('image/webp', 0.8).split(',')[1];
}, picture);
writeFileSync(new URL('../keygate-401.webp', import.meta.url), Buffer.from(webp, 'base64'));
await chromium.close();
