//! How much a configuration can hold.

/// The most keys a policy holds.
pub const MAX_KEYS: usize = 8;
/// The most bytes a key has.
pub const MAX_KEY_LEN: usize = 256;
/// The most bytes a key's label has.
pub const MAX_LABEL_LEN: usize = 32;
/// The most sources a policy holds.
pub const MAX_SOURCES: usize = 8;
/// The most bytes the name of a source or of the identity header has.
pub const MAX_SOURCE_NAME_LEN: usize = 32;
/// The most bytes an auth-scheme has.
pub const MAX_SCHEME_LEN: usize = 16;
/// The most exempt paths a policy holds.
pub const MAX_EXEMPT: usize = 8;
/// The most bytes an exempt path has.
pub const MAX_EXEMPT_LEN: usize = 64;
/// The most bytes of what is sent as `Access-Control-Allow-Origin`.
pub const MAX_ORIGIN_LEN: usize = 128;
