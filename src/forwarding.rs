//! What of a request goes no further, and what its answer says.

use crate::credential::{is_blank, trim};
use crate::decision::{Decision, Denial, Reason};
use crate::header::{BEYOND_ONE_REQUEST, spells, spells_one_of};
use crate::mode::Strip;
use crate::policy::Policy;

const CHALLENGE: &str = "WWW-Authenticate";

impl Policy {
    /// Whether a host must drop this header before it forwards a request that was decided so:
    ///
    /// - with [`Strip::Sources`], every spelling of a source's name (in any case, with `_` or `.` for
    ///   `-`), whatever the value and the reason; with [`Strip::Matched`], those of them whose value
    ///   holds a key: the whole value equals one, or what a source reads from it does, or what
    ///   stands behind its last SP or HTAB; with [`Strip::Off`] none;
    /// - where there is an identity header, every spelling of it, and `Upgrade` to anything but
    ///   `websocket`: in such a tunnel the client would write that header itself. No option of
    ///   `Connection` may name it either;
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
        value: impl AsRef<[u8]>,
    ) -> bool {
        let (name, value) = (name.as_ref(), value.as_ref());
        let is_credential = match self.strip {
            Strip::Sources => self.spelled_so(name).next().is_some(),
            Strip::Matched => self.holds_key(name, value),
            Strip::Off => false,
        };
        // All of it is asked: the time tells nothing of what was found.
        !decision.is_allow()
            | is_credential
            | self.forges_identity(name, value)
            | beyond_one_request(decision, name)
    }

    /// Whether a source is spelled so, and a key is in its value. Every candidate is compared: the
    /// time tells nothing of which is right.
    #[inline(never)]
    fn holds_key(&self, name: &[u8], value: &[u8]) -> bool {
        let mut holds = false;
        for source in self.spelled_so(name) {
            let value = trim(value);
            let last = value.rsplit(|byte| is_blank(*byte)).next().unwrap_or(value);
            let read = self.read_credential(source, value).text;
            for candidate in [value, read, last] {
                holds |= self.find_key(candidate).is_some();
            }
        }
        holds
    }

    fn forges_identity(&self, name: &[u8], value: &[u8]) -> bool {
        self.identity.len() != 0
            && (self.identity.spells(name)
                || spells(name, b"upgrade") && !trim(value).eq_ignore_ascii_case(b"websocket"))
    }

    /// The header fields of the answer to a denied request, by index: name and value. `None` after the
    /// last, and where the request may pass.
    ///
    /// ```
    /// # use keygate::{AuthMode, Config, Policy};
    /// # let policy = Policy::new(&Config::new(AuthMode::Strict).allow_origin("*"))?;
    /// let decision = policy.decide("GET", "/v1/models", [("x-api-key", "sk-other")]);
    /// for (name, value) in (0..).map_while(|index| policy.denial_header(&decision, index)) {
    ///     println!("{name}: {value}");
    /// }
    /// # Ok::<(), keygate::ConfigError>(())
    /// ```
    #[must_use]
    pub fn denial_header(&self, decision: &Decision, index: usize) -> Option<(&str, &str)> {
        denial_header(decision.denial()?, self.allow_origin(), index)
    }

    /// What hosts send as `Access-Control-Allow-Origin` with their 401. `None`: nothing.
    #[must_use]
    pub fn allow_origin(&self) -> Option<&str> {
        let origin = core::str::from_utf8(&self.allow_origin).ok()?; // visible ASCII
        (!origin.is_empty()).then_some(origin)
    }

    /// The lengths of the names that are read or may be dropped: bit n % 64 for n bytes. A header
    /// whose name has another length need not be pushed, and [`drops`](Self::drops) need not be
    /// asked about it.
    #[must_use]
    pub fn name_lengths(&self) -> u64 {
        let wanted = self.wanted_names().map(str::len);
        let others = BEYOND_ONE_REQUEST.iter().map(|name| name.len());
        let identity = Some(self.identity.len()).filter(|len| *len != 0);
        wanted
            .chain(others)
            .chain(identity)
            .fold(0, |lengths, len| lengths | 1 << (len % 64))
    }
}

pub(crate) fn denial_header(
    denial: Denial,
    origin: Option<&str>,
    index: usize,
) -> Option<(&str, &str)> {
    match (index, origin) {
        (0, _) => Some((CHALLENGE, denial.challenge())),
        (1, _) => Some(("Content-Type", Denial::CONTENT_TYPE)),
        (2, Some(origin)) => Some(("Access-Control-Allow-Origin", origin)),
        (3, Some(_)) => Some(("Access-Control-Expose-Headers", CHALLENGE)),
        (4, Some(origin)) if origin != "*" => Some(("Vary", "Origin")),
        _ => None,
    }
}

#[inline(never)] // few decisions are such
fn beyond_one_request(decision: &Decision, name: &[u8]) -> bool {
    let keyless = matches!(decision.reason(), Reason::Preflight | Reason::Health);
    keyless && spells_one_of(name, &BEYOND_ONE_REQUEST)
}
