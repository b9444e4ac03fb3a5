//! The requests that a wget command line makes.

use super::curl::Request;
use super::note::Notes;
use super::tool;
use super::url::{self, Url};
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
    let command = tool::parse(words, &FLAGS, &WITH_VALUE)?;
    let method = if let Some(method) = command.last(&["--method"]) {
        method
    } else if command.last(&["--spider"]).is_some() {
        "HEAD"
    } else if command.last(&["--post-data", "--post-file"]).is_some() {
        "POST"
    } else {
        "GET"
    };
    if command.plain.is_empty() {
        return Err(fail("the wget command names no URL", "wget 命令中没有 URL"));
    }
    let mut requests = Vec::new();
    for url in &command.plain {
        let number = requests.len() + 1;
        let bad = url::bad(
            format!("wget command, URL {number}"),
            format!("wget 命令,第 {number} 个 URL"),
        );
        let url = Url::parse(url.as_bytes(), true).map_err(bad)?;
        let agent = command.last(&["--user-agent", "-U"]).unwrap_or("Wget");
        let mut headers: Vec<(Vec<u8>, Vec<u8>)> = vec![
            (b"Host".to_vec(), url.host.clone()),
            (b"User-Agent".to_vec(), agent.into()),
            (b"Accept".to_vec(), b"*/*".to_vec()),
        ];
        // Without --auth-no-challenge wget sends a password only after it was asked for one.
        if let (Some(_), Some(user), Some(password)) = (
            command.last(&["--auth-no-challenge"]),
            command.last(&["--user", "--http-user"]),
            command.last(&["--password"]),
        ) {
            let value = tool::basic(format!("{user}:{password}"));
            headers.push((b"Authorization".to_vec(), value));
        }
        if let Some(referer) = command.last(&["--referer"]) {
            headers.push((b"Referer".to_vec(), referer.into()));
        }
        for (_, header) in command
            .options
            .iter()
            .filter(|(name, _)| name == "--header")
        {
            let Some((name, value)) = header.split_once(':') else {
                return Err(fail(
                    "a header of the wget command has no colon, so wget refuses it; write --header='Name: value'",
                    "wget 命令的一个请求头没有冒号,wget 不接受;请写成 --header='Name: value'",
                ));
            };
            tool::replace(&mut headers, name, value.trim_ascii_start());
        }
        requests.push(Request {
            method: method.into(),
            target: url.target(),
            headers,
        });
    }
    Ok(requests)
}
