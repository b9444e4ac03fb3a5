// keygate.wasm as classes. `library(module)` makes them of a compiled module: of the package's own one in
// index.js, of one that came otherwise in a browser or a worker.
import { layout as at } from './layout.js';

const PAGE = 65536;
const LANGUAGES = { en: 0, zh: 1 };
const utf8 = new TextDecoder();

const align = n => (n + 15) & ~15;

// One policy with its own memory. Everything that C code sees is written behind what the module uses itself.
class Instance {
  constructor(module) {
    const { exports } = new WebAssembly.Instance(module, {});
    if (exports.keygate_abi_version() !== 2) throw new TypeError('this keygate.wasm has another interface');
    this.c = exports;
    this.policy = exports.memory.buffer.byteLength;
    exports.memory.grow(1);
    this.decision = this.policy + at.keygate_policy.size;
    this.error = this.decision + align(at.keygate_decision.size);
    this.start = this.error + align(at.keygate_config_error.size);
    this.end = this.start;
    this.texts = new Map();
    this.look();
  }

  look() {
    this.bytes = new Uint8Array(this.c.memory.buffer);
    this.view = new DataView(this.c.memory.buffer);
  }

  take(len) {
    const place = this.end;
    this.end = align(place + len);
    const more = this.end - this.bytes.length;
    if (more > 0) {
      this.c.memory.grow(Math.ceil(more / PAGE));
      this.look();
    }
    return place;
  }

  // What was written for a call is wiped after it: it may hold keys.
  clear() {
    this.bytes.fill(0, this.start, this.end);
    this.end = this.start;
  }

  put(place, ...numbers) {
    numbers.forEach((number, i) => this.view.setUint32(place + 4 * i, number, true));
  }

  // A character for a byte. What is no byte becomes 0xFF, which stands in no name, no path and no credential:
  // cut to eight bits, it could become a letter of one.
  latin1(text) {
    const place = this.take(text.length);
    for (let i = 0; i < text.length; i++) this.bytes[place + i] = Math.min(text.charCodeAt(i), 0xff);
    return [place, text.length];
  }

  raw(bytes) {
    const place = this.take(bytes.length);
    this.bytes.set(bytes, place);
    return [place, bytes.length];
  }

  // An array of structs; `fill(i)` gives the words of one.
  list(size, count, fill) {
    const place = this.take(size * count);
    for (let i = 0; i < count; i++) this.put(place + size * i, ...fill(i));
    return [place, count];
  }

  request(method, target, headers) {
    const list = this.list(at.keygate_header.size, headers.length >> 1, i => [
      ...this.latin1(headers[2 * i]),
      ...this.latin1(headers[2 * i + 1]),
    ]);
    const place = this.take(at.keygate_request.size);
    this.put(place, at.keygate_request.size, ...this.latin1(method), ...this.latin1(target), ...list);
    return place;
  }

  // A keygate_str.
  str(place) {
    const from = this.view.getUint32(place, true);
    return String.fromCharCode(...this.bytes.subarray(from, from + this.view.getUint32(place + 4, true)));
  }

  // The keygate_str that a function returns, which C hands back by a pointer.
  returned(name, ...more) {
    const place = this.take(at.keygate_str.size);
    this.c[name](place, this.policy, ...more);
    return this.str(place);
  }

  // Text that ends in NUL. It is static, so it is read once.
  text(place) {
    let text = this.texts.get(place);
    if (text === undefined) this.texts.set(place, (text = utf8.decode(this.bytes.subarray(place, this.bytes.indexOf(0, place)))));
    return text;
  }

  // Whether a name is as long as one that is read or may be dropped.
  interests(name) {
    return ((name.length & 32 ? this.long : this.short) >>> (name.length & 31)) & 1;
  }

  // What holds for the policy as long as it is there.
  know() {
    const lengths = this.c.keygate_policy_name_lengths(this.policy);
    [this.short, this.long] = [Number(BigInt.asIntN(32, lengths)), Number(BigInt.asIntN(32, lengths >> 32n))];
  }

  // What a function like snprintf writes.
  written(call) {
    const len = call(0, 0) >>> 0;
    const buffer = this.take(len + 1);
    call(buffer, len + 1);
    return utf8.decode(this.bytes.subarray(buffer, buffer + len));
  }
}

