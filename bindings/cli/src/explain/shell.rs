//! A command line as a POSIX shell splits it into words.
//!
//! The shell-word crates know neither `$'...'` nor where a command ends (`| jq`), and a word
//! taken wrongly would be a URL.

use super::note::{Note, Notes};
use super::paste::{is_any_tool, is_unseen};
use crate::failure::{Failure, fail};

/// The words of the first command in `text` that is a known tool's, or of the last one, quotes and
/// continuations resolved. Variables stay as they are written; what only a shell could carry out is
/// refused.
pub(super) fn split(text: &[u8], notes: &mut Notes) -> Result<Vec<Vec<u8>>, Failure> {
    Splitter {
        text,
        notes,
        at: 0,
        words: Vec::new(),
        word: None,
        plain: true,
        discard: false,
    }
    .run()
}

/// A command's words without what stands before its name: `sudo`, `time`, `NAME=value`.
pub(super) fn command(words: &[Vec<u8>]) -> &[Vec<u8>] {
    let before = |word: &Vec<u8>| {
        let name = word
            .iter()
            .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_');
        let is_assignment = word.get(name.count()) == Some(&b'=') && word.first() != Some(&b'=');
        is_assignment
            || matches!(
                word.as_slice(),
                b"sudo" | b"time" | b"env" | b"command" | b"export"
            )
    };
    let mut rest = words;
    while let [first, after @ ..] = rest
        && before(first)
    {
        rest = after;
        // `sudo -E`, `time -p`
        while let [option, after @ ..] = rest
            && option.starts_with(b"-")
        {
            rest = after;
        }
    }
    rest
}

struct Splitter<'t> {
    text: &'t [u8],
    notes: &'t mut Notes,
    at: usize,
    words: Vec<Vec<u8>>,
    word: Option<Vec<u8>>,
    /// Nothing of the word was quoted.
    plain: bool,
    /// The next word is the target of a redirection.
    discard: bool,
}

