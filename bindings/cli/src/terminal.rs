//! How text is set on a terminal.

use textwrap::core::Word;
use textwrap::{Options, WordSeparator, WordSplitter};

/// The widest that text is set, however wide the terminal is.
const MAX_WIDTH: usize = 100;
/// The narrowest: a terminal that is narrower wraps lines itself.
const MIN_WIDTH: usize = 20;

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
