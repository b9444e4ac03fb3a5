//! `keygate keygen` as a process.

use std::collections::HashSet;
use std::process::{Command, Stdio};

fn keygen() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keygate"));
    command.arg("keygen");
    command
}

#[test]
fn every_key_is_fresh_and_of_one_form() {
    let mut seen = HashSet::new();
    for _ in 0..20 {
        let output = keygen().output().expect("keygate");
        assert_eq!(output.status.code(), Some(0));
        assert!(output.stderr.is_empty());
        let key = String::from_utf8(output.stdout).expect("UTF-8");
        let digits = key
            .strip_prefix("sk-")
            .and_then(|key| key.strip_suffix('\n'));
        let digits = digits.expect("sk-, digits and a line end");
        assert_eq!(digits.len(), 32);
        assert!(
            digits
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        );
        assert!(seen.insert(key), "a key came twice");
    }
}

#[test]
fn a_closed_pipe_is_an_error_and_no_panic() {
    let (reader, writer) = std::io::pipe().expect("pipe");
    drop(reader);
    let output = keygen()
        .stdout(writer)
        .stderr(Stdio::piped())
        .output()
        .expect("keygate");
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(
        message.starts_with("error: standard output cannot be written"),
        "{message}"
    );
}

#[test]
fn unexpected_arguments_are_refused_and_not_repeated() {
    let output = keygen().arg("sk-0123456789").output().expect("keygate");
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    assert!(!String::from_utf8_lossy(&output.stderr).contains("0123"));
}
