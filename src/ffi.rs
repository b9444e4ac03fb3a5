//! The C interface: pointers are checked here and turned into the core's types, and nothing is
//! decided. The comments on the items are the C manual; `make header` turns them into
//! `include/keygate.h`.

#![allow(non_camel_case_types)] // the names are C's
#![allow(clippy::missing_safety_doc)] // stated once, at the top of the header
#![allow(clippy::doc_markdown, clippy::doc_link_with_quotes)] // the comments are C's
#![allow(clippy::not_unsafe_ptr_arg_deref)]
#![allow(clippy::unreadable_literal)] // a bit in C is written without separators

mod memory;

use core::ffi::{CStr, c_char};
use core::fmt;
use core::mem::{align_of, size_of};
use core::ptr;
use core::slice;

use heapless::Vec;
use zeroize::Zeroize;

use self::memory::{
    Buffer, Checked, LEAST, Versioned, array, check, overlap, read, read_other, write_known,
};
use crate::config::{
    ByteClass, Config, ConfigError, ConfigErrorKind, ConfigField, Exempt, Form, Key, KeyFile,
    Rules, Source,
};
use crate::decision::{Decision, Denial, Reason, Verdict};
use crate::evaluation::Evaluation;
use crate::explanation::{Explanation, Finding};
use crate::forwarding::denial_header;
use crate::header::{Field, Header};
use crate::limits::{MAX_EXEMPT, MAX_KEYS, MAX_SOURCES};
use crate::lint::Lint;
use crate::mode::{AuthMode, EffectiveMode, MatchMode, Preflight, Strip};
use crate::policy::Policy;
use crate::text::{Language, Text, number, text};

/// The number of this interface. It changes when a program compiled against an older header would
/// no longer work.
pub const KEYGATE_ABI_VERSION: u32 = 2;

/// The library's result of setting something up: KEYGATE_OK, or a negative KEYGATE_ERR_ number.
pub type keygate_status = i32;
/// How requests are guarded: a KEYGATE_MODE_ number.
pub type keygate_mode = i32;
/// KEYGATE_ALLOW or KEYGATE_DENY, and never anything else.
pub type keygate_verdict = i32;
/// Which rule decided: a KEYGATE_REASON_ number.
pub type keygate_reason = i32;
/// What texts for the operator are written in: a KEYGATE_LANGUAGE_ number. Any other is English.
pub type keygate_language = i32;

/// English.
pub const KEYGATE_LANGUAGE_EN: i32 = 0;
/// Simplified Chinese.
pub const KEYGATE_LANGUAGE_ZH: i32 = 1;

/// Done.
pub const KEYGATE_OK: i32 = 0;
/// A pointer that must not be NULL is NULL.
pub const KEYGATE_ERR_NULL: i32 = -1;
/// A pointer is not aligned for what it points to.
pub const KEYGATE_ERR_ALIGNMENT: i32 = -2;
/// A size is too small, or a struct is longer than this library knows and its unknown rest is not
/// zero.
pub const KEYGATE_ERR_SIZE: i32 = -3;
/// A length is greater than half the address space, or runs past the end of it.
pub const KEYGATE_ERR_LENGTH: i32 = -4;
/// The mode is none of the KEYGATE_MODE_ numbers, or its name is not known.
pub const KEYGATE_ERR_MODE: i32 = -5;
/// A flag is not known, or contradicts the rest.
pub const KEYGATE_ERR_FLAGS: i32 = -6;
/// An output overlaps the policy or an input.
pub const KEYGATE_ERR_OVERLAP: i32 = -7;
/// The object was never begun, or is zeroed.
pub const KEYGATE_ERR_STATE: i32 = -8;
/// api_key and keys are both given.
pub const KEYGATE_ERR_API_KEY_AND_KEYS: i32 = -16;
/// More than 8 keys.
pub const KEYGATE_ERR_TOO_MANY_KEYS: i32 = -17;
/// A key in keys is empty.
pub const KEYGATE_ERR_KEY_EMPTY: i32 = -18;
/// A key is longer than 256 bytes.
pub const KEYGATE_ERR_KEY_TOO_LONG: i32 = -19;
/// A key holds a byte that no header value can carry.
pub const KEYGATE_ERR_KEY_BYTE: i32 = -20;
/// A key starts or ends with a space or a tab.
pub const KEYGATE_ERR_KEY_EDGE: i32 = -21;
/// A label is longer than 32 bytes.
pub const KEYGATE_ERR_LABEL_TOO_LONG: i32 = -22;
/// More than 8 sources.
pub const KEYGATE_ERR_TOO_MANY_SOURCES: i32 = -23;
/// A source's name is longer than 32 bytes.
pub const KEYGATE_ERR_SOURCE_TOO_LONG: i32 = -24;
/// A source's name is empty or not an HTTP token.
pub const KEYGATE_ERR_SOURCE_NOT_TOKEN: i32 = -25;
/// A source's name is listed twice.
pub const KEYGATE_ERR_SOURCE_TWICE: i32 = -26;
/// More than 8 exempt paths.
pub const KEYGATE_ERR_TOO_MANY_EXEMPT: i32 = -27;
/// An exempt path is longer than 64 bytes.
pub const KEYGATE_ERR_EXEMPT_TOO_LONG: i32 = -28;
/// An exempt path does not start with '/'.
pub const KEYGATE_ERR_EXEMPT_NO_SLASH: i32 = -29;
/// An exempt path holds '?' or '#'.
pub const KEYGATE_ERR_EXEMPT_NOT_PATH: i32 = -30;
/// A key is a variable that was not expanded: $NAME, ${...}, {{...}}, $env://... or %NAME%.
pub const KEYGATE_ERR_KEY_VARIABLE: i32 = -31;
/// A label holds a byte outside 0x21 to 0x7E.
pub const KEYGATE_ERR_LABEL_BYTE: i32 = -32;
/// An exempt path holds a byte outside 0x21 to 0x7E.
pub const KEYGATE_ERR_EXEMPT_BYTE: i32 = -33;
/// JSON: an unknown field.
pub const KEYGATE_ERR_FIELD_UNKNOWN: i32 = -35;
/// JSON: a field whose name is almost one that is known.
pub const KEYGATE_ERR_FIELD_MISSPELT: i32 = -36;
/// JSON: a field that is given twice.
pub const KEYGATE_ERR_FIELD_TWICE: i32 = -37;
/// JSON: a field that must be there and is missing.
pub const KEYGATE_ERR_FIELD_MISSING: i32 = -38;
/// JSON: a value of the wrong type.
pub const KEYGATE_ERR_FIELD_TYPE: i32 = -39;
/// JSON: a field beside "proxy" that belongs into it.
pub const KEYGATE_ERR_BESIDE_PROXY: i32 = -40;
/// JSON: a string with a character beyond U+00FF.
pub const KEYGATE_ERR_CHARACTER: i32 = -41;
/// This is not JSON.
pub const KEYGATE_ERR_JSON: i32 = -42;
/// JSON that is nested more than 64 levels deep.
pub const KEYGATE_ERR_TOO_DEEP: i32 = -43;
/// JSON with something behind the object.
pub const KEYGATE_ERR_TEXT_AFTER: i32 = -44;
/// This is not UTF-8.
pub const KEYGATE_ERR_ENCODING: i32 = -45;
/// Keys are in the text and given beside it.
pub const KEYGATE_ERR_KEYS_ELSEWHERE: i32 = -46;
/// A key file: a label that is empty.
pub const KEYGATE_ERR_LABEL_EMPTY: i32 = -47;
/// A source or an identity header that belongs to the message itself, "host" or "upgrade" for example.
pub const KEYGATE_ERR_HEADER_RESERVED: i32 = -48;
/// An identity header that the gate reads or drops.
pub const KEYGATE_ERR_IDENTITY_TAKEN: i32 = -49;
/// match is none of the KEYGATE_MATCH_ numbers, or its name is not known.
pub const KEYGATE_ERR_MATCH: i32 = -50;
/// preflight is none of the KEYGATE_PREFLIGHT_ numbers, or its name is not known.
pub const KEYGATE_ERR_PREFLIGHT: i32 = -51;
/// strip is none of the KEYGATE_STRIP_ numbers, or its name is not known.
pub const KEYGATE_ERR_STRIP: i32 = -52;
/// A source with KEYGATE_SOURCE_BEARER and a scheme.
pub const KEYGATE_ERR_BEARER_AND_SCHEME: i32 = -53;
/// A scheme is longer than 16 bytes.
pub const KEYGATE_ERR_SCHEME_TOO_LONG: i32 = -54;
/// A scheme is not an HTTP token.
pub const KEYGATE_ERR_SCHEME_NOT_TOKEN: i32 = -55;
/// allow_origin is longer than 128 bytes, or in JSON empty.
pub const KEYGATE_ERR_ORIGIN_LENGTH: i32 = -56;
/// allow_origin holds a byte outside 0x21 to 0x7E.
pub const KEYGATE_ERR_ORIGIN_BYTE: i32 = -57;

/// keygate_config_error.field: no field, or the whole of the configuration.
pub const KEYGATE_FIELD_CONFIG: i32 = 0;
/// auth_mode
pub const KEYGATE_FIELD_AUTH_MODE: i32 = 1;
/// allow_lan_access
pub const KEYGATE_FIELD_ALLOW_LAN_ACCESS: i32 = 2;
/// api_key
pub const KEYGATE_FIELD_API_KEY: i32 = 3;
/// keys, or an entry of it
pub const KEYGATE_FIELD_KEYS: i32 = 4;
/// The key in an entry of keys
pub const KEYGATE_FIELD_KEY: i32 = 5;
/// The label in an entry of keys
pub const KEYGATE_FIELD_LABEL: i32 = 6;
/// sources, or an entry of it
pub const KEYGATE_FIELD_SOURCES: i32 = 7;
/// The name in an entry of sources
pub const KEYGATE_FIELD_SOURCE_NAME: i32 = 8;
/// bearer in an entry of sources
pub const KEYGATE_FIELD_BEARER: i32 = 9;
/// exempt, or an entry of it
pub const KEYGATE_FIELD_EXEMPT: i32 = 10;
/// proxy
pub const KEYGATE_FIELD_PROXY: i32 = 11;
/// match
pub const KEYGATE_FIELD_MATCH: i32 = 12;
/// preflight
pub const KEYGATE_FIELD_PREFLIGHT: i32 = 13;
/// strip
pub const KEYGATE_FIELD_STRIP: i32 = 14;
/// identity_header
pub const KEYGATE_FIELD_IDENTITY_HEADER: i32 = 15;
/// allow_origin
pub const KEYGATE_FIELD_ALLOW_ORIGIN: i32 = 16;
/// scheme in an entry of sources
pub const KEYGATE_FIELD_SCHEME: i32 = 17;

/// keygate_config_error.byte_class: the error is not about a byte.
pub const KEYGATE_BYTE_NONE: i32 = 0;
/// Line feed.
pub const KEYGATE_BYTE_LINE_FEED: i32 = 1;
/// Carriage return.
pub const KEYGATE_BYTE_CARRIAGE_RETURN: i32 = 2;
/// NUL.
pub const KEYGATE_BYTE_NUL: i32 = 3;
/// No-break space (U+00A0).
pub const KEYGATE_BYTE_NO_BREAK_SPACE: i32 = 4;
/// Zero-width space (U+200B).
pub const KEYGATE_BYTE_ZERO_WIDTH_SPACE: i32 = 5;
/// Byte order mark (U+FEFF).
pub const KEYGATE_BYTE_BYTE_ORDER_MARK: i32 = 6;
/// Another byte of 0x80 to 0xFF.
pub const KEYGATE_BYTE_NOT_ASCII: i32 = 7;
/// Another byte below 0x20, or 0x7F.
pub const KEYGATE_BYTE_CONTROL: i32 = 8;

