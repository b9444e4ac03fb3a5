//! The requests that a curl command line makes.

mod options;
#[cfg(test)]
mod tests;

use std::ffi::OsStr;
use std::fs;

use super::note::{Note, Notes};
use super::tool;
use super::url::{self, Url};
use crate::failure::{Failure, fail, glued_to};
use options::{Act, Setting, Switch};

/// A request as it reaches the server. Headers that describe a body's length, coding or range are
/// left out, so that the files a body is made of need not be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: Vec<u8>,
    pub(super) target: Vec<u8>,
    pub(super) headers: Vec<(Vec<u8>, Vec<u8>)>,
}

/// The requests of a command, whose first word is `curl`.
pub(super) fn requests(words: &[Vec<u8>], notes: &mut Notes) -> Result<Vec<Request>, Failure> {
    let mut requests = Vec::new();
    for transfer in parse(words.get(1..).unwrap_or(&[]), notes)? {
        transfer.requests(&mut requests, notes)?;
    }
    Ok(requests)
}

const BASIC: u8 = 1;
const DIGEST: u8 = 2;
const BEARER: u8 = 4;
const ANY: u8 = !0;

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Body {
    #[default]
    None,
    Data,
    Json,
    Form,
}

/// The options and URLs between two `--next`.
#[derive(Default)]
struct Transfer {
    urls: Vec<Vec<u8>>,
    uploads: Vec<Vec<u8>>,
    headers: Vec<Vec<u8>>,
    method: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
    body: Body,
    data: Vec<(Setting, Vec<u8>)>,
    query: Vec<Vec<u8>>,
    cookies: Vec<Vec<u8>>,
    user: Option<Vec<u8>>,
    bearer: Option<Vec<u8>>,
    agent: Option<Vec<u8>>,
    referer: Option<Vec<u8>>,
    range: Option<Vec<u8>>,
    /// The schemes allowed, as bits.
    auth: u8,
    /// Those that are on.
    switches: Vec<Switch>,
}

impl Transfer {
    fn has(&self, switch: Switch) -> bool {
        self.switches.contains(&switch)
    }
}

fn parse(arguments: &[Vec<u8>], notes: &mut Notes) -> Result<Vec<Transfer>, Failure> {
    let mut parser = Parser {
        notes,
        done: Vec::new(),
        now: Transfer::default(),
        count: arguments.len(),
        rest: arguments.iter(),
    };
    let mut options = true;
    while let Some(argument) = parser.rest.next() {
        match argument.as_slice() {
            b"--" if options => options = false,
            [b'-', b'-', long @ ..] if options => parser.long(long)?,
            [b'-', letters @ ..] if options => parser.short(letters)?,
            url => parser.now.urls.push(url.to_vec()),
        }
    }
    parser.finish()
}

struct Parser<'a> {
    notes: &'a mut Notes,
    done: Vec<Transfer>,
    now: Transfer,
    /// How many arguments there are.
    count: usize,
    rest: std::slice::Iter<'a, Vec<u8>>,
}

