// The gate for node:http, and for what is built on it, such as Express.
import { IncomingMessage } from 'node:http';
import { record } from './core.js';
import { Policy } from './index.js';

const UPGRADE = Symbol('upgrade'); // the class that has it writes before fields of its own would be there
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'CONNECT', 'TRACE']);
// What node:http keeps the first of, where a header occurs more than once.
const FIRST = new Set([
  'age', 'authorization', 'content-length', 'content-type', 'etag', 'expires', 'from', 'host', 'if-modified-since',
  'if-unmodified-since', 'last-modified', 'location', 'max-forwards', 'proxy-authorization', 'referer', 'retry-after',
  'server', 'user-agent',
]);

const toStandardError = record => process.stderr.write(`${JSON.stringify(record)}\n`);

// Reads what is left of a request that nobody reads, so that a client that sends it keeps its connection and
// sees the answer; not for ever.
export function drain(req, { time = 5000, bytes = 16 << 20 } = {}) {
  if (req.complete) return;
  const { socket } = req;
  let left = bytes;
  const timer = setTimeout(() => socket.destroy(), time);
  for (const event of ['end', 'close', 'error']) req.once(event, () => clearTimeout(timer));
  req.on('data', part => {
    left -= part.length;
    if (left < 0) socket.destroy();
  });
  req.resume();
}

export class Gate {
  #policy;
  #log;
  #explain;
  #known = new WeakMap();

  constructor(config, { keys, log = toStandardError, explain = false } = {}) {
    this.#policy = Policy.parse(config, { keys });
    this.#log = log;
    this.#explain = explain;
    this.#lints();
  }

  // Another configuration, from the next request on. Where it is refused, the one before stays.
  reload(config, { keys } = {}) {
    const before = this.#policy;
    this.#policy = Policy.parse(config, { keys });
    // What still asks it about trailers is told to drop them.
    before.wipe();
    this.#lints();
  }

  get policy() {
    return this.#policy;
  }

  #lints() {
    for (const { name, text } of this.#policy.lints()) this.#log({ lint: name, message: text });
  }

  // The decision, made once and logged.
  #decide(req) {
    let known = this.#known.get(req);
    if (known) return known;
    const policy = this.#policy;
    // What a framework has made of `url` decides nothing.
    const target = req.originalUrl ?? req.url;
    const decision = policy.decide(req.method, target, req.rawHeaders);
    const line = {
      ...record(policy, decision),
      header_index: decision.header,
      method: METHODS.has(req.method) ? req.method : '(other)',
    };
    if (this.#explain) line.findings = policy.findings(req.method, target, req.rawHeaders);
    this.#log(line);
    known = { policy, decision, stripped: false };
    this.#known.set(req, known);
    return known;
  }

  // Whether the request may go on; then nothing of it holds a credential any more. Otherwise it is answered.
  allow(req, res) {
    const { policy, decision } = this.#admit(req);
    if (decision.allow) return true;
    const { status, headers, body } = policy.denial(decision);
    res.writeHead(status, [...headers, ['Content-Length', String(Buffer.byteLength(body))]].flat());
    res.end(req.method === 'HEAD' ? undefined : body);
    drain(req);
    return false;
  }

