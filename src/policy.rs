//! What the hot path reads.

pub(crate) mod doubt;
pub(crate) mod name;
pub(crate) mod secret;

use core::fmt;

use heapless::{LenType, Vec};
use zeroize::Zeroize;

use crate::config::{Config, ConfigError, Draft, Exempt, Form, Key, Rules, Source};
use crate::credential::Credential;
use crate::header::PREFLIGHT;
use crate::limits::{
    MAX_EXEMPT, MAX_EXEMPT_LEN, MAX_KEYS, MAX_LABEL_LEN, MAX_ORIGIN_LEN, MAX_SCHEME_LEN,
    MAX_SOURCES,
};
use crate::mode::{AuthMode, EffectiveMode, MatchMode, Preflight, Strip};

use doubt::Doubts;
use name::Name;
use secret::Secret;

#[derive(Default)]
pub(crate) struct StoredKey {
    pub(crate) secret: Secret,
    label: Vec<u8, MAX_LABEL_LEN, u8>,
    pub(crate) doubts: Doubts,
}

/// A configuration that can work, in the form that decisions are made from.
///
/// It has a fixed size of at most 4 KiB, holds no pointer and is never changed, so one policy
/// serves any number of threads. Its keys are wiped on drop; moving a policy can leave a copy
/// behind, so make it where it stays (a `static`, an `Arc`).
///
/// ```
/// fn shared<T: Send + Sync>() {}
/// shared::<keygate::Policy>();
/// assert!(size_of::<keygate::Policy>() <= 4096);
/// ```
pub struct Policy {
    /// The lengths of the names that are read, as `length_bit`s.
    pub(crate) lengths: usize,
    /// The sources that "Bearer " is stripped from, as bits.
    bearers: u32,
    /// The sources with a scheme, as bits.
    with_scheme: u32,
    pub(crate) match_mode: MatchMode,
    pub(crate) preflight: Preflight,
    pub(crate) strip: Strip,
    pub(crate) auth_mode: AuthMode,
    pub(crate) effective_mode: EffectiveMode,
    pub(crate) sources: Vec<Name, MAX_SOURCES, u8>,
    pub(crate) keys: Vec<StoredKey, MAX_KEYS, u8>,
    exempt: Vec<Vec<u8, MAX_EXEMPT_LEN, u8>, MAX_EXEMPT, u8>,
    /// One for each source.
    schemes: Vec<Vec<u8, MAX_SCHEME_LEN, u8>, MAX_SOURCES, u8>,
    /// Without a byte where there is none.
    pub(crate) identity: Name,
    pub(crate) allow_origin: Vec<u8, MAX_ORIGIN_LEN, u8>,
}

const _: () = assert!(size_of::<Policy>() <= 4096);

/// Which key a value is, and whether a scheme stood before it.
#[derive(Clone, Copy)]
pub(crate) struct Found {
    pub(crate) key: Option<u8>,
    pub(crate) stripped: bool,
}

impl Policy {
    /// Checks a configuration and makes a policy of it.
    ///
    /// # Errors
    ///
    /// Where the configuration can never work, with the field. Having no key at all is no error:
    /// such a policy denies whatever needs one.
    pub fn new(config: &Config<'_>) -> Result<Self, ConfigError> {
        let mut policy = Self::empty();
        policy.fill(config)?;
        Ok(policy)
    }

    /// Denies whatever needs a key.
    pub(crate) const fn empty() -> Self {
        Self {
            lengths: 0,
            bearers: 0,
            with_scheme: 0,
            match_mode: MatchMode::First,
            preflight: Preflight::Options,
            strip: Strip::Sources,
            auth_mode: AuthMode::Strict,
            effective_mode: EffectiveMode::Strict,
            sources: Vec::new(),
            keys: Vec::new(),
            exempt: Vec::new(),
            schemes: Vec::new(),
            identity: Name::EMPTY,
            allow_origin: Vec::new(),
        }
    }

