//! Writes the manual pages of the program and its completions for bash, zsh and fish: `manual FOLDER DATE`.

use std::path::Path;
use std::{env, fs, io};

use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;

fn main() -> io::Result<()> {
    let words: Vec<_> = env::args().skip(1).collect();
    let [folder, date] = words.as_slice() else {
        return Err(io::Error::other("usage: manual FOLDER DATE"));
    };
    fs::create_dir_all(folder)?;
    // `keygate help` is no page of its own.
    let mut command = keygate_cli::command().disable_help_subcommand(true);
    command.build();
    pages(command, folder.as_ref(), date)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut keygate_cli::command(), "keygate", folder)?;
    }
    Ok(())
}

fn pages(command: Command, folder: &Path, date: &str) -> io::Result<()> {
    for subcommand in command.get_subcommands() {
        pages(subcommand.clone(), folder, date)?;
    }
    let source = format!("keygate {}", env!("CARGO_PKG_VERSION"));
    Man::new(command)
        .date(date)
        .source(source)
        .generate_to(folder)?;
    Ok(())
}
