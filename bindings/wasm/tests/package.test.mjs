// The package as it is installed: policies, the gate for node:http and Express, and for functions of a Request.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { inspect } from 'node:util';
import express from 'express';

const installed = createRequire(new URL('../../../target/wasm/example/', import.meta.url));
const load = name => import(pathToFileURL(installed.resolve(name)).href);
const { Policy, ConfigError } = await load('keygate');
const { Gate } = await load('keygate/node');
const { guard } = await load('keygate/fetch');
const { library } = await load('keygate/core');

const KEY = 'sk-5f0c4b8e21d97a36';
const WRONG = 'sk-90c7e55ad3b14b0f';
const json = (more = {}) => JSON.stringify({ auth_mode: 'all_except_health', keys: [{ key: KEY, label: 'alice' }], ...more });
const quiet = { log: () => {} };

// Starts a server of what it gives, and stops it.
async function serving(t, server) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return server.address().port;
}

// Sends bytes as they are, and returns all that comes until `until` of it is there or the other side closes.
function raw(port, text, until = () => false) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1');
    let got = '';
    socket.on('data', part => {
      got += part.toString('latin1');
      if (until(got)) socket.destroy();
    });
    socket.on('close', () => resolve(got));
    socket.on('error', reject);
    socket.write(text, 'latin1');
  });
}

const get = (path, ...headers) => [`GET ${path} HTTP/1.1`, 'Host: h', 'Connection: close', ...headers, '', ''].join('\r\n');
const status = answer => Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]);

test('a configuration that is refused says where, and no key', () => {
  const bad = `{"auth_mode": "strict",\n "keys": [{"key": "${KEY}"}, {"key": "${KEY} "}]}`;
  for (const [language, sentence] of [['en', /starts or ends/], ['zh', /[\u4e00-\u9fff]/]])
    assert.throws(() => Policy.parse(bad, { language }), error => {
      assert.ok(error instanceof ConfigError && error instanceof Error);
      assert.deepEqual([error.code, error.field, error.index, error.line], ['key_edge', 'keys.key', 1, 2]);
      assert.match(error.message, sentence);
      assert.ok(![error.message, error.stack, inspect(error), JSON.stringify(error)].join().includes(KEY));
      return true;
    });
  assert.throws(() => Policy.parse(json(), { keys: [{ key: KEY }] }), { code: 'keys_elsewhere' });
  assert.throws(() => Policy.keyFile(`${KEY} label=\n`), { code: 'label_empty', line: 1 });
  for (const wrong of [undefined, null, 1, { auth_mode: 'off' }]) assert.throws(() => Policy.parse(wrong), TypeError);
  assert.throws(() => Policy.parse('{"auth_mode": "strict"}', { keys: [{ key: 5 }] }), TypeError);
});

test('nothing of a policy shows a key, and nothing makes one by hand', () => {
  const gate = new Gate(json(), quiet);
  const decision = gate.policy.decide('GET', '/', ['x-api-key', KEY]);
  for (const thing of [gate, gate.policy, decision, { gate }])
    for (const text of [inspect(thing, { depth: 9, showHidden: true }), String(JSON.stringify(thing)), String(thing)])
      assert.ok(!text.includes(KEY), text);
  // The memory with the keys is bytes, which inspect shows as numbers.
  for (const thing of [gate, gate.policy]) assert.deepEqual(Reflect.ownKeys(thing), []);
  assert.throws(() => new Policy(), TypeError);
  assert.throws(() => gate.policy.drops({ ...decision }, []), TypeError);
  assert.throws(() => { decision.allow = true; }, TypeError);
});

test('keys from elsewhere, explanations, lints, and the end of a policy', () => {
  const keys = Policy.keyFile(`# laptops\n${KEY} label=alice\n`);
  assert.deepEqual(keys, [{ key: KEY, label: 'alice' }]);
  const policy = Policy.parse('{"auth_mode": "strict"}', { keys });
  assert.deepEqual([policy.keyCount, policy.mode], [1, 'strict']);
  assert.match(policy.explain('GET', '/', ['authorization', `Bearer${KEY}`]), /no space after Bearer/);
  assert.match(policy.explain('GET', '/', ['authorization', `Bearer${KEY}`], 'zh'), /空格/);
  assert.deepEqual(Policy.parse('{"auth_mode": "auto", "api_key": "short"}').lints().map(lint => lint.name), ['key_short', 'open', 'auto_open']);
  assert.equal(policy.decide('GET', '/', ['x-api-key', KEY]).label, 'alice');
  // Many headers need more memory than there was.
  const many = Array.from({ length: 20_000 }, (_, i) => `x-${i}`);
  assert.equal(policy.decide('GET', '/', [...many, 'x-api-key', KEY]).header, 10_000);
  policy.wipe();
  const after = policy.decide('GET', '/', ['x-api-key', KEY]);
  assert.deepEqual([after.allow, after.reason], [false, 'invalid_call']);
});

