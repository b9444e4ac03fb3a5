//! What a person writes.

mod error;
mod file;
mod keys;

use core::fmt;

pub use error::{ByteClass, ConfigError, ConfigErrorKind, ConfigField};
pub(crate) use file::{Form, read};
pub use keys::KeyFile;

use crate::header::{BEYOND_ONE_REQUEST, OF_THE_MESSAGE, PREFLIGHT, is_token_byte, spells_one_of};
use crate::limits::{
    MAX_EXEMPT_LEN, MAX_KEY_LEN, MAX_LABEL_LEN, MAX_ORIGIN_LEN, MAX_SCHEME_LEN, MAX_SOURCE_NAME_LEN,
};
use crate::mode::{AuthMode, MatchMode, Preflight, Strip};

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
    /// Empty: none.
    pub(crate) scheme: &'a [u8],
}

impl<'a> Source<'a> {
    /// A header whose whole value is the credential. The name is a token of 1 to 32 bytes
    /// (RFC 9110 section 5.6.2), and none that belongs to the message itself, `Host` for example.
    pub fn new(name: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        Self {
            name: name.as_ref(),
            bearer: false,
            scheme: &[],
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

    /// A header whose value may start with this auth-scheme, in any case, and one or more spaces (RFC
    /// 9110 section 11.4), which are not part of the credential. The scheme is a token of 1 to 16
    /// bytes.
    ///
    /// ```
    /// # use keygate::{AuthMode, Config, Policy, Source};
    /// let sources = [Source::scheme("authorization", "Token")];
    /// let config = Config::new(AuthMode::Strict).api_key("sk-example").sources(&sources);
    /// let policy = Policy::new(&config)?;
    /// assert!(policy.decide("GET", "/", [("Authorization", "token  sk-example")]).is_allow());
    /// # Ok::<(), keygate::ConfigError>(())
    /// ```
    pub fn scheme(
        name: &'a (impl AsRef<[u8]> + ?Sized),
        scheme: &'a (impl AsRef<[u8]> + ?Sized),
    ) -> Self {
        Self {
            scheme: scheme.as_ref(),
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
    pub(crate) rules: Rules,
    pub(crate) api_key: Option<&'a [u8]>,
    pub(crate) keys: Option<&'a [Key<'a>]>,
    pub(crate) sources: Option<&'a [Source<'a>]>,
    pub(crate) exempt: Option<&'a [Exempt<'a>]>,
    pub(crate) identity_header: Option<&'a [u8]>,
    pub(crate) allow_origin: Option<&'a [u8]>,
}

/// What an operator chooses among a few.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) auth_mode: AuthMode,
    pub(crate) allow_lan_access: bool,
    pub(crate) match_mode: MatchMode,
    pub(crate) preflight: Preflight,
    pub(crate) strip: Strip,
}

impl Rules {
    pub(crate) const fn new(auth_mode: AuthMode) -> Self {
        Self {
            auth_mode,
            allow_lan_access: false,
            match_mode: MatchMode::First,
            preflight: Preflight::Options,
            strip: Strip::Sources,
        }
    }
}

impl<'a> Config<'a> {
    /// No key, the default sources, `/healthz` exempt, `allow_lan_access` false, and the default of
    /// [`MatchMode`], [`Preflight`] and [`Strip`].
    #[must_use]
    pub const fn new(auth_mode: AuthMode) -> Self {
        Self {
            rules: Rules::new(auth_mode),
            api_key: None,
            keys: None,
            sources: None,
            exempt: None,
            identity_header: None,
            allow_origin: None,
        }
    }

    /// What `auto` resolves to; other modes ignore it.
    #[must_use]
    pub const fn allow_lan_access(mut self, allow_lan_access: bool) -> Self {
        self.rules.allow_lan_access = allow_lan_access;
        self
    }

    /// Whether the first source that is present decides, or a right key in any is enough.
    #[must_use]
    pub const fn match_mode(mut self, match_mode: MatchMode) -> Self {
        self.rules.match_mode = match_mode;
        self
    }

    /// Which requests pass as a preflight, without a key.
    #[must_use]
    pub const fn preflight(mut self, preflight: Preflight) -> Self {
        self.rules.preflight = preflight;
        self
    }

    /// Which of the sources' headers a host drops before it forwards a request.
    #[must_use]
    pub const fn strip(mut self, strip: Strip) -> Self {
        self.rules.strip = strip;
        self
    }

