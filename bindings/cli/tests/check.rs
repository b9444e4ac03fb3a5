//! `keygate check`: lines in, lines out.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use serde_json::value::RawValue;

const SOUND: &str = r#"{"config":{"auth_mode":"auto","allow_lan_access":true,"api_key":"sk-x"},"method":"GET","target":"/v1/models","headers":[["Authorization","Bearer sk-x"]]}"#;
const ALLOWED: &str = r#"{"verdict":"allow","reason":"key_matched","effective_mode":"all_except_health","source":"authorization","header_index":0,"key_index":0}"#;

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keygate"));
    command.arg("check").args(arguments);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn check(arguments: &[&str], input: Vec<u8>) -> Output {
    let mut child = command(arguments).spawn().expect("it starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let writer = thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("no panic").expect("it reads all");
    assert_eq!(output.stderr, b"", "standard error is no terminal");
    output
}

fn lines(output: &Output) -> Vec<String> {
    let text = std::str::from_utf8(&output.stdout).expect("UTF-8");
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(str::to_owned).collect()
}

/// The answer to one line.
fn answer(line: &str) -> Value {
    let output = check(&["--explain"], line.into());
    let lines = lines(&output);
    assert_eq!(lines.len(), 1, "{lines:?}");
    let answer: Value = serde_json::from_str(&lines[0]).expect("JSON");
    assert_eq!(output.status.code(), Some(i32::from(is_error(&answer))));
    answer
}

/// An error is one text and nothing else.
fn is_error(answer: &Value) -> bool {
    let fields = answer.as_object().expect("an object");
    let is_error = fields.get("error").is_some_and(Value::is_string);
    assert_eq!(fields.len() == 1, is_error, "{answer}");
    is_error
}

#[test]
fn every_vector_holds() {
    #[derive(serde::Deserialize)]
    struct Vector<'a> {
        name: String,
        #[serde(borrow)]
        input: &'a RawValue,
        #[serde(borrow)]
        output: &'a RawValue,
    }

    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors");
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("the folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "jsonl")
    });
    assert!(!files.is_empty());
    files.sort();
    let texts: Vec<_> = files
        .iter()
        .map(|path| fs::read_to_string(path).expect("a file"))
        .collect();
    let vectors: Vec<Vector<'_>> = texts
        .iter()
        .flat_map(|text| text.lines())
        .map(|line| serde_json::from_str(line).expect("a vector"))
        .collect();
    let inputs: Vec<_> = vectors.iter().map(|vector| vector.input.get()).collect();
    let input = inputs.join("\n");

    for arguments in [&["--explain", "--forward", "--lint"][..], &[]] {
        let output = check(arguments, input.clone().into());
        assert_eq!(output.status.code(), Some(1));
        let lines = lines(&output);
        assert_eq!(lines.len(), vectors.len());
        for (Vector { name, output, .. }, line) in vectors.iter().zip(lines) {
            let expected = output.get();
            if expected == r#"{"error":true}"# {
                let answer = serde_json::from_str(&line).expect("JSON");
                assert!(is_error(&answer), "{name}: {line}");
                continue;
            }
            // Byte for byte, so that the order of the fields holds as well.
            let (without, _) = expected.split_once(r#","findings":"#).expect("findings");
            if arguments.is_empty() {
                assert_eq!(line, format!("{without}}}"), "{name}");
                continue;
            }
            assert!(
                line.starts_with(&format!("{without},\"findings\":")),
                "{name}: {line}"
            );
            let [expected, answer]: [serde_json::Value; 2] =
                [expected, &line].map(|text| serde_json::from_str(text).expect("JSON"));
            for (field, value) in expected.as_object().expect("an object") {
                assert_eq!(answer[field], *value, "{name}: {field}");
            }
        }
    }
}