    /// Makes a policy of a configuration in JSON: the object with `auth_mode` and its other fields,
    /// or one that has it under `proxy`.
    ///
    /// Inside and beside `proxy`, whose file is another product's, unknown fields are ignored;
    /// without `proxy`, an unknown field is an error. A field that is spelled almost like one of
    /// ours (`apiKey`, `allow-lan-access`) is an error in both. Each character of a string stands
    /// for one byte, U+0000 to U+00FF. A leading byte order mark is skipped.
    ///
    /// `keys`: keys from elsewhere, [`KeyFile`](crate::KeyFile) for example. The text must then have
    /// neither `api_key` nor `keys`.
    ///
    /// ```
    /// use keygate::Policy;
    ///
    /// let file = r#"{"proxy": {"enabled": true, "port": 8045, "auth_mode": "auto",
    ///     "allow_lan_access": true, "api_key": "sk-example"}}"#;
    /// let policy = Policy::parse(file, None)?;
    /// assert!(!policy.decide("GET", "/v1/models", [("x-api-key", "sk-other")]).is_allow());
    /// # Ok::<(), keygate::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Where the text is no such configuration or it can never work, with the field, the line and
    /// the column.
    pub fn parse(text: impl AsRef<[u8]>, keys: Option<&[Key<'_>]>) -> Result<Self, ConfigError> {
        let mut policy = Self::empty();
        policy.read(text.as_ref(), Form::File, keys)?;
        Ok(policy)
    }

    /// [`parse`](Self::parse) for the object alone: `proxy` is an unknown field.
    ///
    /// # Errors
    ///
    /// Those of [`parse`](Self::parse).
    pub fn parse_object(text: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        let mut policy = Self::empty();
        policy.read(text.as_ref(), Form::Object, None)?;
        Ok(policy)
    }

    /// Makes an empty policy the one that was configured, where it stands.
    pub(crate) fn fill(&mut self, config: &Config<'_>) -> Result<(), ConfigError> {
        config.fill(self)
    }

    /// The same from JSON.
    pub(crate) fn read(
        &mut self,
        text: &[u8],
        form: Form,
        keys: Option<&[Key<'_>]>,
    ) -> Result<(), ConfigError> {
        crate::config::read(text, form, keys, self)
    }

    /// The mode as configured.
    #[must_use]
    pub const fn auth_mode(&self) -> AuthMode {
        self.auth_mode
    }

    /// The mode in force.
    #[must_use]
    pub const fn effective_mode(&self) -> EffectiveMode {
        self.effective_mode
    }

    /// How many keys there are. With none, whatever needs a key is denied.
    #[must_use]
    pub fn key_count(&self) -> usize {
        self.keys.len()
    }

    /// The label of a key, if it has one.
    #[must_use]
    pub fn key_label(&self, index: usize) -> Option<&[u8]> {
        let label = self.keys.get(index)?.label.as_slice();
        (!label.is_empty()).then_some(label)
    }

    /// The names of the headers that a decision is made from, in lower case: the sources in order of
    /// precedence, and with [`Preflight::Cors`] `origin` and `access-control-request-method`. A host
    /// with a header map may pass only these, every occurrence in the order
    /// received; the decision is the same but for the header's index.
    #[must_use]
    pub fn wanted_names(&self) -> impl ExactSizeIterator<Item = &str> {
        let sources = self.sources.len();
        let others: &[&str] = match self.preflight {
            Preflight::Cors => &PREFLIGHT,
            Preflight::Options | Preflight::None => &[],
        };
        (0..sources.saturating_add(others.len())).map(move |index| {
            let other = index.checked_sub(sources).and_then(|at| others.get(at));
            other
                .copied()
                .or_else(|| self.source_name(index))
                .unwrap_or_default()
        })
    }

    /// Whether the first wanted header that is present settles the decision, so that a host need not
    /// look for the others.
    #[must_use]
    pub const fn first_decides(&self) -> bool {
        matches!(self.match_mode, MatchMode::First) && !matches!(self.preflight, Preflight::Cors)
    }

    /// The name, in lower case, of the header in which a host tells what it forwards to the label of
    /// the key that matched. `None`: in none.
    #[must_use]
    pub fn identity_header(&self) -> Option<&str> {
        let name = core::str::from_utf8(self.identity.lower_case()).ok()?; // a token is ASCII
        (!name.is_empty()).then_some(name)
    }

    /// The name of one source, in lower case.
    #[must_use]
    pub fn source_name(&self, index: usize) -> Option<&str> {
        let name = self.sources.get(index)?.lower_case();
        core::str::from_utf8(name).ok() // always: a token is ASCII
    }

    /// The index of the source with this name.
    #[inline]
    pub(crate) fn find_source(&self, name: &[u8]) -> Option<usize> {
        self.sources.iter().position(|source| source.equals(name))
    }

    /// The sources, as bits.
    #[inline]
    pub(crate) fn every_source(&self) -> u32 {
        (1 << self.sources.len()) - 1
    }

    /// The sources whose names are spelled so.
    pub(crate) fn spelled_so(&self, name: &[u8]) -> impl Iterator<Item = usize> {
        let sources = self.sources.iter().enumerate();
        sources
            .filter(|(_, source)| source.spells(name))
            .map(|(index, _)| index)
    }

    /// What is read from a value of a source.
    #[inline(always)]
    #[allow(clippy::inline_always)] // a part of the one frame in which decisions are made
    pub(crate) fn read_credential<'v>(&self, source: usize, value: &'v [u8]) -> Credential<'v> {
        if self.strips_bearer(source) {
            Credential::behind_bearer(value)
        } else if self.with_scheme >> source & 1 == 1 {
            Credential::behind_scheme(value, self.scheme(source))
        } else {
            Credential::whole(value)
        }
    }

    /// What a value of a source is.
    #[inline(always)]
    #[allow(clippy::inline_always)] // a part of the one frame in which decisions are made
    pub(crate) fn find(&self, source: usize, value: &[u8]) -> Found {
        let credential = self.read_credential(source, value);
        Found {
            key: self.find_key(credential.text),
            stripped: credential.stripped,
        }
    }

