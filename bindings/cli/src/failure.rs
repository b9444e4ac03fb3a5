//! What stops a command, in both languages.

use std::io;
use std::process::ExitCode;

use keygate::Language;

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
        // With standard error gone there is no one left to tell; the status still does.
        let _ = io::Write::write_fmt(
            &mut io::stderr(),
            format_args!("{label}: {}\n", self.text(language)),
        );
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

/// The name of an option, where it looks like one and not like a key.
pub(crate) fn option_name(option: &[u8]) -> Option<&str> {
    if let [b'-', letter] = option
        && letter.is_ascii_graphic()
    {
        return str::from_utf8(option).ok();
    }
    let is_name_byte = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.');
    let digits = option.iter().filter(|byte| byte.is_ascii_digit()).count();
    (option.len() <= 32 && digits <= 2 && option.iter().all(is_name_byte))
        .then(|| str::from_utf8(option).ok())
        .flatten()
}
