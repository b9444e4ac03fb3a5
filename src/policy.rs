//! What the hot path reads.

use core::fmt;

use heapless::{LenType, Vec};
use zeroize::Zeroize;

use crate::compare::Secret;
use crate::config::{
    AuthMode, Config, ConfigError, ConfigErrorKind, EffectiveMode, Exempt, Key, Source,
};
use crate::evaluation::Evaluation;
use crate::explanation::Explanation;
use crate::header::Header;
use crate::name::{Name, spells};
use crate::{Decision, MAX_EXEMPT, MAX_EXEMPT_LEN, MAX_KEYS, MAX_LABEL_LEN, MAX_SOURCES, Reason};

const DEFAULT_SOURCES: [(&str, bool); 3] = [
    ("authorization", true),
    ("x-api-key", false),
    ("x-goog-api-key", false),
];
const DEFAULT_EXEMPT: &str = "/healthz";

/// Headers by which a request becomes a connection, or another request.
const BEYOND_ONE_REQUEST: [&[u8]; 7] = [
    b"upgrade",
    b"http2-settings",
    b"x-http-method",
    b"x-http-method-override",
    b"x-method-override",
    b"x-original-url",
    b"x-rewrite-url",
];

/// More than the longest name.
const LENGTHS: usize = 64;

#[derive(Default)]
pub(crate) struct StoredKey {
    pub(crate) secret: Secret,
    label: Vec<u8, MAX_LABEL_LEN, u8>,
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
    /// The lengths of the sources' names, as `length_bit`s.
    pub(crate) lengths: usize,
    /// Which sources have a name of n bytes: bit i is source i.
    by_length: [u8; LENGTHS],
    /// Every source, as bits.
    pub(crate) all_sources: u8,
    /// The sources that "Bearer " is stripped from, as bits.
    bearers: u8,
    pub(crate) auth_mode: AuthMode,
    pub(crate) effective_mode: EffectiveMode,
    pub(crate) sources: Vec<Name, MAX_SOURCES, u8>,
    pub(crate) keys: Vec<StoredKey, MAX_KEYS, u8>,
    exempt: Vec<Vec<u8, MAX_EXEMPT_LEN, u8>, MAX_EXEMPT, u8>,
}

