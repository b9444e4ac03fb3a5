//! The cold path: why a request is decided as it is.

mod finding;
mod path;
mod search;
mod template;
mod text;

pub use finding::{Finding, Findings, Section};
pub use text::Sink;

use heapless::Vec;

use crate::credential::{BEARER, Credential, is_blank, trim};
use crate::decision::{Deciding, Decision, Reason};
use crate::evaluation::is_health;
use crate::header::{Header, PREFLIGHT, is_token_byte, spells_one_of};
use crate::limits::{MAX_KEY_LEN, MAX_SCHEME_LEN};
use crate::mode::{AuthMode, EffectiveMode, MatchMode};
use crate::policy::doubt::{is_placeholder, starts_with_ignore_case, unquote};
use crate::policy::{Policy, StoredKey, path_of};

use search::{Place, Search};

/// How many bytes a credential and a key must share before one counts as a part of the other.
const TRUNCATED_MIN: usize = 8;
/// How many layers of `Bearer` and quotes a value is relieved of at the most.
const MEND_MAX: usize = 4;
/// More than the longest name of `UNREAD`, and than a header's name that is shown.
const NAME_MAX: usize = 32;
/// The longest word of a header's name that is shown.
const WORD_MAX: usize = 16;

const UNREAD: [&[u8]; 23] = [
    b"api-key",
    b"apikey",
    b"x-api-key",
    b"x-goog-api-key",
    b"x-google-api-key",
    b"x-apikey",
    b"x-auth-token",
    b"x-access-token",
    b"x-auth-key",
    b"x-auth",
    b"xi-api-key",
    b"token",
    b"key",
    b"proxy-authorization",
    b"authorization",
    b"authentication",
    b"authorisation",
    b"x-authorization",
    b"x-litellm-api-key",
    b"cf-aig-authorization",
    b"x-bf-vk",
    b"x-portkey-api-key",
    b"ocp-apim-subscription-key",
];
const PARAMETERS: [&str; 7] = [
    "key",
    "api_key",
    "api-key",
    "apikey",
    "access_token",
    "auth_token",
    "token",
];
const PROBES: [&str; 13] = [
    "/health",
    "/healthy",
    "/livez",
    "/readyz",
    "/live",
    "/ready",
    "/liveness",
    "/readiness",
    "/ping",
    "/status",
    "/metrics",
    "/api/health",
    "/-/healthy",
];
/// How credentials of others begin, and whose they are.
const FOREIGN: [(&[u8], &str, &str); 12] = [
    (
        b"sk-ant-oat",
        "a token of a Claude subscription",
        "Claude 订阅的令牌",
    ),
    (b"sk-ant-", "an Anthropic API key", "Anthropic 的 API key"),
    (b"sk-proj-", "an OpenAI project key", "OpenAI 的项目 key"),
    (b"sk-or-", "an OpenRouter key", "OpenRouter 的 key"),
    (b"AIza", "a Google API key", "Google 的 API key"),
    (b"ya29.", "a Google access token", "Google 的访问令牌"),
    (b"ghp_", "a GitHub token", "GitHub 的令牌"),
    (b"github_pat_", "a GitHub token", "GitHub 的令牌"),
    (b"gsk_", "a Groq key", "Groq 的 key"),
    (b"hf_", "a Hugging Face token", "Hugging Face 的令牌"),
    (b"xai-", "an xAI key", "xAI 的 key"),
    (b"eyJ", "a JSON web token", "JSON Web Token(JWT)"),
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
    unread: Vec<u8, NAME_MAX, u8>,
    /// Whether the value of such a header would match, once mended.
    unread_matches: bool,
    parameter: &'static str,
    elsewhere: Option<Elsewhere>,
    search: Search,
    /// Whether a key was found in the request, whatever is said of it.
    found: bool,
    /// The index of the exempt path that the request comes near.
    exempt: usize,
    probe: &'static str,
    /// Which of `PREFLIGHT` are missing, as bits.
    preflight_lacks: u8,
}