/// "strict": every request but OPTIONS needs a key, the exempt paths included. A zeroed mode is
/// this one.
pub const KEYGATE_MODE_STRICT: i32 = 0;
/// "off": no request needs a key.
pub const KEYGATE_MODE_OFF: i32 = 1;
/// "all_except_health": every request needs a key but OPTIONS, and GET or HEAD of an exempt path.
pub const KEYGATE_MODE_ALL_EXCEPT_HEALTH: i32 = 2;
/// "auto": all_except_health with KEYGATE_ALLOW_LAN_ACCESS, off without. Never an effective mode.
pub const KEYGATE_MODE_AUTO: i32 = 3;

/// "first": the first source that is present decides.
pub const KEYGATE_MATCH_FIRST: i32 = 0;
/// "any": a right key in any source is enough; where none has one, the first that is present decides.
pub const KEYGATE_MATCH_ANY: i32 = 1;

/// "options": every OPTIONS request passes without a key.
pub const KEYGATE_PREFLIGHT_OPTIONS: i32 = 0;
/// "cors": an OPTIONS request with both Origin and Access-Control-Request-Method does.
pub const KEYGATE_PREFLIGHT_CORS: i32 = 1;
/// "none": none does.
pub const KEYGATE_PREFLIGHT_NONE: i32 = 2;

/// "sources": every header with a source's name is dropped before a request is forwarded.
pub const KEYGATE_STRIP_SOURCES: i32 = 0;
/// "matched": those of them are whose value holds one of the gate's keys.
pub const KEYGATE_STRIP_MATCHED: i32 = 1;
/// "off": none of them is.
pub const KEYGATE_STRIP_OFF: i32 = 2;

/// Answer the request with 401.
pub const KEYGATE_DENY: i32 = 0;
/// Let the request pass.
pub const KEYGATE_ALLOW: i32 = 1;

/// Allow: the effective mode is off.
pub const KEYGATE_REASON_AUTH_OFF: i32 = 1;
/// Allow: the method is OPTIONS (a CORS preflight). The request has proved nothing.
pub const KEYGATE_REASON_PREFLIGHT: i32 = 2;
/// Allow: GET or HEAD of an exempt path in all_except_health.
pub const KEYGATE_REASON_HEALTH: i32 = 3;
/// Allow: the credential equals a key.
pub const KEYGATE_REASON_KEY_MATCHED: i32 = 4;
/// Deny: the policy has no key.
pub const KEYGATE_REASON_NO_KEY_CONFIGURED: i32 = 16;
/// Deny: no header of any source is present.
pub const KEYGATE_REASON_CREDENTIAL_MISSING: i32 = 17;
/// Deny: the deciding value is empty, or holds a byte outside SP, HTAB and 0x21 to 0x7E.
pub const KEYGATE_REASON_CREDENTIAL_UNUSABLE: i32 = 18;
/// Deny: the credential equals no key.
pub const KEYGATE_REASON_KEY_MISMATCH: i32 = 19;
/// Deny: an argument of the call was bad, the policy zeroed, wiped or never made, or the
/// evaluation never begun or already finished.
pub const KEYGATE_REASON_INVALID_CALL: i32 = 32;

/// keygate_config.flags: what auto resolves to; other modes ignore it.
pub const KEYGATE_ALLOW_LAN_ACCESS: u32 = 1;
/// keygate_config.flags: no header is read. source_count must then be 0.
pub const KEYGATE_NO_SOURCES: u32 = 2;
/// keygate_config.flags: no path is exempt. exempt_count must then be 0.
pub const KEYGATE_NO_EXEMPT: u32 = 4;
/// keygate_source.flags: a leading "Bearer " (this case, one space) is not part of the credential.
pub const KEYGATE_SOURCE_BEARER: u32 = 1;
/// keygate_decision.flags: "Bearer ", or the source's scheme, was stripped from the deciding value.
pub const KEYGATE_BEARER_STRIPPED: u32 = 1;

/// Findings, one bit each; keygate_findings says what each one means. auto was resolved.
pub const KEYGATE_FINDING_AUTO_RESOLVED: u32 = 0x1;
/// The policy has no key.
pub const KEYGATE_FINDING_NO_KEY_CONFIGURED: u32 = 0x2;
/// A header that was not consulted holds a right key.
pub const KEYGATE_FINDING_SHADOWED_MATCH: u32 = 0x4;
/// A header that was not consulted holds something else.
pub const KEYGATE_FINDING_SHADOWED_PRESENT: u32 = 0x8;
/// The deciding name occurs again.
pub const KEYGATE_FINDING_DUPLICATE_IGNORED: u32 = 0x10;
/// Bearer without a space.
pub const KEYGATE_FINDING_BEARER_NO_SPACE: u32 = 0x20;
/// Bearer in another case.
pub const KEYGATE_FINDING_BEARER_CASE: u32 = 0x40;
/// More than one space, or a tab, after Bearer.
pub const KEYGATE_FINDING_BEARER_EXTRA_SPACE: u32 = 0x80;
/// Bearer twice.
pub const KEYGATE_FINDING_BEARER_DOUBLED: u32 = 0x100;
/// Bearer in a header that is not stripped of it.
pub const KEYGATE_FINDING_BEARER_IN_KEY_HEADER: u32 = 0x200;
/// Another scheme than Bearer.
pub const KEYGATE_FINDING_OTHER_SCHEME: u32 = 0x400;
/// The credential stands in quotes.
pub const KEYGATE_FINDING_QUOTED: u32 = 0x800;
/// The credential is a placeholder.
pub const KEYGATE_FINDING_PLACEHOLDER: u32 = 0x1000;
/// A key-like header that is not a source.
pub const KEYGATE_FINDING_UNREAD_HEADER: u32 = 0x2000;
/// A key in the query.
pub const KEYGATE_FINDING_KEY_IN_QUERY: u32 = 0x4000;
/// The credential is part of a key, or a key part of it.
pub const KEYGATE_FINDING_TRUNCATED: u32 = 0x8000;
/// An exempt path in strict mode.
pub const KEYGATE_FINDING_HEALTH_IN_STRICT: u32 = 0x10000;
/// Almost an exempt path.
pub const KEYGATE_FINDING_HEALTH_NEAR_MISS: u32 = 0x20000;
/// OPTIONS in another case.
pub const KEYGATE_FINDING_OPTIONS_CASE: u32 = 0x40000;
/// The deciding value holds a right key and something around it.
pub const KEYGATE_FINDING_KEY_SURROUNDED: u32 = 0x80000;
/// A right key stands where none is read.
pub const KEYGATE_FINDING_KEY_ELSEWHERE: u32 = 0x100000;
/// The credential looks like one for another service.
pub const KEYGATE_FINDING_FOREIGN_CREDENTIAL: u32 = 0x200000;
/// A path that health checks use and that is not exempt.
pub const KEYGATE_FINDING_PROBE_PATH: u32 = 0x400000;
/// An OPTIONS request that does not pass as a preflight.
pub const KEYGATE_FINDING_PREFLIGHT_GUARDED: u32 = 0x800000;
/// A configured key looks wrong.
pub const KEYGATE_FINDING_GATE_KEY_SUSPECT: u32 = 0x1000000;

/// Lints, one bit each; keygate_lints says what each one means. A key is an example, or a variable.
pub const KEYGATE_LINT_KEY_PLACEHOLDER: u32 = 0x1;
/// A key is wrapped in quotes.
pub const KEYGATE_LINT_KEY_QUOTED: u32 = 0x2;
/// A key begins with Bearer and a space.
pub const KEYGATE_LINT_KEY_BEARER: u32 = 0x4;
/// A key looks like NAME=value or a JSON object.
pub const KEYGATE_LINT_KEY_ASSIGNMENT: u32 = 0x8;
/// A key has fewer than 16 bytes.
pub const KEYGATE_LINT_KEY_SHORT: u32 = 0x10;
/// Two keys are equal.
pub const KEYGATE_LINT_KEY_REPEATED: u32 = 0x20;
/// There is no key, and the effective mode is not off.
pub const KEYGATE_LINT_NO_KEY: u32 = 0x40;
/// The effective mode is off, and there is a key.
pub const KEYGATE_LINT_OPEN: u32 = 0x80;
/// auto resolves to off.
pub const KEYGATE_LINT_AUTO_OPEN: u32 = 0x100;
/// A source's name holds '_' or '.'.
pub const KEYGATE_LINT_SOURCE_UNDERSCORE: u32 = 0x200;
/// An exempt path holds '*', or ends in '/' and is longer.
pub const KEYGATE_LINT_EXEMPT_PATTERN: u32 = 0x400;

