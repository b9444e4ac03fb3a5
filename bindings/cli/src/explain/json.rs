//! An explanation in JSON.

use std::fmt::{self, Write};

use keygate::{Explanation, Language, Lint, Policy, Section, Sink};
use serde::Serialize;

use super::note::Note;
use crate::decided::{Codes, Decided};
use crate::lints;

/// The sections of an explanation.
#[derive(Default)]
pub(super) struct Sections(pub(super) Vec<(Section, String)>);

impl Write for Sections {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let (_, last) = self.0.last_mut().ok_or(fmt::Error)?;
        last.push_str(text);
        Ok(())
    }
}

impl Sink for Sections {
    fn section(&mut self, section: Section) -> fmt::Result {
        self.0.push((section, String::new()));
        Ok(())
    }
}

impl Sections {
    pub(super) fn new(explanation: &Explanation<'_>, language: Language) -> Self {
        let mut sections = Self::default();
        // Writing to a string cannot fail.
        let _ = explanation.render(language, &mut sections);
        sections
    }
}

/// One request's explanation for a program.
#[derive(Serialize)]
pub(super) struct Json {
    #[serde(flatten)]
    decided: Decided,
    key_label: Option<String>,
    bearer_stripped: bool,
    rule: Option<u8>,
    findings: Codes,
    would_match_mended: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lint: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<&'static str>,
    text: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    label: &'static str,
    text: String,
}

impl Json {
    pub(super) fn new(
        policy: &Policy,
        explanation: &Explanation<'_>,
        notes: &[Note],
        language: Language,
    ) -> Self {
        let decision = explanation.decision();
        let label = decision.key_index().and_then(|key| policy.key_label(key));
        let Sections(sections) = Sections::new(explanation, language);
        let line = |(section, text): (Section, String)| Line {
            label: section.label(language),
            text,
        };
        Self {
            decided: Decided::new(policy, decision),
            // A character for a byte, as in a configuration.
            key_label: label.map(|label| label.iter().copied().map(char::from).collect()),
            bearer_stripped: decision.bearer_stripped(),
            rule: decision.reason().rule(),
            findings: Codes(explanation.findings()),
            would_match_mended: explanation.would_match_mended(),
            lint: lints::about(policy, decision.reason())
                .map(Lint::name)
                .collect(),
            notes: notes.iter().map(|note| note.text(language)).collect(),
            text: sections.into_iter().map(line).collect(),
        }
    }
}

/// A value in JSON, in one line.
pub(super) fn text(value: &impl Serialize) -> String {
    // Strings, numbers and lists of them always have a JSON form.
    serde_json::to_string(value).unwrap_or_default()
}
