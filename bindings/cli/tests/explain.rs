//! `keygate explain` as a process: what it prints, where, and with which exit status.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::{env, fs, thread};

const KEY: &str = "sk-f3c1a9027be64d58";

struct Run {
    status: Option<i32>,
    out: String,
    err: String,
}

fn run_with(arguments: &[&str], input: &[u8], variables: &[(&str, &str)]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keygate"));
    command.args(arguments).env_remove("KEYGATE_API_KEY");
    for variable in ["LC_ALL", "LC_MESSAGES", "LANG"] {
        command.env_remove(variable);
    }
    command.envs(variables.iter().copied());
    let output = feed(command, input);
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Run {
        status: output.status.code(),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

fn feed(mut command: Command, input: &[u8]) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("keygate");
    let mut to = child.stdin.take().expect("standard input");
    thread::scope(|scope| {
        // It may end without reading all.
        scope.spawn(move || to.write_all(input));
        child.wait_with_output().expect("keygate")
    })
}

fn run(arguments: &[&str]) -> Run {
    run_with(arguments, b"", &[])
}

/// `explain` in strict mode with the key from the environment.
fn strict(arguments: &[&str], input: &[u8]) -> Run {
    let mut all = vec!["explain", "--auth-mode", "strict"];
    all.extend(arguments);
    run_with(&all, input, &[("KEYGATE_API_KEY", KEY)])
}

/// A file that is gone when the test is.
struct File(PathBuf);

impl File {
    fn new(name: &str, content: impl AsRef<[u8]>) -> Self {
        let name = format!("keygate-{name}-{}", std::process::id());
        let path = env::temp_dir().join(name);
        fs::write(&path, content).expect("file");
        Self(path)
    }

    fn name(&self) -> &str {
        self.0.to_str().expect("UTF-8")
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn the_exit_status_tells_the_verdict() {
    let right = format!("Authorization: Bearer {KEY}");
    let allowed = strict(&["--", "curl", "-H", &right, "http://a/v1/models"], b"");
    assert_eq!(allowed.status, Some(0), "{}", allowed.err);
    assert!(
        allowed
            .out
            .starts_with("Allowed: the key is right (key_matched, rule 7)\n")
    );
    assert_eq!(allowed.err, "");

    let denied = strict(&["--", "curl", "http://a/v1/models"], b"");
    assert_eq!(denied.status, Some(1));
    assert!(
        denied
            .out
            .starts_with("Denied: the request has no header that a key is read from (401, credential_missing, rule 5)\n")
    );

    // One denied request among several.
    let both = strict(
        &[
            "--",
            "curl",
            "http://a/",
            "--next",
            "-H",
            &right,
            "http://b/",
        ],
        b"",
    );
    assert_eq!(both.status, Some(1));
    assert!(both.out.starts_with("request 1 of 2: GET\nDenied: "));
    assert!(both.out.contains("\n\nrequest 2 of 2: GET\nAllowed: "));
}

#[test]
fn piped_text_has_no_escape_sequence_whatever_the_environment_says() {
    for variables in [
        [("NO_COLOR", "1")],
        [("CLICOLOR_FORCE", "1")],
        [("TERM", "xterm")],
    ] {
        let arguments = [
            "explain",
            "--auth-mode",
            "strict",
            "--",
            "curl",
            "http://a/",
        ];
        let run = run_with(&arguments, b"", &variables);
        assert!(!run.out.contains('\u{1b}'), "{variables:?}");
    }
}

#[test]
fn the_command_comes_in_words_in_a_string_or_on_standard_input() {
    let words = ["--", "curl", "-H", "x-api-key: wrong", "http://a/"];
    let expected = strict(&words, b"");
    assert!(expected.out.contains("x-api-key"));
    let text = "curl \\\n -H 'x-api-key: wrong' \\\r\n \"http://a/\" | jq .\n";
    for (arguments, input) in [
        (&["--", text][..], ""),
        (&[][..], text),
        (&["--", "-"][..], text),
    ] {
        let run = strict(arguments, input.as_bytes());
        assert_eq!(run.status, Some(1), "{}", run.err);
        assert_eq!(run.out, expected.out);
    }
}

#[test]
fn a_request_head_is_read_from_a_file_and_from_standard_input() {
    let head = format!("GET /v1/models?a=b HTTP/1.1\r\nHost: a\r\nX-Api-Key: {KEY}\r\n\r\nbody");
    let file = File::new("head", &head);
    for arguments in [["--raw", file.name()], ["--raw", "-"]] {
        let run = strict(&arguments, head.as_bytes());
        assert_eq!(run.status, Some(0), "{}", run.err);
        assert!(
            run.out.contains("x-api-key, header 2 of 2 headers"),
            "{}",
            run.out
        );
    }
    let bare = strict(&["--raw", "-"], b"GET / HTTP/1.0\n\n");
    assert_eq!(bare.status, Some(1), "{}", bare.err);
}

#[test]
fn a_request_head_may_be_large() {
    let many = "a: b\r\n".repeat(20_000);
    let long = "x".repeat(10_000_000);
    let head = format!("GET / HTTP/1.1\r\n{many}Long: {long}\r\nx-api-key: {KEY}\r\n\r\n");
    let run = strict(&["--raw", "-"], head.as_bytes());
    assert_eq!(run.status, Some(0), "{}", run.err);
    assert!(run.out.contains("header 20002 of 20002"), "{}", run.out);
    let head = format!("GET / HTTP/1.1\r\nx-api-key: {long}\r\n\r\n");
    let run = strict(&["--raw", "-"], head.as_bytes());
    assert_eq!(run.status, Some(1), "{}", run.err);
    assert!(run.out.contains("10000000 bytes"), "{}", run.out);
}

#[test]
fn json_holds_the_fields_of_the_batch_interface_and_more() {
    let config = File::new(
        "labelled",
        format!(r#"{{"auth_mode": "strict", "keys": [{{"key": "{KEY}", "label": "laptop"}}]}}"#),
    );
    let header = format!("Authorization: Bearer {KEY}");
    let run = run(&[
        "explain",
        "--json",
        "--config",
        config.name(),
        "--",
        "curl",
        "-H",
        &header,
        "http://a/",
        "--next",
        "http://b/",
        "-H",
        "api-key: x",
    ]);
    assert_eq!(run.status, Some(1), "{}", run.err);
    let lines: Vec<serde_json::Value> = run
        .out
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let expected = serde_json::json!({
        "verdict": "allow", "reason": "key_matched", "effective_mode": "strict",
        "source": "authorization", "header_index": 3, "key_index": 0, "key_label": "laptop",
        "bearer_stripped": true, "rule": 7, "findings": [], "would_match_mended": false,
        "text": lines[0]["text"],
    });
    assert_eq!(lines[0], expected);
    assert_eq!(lines[0]["text"][0]["label"], "verdict");
    assert_eq!(lines[1]["source"], serde_json::Value::Null);
    assert_eq!(lines[1]["header_index"], serde_json::Value::Null);
    assert_eq!(lines[1]["findings"], serde_json::json!(["unread_header"]));
    assert_eq!(lines.len(), 2);
}

#[test]
fn configurations_load_as_a_section_and_as_a_whole_file() {
    let fields = format!(r#""auth_mode": "auto", "allow_lan_access": true, "api_key": "{KEY}""#);
    let section = format!("{{{fields}}}");
    let whole = format!("\u{feff}{{\"proxy\": {{{fields}, \"port\": 8045}}, \"other\": 1}}");
    for text in [section.as_str(), &whole] {
        let config = File::new("config", text);
        let run = run(&[
            "explain",
            "--config",
            config.name(),
            "--",
            "curl",
            "http://a/healthz",
        ]);
        assert_eq!(run.status, Some(0), "{}", run.err);
        assert!(run.out.contains("health, rule 3)"));
    }
}

#[test]
fn the_key_comes_from_a_file_without_its_line_end() {
    for end in ["", "\n", "\r\n"] {
        let file = File::new("key", format!("{KEY}{end}"));
        let header = format!("x-api-key: {KEY}");
        let run = run(&[
            "explain",
            "--auth-mode",
            "strict",
            "--api-key-file",
            file.name(),
            "--",
            "curl",
            "-H",
            &header,
            "http://a/",
        ]);
        assert_eq!(run.status, Some(0), "{}", run.err);
    }
}

#[test]
fn chinese() {
    let denied = strict(
        &["--lang", "zh", "--", "curl", "http://a/", "http://b/"],
        b"",
    );
    assert!(
        denied.out.starts_with("第 1 个请求,共 2 个:GET\n已拒绝:"),
        "{}",
        denied.out
    );
    let failed = strict(&["--lang", "zh", "--", "curl", "--frobnicate"], b"");
    assert!(failed.err.starts_with("错误: 不认识"), "{}", failed.err);
}

/// A terminal gets one column of labels, text no wider than itself, and colours unless told not
/// to. `script` gives the terminal.
#[test]
fn a_terminal_gets_a_layout() {
    let keygate = env!("CARGO_BIN_EXE_keygate");
    for (language, color) in [("en", true), ("zh", true), ("zh", false)] {
        let line = format!(
            "stty rows 24 cols 50; '{keygate}' explain --auth-mode auto --allow-lan-access --api-key {KEY} \
             --lang {language} -- curl -H 'x-api-key: wrong' 'http://a/?key=abc'"
        );
        let mut command = Command::new("script");
        command
            .args(["-qec", &line, "/dev/null"])
            .env_remove("KEYGATE_API_KEY");
        command.env("TERM", "xterm-256color").env_remove("CLICOLOR");
        if color {
            command.env_remove("NO_COLOR");
        } else {
            command.env("NO_COLOR", "1");
        }
        let output = feed(command, b"");
        let out = String::from_utf8(output.stdout).expect("UTF-8");
        assert_eq!(output.status.code(), Some(1), "{out}");
        assert_eq!(out.contains("\u{1b}[31m"), color, "{out}");
        assert_eq!(out.contains('\u{1b}'), color, "{out}");
        let plain = without_escapes(&out);
        let width = |line: &str| {
            line.chars()
                .map(|c| 1 + usize::from(c >= '\u{2e80}'))
                .sum::<usize>()
        };
        assert!(plain.lines().all(|line| width(line) <= 50), "{plain}");
        assert!(plain.lines().count() > 6, "{plain}");
        // The statements under one label are told apart: two problems and two fixes.
        assert_eq!(plain.matches("- ").count(), 4, "{plain}");
        assert!(
            !plain.lines().any(|line| line.trim_end().ends_with('-')),
            "{plain}"
        );
    }
    let line =
        format!("stty rows 24 cols 50; '{keygate}' explain --auth-mode never -- curl http://a/");
    let mut command = Command::new("script");
    command.args(["-qec", &line, "/dev/null"]);
    let output = feed(command, b"");
    let out = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(output.status.code(), Some(2), "{out}");
    assert!(
        out.lines().count() > 1 && out.lines().all(|line| line.len() <= 50),
        "{out}"
    );
}

fn without_escapes(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |plain, part| {
        plain + part.split_once('m').unwrap_or_default().1
    })
}

/// Arguments, standard input, environment, message.
type Row<'a> = (Vec<&'a str>, &'a [u8], &'a [(&'a str, &'a str)], &'a str);

/// Every one exits with 2, prints nothing to standard output and says what the matter is; none
/// repeats what it was given, which here holds the key wherever it can.
#[test]
#[allow(clippy::too_many_lines)] // a table
fn bad_input() {
    let key_file = File::new("bad-key", KEY);
    let two_lines = File::new("two-lines", format!("{KEY}\n{KEY}\u{a0}\n"));
    let huge = File::new("huge-key", vec![b'#'; (16 << 20) + 1]);
    let good = File::new(
        "good",
        format!(r#"{{"auth_mode": "strict", "api_key": "{KEY}"}}"#),
    );
    let (key_file, good) = (key_file.name(), good.name());
    let request = ["--", "curl", "http://a/"];
    let with = |options: &[&'static str]| [options, &request].concat();
    let in_config =
        |name: &str, text: &str| File::new(&format!("bad-{name}"), text.replace("KEY", KEY));

    let header = format!("x-api-key: {KEY}");
    let option = format!("--{KEY}");
    let joined = format!("--frobnicate={KEY}");
    let json = format!("--json={KEY}");
    let query = format!("http://a/?[{KEY}]");
    let text = format!("curl http://a/ -H 'x-api-key: {KEY}");
    let lines = format!("curl http://a/\n-H 'x-api-key: {KEY}'");
    let name_line = format!("GET / HTTP/1.1\r\nHost: a\r\n{KEY}\r\n\r\n");
    let value_line = format!("GET / HTTP/1.1\r\nx-api-key: {KEY}\u{1}\r\n\r\n");
    let start_line = format!("{KEY}\r\n\r\n");
    let version = format!("GET /{KEY} HTTP/4\r\n\r\n");
    let both = [("KEYGATE_API_KEY", KEY)];
    let mut table: Vec<Row<'_>> = vec![
        (with(&[]), b"", &[], "choose"),
        (
            with(&["--auth-mode", "Strict"]),
            b"",
            &[],
            "--auth-mode must be",
        ),
        (with(&["--auth-mode", KEY]), b"", &[], "--auth-mode must be"),
        (
            with(&["--auth-mode", "strict", "--lang", KEY]),
            b"",
            &[],
            "--lang must be",
        ),
        (with(&["--auth-mode"]), b"", &[], "--auth-mode"),
        (with(&["--auth-mode", "strict", KEY]), b"", &[], "not shown"),
        (
            [&["--auth-mode", "strict", &json], &request[..]].concat(),
            b"",
            &[],
            "--json takes no value",
        ),
        (
            [&["--auth-mode", "strict", &option], &request[..]].concat(),
            b"",
            &[],
            "not shown",
        ),
        (
            [&["--auth-mode", "strict", "--frobnicate"], &request[..]].concat(),
            b"",
            &[],
            "no such option (not shown",
        ),
        (
            with(&["--auth-mode", "strict", "--api-key", KEY, "--api-key", KEY]),
            b"",
            &[],
            "--api-key",
        ),
        (
            [&["--config", good, "--api-key", KEY], &request[..]].concat(),
            b"",
            &[],
            "(--config, beside --api-key) cannot be used: line 1",
        ),
        (
            [
                &["--config", good, "--api-key-file", key_file],
                &request[..],
            ]
            .concat(),
            b"",
            &[],
            "(--config, beside --api-key-file) cannot be used: line 1",
        ),
        (
            [&["--config", good], &request[..]].concat(),
            b"",
            &both,
            "(--config, beside KEYGATE_API_KEY) cannot be used: line 1",
        ),
        (
            [&["--config", good, "--auth-mode", "strict"], &request[..]].concat(),
            b"",
            &[],
            "--config and --auth-mode",
        ),
        (
            [&["--config", good, "--allow-lan-access"], &request[..]].concat(),
            b"",
            &[],
            "--config and --allow-lan-access",
        ),
        (
            with(&["--auth-mode", "strict", "--api-key", KEY]),
            b"",
            &both,
            "--api-key and KEYGATE_API_KEY",
        ),
        (
            [
                &["--auth-mode", "strict", "--api-key-file", key_file],
                &request[..],
            ]
            .concat(),
            b"",
            &both,
            "--api-key-file and KEYGATE_API_KEY",
        ),
        (
            [
                &[
                    "--auth-mode",
                    "strict",
                    "--api-key",
                    KEY,
                    "--api-key-file",
                    key_file,
                ],
                &request[..],
            ]
            .concat(),
            b"",
            &[],
            "--api-key and --api-key-file",
        ),
        (
            with(&["--auth-mode", "strict", "--api-key-file", KEY]),
            b"",
            &[],
            "--api-key-file cannot be read",
        ),
        (
            [
                &["--auth-mode", "strict", "--api-key-file", two_lines.name()],
                &request[..],
            ]
            .concat(),
            b"",
            &[],
            "line 2: keys[1].key: the key contains a no-break space",
        ),
        (
            [
                &["--auth-mode", "strict", "--api-key-file", huge.name()],
                &request[..],
            ]
            .concat(),
            b"",
            &[],
            "--api-key-file cannot be read: file too large",
        ),
        (
            with(&["--auth-mode", "strict", "--api-key", " sk-f3c1a9"]),
            b"",
            &[],
            "starts or ends with a space",
        ),
        (
            with(&["--config", KEY]),
            b"",
            &[],
            "--config cannot be read",
        ),
        (
            with(&["--config", "/"]),
            b"",
            &[],
            "--config cannot be read",
        ),
        (
            vec!["--auth-mode", "strict", "--", KEY],
            b"",
            &[],
            "this is no command that is known here",
        ),
        (
            vec!["--auth-mode", "strict", "--", "grep", &header],
            b"",
            &[],
            "this is no command that is known here",
        ),
        (
            vec!["--auth-mode", "strict"],
            b"",
            &[],
            "there is no command",
        ),
        (
            vec!["--auth-mode", "strict"],
            text.as_bytes(),
            &[],
            "line 1: a quote",
        ),
        (
            vec!["--auth-mode", "strict", "--", "-"],
            lines.as_bytes(),
            &[],
            "line 2: more text",
        ),
        (
            vec!["--auth-mode", "strict", "--", "curl", &joined, "http://a/"],
            b"",
            &[],
            "an option that is not known",
        ),
        (
            vec!["--auth-mode", "strict", "--", "curl", &option, "http://a/"],
            b"",
            &[],
            "not shown",
        ),
        (
            vec!["--auth-mode", "strict", "--", "curl", "-H", &header],
            b"",
            &[],
            "names no URL",
        ),
        (
            vec![
                "--auth-mode",
                "strict",
                "--",
                "curl",
                "-u",
                KEY,
                "http://a/",
            ],
            b"",
            &[],
            "password of -u",
        ),
        (
            vec!["--auth-mode", "strict", "--", "curl", &query],
            b"",
            &[],
            "URL 1",
        ),
        (
            vec!["--auth-mode", "strict", "--", "curl", "http://a/", &header],
            b"",
            &[],
            "URL 2",
        ),
        (
            vec![
                "--auth-mode",
                "strict",
                "--raw",
                "-",
                "--",
                "curl",
                "http://a/",
            ],
            b"",
            &[],
            "--raw and a command",
        ),
        (
            vec!["--auth-mode", "strict", "--raw", KEY],
            b"",
            &[],
            "--raw cannot be read",
        ),
        (
            vec!["--auth-mode", "strict", "--raw", "-"],
            b"",
            &[],
            "it is empty or breaks off",
        ),
        (
            vec!["--auth-mode", "strict", "--raw", "-"],
            name_line.as_bytes(),
            &[],
            "line 3: no header",
        ),
        (
            vec!["--auth-mode", "strict", "--raw", "-"],
            value_line.as_bytes(),
            &[],
            "line 2: the header's value",
        ),
        (
            vec!["--auth-mode", "strict", "--raw", "-"],
            start_line.as_bytes(),
            &[],
            "line 1: no request line",
        ),
        (
            vec!["--auth-mode", "strict", "--raw", "-"],
            version.as_bytes(),
            &[],
            "line 1: the version",
        ),
    ];
    let configs: Vec<(File, &str)> = [
        ("empty", "", "line 1, column 1: this is not valid JSON"),
        ("bare", "KEY", "line 1, column 1: this is not valid JSON"),
        ("string", "\"KEY\"", "line 1, column 1: must be an object"),
        (
            "mode",
            "{\"auth_mode\": \"KEY\"}",
            "auth_mode: must be \"off\"",
        ),
        (
            "token",
            "{\"auth_mode\": \"strict\",\n \"api_key\": KEY}",
            "line 2, column 13: this is not valid JSON",
        ),
        (
            "number",
            "{\"auth_mode\": \"strict\",\n\"api_key\": 30010902764589}",
            "line 2, column 12: api_key: must be a string",
        ),
        (
            "list",
            "{\"auth_mode\": \"strict\",\n\"api_key\": [\"KEY\"]}",
            "line 2, column 12: api_key: must be a string",
        ),
        (
            "lan",
            "{\"auth_mode\": \"auto\", \"allow_lan_access\": \"KEY\"}",
            "allow_lan_access: must be true or false",
        ),
        (
            "keys",
            "{\"auth_mode\": \"auto\", \"keys\": [\"KEY\"]}",
            "keys[0]: must be a list of objects",
        ),
        (
            "keys-field",
            "{\"auth_mode\": \"auto\", \"keys\": [{\"KEY\": 1}]}",
            "keys[0]: unknown field (not shown",
        ),
        (
            "twice",
            "{\"auth_mode\": \"auto\", \"api_key\": \"KEY\",\n\"api_key\": \"KEY\"}",
            "line 2, column 1: api_key: this field is given twice",
        ),
        (
            "both",
            "{\"auth_mode\": \"auto\", \"api_key\": \"KEY\", \"keys\": []}",
            "api_key and keys are both given",
        ),
        (
            "no-mode",
            "{\"api_key\": \"KEY\"}",
            "auth_mode: this field is missing",
        ),
        ("nested", "{\"proxy\": \"KEY\"}", "proxy: must be an object"),
        (
            "beside",
            "{\"proxy\": {\"auth_mode\": \"off\"}, \"api_key\": \"KEY\"}",
            "api_key: this field stands beside \"proxy\"",
        ),
        (
            "name",
            "{\"KEY\": 1, KEY}",
            "line 1, column 28: this is not valid JSON",
        ),
        (
            "after",
            "{\"auth_mode\": \"off\"} KEY",
            "there is text after",
        ),
        (
            "space",
            "{\"auth_mode\": \"off\", \"api_key\": \"KEY \"}",
            "starts or ends with a space",
        ),
        (
            "deep",
            &"{\"a\":".repeat(100_000),
            "nested more than 64 levels",
        ),
    ]
    .map(|(name, text, message)| (in_config(name, text), message))
    .into();
    for (file, message) in &configs {
        table.push((
            [&["--config", file.name()], &request[..]].concat(),
            b"",
            &[],
            message,
        ));
    }
    let broken = File::new("broken-utf-8", b"{\"auth_mode\": \"\xff\xfe\"}");
    table.push((
        [&["--config", broken.name()], &request[..]].concat(),
        b"",
        &[],
        "line 1, column 16: the text is not UTF-8",
    ));

    for (arguments, input, variables, message) in table {
        for language in ["en", "zh"] {
            let mut all = vec!["explain"];
            if !arguments.contains(&"--lang") {
                all.extend(["--lang", language]);
            }
            all.extend(&arguments);
            let run = run_with(&all, input, variables);
            assert_eq!(run.status, Some(2), "{arguments:?}: {}{}", run.out, run.err);
            assert_eq!(run.out, "", "{arguments:?}");
            assert_eq!(run.err.lines().count(), 1, "{arguments:?}: {}", run.err);
            assert!(
                language == "zh" || run.err.contains(message),
                "{arguments:?}: {}",
                run.err
            );
            assert_no_part_of(KEY, &run, &arguments);
            assert!(!run.err.contains("30010902764589"), "{}", run.err);
        }
    }
}

/// No six bytes of the key in a row.
fn assert_no_part_of(key: &str, run: &Run, arguments: &[&str]) {
    for window in key.as_bytes().windows(6) {
        let part = str::from_utf8(window).expect("ASCII");
        let shown = run.out.contains(part) || run.err.contains(part);
        assert!(
            !shown,
            "{arguments:?} shows a part of the key: {}{}",
            run.out, run.err
        );
    }
}

#[test]
fn no_explanation_shows_a_part_of_the_key() {
    let wrong = format!("{KEY}{KEY}");
    for header in [
        format!("Authorization: Bearer {KEY}"),
        format!("Authorization: Bearer{KEY}"),
        format!("Authorization: Basic {wrong}"),
        format!("Authorization: \"{wrong}\""),
        format!("x-api-key: {wrong}"),
        format!("api-key: {KEY}"),
        format!("x-{KEY}: {KEY}"),
    ] {
        for format in [&["--json"][..], &["--lang", "zh"], &[]] {
            let url = format!("http://a/{KEY}?key={KEY}");
            let method = format!("-X{KEY}");
            let mut arguments = format.to_vec();
            arguments.extend(["--", "curl", &url, "-H", &header, "--next", &method, &url]);
            let run = strict(&arguments, b"");
            assert_eq!(run.status, Some(1), "{}", run.err);
            assert_no_part_of(KEY, &run, &arguments);
        }
    }
}

#[cfg(unix)]
#[test]
fn arguments_need_not_be_unicode() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let bytes = OsStr::from_bytes(b"x-api-key: \xff\xfe");
    let mut command = Command::new(env!("CARGO_BIN_EXE_keygate"));
    command.args([
        "explain",
        "--auth-mode",
        "strict",
        "--api-key",
        KEY,
        "--",
        "curl",
        "-H",
    ]);
    command.arg(bytes).arg("http://a/");
    let output = feed(command, b"");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("credential_unusable"));

    for option in [
        "--auth-mode",
        "--api-key",
        "--api-key-file",
        "--config",
        "--lang",
        "--raw",
        "-x",
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keygate"));
        command
            .args(["explain", option])
            .arg(bytes)
            .args(["--", "curl", "http://a/"]);
        let output = feed(command, b"");
        assert_eq!(output.status.code(), Some(2), "{option}");
        assert!(output.stdout.is_empty());
        assert!(!output.stderr.is_empty());
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_output_is_an_error() {
    let full = fs::File::options()
        .write(true)
        .open("/dev/full")
        .expect("/dev/full");
    let output = Command::new(env!("CARGO_BIN_EXE_keygate"))
        .args(["explain", "--auth-mode", "off", "--", "curl", "http://a/"])
        .stdout(full)
        .stderr(Stdio::piped())
        .output()
        .expect("keygate");
    assert_eq!(output.status.code(), Some(2));
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(
        err.starts_with("error: standard output cannot be written"),
        "{err}"
    );
}

/// A command for every finding, and in both languages a text for it that says what to do and has
/// no slot left.
#[test]
#[allow(clippy::too_many_lines, reason = "a row for each finding")]
fn every_finding_can_be_met() {
    let right = format!("x-api-key: {KEY}");
    let header = |value: &str| format!("Authorization: {value}");
    let auto = ["--auth-mode", "auto", "--allow-lan-access"];
    let strict = ["--auth-mode", "strict"];
    let health = ["--auth-mode", "all_except_health"];
    let config = concat!(env!("CARGO_TARGET_TMPDIR"), "/guarded.json");
    fs::write(config, r#"{"auth_mode":"strict","preflight":"cors"}"#).expect("a file");
    let guarded = ["--config", config];
    let wrong = header("wrong");
    let part = header(&format!("Bearer {}", &KEY[..12]));
    let table: Vec<(&str, &[&str], Vec<String>)> = vec![
        ("auto_resolved", &auto, vec![wrong.clone()]),
        ("shadowed_match", &strict, vec![wrong.clone(), right]),
        (
            "shadowed_present",
            &strict,
            vec![wrong.clone(), "x-api-key: z".into()],
        ),
        (
            "duplicate_ignored",
            &strict,
            vec![wrong.clone(), wrong.clone()],
        ),
        (
            "bearer_no_space",
            &strict,
            vec![header(&format!("Bearer{KEY}"))],
        ),
        (
            "bearer_case",
            &strict,
            vec![header(&format!("bearer {KEY}"))],
        ),
        (
            "bearer_extra_space",
            &strict,
            vec![header(&format!("Bearer  {KEY}"))],
        ),
        (
            "bearer_doubled",
            &strict,
            vec![header("Bearer Bearer wrong")],
        ),
        (
            "bearer_in_key_header",
            &strict,
            vec![format!("x-api-key: Bearer {KEY}")],
        ),
        ("other_scheme", &strict, vec![header("Token wrong")]),
        ("quoted", &strict, vec![header(&format!("Bearer '{KEY}'"))]),
        ("placeholder", &strict, vec![header("Bearer ${KEY}")]),
        ("unread_header", &strict, vec![format!("api_key: {KEY}")]),
        ("key_in_query", &strict, vec!["http://a/?api_key=x".into()]),
        ("truncated", &strict, vec![part]),
        ("health_in_strict", &strict, vec!["http://a/healthz".into()]),
        (
            "health_near_miss",
            &health,
            vec!["http://a/healthz/".into()],
        ),
        ("options_case", &strict, vec!["-Xoptions".into()]),
        (
            "key_surrounded",
            &strict,
            vec![header(&format!("Bearer: {KEY}"))],
        ),
        ("key_elsewhere", &strict, vec![format!("Cookie: a={KEY}")]),
        (
            "foreign_credential",
            &strict,
            vec![header("Bearer sk-ant-oat01-x")],
        ),
        ("probe_path", &health, vec!["http://a/readyz".into()]),
        ("preflight_guarded", &guarded, vec!["-XOPTIONS".into()]),
        (
            "gate_key_suspect",
            &strict,
            vec![format!("x-api-key: {KEY}")],
        ),
    ];
    let mut met: Vec<_> = table.iter().map(|(finding, ..)| *finding).collect();
    met.push("no_key_configured");
    let all: Vec<_> = keygate::Finding::ALL
        .iter()
        .map(|finding| finding.name())
        .collect();
    assert!(all.iter().all(|finding| met.contains(finding)));
    for (finding, mode, given) in &table {
        for language in ["en", "zh"] {
            let mut arguments = vec!["explain", "--json", "--lang", language];
            arguments.extend(*mode);
            arguments.extend(["--", "curl", "http://a/"]);
            for given in given {
                if !(given.starts_with("http") || given.starts_with('-')) {
                    arguments.push("-H");
                }
                arguments.push(given);
            }
            let quoted = format!("\"{KEY}\"");
            let key = match *finding {
                "gate_key_suspect" => &*quoted,
                _ => KEY,
            };
            // A URL of its own is explained by the last line.
            let run = run_with(&arguments, b"", &[("KEYGATE_API_KEY", key)]);
            assert_eq!(run.status, Some(1), "{finding}: {}", run.err);
            let last = run.out.lines().last().expect("a line");
            let last: serde_json::Value = serde_json::from_str(last).expect("JSON");
            let findings = last["findings"].as_array().expect("a list");
            assert!(
                findings.contains(&(*finding).into()),
                "{finding}: {findings:?}"
            );
            let lines = last["text"].as_array().expect("a list");
            let label = if language == "en" { "fix" } else { "解决" };
            assert!(lines.iter().any(|line| line["label"] == label), "{finding}");
            for line in lines {
                let text = line["text"].as_str().expect("a text");
                assert!(
                    !text.is_empty() && !text.contains(['{', '}']),
                    "{finding}: {text}"
                );
            }
        }
    }
}

/// A secret glued to any option of ours, before it, behind it or within it, is not shown, in no
/// language.
#[test]
fn no_piece_of_what_is_glued_to_an_option_is_shown() {
    let options = [
        "--config",
        "--auth-mode",
        "--allow-lan-access",
        "--api-key",
        "--api-key-file",
        "--lang",
        "--json",
        "--raw",
        "--explain",
        "--help",
        "--version",
        "-h",
        "-V",
        "-x",
        "--",
    ];
    let mut refused = 0;
    for secret in ["zqxv-wkjq-vbzx-qqzj", "Zq7Wv9Kx2Jm4"] {
        let pieces: Vec<_> = (4..=secret.len())
            .map(|end| &secret[end - 4..end])
            .collect();
        for option in options {
            let name = option.trim_start_matches('-');
            let (dashes, half) = (&option[..option.len() - name.len()], name.len() / 2);
            let glued = [
                format!("{option}{secret}"),
                format!("{option}={secret}"),
                format!("{dashes}{secret}{name}"),
                format!("{dashes}{}{secret}{}", &name[..half], &name[half..]),
                format!("{secret}{option}"),
            ];
            for word in &glued {
                for language in ["en", "zh"] {
                    let request = ["--", "curl", "http://a/"];
                    for arguments in [
                        vec![word.as_str()],
                        vec![word, "explain"],
                        vec!["keygen", word],
                        vec!["check", word],
                        [&["explain", "--lang", language, word], &request[..]].concat(),
                        vec!["explain", "--auth-mode", "strict", word, "--lang", language],
                    ] {
                        let run = run(&arguments);
                        let output = run.out + &run.err;
                        let shown = pieces.iter().find(|piece| output.contains(*piece));
                        assert_eq!(shown, None, "{arguments:?}: {output}");
                        refused += usize::from(run.status == Some(2));
                    }
                }
            }
        }
    }
    assert!(refused > 500, "{refused} refused");
}

/// What was probably meant is said, in the language that was asked for.
#[test]
fn a_key_glued_to_its_option_is_explained() {
    for option in ["--api-keyzqxvwkjq", "--api-key-zqxvwkjq"] {
        let english = strict(&[option, "--", "curl", "http://a/"], b"");
        assert!(
            english
                .err
                .contains("did you mean --api-key, with a space or ="),
            "{}",
            english.err
        );
        for lang in [&["--lang", "zh"][..], &["--lang=zh"]] {
            let chinese = strict(&[lang, &[option]].concat(), b"");
            assert!(
                chinese.err.starts_with("错误: 没有这样的选项")
                    && chinese.err.contains("是不是 --api-key?"),
                "{}",
                chinese.err
            );
        }
    }
    let after = strict(&["--frobnicate", "--", "--lang", "zh"], b"");
    assert!(
        after.err.starts_with("error: there is no such option"),
        "{}",
        after.err
    );
}

#[test]
fn the_language_is_that_of_the_user() {
    let arguments = [
        "explain",
        "--auth-mode",
        "strict",
        "--",
        "curl",
        "http://a/",
    ];
    for (variables, chinese) in [
        (&[("LANG", "zh_CN.UTF-8")][..], true),
        (&[("LC_ALL", "zh_TW"), ("LANG", "en_US.UTF-8")], true),
        (&[("LC_ALL", "C"), ("LANG", "zh_CN.UTF-8")], false),
        (&[("LC_ALL", ""), ("LC_MESSAGES", "zh_CN")], true),
        (&[("LANG", "de_DE.UTF-8")], false),
    ] {
        let run = run_with(&arguments, b"", variables);
        assert_eq!(run.out.contains("拒绝"), chinese, "{variables:?}");
        let wrong = run_with(&["explain", "--nope"], b"", variables);
        assert_eq!(wrong.err.contains("错误"), chinese, "{variables:?}");
    }
    let mut asked = vec!["explain", "--lang", "en"];
    asked.extend(&arguments[1..]);
    let run = run_with(&asked, b"", &[("LANG", "zh_CN.UTF-8")]);
    assert!(run.out.contains("Denied"));
}

/// What people paste: the text, the exit status, and what is said; KEY stands for the right key.
#[allow(clippy::too_many_lines)] // a table
#[test]
fn pastes_are_read() {
    let right = "-H 'Authorization: Bearer KEY' http://h:8045/v1/models";
    let allowed = "Allowed: the key is right";
    let missing = "Denied: the request has no header";
    let unquoted = "note: the header after -H is not in quotes";
    let space = "note: a no-break space or an invisible character";
    let table: Vec<(String, i32, Vec<&str>)> = vec![
        // In front of a command and around it.
        (format!("$ curl {right}"), 0, vec![allowed]),
        (format!("% curl {right}"), 0, vec![allowed]),
        (format!("# curl {right}"), 0, vec![allowed]),
        (format!("> curl {right}"), 0, vec![allowed]),
        (format!("PS C:\\> curl.exe {right}"), 0, vec![allowed]),
        (format!("me@host:~/x$ curl {right}"), 0, vec![allowed]),
        (format!("[root@host ~]# curl {right}"), 0, vec![allowed]),
        (format!("sudo -E time curl {right}"), 0, vec![allowed]),
        (format!("A=b HTTP_PROXY=x curl {right}"), 0, vec![allowed]),
        (format!("export A=b; cat x | curl {right} | jq ."), 0, vec![allowed]),
        (format!("```bash\n$ curl {right}\n```\n"), 0, vec![allowed]),
        (format!("`curl {right}`"), 0, vec![allowed]),
        (format!("\u{feff}curl {right}\r\n"), 0, vec![allowed]),
        (format!("curl\u{a0}{right}"), 0, vec![space, allowed]),
        (format!("curl \u{200b}{right}"), 0, vec![space, allowed]),
        // Characters and quotes that are others than they seem.
        (format!("curl \u{2014}H 'a: b' {right}"), 2, vec!["a dash (\u{2013} or \u{2014}) that is no hyphen"]),
        (format!("curl \u{2013}\u{2013}header 'a: b' {right}"), 2, vec!["type - or --"]),
        ("curl -H \u{201c}Authorization: Bearer KEY\u{201d} http://h/".into(), 2, vec!["a curly quote, which no shell knows"]),
        (
            "curl -H 'Authorization: Bearer \u{2018}KEY\u{2019}' http://h/".into(),
            1,
            vec!["note: a header holds a curly quote", "credential_unusable"],
        ),
        ("curl -H 'x-api-key: KEY\u{a0}' http://h/".into(), 1, vec![space, "credential_unusable"]),
        ("curl -H 'Authorization\u{ff1a} Bearer KEY' http://h/".into(), 1, vec!["note: a header after -H has a full-width colon", missing]),
        (
            "C:\\Users\\me>curl -H 'Authorization: Bearer KEY' http://h/".into(),
            1,
            vec!["note: the header after -H is not in quotes", "note: the Windows command prompt passes single quotes on", missing],
        ),
        // The two commonest mistakes.
        ("curl -H Authorization: Bearer KEY http://h/v1/models".into(), 1, vec![unquoted, missing]),
        ("curl -H x-api-key: KEY http://h/v1/models".into(), 1, vec![unquoted, missing]),
        ("curl -H x-api-key: http://h/v1/models".into(), 1, vec!["note: a header after -H has no value", missing]),
        ("curl -H 'Authorization Bearer KEY' http://h/".into(), 1, vec!["note: a header after -H has no colon", missing]),
        ("curl -H 'x-api-key: ' http://h/".into(), 1, vec!["note: a header after -H has no value", missing]),
        // A header of curl's own is left out on purpose: the URL follows it.
        ("curl -H 'Expect:' gateway:8045".into(), 1, vec![missing]),
        // A line feed is sent as it is.
        ("curl -H $'Authorization: Bearer KEY\\n' http://h/".into(), 0, vec!["note: a header holds a line feed", allowed]),
        ("curl -H $'a: b\\n' -H 'x-api-key: KEY' http://h/".into(), 1, vec!["note: a header holds a line feed", missing]),
        ("curl -H $'a: b\\nx-api-key: KEY' http://h/".into(), 0, vec!["note: a header holds a line feed", allowed]),
        ("curl -H $'Authorization: Bearer KEY\\r' http://h/".into(), 1, vec!["credential_unusable"]),
        // Heads.
        ("GET /v1/models HTTP/1.1\nHost: h\nx-api-key: KEY\n\n".into(), 0, vec![allowed]),
        ("GET /v1/models HTTP/2\r\nhost: h\r\nx-api-key: KEY\r\n\r\n".into(), 0, vec![allowed]),
        ("GET /v1/models HTTP/1.1\nx-api-key: KEY".into(), 0, vec!["note: the empty line that ends a request head is missing", allowed]),
        (":method: GET\n:path: /v1\n:authority: h\nx-api-key: KEY\n\n".into(), 0, vec![allowed]),
        (
            "*   Trying 127.0.0.1:80...\n* Connected\n> GET /v1 HTTP/1.1\n> Host: h\n> x-api-key: KEY\n>\n< HTTP/1.1 401 Unauthorized\n<\n".into(),
            0,
            vec![allowed],
        ),
        ("> POST /v1 HTTP/2\r\n> Host: h\r\n> x-api-key: no\r\n> \r\n< HTTP/2 401\r\n".into(), 1, vec!["key_mismatch"]),
        // Of other tools.
        (
            "curl ^\"http://h/v1^\" ^\r\n  -H ^\"authorization: Bearer KEY^\" ^\r\n  --data-raw ^\"^{^\\^\"a^\\^\":1^}^\"".into(),
            0,
            vec![allowed],
        ),
        (
            "fetch(\"http://h/v1?a=b\", {\n  \"headers\": {\n    \"accept\": \"*/*\",\n    \"authorization\": \"Bearer KEY\"\n  },\n  \"body\": \"(\",\n  \"method\": \"POST\"\n});".into(),
            0,
            vec![allowed],
        ),
        ("await fetch('http://h/', {headers: {'x-api-key': 'KEY',},})".into(), 0, vec![allowed]),
        ("fetch(\"http://h/\");".into(), 1, vec![missing]),
        ("fetch(url, {headers: {'x-api-key': `${key}`}})".into(), 2, vec!["this looks like fetch(...)"]),
        (
            "$session = New-Object Microsoft.PowerShell.Commands.WebRequestSession\n$session.UserAgent = \"x\"\nInvoke-WebRequest -UseBasicParsing -Uri \"http://h/v1\" `\n-Method \"POST\" `\n-WebSession $session `\n-Headers @{\n\"authority\"=\"h\"\n  \"authorization\"=\"Bearer KEY\"\n} `\n-ContentType \"application/json\" `\n-Body \"{`\"a`\":1}\"".into(),
            0,
            vec![allowed],
        ),
        ("PS C:\\> irm http://h/v1 -Headers @{Authorization='Bearer KEY'; A=\"b\"}".into(), 0, vec![allowed]),
        ("$h = @{ 'x-api-key' = 'KEY' }\n$r = Invoke-RestMethod -Uri http://h/ -Headers $h".into(), 0, vec![allowed]),
        ("iwr http://h/ -Headers $h".into(), 2, vec!["-Headers is a variable"]),
        ("wget -qO- --header='x-api-key: KEY' http://h/v1".into(), 0, vec![allowed]),
        ("wget --header 'Authorization: KEY' --post-data a http://h/v1".into(), 0, vec![allowed]),
        ("wget --header='x-api-key KEY' http://h/v1".into(), 2, vec!["a header of the wget command has no colon"]),
        ("wget --frobnicate=KEY http://h/v1".into(), 2, vec!["an option that is not known"]),
        ("http POST :8045/v1 x-api-key:KEY a=b c:=1".into(), 0, vec![allowed]),
        ("https h/v1 Authorization:'Bearer KEY'".into(), 0, vec![allowed]),
        ("http -A bearer -a KEY h/v1".into(), 0, vec![allowed]),
        ("http h/v1 KEY".into(), 2, vec!["a word of the HTTPie command"]),
        (
            "{\"log\": {\"entries\": [{\"request\": {\"method\": \"GET\", \"url\": \"http://h/a\", \"headers\": []}, \"response\": {\"status\": 200}},\n{\"request\": {\"method\": \"GET\", \"url\": \"http://h/b\", \"headers\": [{\"name\": \":path\", \"value\": \"/b\"}, {\"name\": \"x-api-key\", \"value\": \"KEY\"}]}, \"response\": {\"status\": 401}}]}}".into(),
            0,
            vec![allowed],
        ),
        ("{\"log\": {\"entries\": [{\"request\": {\"method\": \"GET\", \"url\": \"KEY".into(), 2, vec!["a HAR file that breaks off"]),
        ("{\"log\": {\"entries\": []}}".into(), 2, vec!["holds no request"]),
        ("{\"model\": \"KEY\"}".into(), 2, vec!["this looks like JSON, but it is no HAR file"]),
        // What is not understood.
        ("import requests\nrequests.get('http://h', headers={'x-api-key': 'KEY'})".into(), 2, vec!["this looks like Python"]),
        ("const r = await axios.post(url, {}, {headers: {'x-api-key': 'KEY'}})".into(), 2, vec!["this looks like JavaScript"]),
        ("HTTP/1.1 401 Unauthorized\r\nx: KEY\r\n".into(), 2, vec!["this looks like a response"]),
        ("KEY".into(), 2, vec!["this is no command that is known here"]),
        ("\u{1}\u{2}KEY".into(), 2, vec!["this is not text"]),
        ("x".repeat((16 << 20) + 1), 2, vec!["longer than 16 MiB"]),
        ("x ".repeat(8 << 20), 2, vec!["this is no command that is known here"]),
    ];
    for (text, status, said) in table {
        let text = text.replace("KEY", KEY);
        let run = strict(&[], text.as_bytes());
        let start: String = text.chars().take(200).collect();
        let all = run.out + &run.err;
        assert_eq!(run.status, Some(status), "{start}\n{all}");
        for part in said {
            assert!(all.contains(part), "{start}\n{part}\n{all}");
        }
        assert!(!all.contains(KEY), "{start}\n{all}");
        let zh = strict(&["--lang", "zh"], text.as_bytes());
        assert!(!(zh.out + &zh.err).contains("note:"), "{start}");
        assert_eq!(zh.status, Some(status), "{start}");
    }
}