/// Does not compile where the core has other numbers, or more of them.
macro_rules! agree {
    ($core:expr, $number:ident, $header:expr) => {
        const _: () = {
            assert!($header.len() == $core.len());
            let mut row = $core.len();
            while let Some(previous) = row.checked_sub(1) {
                row = previous;
                assert!($header[row] == $core[row].$number());
            }
        };
    };
}
agree!(
    ConfigErrorKind::ALL,
    code,
    [
        KEYGATE_ERR_MODE,
        KEYGATE_ERR_API_KEY_AND_KEYS,
        KEYGATE_ERR_TOO_MANY_KEYS,
        KEYGATE_ERR_KEY_EMPTY,
        KEYGATE_ERR_KEY_TOO_LONG,
        KEYGATE_ERR_KEY_BYTE,
        KEYGATE_ERR_KEY_EDGE,
        KEYGATE_ERR_LABEL_TOO_LONG,
        KEYGATE_ERR_TOO_MANY_SOURCES,
        KEYGATE_ERR_SOURCE_TOO_LONG,
        KEYGATE_ERR_SOURCE_NOT_TOKEN,
        KEYGATE_ERR_SOURCE_TWICE,
        KEYGATE_ERR_TOO_MANY_EXEMPT,
        KEYGATE_ERR_EXEMPT_TOO_LONG,
        KEYGATE_ERR_EXEMPT_NO_SLASH,
        KEYGATE_ERR_EXEMPT_NOT_PATH,
        KEYGATE_ERR_KEY_VARIABLE,
        KEYGATE_ERR_LABEL_BYTE,
        KEYGATE_ERR_EXEMPT_BYTE,
        KEYGATE_ERR_FIELD_UNKNOWN,
        KEYGATE_ERR_FIELD_MISSPELT,
        KEYGATE_ERR_FIELD_TWICE,
        KEYGATE_ERR_FIELD_MISSING,
        KEYGATE_ERR_FIELD_TYPE,
        KEYGATE_ERR_BESIDE_PROXY,
        KEYGATE_ERR_CHARACTER,
        KEYGATE_ERR_JSON,
        KEYGATE_ERR_TOO_DEEP,
        KEYGATE_ERR_TEXT_AFTER,
        KEYGATE_ERR_ENCODING,
        KEYGATE_ERR_KEYS_ELSEWHERE,
        KEYGATE_ERR_LABEL_EMPTY,
        KEYGATE_ERR_HEADER_RESERVED,
        KEYGATE_ERR_IDENTITY_TAKEN,
        KEYGATE_ERR_MATCH,
        KEYGATE_ERR_PREFLIGHT,
        KEYGATE_ERR_STRIP,
        KEYGATE_ERR_BEARER_AND_SCHEME,
        KEYGATE_ERR_SCHEME_TOO_LONG,
        KEYGATE_ERR_SCHEME_NOT_TOKEN,
        KEYGATE_ERR_ORIGIN_LENGTH,
        KEYGATE_ERR_ORIGIN_BYTE,
    ]
);
agree!(
    ConfigField::ALL,
    code,
    [
        KEYGATE_FIELD_CONFIG,
        KEYGATE_FIELD_AUTH_MODE,
        KEYGATE_FIELD_ALLOW_LAN_ACCESS,
        KEYGATE_FIELD_API_KEY,
        KEYGATE_FIELD_KEYS,
        KEYGATE_FIELD_KEY,
        KEYGATE_FIELD_LABEL,
        KEYGATE_FIELD_SOURCES,
        KEYGATE_FIELD_SOURCE_NAME,
        KEYGATE_FIELD_BEARER,
        KEYGATE_FIELD_EXEMPT,
        KEYGATE_FIELD_PROXY,
        KEYGATE_FIELD_MATCH,
        KEYGATE_FIELD_PREFLIGHT,
        KEYGATE_FIELD_STRIP,
        KEYGATE_FIELD_IDENTITY_HEADER,
        KEYGATE_FIELD_ALLOW_ORIGIN,
        KEYGATE_FIELD_SCHEME,
    ]
);
agree!(
    ByteClass::ALL,
    code,
    [
        KEYGATE_BYTE_LINE_FEED,
        KEYGATE_BYTE_CARRIAGE_RETURN,
        KEYGATE_BYTE_NUL,
        KEYGATE_BYTE_NO_BREAK_SPACE,
        KEYGATE_BYTE_ZERO_WIDTH_SPACE,
        KEYGATE_BYTE_BYTE_ORDER_MARK,
        KEYGATE_BYTE_NOT_ASCII,
        KEYGATE_BYTE_CONTROL,
    ]
);
agree!(
    AuthMode::ALL,
    code,
    [
        KEYGATE_MODE_STRICT,
        KEYGATE_MODE_OFF,
        KEYGATE_MODE_ALL_EXCEPT_HEALTH,
        KEYGATE_MODE_AUTO,
    ]
);
agree!(
    MatchMode::ALL,
    code,
    [KEYGATE_MATCH_FIRST, KEYGATE_MATCH_ANY]
);
agree!(
    Preflight::ALL,
    code,
    [
        KEYGATE_PREFLIGHT_OPTIONS,
        KEYGATE_PREFLIGHT_CORS,
        KEYGATE_PREFLIGHT_NONE,
    ]
);
agree!(
    Strip::ALL,
    code,
    [
        KEYGATE_STRIP_SOURCES,
        KEYGATE_STRIP_MATCHED,
        KEYGATE_STRIP_OFF,
    ]
);
const _: () = {
    assert!(EffectiveMode::Strict as i32 == KEYGATE_MODE_STRICT);
    assert!(EffectiveMode::Off as i32 == KEYGATE_MODE_OFF);
    assert!(EffectiveMode::AllExceptHealth as i32 == KEYGATE_MODE_ALL_EXCEPT_HEALTH);
};
agree!(
    Language::ALL,
    code,
    [KEYGATE_LANGUAGE_EN, KEYGATE_LANGUAGE_ZH]
);
agree!(
    Reason::ALL,
    code,
    [
        KEYGATE_REASON_AUTH_OFF,
        KEYGATE_REASON_PREFLIGHT,
        KEYGATE_REASON_HEALTH,
        KEYGATE_REASON_KEY_MATCHED,
        KEYGATE_REASON_NO_KEY_CONFIGURED,
        KEYGATE_REASON_CREDENTIAL_MISSING,
        KEYGATE_REASON_CREDENTIAL_UNUSABLE,
        KEYGATE_REASON_KEY_MISMATCH,
        KEYGATE_REASON_INVALID_CALL,
    ]
);
agree!(
    Finding::ALL,
    bit,
    [
        KEYGATE_FINDING_AUTO_RESOLVED,
        KEYGATE_FINDING_NO_KEY_CONFIGURED,
        KEYGATE_FINDING_SHADOWED_MATCH,
        KEYGATE_FINDING_SHADOWED_PRESENT,
        KEYGATE_FINDING_DUPLICATE_IGNORED,
        KEYGATE_FINDING_BEARER_NO_SPACE,
        KEYGATE_FINDING_BEARER_CASE,
        KEYGATE_FINDING_BEARER_EXTRA_SPACE,
        KEYGATE_FINDING_BEARER_DOUBLED,
        KEYGATE_FINDING_BEARER_IN_KEY_HEADER,
        KEYGATE_FINDING_OTHER_SCHEME,
        KEYGATE_FINDING_QUOTED,
        KEYGATE_FINDING_PLACEHOLDER,
        KEYGATE_FINDING_UNREAD_HEADER,
        KEYGATE_FINDING_KEY_IN_QUERY,
        KEYGATE_FINDING_TRUNCATED,
        KEYGATE_FINDING_HEALTH_IN_STRICT,
        KEYGATE_FINDING_HEALTH_NEAR_MISS,
        KEYGATE_FINDING_OPTIONS_CASE,
        KEYGATE_FINDING_KEY_SURROUNDED,
        KEYGATE_FINDING_KEY_ELSEWHERE,
        KEYGATE_FINDING_FOREIGN_CREDENTIAL,
        KEYGATE_FINDING_PROBE_PATH,
        KEYGATE_FINDING_PREFLIGHT_GUARDED,
        KEYGATE_FINDING_GATE_KEY_SUSPECT,
    ]
);
agree!(
    Lint::ALL,
    bit,
    [
        KEYGATE_LINT_KEY_PLACEHOLDER,
        KEYGATE_LINT_KEY_QUOTED,
        KEYGATE_LINT_KEY_BEARER,
        KEYGATE_LINT_KEY_ASSIGNMENT,
        KEYGATE_LINT_KEY_SHORT,
        KEYGATE_LINT_KEY_REPEATED,
        KEYGATE_LINT_NO_KEY,
        KEYGATE_LINT_OPEN,
        KEYGATE_LINT_AUTO_OPEN,
        KEYGATE_LINT_SOURCE_UNDERSCORE,
        KEYGATE_LINT_EXEMPT_PATTERN,
    ]
);

/// The size of a keygate_policy in words of 8 bytes.
pub const KEYGATE_POLICY_WORDS: usize = 512;
/// The size of a keygate_evaluation in words of 8 bytes.
pub const KEYGATE_EVALUATION_WORDS: usize = 16;
/// The size of a keygate_key_file in words of 8 bytes.
pub const KEYGATE_KEY_FILE_WORDS: usize = 8;
/// The size of the buffer that keygate_generate_key needs, in bytes with the NUL.
pub const KEYGATE_GENERATED_KEY_SIZE: usize = 36;

/// Bytes that somebody else owns. With len 0, ptr is not looked at. No NUL is needed at the end,
/// and none ends it. The layout is frozen.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct keygate_str {
    /// The first byte.
    pub ptr: *const c_char,
    /// How many bytes.
    pub len: usize,
}

/// A header field as received: the name in any case, the value with or without white space around
/// it. The layout is frozen: four words, the same as phr_header, envoy_http_header and their kin.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct keygate_header {
    /// The field name.
    pub name: keygate_str,
    /// The field value.
    pub value: keygate_str,
}

/// A key that clients may present.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct keygate_key {
    /// 1 to 256 bytes of SP, HTAB and 0x21 to 0x7E, neither starting nor ending with SP or HTAB, and
    /// no variable that was not expanded.
    pub secret: keygate_str,
    /// 0 to 32 bytes of 0x21 to 0x7E that name the key in logs.
    pub label: keygate_str,
}

/// A header that a credential is read from.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct keygate_source {
    /// An HTTP token of 1 to 32 bytes, in any case, and none that belongs to the message itself
    /// ("host", "upgrade").
    pub name: keygate_str,
    /// Empty, or a token of 1 to 16 bytes: a leading auth-scheme of this name, in any case, and the
    /// spaces behind it are not part of the credential.
    pub scheme: keygate_str,
    /// 0, or without a scheme KEYGATE_SOURCE_BEARER.
    pub flags: u32,
}

/// What a policy is made from. Begin with keygate_config_init, then set what differs. Nothing it
/// points to is needed once keygate_policy_init has returned.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct keygate_config {
    /// The size of this struct in bytes, as the caller's header has it.
    pub size: usize,
    /// A KEYGATE_MODE_ number.
    pub auth_mode: keygate_mode,
    /// KEYGATE_ALLOW_LAN_ACCESS, KEYGATE_NO_SOURCES, KEYGATE_NO_EXEMPT.
    pub flags: u32,
    /// The one key, without a label. Empty: no key, unless keys has some. Without any key, whatever
    /// needs one is denied.
    pub api_key: keygate_str,
    /// Up to 8 keys instead of api_key, so that one can be retired after the next is in use.
    pub keys: *const keygate_key,
    /// How many.
    pub key_count: usize,
    /// Up to 8 sources in order of precedence. None: authorization (Bearer), x-api-key and
    /// x-goog-api-key.
    pub sources: *const keygate_source,
    /// How many.
    pub source_count: usize,
    /// Up to 8 paths of 1 to 64 bytes of 0x21 to 0x7E that start with '/' and hold neither '?' nor
    /// '#'. None: "/healthz".
    pub exempt: *const keygate_str,
    /// How many.
    pub exempt_count: usize,
    /// A KEYGATE_MATCH_ number.
    pub r#match: i32,
    /// A KEYGATE_PREFLIGHT_ number.
    pub preflight: i32,
    /// A KEYGATE_STRIP_ number.
    pub strip: i32,
    /// Empty, or the name of the header in which hosts tell what they forward to the label of the key
    /// that matched: a token of 1 to 32 bytes that is no spelling of a source or of a header that the
    /// gate reads or drops.
    pub identity_header: keygate_str,
    /// Empty, or what hosts send as Access-Control-Allow-Origin with their 401: "*" or an origin of 1
    /// to 128 bytes of 0x21 to 0x7E.
    pub allow_origin: keygate_str,
}

/// A request.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct keygate_request {
    /// The size of this struct in bytes, as the caller's header has it.
    pub size: usize,
    /// The method as on the request line.
    pub method: keygate_str,
    /// The request target as received: neither normalised nor percent-decoded, with its query.
    pub target: keygate_str,
    /// The header fields in the order received.
    pub headers: *const keygate_header,
    /// How many; there is no limit.
    pub header_count: usize,
}

/// What was decided and why. It holds no byte of a key or of a credential.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct keygate_decision {
    /// The size of this struct in bytes, as the caller's header has it. Set by the caller; no more
    /// than this is written.
    pub size: usize,
    /// KEYGATE_ALLOW or KEYGATE_DENY.
    pub verdict: keygate_verdict,
    /// A KEYGATE_REASON_ number.
    pub reason: keygate_reason,
    /// The mode in force, auto being resolved; KEYGATE_MODE_STRICT with
    /// KEYGATE_REASON_INVALID_CALL.
    pub effective_mode: keygate_mode,
    /// The index of the source that the deciding header belongs to, or -1 where no header decided.
    pub source: i32,
    /// The lowest index of a key that matched, or -1.
    pub key: i32,
    /// 0 or KEYGATE_BEARER_STRIPPED.
    pub flags: u32,
    /// The index of the deciding header among those of the request or those pushed, or SIZE_MAX.
    pub header: usize,
}

/// Storage for a policy, anywhere the caller likes: static, on the stack, in a pool. It holds no
/// pointers into itself and may be copied with memcpy; each copy holds the keys and is wiped by
/// itself. A zeroed one denies everything.
#[repr(C)]
pub struct keygate_policy {
    /// Not to be touched.
    pub opaque: [u64; KEYGATE_POLICY_WORDS],
}

/// Storage for a decision under way. A zeroed one denies. It belongs to one thread at a time.
#[repr(C)]
pub struct keygate_evaluation {
    /// Not to be touched.
    pub opaque: [u64; KEYGATE_EVALUATION_WORDS],
}

