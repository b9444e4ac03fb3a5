//! What stops a command, in both languages.

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use keygate::Language;

use crate::terminal;

/// The exit status of every failure.
pub(crate) const FAILURE: u8 = 2;

/// A message for the person at the terminal. It repeats nothing that was typed or read, since
/// any of it may be a key in the wrong place.
#[derive(Debug)]
pub(crate) struct Failure {
    en: String,
    zh: String,
}

/// Makes a [`Failure`].
pub(crate) fn fail(en: impl Into<String>, zh: impl Into<String>) -> Failure {
    Failure {
        en: en.into(),
        zh: zh.into(),
    }
}

impl Failure {
    pub(crate) fn text(&self, language: Language) -> &str {
        match language {
            Language::Zh => &self.zh,
            _ => &self.en,
        }
    }

    /// Writes the message to standard error.
    pub(crate) fn report(&self, language: Language) -> ExitCode {
        let label = match language {
            Language::Zh => "错误",
            _ => "error",
        };
        let mut text = format!("{label}: {}", self.text(language));
        if io::stderr().is_terminal() {
            text = terminal::wrap(&text, terminal::width(), 2).join("\n");
        }
        text.push('\n');
        // With standard error gone there is no one left to tell; the status still does.
        let _ = io::Write::write_all(&mut io::stderr(), text.as_bytes());
        ExitCode::from(FAILURE)
    }
}

/// Writes to standard output; nothing panics where it is closed.
pub(crate) fn print(text: &[u8]) -> Result<(), Failure> {
    let mut to = io::stdout().lock();
    io::Write::write_all(&mut to, text)
        .and_then(|()| io::Write::flush(&mut to))
        .map_err(|error| {
            let kind = error.kind();
            fail(
                format!("standard output cannot be written: {kind}"),
                format!("无法写入标准输出:{kind}"),
            )
        })
}

/// The option that a value was perhaps glued to. The shortest one that the argument begins with: a
/// longer one may be made of bytes of the value.
pub(crate) fn glued_to<'n>(
    argument: &[u8],
    names: impl Iterator<Item = &'n str>,
) -> Option<&'n str> {
    names
        .filter(|name| argument.starts_with(name.as_bytes()))
        .min_by_key(|name| name.len())
}
