//! What curl makes of a URL.

use std::fmt::Display;

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_decode, percent_encode};

use crate::failure::{Failure, fail};

/// RFC 3986 section 2.3, what curl leaves as it is.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Why curl would not send a request for a URL: English and Chinese.
pub(super) type Problem = (&'static str, &'static str);

/// What to say of a problem with a URL that stands at a place, which is named in both languages.
pub(super) fn bad(en: impl Display, zh: impl Display) -> impl Fn(Problem) -> Failure {
    move |(problem_en, problem_zh)| {
        fail(format!("{en}: {problem_en}"), format!("{zh}:{problem_zh}"))
    }
}

pub(super) struct Url {
    /// `user:password`, decoded.
    pub(super) user: Option<Vec<u8>>,
    /// The value of the header Host.
    pub(super) host: Vec<u8>,
    path: Vec<u8>,
    query: Option<Vec<u8>>,
}

impl Url {
    pub(super) fn parse(url: &[u8], path_as_is: bool) -> Result<Self, Problem> {
        check(url)?;
        let (default_port, rest) = scheme(url)?;
        let rest = before(rest, b'#');
        let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?'));
        let (authority, rest) = rest.split_at(end.unwrap_or(rest.len()));
        let (user, host) = match authority.iter().rposition(|byte| *byte == b'@') {
            Some(at) => (authority.get(..at), authority.get(at + 1..).unwrap_or(&[])),
            None => (None, authority),
        };
        if user.is_some_and(|user| user.contains(&b'@')) {
            return Err((
                "it has two @ before the path, which curl refuses; write the first one as %40",
                "路径之前有两个 @,curl 不接受;请把前一个写成 %40",
            ));
        }
        if host.is_empty() {
            return Err(("it names no host", "其中没有主机名"));
        }
        let (path, query) = match rest.iter().position(|byte| *byte == b'?') {
            Some(at) => (rest.get(..at).unwrap_or(rest), rest.get(at + 1..)),
            None => (rest, None),
        };
        let path = match path {
            [] => b"/".to_vec(),
            path if path_as_is => path.to_vec(),
            path => without_dots(path),
        };
        Ok(Self {
            user: user.map(decode_user),
            host: host.strip_suffix(default_port).unwrap_or(host).to_vec(),
            path: ascii(&path),
            query: query.map(ascii),
        })
    }

    /// Appends to the query.
    pub(super) fn add_query(&mut self, more: &[u8]) -> Result<(), Problem> {
        check(more)?;
        let query = self.query.get_or_insert_default();
        if !query.is_empty() && !query.ends_with(b"&") {
            query.push(b'&');
        }
        query.extend_from_slice(more);
        Ok(())
    }

    /// Appends the name of an uploaded file to a path that ends in `/`.
    pub(super) fn add_file_name(&mut self, file: &[u8]) {
        let name = file.rsplit(|byte| matches!(byte, b'/' | b'\\')).next();
        if self.path.ends_with(b"/") && file != b"-" && file != b"." {
            self.path.extend(encode(name.unwrap_or(file)));
        }
    }

    /// The request target.
    pub(super) fn target(&self) -> Vec<u8> {
        match &self.query {
            Some(query) => [self.path.as_slice(), b"?", query].concat(),
            None => self.path.clone(),
        }
    }
}

/// Percent-encodes what is not ASCII.
fn ascii(text: &[u8]) -> Vec<u8> {
    percent_encode(text, CONTROLS).to_string().into_bytes()
}

fn check(url: &[u8]) -> Result<(), Problem> {
    if url.iter().any(|byte| *byte <= b' ' || *byte == 0x7F) {
        return Err((
            "it holds a space or a control character, which curl refuses; is a quote missing?",
            "其中有空格或控制字符,curl 不接受;是不是少了引号?",
        ));
    }
    Ok(())
}

/// Percent-encodes all but unreserved characters, and a space as `+`.
pub(super) fn encode_form(text: &[u8]) -> Vec<u8> {
    let encoded = percent_encode(text, ENCODED).to_string();
    encoded.replace("%20", "+").into_bytes()
}

/// Percent-encodes all but unreserved characters.
fn encode(text: &[u8]) -> Vec<u8> {
    percent_encode(text, ENCODED).to_string().into_bytes()
}

/// Whether curl would make several URLs of this one: it holds `[`, `]`, `{` or `}` outside its
/// host.
pub(super) fn is_glob(url: &[u8]) -> bool {
    let after_scheme = url
        .windows(3)
        .position(|window| window == b"://")
        .map_or(0, |at| at + 3);
    let rest = url.get(after_scheme..).unwrap_or(&[]);
    rest.iter()
        .skip_while(|byte| !matches!(byte, b'/' | b'?' | b'#'))
        .any(|byte| matches!(byte, b'[' | b']' | b'{' | b'}'))
}

/// The default port with its colon, and what follows `scheme://`. Without one curl guesses http.
fn scheme(url: &[u8]) -> Result<(&'static [u8], &[u8]), Problem> {
    let name_len = url
        .iter()
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
        .count();
    let (name, rest) = url.split_at(name_len);
    if name.is_empty() || !rest.starts_with(b":/") {
        return Ok((b":80", url));
    }
    let slashes = rest
        .iter()
        .skip(1)
        .take_while(|byte| **byte == b'/')
        .count();
    if slashes > 3 {
        return Err((
            "it has more than three slashes after the scheme, which curl refuses",
            "协议后面的斜杠多于三个,curl 不接受",
        ));
    }
    let rest = rest.get(1 + slashes..).unwrap_or(&[]);
    if name.eq_ignore_ascii_case(b"http") {
        Ok((b":80", rest))
    } else if name.eq_ignore_ascii_case(b"https") {
        Ok((b":443", rest))
    } else {
        Err((
            "its scheme is neither http nor https",
            "其协议既不是 http 也不是 https",
        ))
    }
}

fn before(text: &[u8], end: u8) -> &[u8] {
    text.split(|byte| *byte == end).next().unwrap_or(&[])
}

/// `user` and `user:` are the same.
fn decode_user(user: &[u8]) -> Vec<u8> {
    let mut decoded: Vec<u8> = percent_decode(user).collect();
    if !user.contains(&b':') {
        decoded.push(b':');
    }
    decoded
}

/// RFC 3986 section 5.2.4, for a path that starts with `/`.
fn without_dots(path: &[u8]) -> Vec<u8> {
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut segments = path.split(|byte| *byte == b'/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            b"." | b".." => {
                if segment == b".." {
                    kept.pop();
                }
                if last {
                    kept.push(b"");
                }
            }
            segment => kept.push(segment),
        }
    }
    let mut result = Vec::with_capacity(path.len());
    for segment in kept {
        result.push(b'/');
        result.extend_from_slice(segment);
    }
    result
}