// The sentence, and where. No byte of a configuration is in it.
export class ConfigError extends Error {
  constructor(sentence, place) {
    super(sentence);
    this.name = 'ConfigError';
    Object.assign(this, place);
  }
}

// The decision record, as every host logs it, but for what only the host knows.
export function record(policy, decision) {
  return {
    verdict: decision.allow ? 'allow' : 'deny',
    reason: decision.reason,
    effective_mode: decision.mode,
    source: decision.source,
    key_index: decision.key,
    message: policy.reason(decision),
    ...(decision.label && { key_label: decision.label }),
  };
}

const pairs = headers => {
  if (!Array.isArray(headers) || headers.length % 2 || !headers.every(text => typeof text === 'string'))
    throw new TypeError('headers are a list of names and values, as in rawHeaders');
  return headers;
};

const string = (text, what) => {
  if (typeof text !== 'string') throw new TypeError(`the ${what} is a string`);
  return text;
};

export function library(module) {
  const of = new WeakMap(); // the bytes of decisions

  class Decision {
    constructor(fields, bytes) {
      Object.assign(this, fields);
      Object.freeze(this);
      of.set(this, bytes);
    }
  }

  class Policy {
    #in;

    constructor(instance, token) {
      if (token !== of) throw new TypeError('a policy is made by Policy.parse');
      this.#in = instance;
    }

    static parse(json, { keys = [], language = 'en' } = {}) {
      const text = typeof json === 'string' ? new TextEncoder().encode(json) : json;
      if (!(text instanceof Uint8Array)) throw new TypeError('the configuration is text in JSON');
      const i = new Instance(module);
      i.put(i.error, at.keygate_config_error.size);
      const entries = keys.map(({ key, label = '' }) => [string(key, 'key'), string(label, 'label')]);
      const list = i.list(at.keygate_key.size, entries.length, n => entries[n].flatMap(part => i.latin1(part)));
      const status = i.c.keygate_policy_parse(i.policy, at.keygate_policy.size, ...string_args(i, text), ...(entries.length ? list : [0, 0]), i.error);
      try {
        if (status) throw refused(i, language);
      } finally {
        i.clear();
      }
      i.know();
      return new Policy(i, of);
    }

    // A list of { key, label } of a key file.
    static keyFile(text, { language = 'en' } = {}) {
      const i = new Instance(module);
      const bytes = typeof text === 'string' ? new TextEncoder().encode(text) : text;
      i.put(i.error, at.keygate_config_error.size);
      const file = i.take(at.keygate_key_file.size);
      const out = i.take(at.keygate_key.size);
      const found = [];
      try {
        i.c.keygate_key_file_begin(file, at.keygate_key_file.size, ...string_args(i, bytes));
        while (i.c.keygate_key_file_next(file, out))
          found.push({ key: i.str(out + at.keygate_key.secret), label: i.str(out + at.keygate_key.label) });
        if (i.c.keygate_key_file_end(file, i.error)) throw refused(i, language);
      } finally {
        i.clear();
      }
      return found;
    }

    #call(work) {
      try {
        return work(this.#in);
      } finally {
        this.#in.clear();
      }
    }

    // headers: names and values in turn, in the order received.
    decide(method, target, headers) {
      const d = at.keygate_decision;
      return this.#call(i => {
        i.bytes.fill(0, i.decision, i.decision + d.size);
        i.put(i.decision, d.size);
        // The others change nothing of a decision.
        const read = [];
        const places = [];
        for (let n = 0; n < pairs(headers).length; n += 2)
          if (i.interests(headers[n])) {
            read.push(headers[n], headers[n + 1]);
            places.push(n / 2);
          }
        const request = i.request(string(method, 'method'), string(target, 'target'), read);
        const verdict = i.c.keygate_decide(i.policy, request, i.decision);
        const number = field => i.view.getInt32(i.decision + field, true);
        const key = number(d.key);
        return new Decision(
          {
            allow: verdict === 1,
            reason: i.text(i.c.keygate_reason_name(number(d.reason))),
            mode: i.text(i.c.keygate_mode_name(number(d.effective_mode))),
            source: number(d.source) < 0 ? null : i.returned('keygate_policy_source_name', number(d.source)),
            header: places[number(d.header)] ?? null,
            key: key < 0 ? null : key,
            label: key < 0 ? '' : i.returned('keygate_policy_key_label', key),
            stripped: (number(d.flags) & 1) === 1,
          },
          i.bytes.slice(i.decision, i.decision + d.size),
        );
      });
    }

    #with(decision, work) {
      const bytes = of.get(decision);
      if (!bytes) throw new TypeError('the decision is one that this library made');
      return this.#call(i => {
        i.bytes.set(bytes, i.decision);
        return work(i);
      });
    }

    // Whether each of the headers must be dropped before such a request is forwarded.
    drops(decision, headers) {
      pairs(headers);
      return this.#with(decision, i =>
        Array.from({ length: headers.length >> 1 }, (_, n) => {
          if (decision.allow && !i.interests(headers[2 * n])) return false;
          const name = i.latin1(headers[2 * n]);
          return i.c.keygate_policy_drops(i.policy, i.decision, ...struct_args(i, name), ...struct_args(i, i.latin1(headers[2 * n + 1]))) !== 0;
        }),
      );
    }

    // One sentence for the operator's log.
    reason(decision, language = 'en') {
      // The small module has no sentences.
      return this.#with(decision, i => !i.c.keygate_reason_text ? decision.reason : i.text(i.c.keygate_reason_text(i.view.getInt32(i.decision + at.keygate_decision.reason, true), LANGUAGES[language] ?? 0)));
    }

    // What to answer a denied request with.
    denial(decision) {
      return this.#with(decision, i => {
        const headers = [];
        const out = i.take(at.keygate_header.size);
        for (let n = 0; i.c.keygate_denial_header(i.policy, i.decision, n, out); n++)
          headers.push([i.str(out + at.keygate_header.name), i.str(out + at.keygate_header.value)]);
        return { status: 401, headers, body: i.text(i.c.keygate_denial_body(i.decision)) };
      });
    }

    explain(method, target, headers, language = 'en') {
      return this.#call(i => {
        const request = i.request(string(method, 'method'), string(target, 'target'), pairs(headers));
        return i.written((buffer, size) => i.c.keygate_explain(i.policy, request, LANGUAGES[language] ?? 0, buffer, size));
      });
    }

    findings(method, target, headers) {
      return this.#call(i => {
        const request = i.request(string(method, 'method'), string(target, 'target'), pairs(headers));
        return bits(i.c.keygate_findings(i.policy, request)).map(bit => i.text(i.c.keygate_finding_name(bit)));
      });
    }

    lints(language = 'en') {
      return this.#call(i =>
        bits(i.c.keygate_lints(i.policy)).map(bit => ({
          name: i.text(i.c.keygate_lint_name(bit)),
          text: i.text(i.c.keygate_lint_text(bit, LANGUAGES[language] ?? 0)),
        })),
      );
    }

    get mode() {
      return this.#call(i => i.text(i.c.keygate_mode_name(i.c.keygate_policy_effective_mode(i.policy))));
    }

    get keyCount() {
      return this.#call(i => i.c.keygate_policy_key_count(i.policy));
    }

    get identityHeader() {
      return this.#call(i => i.returned('keygate_policy_identity_header'));
    }

    // Everything is denied from now on.
    wipe() {
      this.#in.c.keygate_policy_wipe(this.#in.policy);
      this.#in.know();
    }
  }

  return { Policy, ConfigError };
}

const bits = set => Array.from({ length: 32 }, (_, n) => (1 << n) >>> 0).filter(bit => (set & bit) !== 0);

// A struct that is passed by value goes by a pointer to a copy.
function struct_args(i, words) {
  const place = i.take(at.keygate_str.size);
  i.put(place, ...words);
  return [place];
}

const string_args = (i, bytes) => struct_args(i, i.raw(bytes));

function refused(i, language) {
  const e = at.keygate_config_error;
  const number = field => i.view.getUint32(i.error + field, true);
  const index = number(e.index);
  // The small module has no sentences, and of a status the number.
  const place = {
    code: i.c.keygate_status_name ? i.text(i.c.keygate_status_name(number(e.status) | 0)) : String(number(e.status) | 0),
    field: i.text(i.c.keygate_field_name(number(e.field))),
    index: index === 0xffffffff ? null : index,
    line: number(e.line),
    column: number(e.column),
  };
  const sentence = i.c.keygate_config_error_text
    ? i.written((buffer, size) => i.c.keygate_config_error_text(i.error, LANGUAGES[language] ?? 0, buffer, size))
    : `line ${place.line}: ${place.field}: ${place.code}`;
  return new ConfigError(sentence, place);
}