  #admit(req) {
    const known = this.#decide(req);
    if (known.decision.allow && !known.stripped) {
      known.stripped = true;
      strip(req, known.policy, known.decision);
      req.keygate = known.decision;
    }
    return known;
  }

  middleware() {
    return (req, res, next) => {
      if (this.allow(req, res)) next();
    };
  }

  // The same around a listener of node:http.
  listener(listener) {
    return (req, res) => {
      if (this.allow(req, res)) listener(req, res);
    };
  }

  // Around a listener of 'upgrade'. Nothing but a WebSocket passes, and that with a key or in mode off alone.
  upgrade(listener) {
    return (req, socket, head) => {
      const { policy, decision } = this.#admit(req);
      if (decision.allow && isWebSocket(req)) {
        listener(req, socket, head);
        return;
      }
      const { headers, body } = decision.allow ? { headers: [], body: '' } : policy.denial(decision);
      const lines = [
        decision.allow ? 'HTTP/1.1 400 Bad Request' : 'HTTP/1.1 401 Unauthorized',
        ...headers.map(([name, value]) => `${name}: ${value}`),
        `Content-Length: ${Buffer.byteLength(body)}`,
        'Connection: close',
      ];
      socket.on('error', () => {});
      socket.end(`${lines.join('\r\n')}\r\n\r\n${body}`);
    };
  }

  // For `createServer({ IncomingMessage: gate.message() })`: a request whose upgrade the gate drops is then one
  // without, and is answered as such, and one that is denied is denied in 'request'.
  message() {
    const gate = this;
    return class extends IncomingMessage {
      get upgrade() {
        return this[UPGRADE];
      }

      // Node sets it before the method and the headers are there, too.
      set upgrade(asked) {
        this[UPGRADE] =
          Boolean(asked) &&
          (this.method === null || this.method === 'CONNECT' || (gate.#admit(this).decision.allow && isWebSocket(this)));
      }
    };
  }
}

const isWebSocket = req => req.headers.upgrade?.toLowerCase() === 'websocket' && req.headersDistinct.upgrade.length === 1;

// As node:http puts the values of a header together.
function together(name, values) {
  if (name === 'set-cookie') return values;
  return FIRST.has(name) ? values[0] : values.join(name === 'cookie' ? '; ' : ', ');
}

// The pairs that are kept; `listing` headers without what they say about those that are not.
function kept(policy, decision, raw) {
  const dropped = policy.drops(decision, raw);
  const pairs = [];
  for (let i = 0; i < dropped.length; i++) {
    if (dropped[i]) continue;
    const [name, value] = [raw[2 * i], raw[2 * i + 1]];
    if (!/^(connection|trailer)$/i.test(name)) {
      pairs.push([name, value]);
      continue;
    }
    const options = value.split(',').map(option => option.trim());
    const gone = policy.drops(decision, options.flatMap(option => [option, '']));
    // A credential may be named whose value is kept; the name says too little there.
    const left = options.filter((_, option) => !gone[option]);
    if (left.length) pairs.push([name, left.join(', ')]);
  }
  return pairs;
}

function distinct(pairs) {
  const found = Object.create(null);
  for (const [name, value] of pairs) (found[name.toLowerCase()] ??= []).push(value);
  return found;
}

function replace(list, pairs) {
  list.length = 0;
  for (const pair of pairs) list.push(...pair);
}

// Sets `headers` to what is left; those that are as they were stay node's own.
function tidy(headers, left, before) {
  for (const name of Object.keys(headers)) {
    const values = left[name];
    if (values === undefined) delete headers[name];
    else if (values.join('\n') !== before[name]?.join('\n')) headers[name] = together(name, values);
  }
}

const pairsOf = raw => Array.from({ length: raw.length >> 1 }, (_, i) => [raw[2 * i], raw[2 * i + 1]]);

// Takes what must be dropped out of every form in which node:http has the headers, and says whose key it was.
function strip(req, policy, decision) {
  const { headers } = req; // node makes it when it is asked for, of what is there then
  const before = distinct(pairsOf(req.rawHeaders));
  const pairs = kept(policy, decision, req.rawHeaders);
  const identity = policy.identityHeader;
  const left = distinct(pairs);
  tidy(headers, left, before);
  if (identity && decision.reason === 'key_matched' && decision.label) {
    pairs.push([identity, decision.label]);
    left[identity] = [decision.label];
    headers[identity] = decision.label;
  }
  replace(req.rawHeaders, pairs);
  req.headersDistinct = left;
  req.prependOnceListener('end', () => {
    if (!req.rawTrailers.length) return;
    const { trailers } = req;
    const all = distinct(pairsOf(req.rawTrailers));
    const rest = kept(policy, decision, req.rawTrailers);
    tidy(trailers, distinct(rest), all);
    replace(req.rawTrailers, rest);
    req.trailersDistinct = distinct(rest);
  });
}