impl Parser<'_> {
    fn finish(mut self) -> Result<Vec<Transfer>, Failure> {
        self.end_transfer()?;
        Ok(self.done)
    }

    fn end_transfer(&mut self) -> Result<(), Failure> {
        if self.now.urls.is_empty() {
            return Err(fail("the curl command names no URL", "curl 命令中没有 URL"));
        }
        self.done.push(std::mem::take(&mut self.now));
        Ok(())
    }

    /// `--name value`, `--no-name`, and `--name=value`, which curl itself does not know.
    fn long(&mut self, argument: &[u8]) -> Result<(), Failure> {
        let (name, joined) = match argument.iter().position(|byte| *byte == b'=') {
            Some(at) => (
                argument.get(..at).unwrap_or(argument),
                argument.get(at + 1..),
            ),
            None => (argument, None),
        };
        let Some((known, act)) = options::long(name) else {
            return match name.strip_prefix(b"no-").and_then(options::long) {
                Some((_, Act::Flag(switch))) if joined.is_none() => self.switch(switch, false),
                _ => Err(self.unknown(name)),
            };
        };
        let option = format!("--{known}");
        match act {
            Act::Value(setting) => {
                let value = match joined {
                    Some(value) => value.to_vec(),
                    None => self.value(&option)?,
                };
                self.set(setting, value)
            }
            Act::Refused(en, zh) => Err(refused(&option, en, zh)),
            Act::Flag(_) if joined.is_some() => Err(fail(
                format!("curl's option {option} takes no value"),
                format!("curl 的选项 {option} 不带值"),
            )),
            Act::Flag(switch) => self.switch(switch, true),
        }
    }

    /// `-sSik`, `-XPOST`, `-sH value`.
    fn short(&mut self, letters: &[u8]) -> Result<(), Failure> {
        let mut letters = letters;
        if letters.is_empty() {
            return Err(self.unknown(letters));
        }
        while let Some((letter, rest)) = letters.split_first() {
            let Some(act) = options::short(*letter) else {
                return Err(self.unknown(&[]));
            };
            let option = format!("-{}", char::from(*letter));
            match act {
                Act::Flag(switch) => self.switch(switch, true)?,
                Act::Value(setting) => {
                    let value = match rest {
                        [] => self.value(&option)?,
                        value => value.to_vec(),
                    };
                    return self.set(setting, value);
                }
                Act::Refused(en, zh) => return Err(refused(&option, en, zh)),
            }
            letters = rest;
        }
        Ok(())
    }

    /// Says of an option which word it is, and nothing of what it says: it may be glued to a key.
    fn unknown(&self, long_name: &[u8]) -> Failure {
        let number = self.count - self.rest.len() + 1; // curl itself is the first
        let (en, zh) = match glued_to(long_name, options::with_value()) {
            Some(name) => (
                format!("; if it is to be --{name}, put a space before its value"),
                format!(";如果本来是 --{name},请在值之前加空格"),
            ),
            None => Default::default(),
        };
        fail(
            format!(
                "word {number} of the curl command is an option that is not known here (not shown, \
                 since it may hold a key); leave it out where it does not change the request, and \
                 write long names out in full{en}"
            ),
            format!(
                "不认识 curl 命令的第 {number} 个词,它是一个选项(不显示,因为其中可能有 key);\
                 如果它不改变请求,请去掉它;长选项名请写完整{zh}"
            ),
        )
    }

    fn value(&mut self, option: &str) -> Result<Vec<u8>, Failure> {
        self.rest.next().cloned().ok_or_else(|| {
            fail(
                format!("curl's option {option} needs a value"),
                format!("curl 的选项 {option} 缺少值"),
            )
        })
    }

    /// Passes over what follows a header's name without quotes and was to be its value: a scheme, and
    /// a key. Whether there was any.
    fn skip_rest_of_header(&mut self) -> bool {
        let is_url = |word: &[u8]| {
            word.windows(3).any(|part| part == b"://")
                || word.starts_with(b"localhost")
                || word.starts_with(b"127.")
                || word.contains(&b'/')
        };
        let is_scheme = |word: &[u8]| {
            ["bearer", "basic", "token", "apikey"]
                .iter()
                .any(|scheme| word.eq_ignore_ascii_case(scheme.as_bytes()))
        };
        let mut skip = |is_piece: &dyn Fn(&[u8]) -> bool| {
            let next = self
                .rest
                .as_slice()
                .first()
                .is_some_and(|word| is_piece(word));
            if next {
                self.rest.next();
            }
            next
        };
        if skip(&is_scheme) {
            skip(&|word| !word.starts_with(b"-") && !is_url(word));
            return true;
        }
        skip(&|word| !word.starts_with(b"-") && !is_url(word) && !word.contains(&b'.'))
    }

    fn switch(&mut self, switch: Switch, on: bool) -> Result<(), Failure> {
        let now = &mut self.now;
        match switch {
            Switch::Nothing => {}
            Switch::AnyAuth => now.auth = if on { ANY } else { 0 },
            Switch::Basic => set_bit(&mut now.auth, BASIC, on),
            Switch::Digest => set_bit(&mut now.auth, DIGEST, on),
            Switch::Next => return self.end_transfer(),
            Switch::Compressed
            | Switch::Get
            | Switch::GlobOff
            | Switch::Head
            | Switch::PathAsIs
            | Switch::TransferEncoding => {
                now.switches.retain(|other| *other != switch);
                if on {
                    now.switches.push(switch);
                }
            }
        }
        Ok(())
    }

    fn set(&mut self, setting: Setting, value: Vec<u8>) -> Result<(), Failure> {
        let now = &mut self.now;
        match setting {
            Setting::Nothing => {}
            Setting::Agent => now.agent = Some(value),
            Setting::Bearer => {
                now.bearer = Some(value);
                now.auth |= BEARER;
            }
            Setting::ContinueAt => {
                let from = |value: &[u8]| [value, b"-"].concat();
                now.range = (value != b"-" && value != b"0").then(|| from(&value));
            }
            Setting::Cookie => now.cookies.push(value),
            Setting::Data | Setting::DataRaw | Setting::DataUrlencode => {
                now.set_body(Body::Data)?;
                now.data.push((setting, value));
            }
            Setting::Json => {
                now.set_body(Body::Json)?;
                now.data.push((Setting::Data, value));
            }
            Setting::Form => now.set_body(Body::Form)?,
            Setting::Header => {
                if let Some(file) = value.strip_prefix(b"@") {
                    now.headers.extend(header_lines(&read(file, "-H @FILE")?));
                    return Ok(());
                }
                if let Some(note) = unsent(&value) {
                    let is_cut = value.ends_with(b":") && self.skip_rest_of_header();
                    self.notes
                        .add(if is_cut { Note::UnquotedHeader } else { note });
                }
                self.now.headers.push(value);
            }
            Setting::Range => now.range = Some(value),
            Setting::Referer => {
                let value = value.strip_suffix(b";auto").unwrap_or(&value);
                now.referer = Some(value.to_vec());
            }
            Setting::Request => now.method = Some(value),
            Setting::RequestTarget => now.target = Some(value),
            Setting::Upload => now.uploads.push(value),
            Setting::Url => now.urls.push(value),
            Setting::UrlQuery => now.query.push(match value.strip_prefix(b"+") {
                Some(raw) => raw.to_vec(),
                None => urlencoded(&value)?,
            }),
            Setting::User => {
                if !value.contains(&b':') {
                    return Err(fail(
                        "curl would ask for the password of -u; write it as USER:PASSWORD",
                        "curl 会询问 -u 的密码;请写成 USER:PASSWORD",
                    ));
                }
                now.user = Some(value);
            }
        }
        Ok(())
    }
}

