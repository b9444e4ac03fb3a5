//! The state machine: every decision is made here, in one frame, for least stack and no call for a
//! header of no interest.

#![allow(clippy::inline_always)]

use crate::decision::{Deciding, Decision, Reason};
use crate::header::{Header, PREFLIGHT};
use crate::mode::{EffectiveMode, MatchMode, Preflight};
use crate::policy::{Policy, length_bit};

impl Policy {
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
}

/// A decision under way: fed one header at a time, each judged at once and not kept.
///
/// ```
/// # use keygate::{AuthMode, Config, Policy};
/// # let policy = Policy::new(&Config::new(AuthMode::Strict).api_key("sk-example"))?;
/// let mut evaluation = policy.evaluate("GET", "/v1/models");
/// for (name, value) in [("Host", "localhost"), ("Authorization", "Bearer sk-example")] {
///     if !evaluation.push(name, value) {
///         break; // nothing that follows can change the verdict
///     }
/// }
/// assert!(evaluation.finish().is_allow());
/// # Ok::<(), keygate::ConfigError>(())
/// ```
#[must_use = "an evaluation decides when it is finished"]
#[derive(Clone, Debug)]
pub struct Evaluation<'p> {
    policy: &'p Policy,
    /// `Policy::lengths`, at hand for every header.
    lengths: usize,
    /// The sources, as bits, that can still change the decision, and above them the headers of
    /// `PREFLIGHT` that are still to come.
    open: u16,
    /// The index of the header pushed last. `usize::MAX`, one before 0, while there is none.
    last: usize,
    decision: Decision,
}

impl<'p> Evaluation<'p> {
    #[inline(always)]
    pub(crate) fn begin(policy: &'p Policy, method: &[u8], target: &[u8]) -> Self {
        let effective_mode = policy.effective_mode;
        let mut awaited = 0;
        if method == b"OPTIONS" {
            match policy.preflight {
                Preflight::Options => return Self::settled(policy, Reason::Preflight),
                Preflight::Cors => awaited = AWAITED,
                Preflight::None => {}
            }
        }
        let reason = if effective_mode == EffectiveMode::Off {
            Reason::AuthOff
        } else if effective_mode == EffectiveMode::AllExceptHealth
            && is_health(policy, method, target)
        {
            Reason::Health
        } else if policy.keys.is_empty() {
            Reason::NoKeyConfigured
        } else {
            Reason::CredentialMissing
        };
        let open = match reason {
            Reason::CredentialMissing => u16::from(policy.all_sources),
            _ => 0,
        };
        Self {
            open: open | awaited,
            ..Self::settled(policy, reason)
        }
    }

    #[inline(always)]
    fn settled(policy: &'p Policy, reason: Reason) -> Self {
        Self {
            policy,
            open: 0,
            lengths: policy.lengths,
            last: usize::MAX,
            decision: Decision::new(reason, policy.effective_mode),
        }
    }

    /// Takes the next header. False: nothing that follows can change the decision, so the rest
    /// need not be pushed; pushing it does no harm.
    #[inline(always)]
    pub fn push(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> bool {
        let name = name.as_ref();
        if self.count(name.len()) {
            self.look(name, value.as_ref());
        }
        self.is_open()
    }

    /// Takes the next headers, up to the one after which nothing can change the decision.
    #[inline(always)]
    pub(crate) fn push_all<I>(&mut self, headers: I)
    where
        I: IntoIterator,
        I::Item: Header,
    {
        if !self.is_open() {
            return;
        }
        for header in headers {
            if self.count(header.name().len()) {
                self.look(header.name(), header.value());
                if !self.is_open() {
                    return;
                }
            }
        }
    }

    /// Whether a header that follows can change the decision.
    pub(crate) const fn is_open(&self) -> bool {
        self.open != 0
    }

    /// Counts a header. False where the length of its name shows that it is no source's.
    #[inline]
    fn count(&mut self, name_len: usize) -> bool {
        self.last = self.last.wrapping_add(1);
        self.lengths & length_bit(name_len) != 0
    }

    /// Looks at the header that was counted last.
    #[inline(always)]
    fn look(&mut self, name: &[u8], value: &[u8]) {
        if self.open >= AWAITED_FIRST && self.is_preflight(name) {
            return;
        }
        #[allow(clippy::cast_possible_truncation)] // what is awaited is no source
        let Some(source) = self.policy.find_source(name, self.open as u8) else {
            return;
        };
        let credential = self.policy.read_credential(source, value);
        // A value that equals a key needs no look at its bytes: the key's were checked.
        let key = self.policy.find_key(credential.text);
        let before = (1 << source) - 1;
        if key.is_none() && self.policy.match_mode == MatchMode::Any {
            // A source that comes before this one, or holds a right key, is the better one.
            self.open &= !(1 << source);
            let has_better =
                |deciding: Deciding| deciding.source < source || self.decision.key.is_some();
            if self.decision.deciding.is_some_and(has_better) {
                return;
            }
        } else {
            self.open &= AWAITED | before;
        }
        self.decision.key = key;
        self.decision.reason = match key {
            Some(_) => Reason::KeyMatched,
            None if credential.is_usable() => Reason::KeyMismatch,
            None => Reason::CredentialUnusable,
        };
        self.decision.deciding = Some(Deciding {
            header: self.last,
            source,
            bearer_stripped: credential.stripped,
        });
    }

    /// Whether this header is the last that makes the request a CORS-preflight.
    #[cold]
    #[inline(never)]
    fn is_preflight(&mut self, name: &[u8]) -> bool {
        for (header, bit) in PREFLIGHT
            .into_iter()
            .zip([AWAITED_FIRST, AWAITED_FIRST << 1])
        {
            if name.eq_ignore_ascii_case(header.as_bytes()) {
                self.open &= !bit;
            }
        }
        if self.open >= AWAITED_FIRST {
            return false;
        }
        self.open = 0;
        self.decision = Decision::new(Reason::Preflight, self.policy.effective_mode);
        true
    }

    /// The decision about the headers pushed so far.
    #[inline]
    pub fn finish(self) -> Decision {
        self.decision
    }
}

/// The headers of `PREFLIGHT` among what is open.
const AWAITED: u16 = 0x300;
const AWAITED_FIRST: u16 = 0x100;

#[inline(always)]
pub(crate) fn is_health(policy: &Policy, method: &[u8], target: &[u8]) -> bool {
    if !matches!(method, b"GET" | b"HEAD") {
        return false;
    }
    for exempt in policy.exempt_paths() {
        // What follows the path first: it is one byte, and seldom right.
        if let Some((path, rest)) = target.split_at_checked(exempt.len())
            && matches!(rest, [] | [b'?', ..])
            && path == exempt
        {
            // A target with a fragment is no valid one (RFC 9112 section 3.2): what a host forwards
            // of it may be another resource.
            return !rest.contains(&b'#');
        }
    }
    false
}