test('a character that is no byte is not cut down to one', () => {
  const policy = Policy.parse(json());
  const high = text => [...text].map(c => String.fromCharCode(c.charCodeAt(0) + 0x100)).join('');
  assert.equal(policy.decide('GET', high('/healthz'), []).allow, false);
  assert.equal(policy.decide(high('OPTIONS'), '/', []).allow, false);
  assert.equal(policy.decide('GET', '/', ['x-api-key', high(KEY)]).allow, false);
  assert.equal(policy.decide('GET', '/', [high('x-api-key'), KEY]).allow, false);
});

test('the small module decides as the large one, for a browser too', () => {
  const bytes = readFileSync(new URL('../../../target/wasm/keygate-gate.wasm', import.meta.url));
  const { Policy: Small } = library(new WebAssembly.Module(bytes));
  const small = Small.parse(json());
  assert.throws(() => Small.parse('{"auth_mode": "of"}'), { name: 'ConfigError', code: '-5', field: 'auth_mode', line: 1 });
  assert.equal(small.reason(small.decide('GET', '/', [])), 'credential_missing');
  const decision = small.decide('GET', '/', ['x-api-key', KEY]);
  assert.deepEqual([decision.allow, decision.label], [true, 'alice']);
  assert.equal(small.denial(small.decide('GET', '/', [])).status, 401);
});

test('what goes on has no credential in any form, and says whose key it was', async t => {
  const gate = new Gate(json({ identity_header: 'x-key-owner' }), quiet);
  let seen;
  const server = http.createServer(gate.listener((req, res) => {
    seen = req;
    req.resume().on('end', () => res.end(JSON.stringify([req.rawTrailers, req.trailers, req.trailersDistinct])));
  }));
  const port = await serving(t, server);
  const answer = await raw(port, [
    'POST /v1 HTTP/1.1', 'Host: h', 'Connection: close, x-key-owner', `Authorization: Bearer ${KEY}`, `X_Api.Key: ${KEY}`, 'X-Goog-Api-Key: a',
    'x-key-owner: mallory', 'X-Key_Owner: mallory', 'Cookie: a=1', 'Cookie: b=2', 'X-Two: 1', 'X-Two: 2', 'Trailer: x-api-key, x-sum', 'Transfer-Encoding: chunked', '',
    '1', 'x', '0', `x-api-key: ${KEY}`, 'x-key-owner: mallory', 'x-sum: 5', '', '',
  ].join('\r\n'));
  const text = JSON.stringify([seen.rawHeaders, seen.headers, seen.headersDistinct]) + answer;
  for (const bad of [KEY, 'mallory', 'oogle', 'pi-key', 'pi.Key']) assert.ok(!text.toLowerCase().includes(bad.toLowerCase()), `${bad}: ${text}`);
  assert.equal(seen.headers['x-key-owner'], 'alice');
  assert.deepEqual(seen.headersDistinct['x-key-owner'], ['alice']);
  assert.equal(seen.headers.cookie, 'a=1; b=2');
  assert.equal(seen.headers['x-two'], '1, 2');
  assert.deepEqual(seen.headersDistinct['x-two'], ['1', '2']);
  assert.deepEqual([seen.headers.connection, seen.headers.trailer], ['close', 'x-sum']);
  assert.equal(seen.keygate.label, 'alice');
  assert.ok(answer.includes('[["x-sum","5"],{"x-sum":"5"},{"x-sum":["5"]}]'), answer);
});

test('of several values, those that are no key stay', async t => {
  const gate = new Gate(json({ strip: 'matched' }), quiet);
  let seen;
  const server = http.createServer(gate.listener((req, res) => { seen = req; res.end(); }));
  const port = await serving(t, server);
  await raw(port, get('/v1', `X-Api-Key: ${KEY}`, 'X-Api-Key: theirs', 'Authorization: Bearer theirs', 'Authorization: Bearer more'));
  assert.equal(seen, undefined, 'authorization decides');
  await raw(port, get('/v1', `Authorization: Bearer ${KEY}`, 'Authorization: Bearer theirs', 'X-Api-Key: a', 'X-Api-Key: b'));
  assert.deepEqual([seen.headers.authorization, seen.headers['x-api-key']], ['Bearer theirs', 'a, b']);
  assert.deepEqual(seen.headersDistinct.authorization, ['Bearer theirs']);
  assert.ok(!seen.rawHeaders.join().includes(KEY));
});