impl Splitter<'_> {
    fn run(mut self) -> Result<Vec<Vec<u8>>, Failure> {
        while let Some(byte) = self.next() {
            match byte {
                b' ' | b'\t' | b'\r' => self.end_word(),
                b'\n' => {
                    if self.end_command() {
                        self.expect_nothing()?;
                        break;
                    }
                }
                b'#' if self.word.is_none() => self.skip_comment(),
                b'&' if self.peek() == Some(b'>') => self.end_word(),
                b'|' | b';' | b'&' => {
                    if self.end_command() {
                        break;
                    }
                }
                b'<' | b'>' => self.redirect(byte)?,
                b'(' | b')' => return Err(self.substitution()),
                _ => self.word_byte(byte)?,
            }
        }
        self.end_word();
        Ok(self.words)
    }

    /// Whether that was the command to read. Of another, such as the `cat` before a pipe, nothing is
    /// kept where one follows.
    fn end_command(&mut self) -> bool {
        self.end_word();
        let is_tool = command(&self.words)
            .first()
            .is_some_and(|word| is_any_tool(word));
        let rest = self.text.get(self.at..).unwrap_or(&[]);
        if !is_tool && !rest.trim_ascii().is_empty() {
            self.words.clear();
        }
        is_tool
    }

    fn word_byte(&mut self, byte: u8) -> Result<(), Failure> {
        match byte {
            b'\\' | b'^' if self.skip_line_end() => {}
            b'\\' => {
                self.plain = false;
                let byte = self.next().unwrap_or(b'\\');
                self.push(byte);
            }
            b'\'' => self.single()?,
            b'"' => self.double()?,
            b'$' if self.peek() == Some(b'\'') => {
                self.at += 1;
                self.ansi_c()?;
            }
            b'$' if self.peek() == Some(b'"') => {
                self.at += 1;
                self.double()?;
            }
            b'$' if self.peek() == Some(b'(') => return Err(self.substitution()),
            b'`' => return Err(self.substitution()),
            0xC2 | 0xE2 | 0xEF => return self.beyond_ascii(byte),
            _ => self.push(byte),
        }
        Ok(())
    }

    /// A byte that may begin a character which a text processor has put there.
    fn beyond_ascii(&mut self, byte: u8) -> Result<(), Failure> {
        let len = if byte == 0xC2 { 2 } else { 3 };
        let from = self.at - 1;
        let bytes = self.text.get(from..from + len).unwrap_or(&[]);
        let character = str::from_utf8(bytes)
            .ok()
            .and_then(|text| text.chars().next());
        let starts = self.word.is_none();
        match character {
            Some('\u{2018}' | '\u{2019}' | '\u{201c}' | '\u{201d}') if starts => Err(self.at_line(
                "a word starts with a curly quote, which no shell knows; write \" or '",
                "有单词以弯引号(“ ‘ 等)开头,shell 不认识它;请改成 \" 或 '",
            )),
            Some('\u{2010}'..='\u{2015}' | '\u{2212}') if starts => Err(self.at_line(
                "a word starts with a dash (– or —) that is no hyphen, so that it is no option; type - or --",
                "有单词以破折号(– 或 —)开头,它不是连字符,所以不是选项;请改成 - 或 --",
            )),
            Some(character) if is_unseen(character) => {
                self.notes.add(Note::Space);
                self.at = from + len;
                if matches!(character, '\u{a0}' | '\u{202f}') {
                    self.end_word();
                }
                Ok(())
            }
            _ => {
                self.push(byte);
                Ok(())
            }
        }
    }

    fn single(&mut self) -> Result<(), Failure> {
        let start = self.open();
        loop {
            match self.next() {
                None => return Err(self.unclosed(start)),
                Some(b'\'') => return Ok(()),
                Some(byte) => self.push(byte),
            }
        }
    }

    fn double(&mut self) -> Result<(), Failure> {
        let start = self.open();
        loop {
            match self.next() {
                None => return Err(self.unclosed(start)),
                Some(b'"') => return Ok(()),
                Some(b'\\') if self.skip_line_end() => {}
                Some(b'\\') => match self.peek() {
                    Some(byte @ (b'$' | b'`' | b'"' | b'\\')) => {
                        self.at += 1;
                        self.push(byte);
                    }
                    _ => self.push(b'\\'),
                },
                Some(b'`') => return Err(self.substitution()),
                Some(b'$') if self.peek() == Some(b'(') => return Err(self.substitution()),
                Some(byte) => self.push(byte),
            }
        }
    }

    /// What stands in `$'...'`.
    fn ansi_c(&mut self) -> Result<(), Failure> {
        let start = self.open();
        loop {
            let byte = match self.next() {
                None => return Err(self.unclosed(start)),
                Some(b'\'') => return Ok(()),
                Some(b'\\') => match self.next() {
                    None => return Err(self.unclosed(start)),
                    Some(b'n') => b'\n',
                    Some(b'r') => b'\r',
                    Some(b't') => b'\t',
                    Some(b'a') => 7,
                    Some(b'b') => 8,
                    Some(b'v') => 11,
                    Some(b'f') => 12,
                    Some(b'e' | b'E') => 27,
                    Some(b'x') => self.number(16, 2).to_le_bytes()[0],
                    Some(b'u') => {
                        self.character(4);
                        continue;
                    }
                    Some(b'U') => {
                        self.character(8);
                        continue;
                    }
                    Some(b'0'..=b'7') => {
                        self.at -= 1;
                        self.number(8, 3).to_le_bytes()[0]
                    }
                    Some(byte @ (b'\\' | b'\'' | b'"' | b'?')) => byte,
                    Some(byte) => {
                        self.push(b'\\');
                        byte
                    }
                },
                Some(byte) => byte,
            };
            self.push(byte);
        }
    }

    fn number(&mut self, radix: u32, digits: usize) -> u32 {
        let mut number = 0_u32;
        for _ in 0..digits {
            let Some(digit) = self
                .peek()
                .and_then(|byte| char::from(byte).to_digit(radix))
            else {
                break;
            };
            self.at += 1;
            number = number.wrapping_mul(radix).wrapping_add(digit);
        }
        number
    }

    fn character(&mut self, digits: usize) {
        let character =
            char::from_u32(self.number(16, digits)).unwrap_or(char::REPLACEMENT_CHARACTER);
        let mut buffer = [0; 4];
        for byte in character.encode_utf8(&mut buffer).bytes() {
            self.push(byte);
        }
    }

    /// `>file`, `2>&1`, `< file`: they change nothing of the request.
    fn redirect(&mut self, byte: u8) -> Result<(), Failure> {
        let descriptor = |word: &Vec<u8>| word.iter().all(u8::is_ascii_digit);
        if self.plain && self.word.as_ref().is_some_and(descriptor) {
            self.word = None;
        }
        self.end_word();
        if byte == b'<' && self.peek() == Some(b'<') {
            return Err(self.at_line(
                "a here-document (<<) is not understood; put the data into the command",
                "不支持 here-document(<<);请把数据直接写进命令",
            ));
        }
        if let Some(b'>' | b'&' | b'|') = self.peek() {
            self.at += 1;
        }
        self.discard = true;
        Ok(())
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek();
        self.at += usize::from(byte.is_some());
        byte
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn push(&mut self, byte: u8) {
        self.word.get_or_insert_default().push(byte);
    }

    /// Begins a quoted part, which is a word even where it is empty.
    fn open(&mut self) -> usize {
        self.plain = false;
        self.word.get_or_insert_default();
        self.at
    }

    fn end_word(&mut self) {
        if let Some(word) = self.word.take()
            && !std::mem::take(&mut self.discard)
        {
            self.words.push(word);
        }
        self.plain = true;
    }

    /// Skips the line end that a continuation stands before.
    fn skip_line_end(&mut self) -> bool {
        let rest = self.text.get(self.at..).unwrap_or(&[]);
        let len = match rest {
            [b'\n', ..] => 1,
            [b'\r', b'\n', ..] => 2,
            _ => return false,
        };
        self.at += len;
        true
    }

    fn skip_comment(&mut self) {
        while self.peek().is_some_and(|byte| byte != b'\n') {
            self.at += 1;
        }
    }

    fn expect_nothing(&mut self) -> Result<(), Failure> {
        while let Some(byte) = self.next() {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => {}
                b'#' => self.skip_comment(),
                _ => {
                    return Err(self.at_line(
                        "more text follows after the end of the command; where it belongs to the command, \
                         end the line before with a backslash (and no space after it)",
                        "命令结束后还有内容;如果它属于同一条命令,请在上一行末尾加反斜杠(其后不能有空格)",
                    ));
                }
            }
        }
        Ok(())
    }

    fn line_of(&self, at: usize) -> usize {
        let before = self.text.get(..at).unwrap_or(self.text);
        before.split(|byte| *byte == b'\n').count()
    }

    fn at_line(&self, en: &str, zh: &str) -> Failure {
        let line = self.line_of(self.at);
        fail(
            format!("command, line {line}: {en}"),
            format!("命令第 {line} 行:{zh}"),
        )
    }

    fn unclosed(&mut self, start: usize) -> Failure {
        self.at = start;
        self.at_line("a quote is opened and never closed", "引号没有闭合")
    }

    fn substitution(&self) -> Failure {
        self.at_line(
            "a command inside the command ($(...), `...` or parentheses) is not carried out; \
             write its output there instead",
            "不会执行命令中的命令($(...)、`...` 或括号);请把它的输出直接写在那里",
        )
    }
}

