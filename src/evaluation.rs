//! The state machine: every decision is made here, in one frame, for least stack and no call for a
//! header of no interest.

#![allow(clippy::inline_always)]

use crate::decision::{Deciding, Decision, Reason};
use crate::header::{Field, Header, PREFLIGHT, Sound};
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
        let fields = headers.into_iter().enumerate();
        let fields = fields.map(|(index, header)| Sound(index, header));
        let Ok(decision) = self.evaluate(method, target).decide(fields);
        decision
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
    /// How many sources can still change the decision: those before the best one seen.
    open: usize,
    /// The index of the header pushed last. `usize::MAX`, one before 0, while there is none.
    last: usize,
    verdict: Verdict,
    /// Where it is not the first source present that decides: what else is to be known.
    other: Option<Other>,
}

/// What is decided so far.
#[derive(Clone, Copy, Debug)]
struct Verdict {
    reason: Reason,
    deciding: Option<Deciding>,
    key: Option<u8>,
}

/// What a decision depends on beside the first source that is present.
#[derive(Clone, Copy, Debug)]
struct Other {
    /// The sources, as bits, of which no header was seen.
    unseen: u32,
    /// The headers of `PREFLIGHT`, as bits, that are still to come; none of them matters otherwise.
    awaited: u8,
}

impl<'p> Evaluation<'p> {
    #[inline(always)]
    pub(crate) fn begin(policy: &'p Policy, method: &[u8], target: &[u8]) -> Self {
        let mut awaited = 0;
        if method == b"OPTIONS" {
            match policy.preflight {
                Preflight::Options => return Self::new(policy, Reason::Preflight),
                Preflight::Cors => awaited = 0b11,
                Preflight::None => {}
            }
        }
        let effective_mode = policy.effective_mode;
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
        let mut new = Self::new(policy, reason);
        if reason == Reason::CredentialMissing {
            new.open = policy.sources.len();
        }
        if awaited != 0 || policy.match_mode == MatchMode::Any {
            new.other = Some(Other {
                unseen: u32::MAX,
                awaited,
            });
        }
        new
    }

    #[inline(always)]
    const fn new(policy: &'p Policy, reason: Reason) -> Self {
        Self {
            policy,
            open: 0,
            last: usize::MAX,
            verdict: Verdict {
                reason,
                deciding: None,
                key: None,
            },
            other: None,
        }
    }

