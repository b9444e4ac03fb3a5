//! The arguments of the program.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, CommandFactory, FromArgMatches, Parser, Subcommand};
use keygate::Language;

use crate::explain::command as explain;
use crate::failure::{Failure, fail, glued_to};
use crate::terminal::FAILURE;
use crate::{check, help, keygen, lint};

#[derive(Parser)]
#[command(name = "keygate", version, about, propagate_version = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Say why a request is allowed or denied
    Explain(explain::Arguments),
    /// Decide about requests in JSON, one a line, from standard input
    Check(check::Arguments),
    /// Say what is probably a mistake in a configuration
    Lint(lint::Arguments),
    /// Print a fresh key
    Keygen(keygen::Arguments),
}

/// What the program takes, for its manual pages and its completions.
#[must_use]
pub fn command() -> clap::Command {
    Arguments::command()
}

/// The program `keygate`: reads its arguments and does what they say.
#[must_use]
pub fn main() -> ExitCode {
    let mut command = Arguments::command();
    if language(std::env::args_os().skip(1)) == Language::Zh {
        command = help::in_chinese(command);
    }
    let matches = command.try_get_matches();
    match matches.and_then(|matches| Ok(Arguments::from_arg_matches(&matches)?.command)) {
        Ok(Command::Explain(arguments)) => explain::run(arguments),
        Ok(Command::Check(arguments)) => check::run(&arguments),
        Ok(Command::Lint(arguments)) => lint::run(&arguments),
        Ok(Command::Keygen(arguments)) => keygen::run(&arguments),
        Err(error) => refuse(&error),
    }
}

/// Asks something in a language: the status is 0 where it holds and 1 where it does not. What fails is
/// reported.
pub(crate) fn answer(
    language: Result<Language, Failure>,
    ask: impl FnOnce(Language) -> Result<bool, Failure>,
) -> ExitCode {
    let language = match language {
        Ok(language) => language,
        Err(failure) => return failure.report(language_of_the_user()),
    };
    match ask(language) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(failure) => failure.report(language),
    }
}

/// Says what is wrong with the arguments. clap's own messages repeat what was typed, and that
/// may be a key: of that only the names of options are shown, as they are written here.
fn refuse(error: &clap::Error) -> ExitCode {
    if let ErrorKind::DisplayHelp | ErrorKind::DisplayVersion = error.kind() {
        return match error.print() {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::from(FAILURE),
        };
    }
    let arguments = std::env::args_os().skip(1);
    problem(error).report(language(arguments))
}

/// What `--lang` asks for, in arguments that cannot be used as a whole.
fn language(arguments: impl Iterator<Item = OsString>) -> Language {
    let mut value = false;
    for argument in arguments.take_while(|argument| argument != "--") {
        if argument == "--lang=zh" || value && argument == "zh" {
            return Language::Zh;
        }
        if argument == "--lang=en" || value && argument == "en" {
            return Language::En;
        }
        value = argument == "--lang";
    }
    language_of_the_user()
}

/// What the environment asks for: the first of these variables that is set decides, as for every
/// program (POSIX, "Internationalization Variables").
pub(crate) fn language_of_the_user() -> Language {
    let variables = ["LC_ALL", "LC_MESSAGES", "LANG"];
    let mut set = variables
        .iter()
        .filter_map(std::env::var_os)
        .filter(|value| !value.is_empty());
    match set.next().and_then(|value| value.into_string().ok()) {
        Some(value) if value.starts_with("zh") => Language::Zh,
        _ => Language::En,
    }
}

fn problem(error: &clap::Error) -> Failure {
    let argument = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(argument)) => argument.as_str(),
        _ => "",
    };
    let command = Arguments::command();
    let options = || {
        command
            .get_subcommands()
            .flat_map(clap::Command::get_arguments)
    };
    let long = |option: &Arg| option.get_long().map(|name| format!("--{name}"));
    let name = options()
        .filter_map(long)
        .find(|name| argument.split(' ').next() == Some(name));
    let (en_name, zh_name) = match &name {
        Some(name) => (name.as_str(), name.as_str()),
        None => ("an option", "某个选项"),
    };
    let (en, zh) = match error.kind() {
        ErrorKind::UnknownArgument if argument.starts_with('-') => {
            let with_value = options().filter(|option| option.get_action().takes_values());
            let names: Vec<_> = with_value.filter_map(long).collect();
            let glued_to = glued_to(argument.as_bytes(), names.iter().map(String::as_str));
            let (en, zh) = match glued_to {
                Some(name) => (
                    format!("; did you mean {name}, with a space or = before its value?"),
                    format!(";是不是 {name}?它与值之间要有空格或 =;"),
                ),
                None => (";".to_owned(), ";".to_owned()),
            };
            (
                format!(
                    "there is no such option (not shown, since it may hold a key){en} \
                     a curl command comes after --"
                ),
                format!("没有这样的选项(不显示,因为其中可能有 key){zh}curl 命令写在 -- 之后"),
            )
        }
        ErrorKind::UnknownArgument => (
            "an argument that is not expected here (not shown, since it may be a key); \
             a curl command comes after --"
                .to_owned(),
            "这里不该有这个参数(不显示,因为它可能是 key);curl 命令写在 -- 之后".to_owned(),
        ),
        ErrorKind::InvalidSubcommand
        | ErrorKind::MissingSubcommand
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => (
            "give a subcommand: explain, check, lint or keygen".to_owned(),
            "请给出子命令:explain、check、lint 或 keygen".to_owned(),
        ),
        ErrorKind::ArgumentConflict => (
            format!("{en_name} is given twice, or does not go with another option"),
            format!("{zh_name} 给了两次,或者不能与另一个选项一起用"),
        ),
        ErrorKind::TooManyValues => (
            format!("{en_name} takes no value"),
            format!("{zh_name} 不带值"),
        ),
        ErrorKind::InvalidValue | ErrorKind::TooFewValues | ErrorKind::WrongNumberOfValues => (
            format!("{en_name} needs a value"),
            format!("{zh_name} 缺少值"),
        ),
        _ => (
            "the arguments cannot be used".to_owned(),
            "这些参数无法使用".to_owned(),
        ),
    };
    fail(
        format!("{en}; see keygate --help"),
        format!("{zh};见 keygate --help"),
    )
}
