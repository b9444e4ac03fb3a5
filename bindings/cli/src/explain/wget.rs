//! The requests that a wget command line makes.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::curl::Request;
use super::note::Notes;
use super::tool::{self, Parsed};
use super::url::Url;
use crate::failure::{Failure, fail};

const FLAGS: [&str; 22] = [
    "-q",
    "-v",
    "-nv",
    "-S",
    "-d",
    "-c",
    "-N",
    "-nc",
    "-4",
    "-6",
    "-qO-",
    "--quiet",
    "--verbose",
    "--no-verbose",
    "--server-response",
    "--content-on-error",
    "--no-check-certificate",
    "--debug",
    "--save-headers",
    "--show-progress",
    "--spider",
    "--auth-no-challenge",
];
const WITH_VALUE: [&str; 34] = [
    "-O",
    "-o",
    "-a",
    "-t",
    "-T",
    "-P",
    "-w",
    "-Q",
    "-U",
    "--output-document",
    "--output-file",
    "--append-output",
    "--tries",
    "--timeout",
    "--directory-prefix",
    "--wait",
    "--ca-certificate",
    "--limit-rate",
    "--max-redirect",
    "--waitretry",
    "--connect-timeout",
    "--read-timeout",
    "--dns-timeout",
    "--header",
    "--method",
    "--post-data",
    "--post-file",
    "--body-data",
    "--body-file",
    "--user-agent",
    "--referer",
    "--user",
    "--password",
    "--http-user",
];

pub(super) fn requests(words: &[Vec<u8>], _: &mut Notes) -> Result<Vec<Request>, Failure> {
    let Parsed {
        plain: urls,
        options,
    } = tool::parse(words, &FLAGS, &WITH_VALUE)?;
    let last = |names: &[&str]| {
        let mut options = options.iter().rev();
        options
            .find(|(name, _)| names.contains(&name.as_str()))
            .map(|(_, value)| value.clone())
    };
    let agent = last(&["--user-agent", "-U"]).unwrap_or_else(|| "Wget".to_owned());
    let method = if let Some(method) = last(&["--method"]) {
        method
    } else if last(&["--spider"]).is_some() {
        "HEAD".to_owned()
    } else if last(&["--post-data", "--post-file"]).is_some() {
        "POST".to_owned()
    } else {
        "GET".to_owned()
    };
    if urls.is_empty() {
        return Err(fail("the wget command names no URL", "wget 命令中没有 URL"));
    }
    let mut requests = Vec::new();
    for url in urls {
        let number = requests.len() + 1;
        let url = Url::parse(url.as_bytes(), true).map_err(|(en, zh)| {
            fail(
                format!("wget command, URL {number}: {en}"),
                format!("wget 命令,第 {number} 个 URL:{zh}"),
            )
        })?;
        let mut headers: Vec<(Vec<u8>, Vec<u8>)> = vec![
            (b"Host".to_vec(), url.host.clone()),
            (b"User-Agent".to_vec(), agent.clone().into_bytes()),
            (b"Accept".to_vec(), b"*/*".to_vec()),
        ];
        // Without --auth-no-challenge wget sends a password only after it was asked for one.
        if let (Some(_), Some(user), Some(password)) = (
            last(&["--auth-no-challenge"]),
            last(&["--user", "--http-user"]),
            last(&["--password"]),
        ) {
            let basic = BASE64_STANDARD.encode(format!("{user}:{password}"));
            headers.push((
                b"Authorization".to_vec(),
                format!("Basic {basic}").into_bytes(),
            ));
        }
        if let Some(referer) = last(&["--referer"]) {
            headers.push((b"Referer".to_vec(), referer.into_bytes()));
        }
        for (_, header) in options.iter().filter(|(name, _)| name == "--header") {
            let Some((name, value)) = header.split_once(':') else {
                return Err(fail(
                    "a header of the wget command has no colon, so wget refuses it; write --header='Name: value'",
                    "wget 命令的一个请求头没有冒号,wget 不接受;请写成 --header='Name: value'",
                ));
            };
            headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name.as_bytes()));
            headers.push((
                name.as_bytes().to_vec(),
                value.trim_ascii_start().as_bytes().to_vec(),
            ));
        }
        requests.push(Request {
            method: method.clone().into_bytes(),
            target: url.target(),
            headers,
        });
    }
    Ok(requests)
}