    /// A header in which hosts tell what they forward to the label of the key that matched: a token of
    /// 1 to 32 bytes, and no spelling of a source or of any header that the gate reads or drops.
    #[must_use]
    pub fn identity_header(self, name: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        Self {
            identity_header: Some(name.as_ref()),
            ..self
        }
    }

    /// What hosts send as `Access-Control-Allow-Origin` with their 401, so that a browser's script can
    /// read it: `*` or an origin of 1 to 128 bytes of 0x21 to 0x7E.
    #[must_use]
    pub fn allow_origin(self, origin: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        Self {
            allow_origin: Some(origin.as_ref()),
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
            .field("rules", &self.rules)
            .field("api_key", &self.api_key.is_some())
            .field("keys", &self.keys.map(<[_]>::len))
            .field("sources", &self.sources)
            .field("exempt", &self.exempt)
            .field("identity_header", &self.identity_header)
            .field("allow_origin", &self.allow_origin)
            .finish()
    }
}

/// Where the parts of a configuration go, each checked already. As it stands here, one takes
/// anything and keeps nothing.
pub(crate) trait Draft {
    /// `false`: there is no room for another one.
    fn key(&mut self, _: &Key<'_>) -> bool {
        true
    }
    fn source(&mut self, _: &Source<'_>) -> bool {
        true
    }
    fn exempt(&mut self, _: &Exempt<'_>) -> bool {
        true
    }
    fn identity_header(&mut self, _: &[u8]) -> bool {
        true
    }
    fn allow_origin(&mut self, _: &[u8]) -> bool {
        true
    }
    fn has_source(&self, _: &[u8]) -> bool {
        false
    }
    /// Whether the identity header is a spelling of a source.
    fn identity_is_source(&self) -> bool {
        false
    }
    /// Comes last.
    fn rules(&mut self, _: &Rules) {}
}

/// Checks what a person wrote, field by field, and puts it into a draft.
pub(crate) struct Filler<'d, D> {
    pub(crate) draft: &'d mut D,
}

impl<D: Draft> Filler<'_, D> {
    pub(crate) fn key(
        &mut self,
        key: &Key<'_>,
        field: ConfigField,
        index: Option<usize>,
    ) -> Result<(), ConfigError> {
        let error = |kind, field| ConfigError::new(kind, field).at(index);
        check_secret(key.secret).map_err(|kind| ConfigError {
            byte_class: ByteClass::of(key.secret).filter(|_| kind == ConfigErrorKind::KeyByte),
            ..error(kind, field)
        })?;
        check_label(key.label).map_err(|kind| error(kind, ConfigField::Label))?;
        let too_many = ConfigError::new(ConfigErrorKind::TooManyKeys, ConfigField::Keys);
        self.draft.key(key).then_some(()).ok_or(too_many)
    }

    pub(crate) fn source(&mut self, source: &Source<'_>, index: usize) -> Result<(), ConfigError> {
        let error = |kind| ConfigError::new(kind, ConfigField::SourceName).at(Some(index));
        check_header(source.name).map_err(error)?;
        if !source.scheme.is_empty() {
            let error = |kind| ConfigError::new(kind, ConfigField::Scheme).at(Some(index));
            check(!source.bearer, ConfigErrorKind::BearerAndScheme).map_err(error)?;
            check_scheme(source.scheme).map_err(error)?;
        }
        check(
            !self.draft.has_source(source.name),
            ConfigErrorKind::SourceTwice,
        )
        .map_err(error)?;
        let too_many = ConfigError::new(ConfigErrorKind::TooManySources, ConfigField::Sources);
        self.draft.source(source).then_some(()).ok_or(too_many)
    }

    pub(crate) fn exempt(&mut self, exempt: &Exempt<'_>, index: usize) -> Result<(), ConfigError> {
        check_exempt(exempt.path)
            .map_err(|kind| ConfigError::new(kind, ConfigField::Exempt).at(Some(index)))?;
        let too_many = ConfigError::new(ConfigErrorKind::TooManyExempt, ConfigField::Exempt);
        self.draft.exempt(exempt).then_some(()).ok_or(too_many)
    }

    pub(crate) fn identity_header(&mut self, name: &[u8]) -> Result<(), ConfigError> {
        let error = |kind| ConfigError::new(kind, ConfigField::IdentityHeader);
        check_header(name).map_err(error)?;
        let taken = spells_one_of(name, &PREFLIGHT) || spells_one_of(name, &BEYOND_ONE_REQUEST);
        check(!taken, ConfigErrorKind::IdentityTaken).map_err(error)?;
        let fits = self.draft.identity_header(name);
        check(fits, ConfigErrorKind::SourceTooLong).map_err(error)
    }

    pub(crate) fn allow_origin(&mut self, origin: &[u8]) -> Result<(), ConfigError> {
        let error = |kind| ConfigError::new(kind, ConfigField::AllowOrigin);
        let visible = origin.iter().copied().all(is_visible);
        check(
            !origin.is_empty() && origin.len() <= MAX_ORIGIN_LEN,
            ConfigErrorKind::OriginLength,
        )
        .map_err(error)?;
        let fits = visible && self.draft.allow_origin(origin);
        check(fits, ConfigErrorKind::OriginByte).map_err(error)
    }

    /// Comes after every other part.
    pub(crate) fn rules(&mut self, rules: &Rules) -> Result<(), ConfigError> {
        self.draft.rules(rules);
        check(
            !self.draft.identity_is_source(),
            ConfigErrorKind::IdentityTaken,
        )
        .map_err(|kind| ConfigError::new(kind, ConfigField::IdentityHeader))
    }

    pub(crate) fn default_sources(&mut self) -> Result<(), ConfigError> {
        for (index, source) in DEFAULT_SOURCES.iter().enumerate() {
            self.source(source, index)?;
        }
        Ok(())
    }

    pub(crate) fn default_exempt(&mut self) -> Result<(), ConfigError> {
        self.exempt(&DEFAULT_EXEMPT, 0)
    }
}

