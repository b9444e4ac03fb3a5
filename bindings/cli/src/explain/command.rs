//! The subcommand `explain`.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Read};
use std::process::ExitCode;

use keygate::Language;

use super::note::Notes;
use super::output::Output;
use super::paste::{self, Pasted};
use super::raw;
use crate::failure::{Failure, fail};
use crate::gate::{self, Gate};
use crate::program;

/// The most bytes read of a command or a request head, 16 MiB.
const MAX_INPUT: u64 = 16 << 20;

#[derive(clap::Args)]
#[command(after_help = "\
Where no command is given, or for -- -, standard input is read: a command, fetch(...), a HAR file or a request head.
Exit status: 0 where every request is allowed, 1 where one is denied, 2 on any error.")]
pub(crate) struct Arguments {
    #[command(flatten)]
    gate: Gate,
    /// A JSON object for each request, one a line
    #[arg(long)]
    json: bool,
    /// A request head as captured from the wire or shown by curl -v, instead of a command; - is
    /// standard input
    #[arg(long, value_name = "FILE")]
    raw: Option<OsString>,
    /// A command of curl, wget or http in words, or what the README names as one string
    #[arg(last = true, value_name = "curl ...")]
    command: Vec<OsString>,
}

pub(crate) fn run(arguments: Arguments) -> ExitCode {
    program::answer(arguments.gate.language(), |language| {
        explain(arguments, language)
    })
}

/// Whether every request is allowed.
fn explain(arguments: Arguments, language: Language) -> Result<bool, Failure> {
    let policy = gate::read(&arguments.gate)?;
    let pasted = match arguments.raw {
        Some(_) if !arguments.command.is_empty() => {
            return Err(fail(
                "--raw and a command are both given; give one of them",
                "同时给出了 --raw 和命令;请只给其中一个",
            ));
        }
        Some(file) if file == "-" => raw::read(&read_standard_input()?)?,
        Some(file) => raw::read(&gate::read_file(&file, MAX_INPUT, "--raw")?)?,
        None => read(arguments.command)?,
    };
    let notes = pasted.all_notes();
    let mut output = Output::new(language, arguments.json, pasted.requests.len());
    output.notes(&notes);
    let mut allowed = true;
    for request in &pasted.requests {
        let explanation = policy.explain(&request.method, &request.target, &request.headers);
        allowed &= explanation.decision().is_allow();
        output.add(&policy, &request.method, &explanation);
    }
    output.print()?;
    Ok(allowed)
}

/// The command: in words as given, of one string, or from standard input.
fn read(command: Vec<OsString>) -> Result<Pasted, Failure> {
    let words: Vec<_> = command
        .into_iter()
        .map(OsString::into_encoded_bytes)
        .collect();
    match words.as_slice() {
        [] => paste::of_text(&read_standard_input()?),
        [word] if word == b"-" => paste::of_text(&read_standard_input()?),
        [text] => paste::of_text(text),
        words => paste::of_command(words, Notes::default(), || paste::not_understood(None)),
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
