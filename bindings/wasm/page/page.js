'use strict';
// The page about 401. It reads nothing itself: what stands in the boxes goes to the module, which has the
// command line's readers, and what the module answers is shown as text.
const WORDS = {
  en: {
    title: 'Why do I get a 401?',
    lead: 'Paste the request that failed, say how the gate is set up, and read why.',
    request: 'The request', paste: 'Paste', build: 'Put together', pasteLabel: 'The request, as a command or as it was sent',
    pasteHint: "curl http://127.0.0.1:8045/v1/models -H 'Authorization: Bearer sk-…'\n\nAlso: wget, HTTPie, Invoke-WebRequest, fetch(…), “Copy as cURL” of a browser, a HAR file, a request head, the lines of curl -v",
    method: 'Method', target: 'Path and query', add: 'Add a header', name: 'Header name', value: 'Value', remove: 'Remove this header',
    gate: 'The gate', mode: 'auth_mode', lan: 'decides what auto means', keyHint: 'the gate’s own key; it stays in this page',
    show: 'Show', hide: 'Hide', json: 'The whole configuration as JSON instead',
    jsonHint: '{"auth_mode": "strict", "keys": [{"key": "sk-…", "label": "alice"}]}',
    findings: 'findings', notes: 'about what was pasted', lints: 'about the configuration', configError: 'The configuration cannot be used',
    requestError: 'This cannot be read', of: (n, all) => `Request ${n} of ${all}`, empty: 'Paste a request, or choose a row of the guide below.',
    examples: 'The guide to 401, row by row', header: name => `decided by the header ${name}`,
    private: 'Everything stays in this page: it makes no request, stores nothing, and shows no key. It also works from a file, offline.',
    same: 'The answers are those of the command “keygate explain”: the same code, as WebAssembly.',
    failed: 'The page has failed over this input. Please report what kind of command it was, without the key.',
    other: '中文', otherName: 'zh', light: 'Theme: light', dark: 'Theme: dark', auto: 'Theme: auto',
  },
  zh: {
    title: '为什么返回 401?',
    lead: '粘贴失败的请求,说明网关怎么配置,就能看到原因。',
    request: '请求', paste: '粘贴', build: '手动填写', pasteLabel: '请求:命令,或实际发出的内容',
    pasteHint: "curl http://127.0.0.1:8045/v1/models -H 'Authorization: Bearer sk-…'\n\n也可以是:wget、HTTPie、Invoke-WebRequest、fetch(…)、浏览器的“复制为 cURL”、HAR 文件、请求头部、curl -v 的输出",
    method: '方法', target: '路径和查询', add: '添加请求头', name: '请求头名称', value: '值', remove: '删除这个请求头',
    gate: '网关', mode: 'auth_mode', lan: '决定 auto 的含义', keyHint: '网关自己的 key,只留在本页面',
    show: '显示', hide: '隐藏', json: '改用完整的 JSON 配置',
    jsonHint: '{"auth_mode": "strict", "keys": [{"key": "sk-…", "label": "alice"}]}',
    findings: '发现', notes: '关于粘贴的内容', lints: '关于配置', configError: '配置无法使用',
    requestError: '无法读取', of: (n, all) => `第 ${n} 个请求,共 ${all} 个`, empty: '请粘贴请求,或点击下面指南中的一行。',
    examples: '401 指南,逐行', header: name => `由请求头 ${name} 决定`,
    private: '一切都留在本页面:不发任何请求,不保存任何内容,不显示任何 key。存成文件离线也能用。',
    same: '答案与命令 “keygate explain” 相同:同一份代码,编译成 WebAssembly。',
    failed: '本页面处理这个输入时出错了。请报告这是哪一类命令,不要附上 key。',
    other: 'English', otherName: 'en', light: '主题:浅色', dark: '主题:深色', auto: '主题:自动',
  },
};
const $ = id => document.getElementById(id);
const ROWS = JSON.parse($('rows-data').textContent);
let language = /^zh\b/i.test(navigator.language) ? 'zh' : 'en';
let theme = 'auto';
let building = false;
let chosen = -1;
let compiled;

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

