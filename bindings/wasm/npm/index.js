// For Node: the package's own module, read when this is imported.
import { readFileSync } from 'node:fs';
import { library } from './core.js';

const module = new WebAssembly.Module(readFileSync(new URL('./keygate.wasm', import.meta.url)));
export const { Policy, ConfigError } = library(module);
export { library };
