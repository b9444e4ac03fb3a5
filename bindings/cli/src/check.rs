//! The subcommand `check`: requests in, decisions out, a line of JSON each.
//!
//! No error text repeats anything of a line: any of it may be a key.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;
use std::io::{self, BufRead, BufReader, BufWriter, IsTerminal, Read, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use keygate::{Lint, Policy};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::decided::{Codes, Decided};

/// The longest line that is read; a longer one is skipped without being held.
const MAX_LINE: usize = 64 << 20;
/// How much of a long line's memory is kept for the next line.
const KEPT_LINE: usize = 1 << 16;
const CHUNK: usize = 1 << 17;
const PROGRESS_EVERY: Duration = Duration::from_millis(500);

#[derive(clap::Args)]
#[command(after_help = "A line of input:\n  \
        {\"config\":{\"auth_mode\":\"strict\",\"api_key\":\"sk-x\"},\"method\":\"GET\",\"target\":\"/\",\"headers\":[[\"x-api-key\",\"sk-x\"]]}\n\
        Each character of a string stands for one byte, U+0000 to U+00FF. Unknown fields are errors. \
        A line that cannot be used, or is longer than 64 MiB, is answered by {\"error\":\"...\"} in its place. \
        Where standard error is a terminal, the number of lines a second is shown there.\n\n\
        Exit status: 0 where every line could be used, 1 where some could not, 2 for a usage, read or write error.")]
pub(crate) struct Arguments {
    /// Add "findings" to each line: the codes of what is worth telling the operator
    #[arg(long)]
    explain: bool,
    /// Add "drop" to each line: the indices of the headers that a host drops before it forwards the
    /// request; null where it is denied
    #[arg(long)]
    forward: bool,
    /// Add "lint" to each line: the codes of what is probably a mistake in its configuration
    #[arg(long)]
    lint: bool,
}

pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    match check(arguments) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(error) => {
            // Whoever closed the pipe wants no more of it, not even a message.
            if error.kind() != io::ErrorKind::BrokenPipe {
                let _ = writeln!(io::stderr(), "keygate check: {error}");
            }
            ExitCode::from(2)
        }
    }
}

/// Answers every line, and returns how many could not be used.
fn check(arguments: &Arguments) -> io::Result<u64> {
    let output = RefCell::new(BufWriter::with_capacity(CHUNK, io::stdout().lock()));
    let input = Answering {
        input: io::stdin().lock(),
        output: &output,
    };
    let mut input = BufReader::with_capacity(CHUNK, input);
    let mut progress = Progress::new();
    let mut line = Vec::new();
    let mut unusable = 0;
    loop {
        line.clear();
        line.shrink_to(KEPT_LINE);
        let limit = MAX_LINE as u64 + 1;
        if input.by_ref().take(limit).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let answer = if line.ends_with(b"\n") || line.len() <= MAX_LINE {
            answer(&line, arguments)
        } else {
            input.skip_until(b'\n')?;
            Err("the line is longer than 64 MiB".into())
        };
        let mut output = output.borrow_mut();
        match answer {
            Ok(answer) => serde_json::to_writer(&mut *output, &answer)?,
            Err(error) => {
                unusable += 1;
                serde_json::to_writer(&mut *output, &Unusable { error })?;
            }
        }
        output.write_all(b"\n")?;
        progress.line();
    }
    output.borrow_mut().flush()?;
    progress.finish();
    Ok(unusable)
}

/// Input that has everything answered before it waits for more, so that `check` can be talked to
/// over a pipe.
struct Answering<'o, R, W: Write> {
    input: R,
    output: &'o RefCell<BufWriter<W>>,
}

impl<R: Read, W: Write> Read for Answering<'_, R, W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.output.borrow_mut().flush()?;
        self.input.read(buffer)
    }
}

/// One line of input.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request<'a> {
    #[serde(borrow)]
    config: &'a RawValue,
    #[serde(borrow)]
    method: Bytes<'a>,
    #[serde(borrow)]
    target: Bytes<'a>,
    #[serde(borrow)]
    headers: Vec<(Bytes<'a>, Bytes<'a>)>,
}

/// A string of which each character stands for one byte.
struct Bytes<'a>(Cow<'a, [u8]>);

