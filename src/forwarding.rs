//! What of a request goes no further.

use crate::decision::{Decision, Reason};
use crate::policy::Policy;
use crate::policy::name::{Name, spells};

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

impl Policy {
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
        value: impl AsRef<[u8]>,
    ) -> bool {
        self.spells_source(name.as_ref()) || decision.drops(name, value)
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
}

impl Decision {
    /// Whether a host that forwards credentials must drop this header all the same: what
    /// [`Policy::drops`] says, but for the sources' names. A source that is called `X-Original-URL`, say,
    /// is dropped where no key was asked for.
    pub fn drops(&self, name: impl AsRef<[u8]>, _value: impl AsRef<[u8]>) -> bool {
        !self.is_allow() || beyond_one_request(self, name.as_ref())
    }
}

#[inline(never)] // few decisions are such
fn beyond_one_request(decision: &Decision, name: &[u8]) -> bool {
    let keyless = matches!(decision.reason(), Reason::Preflight | Reason::Health);
    keyless && BEYOND_ONE_REQUEST.iter().any(|own| spells(name, own))
}
