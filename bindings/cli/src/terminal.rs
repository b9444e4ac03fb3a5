//! Standard output and standard error, and how text is set on a terminal.

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use keygate::Language;
use textwrap::core::Word;
use textwrap::{Options, WordSeparator, WordSplitter};

use crate::failure::{Failure, fail};

/// The exit status of every failure.
pub(crate) const FAILURE: u8 = 2;

/// The widest that text is set, however wide the terminal is.
const MAX_WIDTH: usize = 100;
/// The narrowest: a terminal that is narrower wraps lines itself.
const MIN_WIDTH: usize = 20;

impl Failure {
    /// Writes the message to standard error.
    pub(crate) fn report(&self, language: Language) -> ExitCode {
        let label = match language {
            Language::Zh => "错误",
            _ => "error",
        };
        let mut text = format!("{label}: {}", self.text(language));
        if io::stderr().is_terminal() {
            text = wrap(&text, width(), 2).join("\n");
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

pub(crate) fn width() -> usize {
    textwrap::termwidth().min(MAX_WIDTH)
}

/// `text` in lines of at most `width` columns. All but the first begin with `indent` spaces.
pub(crate) fn wrap(text: &str, width: usize, indent: usize) -> Vec<String> {
    let indent = " ".repeat(indent);
    let options = Options::new(width.max(MIN_WIDTH))
        .subsequent_indent(&indent)
        .word_splitter(WordSplitter::NoHyphenation)
        .word_separator(WordSeparator::Custom(words));
    let lines = textwrap::wrap(text, options);
    lines.into_iter().map(String::from).collect()
}

/// Parts between which a line may be broken (UAX 14): Chinese is written without spaces. Not after a
/// hyphen, which is part of a name.
fn words(line: &str) -> Box<dyn Iterator<Item = Word<'_>> + '_> {
    let mut start = 0;
    let breaks = unicode_linebreak::linebreaks(line);
    Box::new(breaks.filter_map(move |(end, _)| {
        let word = line.get(start..end)?;
        if word.ends_with('-') && end < line.len() {
            return None;
        }
        start = end;
        Some(Word::from(word))
    }))
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_stay_whole() {
        let text = "remove x-goog-api-key from it, or put the key into x-goog-api-key";
        let lines = super::wrap(text, 24, 2);
        assert!(lines.len() > 2, "{lines:?}");
        for line in &lines {
            assert!(line.len() <= 24 && !line.ends_with('-'), "{lines:?}");
        }
        let indented = lines.iter().skip(1).all(|line| line.starts_with("  "));
        assert!(indented, "{lines:?}");
    }
}
