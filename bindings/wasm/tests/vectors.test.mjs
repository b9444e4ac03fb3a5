// Every vector, and the modules' sizes.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { library } from '../npm/core.js';

const ROOT = new URL('../../../', import.meta.url);
const built = name => readFileSync(new URL(`target/wasm/${name}`, ROOT));
const module = name => new WebAssembly.Module(built(name));
const { Policy, ConfigError } = library(module('keygate.wasm'));
const folder = new URL('tests/vectors/', ROOT);
const lines = readdirSync(folder)
  .filter(file => file.endsWith('.jsonl') && file !== 'input_errors.jsonl')
  .flatMap(file => readFileSync(new URL(file, folder), 'ascii').trim().split('\n'));

test('every vector', () => {
  assert.ok(lines.length > 1400, `${lines.length} vectors`);
  for (const line of lines) {
    const { name, input, output } = JSON.parse(line);
    // As the file has it: some have a field twice, which JSON.parse does not show.
    const json = line.slice(line.indexOf('"config":') + 9, line.lastIndexOf(',"method":', line.lastIndexOf('"output":')));
    if (output.error) {
      assert.throws(() => Policy.parse(json), ConfigError, name);
      continue;
    }
    const policy = Policy.parse(json);
    const headers = input.headers.flat();
    const decision = policy.decide(input.method, input.target, headers);
    const found = {
      verdict: decision.allow ? 'allow' : 'deny',
      reason: decision.reason,
      effective_mode: decision.mode,
      source: decision.source,
      header_index: decision.header,
      key_index: decision.key,
      findings: policy.findings(input.method, input.target, headers),
    };
    if (output.lint) found.lint = policy.lints().map(lint => lint.name);
    if ('drop' in output)
      found.drop = decision.allow ? policy.drops(decision, headers).flatMap((drop, i) => (drop ? [i] : [])) : null;
    assert.deepEqual(found, output, name);
  }
  console.log(`${lines.length} vectors`);
});

// As they travel: a server compresses them. Limits, so that growing is noticed.
test('sizes', () => {
  for (const [name, most] of [['keygate-gate.wasm', 20], ['keygate.wasm', 60]]) {
    const bytes = built(name);
    assert.deepEqual(WebAssembly.Module.imports(new WebAssembly.Module(bytes)), [], name);
    const size = gzipSync(bytes, { level: 9 }).length;
    console.log(`${name}: ${bytes.length} bytes, ${size} compressed`);
    assert.ok(size <= most * 1024, `${name}: ${size} bytes compressed, more than ${most} KiB`);
  }
});
