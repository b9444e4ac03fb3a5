//! What people paste: which tool it is from, and what stands around it.

use super::note::{Note, Notes};
use super::{cmd, curl, fetch, har, httpie, powershell, raw, shell, wget};
use crate::failure::{Failure, fail};
use curl::Request;

/// What was read of a paste.
#[derive(Debug)]
pub(super) struct Pasted {
    pub(super) requests: Vec<Request>,
    pub(super) notes: Notes,
}

impl Pasted {
    /// What is odd about the text, then what is in the headers and seems to be something else.
    pub(super) fn all_notes(&self) -> Notes {
        let mut notes = self.notes.clone();
        for (name, value) in self.requests.iter().flat_map(|request| &request.headers) {
            for text in [name, value] {
                let text = String::from_utf8_lossy(text);
                if text.contains(['\u{2018}', '\u{2019}', '\u{201c}', '\u{201d}']) {
                    notes.add(Note::CurlyQuote);
                }
                if text.contains(is_unseen) {
                    notes.add(Note::Space);
                }
            }
        }
        notes
    }
}

/// The tools whose commands are read: what makes requests of their words.
type Reader = fn(&[Vec<u8>], &mut Notes) -> Result<Vec<Request>, Failure>;
const TOOLS: [(&[u8], Reader); 4] = [
    (b"curl", curl::requests),
    (b"wget", wget::requests),
    (b"http", httpie::requests),
    (b"https", httpie::requests),
];

/// What a text that is not understood looks like, and what such a text holds.
const OTHERS: [(&str, &str, &[&str]); 5] = [
    (
        "Python",
        "Python 代码",
        &[
            "import requests",
            "requests.",
            "import openai",
            "from openai",
            "from anthropic",
            "import httpx",
            "httpx.",
        ],
    ),
    (
        "JavaScript",
        "JavaScript 代码",
        &["axios", "XMLHttpRequest", "new OpenAI"],
    ),
    ("Go", "Go 代码", &["http.NewRequest"]),
    ("Java or C#", "Java 或 C# 代码", &["HttpClient"]),
    ("HTML", "HTML", &["<!DOCTYPE", "<html"]),
];

/// The requests of a command's words. `unknown`: what is said where it is no tool's that is read.
pub(super) fn of_command(
    words: &[Vec<u8>],
    mut notes: Notes,
    unknown: impl FnOnce() -> Failure,
) -> Result<Pasted, Failure> {
    let words = shell::command(words);
    let Some(word) = words.first() else {
        return Err(fail(
            "there is no command; give -- curl ... after the options, or --raw FILE",
            "没有命令;请在选项之后写 -- curl ...,或者用 --raw FILE",
        ));
    };
    let Some((_, reader)) = TOOLS.iter().find(|(name, _)| is_tool(word, name)) else {
        return Err(unknown());
    };
    let requests = reader(words, &mut notes)?;
    Ok(Pasted { requests, notes })
}

/// Whether a word is the name of a tool, perhaps with its folder.
fn is_tool(word: &[u8], name: &[u8]) -> bool {
    let file = word.rsplit(|byte| matches!(byte, b'/' | b'\\')).next();
    let file = file.unwrap_or(word);
    file.strip_suffix(b".exe").unwrap_or(file) == name
}

pub(super) fn is_any_tool(word: &[u8]) -> bool {
    TOOLS.iter().any(|(name, _)| is_tool(word, name))
}

/// The requests of a text.
pub(super) fn of_text(text: &[u8]) -> Result<Pasted, Failure> {
    let text = sound(text)?;
    let (text, dialect) = bare(text);
    if har::is_one(text) {
        return har::read(text);
    }
    if let Some(arguments) = fetch::arguments(text) {
        return fetch::read(arguments);
    }
    if powershell::is_one(text) {
        return powershell::read(text);
    }
    if raw::is_one(text) {
        return raw::read(text);
    }
    let mut notes = Notes::default();
    let words = if dialect == Dialect::Cmd || cmd::is_one(text) {
        cmd::split(text, &mut notes)?
    } else {
        shell::split(text, &mut notes).map_err(|failure| looks_like(text).unwrap_or(failure))?
    };
    of_command(&words, notes, || {
        looks_like(text).unwrap_or_else(|| not_understood(None))
    })
}

fn looks_like(text: &[u8]) -> Option<Failure> {
    if text.starts_with(b"HTTP/") {
        return Some(not_understood(Some((
            "a response, which does not tell what was sent",
            "响应,它不包含发出的内容",
        ))));
    }
    let text = String::from_utf8_lossy(text);
    let found = OTHERS
        .iter()
        .find(|(_, _, signs)| signs.iter().any(|sign| text.contains(sign)));
    found.map(|(en, zh, _)| not_understood(Some((en, zh))))
}

