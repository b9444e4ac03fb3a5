//! The state machine: every decision is made here. Where the first source decides, a list is decided
//! in one frame, for least stack and no call for a header of no interest.

#![allow(clippy::inline_always)]

use crate::credential::is_usable;
use crate::decision::{Deciding, Decision, Reason};
use crate::header::{Field, Header, PREFLIGHT, Sound};
use crate::mode::{EffectiveMode, MatchMode, Preflight};
use crate::policy::{Found, Policy, length_bit};

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
        // Not by `evaluate`, which a second caller keeps from being inlined: 36 instructions.
        let evaluation = Evaluation::begin(self, method.as_ref(), target.as_ref());
        let Ok(decision) = evaluation.decide(fields);
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
    /// The lengths of the names that can still change the decision, as `length_bit`s.
    lengths: usize,
    /// The index of the header pushed last. `usize::MAX`, one before 0, while there is none.
    last: usize,
    /// The sources that can still change the decision, as bits.
    open: u32,
    /// The headers of `PREFLIGHT`, as bits, that are still to come; none of them matters otherwise.
    awaited: u8,
    verdict: Verdict,
}

/// What is decided so far.
#[derive(Clone, Copy, Debug)]
struct Verdict {
    reason: Reason,
    deciding: Option<Deciding>,
    key: Option<u8>,
}

impl Found {
    #[inline(always)]
    const fn by(self, source: usize, header: usize) -> Deciding {
        Deciding {
            header,
            #[allow(clippy::cast_possible_truncation)] // there are at most 8
            source: source as u8,
            bearer_stripped: self.stripped,
        }
    }
}

impl Verdict {
    const fn accepted(by: Deciding, key: u8) -> Self {
        Self {
            reason: Reason::KeyMatched,
            deciding: Some(by),
            key: Some(key),
        }
    }

    /// A value that is a key needs no look at its bytes: the key's were checked. One that is none does.
    #[inline(always)]
    fn refused(by: Deciding, value: &[u8]) -> Self {
        Self {
            reason: if is_usable(value) {
                Reason::KeyMismatch
            } else {
                Reason::CredentialUnusable
            },
            deciding: Some(by),
            key: None,
        }
    }
}

impl<'p> Evaluation<'p> {
    #[inline(always)]
    pub(crate) fn begin(policy: &'p Policy, method: &[u8], target: &[u8]) -> Self {
        let mut awaited = 0;
        if method == b"OPTIONS" {
            match policy.preflight {
                Preflight::Options => return Self::new(policy, Reason::Preflight, 0),
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
        Self::new(policy, reason, awaited)
    }

    #[inline(always)]
    fn new(policy: &'p Policy, reason: Reason, awaited: u8) -> Self {
        let mut new = Self {
            policy,
            lengths: policy.lengths,
            last: usize::MAX,
            open: 0,
            awaited,
            verdict: Verdict {
                reason,
                deciding: None,
                key: None,
            },
        };
        if reason == Reason::CredentialMissing {
            new.open = policy.every_source();
        }
        new.close();
        new
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
            let (index, value) = (field.index(), field.value()?);
            let found = self.policy.find_apart(source, value.as_ref());
            let by = found.by(source, index);
            // In calls: that is the one branch on a fact about a key, and it is the verdict.
            match found.key {
                Some(key) => self.accept(by, key),
                None => self.refuse(by, value.as_ref()),
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
        if self.awaited != 0 || self.policy.match_mode == MatchMode::Any {
            // Not `self`, which would need a place in memory for it.
            return Self::decide_further(self.policy, self.verdict.reason, self.awaited, fields);
        }
        let lengths = self.policy.lengths;
        let mut open: &[_] = if self.open == 0 {
            &[]
        } else {
            &self.policy.sources
        };
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
            let found = self.policy.find(open.len(), value.as_ref());
            let by = found.by(open.len(), index);
            self.verdict = match found.key {
                Some(key) => Verdict::accepted(by, key),
                None => Verdict::refused(by, value.as_ref()),
            };
        }
        Ok(self.finish())
    }

    #[cold]
    #[inline(never)]
    fn decide_further<F: Field>(
        policy: &'p Policy,
        reason: Reason,
        awaited: u8,
        fields: impl IntoIterator<Item = F>,
    ) -> Result<Decision, F::Error> {
        let mut evaluation = Self::new(policy, reason, awaited);
        let mut fields = fields.into_iter();
        while evaluation.is_open()
            && let Some(field) = fields.find(|field| evaluation.may_matter(field))
        {
            evaluation.push_field(field)?;
        }
        Ok(evaluation.finish())
    }

    /// Whether a header that follows can change the decision.
    #[inline]
    pub(crate) const fn is_open(&self) -> bool {
        self.lengths != 0
    }

    /// Looks at no further header where none can change the decision.
    #[inline]
    fn close(&mut self) {
        if self.open == 0 && self.awaited == 0 {
            self.lengths = 0;
        }
    }

    /// False where the length of a header's name shows that it is none that is read.
    #[inline(always)]
    fn may_matter(&self, field: &impl Field) -> bool {
        self.lengths & length_bit(field.name_len()) != 0
    }

    /// The source of a header that is to be judged.
    #[inline(always)]
    fn find(&mut self, name: &[u8]) -> Option<usize> {
        if self.awaited != 0 && self.is_preflight(name) {
            return None;
        }
        let source = self.policy.find_source(name)?;
        (self.open >> source & 1 == 1).then_some(source)
    }

    /// Whether this header is the last that makes the request a CORS-preflight.
    #[cold]
    #[inline(never)]
    fn is_preflight(&mut self, name: &[u8]) -> bool {
        for (bit, header) in PREFLIGHT.iter().enumerate() {
            if name.eq_ignore_ascii_case(header.as_bytes()) {
                self.awaited &= !(1 << bit);
            }
        }
        let is_last = self.awaited == 0;
        if is_last {
            *self = Self {
                last: self.last,
                ..Self::new(self.policy, Reason::Preflight, 0)
            };
        }
        is_last
    }

    #[inline(never)]
    fn accept(&mut self, by: Deciding, key: u8) {
        self.verdict = Verdict::accepted(by, key);
        self.open &= (1 << by.source) - 1;
        self.close();
    }

    #[inline(never)]
    fn refuse(&mut self, by: Deciding, value: &[u8]) {
        let own = 1 << by.source;
        let is_later = |deciding: Deciding| deciding.source < by.source;
        if self.policy.match_mode == MatchMode::First {
            self.open &= own - 1;
        } else {
            // A right key is enough wherever it is. With none, the source that comes first decides.
            self.open &= !own;
            if self.verdict.key.is_some() || self.verdict.deciding.is_some_and(is_later) {
                return self.close();
            }
        }
        self.verdict = Verdict::refused(by, value);
        self.close();
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