#[cfg(test)]
mod tests {
    use keygate::Language;

    use super::Notes;

    fn split(text: &str) -> Result<Vec<String>, String> {
        super::split(text.as_bytes(), &mut Notes::default())
            .map(|words| {
                let text = |word: Vec<u8>| String::from_utf8_lossy(&word).into_owned();
                words.into_iter().map(text).collect()
            })
            .map_err(|failure| failure.text(Language::En).to_owned())
    }

    #[test]
    fn words() {
        let table: &[(&str, &[&str])] = &[
            ("curl a", &["curl", "a"]),
            ("  curl\t a  \n\n", &["curl", "a"]),
            ("curl -H 'a: b c' x", &["curl", "-H", "a: b c", "x"]),
            (r#"curl "a \" \\ \$ \x""#, &["curl", r#"a " \ $ \x"#]),
            (r"curl a\ b 'c'd\'", &["curl", "a b", "cd'"]),
            ("curl '' \"\"", &["curl", "", ""]),
            ("curl \\\n -i \\\r\n x", &["curl", "-i", "x"]),
            ("curl ^\n -i ^\r\n x", &["curl", "-i", "x"]),
            ("curl a\\\nb", &["curl", "ab"]),
            ("curl \"a\\\nb\"", &["curl", "ab"]),
            ("curl 'a\nb'", &["curl", "a\nb"]),
            (
                r"curl $'a\n\t\x41\101\u4e2d\'\q'",
                &["curl", "a\n\tAA中'\\q"],
            ),
            (
                "curl $KEY \"${KEY}\" $\"x\"",
                &["curl", "$KEY", "${KEY}", "x"],
            ),
            ("# first\ncurl a # more\n# last", &["curl", "a"]),
            ("curl a#b", &["curl", "a#b"]),
            ("curl a | jq .", &["curl", "a"]),
            ("curl a; rm b", &["curl", "a"]),
            ("curl a&& b", &["curl", "a"]),
            ("curl http://h/?a=1&b=2", &["curl", "http://h/?a=1"]),
            ("curl 2>/dev/null a >b 2>&1 -i", &["curl", "a", "-i"]),
            ("curl a &> b c", &["curl", "a", "c"]),
            ("curl a2>b '2'>b", &["curl", "a2", "2"]),
            ("curl a <b >>c", &["curl", "a"]),
            ("cat key | curl a", &["curl", "a"]),
            ("export K=x; cd b && curl a", &["curl", "a"]),
            ("K=x sudo -E curl a", &["K=x", "sudo", "-E", "curl", "a"]),
            ("ls\ncurl a\n", &["curl", "a"]),
            (
                "curl\u{a0}a \u{200b}b 'c\u{a0}d'",
                &["curl", "a", "b", "c\u{a0}d"],
            ),
            ("curl \u{4e2d} \u{20ac}", &["curl", "\u{4e2d}", "\u{20ac}"]),
            ("", &[]),
        ];
        for (text, words) in table {
            let split = split(text).expect(text);
            assert_eq!(split, *words, "{text}");
        }
    }

    #[test]
    fn refusals() {
        let table = [
            ("curl 'a\nb", "line 1: a quote"),
            ("curl \\\n \"a", "line 2: a quote"),
            ("curl $'a\\", "line 1: a quote"),
            ("curl $(cat key)", "line 1: a command inside"),
            ("curl \"$(cat key)\"", "line 1: a command inside"),
            ("curl `cat key`", "line 1: a command inside"),
            ("curl \"`cat key`\"", "line 1: a command inside"),
            ("curl a\n-H b", "line 2: more text follows"),
            ("curl a << EOF", "line 1: a here-document"),
            ("curl \u{2014}header a", "line 1: a word starts with a dash"),
            ("curl \u{2013}H a", "line 1: a word starts with a dash"),
            (
                "curl \u{201c}a\u{201d}",
                "line 1: a word starts with a curly",
            ),
        ];
        for (text, message) in table {
            let failure = split(text).expect_err(text);
            assert!(failure.contains(message), "{text}: {failure}");
        }
    }
}
