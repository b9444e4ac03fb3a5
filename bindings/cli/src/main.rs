//! `keygate`: explains and checks what the gate decides.

use std::process::ExitCode;

fn main() -> ExitCode {
    keygate_cli::main()
}
