// A gate in front of a service: node proxy.mjs CONFIG http://HOST:PORT HOST:PORT. What is allowed is
// forwarded, bodies and web sockets as they come. SIGHUP reads CONFIG anew.
import { readFileSync, statSync } from 'node:fs';
import http from 'node:http';
import { Gate, drain } from 'keygate/node';

const MAX_CONFIG = 16 << 20;
// For a request's head; a body may take its time.
const HEAD_TIMEOUT = 10_000;
const CONNECT_TIMEOUT = 10_000;
const SHUTDOWN_TIMEOUT = 8_000;
const KEYLESS = new Set(['preflight', 'health']);
// Those of one connection, which are not forwarded.
const HOPS = new Set(['connection', 'keep-alive', 'proxy-connection', 'te', 'transfer-encoding', 'upgrade', 'expect', 'host']);

const log = record => process.stderr.write(`${JSON.stringify(record)}\n`);

function end(problem) {
  process.stderr.write(`${problem}\n`);
  process.exit(1);
}

function read(file) {
  let found;
  try {
    found = statSync(file); // to open a FIFO would wait for its writer
    if (found.isFile() && found.size <= MAX_CONFIG) return readFileSync(file);
  } catch (error) {
    throw new Error(`the configuration cannot be read: ${error.message.split(',')[0]}`);
  }
  throw new Error(found.isFile() ? 'the configuration is longer than 16 MiB' : 'the configuration is not a regular file');
}

const [, , config, upstream, listen] = process.argv;
if (!listen) end('Usage: proxy.mjs CONFIG http://HOST:PORT HOST:PORT');
const to = new URL(upstream);
const [address, port] = [listen.slice(0, listen.lastIndexOf(':')), Number(listen.slice(listen.lastIndexOf(':') + 1))];
let gate;
try {
  gate = new Gate(read(config), { log, explain: true });
} catch (error) {
  end(error.message);
}
process.on('SIGHUP', () => {
  try {
    gate.reload(read(config));
    log({ message: 'configuration in force' });
  } catch (error) {
    log({ message: `${error.message}; the configuration before stays in force` });
  }
});