    /// Takes the next header. False: nothing that follows can change the decision, so the rest
    /// need not be pushed; pushing it does no harm.
    #[inline]
    pub fn push(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> bool {
        let field = Sound(self.next(), (name, value));
        let Ok(is_open) = self.push_field(field);
        is_open
    }

    /// The index of the header that is to be pushed next.
    #[inline]
    pub(crate) const fn next(&mut self) -> usize {
        self.last = self.last.wrapping_add(1);
        self.last
    }

    #[inline(always)]
    pub(crate) fn push_field<F: Field>(&mut self, field: F) -> Result<bool, F::Error> {
        if self.may_matter(&field)
            && let Some(source) = self.find(field.name()?)
        {
            let index = field.index();
            let judged = self.judged(source, index, field.value()?.as_ref());
            if self.other.is_some() {
                self.weigh(source, judged);
            } else {
                (self.open, self.verdict) = (source, judged);
            }
        }
        Ok(self.is_open())
    }

    /// Takes all the headers there are, up to the one after which nothing can change the decision.
    #[inline(always)]
    pub(crate) fn decide<F: Field>(
        mut self,
        fields: impl IntoIterator<Item = F>,
    ) -> Result<Decision, F::Error> {
        if let Some(other) = self.other {
            // Not `self`, which would need a place in memory for it.
            return Self::decide_further(
                self.policy,
                self.verdict.reason,
                self.open,
                other,
                fields,
            );
        }
        let lengths = self.policy.lengths;
        let mut open = self.policy.sources.get(..self.open).unwrap_or(&[]);
        let mut deciding = None;
        if !open.is_empty() {
            let mut fields = fields.into_iter();
            // A loop of its own, with few registers: most headers are passed over.
            while let Some(field) = fields.find(|field| lengths & length_bit(field.name_len()) != 0)
            {
                let name = field.name()?;
                let Some(source) = open.iter().position(|source| source.equals(name)) else {
                    continue;
                };
                open = open.get(..source).unwrap_or(&[]);
                deciding = Some((field.index(), field.value()?));
                if open.is_empty() {
                    break;
                }
            }
        }
        // Of one value alone the credential is compared: of that which decides in the end.
        if let Some((index, value)) = deciding {
            self.verdict = self.judged(open.len(), index, value.as_ref());
        }
        Ok(self.finish())
    }

    #[cold]
    #[inline(never)]
    fn decide_further<F: Field>(
        policy: &'p Policy,
        reason: Reason,
        open: usize,
        other: Other,
        fields: impl IntoIterator<Item = F>,
    ) -> Result<Decision, F::Error> {
        let mut evaluation = Self {
            open,
            other: Some(other),
            ..Self::new(policy, reason)
        };
        for field in fields {
            if !evaluation.push_field(field)? {
                break;
            }
        }
        Ok(evaluation.finish())
    }

    /// Whether a header that follows can change the decision.
    pub(crate) fn is_open(&self) -> bool {
        self.open != 0 || self.other.is_some_and(|other| other.awaited != 0)
    }

    /// False where the length of a header's name shows that it is none that is read.
    #[inline(always)]
    fn may_matter(&self, field: &impl Field) -> bool {
        self.policy.lengths & length_bit(field.name_len()) != 0
    }

    #[inline(always)]
    fn judged(&self, source: usize, header: usize, value: &[u8]) -> Verdict {
        let credential = self.policy.read_credential(source, value);
        // A value that equals a key needs no look at its bytes: the key's were checked.
        let key = self.policy.find_key(credential.text);
        Verdict {
            reason: match key {
                Some(_) => Reason::KeyMatched,
                None if credential.is_usable() => Reason::KeyMismatch,
                None => Reason::CredentialUnusable,
            },
            deciding: Some(Deciding {
                header,
                #[allow(clippy::cast_possible_truncation)] // there are at most 8
                source: source as u8,
                bearer_stripped: credential.stripped,
            }),
            key,
        }
    }

    /// The source of a header that is to be judged.
    #[inline(always)]
    fn find(&mut self, name: &[u8]) -> Option<usize> {
        if self.other.is_some() && self.is_preflight(name) {
            return None;
        }
        let source = self.policy.find_source(name, self.open)?;
        let is_first = self
            .other
            .is_none_or(|other| other.unseen >> source & 1 == 1);
        is_first.then_some(source)
    }

    /// Whether this header is the last that makes the request a CORS-preflight.
    #[cold]
    #[inline(never)]
    fn is_preflight(&mut self, name: &[u8]) -> bool {
        let Some(other) = self.other.as_mut().filter(|other| other.awaited != 0) else {
            return false;
        };
        for (bit, header) in PREFLIGHT.iter().enumerate() {
            if name.eq_ignore_ascii_case(header.as_bytes()) {
                other.awaited &= !(1 << bit);
            }
        }
        let is_last = other.awaited == 0;
        if is_last {
            *self = Self {
                last: self.last,
                ..Self::new(self.policy, Reason::Preflight)
            };
        }
        is_last
    }

    /// Takes the verdict by a source where it is the better one.
    #[cold]
    #[inline(never)]
    fn weigh(&mut self, source: usize, judged: Verdict) {
        // A source that comes before all that were seen decides, unless a right key is enough.
        let settles = judged.key.is_some() || self.policy.match_mode == MatchMode::First;
        let is_first = |deciding: Deciding| {
            self.verdict.key.is_none() && source < usize::from(deciding.source)
        };
        if settles || self.verdict.deciding.is_none_or(is_first) {
            self.verdict = judged;
        }
        if settles {
            self.open = source;
        }
        if let Some(other) = &mut self.other {
            other.unseen &= !(1 << source);
            if other.unseen & ((1 << self.open) - 1) == 0 {
                self.open = 0;
            }
        }
    }

    /// The decision about the headers pushed so far.
    #[inline]
    pub fn finish(self) -> Decision {
        Decision {
            reason: self.verdict.reason,
            effective_mode: self.policy.effective_mode,
            deciding: self.verdict.deciding,
            key: self.verdict.key,
        }
    }
}

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
