//! What a person writes.

use core::ffi::CStr;
use core::fmt;
use core::str::FromStr;

use crate::decision::plain;
use crate::{
    MAX_EXEMPT, MAX_EXEMPT_LEN, MAX_KEY_LEN, MAX_KEYS, MAX_LABEL_LEN, MAX_SOURCE_NAME_LEN,
    MAX_SOURCES,
};

/// How requests are guarded, as configured. There is no default: the operator must choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum AuthMode {
    /// Every request but a preflight needs a key, the exempt paths included.
    Strict = 0,
    /// No request needs a key.
    Off = 1,
    /// Every request needs a key but a preflight and GET or HEAD of an exempt path.
    AllExceptHealth = 2,
    /// `all_except_health` where `allow_lan_access` is true, `off` where it is false.
    Auto = 3,
}

impl AuthMode {
    const ALL: [Self; 4] = [Self::Off, Self::Strict, Self::AllExceptHealth, Self::Auto];

    /// The name with a NUL at its end, for the C interface.
    pub(crate) const fn c_name(self) -> &'static CStr {
        match self {
            Self::Strict => c"strict",
            Self::Off => c"off",
            Self::AllExceptHealth => c"all_except_health",
            Self::Auto => c"auto",
        }
    }

    /// The name in a configuration: `off`, `strict`, `all_except_health` or `auto`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        plain(self.c_name())
    }

    pub(crate) fn from_bytes(name: &[u8]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|mode| mode.name().as_bytes() == name)
    }

    /// What the mode comes to.
    #[must_use]
    pub const fn effective(self, allow_lan_access: bool) -> EffectiveMode {
        match (self, allow_lan_access) {
            (Self::Strict, _) => EffectiveMode::Strict,
            (Self::Off, _) | (Self::Auto, false) => EffectiveMode::Off,
            (Self::AllExceptHealth, _) | (Self::Auto, true) => EffectiveMode::AllExceptHealth,
        }
    }
}

impl fmt::Display for AuthMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for AuthMode {
    type Err = UnknownAuthMode;

    /// Takes the exact name, in lower case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_bytes(text.as_bytes()).ok_or(UnknownAuthMode)
    }
}

/// The text names no [`AuthMode`]. It is not repeated here: it may have been a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownAuthMode;

impl fmt::Display for UnknownAuthMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("auth_mode: must be off, strict, all_except_health or auto")
    }
}

impl core::error::Error for UnknownAuthMode {}

/// What an [`AuthMode`] comes to once `auto` is resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum EffectiveMode {
    /// Every request but a preflight needs a key.
    Strict = 0,
    /// No request needs a key.
    Off = 1,
    /// Every request needs a key but a preflight and GET or HEAD of an exempt path.
    AllExceptHealth = 2,
}

impl EffectiveMode {
    /// The name: `off`, `strict` or `all_except_health`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Strict => AuthMode::Strict.name(),
            Self::Off => AuthMode::Off.name(),
            Self::AllExceptHealth => AuthMode::AllExceptHealth.name(),
        }
    }
}

impl fmt::Display for EffectiveMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A key that clients may present: 1 to 256 bytes of SP, HTAB and 0x21 to 0x7E, neither starting
/// nor ending with SP or HTAB, and no variable that was not expanded (`$NAME`, `${...}`, `{{...}}`,
/// `$env://...`, `%NAME%`).
///
/// It has no `Debug` form, so that none shows the secret:
///
/// ```compile_fail
/// println!("{:?}", keygate::Key::new("sk-example"));
/// ```
#[derive(Clone, Copy)]
pub struct Key<'a> {
    pub(crate) secret: &'a [u8],
    pub(crate) label: &'a [u8],
}

impl<'a> Key<'a> {
    /// A key without a label.
    pub fn new(secret: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        Self {
            secret: secret.as_ref(),
            label: &[],
        }
    }

    /// Names the key in decisions: at most 32 bytes of 0x21 to 0x7E, none of them secret.
    #[must_use]
    pub fn label(self, label: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        Self {
            label: label.as_ref(),
            ..self
        }
    }
}

/// A header field that a credential is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) bearer: bool,
}

impl<'a> Source<'a> {
    /// A header whose whole value is the credential. The name is a token of 1 to 32 bytes
    /// (RFC 9110 section 5.6.2).
    pub fn new(name: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        Self {
            name: name.as_ref(),
            bearer: false,
        }
    }

    /// A header whose value may start with `Bearer ` (RFC 6750 section 2.1), which is not part
    /// of the credential.
    pub fn bearer(name: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        Self {
            bearer: true,
            ..Self::new(name)
        }
    }
}

/// A path that `all_except_health` leaves open to GET and HEAD: 1 to 64 bytes of 0x21 to 0x7E that
/// start with `/` and hold neither `?` nor `#`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exempt<'a> {
    pub(crate) path: &'a [u8],
}