/// What is wrong with a configuration, and where. It holds no byte of what was configured.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct keygate_config_error {
    /// The size of this struct in bytes, as the caller's header has it. Set by the caller; no more
    /// than this is written.
    pub size: usize,
    /// KEYGATE_OK or a KEYGATE_ERR_ number.
    pub status: keygate_status,
    /// A KEYGATE_FIELD_ number.
    pub field: i32,
    /// A KEYGATE_BYTE_ number: with KEYGATE_ERR_KEY_BYTE, which byte it is.
    pub byte_class: i32,
    /// The entry of the list, from 0, or SIZE_MAX.
    pub index: usize,
    /// The line of the text, from 1, or 0 where there is none.
    pub line: usize,
    /// The column in that line, in characters from 1, or 0.
    pub column: usize,
}

/// Storage for reading a key file. It refers to the caller's text. A zeroed one has no keys and is
/// KEYGATE_ERR_STATE.
#[repr(C)]
pub struct keygate_key_file {
    /// Not to be touched.
    pub opaque: [u64; KEYGATE_KEY_FILE_WORDS],
}

/// What a keygate_key_file holds once it is begun.
#[repr(C)]
struct StoredKeyFile {
    mark: u64,
    status: keygate_status,
    file: KeyFile<'static>,
}

/// What a keygate_policy holds once it is made.
#[repr(C)]
struct StoredPolicy {
    mark: u64,
    policy: Policy,
}

/// What a keygate_evaluation holds from begin to finish.
#[repr(C)]
struct StoredEvaluation {
    mark: u64,
    policy: *const keygate_policy,
    evaluation: Evaluation<'static>,
}

const POLICY_MARK: u64 = u64::from_le_bytes(*b"keygateP");
const EVALUATION_MARK: u64 = u64::from_le_bytes(*b"keygateE");
const KEY_FILE_MARK: u64 = u64::from_le_bytes(*b"keygateF");

const _: () = {
    assert!(size_of::<StoredPolicy>() <= size_of::<keygate_policy>());
    assert!(align_of::<StoredPolicy>() <= align_of::<keygate_policy>());
    assert!(size_of::<StoredEvaluation>() <= size_of::<keygate_evaluation>());
    assert!(align_of::<StoredEvaluation>() <= align_of::<keygate_evaluation>());
    assert!(size_of::<StoredKeyFile>() <= size_of::<keygate_key_file>());
    assert!(align_of::<StoredKeyFile>() <= align_of::<keygate_key_file>());
};

impl Versioned for keygate_config {
    const ZERO: Self = Self {
        size: 0,
        auth_mode: KEYGATE_MODE_STRICT,
        flags: 0,
        api_key: keygate_str::NONE,
        keys: ptr::null(),
        key_count: 0,
        sources: ptr::null(),
        source_count: 0,
        exempt: ptr::null(),
        exempt_count: 0,
        r#match: KEYGATE_MATCH_FIRST,
        preflight: KEYGATE_PREFLIGHT_OPTIONS,
        strip: KEYGATE_STRIP_SOURCES,
        identity_header: keygate_str::NONE,
        allow_origin: keygate_str::NONE,
    };
}

impl Versioned for keygate_request {
    const ZERO: Self = Self {
        size: 0,
        method: keygate_str::NONE,
        target: keygate_str::NONE,
        headers: ptr::null(),
        header_count: 0,
    };
}

/// The policy in a caller's storage, where it was made and not wiped.
///
/// # Safety
///
/// A whole `keygate_policy` is readable at `pointer` and not written to while the result is used.
#[inline]
unsafe fn policy<'a>(pointer: *const keygate_policy) -> Option<&'a Policy> {
    check(pointer, 1).ok()?;
    let stored = pointer.cast::<StoredPolicy>();
    // SAFETY: readable and aligned; any bytes make a number.
    let mark = unsafe { (&raw const (*stored).mark).read() };
    // SAFETY: the mark is there, so `keygate_policy_init` wrote a policy behind it.
    (mark == POLICY_MARK).then(|| unsafe { &(*stored).policy })
}

impl keygate_decision {
    /// What is said where nothing could be decided.
    const DENIAL: Self = Self {
        size: size_of::<Self>(),
        verdict: KEYGATE_DENY,
        reason: KEYGATE_REASON_INVALID_CALL,
        effective_mode: KEYGATE_MODE_STRICT,
        source: -1,
        key: -1,
        flags: 0,
        header: usize::MAX,
    };
}

/// A decision's way out.
struct Output {
    at: *mut keygate_decision,
    /// How many bytes of the caller's struct are known here, its size among them.
    known: usize,
}

impl Output {
    const NONE: Self = Self::whole(ptr::null_mut());

    const fn whole(at: *mut keygate_decision) -> Self {
        let known = size_of::<keygate_decision>();
        Self { at, known }
    }

    /// A struct of any size, set to deny. `None` if `pointer` is bad, or writing there
    /// would change the policy.
    ///
    /// # Safety
    ///
    /// `pointer` is NULL, or as many bytes as the struct says are writable there.
    unsafe fn new(pointer: *mut keygate_decision, policy: *const keygate_policy) -> Option<Self> {
        if pointer.is_null() {
            return Some(Self::NONE);
        }
        check(pointer, 1).ok()?;
        // SAFETY: not NULL and aligned; every struct of a caller's has at least its size.
        let size = unsafe { (&raw const (*pointer).size).read() };
        let output = Self {
            at: pointer,
            known: size.min(size_of::<keygate_decision>()),
        };
        if size < LEAST || output.overlaps(policy, size_of::<keygate_policy>()) {
            return None;
        }
        // SAFETY: passed on to the caller.
        unsafe { output.write(&keygate_decision::DENIAL) };
        isize::try_from(size).is_ok().then_some(output)
    }

    /// Whether writing changes any of `len` bytes.
    #[inline]
    fn overlaps<T>(&self, at: *const T, len: usize) -> bool {
        !self.at.is_null() && overlap(self.at, self.known, at, len)
    }

    /// Writes all but the size, which is the caller's.
    ///
    /// # Safety
    ///
    /// `known` bytes are writable, and nothing borrowed from what they may overlap is used any
    /// more.
    #[inline]
    unsafe fn write(&self, decision: &keygate_decision) {
        if !self.at.is_null() {
            // SAFETY: passed on to the caller.
            unsafe { write_known(decision, self.at, self.known) };
        }
    }

    /// # Safety
    ///
    /// As for `write`.
    #[inline]
    unsafe fn set(&self, decision: Option<Decision>) -> keygate_verdict {
        let Some(decision) = decision else {
            return KEYGATE_DENY; // as `new` has written
        };
        let index = |index: Option<usize>| {
            index
                .and_then(|index| i32::try_from(index).ok())
                .unwrap_or(-1)
        };
        let verdict = match decision.verdict() {
            Verdict::Allow => KEYGATE_ALLOW,
            Verdict::Deny => KEYGATE_DENY,
        };
        let out = keygate_decision {
            size: 0,
            verdict,
            reason: decision.reason().code(),
            effective_mode: decision.effective_mode() as keygate_mode,
            source: index(decision.source_index()),
            key: index(decision.key_index()),
            flags: if decision.bearer_stripped() {
                KEYGATE_BEARER_STRIPPED
            } else {
                0
            },
            header: decision.header_index().unwrap_or(usize::MAX),
        };
        // SAFETY: passed on to the caller.
        unsafe { self.write(&out) };
        verdict
    }
}

/// What a text is asked for in.
fn language(number: keygate_language) -> Language {
    let mut all = Language::ALL.into_iter();
    all.find(|language| language.code() == number)
        .unwrap_or_default()
}

impl keygate_config_error {
    const fn new(status: keygate_status, field: ConfigField, index: usize) -> Self {
        Self {
            size: size_of::<Self>(),
            status,
            field: field.code(),
            byte_class: KEYGATE_BYTE_NONE,
            index,
            line: 0,
            column: 0,
        }
    }

    const NONE: Self = Self::new(KEYGATE_OK, ConfigField::Config, usize::MAX);
}

impl From<keygate_status> for keygate_config_error {
    fn from(status: keygate_status) -> Self {
        Self::new(status, ConfigField::Config, usize::MAX)
    }
}

impl From<ConfigError> for keygate_config_error {
    fn from(error: ConfigError) -> Self {
        let index = error.index().unwrap_or(usize::MAX);
        Self {
            byte_class: error
                .byte_class()
                .map_or(KEYGATE_BYTE_NONE, ByteClass::code),
            line: error.line().unwrap_or(0),
            column: error.column().unwrap_or(0),
            ..Self::new(error.kind().code(), error.field(), index)
        }
    }
}

impl Versioned for keygate_config_error {
    const ZERO: Self = Self {
        size: 0,
        ..Self::NONE
    };
}

/// Where the caller wants to be told what is wrong.
struct Report {
    at: *mut keygate_config_error,
    /// How many bytes of the caller's struct are known here.
    known: usize,
}

impl Report {
    /// `None` if the pointer is NULL.
    ///
    /// # Safety
    ///
    /// `at` is NULL, or as many bytes as the struct says are writable there.
    unsafe fn new(at: *mut keygate_config_error) -> Checked<Option<Self>> {
        if at.is_null() {
            return Ok(None);
        }
        check(at, 1)?;
        // SAFETY: not NULL and aligned; every struct of a caller's has at least its size.
        let size = unsafe { (&raw const (*at).size).read() };
        if size < LEAST || isize::try_from(size).is_err() {
            return Err(KEYGATE_ERR_SIZE);
        }
        let known = size.min(size_of::<keygate_config_error>());
        Ok(Some(Self { at, known }))
    }
}

/// Does what sets something up, and tells the caller how that went. If the report is bad, or
/// would be written over `storage`, nothing is done but to empty `storage`.
///
/// # Safety
///
/// As for `Report::new`.
unsafe fn reporting<S>(
    error: *mut keygate_config_error,
    storage: *const S,
    size: usize,
    do_it: impl FnOnce() -> Result<(), keygate_config_error>,
    empty: impl FnOnce(),
) -> keygate_status {
    // SAFETY: passed on to the caller.
    let report = unsafe { Report::new(error) }.and_then(|report| match &report {
        Some(at) if overlap(at.at, at.known, storage, size) => Err(KEYGATE_ERR_OVERLAP),
        _ => Ok(report),
    });
    let report = match report {
        Ok(report) => report,
        Err(status) => {
            empty();
            return status;
        }
    };
    let error = do_it().err().unwrap_or(keygate_config_error::NONE);
    if let Some(report) = report {
        // SAFETY: passed on to the caller. What was read is no longer used.
        unsafe { write_known(&error, report.at, report.known) };
    }
    error.status
}

/// A header whose caller keeps its word: a pointer that passes may be followed. Each is checked when
/// it is followed.
#[derive(Clone, Copy)]
struct Unchecked<'a> {
    header: &'a keygate_header,
    /// Where the list begins in which it stands.
    first: usize,
}

impl<'a> Unchecked<'a> {
    fn list(headers: &'a [keygate_header]) -> impl Iterator<Item = Self> + Clone {
        let first = headers.as_ptr().addr();
        headers.iter().map(move |header| Self { header, first })
    }

    /// As if it stood at this place of a list.
    fn at(index: usize, header: &'a keygate_header) -> Self {
        let before = index.wrapping_mul(size_of::<keygate_header>());
        let first = ptr::from_ref(header).addr().wrapping_sub(before);
        Self { header, first }
    }
}

impl<'a> Field for Unchecked<'a> {
    type Error = keygate_status;
    type Value = &'a [u8];

    #[inline]
    fn index(&self) -> usize {
        let own = ptr::from_ref(self.header).addr();
        own.wrapping_sub(self.first) / size_of::<keygate_header>()
    }

    #[inline]
    fn name_len(&self) -> usize {
        self.header.name.len
    }

    #[inline]
    fn name(&self) -> Checked<&[u8]> {
        // SAFETY: the invariant of the type.
        unsafe { self.header.name.bytes() }
    }

    #[inline]
    fn value(self) -> Checked<&'a [u8]> {
        // SAFETY: the invariant of the type.
        unsafe { self.header.value.bytes() }
    }
}

