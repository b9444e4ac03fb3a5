//! HTTP archives (HAR 1.2), as browsers save them.

use serde::Deserialize;

use super::curl::Request;
use super::note::Notes;
use super::paste::Pasted;
use super::url::{self, Url};
use crate::failure::{Failure, fail};

#[derive(Deserialize)]
struct Har {
    log: Log,
}

#[derive(Deserialize)]
struct Log {
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    request: Sent,
    response: Response,
}

#[derive(Deserialize)]
struct Sent {
    method: String,
    url: String,
    headers: Vec<Header>,
}

#[derive(Deserialize)]
struct Header {
    name: String,
    value: String,
}

#[derive(Deserialize)]
struct Response {
    status: i64,
}

pub(super) fn is_one(text: &[u8]) -> bool {
    text.starts_with(b"{")
}

/// The requests that were answered 401, or all where none was.
pub(super) fn read(text: &[u8]) -> Result<Pasted, Failure> {
    let har: Har = serde_json::from_slice(text).map_err(|error| malformed(&error))?;
    let mut entries = har.log.entries;
    if entries.iter().any(|entry| entry.response.status == 401) {
        entries.retain(|entry| entry.response.status == 401);
    }
    if entries.is_empty() {
        return Err(fail("the HAR file holds no request", "HAR 文件中没有请求"));
    }
    let requests = entries.into_iter().enumerate().map(|(index, entry)| {
        let sent = entry.request;
        let number = index + 1;
        let bad = url::bad(
            format!("HAR file, request {number}, its URL"),
            format!("HAR 文件,第 {number} 个请求的 URL"),
        );
        let url = Url::parse(sent.url.as_bytes(), true).map_err(bad)?;
        // Pseudo-headers are no header fields (RFC 9113 section 8.3).
        let headers = sent
            .headers
            .into_iter()
            .filter(|header| !header.name.starts_with(':'));
        let headers = headers.map(|header| (header.name.into_bytes(), header.value.into_bytes()));
        Ok(Request {
            method: sent.method.into_bytes(),
            target: url.target(),
            headers: headers.collect(),
        })
    });
    Ok(Pasted {
        requests: requests.collect::<Result<_, _>>()?,
        notes: Notes::default(),
    })
}

/// What serde says may repeat what was read: only the place is told.
fn malformed(error: &serde_json::Error) -> Failure {
    let (line, column) = (error.line(), error.column());
    if error.is_eof() {
        fail(
            "this looks like a HAR file that breaks off; save it again, whole",
            "这看起来是不完整的 HAR 文件;请重新保存完整的文件",
        )
    } else {
        fail(
            format!(
                "this looks like JSON, but it is no HAR file (line {line}, column {column}): a HAR file has \
                 log.entries, each with a request and a response"
            ),
            format!(
                "这看起来是 JSON,但不是 HAR 文件(第 {line} 行第 {column} 列):HAR 文件有 log.entries,\
                 其中每一项有 request 和 response"
            ),
        )
    }
}