impl<'a> Exempt<'a> {
    /// The path, which a request must equal byte for byte.
    pub fn new(path: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        Self {
            path: path.as_ref(),
        }
    }
}

/// The configuration that a [`Policy`](crate::Policy) is made from.
///
/// ```
/// use keygate::{AuthMode, Config, Exempt, Key, Policy, Source};
///
/// let policy = Policy::new(
///     &Config::new(AuthMode::Auto)
///         .allow_lan_access(true)
///         .keys(&[Key::new("sk-new").label("laptop"), Key::new("sk-old")])
///         .sources(&[Source::bearer("authorization"), Source::new("api-key")])
///         .exempt(&[Exempt::new("/healthz"), Exempt::new("/readyz")]),
/// )?;
/// assert!(policy.decide("GET", "/v1/models", [("api-key", "sk-old")]).is_allow());
/// # Ok::<(), keygate::ConfigError>(())
/// ```
#[derive(Clone, Copy)]
pub struct Config<'a> {
    pub(crate) auth_mode: AuthMode,
    pub(crate) allow_lan_access: bool,
    pub(crate) api_key: Option<&'a [u8]>,
    pub(crate) keys: Option<&'a [Key<'a>]>,
    pub(crate) sources: Option<&'a [Source<'a>]>,
    pub(crate) exempt: Option<&'a [Exempt<'a>]>,
}

impl<'a> Config<'a> {
    /// No key, the default sources, `/healthz` exempt, `allow_lan_access` false.
    #[must_use]
    pub const fn new(auth_mode: AuthMode) -> Self {
        Self {
            auth_mode,
            allow_lan_access: false,
            api_key: None,
            keys: None,
            sources: None,
            exempt: None,
        }
    }

    /// What `auto` comes to; other modes take no notice of it.
    #[must_use]
    pub const fn allow_lan_access(self, allow_lan_access: bool) -> Self {
        Self {
            allow_lan_access,
            ..self
        }
    }

    /// The one key, without a label. An empty one is no key: the policy then denies whatever
    /// needs one. Giving this and [`keys`](Self::keys) is an error.
    #[must_use]
    pub fn api_key(self, api_key: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        Self {
            api_key: Some(api_key.as_ref()),
            ..self
        }
    }

    /// Up to 8 keys, so that one can be retired after the next is in use. Equal keys are
    /// allowed; a decision names the lowest index.
    #[must_use]
    pub const fn keys(self, keys: &'a [Key<'a>]) -> Self {
        Self {
            keys: Some(keys),
            ..self
        }
    }

    /// Up to 8 header names in order of precedence, in place of `authorization` (Bearer),
    /// `x-api-key` and `x-goog-api-key`.
    #[must_use]
    pub const fn sources(self, sources: &'a [Source<'a>]) -> Self {
        Self {
            sources: Some(sources),
            ..self
        }
    }

    /// Up to 8 exempt paths in place of `/healthz`.
    #[must_use]
    pub const fn exempt(self, exempt: &'a [Exempt<'a>]) -> Self {
        Self {
            exempt: Some(exempt),
            ..self
        }
    }
}

impl fmt::Debug for Config<'_> {
    /// Shows how many keys there are and nothing else of them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("auth_mode", &self.auth_mode)
            .field("allow_lan_access", &self.allow_lan_access)
            .field("api_key", &self.api_key.is_some())
            .field("keys", &self.keys.map(<[_]>::len))
            .field("sources", &self.sources)
            .field("exempt", &self.exempt)
            .finish()
    }
}

/// What is wrong with a configuration. The numbers are the status codes of the C interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(i32)]
pub enum ConfigErrorKind {
    /// `api_key` and `keys` are both given.
    ApiKeyAndKeys = -16,
    /// More than 8 keys.
    TooManyKeys = -17,
    /// A key in `keys` is empty.
    KeyEmpty = -18,
    /// A key is longer than 256 bytes.
    KeyTooLong = -19,
    /// A key holds a byte that no header value can carry.
    KeyByte = -20,
    /// A key starts or ends with a space or a tab, which a header value would lose.
    KeyEdge = -21,
    /// A label is longer than 32 bytes.
    LabelTooLong = -22,
    /// More than 8 sources.
    TooManySources = -23,
    /// A source's name is longer than 32 bytes.
    SourceTooLong = -24,
    /// A source's name is empty or not an HTTP token.
    SourceNotToken = -25,
    /// A source's name stands twice.
    SourceTwice = -26,
    /// More than 8 exempt paths.
    TooManyExempt = -27,
    /// An exempt path is longer than 64 bytes.
    ExemptTooLong = -28,
    /// An exempt path does not start with `/`.
    ExemptNoSlash = -29,
    /// An exempt path holds `?` or `#`.
    ExemptNotPath = -30,
    /// A key is a variable that nothing has expanded.
    KeyVariable = -31,
    /// A label holds a byte outside 0x21 to 0x7E.
    LabelByte = -32,
    /// An exempt path holds a byte outside 0x21 to 0x7E.
    ExemptByte = -33,
}

