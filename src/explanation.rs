//! The cold path: why a request is decided as it is.

mod finding;
mod path;
mod template;
mod text;

pub use finding::{Finding, Findings, Section};
pub use text::Sink;

use heapless::Vec;

use crate::credential::{BEARER, is_blank, trim};
use crate::decision::{Deciding, Decision, Reason};
use crate::evaluation::is_health;
use crate::header::{Header, spells_one_of};
use crate::limits::MAX_KEY_LEN;
use crate::mode::{AuthMode, EffectiveMode};
use crate::policy::{Policy, path_of};

/// How many bytes a credential and a key must share before one counts as a part of the other.
const TRUNCATED_MIN: usize = 8;
/// How many layers of `Bearer` and quotes a value is relieved of at the most.
const MEND_MAX: usize = 4;

const UNREAD_MAX: usize = 20;
const UNREAD: [&[u8]; 9] = [
    b"api-key",
    b"apikey",
    b"x-api-key",
    b"x-goog-api-key",
    b"x-apikey",
    b"x-auth-token",
    b"x-access-token",
    b"proxy-authorization",
    b"authorization",
];
const PARAMETERS: [&str; 6] = [
    "key",
    "api_key",
    "api-key",
    "apikey",
    "access_token",
    "auth_token",
];
const SCHEMES: [&[u8]; 9] = [
    b"basic ",
    b"digest ",
    b"token ",
    b"apikey ",
    b"api-key ",
    b"key ",
    b"jwt ",
    b"oauth ",
    b"negotiate ",
];
const PLACEHOLDERS: [&[u8]; 5] = [
    b"replace_with",
    b"your_",
    b"your-",
    b"changeme",
    b"change_me",
];

impl Policy {
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
}

/// Why a request is decided as it is: the [`Decision`], what was found besides, and both in words
/// by [`Display`](core::fmt::Display) or [`render`](Self::render).
///
/// It holds header names, lengths and places; no byte of a key or of a credential.
///
/// ```
/// # use keygate::{AuthMode, Config, Finding, Policy};
/// # let policy = Policy::new(&Config::new(AuthMode::Strict).api_key("sk-example"))?;
/// let headers = [("authorization", "Bearersk-example")];
/// let explanation = policy.explain("GET", "/v1/models", &headers);
/// assert!(explanation.findings().contains(Finding::BearerNoSpace));
/// assert!(explanation.would_match_mended());
/// # Ok::<(), keygate::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Explanation<'p> {
    policy: &'p Policy,
    decision: Decision,
    findings: Findings,
    mended: bool,
    /// How many headers the request has.
    headers: usize,
    value: Value,
    /// How often the deciding name occurs again.
    duplicates: usize,
    /// Bit i: source i is present and was not consulted; and holds a right key.
    shadows: u32,
    right_shadows: u32,
    /// The first key-like header that is not a source, as sent. It is one of `UNREAD` up to case
    /// and separators, so it cannot be a key.
    unread: Vec<u8, UNREAD_MAX, u8>,
    parameter: &'static str,
    /// The index of the exempt path that the request comes near.
    exempt: usize,
}

/// What the text needs to know of the deciding value.
#[derive(Clone, Copy, Debug, Default)]
struct Value {
    len: usize,
    credential_len: usize,
    /// The credential begins with a key and goes on.
    overlong: bool,
    /// It is the word Bearer alone, where Bearer is stripped.
    bare_bearer: bool,
}

