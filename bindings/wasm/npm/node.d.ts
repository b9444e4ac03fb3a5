import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Decision, Key, Policy } from './core.js';

declare module 'node:http' {
  interface IncomingMessage {
    /** The gate's decision on a request that it let pass. */
    keygate?: Decision;
  }
}

export interface Options {
  keys?: readonly Key[];
  /** Gets each decision and each lint. Without it they are lines of JSON on standard error. */
  log?: (record: Record<string, unknown>) => void;
  /** Adds the codes of the explanation to each decision. */
  explain?: boolean;
}

export class Gate {
  /** Throws a ConfigError. */
  constructor(config: string | Uint8Array, options?: Options);
  /** Another configuration, from the next request on. Throws a ConfigError, and the one before stays. */
  reload(config: string | Uint8Array, options?: { keys?: readonly Key[] }): void;
  readonly policy: Policy;
  /** For Express and its like. */
  middleware(): (req: IncomingMessage, res: ServerResponse, next: () => void) => void;
  /** Around a listener of node:http. */
  listener(listener: RequestListener): RequestListener;
  /** Whether the request may go on; otherwise it is answered. */
  allow(req: IncomingMessage, res: ServerResponse): boolean;
  /** Around a listener of 'upgrade': lets WebSockets pass, with a key or in mode off. */
  upgrade(listener: (req: IncomingMessage, socket: Duplex, head: Buffer) => void): (req: IncomingMessage, socket: Duplex, head: Buffer) => void;
  /** For createServer: a request whose upgrade the gate drops is one without. */
  message(): typeof IncomingMessage;
}

/** Reads what is left of a request that nobody reads; closes the connection after `time` ms or `bytes`. */
export function drain(req: IncomingMessage, limits?: { time?: number; bytes?: number }): void;
