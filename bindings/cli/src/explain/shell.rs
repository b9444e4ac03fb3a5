//! A command line as a POSIX shell splits it into words.
//!
//! The shell-word crates know neither `$'...'` nor where a command ends (`| jq`), and a word
//! taken wrongly would be a URL.

use crate::failure::{Failure, fail};

/// The words of the one command in `text`, quotes and continuations resolved. Variables stay as
/// they are written; what only a shell could carry out is refused.
pub(super) fn split(text: &[u8]) -> Result<Vec<Vec<u8>>, Failure> {
    Splitter {
        text,
        at: 0,
        words: Vec::new(),
        word: None,
        plain: true,
        discard: false,
    }
    .run()
}

struct Splitter<'t> {
    text: &'t [u8],
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
                    self.end_word();
                    if !self.words.is_empty() {
                        self.expect_nothing()?;
                        break;
                    }
                }
                b'#' if self.word.is_none() => self.skip_comment(),
                b'&' if self.peek() == Some(b'>') => self.end_word(),
                b'|' | b';' | b'&' => {
                    self.end_word();
                    break;
                }
                b'<' | b'>' => self.redirect(byte)?,
                b'(' | b')' => return Err(self.substitution()),
                _ => self.word_byte(byte)?,
            }
        }
        self.end_word();
        Ok(self.words)
    }

    fn word_byte(&mut self, byte: u8) -> Result<(), Failure> {
        match byte {
            b'\\' | b'^' if self.skip_line_end() => {}
            b'\\' => {
                self.plain = false;
                let byte = self.next().unwrap_or(b'\\');
                self.push(byte);
            }
            b'^' if self.peek() == Some(b'"') => {
                return Err(self.at_line(
                    "the command is written for the Windows command prompt (^\"); copy it as \"cURL (bash)\"",
                    "命令是 Windows 命令提示符的写法(^\");请用“复制为 cURL (bash)”",
                ));
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
            0xE2 if self.word.is_none() && self.is_curly_quote() => {
                return Err(self.at_line(
                    "a word starts with a curly quote, which no shell knows; write \" or '",
                    "有单词以弯引号(“ ‘ 等)开头,shell 不认识它;请改成 \" 或 '",
                ));
            }
            _ => self.push(byte),
        }
        Ok(())
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

    fn is_curly_quote(&self) -> bool {
        let rest = self.text.get(self.at..).unwrap_or(&[]);
        matches!(rest, [0x80, 0x98 | 0x99 | 0x9C | 0x9D, ..])
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

    fn split(text: &str) -> Result<Vec<String>, String> {
        super::split(text.as_bytes())
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
            ("curl ^\"a^\"", "line 1: the command is written for"),
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
