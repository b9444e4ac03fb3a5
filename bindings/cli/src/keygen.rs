//! The subcommand `keygen`.

use std::process::ExitCode;

use crate::failure::{Failure, fail};
use crate::terminal::print;

#[derive(clap::Args)]
pub(crate) struct Arguments {}

pub(crate) fn run(_arguments: &Arguments) -> ExitCode {
    match generate() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(crate::program::language_of_the_user()),
    }
}

fn generate() -> Result<(), Failure> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| {
        fail(
            format!("the system gives no randomness: {error}"),
            format!("系统无法提供随机数:{error}"),
        )
    })?;
    let key = keygate::generate_key(&random);
    print(format!("{key}\n").as_bytes())
}
