// The page about 401 in Chromium: what it says is what the command line says, it asks nobody, and no key
// comes out.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { PAGE, browser } from './browser.mjs';

const path = relative => fileURLToPath(new URL(relative, import.meta.url));
const CLI = path('../../../target/debug/keygate');
const ROWS = JSON.parse(execFileSync(path('../page.py'), ['rows'], { encoding: 'utf8' }));
const asked = [];
let chromium, server, address;

before(async () => {
  chromium = await browser();
  server = createServer((request, response) => {
    asked.push(request.url);
    response.setHeader('content-type', 'text/html').end(readFileSync(PAGE));
  });
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve));
  address = `http://127.0.0.1:${server.address().port}/`;
});
after(async () => {
  await chromium.close();
  server.close();
});

async function open(url = PAGE.href, options = {}) {
  const context = await chromium.newContext({ locale: 'en', ...options });
  const page = await context.newPage();
  const seen = { errors: [], requests: [] };
  page.on('pageerror', error => seen.errors.push(error.message));
  page.on('console', message => seen.errors.push(message.text()));
  page.on('request', request => seen.requests.push(request.url()));
  await page.goto(url);
  await page.waitForSelector('.verdict');
  return { page, seen };
}

const answer = page => page.evaluate(() => globalThis.eval('answer(config(), pasted(), language === "zh")'));
const text = page => page.locator('#answer').innerText();

// What the command line says of each row: the same command, with --json.
function said(folder, command, locale) {
  const run = spawnSync('sh', ['-c', command], {
    encoding: 'utf8',
    env: { PATH: `${folder}:${process.env.PATH}`, LC_ALL: locale },
  });
  const lines = run.stdout.split('\n').filter(Boolean);
  if (/\bkeygate lint\b/.test(command)) return { requests: [], lints: lines };
  return run.status === 2
    ? { requests: [], error: run.stderr.trim().replace(/^(error|错误): /, '') }
    : { requests: lines.map(line => JSON.parse(line)) };
}