/// For an explanation, which looks at all of them: what is no good is empty.
impl Header for Unchecked<'_> {
    fn name(&self) -> &[u8] {
        Field::name(self).unwrap_or(&[])
    }

    fn value(&self) -> &[u8] {
        Field::value(*self).unwrap_or(&[])
    }
}

struct Request<'a> {
    method: &'a [u8],
    target: &'a [u8],
    headers: &'a [keygate_header],
}

impl<'a> Request<'a> {
    /// `None` if a pointer or a length is bad, or writing to `output` has changed the headers.
    ///
    /// # Safety
    ///
    /// Everything the request points to is readable for as long as the result is used.
    #[inline]
    unsafe fn of(request: &keygate_request, output: &Output) -> Option<Self> {
        // SAFETY: passed on to the caller.
        unsafe {
            let headers: &'a [_] = array(request.headers, request.header_count).ok()?;
            if output.overlaps(headers.as_ptr(), size_of_val(headers)) {
                return None;
            }
            Some(Self {
                method: request.method.bytes().ok()?,
                target: request.target.bytes().ok()?,
                headers,
            })
        }
    }
}

/// The one way from C into the core.
///
/// # Safety
///
/// As for `policy` and `Request::of`.
#[inline]
unsafe fn decide(
    policy: *const keygate_policy,
    request: &keygate_request,
    output: &Output,
) -> Option<Decision> {
    // SAFETY: passed on to the caller.
    let (policy, request) = unsafe { (self::policy(policy)?, Request::of(request, output)?) };
    let evaluation = Evaluation::begin(policy, request.method, request.target);
    evaluation.decide(Unchecked::list(request.headers)).ok()
}

/// Decides with structs of another version of the header, by copies in this one's form.
///
/// # Safety
///
/// As for `keygate_decide`.
#[cold]
#[inline(never)]
unsafe fn decide_other(
    policy: *const keygate_policy,
    request: *const keygate_request,
    out: *mut keygate_decision,
) -> keygate_verdict {
    // SAFETY: passed on to the caller. What is read does not overlap what was written.
    unsafe {
        let Some(output) = Output::new(out, policy) else {
            return KEYGATE_DENY;
        };
        if check(request, 1).is_err() {
            return KEYGATE_DENY;
        }
        let size = (&raw const (*request).size).read();
        if output.overlaps(request, size) {
            return KEYGATE_DENY;
        }
        let Ok(mut copy) = read_other(request, size) else {
            return KEYGATE_DENY;
        };
        let headers_size = copy
            .header_count
            .saturating_mul(size_of::<keygate_header>());
        if output.overlaps(copy.headers, headers_size) {
            return KEYGATE_DENY;
        }
        copy.size = size_of::<keygate_request>();
        let mut decision = keygate_decision::DENIAL;
        let verdict = keygate_decide(policy, &raw const copy, &raw mut decision);
        output.write(&decision);
        verdict
    }
}

/// # Safety
///
/// As for `keygate_decide`.
unsafe fn explain<'a>(
    policy: *const keygate_policy,
    request: *const keygate_request,
) -> Option<Explanation<'a>> {
    // SAFETY: passed on to the caller.
    unsafe {
        let mut decision = keygate_decision::DENIAL;
        keygate_decide(policy, request, &raw mut decision);
        if decision.reason == KEYGATE_REASON_INVALID_CALL {
            return None;
        }
        let request = Request::of(&read(request).ok()?, &Output::NONE)?;
        let headers = Unchecked::list(request.headers);
        Some(self::policy(policy)?.explain(request.method, request.target, headers))
    }
}

/// The number of the interface that the library has: compare it with KEYGATE_ABI_VERSION. Any
/// thread, any time.
#[unsafe(no_mangle)]
pub extern "C" fn keygate_abi_version() -> u32 {
    KEYGATE_ABI_VERSION
}

/// The version of the library, "1.2.3" for example. Static.
#[unsafe(no_mangle)]
pub extern "C" fn keygate_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// Sets a config to its defaults: strict, no key, the default sources and exempt path.
///
/// config: size bytes of the caller's, normally sizeof(keygate_config). NULL, misaligned or shorter
/// than a size_t: nothing is done.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keygate_config_init(config: *mut keygate_config, size: usize) {
    if check(config, 1).is_err() || size < size_of::<usize>() || isize::try_from(size).is_err() {
        return;
    }
    // SAFETY: the caller says that it is this long.
    unsafe {
        ptr::write_bytes(config.cast::<u8>(), 0, size);
        (&raw mut (*config).size).write(size);
    }
}

/// Reads a mode's name: "off", "strict", "all_except_health" or "auto", in lower case.
///
/// out: set to KEYGATE_MODE_STRICT first, and to the mode where the name is known.
///
/// Returns KEYGATE_OK; KEYGATE_ERR_MODE for any other name; KEYGATE_ERR_NULL,
/// KEYGATE_ERR_ALIGNMENT or KEYGATE_ERR_LENGTH for a bad argument.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keygate_mode_parse(
    text: keygate_str,
    out: *mut keygate_mode,
) -> keygate_status {
    if let Err(status) = check(out, 1) {
        return status;
    }
    // SAFETY: `out` is aligned and writable; `text` is read before `out` is written again.
    unsafe {
        out.write(KEYGATE_MODE_STRICT);
        let name = match text.bytes() {
            Ok(name) => name,
            Err(status) => return status,
        };
        match AuthMode::from_bytes(name) {
            Some(mode) => out.write(mode as keygate_mode),
            None => return KEYGATE_ERR_MODE,
        }
    }
    KEYGATE_OK
}

/// Makes a policy of a config.
///
/// policy: size bytes of the caller's, normally sizeof(keygate_policy). It is zeroed first, so that
/// it denies everything unless KEYGATE_OK is returned. To reload, make a second policy and swap.
/// config: copied, keys included; nothing of it is needed afterwards. Nothing of it may lie inside
/// policy.
/// error: NULL, or an error whose size is set: it is told the field and the entry too. It must not
/// overlap the policy.
///
/// Returns KEYGATE_OK or what is wrong with the config; keygate_config_error_text says it in words.
/// A config without any key is not wrong: its policy denies whatever needs one.
///
/// No other thread may use the policy until this has returned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keygate_policy_init(
    policy: *mut keygate_policy,
    size: usize,
    config: *const keygate_config,
    error: *mut keygate_config_error,
) -> keygate_status {
    // SAFETY: passed on to the caller.
    unsafe {
        make(policy, size, error, |core| {
            let config = config_of(policy, config)?;
            core.fill(&config.borrow()).map_err(Into::into)
        })
    }
}

/// Makes a policy of a configuration in JSON: the object with "auth_mode" and its other fields, or
/// one that has it under "proxy".
///
///   {"auth_mode": "strict", "keys": [{"key": "sk-...", "label": "alice"}],
///    "sources": [{"name": "authorization", "bearer": true}], "exempt": ["/healthz"]}
///
/// The fields are those of keygate_config, and "allow_lan_access": true. Inside and beside "proxy",
/// whose file is another product's, unknown fields are ignored; without "proxy" they are an error. A
/// field that is spelled almost like a known one ("apiKey") is an error in both. Each character of a
/// string stands for one byte, U+0000 to U+00FF. A leading byte order mark is skipped.
///
/// policy, error: as for keygate_policy_init.
/// json: the text; nothing of it is needed afterwards.
/// keys: key_count keys from elsewhere, such as those of keygate_key_file_next; the text must then
/// have neither "api_key" nor "keys". NULL and 0: the keys are those in the text.
///
/// Returns KEYGATE_OK or what is wrong with the text; error has the field, the entry, the line and
/// the column.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keygate_policy_parse(
    policy: *mut keygate_policy,
    size: usize,
    json: keygate_str,
    keys: *const keygate_key,
    key_count: usize,
    error: *mut keygate_config_error,
) -> keygate_status {
    // SAFETY: passed on to the caller.
    unsafe {
        make(policy, size, error, |core| {
            let text = apart_from(policy, json)?;
            let elsewhere = !keys.is_null();
            let keys = keys_of(policy, keys, key_count)?;
            core.read(text, Form::File, elsewhere.then_some(&keys))
                .map_err(Into::into)
        })
    }
}

/// Makes a policy in a caller's storage. The mark comes last, so that it denies until it is whole.
///
/// # Safety
///
/// As for `keygate_policy_init`.
unsafe fn make(
    policy: *mut keygate_policy,
    size: usize,
    error: *mut keygate_config_error,
    fill: impl FnOnce(&mut Policy) -> Result<(), keygate_config_error>,
) -> keygate_status {
    if let Err(status) = check(policy, 1) {
        // SAFETY: passed on to the caller.
        return unsafe { reporting(error, policy, 0, || Err(status.into()), || ()) };
    }
    let whole = size_of::<keygate_policy>();
    let ours = size.min(whole);
    // None of what is zeroed is a mark.
    // SAFETY: the caller says that it has this many bytes.
    let empty = || unsafe { slice::from_raw_parts_mut(policy.cast::<u8>(), ours) }.zeroize();
    let stored = policy.cast::<StoredPolicy>();
    let do_it = || {
        empty();
        if size < whole {
            return Err(KEYGATE_ERR_SIZE.into());
        }
        // SAFETY: aligned, and the caller says that it is long enough.
        unsafe {
            (&raw mut (*stored).policy).write(Policy::empty());
            if let Err(error) = fill(&mut (*stored).policy) {
                empty();
                return Err(error);
            }
            (&raw mut (*stored).mark).write(POLICY_MARK);
        }
        Ok(())
    };
    // SAFETY: passed on to the caller.
    unsafe { reporting(error, policy, ours, do_it, empty) }
}

/// Whether a range lies apart from the policy that is being made.
fn apart<T>(policy: *const keygate_policy, at: *const T, len: usize) -> Checked<()> {
    if overlap(policy, size_of::<keygate_policy>(), at, len) {
        return Err(KEYGATE_ERR_OVERLAP);
    }
    Ok(())
}

/// A caller's text that lies apart from the policy.
///
/// # Safety
///
/// As for `array`.
unsafe fn apart_from<'a>(policy: *const keygate_policy, text: keygate_str) -> Checked<&'a [u8]> {
    // SAFETY: passed on to the caller.
    let bytes = unsafe { text.bytes() }?;
    apart(policy, bytes.as_ptr(), bytes.len())?;
    Ok(bytes)
}

/// A caller's array in the core's types.
///
/// # Safety
///
/// As for `array`.
unsafe fn list<'a, C: 'a, T, const N: usize>(
    policy: *const keygate_policy,
    items: *const C,
    len: usize,
    field: ConfigField,
    too_many: keygate_status,
    convert: impl Fn(&'a C) -> Checked<T>,
) -> Result<Vec<T, N>, keygate_config_error> {
    let whole = |status| keygate_config_error::new(status, field, usize::MAX);
    if len > N {
        return Err(whole(too_many));
    }
    // SAFETY: passed on to the caller.
    let items = unsafe { array(items, len) }.map_err(whole)?;
    apart(policy, items.as_ptr(), size_of_val(items)).map_err(whole)?;
    let mut list = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let item =
            convert(item).map_err(|status| keygate_config_error::new(status, field, index))?;
        list.push(item).map_err(|_| whole(too_many))?;
    }
    Ok(list)
}

/// # Safety
///
/// As for `array`.
unsafe fn keys_of<'a>(
    policy: *const keygate_policy,
    keys: *const keygate_key,
    count: usize,
) -> Result<Vec<Key<'a>, MAX_KEYS>, keygate_config_error> {
    // SAFETY: passed on to the caller.
    unsafe {
        list(
            policy,
            keys,
            count,
            ConfigField::Keys,
            KEYGATE_ERR_TOO_MANY_KEYS,
            |key: &keygate_key| {
                let secret = apart_from(policy, key.secret)?;
                Ok(Key::new(secret).label(apart_from(policy, key.label)?))
            },
        )
    }
}

