//! What is probably a mistake in a configuration, in words.

use keygate::{Language, Lint, Policy, Reason};

/// The code, and what it means.
pub(crate) fn line(lint: Lint, language: Language) -> String {
    format!("{lint}: {}", lint.text(language))
}

/// What may have to do with a request that was decided so.
pub(crate) fn about(policy: &Policy, reason: Reason) -> impl Iterator<Item = Lint> {
    let wanted: &[Lint] = match reason {
        Reason::KeyMismatch => &[
            Lint::KeyPlaceholder,
            Lint::KeyQuoted,
            Lint::KeyBearer,
            Lint::KeyAssignment,
        ],
        Reason::NoKeyConfigured => &[Lint::NoKey],
        Reason::AuthOff => &[Lint::Open, Lint::AutoOpen],
        Reason::CredentialMissing => &[Lint::SourceUnderscore, Lint::ExemptPattern],
        _ => &[],
    };
    policy.lints().iter().filter(|lint| wanted.contains(lint))
}