const _: () = assert!(size_of::<Policy>() <= 4096);

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
            by_length: [0; LENGTHS],
            all_sources: 0,
            bearers: 0,
            auth_mode: AuthMode::Strict,
            effective_mode: EffectiveMode::Strict,
            sources: Vec::new(),
            keys: Vec::new(),
            exempt: Vec::new(),
        }
    }

    /// Makes an empty policy the one that was configured, where it stands.
    pub(crate) fn fill(&mut self, config: &Config<'_>) -> Result<(), ConfigError> {
        config.check()?;
        self.auth_mode = config.auth_mode;
        self.effective_mode = config.auth_mode.effective(config.allow_lan_access);
        self.store(config)
            .map_err(|kind| ConfigError { kind, index: None })
    }

    /// `check` has seen to it that everything fits.
    fn store(&mut self, config: &Config<'_>) -> Result<(), ConfigErrorKind> {
        let api_key = config.api_key.filter(|secret| !secret.is_empty());
        for key in config
            .keys
            .unwrap_or(&[])
            .iter()
            .copied()
            .chain(api_key.map(Key::new))
        {
            let label = Vec::from_slice(key.label).map_err(|_| ConfigErrorKind::LabelTooLong)?;
            let secret = Secret::EMPTY;
            self.keys
                .push(StoredKey { secret, label })
                .map_err(|_| ConfigErrorKind::TooManyKeys)?;
            let stored = self.keys.last_mut().ok_or(ConfigErrorKind::TooManyKeys)?;
            stored
                .secret
                .set(key.secret)
                .ok_or(ConfigErrorKind::KeyTooLong)?;
        }
        let defaults = DEFAULT_SOURCES.each_ref().map(|(name, bearer)| Source {
            name: name.as_bytes(),
            bearer: *bearer,
        });
        for (index, source) in config.sources.unwrap_or(&defaults).iter().enumerate() {
            let name = Name::new(source.name).ok_or(ConfigErrorKind::SourceTooLong)?;
            self.all_sources |= 1 << index;
            self.lengths |= length_bit(name.len());
            if let Some(sources) = self.by_length.get_mut(name.len()) {
                *sources |= 1 << index;
            }
            self.bearers |= u8::from(source.bearer) << index;
            self.sources
                .push(name)
                .map_err(|_| ConfigErrorKind::TooManySources)?;
        }
        for exempt in config.exempt.unwrap_or(&[Exempt::new(DEFAULT_EXEMPT)]) {
            let path = Vec::from_slice(exempt.path).map_err(|_| ConfigErrorKind::ExemptTooLong)?;
            self.exempt
                .push(path)
                .map_err(|_| ConfigErrorKind::TooManyExempt)?;
        }
        Ok(())
    }

    /// Decides about a request from its method, its request target as received, and its header
    /// fields in the order received.
    ///
    /// It is [`evaluate`](Self::evaluate), a push of each header and a finish.
    #[inline]
    pub fn decide<I>(
        &self,
        method: impl AsRef<[u8]>,
        target: impl AsRef<[u8]>,
        headers: I,
    ) -> Decision
    where
        I: IntoIterator,
        I::Item: Header,
    {
        let mut evaluation = self.evaluate(method, target);
        evaluation.push_all(headers);
        evaluation.finish()
    }

    /// Begins a decision that is fed one header at a time.
    #[inline]
    pub fn evaluate(&self, method: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Evaluation<'_> {
        Evaluation::begin(self, method.as_ref(), target.as_ref())
    }

    /// Says why a request is decided as it is. For the operator, never for the client: what it
    /// finds out about a wrong key shows in its text and in the time it takes.
    pub fn explain<I>(
        &self,
        method: impl AsRef<[u8]>,
        target: impl AsRef<[u8]>,
        headers: I,
    ) -> Explanation<'_>
    where
        I: IntoIterator + Clone,
        I::Item: Header,
    {
        Explanation::new(self, method.as_ref(), target.as_ref(), headers)
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

    /// The header names that matter, in order of precedence and in lower case. A host with a
    /// header map may pass only these, every occurrence in the order received; the verdict is
    /// the same.
    #[must_use]
    pub fn source_names(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.sources.len()).map(|index| self.source_name(index).unwrap_or_default())
    }

    /// The name of one source, in lower case.
    #[must_use]
    pub fn source_name(&self, index: usize) -> Option<&str> {
        let name = self.sources.get(index)?.lower_case();
        core::str::from_utf8(name).ok() // always: a token is ASCII
    }

    /// Whether a host must drop this header before it forwards a request that was decided so:
    ///
    /// - every spelling of a source's name (in any case, with `_` or `.` for `-`), whatever the
    ///   value and the reason;
    /// - where no key was asked for (`preflight` and `health`), every spelling of `Upgrade`,
    ///   `HTTP2-Settings`, `X-HTTP-Method`, `X-HTTP-Method-Override`, `X-Method-Override`,
    ///   `X-Original-URL` and `X-Rewrite-URL` too: what is let in then is this one request, not a
    ///   connection and not another request. The host forwards no `Connection: upgrade` either.
    ///
    /// True for every header after a deny: a denied request is not forwarded.
    pub fn drops(
        &self,
        decision: &Decision,
        name: impl AsRef<[u8]>,
        _value: impl AsRef<[u8]>,
    ) -> bool {
        let name = name.as_ref();
        let keyless = matches!(decision.reason(), Reason::Preflight | Reason::Health);
        !decision.is_allow()
            || self.sources.iter().any(|source| source.spells(name))
            || keyless && BEYOND_ONE_REQUEST.iter().any(|own| spells(name, own))
    }

    /// The lengths of the names that are read or may be dropped: bit n % 64 for n bytes. A header
    /// whose name has another length need not be pushed, and [`drops`](Self::drops) need not be
    /// asked about it.
    #[must_use]
    pub fn name_lengths(&self) -> u64 {
        let sources = self.sources.iter().map(Name::len);
        let others = BEYOND_ONE_REQUEST.iter().map(|name| name.len());
        sources
            .chain(others)
            .fold(0, |lengths, len| lengths | 1 << (len % 64))
    }

    /// The index of the source with this name, among those whose bits are set.
    #[inline]
    pub(crate) fn find_source(&self, name: &[u8], among: u8) -> Option<u8> {
        let mut left = u32::from(self.by_length.get(name.len())? & among);
        loop {
            // With no bit left the index is 32, which no source has.
            let index = left.trailing_zeros();
            if self.sources.get(index as usize)?.equals(name) {
                return u8::try_from(index).ok();
            }
            left &= left.wrapping_sub(1);
        }
    }

    pub(crate) fn strips_bearer(&self, source: u8) -> bool {
        self.bearers >> source & 1 == 1
    }

    pub(crate) fn exempt_paths(&self) -> impl Iterator<Item = &[u8]> {
        self.exempt.iter().map(Vec::as_slice)
    }

    pub(crate) fn find_key(&self, credential: &[u8]) -> Option<u8> {
        crate::compare::find(self.keys.iter().map(|key| &key.secret), credential)
    }
}

impl Drop for Policy {
    /// Wipes all the room there is: what is not in use can hold a key that stood there before a
    /// policy was moved to the place.
    fn drop(&mut self) {
        wipe_list(&mut self.keys, |key| wipe(&mut key.label));
        wipe_list(&mut self.sources, Name::wipe);
        wipe_list(&mut self.exempt, wipe);
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