test('a denial is the library\'s, and is logged without a key', async t => {
  const records = [];
  const gate = new Gate(json(), { log: record => records.push(record), explain: true });
  const server = http.createServer(gate.listener(() => assert.fail('denied')));
  const port = await serving(t, server);
  const answer = await raw(port, get(`/v1?key=${KEY}`, `X-Api-Key: ${WRONG}`));
  assert.equal(status(answer), 401);
  assert.match(answer, /WWW-Authenticate: Bearer realm="keygate"/);
  assert.match(answer, /"code":"invalid_api_key"/);
  assert.doesNotMatch(await raw(port, get('/v1').replace('GET', 'HEAD')), /\{/);
  await raw(port, get('/v1').replace('GET', 'PROPFIND'));
  assert.deepEqual(records[0], {
    verdict: 'deny', reason: 'key_mismatch', effective_mode: 'all_except_health', source: 'x-api-key', header_index: 2, key_index: null,
    method: 'GET', message: "The deciding header's value equals no configured key", findings: ['key_in_query'],
  });
  assert.deepEqual([records[1].method, records[2].method], ['HEAD', '(other)']);
  assert.ok(!JSON.stringify(records).includes('sk-'));
});

test('Express: the target that was received decides, whatever is mounted', async t => {
  const gate = new Gate(json(), quiet);
  const app = express();
  app.use('/admin', gate.middleware(), (req, res) => res.send(`admin ${req.url}`));
  app.use(gate.middleware());
  app.get('/healthz', (req, res) => res.send('ok'));
  const port = await serving(t, http.createServer(app));
  assert.equal(status(await raw(port, get('/admin/healthz'))), 401);
  assert.equal(status(await raw(port, get('/healthz'))), 200);
  const answer = await raw(port, get('/admin/healthz', `Authorization: Bearer ${KEY}`));
  assert.match(answer, /admin \/healthz/);
});

test('another configuration from the next request on, and a bad one never', async t => {
  const gate = new Gate(json(), quiet);
  const port = await serving(t, http.createServer(gate.listener((req, res) => res.end('ok'))));
  const asked = async key => status(await raw(port, get('/v1', `x-api-key: ${key}`)));
  assert.equal(await asked(KEY), 200);
  assert.throws(() => gate.reload('{"auth_mode": "of"}'), { name: 'ConfigError' });
  assert.equal(await asked(KEY), 200);
  gate.reload(json({ keys: [{ key: WRONG }] }));
  assert.deepEqual([await asked(KEY), await asked(WRONG)], [401, 200]);
});

test('what is odd about a configuration is logged when it comes into force', () => {
  const records = [];
  const gate = new Gate('{"auth_mode": "strict", "api_key": "short"}', { log: record => records.push(record) });
  gate.reload('{"auth_mode": "auto"}');
  assert.deepEqual(records.map(({ lint }) => lint), ['key_short', 'auto_open']);
  assert.match(records[0].message, /fewer than 16 bytes/);
});

test('nothing but a WebSocket is upgraded, and none without a key', async t => {
  const gate = new Gate(json(), quiet);
  const server = http.createServer(gate.listener((req, res) => res.end('no upgrade')));
  const switched = gate.upgrade((req, socket) => socket.end('HTTP/1.1 101 Switching Protocols\r\n\r\n'));
  server.on('upgrade', switched).on('connect', switched);
  const port = await serving(t, server);
  const ask = (path, protocol, ...more) => raw(port, get(path, `Upgrade: ${protocol}`, ...more).replace('close', 'upgrade'));
  const key = `x-api-key: ${KEY}`;
  assert.equal(status(await ask('/v1', 'websocket', key)), 101);
  assert.equal(status(await ask('/v1', 'websocket')), 401);
  assert.equal(status(await ask('/healthz', 'websocket')), 400);
  assert.equal(status(await ask('/v1', 'h2c', key)), 400);
  assert.equal(status(await ask('/v1', 'websocket', 'Upgrade: h2c', key)), 400);
  for (const [more, want] of [[[], 401], [[key], 400]])
    assert.equal(status(await raw(port, get('h:80', ...more).replace('GET', 'CONNECT'))), want);
});

test('the example outlives an upstream whose answer to a WebSocket breaks off', async t => {
  const upstream = net.createServer(socket => socket.on('error', () => {}).once('data', () => socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno size\r\n')));
  const behind = await serving(t, Object.assign(upstream, { closeAllConnections: () => {} }));
  const unused = net.createServer().listen(0, '127.0.0.1');
  await once(unused, 'listening');
  const { port } = unused.address();
  await new Promise(resolve => unused.close(resolve));
  const folder = mkdtempSync(join(tmpdir(), 'keygate-'));
  t.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'config'), json());
  const proxy = spawn(process.execPath, [fileURLToPath(new URL('../../../target/wasm/example/proxy.mjs', import.meta.url)), join(folder, 'config'), `http://127.0.0.1:${behind}`, `127.0.0.1:${port}`], { stdio: 'ignore' });
  t.after(() => proxy.kill());
  const reached = () => new Promise(resolve => {
    const socket = net.connect(port, '127.0.0.1', () => resolve(socket.destroy())).on('error', () => setTimeout(() => resolve(reached()), 50));
  });
  await reached();
  const answer = await raw(port, get('/v1', 'Upgrade: websocket', `x-api-key: ${KEY}`).replace('close', 'upgrade'));
  assert.equal(status(answer), 200);
  assert.equal(status(await raw(port, get('/v1'))), 401);
  assert.equal(proxy.exitCode, null);
});

test('a server that is a function of a Request', async () => {
  let seen;
  const policy = Policy.parse(json({ identity_header: 'x-key-owner' }));
  const serve = guard(policy, (request, decision) => {
    seen = request;
    return new Response(decision.label);
  });
  const ask = (path, init, handler = serve) => handler(new Request(`http://h${path}`, init));
  const denied = await ask('/v1');
  assert.deepEqual([denied.status, denied.headers.get('www-authenticate')], [401, 'Bearer realm="keygate"']);
  assert.match(await denied.text(), /missing_api_key/);
  assert.equal(await (await ask('/v1', { method: 'HEAD' })).text(), '');
  const allowed = await ask('/v1', { method: 'POST', body: 'hello', headers: { authorization: `Bearer ${KEY}`, 'x-key-owner': 'mallory', 'x-api-key': 'a', accept: 'b' } });
  assert.equal(await allowed.text(), 'alice');
  assert.deepEqual(Object.fromEntries(seen.headers), { accept: 'b', 'content-type': 'text/plain;charset=UTF-8', 'x-key-owner': 'alice' });
  assert.equal(await seen.text(), 'hello');
  // A Request has its dots resolved: no path is exempt unless somebody knows what was received.
  assert.equal((await ask('/x/../healthz')).status, 401);
  const knows = guard(policy, () => new Response('ok'), { target: request => new URL(request.url).pathname });
  assert.equal((await ask('/healthz', {}, knows)).status, 200);
});

test('the types are those of the package', () => {
  const folder = mkdtempSync(join(fileURLToPath(new URL('../../../target/wasm/example/', import.meta.url)), 'types-'));
  try {
    writeFileSync(join(folder, 'use.ts'), `
      import { createServer } from 'node:http';
      import { ConfigError, Policy, type Decision } from 'keygate';
      import { Gate } from 'keygate/node';
      import { guard } from 'keygate/fetch';
      const policy: Policy = Policy.parse('{"auth_mode": "strict"}', { keys: [{ key: 'x' }] });
      const decision: Decision = policy.decide('GET', '/', ['a', 'b']);
      const gate = new Gate('{}', { log: record => record });
      createServer({ IncomingMessage: gate.message() }, gate.listener((req, res) => res.end(req.keygate?.label)));
      guard(policy, (request: Request, extra: number, decision: Decision) => new Response(decision.label))(new Request('http://h'), 5);
      const fields: string | number | null = decision.reason === 'key_matched' ? decision.key : new ConfigError('').code;
      // @ts-expect-error
      new Policy();
      // @ts-expect-error
      decision.allow = true;
      // @ts-expect-error
      policy.explain('GET', '/', [], 'de');
    `);
    execFileSync(process.execPath, [
      fileURLToPath(new URL('node_modules/typescript/bin/tsc', import.meta.url)), '--noEmit', '--strict', '--module', 'nodenext',
      '--target', 'es2022', '--lib', 'es2022,dom,dom.iterable', '--types', 'node', '--typeRoots', fileURLToPath(new URL('node_modules/@types', import.meta.url)), join(folder, 'use.ts'),
    ], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    assert.fail(error.stdout || error.message);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