pub(super) fn not_understood(what: Option<(&str, &str)>) -> Failure {
    let (en, zh) = match what {
        Some((en, zh)) => (format!("this looks like {en}"), format!("这看起来是{zh}")),
        None => (
            "this is no command that is known here".to_owned(),
            "这不是这里认识的命令".to_owned(),
        ),
    };
    fail(
        format!(
            "{en}; what is understood: a command that starts with curl, wget, http or https (HTTPie), or \
             Invoke-WebRequest; fetch(...); a HAR file; a request head, also as curl -v shows it"
        ),
        format!(
            "{zh};可以识别的有:以 curl、wget、http 或 https(HTTPie)、Invoke-WebRequest 开头的命令;fetch(...);\
             HAR 文件;请求头部(包括 curl -v 显示的)"
        ),
    )
}

/// The text without a byte order mark, or that it is no text.
fn sound(text: &[u8]) -> Result<&[u8], Failure> {
    let is_control =
        |byte: &u8| byte.is_ascii_control() && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x1B);
    if text.starts_with(b"\xFF\xFE") || text.starts_with(b"\xFE\xFF") {
        return Err(fail(
            "this is text in UTF-16; save it as UTF-8",
            "这是 UTF-16 编码的文本;请另存为 UTF-8",
        ));
    }
    if text.iter().any(is_control) {
        return Err(fail(
            "this is not text: it holds control characters; give a command, or a request head as text",
            "这不是文本:其中有控制字符;请给出命令或文本形式的请求头部",
        ));
    }
    Ok(text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text))
}

/// Whose rules of quoting a prompt tells.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Posix,
    Cmd,
}

/// The text without the fence, the backquotes and the prompt around it.
fn bare(text: &[u8]) -> (&[u8], Dialect) {
    let mut text = text.trim_ascii();
    if let Some(fenced) = text.strip_prefix(b"```") {
        // The rest of the line names a language.
        let line = fenced.iter().position(|byte| *byte == b'\n').unwrap_or(0);
        let inside = fenced.get(line..).unwrap_or(fenced);
        let end = inside.windows(3).position(|part| part == b"```");
        text = inside
            .get(..end.unwrap_or(inside.len()))
            .unwrap_or(inside)
            .trim_ascii();
    } else if let [b'`', inside @ .., b'`'] = text
        && !inside.contains(&b'`')
    {
        text = inside.trim_ascii();
    }
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or(text);
    let after = |end: usize| text.get(end..).unwrap_or(text).trim_ascii_start();
    // `C:\Users\me>`
    if let [drive, b':', b'\\', ..] = line
        && drive.is_ascii_alphabetic()
        && let Some(end) = line.iter().position(|byte| *byte == b'>')
    {
        return (after(end + 1), Dialect::Cmd);
    }
    // `PS C:\>`
    if line.starts_with(b"PS ")
        && let Some(end) = line.iter().position(|byte| *byte == b'>')
    {
        return (after(end + 1), Dialect::Posix);
    }
    let mut words = line.split(|byte| *byte == b' ');
    let first = words.next().unwrap_or(line);
    // `$`, `%`, `#`, `>` and what shells are made to show instead; `#` may begin a comment.
    let known = ["$", "%", ">", "❯", "➜", "λ", "»"];
    let is_root = first == b"#" && words.next().is_some_and(is_any_tool);
    if known.iter().any(|prompt| first == prompt.as_bytes()) && first != b">" || is_root {
        return (after(first.len()), Dialect::Posix);
    }
    if first == b">" && !raw::is_one(text) {
        return (after(1), Dialect::Posix);
    }
    // `me@host:~$ `, `[me@host ~]# `
    if let Some(at) = line.iter().position(|byte| *byte == b'@')
        && let Some(end) = line
            .windows(2)
            .position(|part| matches!(part, b"$ " | b"# " | b"% "))
        && at < end
        && !line.get(..end).unwrap_or(line).contains(&b'\'')
        && !line.get(..end).unwrap_or(line).contains(&b'"')
    {
        return (after(end + 1), Dialect::Posix);
    }
    (text, Dialect::Posix)
}

/// A no-break space, or a character without width.
pub(super) fn is_unseen(character: char) -> bool {
    matches!(
        character,
        '\u{a0}' | '\u{202f}' | '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}'
    )
}
