//! `keygate`: explains and checks what the gate decides.

mod check;
mod decided;
mod explain;
mod failure;
mod keygen;

use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Parser, Subcommand};
use keygate::Language;

use crate::failure::{FAILURE, fail, option_name};

#[derive(Parser)]
#[command(version, about, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Say why a request is allowed or denied
    Explain(explain::Arguments),
    /// Decide about requests in JSON, one a line, from standard input
    Check(check::Arguments),
    /// Print a fresh key
    Keygen(keygen::Arguments),
}

fn main() -> ExitCode {
    match Arguments::try_parse().map(|arguments| arguments.command) {
        Ok(Command::Explain(arguments)) => explain::run(arguments),
        Ok(Command::Check(arguments)) => check::run(&arguments),
        Ok(Command::Keygen(arguments)) => keygen::run(&arguments),
        Err(error) => refuse(&error),
    }
}

/// Says what is wrong with the arguments. clap's own messages repeat what was typed, and that
/// may be a key.
fn refuse(error: &clap::Error) -> ExitCode {
    let kind = error.kind();
    if let ErrorKind::DisplayHelp | ErrorKind::DisplayVersion = kind {
        return match error.print() {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::from(FAILURE),
        };
    }
    let argument = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(argument)) => argument.as_str(),
        _ => "",
    };
    let what = match kind {
        ErrorKind::UnknownArgument => match option_name(argument.as_bytes()) {
            Some(name) if name.starts_with('-') => {
                format!("there is no option {name}; a curl command comes after --")
            }
            _ => "an argument that is not expected here (not shown, since it may be a key); \
                  a curl command comes after --"
                .to_owned(),
        },
        ErrorKind::InvalidSubcommand
        | ErrorKind::MissingSubcommand
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            "give a subcommand: explain, check or keygen".to_owned()
        }
        ErrorKind::ArgumentConflict => {
            format!("{argument} is given twice, or does not go with another option")
        }
        ErrorKind::TooManyValues => format!("{argument} takes no value"),
        ErrorKind::InvalidValue | ErrorKind::TooFewValues | ErrorKind::WrongNumberOfValues => {
            format!("{argument} needs a value")
        }
        _ => "the arguments cannot be used".to_owned(),
    };
    let message = format!("{what}; see keygate --help");
    fail(message.clone(), message).report(Language::En)
}
