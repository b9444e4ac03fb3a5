//! A request head as captured from the wire, or as tools show it.

use super::curl::Request;
use super::note::{Note, Notes};
use super::paste::Pasted;
use crate::failure::{Failure, fail};

/// A head's shortest header line is `a:` and a line feed.
const SHORTEST_LINE: usize = 3;

/// Whether a text begins as a request head does: a method, a target and a version; `curl -v`'s `> `
/// before it; or a pseudo-header of HTTP/2.
pub(super) fn is_one(text: &[u8]) -> bool {
    let mut lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    if text.starts_with(b":") || text.starts_with(b"* ") || text.starts_with(b"> ") {
        return lines.any(|line| {
            pseudo(line).is_some() || is_request_line(sent_by_curl(line).unwrap_or(line))
        });
    }
    lines.next().is_some_and(is_request_line)
}

fn is_request_line(line: &[u8]) -> bool {
    let mut words = line.split(|byte| *byte == b' ');
    let (first, last) = (words.next(), words.next_back());
    first.is_some_and(|word| !word.is_empty() && word.iter().all(u8::is_ascii_uppercase))
        && last.is_some_and(|word| word.starts_with(b"HTTP/"))
}

fn sent_by_curl(line: &[u8]) -> Option<&[u8]> {
    match line {
        b">" => Some(&[]),
        line => line.strip_prefix(b"> "),
    }
}

/// A pseudo-header of RFC 9113 section 8.3.1: its name and value.
fn pseudo(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = line
        .strip_prefix(b":")?
        .iter()
        .position(|byte| *byte == b':')?
        + 1;
    let (name, value) = line.split_at_checked(end)?;
    let names: [&[u8]; 4] = [b":method", b":path", b":authority", b":scheme"];
    names
        .contains(&name)
        .then(|| (name, value.get(1..).unwrap_or(&[]).trim_ascii()))
}

/// The request of a head. What `curl -v` shows around it is passed over, HTTP/2 is read as HTTP/1.1,
/// and what breaks off before its empty line is read as far as it goes.
pub(super) fn read(head: &[u8]) -> Result<Pasted, Failure> {
    let mut notes = Notes::default();
    let shown: Vec<&[u8]> = head
        .split(|byte| *byte == b'\n')
        .filter_map(sent_by_curl_line)
        .collect();
    let (mut method, mut path, mut rest) = (None, None, Vec::new());
    let lines: Vec<&[u8]> = if shown.is_empty() {
        head.split_inclusive(|byte| *byte == b'\n').collect()
    } else {
        shown
    };
    for line in lines {
        match pseudo(line.trim_ascii()) {
            Some((b":method", value)) => method = Some(value),
            Some((b":path", value)) => path = Some(value),
            Some((b":authority", value)) => rest.extend([b"Host: ", value, b"\r\n"].concat()),
            Some(_) => {}
            None => {
                rest.extend(line);
                if !line.ends_with(b"\n") {
                    rest.push(b'\n');
                }
            }
        }
    }
    let mut head = rest;
    if let (Some(method), Some(path)) = (method, path) {
        head = [method, b" ", path, b" HTTP/1.1\r\n", &head].concat();
    }
    let end = head
        .iter()
        .position(|byte| *byte == b'\n')
        .unwrap_or(head.len());
    for version in [&b" HTTP/2"[..], b" HTTP/2.0", b" HTTP/3"] {
        let line = head.get(..end).unwrap_or(&head).trim_ascii_end();
        if line.ends_with(version) {
            let from = line.len() - version.len();
            head.splice(from..from + version.len(), *b" HTTP/1.1");
            break;
        }
    }
    let request = match parse(&head) {
        Err(None) => {
            notes.add(Note::HeadUnended);
            head.extend(b"\r\n");
            parse(&head)
        }
        result => result,
    };
    let request = request.map_err(|failure| failure.unwrap_or_else(unfinished))?;
    Ok(Pasted {
        requests: vec![request],
        notes,
    })
}

fn sent_by_curl_line(line: &[u8]) -> Option<&[u8]> {
    sent_by_curl(line.strip_suffix(b"\r").unwrap_or(line))
}

/// `None` in the error: the head breaks off.
fn parse(head: &[u8]) -> Result<Request, Option<Failure>> {
    let most = head.len() / SHORTEST_LINE;
    let mut room = 64;
    loop {
        let mut headers = vec![httparse::EMPTY_HEADER; room];
        let mut request = httparse::Request::new(&mut headers);
        match request.parse(head) {
            Ok(httparse::Status::Complete(_)) => {
                let pair =
                    |header: &httparse::Header<'_>| (header.name.into(), header.value.to_vec());
                return Ok(Request {
                    method: request.method.unwrap_or_default().into(),
                    target: request.path.unwrap_or_default().into(),
                    headers: request.headers.iter().map(pair).collect(),
                });
            }
            Ok(httparse::Status::Partial) => return Err(None),
            Err(httparse::Error::TooManyHeaders) if room < most => room = most.min(room * 8),
            Err(error) => return Err(Some(malformed(head, error))),
        }
    }
}

fn unfinished() -> Failure {
    fail(
        "request head: it is empty or breaks off within its first line; capture it again, up to the empty line",
        "请求头部:内容为空,或第一行就中断了;请重新抓取,直到空行为止",
    )
}

fn malformed(head: &[u8], error: httparse::Error) -> Failure {
    let (en, zh) = match error {
        httparse::Error::Version => (
            "the version is not HTTP/1.1 or HTTP/1.0",
            "版本不是 HTTP/1.1 或 HTTP/1.0",
        ),
        httparse::Error::HeaderName => (
            "no header of the form \"Name: value\" (or a space before the colon, or at the line's start)",
            "不是“Name: value”形式的请求头(或冒号前、行首有空格)",
        ),
        httparse::Error::HeaderValue => (
            "the header's value holds a control character",
            "请求头的值含有控制字符",
        ),
        httparse::Error::NewLine => (
            "a carriage return without a line feed",
            "回车符后面没有换行符",
        ),
        _ => (
            "no request line of the form \"METHOD target HTTP/1.1\"",
            "不是“METHOD target HTTP/1.1”形式的请求行",
        ),
    };
    let line = bad_line(head);
    fail(
        format!("request head, line {line}: {en}"),
        format!("请求头部第 {line} 行:{zh}"),
    )
}

/// The number of the first line that cannot be parsed by itself.
fn bad_line(head: &[u8]) -> usize {
    let mut started = false;
    let mut number = 0;
    for line in head.split_inclusive(|byte| *byte == b'\n') {
        number += 1;
        // Empty lines before the request line are skipped.
        if !started && matches!(line, b"\n" | b"\r\n") {
            continue;
        }
        let (mut one, mut none) = ([httparse::EMPTY_HEADER; 1], []);
        let sound = if started {
            let ended = [line, b"\r\n"].concat();
            httparse::parse_headers(&ended, &mut one).is_ok()
        } else {
            httparse::Request::new(&mut none).parse(line).is_ok()
        };
        started = true;
        if !sound {
            break;
        }
    }
    number
}