const word = key => WORDS[language][key];

// What the module says. Each time it is a new one, so that nothing of a paste stays in its memory.
function answer(config, paste, chinese) {
  try {
    const module = new WebAssembly.Instance(compiled, {}).exports;
    const [first, second] = [config, paste].map(text => new TextEncoder().encode(text));
    const place = module.keygate_page_input(first.length + second.length);
    const input = new Uint8Array(module.memory.buffer, place);
    input.set(first);
    input.set(second, first.length);
    const length = module.keygate_page_answer(first.length, chinese);
    return JSON.parse(new TextDecoder().decode(new Uint8Array(module.memory.buffer, module.keygate_page_output(), length)));
  } catch {
    return undefined; // it has stopped where it was
  }
}

function config() {
  const whole = $('config').value;
  if ($('whole').open && whole.trim()) return whole;
  return JSON.stringify({
    auth_mode: document.querySelector('[name=mode]:checked').value,
    allow_lan_access: $('lan').checked,
    api_key: $('key').value,
  });
}

function pasted() {
  if (!building) return $('paste').value;
  const lines = [...document.querySelectorAll('.header')]
    .map(line => [...line.querySelectorAll('input')].map(input => input.value))
    .filter(([name]) => name)
    .map(([name, value]) => `${name}: ${value}\r\n`);
  return `${$('method').value} ${$('target').value} HTTP/1.1\r\nhost: 127.0.0.1:8045\r\n${lines.join('')}\r\n`;
}

function part(className, title, texts) {
  const made = element('div', undefined, `part ${className}`);
  made.append(element('h3', title), ...texts.map(text => element('p', text)));
  return made;
}

// A request. `english` has the same parts, whose labels are what they are called here.
function shown(request, english, number, all) {
  const made = element('article', undefined, `request ${request.verdict}`);
  if (all > 1) made.append(element('strong', word('of')(number, all)));
  const groups = [];
  request.text.forEach((line, i) => {
    const kind = english.text[i].label.replace(' ', '-');
    if (groups.at(-1)?.kind === kind) groups.at(-1).texts.push(line.text);
    else groups.push({ kind, label: line.label, texts: [line.text] });
  });
  for (const { kind, label, texts } of groups) {
    if (kind === 'verdict') {
      const verdict = element('div', texts.join(' '), 'verdict');
      if (request.source !== null) verdict.append(element('small', word('header')(request.source)));
      made.append(verdict);
    } else {
      made.append(part(kind, label, texts));
    }
  }
  if (request.findings.length) {
    const codes = part('', word('findings'), []);
    const list = element('ul', undefined, 'codes');
    list.append(...request.findings.map(code => {
      const item = element('li');
      item.append(element('code', code));
      return item;
    }));
    codes.append(list);
    made.append(codes);
  }
  return made;
}

function refresh() {
  const to = $('answer');
  const [text, paste] = [config(), pasted()];
  const found = answer(text, paste, language === 'zh');
  const english = language === 'en' ? found : answer(text, paste, false);
  const card = element('div', undefined, 'card request');
  $('simple').classList.toggle('off', $('whole').open && $('config').value.trim() !== '');
  $('lan-line').hidden = document.querySelector('[name=mode]:checked').value !== 'auto';
  to.replaceChildren(card);
  if (!found || !english) {
    card.classList.add('error');
    card.append(part('', word('failed'), []));
    return;
  }
  if (found.error) {
    card.classList.add('error');
    card.append(part('', word(`${found.error.of}Error`), [found.error.text]));
  } else if (!found.requests.length) {
    card.append(element('p', word('empty'), 'empty'));
  }
  const notes = found.requests[0]?.notes;
  if (notes) card.append(part('note', word('notes'), notes));
  found.requests.forEach((request, i) => card.append(shown(request, english.requests[i], i + 1, found.requests.length)));
  if (found.lints.length) card.append(part('lint', word('lints'), found.lints));
}

function select(build) {
  building = build;
  for (const [name, on] of [['paste', !build], ['build', build]]) {
    $(`tab-${name}`).setAttribute('aria-selected', on);
    $(`${name}-panel`).hidden = !on;
  }
}

