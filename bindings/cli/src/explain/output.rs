//! Explanations for a terminal, for a pipe and for a program.

use std::fmt::Write;
use std::io::{self, IsTerminal};

use anstyle::{AnsiColor, Style};
use keygate::{Explanation, Language, Policy, Section};

use super::json::{Json, Sections};
use super::note::{Note, Notes};
use crate::failure::Failure;
use crate::{lints, terminal};

const METHODS: [&str; 9] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
];

/// The output about every request, as it is gathered. Nothing is printed before all are done.
pub(super) struct Output {
    language: Language,
    json: bool,
    /// The width of the terminal, where there is one.
    width: Option<usize>,
    text: String,
    notes: Vec<Note>,
    count: usize,
    number: usize,
}

impl Output {
    /// For `count` requests.
    pub(super) fn new(language: Language, json: bool, count: usize) -> Self {
        let is_terminal = io::stdout().is_terminal() && !json;
        Self {
            language,
            json,
            width: is_terminal.then(terminal::width),
            text: String::new(),
            notes: Vec::new(),
            count,
            number: 0,
        }
    }

    /// What is odd about the paste, before anything that follows from it.
    pub(super) fn notes(&mut self, notes: &Notes) {
        self.notes = notes.iter().collect();
        if self.json {
            return;
        }
        let label = match self.language {
            Language::Zh => "注意",
            _ => "note",
        };
        for note in notes.iter() {
            let text = format!("{label}: {}", note.text(self.language));
            let lines = match self.width {
                Some(width) => terminal::wrap(&text, width, 2),
                None => vec![text],
            };
            for line in lines {
                self.text.push_str(&line);
                self.text.push('\n');
            }
        }
        if notes.iter().next().is_some() {
            self.text.push('\n');
        }
    }

    pub(super) fn add(&mut self, policy: &Policy, method: &[u8], explanation: &Explanation<'_>) {
        self.number += 1;
        if self.json {
            let line = Json::new(policy, explanation, &self.notes, self.language);
            self.text += &super::json::text(&line);
        } else {
            self.heading(method);
            match self.width {
                Some(width) => self.lay_out(explanation, width),
                None => {
                    let _ = explanation.write(self.language, &mut self.text);
                }
            }
            let label = match self.language {
                Language::Zh => "检查",
                _ => "lint",
            };
            for lint in lints::about(policy, explanation.decision().reason()) {
                self.text.push('\n');
                self.styled(&format!("{label}: "), Style::new().bold());
                let line = lints::line(lint, self.language);
                self.text.push_str(&line);
            }
        }
        self.text.push('\n');
    }

    /// Names a request among several, without its target, which may hold a key.
    fn heading(&mut self, method: &[u8]) {
        if self.count < 2 {
            return;
        }
        if self.number > 1 {
            self.text.push('\n');
        }
        let known = METHODS
            .into_iter()
            .any(|known| method.eq_ignore_ascii_case(known.as_bytes()));
        let method = str::from_utf8(method).ok().filter(|_| known);
        let (number, count) = (self.number, self.count);
        let heading = if self.language == Language::Zh {
            let method = method.unwrap_or("其他方法");
            format!("第 {number} 个请求,共 {count} 个:{method}")
        } else {
            let method = method.unwrap_or("another method");
            format!("request {number} of {count}: {method}")
        };
        self.styled(&heading, Style::new().bold().underline());
        self.text.push('\n');
    }

    /// Sets the labels in one column and the texts, wrapped, in another.
    fn lay_out(&mut self, explanation: &Explanation<'_>, width: usize) {
        let label_width =
            |section: &Section| textwrap::core::display_width(section.label(self.language));
        let Sections(sections) = Sections::new(explanation, self.language);
        let sections_seen = sections.iter().map(|(section, _)| label_width(section));
        let column = sections_seen.max().unwrap_or(0) + 2;
        let color = if explanation.decision().is_allow() {
            AnsiColor::Green
        } else {
            AnsiColor::Red
        };
        for (index, (section, text)) in sections.iter().enumerate() {
            if index > 0 {
                self.text.push('\n');
            }
            let same = |other: Option<&(Section, String)>| {
                other.is_some_and(|(other, _)| other == section)
            };
            let is_next = index > 0 && same(sections.get(index - 1));
            let is_one_of_several = is_next || same(sections.get(index + 1));
            // A label stands once before all that it belongs to, and a dash before each of these.
            let label = if is_next {
                ""
            } else {
                section.label(self.language)
            };
            self.styled(label, Style::new().bold());
            let gap = column.saturating_sub(textwrap::core::display_width(label));
            self.text.extend(std::iter::repeat_n(' ', gap));
            let (dash, indent) = if is_one_of_several {
                ("- ", 2)
            } else {
                ("", 0)
            };
            let lines = terminal::wrap(
                &format!("{dash}{text}"),
                width.saturating_sub(column),
                indent,
            );
            for (index, line) in lines.iter().enumerate() {
                if index > 0 {
                    self.text.push('\n');
                    self.text.extend(std::iter::repeat_n(' ', column));
                }
                match section {
                    Section::Verdict => self.styled(line, color.on_default().bold()),
                    _ => self.text.push_str(line),
                }
            }
        }
    }

    fn styled(&mut self, text: &str, style: Style) {
        if self.width.is_some() && !text.is_empty() {
            let _ = write!(self.text, "{style}{text}{style:#}");
        } else {
            self.text.push_str(text);
        }
    }

    pub(super) fn print(self) -> Result<(), Failure> {
        let mut text = self.text.into_bytes();
        if self.width.is_some() && colorless() {
            text = anstream::adapter::strip_bytes(&text).into_vec();
        }
        terminal::print(&text)
    }
}

fn colorless() -> bool {
    anstream::AutoStream::choice(&io::stdout()) == anstream::ColorChoice::Never
}
