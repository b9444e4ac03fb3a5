//! A decision in JSON, as every subcommand prints it.

use keygate::{Decision, Finding, Findings, Policy};
use serde::{Serialize, Serializer};

/// What does not apply is null.
#[derive(Serialize)]
pub(crate) struct Decided {
    verdict: &'static str,
    reason: &'static str,
    effective_mode: &'static str,
    source: Option<String>,
    header_index: Option<usize>,
    key_index: Option<usize>,
}

impl Decided {
    pub(crate) fn new(policy: &Policy, decision: Decision) -> Self {
        let source = decision
            .source_index()
            .and_then(|index| policy.source_name(index));
        Self {
            verdict: decision.verdict().name(),
            reason: decision.reason().name(),
            effective_mode: decision.effective_mode().name(),
            source: source.map(str::to_owned),
            header_index: decision.header_index(),
            key_index: decision.key_index(),
        }
    }
}

/// The names of findings, in order.
pub(crate) struct Codes(pub(crate) Findings);

impl Serialize for Codes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(Finding::name))
    }
}