/// A caller's config in the core's types.
struct OwnConfig<'a> {
    rules: Rules,
    flags: u32,
    api_key: &'a [u8],
    keys: Vec<Key<'a>, MAX_KEYS>,
    sources: Vec<Source<'a>, MAX_SOURCES>,
    exempt: Vec<Exempt<'a>, MAX_EXEMPT>,
    identity_header: &'a [u8],
    allow_origin: &'a [u8],
}

impl OwnConfig<'_> {
    fn borrow(&self) -> Config<'_> {
        let flag = |flag: u32| self.flags & flag != 0;
        let some = |text| Some(text).filter(|text: &&[u8]| !text.is_empty());
        let (keys, sources, exempt) = (&self.keys, &self.sources, &self.exempt);
        Config {
            rules: self.rules,
            api_key: some(self.api_key),
            keys: (!keys.is_empty()).then_some(keys),
            sources: (!sources.is_empty() || flag(KEYGATE_NO_SOURCES)).then_some(sources),
            exempt: (!exempt.is_empty() || flag(KEYGATE_NO_EXEMPT)).then_some(exempt),
            identity_header: some(self.identity_header),
            allow_origin: some(self.allow_origin),
        }
    }
}

/// # Safety
///
/// As for `keygate_policy_init`. What is read lies apart from the policy, and each list is checked
/// for its length before it is walked.
unsafe fn config_of<'a>(
    policy: *const keygate_policy,
    config: *const keygate_config,
) -> Result<OwnConfig<'a>, keygate_config_error> {
    // SAFETY: passed on to the caller.
    unsafe {
        check(config, 1)?;
        apart(policy, config, size_of::<usize>())?;
        let whole = (&raw const (*config).size).read();
        apart(policy, config, whole.min(size_of::<keygate_config>()))?;
        let config = read(config)?;
        let at = |field| move |status| keygate_config_error::new(status, field, usize::MAX);
        let chosen = |status, field| move || keygate_config_error::new(status, field, usize::MAX);
        let rules = Rules {
            auth_mode: AuthMode::with_code(config.auth_mode)
                .ok_or_else(chosen(KEYGATE_ERR_MODE, ConfigField::AuthMode))?,
            allow_lan_access: config.flags & KEYGATE_ALLOW_LAN_ACCESS != 0,
            match_mode: MatchMode::with_code(config.r#match)
                .ok_or_else(chosen(KEYGATE_ERR_MATCH, ConfigField::Match))?,
            preflight: Preflight::with_code(config.preflight)
                .ok_or_else(chosen(KEYGATE_ERR_PREFLIGHT, ConfigField::Preflight))?,
            strip: Strip::with_code(config.strip)
                .ok_or_else(chosen(KEYGATE_ERR_STRIP, ConfigField::Strip))?,
        };
        let flag = |flag: u32| config.flags & flag != 0;
        if config.flags & !(KEYGATE_ALLOW_LAN_ACCESS | KEYGATE_NO_SOURCES | KEYGATE_NO_EXEMPT) != 0
            || flag(KEYGATE_NO_SOURCES) && config.source_count != 0
            || flag(KEYGATE_NO_EXEMPT) && config.exempt_count != 0
        {
            return Err(KEYGATE_ERR_FLAGS.into());
        }
        Ok(OwnConfig {
            rules,
            flags: config.flags,
            api_key: apart_from(policy, config.api_key).map_err(at(ConfigField::ApiKey))?,
            keys: keys_of(policy, config.keys, config.key_count)?,
            sources: list(
                policy,
                config.sources,
                config.source_count,
                ConfigField::Sources,
                KEYGATE_ERR_TOO_MANY_SOURCES,
                |source: &keygate_source| {
                    let bearer = match source.flags {
                        0 => false,
                        KEYGATE_SOURCE_BEARER => true,
                        _ => return Err(KEYGATE_ERR_FLAGS),
                    };
                    Ok(Source {
                        name: apart_from(policy, source.name)?,
                        bearer,
                        scheme: apart_from(policy, source.scheme)?,
                    })
                },
            )?,
            exempt: list(
                policy,
                config.exempt,
                config.exempt_count,
                ConfigField::Exempt,
                KEYGATE_ERR_TOO_MANY_EXEMPT,
                |path: &keygate_str| Ok(Exempt::new(apart_from(policy, *path)?)),
            )?,
            identity_header: apart_from(policy, config.identity_header)
                .map_err(at(ConfigField::IdentityHeader))?,
            allow_origin: apart_from(policy, config.allow_origin)
                .map_err(at(ConfigField::AllowOrigin))?,
        })
    }
}

/// Writes what is wrong as one sentence: line and column where there are any, the field with the
/// entry, and what it is. No byte of a key is in it.
///
/// buffer: as for keygate_explain.
///
/// Returns the length of the whole text in bytes without the NUL, like snprintf. For a bad argument
/// the text is that of KEYGATE_ERR_NULL, KEYGATE_ERR_ALIGNMENT or KEYGATE_ERR_SIZE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keygate_config_error_text(
    error: *const keygate_config_error,
    language: keygate_language,
    buffer: *mut c_char,
    size: usize,
) -> usize {
    let language = self::language(language);
    let mut to = Buffer::new(buffer, size);
    // SAFETY: passed on to the caller. The error is copied before the buffer is written.
    let error = unsafe { read(error) }.unwrap_or_else(Into::into);
    let written = error.write(language, &mut to);
    debug_assert!(written.is_ok(), "a buffer takes everything");
    // SAFETY: passed on to the caller.
    unsafe { to.end() }
}

impl keygate_config_error {
    fn write(&self, language: Language, to: &mut impl fmt::Write) -> fmt::Result {
        let mut error = ConfigError {
            index: (self.index != usize::MAX).then_some(self.index),
            byte_class: ByteClass::with_code(self.byte_class),
            line: self.line,
            column: self.column,
            ..ConfigError::new(
                ConfigErrorKind::Json,
                ConfigField::with_code(self.field).unwrap_or(ConfigField::Config),
            )
        };
        if let Some(kind) = ConfigErrorKind::with_code(self.status) {
            error.kind = kind;
            return error.write(language, to);
        }
        error.write_place(language, to)?;
        to.write_str(status_texts(self.status).1.get(language))
    }
}

/// Begins to read a key file: one key a line, each with an optional label.
///
///   # laptops
///   sk-5f0c4b8e21d97a36 label=alice
///
/// A line that is empty or begins with '#' has none. A leading byte order mark and one CR at the end
/// of a line are skipped. Everything before the last " label=" of a line is the key, and what
/// follows it must be a label. Keys that begin with '#' or hold " label=" need JSON.
///
/// file: size bytes of the caller's, normally sizeof(keygate_key_file).
/// text: kept until the last keygate_key_file_next; the keys lie in it.
///
/// A bad argument shows in keygate_key_file_end.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keygate_key_file_begin(
    file: *mut keygate_key_file,
    size: usize,
    text: keygate_str,
) {
    if check(file, 1).is_err() {
        return;
    }
    let whole = size_of::<keygate_key_file>();
    // SAFETY: the caller says that it has this many bytes; the text as passed on to the caller.
    unsafe {
        ptr::write_bytes(file.cast::<u8>(), 0, size.min(whole));
        if size < whole {
            return;
        }
        let (text, status) = match text.bytes() {
            Ok(text) if !overlap(file, whole, text.as_ptr(), text.len()) => (text, KEYGATE_OK),
            Ok(_) => (&[] as &[u8], KEYGATE_ERR_OVERLAP),
            Err(status) => (&[] as &[u8], status),
        };
        file.cast::<StoredKeyFile>().write(StoredKeyFile {
            mark: KEY_FILE_MARK,
            status,
            file: KeyFile::new(text),
        });
    }
}

/// The key file in a caller's storage, where it was begun.
///
/// # Safety
///
/// A whole `keygate_key_file` is readable and writable at `pointer`, and no other thread uses it.
unsafe fn key_file<'a>(pointer: *mut keygate_key_file) -> Checked<&'a mut StoredKeyFile> {
    check(pointer, 1)?;
    let stored = pointer.cast::<StoredKeyFile>();
    // SAFETY: readable and aligned; any bytes make a number. The mark is there, so
    // `keygate_key_file_begin` wrote the rest.
    unsafe {
        if (&raw const (*stored).mark).read() != KEY_FILE_MARK {
            return Err(KEYGATE_ERR_STATE);
        }
        Ok(&mut *stored)
    }
}

/// The next key.
///
/// out: set to the key and its label, which lie in the text; to two empty strings where there is
/// none. It must not overlap the file.
///
/// Returns false after the last key and at the first that can never work: keygate_key_file_end
/// tells the two apart.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keygate_key_file_next(
    file: *mut keygate_key_file,
    out: *mut keygate_key,
) -> bool {
    let whole = size_of::<keygate_key_file>();
    if check(out, 1).is_err() || overlap(file, whole, out, size_of::<keygate_key>()) {
        return false;
    }
    // SAFETY: passed on to the caller.
    unsafe {
        let key = key_file(file).ok().and_then(|stored| stored.file.next());
        out.write(keygate_key {
            secret: key.map_or(keygate_str::NONE, |key| keygate_str::of(key.secret)),
            label: key.map_or(keygate_str::NONE, |key| keygate_str::of(key.label)),
        });
        key.is_some()
    }
}

/// What was wrong in the lines that were read so far. It may be asked at any time.
///
/// error: NULL, or an error whose size is set: it is told the line. It must not overlap the file.
///
/// Returns KEYGATE_OK, or why keygate_key_file_next has stopped before the end.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keygate_key_file_end(
    file: *mut keygate_key_file,
    error: *mut keygate_config_error,
) -> keygate_status {
    // SAFETY: passed on to the caller.
    unsafe {
        let do_it = || {
            let stored = key_file(file)?;
            if stored.status != KEYGATE_OK {
                return Err(stored.status.into());
            }
            stored.file.end().map_err(Into::into)
        };
        reporting(error, file, size_of::<keygate_key_file>(), do_it, || ())
    }
}

/// Wipes a policy, keys and all, so that it denies everything afterwards. NULL is fine, and so is a
/// policy that was never made or is wiped already.
///
/// No other thread may use the policy at the same time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keygate_policy_wipe(policy: *mut keygate_policy) {
    if check(policy, 1).is_ok() {
        // SAFETY: aligned, and the caller says that it is a whole policy. It holds nothing but
        // numbers, so nothing is left undone.
        unsafe { (*policy).opaque.zeroize() };
    }
}

/// The mode as configured, a KEYGATE_MODE_ number. KEYGATE_MODE_STRICT for a bad policy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keygate_policy_auth_mode(policy: *const keygate_policy) -> keygate_mode {
    // SAFETY: passed on to the caller.
    unsafe { self::policy(policy) }.map_or(KEYGATE_MODE_STRICT, |policy| policy.auth_mode().code())
}

/// The mode in force, auto being resolved. With KEYGATE_MODE_OFF, no request is asked for a key.
/// KEYGATE_MODE_STRICT for a bad policy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keygate_policy_effective_mode(
    policy: *const keygate_policy,
) -> keygate_mode {
    // SAFETY: passed on to the caller.
    unsafe { self::policy(policy) }
        .map_or(KEYGATE_MODE_STRICT, |policy| policy.effective_mode().code())
}

/// How many keys the policy has. 0 for a bad policy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keygate_policy_key_count(policy: *const keygate_policy) -> usize {
    // SAFETY: passed on to the caller.
    unsafe { self::policy(policy) }.map_or(0, Policy::key_count)
}

/// How many headers the policy wants to see. 0 for a bad policy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keygate_policy_wanted_count(policy: *const keygate_policy) -> usize {
    // SAFETY: passed on to the caller.
    unsafe { self::policy(policy) }.map_or(0, |policy| policy.wanted_names().len())
}