#[test]
fn a_sound_line() {
    let output = check(&[], format!("{SOUND}\n").into());
    assert_eq!(lines(&output), [ALLOWED]);
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn nothing_in_nothing_out() {
    let output = check(&[], Vec::new());
    assert_eq!(lines(&output), [""; 0]);
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn the_last_line_needs_no_line_feed_and_returns_do_no_harm() {
    let output = check(&[], format!("{SOUND}\r\n  {SOUND}\t\r\n{SOUND}").into());
    assert_eq!(lines(&output), [ALLOWED; 3]);
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_line_that_cannot_be_used_is_answered_in_its_place() {
    let mut input = Vec::new();
    for bad in [&b""[..], b"{", b"\xff", b" \t", b"null", b"\xef\xbb\xbf{}"] {
        input.extend_from_slice(bad);
        input.extend_from_slice(format!("\n{SOUND}\n").as_bytes());
    }
    let output = check(&[], input);
    let lines = lines(&output);
    assert_eq!(lines.len(), 12);
    for pair in lines.chunks(2) {
        assert!(
            is_error(&serde_json::from_str(&pair[0]).expect("JSON")),
            "{pair:?}"
        );
        assert_eq!(pair[1], ALLOWED);
    }
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn what_json_allows_and_a_request_does_not() {
    for (what, from, to) in [
        (
            "a second method",
            r#""method":"GET","#,
            r#""method":"GET","method":"GET","#,
        ),
        (
            "a second method, escaped",
            r#""method":"GET","#,
            r#""method":"GET","\u006dethod":"GET","#,
        ),
        (
            "a second config",
            r#"{"config""#,
            r#"{"config":{"auth_mode":"off"},"config""#,
        ),
        (
            "a second target",
            r#""headers""#,
            r#""target":"/","headers""#,
        ),
        (
            "a second list of headers",
            r#""target""#,
            r#""headers":[],"target""#,
        ),
        (
            "a second auth_mode",
            r#"{"auth_mode""#,
            r#"{"auth_mode":"auto","auth_mode""#,
        ),
        (
            "a second api_key",
            r#""api_key""#,
            r#""api_key":"sk-x","api_key""#,
        ),
        (
            "a second name",
            r#"{"auth_mode""#,
            r#"{"sources":[{"name":"a","name":"a"}],"auth_mode""#,
        ),
        ("text after it", r#"sk-x"]]}"#, r#"sk-x"]]} {}"#),
        ("a comma after it", r#"sk-x"]]}"#, r#"sk-x"]],}"#),
        ("a comment", "{", "/**/{"),
        ("a lone surrogate", "/v1", r"\ud800"),
        ("a lone surrogate in the config", "sk-x\"}", r#"\udc00"}"#),
        ("a lone surrogate in a name", "Authorization", r"\ud83d"),
        ("a pair of surrogates", "/v1", r"\ud83d\udd11"),
        ("a character beyond U+00FF", "Bearer", "Bear\u{113}r"),
        ("a control character as it is", "/v1", "/v1\u{1}"),
        ("an unknown escape", "/v1", r"\x2f"),
        ("single quotes", "\"GET\"", "'GET'"),
        ("NaN", "\"GET\"", "NaN"),
        ("a huge number", "\"GET\"", "1e999999"),
        ("a BOM", "{", "\u{feff}{"),
    ] {
        let line = SOUND.replacen(from, to, 1);
        assert_ne!(line, SOUND, "{what}");
        let answer = answer(&line);
        assert!(is_error(&answer), "{what}: {answer}");
    }
    let list = r#"[{"auth_mode":"off"},"GET","/",[]]"#;
    assert!(is_error(&answer(list)), "a list in place of the object");
    let deep = format!(r#"{{"config":{}"#, "[".repeat(100_000));
    assert!(is_error(&answer(&deep)), "deep nesting");
    let escaped = SOUND
        .replace("GET", r"\u0047ET")
        .replace("\"method\"", r#""\u006dethod""#);
    assert!(!is_error(&answer(&escaped)), "escapes are well");
}

#[test]
fn an_error_shows_nothing_of_the_line() {
    let secret = "Zq7Wv9Kx2Jm4";
    for line in [
        r#""S""#.to_owned(),
        "S".to_owned(),
        r#"{"S":1}"#.to_owned(),
        SOUND.replace(r#""method""#, r#""S""#),
        SOUND.replace(r#""GET""#, r#"["S"]"#),
        SOUND.replace(r#""GET""#, r#"{"S":"S"}"#),
        SOUND.replace(r#""Bearer sk-x""#, r#"{"S":1}"#),
        SOUND.replace(r#"[["Authorization","Bearer sk-x"]]"#, r#""S""#),
        SOUND.replace(r#"[["Authorization","Bearer sk-x"]]"#, r#"["S"]"#),
        SOUND.replace(r#"[["Authorization","Bearer sk-x"]]"#, r#"{"S":"S"}"#),
        SOUND.replace("Bearer sk-x", "S\u{20ac}"),
        SOUND.replace("auto", "S"),
        SOUND.replace("api_key", "S"),
        SOUND.replace("sk-x\"}", "\u{20ac}S\"}"),
        SOUND.replace("sk-x\"}", "S \"}"),
        SOUND.replace("sk-x\"}", "S\",\"S\":\"S\"}"),
        SOUND.replace("sk-x\"}", "S\",\"keys\":[{\"key\":\"S\",\"S\":1}]}"),
        SOUND.replace("sk-x\"}", "S\",\"keys\":[{\"key\":\"S\"}]}"),
        SOUND.replace("true", "\"S\""),
        format!("{SOUND}S"),
    ] {
        let line = line.replace('S', secret);
        let answer = answer(&line);
        assert!(is_error(&answer), "a line that cannot be used is taken");
        let text = answer["error"].as_str().expect("a text");
        assert!(!text.contains(secret), "shown: {text}");
    }
}

#[test]
fn long_lines() {
    let long = |len: usize| SOUND.replace("Bearer sk-x", &"v".repeat(len));
    let output = check(&[], format!("{}\n{SOUND}\n", long(10 << 20)).into());
    let answers = lines(&output);
    assert!(answers[0].contains(r#""key_mismatch""#), "10 MiB");
    assert_eq!(answers[1..], [ALLOWED]);
    assert_eq!(output.status.code(), Some(0));

    let limit = 64 << 20;
    let fits = long(limit - SOUND.len() + "Bearer sk-x".len());
    assert_eq!(fits.len(), limit);
    let output = check(&[], format!("{fits}\n{fits} \n{SOUND}").into());
    let answers = lines(&output);
    assert!(answers[0].contains(r#""key_mismatch""#), "at the limit");
    assert_eq!(answers[1], r#"{"error":"the line is longer than 64 MiB"}"#);
    assert_eq!(answers[2], ALLOWED);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn order_is_kept() {
    let input: String = (0..20_000)
        .map(|index| {
            let headers = r#"["h","v"],"#.repeat(index % 50);
            SOUND.replace("[[", &format!("[{headers}[")) + "\n"
        })
        .collect();
    let output = check(&[], input.into());
    for (index, line) in lines(&output).into_iter().enumerate() {
        let answer: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(answer["header_index"], index % 50);
    }
}

/// What was asked is answered before more is awaited, even in the middle of a line.
#[test]
fn it_can_be_talked_to() {
    let mut child = command(&[]).spawn().expect("it starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    let (sender, answers) = mpsc::channel();
    thread::spawn(move || stdout.lines().try_for_each(|line| sender.send(line)));
    let (begin, end) = SOUND.split_at(40);
    write!(stdin, "{SOUND}\n{begin}").expect("it reads");
    for _ in 0..3 {
        let answer = answers.recv_timeout(Duration::from_secs(30));
        if answer.is_err() {
            child.kill().expect("it is ours");
        }
        let answer = answer.expect("an answer in time");
        assert_eq!(answer.expect("UTF-8"), ALLOWED);
        write!(stdin, "{end}\n{begin}").expect("it reads");
    }
    writeln!(stdin, "{end}").expect("it reads");
    drop(stdin);
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn a_reader_that_goes_away_is_no_accident() {
    let mut child = command(&[]).spawn().expect("it starts");
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().expect("a pipe");
    // It may end before it has read all of this.
    let _ = stdin.write_all(format!("{SOUND}\n").repeat(10_000).as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(output.stderr, b"");
}

#[test]
fn usage_errors_are_2() {
    for arguments in [&["--nonsense"][..], &["file.jsonl"]] {
        let output = command(arguments).output().expect("it runs");
        assert_eq!(output.status.code(), Some(2));
        assert!(output.stdout.is_empty());
        assert!(!output.stderr.is_empty());
    }
}
