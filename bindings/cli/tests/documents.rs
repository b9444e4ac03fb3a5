//! The commands in the documents give the answers printed there.

use std::path::Path;
use std::process::Command;

/// What a command in a document says, and what it answers.
fn samples(text: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if let Some(command) = line.strip_prefix("$ ").filter(|_| inside) {
            found.push((command.to_owned(), String::new()));
        } else if let Some((_, answer)) = found.last_mut().filter(|_| inside) {
            answer.push_str(line);
            answer.push('\n');
        }
    }
    found
}

/// The exit status that goes with an answer.
fn status(answer: &str) -> i32 {
    match answer {
        _ if answer.starts_with("error:") => 2,
        _ if answer.starts_with("note: ") && answer.contains("\nDenied: ") => 1,
        _ if answer.starts_with("Denied: ") || answer.starts_with("已拒绝") => 1,
        // A lint.
        _ if answer.lines().all(|line| {
            line.contains("_open: ") || line.starts_with("key_") || line.starts_with("open: ")
        }) =>
        {
            1
        }
        _ if answer.contains("{\"error\"") || answer.contains("\"deny\"") => 1,
        _ => 0,
    }
}

/// Where a shell looks for the program first.
fn path() -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_keygate"));
    let programs = program.parent().expect("a folder").display();
    let others = std::env::var("PATH").expect("a path");
    format!("{programs}:{others}")
}

#[test]
fn the_demo_shows_what_is_there_to_read() {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo");
    let output = Command::new(demo).env("PATH", path()).output();
    let output = output.expect("a demo");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(
        output.status.success() && text.contains("\nDenied: ") && text.contains("\n$ keygate ")
    );
    assert!(!text.contains("<!--"), "a comment of the guide");
}

#[test]
fn documents_are_true() {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = path();
    let mut count = 0;
    for document in [
        "README.md",
        "401.md",
        "../../README.md",
        "../../README.zh-CN.md",
    ] {
        let text = std::fs::read_to_string(own.join(document)).expect(document);
        for (command, answer) in samples(&text) {
            let output = Command::new("sh")
                .args(["-c", &command])
                .env("PATH", &path)
                .env_remove("KEYGATE_API_KEY")
                .envs([("LC_ALL", "C")])
                .output()
                .expect("a shell");
            let text = [output.stdout, output.stderr].concat();
            let text = String::from_utf8(text).expect("UTF-8");
            assert_eq!(text.trim_end(), answer.trim_end(), "{document}: {command}");
            assert_eq!(
                output.status.code(),
                Some(status(&answer)),
                "{document}: {command}"
            );
            count += 1;
        }
    }
    println!("{count} commands");
    assert!(count > 20, "the documents' commands are not found");
}

/// What stands between backquotes in the tables of a text.
fn code_in_tables(document: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(document);
    let text = std::fs::read_to_string(path).expect(document);
    let rows = text.lines().filter(|line| line.starts_with('|'));
    let spans = rows.flat_map(|row| row.split('`').skip(1).step_by(2));
    let mut spans: Vec<_> = spans.map(str::to_owned).collect();
    spans.sort();
    spans
}

#[test]
fn the_chinese_readme_is_in_step() {
    let [english, chinese] = ["README.md", "README.zh-CN.md"].map(code_in_tables);
    assert!(english.len() > 30, "the tables are not found");
    assert_eq!(english, chinese);
}