/// The name of a header that the policy wants to see, in lower case: the sources in order of
/// precedence, and with KEYGATE_PREFLIGHT_CORS "origin" and "access-control-request-method". A host with a header map may pass only these headers, every occurrence in the order
/// received; the decision is the same but for the header's index.
///
/// The text lies inside the policy and lives as long. {NULL, 0} for a bad policy or an index
/// beyond the last.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keygate_policy_wanted_name(
    policy: *const keygate_policy,
    index: usize,
) -> keygate_str {
    // SAFETY: passed on to the caller.
    let policy = unsafe { self::policy(policy) };
    let name = policy.and_then(|policy| policy.wanted_names().nth(index));
    name.map_or(keygate_str::NONE, |name| keygate_str::of(name.as_bytes()))
}

/// Whether the first wanted header that is present settles the decision, so that a host need not
/// look for the others. False for a bad policy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keygate_policy_first_decides(policy: *const keygate_policy) -> bool {
    // SAFETY: passed on to the caller.
    unsafe { self::policy(policy) }.is_some_and(Policy::first_decides)
}

/// The name, in lower case, of the header in which a host tells what it forwards to the label of the
/// key that matched (keygate_policy_key_label): it adds the header on KEYGATE_REASON_KEY_MATCHED where
/// that key has a label, after it has dropped what keygate_policy_drops says.
///
/// The text lies inside the policy and lives as long. {NULL, 0} where there is none, and for a bad
/// policy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keygate_policy_identity_header(
    policy: *const keygate_policy,
) -> keygate_str {
    // SAFETY: passed on to the caller.
    let name = unsafe { self::policy(policy) }.and_then(Policy::identity_header);
    name.map_or(keygate_str::NONE, |name| keygate_str::of(name.as_bytes()))
}

/// The name of the source that decided, in lower case: keygate_decision.source is its index.
///
/// The text lies inside the policy and lives as long. {NULL, 0} for a bad policy or an index
/// beyond the last.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keygate_policy_source_name(
    policy: *const keygate_policy,
    index: usize,
) -> keygate_str {
    // SAFETY: passed on to the caller.
    let policy = unsafe { self::policy(policy) };
    let name = policy.and_then(|policy| policy.source_name(index));
    name.map_or(keygate_str::NONE, |name| keygate_str::of(name.as_bytes()))
}

/// The label of a key.
///
/// The text lies inside the policy and lives as long. {NULL, 0} for a bad policy, an index beyond
/// the last, or a key without a label.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keygate_policy_key_label(
    policy: *const keygate_policy,
    index: usize,
) -> keygate_str {
    // SAFETY: passed on to the caller.
    let policy = unsafe { self::policy(policy) };
    let label = policy.and_then(|policy| policy.key_label(index));
    label.map_or(keygate_str::NONE, keygate_str::of)
}

/// Whether a header must be dropped before a request is forwarded that was decided so; the header's
/// part on FORWARDING says which are. It is asked with the decision as it came out of the call that
/// decided.
///
/// Returns true for every header after a deny, and for a bad argument.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keygate_policy_drops(
    policy: *const keygate_policy,
    decision: *const keygate_decision,
    name: keygate_str,
    value: keygate_str,
) -> bool {
    // SAFETY: passed on to the caller.
    let sound = unsafe {
        (
            self::policy(policy),
            allowed(decision),
            name.bytes(),
            value.bytes(),
        )
    };
    match sound {
        (Some(policy), Some(reason), Ok(name), Ok(value)) => {
            let decision = Decision::new(reason, policy.effective_mode());
            policy.drops(&decision, name, value)
        }
        _ => true,
    }
}

/// The lengths of the names that are read or may be dropped: bit n % 64 is set where one has n bytes.
/// A host may leave out every header whose name has another length: it changes nothing of a decision
/// but the header's index, and keygate_policy_drops is false for it unless the request is denied.
///
/// Returns all ones for a bad policy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keygate_policy_name_lengths(policy: *const keygate_policy) -> u64 {
    // SAFETY: passed on to the caller.
    unsafe { self::policy(policy) }.map_or(u64::MAX, Policy::name_lengths)
}

/// Decides about a request: keygate_evaluation_begin, a push of each header and a finish, in one
/// call. Headers after the one that settles the verdict are not looked at.
///
/// out: NULL, or a decision whose size is set; it is set to deny before anything else is read.
///
/// Returns KEYGATE_ALLOW (1) or KEYGATE_DENY (0) and nothing else. Any bad argument, an unusable
/// policy included, is a deny with KEYGATE_REASON_INVALID_CALL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keygate_decide(
    policy: *const keygate_policy,
    request: *const keygate_request,
    out: *mut keygate_decision,
) -> keygate_verdict {
    let output = Output::whole(out);
    let whole = size_of::<keygate_request>();
    // SAFETY: passed on to the caller. What `decide` borrows is no longer used when `out` is set.
    unsafe {
        if !out.is_null() {
            if check(out, 1).is_err() {
                return KEYGATE_DENY;
            }
            let size = (&raw const (*out).size).read();
            if size < output.known || isize::try_from(size).is_err() {
                return decide_other(policy, request, out);
            }
            if output.overlaps(policy, size_of::<keygate_policy>()) {
                return KEYGATE_DENY;
            }
            output.write(&keygate_decision::DENIAL);
        }
        if check(request, 1).is_err() {
            return KEYGATE_DENY;
        }
        if output.overlaps(request, whole) || (&raw const (*request).size).read() != whole {
            return decide_other(policy, request, out);
        }
        output.set(decide(policy, &*request, &output))
    }
}

/// Begins a decision that is fed one header at a time.
///
/// evaluation: size bytes of the caller's, normally sizeof(keygate_evaluation).
/// policy: kept until keygate_evaluation_finish; it must stay as it is for so long.
/// method, target: judged at once and not kept.
///
/// A bad argument shows in keygate_evaluation_finish, which then denies.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keygate_evaluation_begin(
    evaluation: *mut keygate_evaluation,
    size: usize,
    policy: *const keygate_policy,
    method: keygate_str,
    target: keygate_str,
) {
    if check(evaluation, 1).is_err() {
        return;
    }
    let whole = size_of::<keygate_evaluation>();
    let ours = size.min(whole);
    if overlap(evaluation, ours, policy, size_of::<keygate_policy>()) {
        return; // a policy is never written to, and its first words begin no evaluation
    }
    // SAFETY: the caller says that it has this many bytes; the rest as passed on to the caller.
    unsafe {
        ptr::write_bytes(evaluation.cast::<u8>(), 0, ours);
        if size < whole {
            return;
        }
        let (Some(core), Ok(method), Ok(target)) =
            (self::policy(policy), method.bytes(), target.bytes())
        else {
            return;
        };
        let begun = core.evaluate(method, target);
        evaluation
            .cast::<StoredEvaluation>()
            .write(StoredEvaluation {
                mark: EVALUATION_MARK,
                policy,
                evaluation: begun,
            });
    }
}

/// The evaluation in a caller's storage, where it was begun, is not finished, and its policy is
/// still there.
///
/// # Safety
///
/// A whole `keygate_evaluation` is readable and writable at `pointer`, and no other thread uses it.
unsafe fn evaluation<'a>(pointer: *mut keygate_evaluation) -> Option<&'a mut StoredEvaluation> {
    check(pointer, 1).ok()?;
    let stored = pointer.cast::<StoredEvaluation>();
    // SAFETY: readable and aligned; any bytes make a number. The mark is there, so
    // `keygate_evaluation_begin` wrote the rest.
    unsafe {
        if (&raw const (*stored).mark).read() != EVALUATION_MARK {
            return None;
        }
        policy((*stored).policy)?;
        Some(&mut *stored)
    }
}

/// Takes the next header, in the order received. Nothing of it is kept, so one small buffer serves
/// for all of them.
///
/// Returns false where nothing that follows can change the verdict; the rest may be left out then,
/// and pushing it does no harm. A bad argument returns false too and makes
/// keygate_evaluation_finish deny.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keygate_evaluation_push(
    evaluation: *mut keygate_evaluation,
    name: keygate_str,
    value: keygate_str,
) -> bool {
    // SAFETY: passed on to the caller.
    unsafe {
        let Some(stored) = self::evaluation(evaluation) else {
            return false;
        };
        if !stored.evaluation.is_open() {
            return false;
        }
        let header = keygate_header { name, value };
        let header = Unchecked::at(stored.evaluation.next(), &header);
        let is_open = stored.evaluation.push_field(header);
        if is_open.is_err() {
            stored.mark = 0;
        }
        is_open.unwrap_or(false)
    }
}

/// Ends an evaluation: the decision about the headers pushed so far. The evaluation must be begun
/// anew before it is used again; until then it denies.
///
/// out: NULL, or a decision whose size is set. It must not overlap the evaluation.
///
/// Returns KEYGATE_ALLOW (1) or KEYGATE_DENY (0) and nothing else.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keygate_evaluation_finish(
    evaluation: *mut keygate_evaluation,
    out: *mut keygate_decision,
) -> keygate_verdict {
    // SAFETY: passed on to the caller. The evaluation is taken out before `out` is set.
    unsafe {
        let taken = self::evaluation(evaluation).map(|stored| {
            stored.mark = 0;
            (stored.policy, stored.evaluation.clone().finish())
        });
        let policy = taken.map_or(ptr::null(), |(policy, _)| policy);
        let Some(output) = Output::new(out, policy) else {
            return KEYGATE_DENY;
        };
        if output.overlaps(evaluation, size_of::<keygate_evaluation>()) {
            return KEYGATE_DENY;
        }
        output.set(taken.map(|(_, decision)| decision))
    }
}

/// Says why a request is decided as it is, for the operator and never for the client: what it finds
/// out about a wrong key shows in the text and in the time it takes. It holds header names and
/// lengths, and no byte of a key or of a credential.
///
/// buffer: size bytes of the caller's; NULL is fine with size 0. As much as fits is written, always
/// with a NUL at its end where size is not 0. NULL, or a size above PTRDIFF_MAX, counts as size 0.
/// It must not overlap the policy: then nothing is written and 0 returned.
///
/// Returns the length of the whole text in bytes without the NUL, like snprintf: what is below
/// size was written whole. Lines end in '\n' but for the last. For a bad argument the text is that
/// of KEYGATE_REASON_INVALID_CALL and names the argument.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keygate_explain(
    policy: *const keygate_policy,
    request: *const keygate_request,
    language: keygate_language,
    buffer: *mut c_char,
    size: usize,
) -> usize {
    let language = self::language(language);
    let mut to = Buffer::new(buffer, size);
    if overlap(buffer, to.size, policy, size_of::<keygate_policy>()) {
        return 0;
    }
    // SAFETY: passed on to the caller. An explanation borrows from the policy alone.
    let _ = unsafe {
        match explain(policy, request) {
            Some(explanation) => explanation.write(language, &mut to),
            None => Fault::of(policy, request).write(language, &mut to),
        }
    };
    // SAFETY: passed on to the caller.
    unsafe { to.end() }
}

/// The argument that made a call invalid.
struct Fault {
    argument: &'static str,
    header: Option<usize>,
    status: keygate_status,
}