impl<'p> Explanation<'p> {
    pub(crate) fn new<I>(policy: &'p Policy, method: &[u8], target: &[u8], headers: I) -> Self
    where
        I: IntoIterator + Clone,
        I::Item: Header,
    {
        let mut new = Self {
            policy,
            decision: policy.decide(method, target, headers.clone()),
            findings: Findings::default(),
            mended: false,
            headers: 0,
            value: Value::default(),
            duplicates: 0,
            shadows: 0,
            right_shadows: 0,
            unread: Vec::new(),
            parameter: "",
            exempt: 0,
        };
        new.note(Finding::AutoResolved, policy.auth_mode == AuthMode::Auto);
        match new.decision.reason {
            Reason::AuthOff | Reason::Preflight | Reason::Health | Reason::InvalidCall => {}
            Reason::NoKeyConfigured => new.note(Finding::NoKeyConfigured, true),
            Reason::KeyMatched => new.look_at_headers(headers),
            Reason::CredentialMissing | Reason::CredentialUnusable | Reason::KeyMismatch => {
                new.look_at_headers(headers);
                new.look_at_request(method, target);
            }
        }
        new
    }

    /// The decision, the same that [`Policy::decide`] makes.
    pub const fn decision(&self) -> Decision {
        self.decision
    }

    /// What was found.
    #[must_use]
    pub const fn findings(&self) -> Findings {
        self.findings
    }

    /// Whether the value that a `bearer_*`, `quoted` or `unread_header` finding speaks of would
    /// match a key once freed of quotes and of every form of `Bearer`.
    #[must_use]
    pub const fn would_match_mended(&self) -> bool {
        self.mended
    }

    fn note(&mut self, finding: Finding, applies: bool) {
        if applies {
            self.findings.insert(finding);
        }
    }

    fn look_at_headers<I>(&mut self, headers: I)
    where
        I: IntoIterator,
        I::Item: Header,
    {
        for (index, header) in headers.into_iter().enumerate() {
            let (name, value) = (header.name(), header.value());
            let source = self.policy.find_source(name, self.policy.sources.len());
            self.headers = index.saturating_add(1);
            match self.decision.deciding {
                Some(deciding) if deciding.header == index => {
                    self.look_at_value(deciding, value);
                }
                Some(deciding) => {
                    if let Some(source) = source {
                        self.look_at_other(deciding, source, value);
                    }
                }
                None => {}
            }
            if !self.decision.is_allow() && is_unread(name) && source.is_none() {
                self.note(Finding::UnreadHeader, true);
                if self.unread.is_empty() {
                    self.unread = Vec::from_slice(name).unwrap_or_default();
                }
                self.mended |= self.matches_mended(value);
            }
        }
        self.note(Finding::ShadowedMatch, self.right_shadows != 0);
        self.note(
            Finding::ShadowedPresent,
            self.shadows != 0 && self.right_shadows == 0,
        );
        self.note(Finding::DuplicateIgnored, self.duplicates != 0);
    }

    /// A header of a source that is not the deciding one.
    fn look_at_other(&mut self, deciding: Deciding, source: usize, value: &[u8]) {
        if source == usize::from(deciding.source) {
            self.duplicates = self.duplicates.saturating_add(1);
            return;
        }
        let credential = self.policy.read_credential(source, value);
        let right = self.policy.find_key(credential.text).is_some();
        self.shadows |= 1 << source;
        self.right_shadows |= u32::from(right) << source;
    }

    fn look_at_value(&mut self, deciding: Deciding, value: &[u8]) {
        let source = usize::from(deciding.source);
        let strips = self.policy.strips_bearer(source);
        let value = trim(value);
        let credential = self.policy.read_credential(source, value).text;
        self.value = Value {
            len: value.len(),
            credential_len: credential.len(),
            overlong: false,
            bare_bearer: strips && value.eq_ignore_ascii_case(b"Bearer"),
        };
        if self.decision.is_allow() {
            return;
        }
        let bearer_in_any_case = starts_with_ignore_case(value, BEARER);
        if strips {
            self.look_at_scheme(value, bearer_in_any_case);
        } else {
            self.note(Finding::BearerInKeyHeader, bearer_in_any_case);
        }
        self.note(Finding::Quoted, unquote(credential).is_some());
        self.note(Finding::Placeholder, is_placeholder(credential));
        self.look_for_part(credential);
        if self.findings.intersects(Findings::MENDABLE) {
            self.mended |= self.matches_mended(value);
        }
    }

    fn look_at_scheme(&mut self, value: &[u8], bearer_in_any_case: bool) {
        if let Some(rest) = value.strip_prefix(b"Bearer") {
            let blank = |byte: Option<&u8>| byte.copied().is_some_and(is_blank);
            let first = rest.first();
            self.note(Finding::BearerNoSpace, !rest.is_empty() && !blank(first));
            self.note(
                Finding::BearerExtraSpace,
                first == Some(&b'\t') || blank(first) && blank(rest.get(1)),
            );
            let after = value.strip_prefix(BEARER).unwrap_or(&[]);
            self.note(Finding::BearerDoubled, after.starts_with(BEARER));
        } else {
            self.note(Finding::BearerCase, bearer_in_any_case);
        }
        let other = SCHEMES
            .into_iter()
            .any(|scheme| starts_with_ignore_case(value, scheme));
        self.note(Finding::OtherScheme, other);
    }

    /// Whether the credential is the beginning of a key or begins with one. Every possible
    /// length is compared, so that the time tells nothing of the key's.
    fn look_for_part(&mut self, credential: &[u8]) {
        let mut cut = false;
        for key in &self.policy.keys {
            cut |= credential.len() >= TRUNCATED_MIN && key.secret.continues(credential);
        }
        let mut overlong = false;
        for len in TRUNCATED_MIN..credential.len().min(MAX_KEY_LEN + 1) {
            let part = credential.get(..len).unwrap_or(&[]);
            overlong |= self.policy.find_key(part).is_some();
        }
        self.value.overlong = overlong;
        self.note(Finding::Truncated, cut | overlong);
    }

    fn matches_mended(&self, value: &[u8]) -> bool {
        let mut value = trim(value);
        let mut matches = self.policy.find_key(value).is_some();
        for _ in 0..MEND_MAX {
            let Some(less) = unquote(value).or_else(|| {
                let bearer = starts_with_ignore_case(value, b"bearer");
                value.get(b"bearer".len()..).filter(|_| bearer)
            }) else {
                break;
            };
            value = trim(less);
            matches |= self.policy.find_key(value).is_some();
        }
        matches
    }

    fn look_at_request(&mut self, method: &[u8], target: &[u8]) {
        let path = path_of(target);
        let query = target
            .get(path.len()..)
            .and_then(|rest| rest.strip_prefix(b"?"))
            .unwrap_or(&[]);
        if let Some(parameter) = query_parameters(query)
            .find_map(|name| PARAMETERS.into_iter().find(|key| key.as_bytes() == name))
        {
            self.note(Finding::KeyInQuery, true);
            self.parameter = parameter;
        }
        match self.policy.effective_mode {
            EffectiveMode::Off => {}
            EffectiveMode::Strict => {
                self.note(
                    Finding::HealthInStrict,
                    is_health(self.policy, method, target),
                );
                let same = self.policy.exempt_paths().position(|exempt| exempt == path);
                self.exempt = same.unwrap_or(0);
            }
            EffectiveMode::AllExceptHealth => {
                let sent = path::Normal::new(path);
                let near = self
                    .policy
                    .exempt_paths()
                    .position(|exempt| sent.is_some() && path::Normal::new(exempt) == sent);
                self.note(Finding::HealthNearMiss, near.is_some());
                self.exempt = near.unwrap_or(0);
            }
        }
        self.note(
            Finding::OptionsCase,
            method.eq_ignore_ascii_case(b"OPTIONS"),
        );
    }
}

/// The names of a query's parameters, as sent.
fn query_parameters(query: &[u8]) -> impl Iterator<Item = &[u8]> {
    let query = query.split(|byte| *byte == b'#').next().unwrap_or(&[]);
    query
        .split(|byte| *byte == b'&')
        .filter_map(|pair| pair.split(|byte| *byte == b'=').next())
}

fn is_unread(name: &[u8]) -> bool {
    spells_one_of(name, &UNREAD)
}

fn starts_with_ignore_case(value: &[u8], prefix: &[u8]) -> bool {
    value
        .get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// What stands between two quotes of one kind.
fn unquote(value: &[u8]) -> Option<&[u8]> {
    match value {
        [b'"', inner @ .., b'"'] | [b'\'', inner @ .., b'\''] => Some(inner),
        _ => None,
    }
}

fn is_placeholder(credential: &[u8]) -> bool {
    let holds = |part: &[u8]| {
        // Not `windows`: it can panic, and optimising for size does not see that it does not.
        (0..credential.len()).any(|at| {
            let rest = credential.get(at..).unwrap_or(&[]);
            starts_with_ignore_case(rest, part)
        })
    };
    let masked = |key: &[u8]| {
        !key.is_empty()
            && key
                .iter()
                .all(|byte| matches!(byte, b'x' | b'X' | b'.' | b'*'))
    };
    PLACEHOLDERS.into_iter().any(holds)
        || credential.starts_with(b"$")
        || credential.starts_with(b"{{")
        || matches!(credential, [b'<', .., b'>'])
        || (starts_with_ignore_case(credential, b"sk-") && credential.get(3..).is_some_and(masked))
}
