//! What is told of decisions and policies, as events of `tracing`. No field has room for a key, a
//! header's value or a target.

use http::Method;
use keygate::{Decision, Finding, Findings, Language, Policy, Reason};
use tracing::Level;

pub(crate) fn decision(
    policy: &Policy,
    decision: &Decision,
    method: &Method,
    explain: Option<impl FnOnce() -> Findings>,
) {
    let codes = |findings: Findings| {
        let names: Vec<_> = findings.iter().map(Finding::name).collect();
        names.join(",")
    };
    let source = || policy.source_name(decision.source_index()?);
    let label = || std::str::from_utf8(policy.key_label(decision.key_index()?)?).ok();
    // A level is a part of what is compiled.
    macro_rules! event {
        ($level:expr) => {
            tracing::event!(
                target: "keygate",
                $level,
                verdict = decision.verdict().name(),
                reason = decision.reason().name(),
                effective_mode = decision.effective_mode().name(),
                source = source(),
                key_index = decision.key_index(),
                key_label = label(),
                method = usual(method),
                findings = explain.map(|explain| codes(explain())),
                "{}",
                decision.reason().text(Language::En),
            )
        };
    }
    match decision.reason() {
        Reason::NoKeyConfigured | Reason::InvalidCall => event!(Level::ERROR),
        _ => event!(Level::INFO),
    }
}

/// The method, where it is one of those that are known: another may be a key.
fn usual(method: &Method) -> &str {
    match method.as_str() {
        usual @ ("GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS" | "CONNECT"
        | "TRACE") => usual,
        _ => "(other)",
    }
}

pub(crate) fn lints(policy: &Policy) {
    for lint in policy.lints().iter() {
        tracing::warn!(target: "keygate", lint = lint.name(), "{}", lint.text(Language::En));
    }
}