fn set_bit(bits: &mut u8, bit: u8, on: bool) {
    *bits = if on { *bits | bit } else { *bits & !bit };
}

impl Transfer {
    fn set_body(&mut self, body: Body) -> Result<(), Failure> {
        if matches!(
            (self.body, body),
            (Body::Form, Body::Data | Body::Json) | (Body::Data | Body::Json, Body::Form)
        ) {
            return Err(two_methods());
        }
        if self.body != Body::Json {
            self.body = body;
        }
        Ok(())
    }

    fn requests(&self, requests: &mut Vec<Request>, notes: &mut Notes) -> Result<(), Failure> {
        let headers = self.custom_headers();
        let query = self.added_query()?;
        for (index, url) in self.urls.iter().enumerate() {
            let number = requests.len() + 1;
            let bad = url::bad(
                format!("curl command, URL {number}"),
                format!("curl 命令,第 {number} 个 URL"),
            );
            if !self.has(Switch::GlobOff) && url::is_glob(url) {
                return Err(bad((
                    "it holds [ ] { or }, from which curl would make several URLs; add -g \
                     (--globoff) where they are meant as they are, else write the URLs out",
                    "其中有 [ ] { 或 },curl 会把它展开成多个 URL;如果就是字面意思,请加 -g(--globoff),\
                     否则请逐个写出 URL",
                )));
            }
            let mut url = Url::parse(url, self.has(Switch::PathAsIs)).map_err(&bad)?;
            let upload = self.uploads.get(index);
            if let Some(file) = upload {
                url.add_file_name(file);
            }
            for query in &query {
                url.add_query(query).map_err(&bad)?;
            }
            requests.push(Request {
                method: self.method(upload.is_some())?,
                target: self.target.clone().unwrap_or_else(|| url.target()),
                headers: on_the_wire(self.all_headers(&url, &headers, upload.is_some()), notes),
            });
        }
        Ok(())
    }

    /// `-G` moves data into the query; a form stays.
    fn posts(&self) -> bool {
        match self.body {
            Body::None => false,
            Body::Data | Body::Json => !self.has(Switch::Get),
            Body::Form => true,
        }
    }

    fn method(&self, uploads: bool) -> Result<Vec<u8>, Failure> {
        let wanted = [
            (self.posts(), "POST"),
            (self.has(Switch::Head), "HEAD"),
            (uploads, "PUT"),
        ];
        let mut wanted = wanted.iter().filter(|(wanted, _)| *wanted);
        let method = wanted.next().map_or("GET", |(_, method)| method);
        if wanted.next().is_some() {
            return Err(two_methods());
        }
        Ok(self.method.clone().unwrap_or_else(|| method.into()))
    }