const DEFAULT_SOURCES: [Source<'static>; 3] = [
    Source {
        name: b"authorization",
        bearer: true,
        scheme: &[],
    },
    Source {
        name: b"x-api-key",
        bearer: false,
        scheme: &[],
    },
    Source {
        name: b"x-goog-api-key",
        bearer: false,
        scheme: &[],
    },
];
const DEFAULT_EXEMPT: Exempt<'static> = Exempt { path: b"/healthz" };

const fn check(sound: bool, kind: ConfigErrorKind) -> Result<(), ConfigErrorKind> {
    if sound { Ok(()) } else { Err(kind) }
}

/// U+FEFF, with which some editors begin a file.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

fn check_secret(secret: &[u8]) -> Result<(), ConfigErrorKind> {
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

fn check_label(label: &[u8]) -> Result<(), ConfigErrorKind> {
    check(label.len() <= MAX_LABEL_LEN, ConfigErrorKind::LabelTooLong)?;
    check(
        label.iter().copied().all(is_visible),
        ConfigErrorKind::LabelByte,
    )
}

/// The name of a source or of the identity header.
fn check_header(name: &[u8]) -> Result<(), ConfigErrorKind> {
    check(
        name.len() <= MAX_SOURCE_NAME_LEN,
        ConfigErrorKind::SourceTooLong,
    )?;
    check(is_token(name), ConfigErrorKind::SourceNotToken)?;
    check(
        !spells_one_of(name, &OF_THE_MESSAGE),
        ConfigErrorKind::HeaderReserved,
    )
}

fn check_scheme(scheme: &[u8]) -> Result<(), ConfigErrorKind> {
    check(
        scheme.len() <= MAX_SCHEME_LEN,
        ConfigErrorKind::SchemeTooLong,
    )?;
    check(is_token(scheme), ConfigErrorKind::SchemeNotToken)
}

fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().copied().all(is_token_byte)
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

impl Config<'_> {
    pub(crate) fn fill(&self, draft: &mut impl Draft) -> Result<(), ConfigError> {
        let mut to = Filler { draft };
        if self.api_key.is_some() && self.keys.is_some() {
            return Err(ConfigError::new(
                ConfigErrorKind::ApiKeyAndKeys,
                ConfigField::ApiKey,
            ));
        }
        if let Some(secret) = self.api_key.filter(|secret| !secret.is_empty()) {
            to.key(&Key::new(secret), ConfigField::ApiKey, None)?;
        }
        for (index, key) in self.keys.unwrap_or(&[]).iter().enumerate() {
            to.key(key, ConfigField::Key, Some(index))?;
        }
        match self.sources {
            None => to.default_sources()?,
            Some(sources) => {
                for (index, source) in sources.iter().enumerate() {
                    to.source(source, index)?;
                }
            }
        }
        match self.exempt {
            None => to.default_exempt()?,
            Some(paths) => {
                for (index, exempt) in paths.iter().enumerate() {
                    to.exempt(exempt, index)?;
                }
            }
        }
        if let Some(name) = self.identity_header {
            to.identity_header(name)?;
        }
        if let Some(origin) = self.allow_origin {
            to.allow_origin(origin)?;
        }
        to.rules(&self.rules)
    }
}