impl ConfigErrorKind {
    /// Every kind, in order of its number from -16 down.
    #[cfg(feature = "capi")]
    pub(crate) const ALL: [Self; 18] = [
        Self::ApiKeyAndKeys,
        Self::TooManyKeys,
        Self::KeyEmpty,
        Self::KeyTooLong,
        Self::KeyByte,
        Self::KeyEdge,
        Self::LabelTooLong,
        Self::TooManySources,
        Self::SourceTooLong,
        Self::SourceNotToken,
        Self::SourceTwice,
        Self::TooManyExempt,
        Self::ExemptTooLong,
        Self::ExemptNoSlash,
        Self::ExemptNotPath,
        Self::KeyVariable,
        Self::LabelByte,
        Self::ExemptByte,
    ];

    /// The pinned number.
    #[must_use]
    pub const fn code(self) -> i32 {
        self as i32
    }

    /// The list that the field stands in, and the field's name there.
    const fn field(self) -> (&'static str, &'static str) {
        match self {
            Self::ApiKeyAndKeys => ("api_key", ""),
            Self::TooManyKeys => ("keys", ""),
            Self::KeyEmpty
            | Self::KeyTooLong
            | Self::KeyByte
            | Self::KeyEdge
            | Self::KeyVariable => ("keys", ".key"),
            Self::LabelTooLong | Self::LabelByte => ("keys", ".label"),
            Self::TooManySources => ("sources", ""),
            Self::SourceTooLong | Self::SourceNotToken | Self::SourceTwice => ("sources", ".name"),
            Self::TooManyExempt
            | Self::ExemptTooLong
            | Self::ExemptNoSlash
            | Self::ExemptNotPath
            | Self::ExemptByte => ("exempt", ""),
        }
    }

    /// The text with a NUL at its end, for the C interface.
    pub(crate) const fn c_text(self) -> &'static CStr {
        match self {
            Self::ApiKeyAndKeys => c"api_key and keys are both given; give one of the two",
            Self::TooManyKeys => c"there are more than 8 keys",
            Self::KeyEmpty => c"a key is empty; a key has 1 to 256 bytes",
            Self::KeyTooLong => c"a key is longer than 256 bytes",
            Self::KeyByte => {
                c"a key holds a byte that no header value can carry; allowed are space, tab and 0x21 to 0x7E"
            }
            Self::KeyEdge => {
                c"a key starts or ends with a space or a tab, which a header value would lose"
            }
            Self::LabelTooLong => c"a key's label is longer than 32 bytes",
            Self::TooManySources => c"there are more than 8 sources",
            Self::SourceTooLong => c"a source's name is longer than 32 bytes",
            Self::SourceNotToken => c"a source's name is not an HTTP header name",
            Self::SourceTwice => {
                c"a source's name stands twice; header names compare without regard to case"
            }
            Self::TooManyExempt => c"there are more than 8 exempt paths",
            Self::ExemptTooLong => c"an exempt path is longer than 64 bytes",
            Self::ExemptNoSlash => c"an exempt path does not start with /",
            Self::ExemptNotPath => c"an exempt path holds ? or #, which end a path",
            Self::KeyVariable => {
                c"a key is a variable that was not expanded: whoever sends that text would pass"
            }
            Self::LabelByte => {
                c"a key's label holds a byte that no log or header value should; allowed are 0x21 to 0x7E"
            }
            Self::ExemptByte => {
                c"an exempt path holds a byte that no request target has; allowed are 0x21 to 0x7E"
            }
        }
    }

    /// What is wrong, in words.
    #[must_use]
    pub const fn text(self) -> &'static str {
        plain(self.c_text())
    }
}

/// A configuration that can never work: which field, and why. It holds no byte of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConfigError {
    pub(crate) kind: ConfigErrorKind,
    pub(crate) index: Option<usize>,
}

impl ConfigError {
    /// What is wrong.
    #[must_use]
    pub const fn kind(self) -> ConfigErrorKind {
        self.kind
    }

    /// Which entry of the list it is about. `None` for the list itself and for `api_key`.
    #[must_use]
    pub const fn index(self) -> Option<usize> {
        self.index
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (list, field) = self.kind.field();
        match self.index {
            Some(index) => write!(f, "{list}[{index}]{field}: {}", self.kind.text()),
            None if field.is_empty() => write!(f, "{list}: {}", self.kind.text()),
            None => write!(f, "api_key: {}", self.kind.text()),
        }
    }
}

