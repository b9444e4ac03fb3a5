import type { Decision, Policy } from './core.js';

export interface Options {
  /** The target as it was received. Without it, no path is exempt. */
  target?: (request: Request) => string;
  log?: (record: Record<string, unknown>) => void;
  explain?: boolean;
}

/** A handler that asks the gate first. The handler behind it gets the request without credentials. */
export function guard<Rest extends unknown[]>(
  policy: Policy | (() => Policy),
  handler: (request: Request, ...rest: [...Rest, Decision]) => Response | Promise<Response>,
  options?: Options,
): (request: Request, ...rest: Rest) => Promise<Response>;

export { library } from './core.js';