// Where to forward to: the target that was decided about, of the absolute form what an origin is asked for.
function target(url) {
  const path = /^https?:\/\/[^/?#]*([/?].*)?$/i.exec(url);
  if (!path) return url.startsWith('/') ? url : undefined;
  return path[1]?.startsWith('/') ? path[1] : `/${path[1] ?? ''}`;
}

// The headers without those of this connection.
function onward(raw) {
  const pairs = [];
  for (let i = 0; i < raw.length; i += 2) pairs.push([raw[i], raw[i + 1]]);
  const named = pairs
    .filter(([name]) => name.toLowerCase() === 'connection')
    .flatMap(([, value]) => value.toLowerCase().split(',').map(option => option.trim()));
  return pairs.filter(([name]) => !HOPS.has(name.toLowerCase()) && !named.includes(name.toLowerCase()));
}

// An answer of the proxy's own. Nothing of the request is in it.
function own(req, res, status, text) {
  if (res.headersSent) {
    res.destroy();
    return;
  }
  res.writeHead(status, ['Content-Type', 'text/plain', 'Content-Length', String(Buffer.byteLength(text))]);
  res.end(req.method === 'HEAD' ? undefined : text);
  drain(req);
}

const agent = new http.Agent({ keepAlive: false });

function ask(req, more) {
  const path = target(req.originalUrl ?? req.url);
  if (path === undefined) return undefined;
  const options = { host: to.hostname, port: to.port, method: req.method, path, agent, headers: [['Host', to.host], ...onward(req.rawHeaders), ...more].flat() };
  const request = http.request(options);
  request.setNoDelay(true);
  const timer = setTimeout(() => request.destroy(new Error('no connection')), CONNECT_TIMEOUT);
  request.once('socket', socket => {
    if (socket.connecting) socket.once('connect', () => clearTimeout(timer));
    else clearTimeout(timer);
  });
  request.once('close', () => clearTimeout(timer));
  return request;
}

function answer(res, from) {
  res.sendDate = false;
  res.writeHead(from.statusCode, from.statusMessage, onward(from.rawHeaders).flat());
  res.flushHeaders();
  from.pipe(res);
  from.on('error', () => res.destroy());
  res.on('close', () => from.destroy());
}

function forward(req, res) {
  const keyless = KEYLESS.has(req.keygate.reason);
  const chunked = req.headers['transfer-encoding'] !== undefined;
  const framed = chunked || req.headers['content-length'] !== undefined;
  // Neither a preflight nor a health check has a body, and an upstream that reads none would take it for the
  // next request.
  const body = framed && !keyless;
  const more = [];
  if (body && chunked) more.push(['Transfer-Encoding', 'chunked']);
  if (!framed && !['GET', 'HEAD', 'OPTIONS', 'DELETE', 'TRACE'].includes(req.method)) more.push(['Content-Length', '0']);
  if (keyless) {
    for (let i = req.rawHeaders.length - 2; i >= 0; i -= 2)
      if (/^(content-length|trailer)$/i.test(req.rawHeaders[i])) req.rawHeaders.splice(i, 2);
  }
  let request;
  try {
    request = ask(req, more);
  } catch {
    request = undefined; // a target that node:http does not send
  }
  if (!request) {
    own(req, res, 400, 'This request target cannot be forwarded unchanged.');
    return;
  }
  request.on('response', from => answer(res, from));
  request.on('error', () => {
    log({ message: 'upstream failed' });
    own(req, res, 502, 'The service behind this proxy cannot be reached.');
  });
  res.on('close', () => request.destroy());
  if (!body) {
    request.end();
    drain(req);
    return;
  }
  request.flushHeaders();
  req.on('error', () => request.destroy());
  req.pipe(request, { end: false });
  req.on('end', () => {
    if (chunked) {
      const trailers = [];
      for (let i = 0; i < req.rawTrailers.length; i += 2) trailers.push([req.rawTrailers[i], req.rawTrailers[i + 1]]);
      request.addTrailers(trailers);
    }
    request.end();
  });
}

// A web socket with a key, or in mode off: nothing else gets here.
function tunnel(req, socket, head) {
  socket.on('error', () => socket.destroy());
  let res; // one for the socket: an answer of the upstream's may break off
  const answering = () => {
    if (res) return res;
    res = new http.ServerResponse(req);
    res.assignSocket(socket);
    res.shouldKeepAlive = false;
    return res.on('finish', () => socket.end());
  };
  const request = ask(req, [['Connection', 'upgrade'], ['Upgrade', 'websocket']]);
  if (!request) {
    own(req, answering(), 400, 'This request target cannot be forwarded unchanged.');
    return;
  }
  request.on('error', () => own(req, answering(), 502, 'The service behind this proxy cannot be reached.'));
  request.on('response', from => answer(answering(), from));
  request.on('upgrade', (from, other, rest) => {
    const lines = onward(from.rawHeaders).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n${lines.join('')}\r\n`, 'latin1');
    other.on('error', () => other.destroy());
    if (head.length) other.write(head);
    if (rest.length) socket.write(rest);
    socket.pipe(other).pipe(socket);
    socket.on('close', () => other.destroy());
    other.on('close', () => socket.destroy());
  });
  request.end();
}

const server = http.createServer({
  IncomingMessage: gate.message(),
  maxHeaderSize: 128 << 10,
  headersTimeout: HEAD_TIMEOUT,
  requestTimeout: 0,
  connectionsCheckingInterval: 1000,
  noDelay: true,
});
server.maxHeadersCount = 0;
function take(req, res) {
  if (req.httpVersionMajor !== 1) {
    // HTTP/0.9 has no headers, and node reads some all the same.
    res.shouldKeepAlive = false;
    own(req, res, 400, 'This version of HTTP is not spoken here.');
  } else if (gate.allow(req, res)) {
    // A denied request is told so before it is told to send its body.
    if (req.headers.expect !== undefined && !KEYLESS.has(req.keygate.reason)) res.writeContinue();
    forward(req, res);
  }
}
server.on('request', take);
server.on('checkContinue', take);
server.on('upgrade', gate.upgrade(tunnel));
server.on('error', error => end(`this address cannot be listened on: ${error.code}`));
server.listen(port, address);
for (const signal of ['SIGTERM', 'SIGINT'])
  process.on(signal, () => {
    server.close(() => process.exit(0));
    server.closeIdleConnections();
    setTimeout(() => process.exit(0), SHUTDOWN_TIMEOUT);
  });