function addHeader(name = '', value = '') {
  const line = element('div', undefined, 'line header');
  for (const [key, text, list] of [['name', name, true], ['value', value, false]]) {
    const input = element('input', undefined, 'mono');
    Object.assign(input, { value: text, autocomplete: 'off', spellcheck: false, translate: false });
    input.setAttribute('autocapitalize', 'off');
    input.dataset.p = key;
    input.dataset.a = key;
    line.append(input);
  }
  const remove = element('button', '×');
  remove.type = 'button';
  remove.dataset.a = 'remove';
  remove.addEventListener('click', () => { line.remove(); chosen = -1; say(); });
  line.append(remove);
  $('headers').append(line);
}

function choose(index) {
  const row = ROWS[index];
  chosen = index;
  select(false);
  $('paste').value = row.paste;
  $('config').value = row.config ?? '';
  $('whole').open = row.config !== undefined;
  if (row.config === undefined) {
    document.querySelector(`[name=mode][value=${row.mode}]`).checked = true;
    $('lan').checked = row.lan;
    $('key').value = row.key;
  }
}

function rows() {
  const groups = new Map();
  ROWS.forEach((row, index) => {
    const group = row.group[language] ?? row.group.en;
    groups.set(group, [...(groups.get(group) ?? []), index]);
  });
  $('rows').replaceChildren(...[...groups].map(([title, indices]) => {
    const made = element('div');
    const list = element('ul');
    list.append(...indices.map(index => {
      const item = element('li');
      const button = element('button');
      button.type = 'button';
      // Backquotes are code, as in the guide.
      (ROWS[index].title[language] ?? ROWS[index].title.en).split('`').forEach((text, i) => button.append(i % 2 ? element('code', text) : text));
      button.setAttribute('aria-current', index === chosen);
      button.addEventListener('click', () => {
        choose(index);
        say();
        const { top } = $('answer').getBoundingClientRect();
        if (top < 0 || top > innerHeight / 2) $('answer').scrollIntoView();
      });
      item.append(button);
      return item;
    }));
    made.append(element('h3', title), list);
    return made;
  }));
}

// Everything that is written in words.
function say() {
  document.documentElement.lang = language === 'zh' ? 'zh-Hans' : 'en';
  document.title = `keygate: ${word('title')}`;
  for (const made of document.querySelectorAll('[data-t]')) made.textContent = word(made.dataset.t);
  for (const made of document.querySelectorAll('[data-p]')) made.placeholder = word(made.dataset.p);
  for (const made of document.querySelectorAll('[data-a]')) made.setAttribute('aria-label', word(made.dataset.a));
  $('language').textContent = word('other');
  $('language').lang = word('otherName');
  $('theme').textContent = word(theme);
  $('show').textContent = word($('key').classList.contains('shown') ? 'hide' : 'show');
  rows();
  refresh();
}

async function begin() {
  const packed = Uint8Array.from(atob($('module').textContent.trim()), character => character.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('gzip'));
  compiled = await WebAssembly.compile(await new Response(stream).arrayBuffer());
  $('ask').addEventListener('submit', event => event.preventDefault());
  $('ask').addEventListener('input', () => { chosen = -1; rows(); refresh(); });
  $('whole').addEventListener('toggle', refresh);
  $('tab-paste').addEventListener('click', () => { select(false); refresh(); });
  $('tab-build').addEventListener('click', () => { select(true); refresh(); });
  $('add').addEventListener('click', () => { addHeader(); say(); });
  $('show').addEventListener('click', () => {
    $('show').setAttribute('aria-pressed', $('key').classList.toggle('shown'));
    say();
  });
  $('language').addEventListener('click', () => { language = word('otherName'); say(); });
  $('theme').addEventListener('click', () => {
    theme = { auto: 'light', light: 'dark', dark: 'auto' }[theme];
    if (theme === 'auto') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    say();
  });
  addHeader('Authorization', 'Bearer sk-example-1234');
  // Something to look at: the row that people need most.
  choose(Math.max(0, ROWS.findIndex(row => row.paste.includes('Bearersk-'))));
  select(false);
  say();
}
begin();
