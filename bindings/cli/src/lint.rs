//! The subcommand `lint`: what is probably a mistake in a configuration that works.

use std::process::ExitCode;

use keygate::Language;

use crate::failure::Failure;
use crate::gate::{self, Gate};
use crate::lints::line;
use crate::program;
use crate::terminal::print;

#[derive(clap::Args)]
#[command(after_help = "\
Exit status: 0 where there is nothing to say, 1 where there is, 2 on any error.")]
pub(crate) struct Arguments {
    #[command(flatten)]
    gate: Gate,
}

pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    program::answer(arguments.gate.language(), |language| {
        lint(arguments, language)
    })
}

/// Whether there is nothing to say.
fn lint(arguments: &Arguments, language: Language) -> Result<bool, Failure> {
    let lints = gate::read(&arguments.gate)?.lints();
    let mut text = String::new();
    for lint in lints.iter() {
        text += &line(lint, language);
        text.push('\n');
    }
    print(text.as_bytes())?;
    Ok(lints.is_empty())
}
