//! The request that a command line of `HTTPie` makes: `http [METHOD] URL [name:value ...]`.

use super::curl::Request;
use super::note::Notes;
use super::tool;
use super::url::{self, Url};
use crate::failure::{Failure, fail};

const FLAGS: [&str; 20] = [
    "-v",
    "-h",
    "-b",
    "-m",
    "-j",
    "-f",
    "-F",
    "-q",
    "-S",
    "-I",
    "-d",
    "--verbose",
    "--headers",
    "--body",
    "--json",
    "--form",
    "--follow",
    "--ignore-stdin",
    "--stream",
    "--check-status",
];
const WITH_VALUE: [&str; 16] = [
    "-p",
    "--print",
    "--verify",
    "--timeout",
    "--pretty",
    "--style",
    "-s",
    "-o",
    "--output",
    "--session",
    "--session-read-only",
    "--default-scheme",
    "-a",
    "--auth",
    "-A",
    "--auth-type",
];

pub(super) fn requests(words: &[Vec<u8>], _: &mut Notes) -> Result<Vec<Request>, Failure> {
    let command = tool::parse(words, &FLAGS, &WITH_VALUE)?;
    let is_method =
        |word: &String| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_uppercase());
    let method = command.plain.first().filter(|word| is_method(word));
    let mut plain = command.plain.iter().skip(usize::from(method.is_some()));
    let Some(given) = plain.next() else {
        return Err(fail(
            "the HTTPie command names no URL",
            "HTTPie 命令中没有 URL",
        ));
    };
    // `:8045/v1` is localhost.
    let address = match given.strip_prefix(':') {
        Some(port) if port.is_empty() || port.starts_with('/') => format!("localhost{port}"),
        Some(port) => format!("localhost:{port}"),
        None => given.clone(),
    };
    let bad = url::bad("HTTPie command, the URL", "HTTPie 命令的 URL");
    let mut url = Url::parse(address.as_bytes(), true).map_err(&bad)?;
    let (mut custom, mut data) = (Vec::new(), false);
    for item in plain {
        // The separator that comes first decides, and of those at one place the longest.
        let at = item.find([':', '=', '@', ';']).unwrap_or(item.len());
        let (name, rest) = item.split_at(at);
        if rest.starts_with("==") {
            let value = rest.get(2..).unwrap_or("");
            let pair = [
                url::encode_form(name.as_bytes()),
                b"=".to_vec(),
                url::encode_form(value.as_bytes()),
            ];
            url.add_query(&pair.concat()).map_err(&bad)?;
        } else if rest.starts_with(":=") || rest.starts_with('=') || rest.starts_with('@') {
            data = true;
        } else if let Some(value) = rest.strip_prefix(':') {
            if !value.is_empty() {
                custom.push((name, value));
            }
        } else if rest == ";" {
            custom.push((name, ""));
        } else {
            return Err(fail(
                "a word of the HTTPie command is neither name:value nor name=value nor name==value (not shown, since it may \
                 be a key)",
                "HTTPie 命令中有个词既不是 name:value,也不是 name=value 或 name==value(不显示,因为它可能是 key)",
            ));
        }
    }
    let mut headers = vec![
        (b"Host".to_vec(), url.host.clone()),
        (b"User-Agent".to_vec(), b"HTTPie".to_vec()),
    ];
    if let Some(auth) = command.last(&["-a", "--auth"]) {
        let value = match command.last(&["-A", "--auth-type"]) {
            Some("bearer") => format!("Bearer {auth}").into_bytes(),
            None | Some("basic") => tool::basic(auth),
            Some(_) => return Err(tool::unknown()),
        };
        headers.push((b"Authorization".to_vec(), value));
    }
    for (name, value) in custom {
        tool::replace(&mut headers, name, value);
    }
    Ok(vec![Request {
        method: method
            .map_or(if data { "POST" } else { "GET" }, String::as_str)
            .into(),
        target: url.target(),
        headers,
    }])
}
