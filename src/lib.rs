//! The API-key gate that every proxy can embed.
//!
//! keygate decides whether an HTTP request may pass, from its method, its target and its header
//! fields, and tells the operator why when it may not. It allocates nothing, needs no `std`, does
//! no I/O, keeps no state, and holds no unsafe code outside its C interface.
//!
//! ```
//! use keygate::{AuthMode, Config, Policy};
//!
//! let policy = Policy::new(&Config::new(AuthMode::Strict).api_key("sk-example"))?;
//! let headers = [("Host", "localhost"), ("Authorization", "Bearer sk-example")];
//! let decision = policy.decide("GET", "/v1/models", &headers);
//! assert!(decision.is_allow());
//!
//! let wrong = [("Authorization", "Bearer sk-other"), ("x-api-key", "sk-example")];
//! let decision = policy.decide("GET", "/v1/models", &wrong);
//! assert_eq!(decision.reason().name(), "key_mismatch");
//! println!("{}", policy.explain("GET", "/v1/models", &wrong)); // for the operator, never the client
//! # Ok::<(), keygate::ConfigError>(())
//! ```
//!
//! # The rules
//!
//! The first rule that applies decides.
//!
//! | rule | when | verdict | reason |
//! |---|---|---|---|
//! | 1 | the method is `OPTIONS` (a CORS preflight) and [`Preflight`] lets it pass, in every mode | allow | `preflight` |
//! | 2 | the effective mode is `off` | allow | `auth_off` |
//! | 3 | the effective mode is `all_except_health`, the method is `GET` or `HEAD`, and the path is an exempt path, byte for byte | allow | `health` |
//! | 4 | no key is configured | deny | `no_key_configured` |
//! | 5 | no header of any source is present | deny | `credential_missing` |
//! | 6 | the deciding value is empty, or holds a byte outside SP, HTAB and 0x21 to 0x7E | deny | `credential_unusable` |
//! | 7 | the credential equals a configured key | allow | `key_matched` |
//! | 8 | otherwise | deny | `key_mismatch` |
//!
//! **Effective mode.** `off`, `strict` and `all_except_health` mean themselves. `auto` means
//! `all_except_health` where `allow_lan_access` is true and `off` where it is false.
//!
//! **Path.** What stands before the first `?` of the request target as received. Nothing is
//! normalised or percent-decoded, so hosts pass the bytes of the request line. A target that holds
//! `#` is no valid one (RFC 9112 section 3.2) and has no path: it is never exempt.
//!
//! **Sources** are the header names a credential is read from, in order of precedence; by
//! default `authorization` (Bearer), `x-api-key`, `x-goog-api-key`. Names compare without regard
//! to ASCII case and otherwise exactly.
//!
//! **The deciding header** is the first occurrence of the first source that is present at all,
//! whatever its value. A wrong, empty or garbled one is never rescued by another header, and a
//! later duplicate neither rescues nor spoils it. With [`MatchMode::Any`], where the first
//! occurrences of some sources hold a right key, it is the first of these in source order: a right
//! key in a later source is not shadowed, and nothing else is different.
//!
//! **The credential** is the deciding value without leading and trailing SP and HTAB. Where the
//! source strips Bearer and the value starts with exactly `Bearer ` (RFC 6750 section 2.1, this
//! case, one space) that prefix is removed once; where it has a scheme, that scheme in any case and
//! all spaces behind it are (RFC 9110 section 11.4). Without the prefix the whole value is the
//! credential.
//!
//! **Equality** takes a time that depends on the length of what the client sent and on the
//! number of configured keys; not on a byte of a key, a key's length, or which key matched.
//!
//! # Denials
//!
//! Every deny is answered with [`Denial`]: 401, the headers of [`Policy::denial_header`], among them
//! a `WWW-Authenticate` challenge (RFC 9110 section 11.6.1, RFC 6750 section 3), and a constant JSON
//! body in the shape that LLM SDKs parse.
//!
//! # Forwarding
//!
//! Drop every header and trailer for which [`Policy::drops`] is true before a request goes
//! upstream, and then add the [`identity_header`](Policy::identity_header), if there is one, with the
//! label of the key that matched. A request that is allowed without a key is one request and not a connection: forward
//! no `Connection: upgrade` and no extended CONNECT (RFC 8441) with it, since nothing is decided
//! about what follows a 101.
//!
//! A denied request stays denied: no error page, fallback or retry forwards it. It is answered at
//! once, without waiting for the rest of its body.
//!
//! # Reloading
//!
//! A [`Policy`] never changes. Make a new one from the new configuration and swap a pointer to
//! it; where making it fails, keep the old one and report the error.
//!
//! # Without `std`
//!
//! Nothing here needs it, or an allocator. Where a parser keeps no list of headers, push each as it
//! comes in:
//!
//! ```
//! #![no_std]
//! # extern crate std; // for the example's `main` alone
//! use keygate::{AuthMode, Config, ConfigError, Decision, Policy};
//!
//! fn gate(key: &[u8]) -> Result<Policy, ConfigError> {
//!     Policy::new(&Config::new(AuthMode::Strict).api_key(key))
//! }
//!
//! fn decide<'h>(
//!     gate: &Policy,
//!     method: &[u8],
//!     target: &[u8],
//!     mut next: impl FnMut() -> Option<(&'h [u8], &'h [u8])>,
//! ) -> Decision {
//!     let mut evaluation = gate.evaluate(method, target);
//!     while let Some((name, value)) = next() {
//!         if !evaluation.push(name, value) {
//!             break; // nothing that follows can change the verdict
//!         }
//!     }
//!     evaluation.finish()
//! }
//! # fn main() -> Result<(), ConfigError> {
//! # let mut headers = [(&b"x-api-key"[..], &b"sk-example"[..])].into_iter();
//! # assert!(decide(&gate(b"sk-example")?, b"GET", b"/", || headers.next()).is_allow());
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! None is on by default. `httparse`: [`Header`] for `httparse::Header`. `capi`: the C interface, for
//! building the library alone (see `include/keygate.h`).

#![no_std]
#![cfg_attr(not(feature = "capi"), forbid(unsafe_code))]
#![deny(unsafe_code)]

mod config;
mod credential;
mod decision;
mod evaluation;
mod explanation;
#[cfg(feature = "capi")]
#[allow(unsafe_code)]
pub mod ffi;
mod forwarding;
mod generate;
mod header;
mod limits;
mod lint;
mod mode;
mod policy;
mod text;

pub use config::{
    ByteClass, Config, ConfigError, ConfigErrorKind, ConfigField, Exempt, Key, KeyFile, Source,
};
pub use decision::{Decision, Denial, Reason, Verdict};
pub use evaluation::Evaluation;
pub use explanation::{Explanation, Finding, Findings, Section, Sink};
pub use generate::{GeneratedKey, generate_key};
pub use header::Header;
pub use limits::{
    MAX_EXEMPT, MAX_EXEMPT_LEN, MAX_KEY_LEN, MAX_KEYS, MAX_LABEL_LEN, MAX_ORIGIN_LEN,
    MAX_SCHEME_LEN, MAX_SOURCE_NAME_LEN, MAX_SOURCES,
};
pub use lint::{Lint, Lints};
pub use mode::{AuthMode, EffectiveMode, MatchMode, Preflight, Strip, UnknownAuthMode};
pub use policy::Policy;
pub use text::Language;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