impl core::error::Error for ConfigError {}

const fn check(sound: bool, kind: ConfigErrorKind) -> Result<(), ConfigErrorKind> {
    if sound { Ok(()) } else { Err(kind) }
}

pub(crate) fn check_secret(secret: &[u8]) -> Result<(), ConfigErrorKind> {
    let edge = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    check(!secret.is_empty(), ConfigErrorKind::KeyEmpty)?;
    check(secret.len() <= MAX_KEY_LEN, ConfigErrorKind::KeyTooLong)?;
    check(
        secret.iter().copied().all(crate::credential::is_field_byte),
        ConfigErrorKind::KeyByte,
    )?;
    check(
        !edge(secret.first()) && !edge(secret.last()),
        ConfigErrorKind::KeyEdge,
    )?;
    check(!is_variable(secret), ConfigErrorKind::KeyVariable)
}

/// Whether a text is wholly a variable that a shell, a template or a host should have expanded:
/// `$NAME`, `${...}`, `{{...}}`, `$env://...`, `%NAME%`.
fn is_variable(text: &[u8]) -> bool {
    match text {
        [b'$', b'{', _, .., b'}'] | [b'{', b'{', .., b'}', b'}'] => true,
        [b'%', name @ .., b'%'] => is_variable_name(name),
        [b'$', rest @ ..] => rest.starts_with(b"env://") || is_variable_name(rest),
        _ => false,
    }
}

fn is_variable_name(name: &[u8]) -> bool {
    let is_name_byte = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    name.first().is_some_and(|first| !first.is_ascii_digit()) && name.iter().all(is_name_byte)
}

const fn is_visible(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7e)
}

fn check_key(key: &Key<'_>) -> Result<(), ConfigErrorKind> {
    check_secret(key.secret)?;
    check(
        key.label.len() <= MAX_LABEL_LEN,
        ConfigErrorKind::LabelTooLong,
    )?;
    check(
        key.label.iter().copied().all(is_visible),
        ConfigErrorKind::LabelByte,
    )
}

fn check_source(name: &[u8]) -> Result<(), ConfigErrorKind> {
    check(
        name.len() <= MAX_SOURCE_NAME_LEN,
        ConfigErrorKind::SourceTooLong,
    )?;
    check(
        !name.is_empty() && name.iter().copied().all(is_token_byte),
        ConfigErrorKind::SourceNotToken,
    )
}

fn check_exempt(path: &[u8]) -> Result<(), ConfigErrorKind> {
    check(path.first() == Some(&b'/'), ConfigErrorKind::ExemptNoSlash)?;
    check(path.len() <= MAX_EXEMPT_LEN, ConfigErrorKind::ExemptTooLong)?;
    check(
        !path.iter().any(|byte| matches!(byte, b'?' | b'#')),
        ConfigErrorKind::ExemptNotPath,
    )?;
    check(
        path.iter().copied().all(is_visible),
        ConfigErrorKind::ExemptByte,
    )
}

/// RFC 9110 section 5.6.2, `tchar`.
const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

impl Config<'_> {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let all = |kind: ConfigErrorKind| ConfigError { kind, index: None };
        let at = |index| {
            move |kind: ConfigErrorKind| ConfigError {
                kind,
                index: Some(index),
            }
        };
        check(
            self.api_key.is_none() || self.keys.is_none(),
            ConfigErrorKind::ApiKeyAndKeys,
        )
        .map_err(all)?;
        if let Some(secret) = self.api_key.filter(|secret| !secret.is_empty()) {
            check_secret(secret).map_err(all)?;
        }
        let keys = self.keys.unwrap_or(&[]);
        check(keys.len() <= MAX_KEYS, ConfigErrorKind::TooManyKeys).map_err(all)?;
        for (index, key) in keys.iter().enumerate() {
            check_key(key).map_err(at(index))?;
        }
        let sources = self.sources.unwrap_or(&[]);
        check(
            sources.len() <= MAX_SOURCES,
            ConfigErrorKind::TooManySources,
        )
        .map_err(all)?;
        for (index, source) in sources.iter().enumerate() {
            check_source(source.name).map_err(at(index))?;
            let twice = sources
                .iter()
                .take(index)
                .any(|earlier| earlier.name.eq_ignore_ascii_case(source.name));
            check(!twice, ConfigErrorKind::SourceTwice).map_err(at(index))?;
        }
        let exempt = self.exempt.unwrap_or(&[]);
        check(exempt.len() <= MAX_EXEMPT, ConfigErrorKind::TooManyExempt).map_err(all)?;
        for (index, exempt) in exempt.iter().enumerate() {
            check_exempt(exempt.path).map_err(at(index))?;
        }
        Ok(())
    }
}