test('every row of the guide is answered as the command line does, in both languages', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'keygate-page-'));
  const wrapper = join(folder, 'keygate');
  writeFileSync(wrapper, `#!/bin/sh\ncase $1 in explain) shift; exec '${CLI}' explain --json "$@";; *) exec '${CLI}' "$@";; esac\n`);
  chmodSync(wrapper, 0o700);
  try {
    assert.ok(ROWS.length > 50, `${ROWS.length} rows`);
    for (const [locale, name] of [['en', 'C'], ['zh-CN', 'zh_CN.UTF-8']]) {
      const { page, seen } = await open(PAGE.href, { locale });
      const buttons = page.locator('#rows button');
      assert.equal(await buttons.count(), ROWS.length);
      for (const [index, row] of ROWS.entries()) {
        await buttons.nth(index).click();
        const [found, want, shown] = [await answer(page), said(folder, row.command, name), await text(page)];
        assert.deepEqual(found.requests, want.requests, row.command);
        assert.equal(found.error?.text, want.error, row.command);
        if (want.lints) assert.deepEqual(found.lints, want.lints, row.command);
        const all = [...found.requests.flatMap(({ text, notes = [] }) => [...text.map(line => line.text), ...notes]), ...found.lints];
        for (const sentence of found.error ? [found.error.text] : all)
          assert.ok(shown.includes(sentence), `${row.command}: ${sentence}`);
        for (const code of found.requests.flatMap(({ findings }) => findings)) assert.ok(shown.includes(code), `${row.command}: ${code}`);
      }
      assert.deepEqual(seen.errors, []);
    }
    console.log(`${ROWS.length} rows`);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('each row is named in Chinese, and every word of the page is there in both languages', async () => {
  for (const row of ROWS) for (const name of [row.group, row.title]) assert.ok(name.en && name.zh, JSON.stringify(name));
  const { page } = await open();
  const [en, zh] = await page.evaluate(() => globalThis.eval('[WORDS.en, WORDS.zh].map(words => Object.keys(words))'));
  assert.deepEqual(en, zh);
  await page.locator('#language').click();
  assert.match(await page.title(), /为什么/);
  assert.match(await text(page), /已拒绝/);
});

test('the boxes put a request together', async () => {
  const { page } = await open();
  await page.locator('#tab-build').click();
  await page.locator('[name=mode][value=strict]').check();
  await page.locator('#key').fill('sk-5f0c4b8e21d97a36');
  const [name, value] = [page.locator('.header input').nth(0), page.locator('.header input').nth(1)];
  await name.fill('x-api-key');
  await value.fill('sk-5f0c4b8e21d97a36');
  assert.equal((await answer(page)).requests[0].reason, 'key_matched');
  await value.fill('sk-5f0c4b8e21d97a37');
  assert.equal((await answer(page)).requests[0].reason, 'key_mismatch');
  await page.locator('#add').click();
  await page.locator('.header input').nth(2).fill('authorization');
  assert.equal((await answer(page)).requests[0].source, 'authorization');
  await page.locator('.header button').nth(1).click();
  assert.equal((await answer(page)).requests[0].source, 'x-api-key');
  await page.locator('[name=mode][value=all_except_health]').check();
  await page.locator('#target').fill('/healthz');
  assert.equal((await answer(page)).requests[0].reason, 'health');
  await page.locator('[name=mode][value=auto]').check();
  assert.equal((await answer(page)).requests[0].reason, 'auth_off');
  await page.locator('#lan').check();
  assert.equal((await answer(page)).requests[0].reason, 'health');
  await page.locator('#method').selectOption('OPTIONS');
  assert.equal((await answer(page)).requests[0].reason, 'preflight');
  await page.locator('#whole summary').click();
  await page.locator('#config').fill('{"auth_mode": "stric"}');
  assert.match(await text(page), /line 1, column 15: auth_mode: must be/);
});

// Whoever changes the page so that it asks somebody is stopped by its policy, and that is what is tried here.
test('nobody is asked, whatever the page tries, and nothing is stored', async () => {
  for (const url of [address, PAGE.href]) {
    asked.length = 0;
    const { page, seen } = await open(url);
    await page.locator('#paste').fill("curl http://127.0.0.1:8045/ -H 'x-api-key: sk-5f0c4b8e21d97a36'");
    await page.locator('#rows button').nth(3).click();
    await page.locator('#language').click();
    await page.locator('#theme').click();
    assert.deepEqual(seen.requests, [url]);
    assert.deepEqual(asked, url === address ? ['/'] : []);
    assert.deepEqual(seen.errors, []);
    await page.evaluate(async to => {
      await fetch(`${to}fetch`).catch(() => {});
      navigator.sendBeacon(`${to}beacon`, 'x');
      try { new WebSocket(to.replace('http', 'ws')); } catch { /* refused */ }
      try { new EventSource(`${to}events`); } catch { /* refused */ }
      for (const [name, attribute] of [['img', 'src'], ['script', 'src'], ['link', 'href'], ['iframe', 'src'], ['audio', 'src']]) {
        const made = document.createElement(name);
        if (name === 'link') made.rel = 'stylesheet';
        made.setAttribute(attribute, `${to}${name}`);
        document.body.append(made);
      }
      const form = Object.assign(document.createElement('form'), { action: `${to}form`, method: 'post' });
      document.body.append(form);
      form.submit();
      await new Promise(resolve => setTimeout(resolve, 500));
    }, address);
    assert.deepEqual(asked, url === address ? ['/'] : []);
    const stored = await page.evaluate(async () => [
      localStorage.length, sessionStorage.length, document.cookie, (await indexedDB.databases()).length, location.hash, location.search,
    ]).catch(error => error.message);
    assert.deepEqual(stored, [0, 0, '', 0, '', '']);
    await page.context().close();
  }
});

// In every place where a paste can have one, and in those that are read wrongly.
const PASTES = [
  key => `curl http://127.0.0.1:8045/v1/models -H 'Authorization: Bearer ${key}'`,
  key => `curl http://127.0.0.1:8045/v1/models -H 'Authorization: Bearer${key}' -H 'x-api-key: ${key}'`,
  key => `curl 'http://${key}:${key}@127.0.0.1:8045/${key}?key=${key}#${key}' -H '${key}: ${key}' -X ${key}`,
  key => `curl --${key} ${key}`,
  key => `curl -H @${key} http://127.0.0.1/`,
  key => key,
  key => `${key} http://127.0.0.1/ -H 'x-api-key: ${key}`,
  key => `fetch("http://127.0.0.1/${key}", {"headers": {"x-api-key": "${key}", ${key}}})`,
  key => `Invoke-RestMethod http://127.0.0.1/ -Headers @{"${key}"="${key}"} -${key}`,
  key => `GET /${key} HTTP/1.1\r\nHost: ${key}\r\n${key}: ${key}\r\nCookie: a=${key}\r\n\r\n`,
  key => JSON.stringify({ log: { entries: [{ request: { method: key, url: `http://${key}/`, headers: [{ name: 'x-api-key', value: `${key} ${key}` }] } }] } }),
  key => `{"log": ${key}`,
];
const CONFIGS = [
  key => JSON.stringify({ auth_mode: 'strict', keys: [{ key, label: 'alice' }] }),
  key => `{"auth_mode": "${key}", "${key}": 1}`,
  key => `{"auth_mode": "strict", "api_key": "${key}é", "x": ${key}`,
];

test('a key that was pasted is nowhere but in its box', async () => {
  const { page } = await open();
  const key = `sk-${randomBytes(16).toString('hex')}`;
  const nowhere = async what => {
    const [html, inner, boxes] = await page.evaluate(() => [
      document.documentElement.outerHTML, document.body.innerText, [...document.querySelectorAll('*')].flatMap(made => made.title || made.ariaLabel || []).join(),
    ]);
    for (const seen of [html, inner, boxes, page.url(), await page.title()]) {
      assert.ok(!seen.includes(key), what);
      assert.ok(!seen.includes(key.slice(3, 19)) && !seen.includes(key.slice(-16)), `a part: ${what}`);
    }
  };
  await page.locator('#key').fill(key);
  for (const language of ['en', 'zh']) {
    for (const paste of PASTES) {
      await page.locator('#paste').fill(paste(key));
      await nowhere(`${language}: ${paste('KEY')}`);
    }
    await page.locator('#whole summary').click();
    for (const config of CONFIGS) {
      await page.locator('#config').fill(config(key));
      await nowhere(`${language}: ${config('KEY')}`);
    }
    await page.locator('#config').fill('');
    await page.locator('#whole summary').click();
    await page.locator('#language').click();
  }
});

test('nothing is wider than a small phone, and a row brings its answer, in light and dark', async () => {
  for (const locale of ['en', 'zh-CN'])
    for (const colorScheme of ['light', 'dark']) {
      const { page } = await open(PAGE.href, { locale, colorScheme, viewport: { width: 320, height: 640 } });
      for (const step of ['#tab-build', '#tab-paste', '#whole summary', '#rows button >> nth=7', '#rows button >> nth=45']) {
        await page.locator(step).click();
        const wide = await page.evaluate(() => document.documentElement.scrollWidth);
        assert.ok(wide <= 320, `${locale} ${step}: ${wide}`);
        if (!step.startsWith('#rows')) continue;
        const y = await page.evaluate(() => document.querySelector('.verdict').getBoundingClientRect().top);
        assert.ok(y >= 0 && y < 320, `${locale} ${step}: ${y}`);
      }
      const [back, front] = await page.evaluate(() => {
        const style = getComputedStyle(document.body);
        return [style.backgroundColor, style.color].map(color => Number(/\d+/.exec(color)[0]));
      });
      assert.equal(back < front, colorScheme === 'dark');
      await page.context().close();
    }
});