/// Where a key stands that is read from nowhere.
#[derive(Clone, Debug)]
enum Elsewhere {
    /// In the header of this name, or of this place where the name is not to be shown.
    Header(Vec<u8, NAME_MAX, u8>, usize),
    Query,
    Path,
}

/// What the text needs to know of the deciding value.
#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::struct_excessive_bools)] // facts, of which any can hold
struct Value {
    len: usize,
    credential_len: usize,
    remainder_len: usize,
    /// The remainder begins with a key and goes on.
    overlong: bool,
    /// It is the word Bearer alone, where Bearer is stripped.
    bare_bearer: bool,
    /// Freed of quotes and of every form of Bearer, it equals a key.
    matches_mended: bool,
    /// Where a key stands in it.
    place: Option<Place>,
    /// A comma stands beside that key.
    joined: bool,
    /// The index in `FOREIGN`.
    foreign: usize,
    /// A configured key is a placeholder, not one that is wrapped.
    gate_has_placeholder: bool,
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
            headers: 0,
            value: Value::default(),
            duplicates: 0,
            shadows: 0,
            right_shadows: 0,
            unread: Vec::new(),
            unread_matches: false,
            parameter: "",
            elsewhere: None,
            search: Search::new(),
            found: false,
            exempt: 0,
            probe: "",
            preflight_lacks: 0,
        };
        new.note(Finding::AutoResolved, policy.auth_mode == AuthMode::Auto);
        match new.decision.reason {
            Reason::AuthOff | Reason::Preflight | Reason::Health | Reason::InvalidCall => {}
            Reason::NoKeyConfigured => new.note(Finding::NoKeyConfigured, true),
            Reason::KeyMatched => new.look_at_headers(headers),
            Reason::CredentialMissing | Reason::CredentialUnusable | Reason::KeyMismatch => {
                new.look_at_headers(headers.clone());
                new.look_at_request(method, target);
                new.look_for_preflight(method, headers.clone());
                new.search(target, headers);
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

    /// Whether a key would match, were what a `bearer_*`, `quoted`, `unread_header`, `key_surrounded` or
    /// `key_elsewhere` finding speaks of mended.
    #[must_use]
    pub fn would_match_mended(&self) -> bool {
        let mendable = self.findings.intersects(Findings::MENDABLE);
        mendable && self.value.matches_mended
            || self.unread_matches
            || self.findings.contains(Finding::KeySurrounded)
            || self.findings.contains(Finding::KeyElsewhere)
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
            let source = self.policy.find_source(name);
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
            if !self.decision.is_allow() && self.is_unread(name) {
                self.note(Finding::UnreadHeader, true);
                if self.unread.is_empty() {
                    self.unread = Vec::from_slice(name).unwrap_or_default();
                }
                self.unread_matches |= self.matches_mended(value);
            }
        }
        // With `any`, every source was consulted.
        let first = self.policy.match_mode == MatchMode::First;
        self.note(Finding::ShadowedMatch, first && self.right_shadows != 0);
        self.note(
            Finding::ShadowedPresent,
            first && self.shadows != 0 && self.right_shadows == 0,
        );
        self.note(Finding::DuplicateIgnored, self.duplicates != 0);
    }

    /// A header of a source that is not the deciding one.
    fn look_at_other(&mut self, deciding: Deciding, source: usize, value: &[u8]) {
        if source == usize::from(deciding.source) {
            self.duplicates = self.duplicates.saturating_add(1);
            return;
        }
        let right = self.is_right(source, value);
        self.shadows |= 1 << source;
        self.right_shadows |= u32::from(right) << source;
    }

    fn is_right(&self, source: usize, value: &[u8]) -> bool {
        let credential = self.policy.read_credential(source, value);
        self.policy.find_key(credential.text).is_some()
    }

    fn is_unread(&self, name: &[u8]) -> bool {
        spells_one_of(name, &UNREAD) && self.policy.find_source(name).is_none()
    }

    fn look_at_value(&mut self, deciding: Deciding, value: &[u8]) {
        let source = usize::from(deciding.source);
        let value = trim(value);
        let Credential { text, .. } = self.policy.read_credential(source, value);
        let strips = self.strips_bearer(source);
        self.value.len = value.len();
        self.value.credential_len = text.len();
        self.value.bare_bearer = strips && value.eq_ignore_ascii_case(b"Bearer");
        if self.decision.is_allow() {
            return;
        }
        if strips {
            self.look_at_bearer(source, value);
        } else {
            let begins = starts_with_ignore_case(value, BEARER);
            self.note(Finding::BearerInKeyHeader, begins);
        }
        self.note(Finding::OtherScheme, self.has_other_scheme(source, value));
        let remainder = if self.findings.intersects(Findings::OF_BEARER) {
            less_bearer(value)
        } else {
            text
        };
        self.value.remainder_len = remainder.len();
        self.note(Finding::Quoted, unquote(remainder).is_some());
        self.look_for_part(remainder);
        self.value.place = self.search.find(self.policy, value);
        self.note(
            Finding::Placeholder,
            self.value.place.is_none() && (self.value.bare_bearer || is_placeholder(remainder)),
        );
        self.look_for_wrapped_key(value, remainder);
        self.look_for_foreign(remainder);
        self.look_for_gate_key(text);
        self.value.matches_mended = self.matches_mended(value);
    }

    fn strips_bearer(&self, source: usize) -> bool {
        self.policy.strips_bearer(source)
            || self.policy.scheme(source).eq_ignore_ascii_case(b"Bearer")
    }

    /// Of a source that strips Bearer: by this very word, or by a scheme of that name in any case.
    fn look_at_bearer(&mut self, source: usize, value: &[u8]) {
        const WORD: &[u8] = b"Bearer";
        if !starts_with_ignore_case(value, WORD) {
            return;
        }
        let exactly = self.policy.strips_bearer(source);
        let written_so = value.starts_with(WORD);
        let rest = value.get(WORD.len()..).unwrap_or(&[]);
        let blanks = rest.iter().take_while(|byte| is_blank(**byte));
        let (blank_count, has_tab) = blanks.fold((0_usize, false), |(count, tab), byte| {
            (count.saturating_add(1), tab || *byte == b'\t')
        });
        let no_space = !rest.is_empty() && !rest.iter().any(|byte| is_blank(*byte));
        self.note(Finding::BearerNoSpace, no_space);
        self.note(
            Finding::BearerCase,
            exactly && !written_so && (no_space || rest.starts_with(b" ")),
        );
        self.note(
            Finding::BearerExtraSpace,
            (written_so || !exactly) && (has_tab || exactly && blank_count > 1),
        );
        let after = rest.get(blank_count..).unwrap_or(&[]);
        self.note(
            Finding::BearerDoubled,
            blank_count > 0 && starts_with_ignore_case(after, BEARER),
        );
    }

    /// Whether another scheme than Bearer and the source's own stands before the credential.
    fn has_other_scheme(&self, source: usize, value: &[u8]) -> bool {
        let own = self.policy.scheme(source);
        if !self.policy.strips_bearer(source) && own.is_empty() {
            return false;
        }
        let len = value
            .iter()
            .take_while(|byte| is_token_byte(**byte))
            .count();
        let Some((word, [b' ', ..])) = value.split_at_checked(len) else {
            return false;
        };
        let is_scheme = (1..=MAX_SCHEME_LEN).contains(&len);
        let is_known = word.eq_ignore_ascii_case(b"Bearer") || word.eq_ignore_ascii_case(own);
        is_scheme && !is_known && !self.policy.keys.iter().any(|key| key.doubts.has_space)
    }

    /// Whether the remainder is the beginning of a key or begins with one. Every possible
    /// length is compared, so that the time tells nothing of the key's.
    fn look_for_part(&mut self, remainder: &[u8]) {
        let mut cut = false;
        for key in &self.policy.keys {
            cut |= remainder.len() >= TRUNCATED_MIN && key.secret.continues(remainder);
        }
        let mut overlong = false;
        for len in TRUNCATED_MIN..remainder.len().min(MAX_KEY_LEN + 1) {
            let (part, rest) = remainder.split_at_checked(len).unwrap_or_default();
            let goes_on = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            overlong |= self.policy.find_key(part).is_some() & rest.first().is_some_and(goes_on);
        }
        self.value.overlong = overlong;
        self.note(Finding::Truncated, cut | overlong);
    }

    fn look_for_wrapped_key(&mut self, value: &[u8], remainder: &[u8]) {
        let Some(place) = self.value.place else {
            return;
        };
        let mut is_whole = self.value.overlong;
        for text in [value, remainder] {
            for text in [Some(text), unquote(text)].into_iter().flatten() {
                is_whole |= self.policy.find_key(text).is_some();
            }
        }
        let is_comma = |at: Option<usize>| at.and_then(|at| value.get(at)) == Some(&b',');
        let blank = |byte: &&u8| is_blank(**byte);
        let after = value.len().saturating_sub(place.after);
        let blanks = value.get(after..).unwrap_or(&[]).iter().take_while(blank);
        let before = value.get(..place.before).unwrap_or(&[]);
        let blanks_before = before.iter().rev().take_while(blank);
        self.value.joined = is_comma(after.checked_add(blanks.count()))
            || is_comma(
                place
                    .before
                    .checked_sub(blanks_before.count().saturating_add(1)),
            );
        self.note(Finding::KeySurrounded, !is_whole);
    }

    fn look_for_foreign(&mut self, remainder: &[u8]) {
        let begins = |(_, (prefix, ..)): &(usize, &(&[u8], _, _))| {
            let is_token = remainder.split(|byte| *byte == b'.').count() == 3;
            remainder.starts_with(prefix) && (*prefix != b"eyJ" || is_token)
        };
        let fitting = FOREIGN.iter().enumerate().filter(begins);
        let Some((row, (prefix, ..))) = fitting.max_by_key(|(_, (prefix, ..))| prefix.len()) else {
            return;
        };
        let mut ours = false;
        for key in &self.policy.keys {
            ours |= key.secret.begins_with(prefix);
        }
        self.value.foreign = row;
        self.note(Finding::ForeignCredential, !ours);
    }

    /// Whether it is the gate's own key that is wrong.
    fn look_for_gate_key(&mut self, credential: &[u8]) {
        let (mut wrapped, mut placeholder) = (false, false);
        for key in &self.policy.keys {
            placeholder |= key.doubts.placeholder;
            if let Some((before, after)) = key.doubts.around() {
                wrapped |= key.secret.equals_within(credential, before, after);
            }
        }
        self.value.gate_has_placeholder = !wrapped;
        self.note(
            Finding::GateKeySuspect,
            self.decision.reason == Reason::KeyMismatch && (wrapped || placeholder),
        );
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
        let known = |name: &[u8]| {
            let mut known = PARAMETERS.into_iter();
            known.find(|key| name.eq_ignore_ascii_case(key.as_bytes()))
        };
        if let Some(parameter) = query_parameters(query).find_map(known) {
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
                let mut probes = PROBES.into_iter();
                let probe = probes.find(|probe| probe.as_bytes() == path);
                // An exempt one would have been let pass.
                let is_probe = matches!(method, b"GET" | b"HEAD") && !target.contains(&b'#');
                if let Some(probe) = probe.filter(|_| is_probe) {
                    self.note(Finding::ProbePath, true);
                    self.probe = probe;
                }
            }
        }
        self.note(
            Finding::OptionsCase,
            method.eq_ignore_ascii_case(b"OPTIONS") && method != b"OPTIONS",
        );
    }

    fn look_for_preflight<I>(&mut self, method: &[u8], headers: I)
    where
        I: IntoIterator,
        I::Item: Header,
    {
        if method != b"OPTIONS" {
            return;
        }
        self.note(Finding::PreflightGuarded, true);
        self.preflight_lacks = 0b11;
        for header in headers {
            for (bit, name) in PREFLIGHT.iter().enumerate() {
                if header.name().eq_ignore_ascii_case(name.as_bytes()) {
                    self.preflight_lacks &= !(1 << bit);
                }
            }
        }
    }

    /// Looks for keys where the deciding header does not stand: in the other headers, the query, the path,
    /// and both decoded.
    fn search<I>(&mut self, target: &[u8], headers: I)
    where
        I: IntoIterator,
        I::Item: Header,
    {
        let deciding = self.decision.deciding.map(|deciding| deciding.header);
        for (index, header) in headers.into_iter().enumerate() {
            if deciding == Some(index) {
                continue;
            }
            let (name, value) = (header.name(), header.value());
            let found = self.search.find(self.policy, trim(value)).is_some();
            self.found |= found;
            if found && self.elsewhere.is_none() && !self.is_told(name, value) {
                let shown = Vec::from_slice(name)
                    .ok()
                    .filter(|_| self.may_be_shown(name));
                self.elsewhere = Some(Elsewhere::Header(shown.unwrap_or_default(), index));
            }
        }
        let mark = target.iter().position(|byte| *byte == b'?');
        let (path, query) = target
            .split_at_checked(mark.unwrap_or(target.len()))
            .unwrap_or_default();
        let query = query.strip_prefix(b"?").unwrap_or(query);
        let (policy, search) = (self.policy, &mut self.search);
        let in_query = search.find(policy, query).is_some();
        let in_path = search.find(policy, path).is_some();
        let in_query = search.is_in_decoded(policy, query) | in_query;
        let in_path = search.is_in_decoded(policy, path) | in_path;
        self.found |= in_query | in_path;
        if self.elsewhere.is_none() {
            if in_query && !self.findings.contains(Finding::KeyInQuery) {
                self.elsewhere = Some(Elsewhere::Query);
            } else if in_path {
                self.elsewhere = Some(Elsewhere::Path);
            }
        }
        self.note(Finding::KeyElsewhere, self.elsewhere.is_some());
    }

    /// Whether another finding speaks of a header with a key in it.
    fn is_told(&self, name: &[u8], value: &[u8]) -> bool {
        if self.is_unread(name) {
            return true;
        }
        let (Some(source), Some(deciding)) =
            (self.policy.find_source(name), self.decision.deciding)
        else {
            return false;
        };
        self.policy.match_mode == MatchMode::First
            && source != usize::from(deciding.source)
            && self.is_right(source, value)
    }

    /// Whether a name is words of letters, as names are and keys are not.
    fn may_be_shown(&self, name: &[u8]) -> bool {
        let holds_key = |key: &StoredKey| key.secret.find_in(name, name.len()).is_some();
        let is_word = |word: &[u8]| {
            let is_short = word.len() <= WORD_MAX && word.iter().all(u8::is_ascii_alphabetic);
            is_short && self.policy.find_key(word).is_none()
        };
        !self.policy.keys.iter().any(holds_key) && name.split(|byte| *byte == b'-').all(is_word)
    }
}

/// A value without every leading `Bearer`, in any case, and the blanks behind it.
fn less_bearer(mut value: &[u8]) -> &[u8] {
    while starts_with_ignore_case(value, b"bearer") {
        value = trim(value.get(b"bearer".len()..).unwrap_or(&[]));
    }
    value
}

/// The names of a query's parameters, as sent.
fn query_parameters(query: &[u8]) -> impl Iterator<Item = &[u8]> {
    let query = query.split(|byte| *byte == b'#').next().unwrap_or(&[]);
    query
        .split(|byte| *byte == b'&')
        .filter_map(|pair| pair.split(|byte| *byte == b'=').next())
}
