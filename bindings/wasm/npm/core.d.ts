/** Names and values in turn, in the order received, as in `rawHeaders`. A character stands for a byte. */
export type RawHeaders = readonly string[];
export type Language = 'en' | 'zh';
export type Reason =
  | 'auth_off' | 'preflight' | 'health' | 'key_matched'
  | 'no_key_configured' | 'credential_missing' | 'credential_unusable' | 'key_mismatch' | 'invalid_call';

/** What was decided, and why. No byte of a key or of a credential is in it. */
export interface Decision {
  readonly allow: boolean;
  readonly reason: Reason;
  /** The mode in force. */
  readonly mode: 'off' | 'strict' | 'all_except_health';
  /** The name of the header that decided, in lower case. */
  readonly source: string | null;
  /** Which of the headers that was, from 0. */
  readonly header: number | null;
  /** Which key matched, from 0. */
  readonly key: number | null;
  /** The label of that key, or ''. */
  readonly label: string;
  /** Whether "Bearer ", or the source's scheme, stood before the credential. */
  readonly stripped: boolean;
}

export interface Key {
  key: string;
  label?: string;
}

/** A configuration or a key file that is refused. The message says what is wrong, and no byte of a key. */
export class ConfigError extends Error {
  name: 'ConfigError';
  /** "key_too_long", for example: a status in keygate.h. Of keygate-gate.wasm its number. */
  code: string;
  /** "keys.label", for example, or ''. */
  field: string;
  /** The entry of a list, from 0. */
  index: number | null;
  /** From 1, or 0. */
  line: number;
  column: number;
}

export interface Denial {
  status: 401;
  headers: [name: string, value: string][];
  body: string;
}

/** A configuration that is in force. It shows no key in any form. */
export class Policy {
  private constructor();
  /** `keys` from elsewhere: the configuration then has none. Throws a ConfigError. */
  static parse(json: string | Uint8Array, options?: { keys?: readonly Key[]; language?: Language }): Policy;
  /** The keys of a key file. Throws a ConfigError. */
  static keyFile(text: string | Uint8Array, options?: { language?: Language }): Required<Key>[];
  /** `target` is the one that was received, neither decoded nor rewritten. */
  decide(method: string, target: string, headers: RawHeaders): Decision;
  /** Whether each of the headers must be dropped before a request that was decided so goes on. */
  drops(decision: Decision, headers: RawHeaders): boolean[];
  /** What a denied request is answered with; to HEAD without the body. */
  denial(decision: Decision): Denial;
  /** Why, for the operator and never for the client. */
  explain(method: string, target: string, headers: RawHeaders, language?: Language): string;
  /** The same as codes. */
  findings(method: string, target: string, headers: RawHeaders): string[];
  /** One sentence for the operator's log. */
  reason(decision: Decision, language?: Language): string;
  /** What is probably a mistake in the configuration. */
  lints(language?: Language): { name: string; text: string }[];
  readonly mode: Decision['mode'];
  readonly keyCount: number;
  /** The header that tells what is behind the gate whose key it was, or ''. */
  readonly identityHeader: string;
  /** Forgets the keys; everything is denied from now on. */
  wipe(): void;
}

/** For a browser or a worker: the classes, of a module compiled from `keygate/keygate.wasm`. */
export function library(module: WebAssembly.Module): { Policy: typeof Policy; ConfigError: typeof ConfigError };
