//! `keygate`: explains and checks what the gate decides.

mod check;
mod explain;
mod keygen;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

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
    match Arguments::parse().command {
        Command::Explain(arguments) => explain::run(arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Keygen(arguments) => keygen::run(&arguments),
    }
}