impl AsRef<[u8]> for Bytes<'_> {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Bytes<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Characters;

        impl<'de> Visitor<'de> for Characters {
            type Value = Cow<'de, [u8]>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                if text.is_ascii() {
                    return Ok(Cow::Borrowed(text.as_bytes()));
                }
                self.visit_str(text)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                let bytes = text.chars().map(u8::try_from).collect::<Result<_, _>>();
                bytes.map(Cow::Owned).map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Characters).map(Bytes)
    }
}

/// One line of output.
#[derive(Serialize)]
struct Answer {
    #[serde(flatten)]
    decided: Decided,
    #[serde(skip_serializing_if = "Option::is_none")]
    findings: Option<Codes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    drop: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lint: Option<Vec<&'static str>>,
}

/// The output for a line that cannot be used.
#[derive(Serialize)]
struct Unusable {
    error: Cow<'static, str>,
}

fn answer(line: &[u8], arguments: &Arguments) -> Result<Answer, Cow<'static, str>> {
    let line = std::str::from_utf8(line).map_err(|_| "the line is not UTF-8")?;
    // A list would do for serde as well.
    match line.trim_start_matches(is_blank).chars().next() {
        Some('{') => {}
        Some(_) => return Err("the line is not a JSON object".into()),
        None => return Err("the line is blank".into()),
    }
    let request: Request<'_> = serde_json::from_str(line).map_err(|error| describe(&error))?;
    let policy =
        Policy::parse_object(request.config.get()).map_err(|error| format!("config, {error}"))?;
    let Request {
        method,
        target,
        headers,
        ..
    } = &request;
    let (decision, findings) = if arguments.explain {
        let explanation = policy.explain(method, target, headers);
        (explanation.decision(), Some(Codes(explanation.findings())))
    } else {
        (policy.decide(method, target, headers), None)
    };
    let dropped = || {
        let dropped = |(_, (name, value)): &(usize, &(Bytes<'_>, Bytes<'_>))| {
            policy.drops(&decision, name, value)
        };
        let all = headers.iter().enumerate();
        let indices = all.filter(dropped).map(|(index, _)| index);
        let indices = || indices.collect::<Vec<_>>();
        decision.is_allow().then(indices).into()
    };
    Ok(Answer {
        decided: Decided::new(&policy, decision),
        findings,
        drop: arguments.forward.then(dropped),
        lint: arguments
            .lint
            .then(|| policy.lints().iter().map(Lint::name).collect()),
    })
}

const fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n')
}

/// What is wrong with a line. Serde's own messages about data show the data; those of the parser
/// about JSON do not.
fn describe(error: &serde_json::Error) -> String {
    if error.is_data() {
        return format!(
            "must be an object of config, method, target and headers, each once and nothing else; \
             method and target are strings, headers is a list of [name, value], and a string's \
             characters are U+0000 to U+00FF; at column {}",
            error.column()
        );
    }
    error.to_string()
}

/// The number of lines so far and the rate, on standard error where that is a terminal.
struct Progress {
    shown: bool,
    /// Where the output goes to the same terminal, a running count would stand between its lines.
    running: bool,
    begin: Instant,
    next: Duration,
    lines: u64,
}

impl Progress {
    fn new() -> Self {
        let shown = io::stderr().is_terminal();
        Self {
            shown,
            running: shown && !io::stdout().is_terminal(),
            begin: Instant::now(),
            next: PROGRESS_EVERY,
            lines: 0,
        }
    }

    fn line(&mut self) {
        self.lines += 1;
        if self.running && self.lines.is_multiple_of(1024) && self.begin.elapsed() >= self.next {
            self.next = self.begin.elapsed() + PROGRESS_EVERY;
            self.show("");
        }
    }

    fn finish(&self) {
        if self.shown {
            self.show("\n");
        }
    }

    fn show(&self, end: &str) {
        let millis = self.begin.elapsed().as_millis().max(1);
        let rate = u128::from(self.lines) * 1000 / millis;
        let before = if self.running { "\r" } else { "" };
        // Progress that cannot be shown is no reason to stop.
        let _ = write!(
            io::stderr(),
            "{before}{} lines, {rate} lines/s{end}",
            self.lines
        );
    }
}