impl Fault {
    /// # Safety
    ///
    /// As for `keygate_decide`.
    unsafe fn of(policy: *const keygate_policy, request: *const keygate_request) -> Self {
        let fault = |argument, status| Self {
            argument,
            header: None,
            status,
        };
        // SAFETY: passed on to the caller.
        unsafe {
            if let Err(status) = check(policy, 1) {
                return fault("policy", status);
            }
            if self::policy(policy).is_none() {
                return fault("policy", KEYGATE_ERR_STATE);
            }
            if let Err(status) = check(request, 1) {
                return fault("request", status);
            }
            let request = match read(request) {
                Ok(request) => request,
                Err(status) => return fault("request.size", status),
            };
            if let Err(status) = request.method.bytes() {
                return fault("request.method", status);
            }
            if let Err(status) = request.target.bytes() {
                return fault("request.target", status);
            }
            let headers = match array(request.headers, request.header_count) {
                Ok(headers) => headers,
                Err(status) => return fault("request.headers", status),
            };
            for (index, header) in headers.iter().enumerate() {
                for (argument, text) in [("name", header.name), ("value", header.value)] {
                    if let Err(status) = text.bytes() {
                        return Self {
                            argument,
                            header: Some(index),
                            status,
                        };
                    }
                }
            }
        }
        fault("request", KEYGATE_ERR_SIZE)
    }

    fn write(&self, language: Language, to: &mut impl fmt::Write) -> fmt::Result {
        to.write_str(Reason::InvalidCall.text(language))?;
        to.write_str(": ")?;
        if let Some(index) = self.header {
            to.write_str("request.headers[")?;
            number(to, index)?;
            to.write_str("].")?;
        }
        to.write_str(self.argument)?;
        to.write_str(": ")?;
        to.write_str(status_texts(self.status).1.get(language))
    }
}

/// The same as codes: bit i is row i of the table of findings, and keygate_finding_name gives its
/// name. 0 for a bad argument. For the operator, never for the client.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keygate_findings(
    policy: *const keygate_policy,
    request: *const keygate_request,
) -> u32 {
    // SAFETY: passed on to the caller.
    unsafe { explain(policy, request) }.map_or(0, |explanation| explanation.findings().bits())
}

/// The number of the one bit that is set.
fn number_of(one_bit: u32) -> Option<u8> {
    let number = u8::try_from(one_bit.trailing_zeros()).ok()?;
    one_bit.is_power_of_two().then_some(number)
}

fn finding(one_bit: u32) -> Option<Finding> {
    number_of(one_bit).and_then(Finding::with_code)
}

/// The name of a finding, "bearer_no_space" for example. Static; "unknown" unless exactly one known
/// bit is set.
#[unsafe(no_mangle)]
pub extern "C" fn keygate_finding_name(one_bit: u32) -> *const c_char {
    finding(one_bit)
        .map_or(c"unknown", Finding::c_name)
        .as_ptr()
}

/// What a finding means, in one sentence. Static; "unknown finding" unless exactly one known bit is
/// set.
#[unsafe(no_mangle)]
pub extern "C" fn keygate_finding_text(one_bit: u32, language: keygate_language) -> *const c_char {
    let unknown = text(c"unknown finding", c"未知的发现");
    let texts = finding(one_bit).map_or(unknown, Finding::texts);
    texts.c_str(self::language(language)).as_ptr()
}

/// What is probably a mistake in the configuration that a policy was made from: bit i is row i of the
/// table of lints. A host logs each as a warning, name and text, when it starts and when it reloads. 0
/// for a bad policy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keygate_lints(policy: *const keygate_policy) -> u32 {
    // SAFETY: passed on to the caller.
    unsafe { self::policy(policy) }.map_or(0, |policy| policy.lints().bits())
}

fn lint(one_bit: u32) -> Option<Lint> {
    number_of(one_bit).and_then(Lint::with_code)
}

/// The name of a lint, "key_short" for example. Static; "unknown" unless exactly one known bit is set.
#[unsafe(no_mangle)]
pub extern "C" fn keygate_lint_name(one_bit: u32) -> *const c_char {
    lint(one_bit).map_or(c"unknown", Lint::c_name).as_ptr()
}

/// What a lint means and what to change, in one sentence without a byte of a key. Static; "unknown lint"
/// unless exactly one known bit is set.
#[unsafe(no_mangle)]
pub extern "C" fn keygate_lint_text(one_bit: u32, language: keygate_language) -> *const c_char {
    let unknown = text(c"unknown lint", c"未知的检查项");
    let texts = lint(one_bit).map_or(unknown, Lint::texts);
    texts.c_str(self::language(language)).as_ptr()
}

/// Makes a fresh key: "sk-" and 32 lower-case hexadecimal digits.
///
/// random: 16 bytes from the system's source of randomness.
/// buffer: size bytes of the caller's, at least KEYGATE_GENERATED_KEY_SIZE (36). With less, it gets
/// an empty text: half a key is none. NULL is fine with size 0.
///
/// Returns 35, the length of the key without the NUL, or 0 for a bad argument.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keygate_generate_key(
    random: *const u8,
    buffer: *mut c_char,
    size: usize,
) -> usize {
    let mut to = Buffer::new(buffer, size);
    if to.size != size {
        return 0;
    }
    // SAFETY: the caller says that 16 bytes are readable. They are copied before `buffer` is
    // written, which may be the same.
    unsafe {
        let Some(random) = array(random, 16)
            .ok()
            .and_then(|random| random.first_chunk())
        else {
            to.end();
            return 0;
        };
        let mut random = *random;
        let key = crate::generate::generate_key(&random);
        random.zeroize();
        if size >= KEYGATE_GENERATED_KEY_SIZE {
            let _ = fmt::Write::write_str(&mut to, key.as_str());
        }
        to.end();
        key.as_bytes().len()
    }
}

/// One sentence for the operator's log. Static; "unknown reason" for any other number.
#[unsafe(no_mangle)]
pub extern "C" fn keygate_reason_text(
    reason: keygate_reason,
    language: keygate_language,
) -> *const c_char {
    let unknown = text(c"unknown reason", c"未知的原因");
    let texts = Reason::with_code(reason).map_or(unknown, Reason::texts);
    texts.c_str(self::language(language)).as_ptr()
}

/// The name of a reason, "key_mismatch" for example. Static; "unknown" for any other number.
#[unsafe(no_mangle)]
pub extern "C" fn keygate_reason_name(reason: keygate_reason) -> *const c_char {
    Reason::with_code(reason)
        .map_or(c"unknown", Reason::c_name)
        .as_ptr()
}

/// The name of a field, "auth_mode" or "keys.label" for example, and "" of KEYGATE_FIELD_CONFIG. Static;
/// "unknown" for any other number.
#[unsafe(no_mangle)]
pub extern "C" fn keygate_field_name(field: i32) -> *const c_char {
    ConfigField::with_code(field)
        .map_or(c"unknown", ConfigField::c_name)
        .as_ptr()
}

/// The name of a mode, "all_except_health" for example. Static; "unknown" for any other number.
#[unsafe(no_mangle)]
pub extern "C" fn keygate_mode_name(mode: keygate_mode) -> *const c_char {
    AuthMode::with_code(mode)
        .map_or(c"unknown", AuthMode::c_name)
        .as_ptr()
}

/// The name and the sentence of a status.
fn status_texts(status: keygate_status) -> (&'static CStr, Text) {
    match status {
        KEYGATE_OK => (c"ok", text(c"no error", c"没有错误")),
        KEYGATE_ERR_NULL => (
            c"null",
            text(
                c"a pointer that must not be NULL is NULL",
                c"不能为 NULL 的指针是 NULL",
            ),
        ),
        KEYGATE_ERR_ALIGNMENT => (
            c"alignment",
            text(c"a pointer is not aligned", c"指针没有对齐"),
        ),
        KEYGATE_ERR_SIZE => (
            c"size",
            text(
                c"a size is too small, or a struct has fields that this library does not know",
                c"大小不足,或者结构体中有该库不认识的字段",
            ),
        ),
        KEYGATE_ERR_LENGTH => (
            c"length",
            text(
                c"a length is greater than half the address space, or runs past its end",
                c"长度超过地址空间的一半,或者超出其末尾",
            ),
        ),
        KEYGATE_ERR_FLAGS => (
            c"flags",
            text(
                c"a flag is unknown or contradicts the rest",
                c"标志未知,或与其余内容矛盾",
            ),
        ),
        KEYGATE_ERR_OVERLAP => (
            c"overlap",
            text(
                c"an output overlaps the policy or an input",
                c"输出与 policy 或输入重叠",
            ),
        ),
        KEYGATE_ERR_STATE => (
            c"state",
            text(
                c"it was never made or begun, or it is wiped",
                c"尚未创建或开始,或者已被清除",
            ),
        ),
        other => ConfigErrorKind::with_code(other).map_or(
            (c"unknown", text(c"unknown status", c"未知的状态")),
            |kind| (kind.c_name(), kind.texts()),
        ),
    }
}

/// The name of a status, "key_too_long" for example. Static; "unknown" for any other number.
#[unsafe(no_mangle)]
pub extern "C" fn keygate_status_name(status: keygate_status) -> *const c_char {
    status_texts(status).0.as_ptr()
}

/// What a status means, in words. Static; "unknown status" for any other number.
/// keygate_config_error_text says more.
#[unsafe(no_mangle)]
pub extern "C" fn keygate_status_text(
    status: keygate_status,
    language: keygate_language,
) -> *const c_char {
    let (_, texts) = status_texts(status);
    texts.c_str(self::language(language)).as_ptr()
}

/// The reason of a decision.
///
/// # Safety
///
/// `decision` is NULL, or as many bytes as the struct says are readable there.
unsafe fn decided(decision: *const keygate_decision) -> Option<Reason> {
    check(decision, 1).ok()?;
    // SAFETY: aligned and readable; `reason` only where the struct is long enough.
    let code = unsafe {
        if (&raw const (*decision).size).read() < LEAST + size_of::<keygate_reason>() {
            return None;
        }
        (&raw const (*decision).reason).read()
    };
    Reason::with_code(code)
}

/// The reason of an allow, where the verdict says so too.
///
/// # Safety
///
/// As for `decided`.
unsafe fn allowed(decision: *const keygate_decision) -> Option<Reason> {
    // SAFETY: passed on to the caller. With a reason, the struct is long enough for a verdict.
    unsafe {
        let reason = decided(decision)?;
        let verdict = (&raw const (*decision).verdict).read();
        (verdict == KEYGATE_ALLOW && reason.verdict() == Verdict::Allow).then_some(reason)
    }
}

/// What to answer a denied request; for anything that is no denial, what an invalid key gets.
///
/// # Safety
///
/// As for `decided`.
unsafe fn denial(decision: *const keygate_decision) -> Denial {
    // SAFETY: passed on to the caller.
    unsafe { decided(decision) }
        .and_then(Reason::denial)
        .unwrap_or(Denial::CLOSED)
}

/// The body to answer a denied request with, of type application/json. Static; never NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keygate_denial_body(decision: *const keygate_decision) -> *const c_char {
    // SAFETY: passed on to the caller.
    unsafe { denial(decision) }.body.as_ptr()
}

/// The headers to answer a denied request with, and status 401: ask for index 0, 1, 2 and so on
/// until it returns false.
///
/// policy: that which decided; a bad one is one without allow_origin.
/// out: set to a header, whose texts are static or lie in the policy; to two empty strings after the
/// last.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keygate_denial_header(
    policy: *const keygate_policy,
    decision: *const keygate_decision,
    index: usize,
    out: *mut keygate_header,
) -> bool {
    if check(out, 1).is_err() {
        return false;
    }
    // SAFETY: passed on to the caller. The decision is read before `out` is written.
    unsafe {
        let origin = self::policy(policy).and_then(Policy::allow_origin);
        let header = denial_header(denial(decision), origin, index);
        let (name, value) = header.unwrap_or_default();
        out.write(keygate_header {
            name: keygate_str::of(name.as_bytes()),
            value: keygate_str::of(value.as_bytes()),
        });
        header.is_some()
    }
}

// A panic that can be reached calls what does not exist, and so cannot be linked.
#[cfg(all(panic = "abort", not(test)))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    unsafe extern "C" {
        fn keygate_a_panic_can_be_reached() -> !;
    }
    // SAFETY: never linked, so never called.
    unsafe { keygate_a_panic_can_be_reached() }
}
