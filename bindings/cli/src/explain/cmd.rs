//! A command line as the Windows command prompt hands it to a program, and as that splits it into words.

use super::note::{Note, Notes};
use crate::failure::{Failure, fail};

/// Whether a text is quoted for it, as browsers copy "cURL (cmd)".
pub(super) fn is_one(text: &[u8]) -> bool {
    let ends = |line: &[u8]| line.trim_ascii_end().ends_with(b" ^");
    text.windows(2).any(|part| part == b"^\"") || text.split(|byte| *byte == b'\n').any(ends)
}

/// The words of the first command.
pub(super) fn split(text: &[u8], notes: &mut Notes) -> Result<Vec<Vec<u8>>, Failure> {
    let words = words(&line(text))?;
    if words.iter().any(|word| word.starts_with(b"'")) {
        notes.add(Note::CmdSingleQuotes);
    }
    Ok(words)
}

/// The prompt's part: outside double quotes a caret makes the next character plain and continues a
/// line, and `&`, `|`, `<` and `>` end the command.
fn line(text: &[u8]) -> Vec<u8> {
    let mut line = Vec::with_capacity(text.len());
    let mut quoted = false;
    let mut bytes = text.iter().copied().filter(|byte| *byte != b'\r');
    while let Some(byte) = bytes.next() {
        match byte {
            b'\n' => break,
            b'^' if !quoted => match bytes.next() {
                Some(b'\n') | None => line.extend(bytes.next()),
                Some(byte) => line.push(byte),
            },
            b'&' | b'|' | b'<' | b'>' if !quoted => break,
            _ => {
                quoted ^= byte == b'"';
                line.push(byte);
            }
        }
    }
    line
}

/// The program's part, by the rules of Microsoft's C runtime: a backslash is plain but before a double
/// quote, and `""` within quotes is one quote.
fn words(line: &[u8]) -> Result<Vec<Vec<u8>>, Failure> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut quoted = false;
    let mut at = 0;
    while let Some(byte) = line.get(at) {
        at += 1;
        match byte {
            b' ' | b'\t' if !quoted => words.extend(word.take()),
            b'\\' => {
                let rest = line.get(at..).unwrap_or(&[]);
                let more = rest.iter().take_while(|byte| **byte == b'\\').count();
                let count = more + 1;
                let before_quote = rest.get(more) == Some(&b'"');
                let plain = if before_quote { count / 2 } else { count };
                let word = word.get_or_insert_default();
                word.extend(std::iter::repeat_n(b'\\', plain));
                at += more;
                if before_quote && count % 2 == 1 {
                    word.push(b'"');
                    at += 1;
                }
            }
            b'"' if quoted && line.get(at) == Some(&b'"') => {
                word.get_or_insert_default().push(b'"');
                at += 1;
            }
            b'"' => {
                word.get_or_insert_default();
                quoted = !quoted;
            }
            byte => word.get_or_insert_default().push(*byte),
        }
    }
    if quoted {
        return Err(fail(
            "command: a double quote is opened and never closed",
            "命令:双引号没有闭合",
        ));
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::Notes;

    #[test]
    fn words() {
        let table: &[(&str, &[&str])] = &[
            (r#"curl "a b" c"#, &["curl", "a b", "c"]),
            (
                "curl ^\"http://h/^\" ^\r\n  -H ^\"a: b^\"",
                &["curl", "http://h/", "-H", "a: b"],
            ),
            (
                r#"curl --data-raw ^"^{^\^"a^\^":1^}^" ^"http://h/?a=1^&b=2^""#,
                &["curl", "--data-raw", r#"{"a":1}"#, "http://h/?a=1&b=2"],
            ),
            (
                r#"curl "a^b" "c\\" d\e "f\"g" "h""i""#,
                &["curl", "a^b", r"c\", r"d\e", "f\"g", "h\"i"],
            ),
            ("curl 'a b' | more", &["curl", "'a", "b'"]),
            ("curl \"\" a & b", &["curl", "", "a"]),
            ("curl a\nb", &["curl", "a"]),
        ];
        for (text, words) in table {
            let split = super::split(text.as_bytes(), &mut Notes::default()).expect(text);
            let split: Vec<_> = split
                .iter()
                .map(|word| String::from_utf8_lossy(word))
                .collect();
            assert_eq!(split, *words, "{text}");
        }
        assert!(super::split(b"curl \"a", &mut Notes::default()).is_err());
    }
}
