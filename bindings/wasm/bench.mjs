// What a request costs in Node, beside a comparison by hand: the best of many rounds.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const installed = createRequire(new URL('../../target/wasm/example/', import.meta.url));
const { Policy } = await import(pathToFileURL(installed.resolve('keygate')).href);
const KEY = 'sk-5f0c4b8e21d97a36';
const policy = Policy.parse(JSON.stringify({ auth_mode: 'strict', api_key: KEY }));
// As an SDK sends them.
const headers = (key) => [
  'Host', 'h', 'Accept', 'application/json', 'Content-Type', 'application/json', 'User-Agent', 'OpenAI/JS 6.49.0', 'X-Stainless-Lang', 'js',
  'X-Stainless-Package-Version', '6.49.0', 'X-Stainless-OS', 'Linux', 'X-Stainless-Arch', 'x64', 'X-Stainless-Runtime', 'node',
  'X-Stainless-Retry-Count', '0', 'Authorization', `Bearer ${key}`, 'Content-Length', '200',
];
const [right, wrong] = [headers(KEY), headers('sk-90c7e55ad3b14b0f')];
const byHand = list => {
  for (let i = 0; i < list.length; i += 2) if (list[i].toLowerCase() === 'authorization') return list[i + 1] === `Bearer ${KEY}`;
  return false;
};
const subjects = {
  'one header compared by `===`': [() => byHand(right), () => byHand(wrong)],
  '`policy.decide`': [() => policy.decide('POST', '/v1/chat', right), () => policy.decide('POST', '/v1/chat', wrong)],
  '`policy.decide`, and `drops` or `denial`': [
    () => policy.drops(policy.decide('POST', '/v1/chat', right), right),
    () => policy.denial(policy.decide('POST', '/v1/chat', wrong)),
  ],
};

function best(work) {
  let found = Infinity;
  for (let round = 0; round < 200; round++) {
    const begin = process.hrtime.bigint();
    for (let i = 0; i < 500; i++) work();
    found = Math.min(found, Number(process.hrtime.bigint() - begin) / 500);
  }
  return (found / 1000).toFixed(2);
}

console.log('| µs a request | allowed | denied |\n|---|---:|---:|');
for (const [name, works] of Object.entries(subjects)) console.log(`| ${name} | ${works.map(best).join(' | ')} |`);
