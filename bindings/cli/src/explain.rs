//! The subcommand `explain`.

mod curl;
mod output;
mod raw;
mod shell;
mod url;

use std::ffi::OsString;
use std::io::{self, IsTerminal, Read};
use std::process::ExitCode;

use keygate::{Explanation, Language, Policy};

use crate::failure::{Failure, fail};
use crate::gate::{self, Gate};
use output::Output;

/// The most bytes read of a command or a request head, 16 MiB.
const MAX_INPUT: u64 = 16 << 20;

#[derive(clap::Args)]
#[command(after_help = "\
The command is read from standard input where none is given, or for -- -.
Exit status: 0 where every request is allowed, 1 where one is denied, 2 on any error.")]
pub(crate) struct Arguments {
    #[command(flatten)]
    gate: Gate,
    /// A JSON object for each request, one a line
    #[arg(long)]
    json: bool,
    /// An HTTP/1.1 request head as captured from the wire, instead of a command; - is standard
    /// input
    #[arg(long, value_name = "FILE")]
    raw: Option<OsString>,
    /// A curl command, in words or as one string
    #[arg(last = true, value_name = "curl ...")]
    command: Vec<OsString>,
}

pub(crate) fn run(arguments: Arguments) -> ExitCode {
    let language = match arguments.gate.language() {
        Ok(language) => language,
        Err(failure) => return failure.report(crate::language_of_the_user()),
    };
    match explain(arguments, language) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(failure) => failure.report(language),
    }
}

/// Whether every request is allowed.
fn explain(arguments: Arguments, language: Language) -> Result<bool, Failure> {
    let policy = gate::read(&arguments.gate)?;
    let json = arguments.json;
    let mut allowed = true;
    let mut add = |output: &mut Output, method: &[u8], explanation: Explanation<'_>| {
        allowed &= explanation.decision().is_allow();
        output.add(&policy, method, &explanation);
    };
    let output = match arguments.raw {
        Some(_) if !arguments.command.is_empty() => {
            return Err(fail(
                "--raw and a curl command are both given; give one of them",
                "同时给出了 --raw 和 curl 命令;请只给其中一个",
            ));
        }
        Some(file) => {
            let head = if file == "-" {
                read_standard_input()?
            } else {
                gate::read_file(&file, MAX_INPUT, "--raw")?
            };
            raw::with_head(&head, |method, target, headers| {
                let mut output = Output::new(language, json, 1);
                let explanation = policy.explain(method, target, headers);
                add(&mut output, method, explanation);
                output
            })?
        }
        None => {
            let requests = curl::requests(&words(arguments.command)?)?;
            let mut output = Output::new(language, json, requests.len());
            for request in &requests {
                let explanation = explain_request(&policy, request);
                add(&mut output, &request.method, explanation);
            }
            output
        }
    };
    output.print()?;
    Ok(allowed)
}

fn explain_request<'p>(policy: &'p Policy, request: &curl::Request) -> Explanation<'p> {
    policy.explain(&request.method, &request.target, &request.headers)
}

/// The words of the command: as given, of one string, or from standard input.
fn words(command: Vec<OsString>) -> Result<Vec<Vec<u8>>, Failure> {
    let mut words: Vec<_> = command
        .into_iter()
        .map(OsString::into_encoded_bytes)
        .collect();
    match words.as_slice() {
        [] => shell::split(&read_standard_input()?),
        [word] if word == b"-" => shell::split(&read_standard_input()?),
        [_] => shell::split(&words.remove(0)),
        _ => Ok(words),
    }
}

fn read_standard_input() -> Result<Vec<u8>, Failure> {
    let input = io::stdin();
    if input.is_terminal() {
        return Err(fail(
            "give the request: -- curl ... after the options, --raw FILE, or a command on standard input",
            "请给出请求:在选项之后写 -- curl ...,或 --raw FILE,或从标准输入给出命令",
        ));
    }
    let mut text = Vec::new();
    let result = input.lock().take(MAX_INPUT + 1).read_to_end(&mut text);
    match result {
        Ok(len) if u64::try_from(len).is_ok_and(|len| len <= MAX_INPUT) => Ok(text),
        Ok(_) => Err(fail(
            "standard input is longer than 16 MiB",
            "标准输入超过 16 MiB",
        )),
        Err(error) => {
            let kind = error.kind();
            Err(fail(
                format!("standard input cannot be read: {kind}"),
                format!("无法读取标准输入:{kind}"),
            ))
        }
    }
}