    /// What `-G` and `--url-query` append to each URL.
    fn added_query(&self) -> Result<Vec<Vec<u8>>, Failure> {
        let mut query = self.query.clone();
        if self.has(Switch::Get) {
            for (kind, value) in &self.data {
                query.push(match (kind, value.as_slice()) {
                    (Setting::Data, [b'@', file @ ..]) => {
                        let mut data = read(file, "-G -d @FILE")?;
                        data.retain(|byte| !matches!(byte, b'\r' | b'\n' | 0));
                        data
                    }
                    (Setting::DataUrlencode, value) => urlencoded(value)?,
                    (_, value) => value.to_vec(),
                });
            }
        }
        Ok(query)
    }

    /// What `-H` and `--json` give, each with a name.
    fn custom_headers(&self) -> Vec<Custom> {
        let mut headers: Vec<Custom> = self.headers.iter().map(|line| Custom::new(line)).collect();
        if self.body == Body::Json {
            for line in ["Content-Type: application/json", "Accept: application/json"] {
                let json = Custom::new(line.as_bytes());
                if !headers.iter().any(|header| header.is(&json.name)) {
                    headers.push(json);
                }
            }
        }
        headers
    }

    fn all_headers(&self, url: &Url, custom: &[Custom], uploads: bool) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut headers = Headers {
            list: Vec::new(),
            custom,
        };
        let own_host = custom
            .iter()
            .find(|header| header.is(b"Host"))
            .and_then(|header| header.value.clone())
            .filter(|value| !value.is_empty());
        match &own_host {
            Some(host) => headers.list.push((b"Host".to_vec(), host.clone())),
            None => headers.add("Host", Some(&url.host)),
        }
        headers.add("Authorization", self.authorization(url).as_deref());
        let range = self.range.as_ref().filter(|_| !self.posts() && !uploads);
        let range = range.map(|range| [b"bytes=", range.as_slice()].concat());
        headers.add("Range", range.as_deref());
        headers.add("User-Agent", Some(self.agent.as_deref().unwrap_or(b"curl")));
        headers.add("Accept", Some(b"*/*"));
        headers.add(
            "Connection",
            self.has(Switch::TransferEncoding).then_some(b"TE"),
        );
        headers.add("TE", self.has(Switch::TransferEncoding).then_some(b"gzip"));
        headers.add(
            "Accept-Encoding",
            self.has(Switch::Compressed)
                .then_some(b"deflate, gzip, br, zstd"),
        );
        headers.add("Referer", self.referer.as_deref());
        headers.add("Cookie", self.cookie().as_deref());
        for header in custom {
            let replaced = header.is(b"Host") && own_host.is_some()
                || header.is(b"Content-Type") && self.body == Body::Form;
            if let Some(value) = header.value.as_ref().filter(|_| !replaced) {
                headers.list.push((header.name.clone(), value.clone()));
            }
        }
        let posts_data = self.body == Body::Data && self.posts();
        headers.add(
            "Content-Type",
            posts_data.then_some(b"application/x-www-form-urlencoded"),
        );
        headers.list
    }

    /// curl sends credentials at once only where exactly one scheme is left to choose.
    fn authorization(&self, url: &Url) -> Option<Vec<u8>> {
        let user = self.user.as_ref().or(url.user.as_ref());
        match (self.auth, user, &self.bearer) {
            (BEARER, _, Some(token)) => Some([b"Bearer ", token.as_slice()].concat()),
            (0 | BASIC, Some(user), _) => Some(tool::basic(user)),
            _ => None,
        }
    }

    /// Cookies as given; a value without `=` names a file, and those are not read.
    fn cookie(&self) -> Option<Vec<u8>> {
        let given = self.cookies.iter().filter(|value| value.contains(&b'='));
        let given: Vec<&[u8]> = given.map(Vec::as_slice).collect();
        (!given.is_empty()).then(|| given.join(&b';'))
    }
}

/// Why curl does not send a header that it is given. Some names people leave out on purpose.
fn unsent(line: &[u8]) -> Option<Note> {
    let header = Custom::new(line);
    let own = [
        "accept",
        "content-type",
        "expect",
        "host",
        "user-agent",
        "content-length",
        "transfer-encoding",
        "connection",
        "accept-encoding",
        "referer",
        "cookie",
    ];
    if header.value.is_some() || own.iter().any(|own| header.is(own.as_bytes())) {
        None
    } else if line.contains(&b':') {
        Some(Note::NoValue)
    } else if line.windows(3).any(|part| part == "\u{ff1a}".as_bytes()) {
        Some(Note::WideColon)
    } else {
        Some(Note::NoColon)
    }
}