    /// The same out of line, for where one frame would be too much.
    #[inline(never)]
    pub(crate) fn find_apart(&self, source: usize, value: &[u8]) -> Found {
        self.find(source, value)
    }

    #[inline]
    pub(crate) fn strips_bearer(&self, source: usize) -> bool {
        self.bearers >> source & 1 == 1
    }

    /// The scheme of a source; without a byte where it has none.
    pub(crate) fn scheme(&self, source: usize) -> &[u8] {
        self.schemes.get(source).map_or(&[], Vec::as_slice)
    }

    #[inline]
    pub(crate) fn exempt_paths(&self) -> impl Iterator<Item = &[u8]> {
        self.exempt.iter().map(Vec::as_slice)
    }

    #[cfg_attr(feature = "capi", allow(clippy::inline_always), inline(always))]
    pub(crate) fn find_key(&self, credential: &[u8]) -> Option<u8> {
        secret::find(self.keys.iter().map(|key| &key.secret), credential)
    }
}

impl Draft for Policy {
    fn key(&mut self, key: &Key<'_>) -> bool {
        let Ok(label) = Vec::from_slice(key.label) else {
            return false;
        };
        let secret = Secret::EMPTY;
        let doubts = Doubts::about(key.secret);
        let stored = StoredKey {
            secret,
            label,
            doubts,
        };
        self.keys.push(stored).is_ok()
            && self
                .keys
                .last_mut()
                .and_then(|stored| stored.secret.set(key.secret))
                .is_some()
    }

    fn source(&mut self, source: &Source<'_>) -> bool {
        let index = self.sources.len();
        let Some(name) = Name::new(source.name) else {
            return false;
        };
        let len = name.len();
        if self.sources.push(name).is_err() {
            return false;
        }
        self.lengths |= length_bit(len);
        self.bearers |= u32::from(source.bearer) << index;
        self.with_scheme |= u32::from(!source.scheme.is_empty()) << index;
        Vec::from_slice(source.scheme).is_ok_and(|scheme| self.schemes.push(scheme).is_ok())
    }

    fn exempt(&mut self, exempt: &Exempt<'_>) -> bool {
        Vec::from_slice(exempt.path).is_ok_and(|path| self.exempt.push(path).is_ok())
    }

    fn identity_header(&mut self, name: &[u8]) -> bool {
        Name::new(name).map(|name| self.identity = name).is_some()
    }

    fn allow_origin(&mut self, origin: &[u8]) -> bool {
        self.allow_origin.extend_from_slice(origin).is_ok()
    }

    fn rules(&mut self, rules: &Rules) {
        self.auth_mode = rules.auth_mode;
        self.effective_mode = rules.auth_mode.effective(rules.allow_lan_access);
        self.match_mode = rules.match_mode;
        self.preflight = rules.preflight;
        self.strip = rules.strip;
        if rules.preflight == Preflight::Cors {
            for name in PREFLIGHT {
                self.lengths |= length_bit(name.len());
            }
        }
    }

    fn identity_is_source(&self) -> bool {
        self.spelled_so(self.identity.lower_case()).next().is_some()
    }

    fn has_source(&self, name: &[u8]) -> bool {
        self.sources.iter().any(|source| source.equals(name))
    }
}

impl Drop for Policy {
    /// Wipes all the room there is: what is not in use can hold a key that stood there before a
    /// policy was moved to the place.
    fn drop(&mut self) {
        wipe_list(&mut self.keys, |key| wipe(&mut key.label));
        wipe_list(&mut self.sources, Name::wipe);
        wipe_list(&mut self.exempt, wipe);
        wipe_list(&mut self.schemes, wipe);
        self.identity.wipe();
        wipe(&mut self.allow_origin);
    }
}

/// Has `wipe` look at as many items as the list has room for.
pub(crate) fn wipe_list<T: Default, L: LenType, const N: usize>(
    list: &mut Vec<T, N, L>,
    wipe: fn(&mut T),
) {
    while list.push(T::default()).is_ok() {}
    list.iter_mut().for_each(wipe);
}

pub(crate) fn wipe<L: LenType, const N: usize>(text: &mut Vec<u8, N, L>) {
    while text.push(0).is_ok() {}
    text.as_mut_slice().zeroize();
}

impl fmt::Debug for Policy {
    /// Shows how many keys there are and nothing else of them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("auth_mode", &self.auth_mode)
            .field("effective_mode", &self.effective_mode)
            .field("keys", &self.keys.len())
            .finish_non_exhaustive()
    }
}

/// A length as a bit, shared with every length that differs by a multiple of the bits there are:
/// it can rule a length out, but not in.
#[inline]
pub(crate) const fn length_bit(len: usize) -> usize {
    1 << (len % usize::BITS as usize)
}

/// What stands before the first `?` or `#` of a request target. With a `#` it is no path that a
/// request can be exempt by.
pub(crate) fn path_of(target: &[u8]) -> &[u8] {
    let end = target.iter().position(|byte| matches!(byte, b'?' | b'#'));
    target.get(..end.unwrap_or(target.len())).unwrap_or(target)
}