/// The headers as a server reads them: curl sends a line feed as it is, which ends the header, and an
/// empty line ends all of them.
fn on_the_wire(headers: Vec<(Vec<u8>, Vec<u8>)>, notes: &mut Notes) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut read = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        if !name.contains(&b'\n') && !value.contains(&b'\n') {
            read.push((name, value));
            continue;
        }
        notes.add(Note::LineFeed);
        let line = [&name[..], b":", &value].concat();
        for line in line.split(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() {
                return read;
            }
            // A line without a colon is no header; servers refuse the request.
            if let Some(colon) = line.iter().position(|byte| *byte == b':') {
                let (name, value) = line.split_at(colon);
                read.push((name.to_vec(), value.get(1..).unwrap_or(&[]).to_vec()));
            }
        }
    }
    read
}

/// The headers of a request, in curl's order.
struct Headers<'c> {
    list: Vec<(Vec<u8>, Vec<u8>)>,
    custom: &'c [Custom],
}

impl Headers<'_> {
    /// Adds one of curl's own, where it has a value and no `-H` replaces it.
    fn add(&mut self, name: &str, value: Option<&[u8]>) {
        let replaced = self.custom.iter().any(|header| header.is(name.as_bytes()));
        if let Some(value) = value.filter(|value| !value.is_empty() && !replaced) {
            self.list.push((name.as_bytes().to_vec(), value.to_vec()));
        }
    }
}

/// What a `-H` gives: a header, or the order not to send one of that name.
struct Custom {
    name: Vec<u8>,
    value: Option<Vec<u8>>,
}

impl Custom {
    /// `Name: value`; `Name;` for an empty value; `Name:` for none. Others are not sent.
    fn new(line: &[u8]) -> Self {
        let Some(at) = line.iter().position(|byte| matches!(byte, b':' | b';')) else {
            return Self {
                name: Vec::new(),
                value: None,
            };
        };
        let is_space = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0x0B;
        let (name, rest) = match line.iter().position(|byte| *byte == b':') {
            Some(colon) => line.split_at(colon),
            None => line.split_at(at),
        };
        let value = match rest {
            [b':', value @ ..] if !value.iter().all(is_space) => Some(value.to_vec()),
            b";" => Some(Vec::new()),
            _ => None,
        };
        let sent = !name.is_empty() || rest == b";";
        Self {
            name: name.to_vec(),
            value: value.filter(|_| sent),
        }
    }

    fn is(&self, name: &[u8]) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

/// The lines of a header file.
fn header_lines(file: &[u8]) -> Vec<Vec<u8>> {
    let line_end = |line: &[u8]| line.strip_suffix(b"\r").unwrap_or(line).to_vec();
    file.split(|byte| *byte == b'\n').map(line_end).collect()
}

/// `content`, `=content`, `name=content`, `@file`, `name@file`.
fn urlencoded(value: &[u8]) -> Result<Vec<u8>, Failure> {
    let at = value.iter().position(|byte| matches!(byte, b'=' | b'@'));
    let Some(at) = at else {
        return Ok(url::encode_form(value));
    };
    let (name, rest) = value.split_at(at);
    let content = match rest {
        [b'@', file @ ..] => read(file, "--data-urlencode @FILE")?,
        [_, content @ ..] => content.to_vec(),
        [] => Vec::new(),
    };
    let encoded = url::encode_form(&content);
    if name.is_empty() {
        return Ok(encoded);
    }
    Ok([name, b"=", &encoded].concat())
}

/// Reads a file that an option names. The name is not repeated: it may be a key.
fn read(file: &[u8], option: &str) -> Result<Vec<u8>, Failure> {
    if file == b"-" {
        return Err(fail(
            format!("curl's option {option}: standard input is not read; name a file"),
            format!("curl 的选项 {option}:不读取标准输入;请指定文件"),
        ));
    }
    let file = str::from_utf8(file).map(OsStr::new);
    let content = file
        .map_err(|_| std::io::ErrorKind::InvalidFilename)
        .and_then(|file| fs::read(file).map_err(|error| error.kind()));
    content.map_err(|kind| {
        fail(
            format!("curl's option {option}: the file cannot be read: {kind}"),
            format!("curl 的选项 {option}:无法读取文件:{kind}"),
        )
    })
}

fn refused(option: &str, en: &str, zh: &str) -> Failure {
    fail(
        format!("curl's option {option} is not supported: {en}"),
        format!("不支持 curl 的选项 {option}:{zh}"),
    )
}

fn two_methods() -> Failure {
    fail(
        "the curl command asks for two methods at once: keep one of -d (with --json), -F, -I and -T, \
         or add -G to -d",
        "curl 命令同时要求了两种方法:-d(含 --json)、-F、-I、-T 只保留一个,或者给 -d 加上 -G",
    )
}
