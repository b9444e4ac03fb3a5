//! The parser against curl itself: the same words go to both, and what curl sends to a listener
//! on the loopback interface must be what the parser says.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{env, fs, thread};

use keygate::Language;

use super::{Notes, Request, requests};

/// `{}` stands for the listener's address, `{dir}` for a directory with the files below.
const COMMANDS: &[&[&str]] = &[
    &["-i", "http://{}/healthz"],
    &[
        "-H",
        "Authorization: Bearer K\n",
        "-H",
        "X-Last: 1",
        "http://{}/",
    ],
    &[
        "-H",
        "Authorization: Bearer K\r\n",
        "-H",
        "X-Last: 1",
        "http://{}/",
    ],
    &[
        "-H",
        "Authorization: Bearer K\nX-More: 1",
        "-H",
        "X-Last: 1",
        "http://{}/",
    ],
    &["{}/v1/models"],
    &["{}"],
    &["http://{}?a=1"],
    &["http://{}/?"],
    &["http://{}/a?b=c?d#e"],
    &["http://{}/a#b?c"],
    &["HTTP:/{}/one-slash"],
    &["http://{}/a/./b/../c"],
    &["http://{}/a/b/.."],
    &["http://{}/a/b/."],
    &["http://{}/../../a"],
    &["http://{}/a//b/..//c"],
    &["http://{}/a?x=/../b"],
    &["http://{}/.well-known/..a/a..b/...."],
    &["--path-as-is", "http://{}/a/../b/./c"],
    &["http://{}/%68ealthz/%2f/ü"],
    &["--request-target", "*", "-X", "OPTIONS", "http://{}/a"],
    &["-H", "Authorization: Bearer sk-a", "http://{}/"],
    &["-HAuthorization:Bearer sk-a", "http://{}/"],
    &["-sSkH", "Authorization:   Bearer  sk-a  ", "http://{}/"],
    &[
        "--header",
        "X-Api-Key: a",
        "-H",
        "x-api-key: b",
        "http://{}/",
    ],
    &[
        "-H",
        "Empty;",
        "-H",
        "Empty2; ",
        "-H",
        "Empty3;x",
        "-H",
        "None:",
        "-H",
        "None2: ",
        "http://{}/",
    ],
    &[
        "-H",
        "no colon",
        "-H",
        "",
        "-H",
        ": no name",
        "-H",
        ";",
        "http://{}/",
    ],
    &["-H", "Semi;colon: x", "http://{}/"],
    &["-H", "Accept:", "-H", "User-Agent:", "http://{}/"],
    &["-H", "Accept: a/b", "-H", "user-agent: me", "http://{}/"],
    &["-H", "Accept;", "-H", "User-Agent;", "http://{}/"],
    &["-H", "Host: other", "http://{}/"],
    &["-H", "Host:", "http://{}/"],
    &[
        "-H",
        "A: 1",
        "-H",
        "host: one",
        "-H",
        "Host: two",
        "http://{}/",
    ],
    &["-H", "@{dir}/headers", "http://{}/"],
    &["-H", "X: a\rb", "http://{}/"],
    &["-X", "DELETE", "http://{}/"],
    &["-XPATCH", "-d", "a=b", "http://{}/"],
    &["--request", "options", "http://{}/"],
    &["-I", "http://{}/healthz"],
    &["-I", "-X", "GET", "http://{}/healthz"],
    &["--no-head", "http://{}/"],
    &["-d", "a=b", "http://{}/"],
    &["-d", "", "http://{}/"],
    &["-d", "a=b", "--data-raw", "@c", "http://{}/v1/chat"],
    &[
        "--data-binary",
        "x",
        "-H",
        "Content-Type: text/plain",
        "http://{}/",
    ],
    &["--data-urlencode", "a=b c", "http://{}/"],
    &["--json", "{\"a\": [1]}", "http://{}/"],
    &["--json", "1", "-H", "accept: x", "http://{}/"],
    &[
        "--json",
        "1",
        "-H",
        "Content-Type: x/y",
        "-H",
        "Z: 1",
        "http://{}/",
    ],
    &["-d", "a", "--json", "1", "http://{}/"],
    &["--json", "1", "-d", "a", "http://{}/"],
    &["-F", "a=b", "http://{}/"],
    &[
        "-F",
        "a=b",
        "-H",
        "Content-Type: x",
        "-H",
        "Y: 1",
        "http://{}/",
    ],
    &["-T", "{dir}/headers", "http://{}/up/"],
    &["-T", "{dir}/headers", "http://{}/up/name"],
    &["-T", "{dir}/a b", "http://{}/up/?q=1"],
    &["-T", "{dir}/a b", "http://{}"],
    &["-G", "-d", "a=b", "-d", "c=d", "http://{}/x"],
    &["-G", "-d", "a=b", "http://{}/x?y=z"],
    &["-G", "-d", "a=b", "http://{}/x?"],
    &["-G", "-d", "a=b", "http://{}/x/../y"],
    &["-G", "-d", "a=b", "http://{}/x?y#z"],
    &["-G", "-d", "@{dir}/headers2", "http://{}/x"],
    &["-G", "-I", "-d", "a=b", "http://{}/x"],
    &[
        "-G",
        "--data-urlencode",
        "a=b c&/ü",
        "--data-urlencode",
        "=d e",
        "--data-urlencode",
        "f g",
        "http://{}/",
    ],
    &["-G", "--data-urlencode", "n@{dir}/a b", "http://{}/"],
    &["-G", "http://{}/x"],
    &[
        "--url-query",
        "a=b c",
        "--url-query",
        "+raw=1",
        "http://{}/x?y=z",
    ],
    &["--oauth2-bearer", "sk-a", "http://{}/"],
    &[
        "--oauth2-bearer",
        "sk-a",
        "-H",
        "Authorization: x",
        "http://{}/",
    ],
    &[
        "--oauth2-bearer",
        "sk-a",
        "-H",
        "Authorization:",
        "http://{}/",
    ],
    &[
        "--oauth2-bearer",
        "sk-a",
        "-H",
        "Authorization;",
        "http://{}/",
    ],
    &["--oauth2-bearer", "sk-a", "-u", "a:b", "http://{}/"],
    &[
        "--oauth2-bearer",
        "sk-a",
        "--basic",
        "-u",
        "a:b",
        "http://{}/",
    ],
    &["--oauth2-bearer", "sk-a", "--basic", "http://{}/"],
    &["-u", "user:pass:word", "http://{}/"],
    &["-u", ":", "http://{}/"],
    &["--basic", "-u", "user:", "http://{}/"],
    &[
        "-u",
        "user:pw",
        "-H",
        "authorization: Bearer sk-a",
        "http://{}/",
    ],
    &["--digest", "-u", "user:pw", "http://{}/"],
    &["--anyauth", "-u", "user:pw", "http://{}/"],
    &["http://us%65r:p%40w@{}/"],
    &["http://user@{}/"],
    &["http://:pw@{}/"],
    &["-u", "other:one", "http://user:pw@{}/"],
    &["-A", "agent/1", "-e", "http://from/", "http://{}/"],
    &["-A", "", "-e", ";auto", "http://{}/"],
    &["-e", "http://from/;auto", "http://{}/"],
    &["-b", "a=1", "-b", "b=2; c=3", "http://{}/"],
    &["-b", "a=1", "-H", "Cookie: d=4", "http://{}/"],
    &["-b", "{dir}/none", "http://{}/"],
    &["-r", "0-9", "http://{}/"],
    &["-C", "5", "http://{}/"],
    &["--compressed", "--tr-encoding", "http://{}/"],
    &[
        "-A",
        "x",
        "-e",
        "y",
        "-b",
        "a=b",
        "-u",
        "a:b",
        "-r",
        "1-2",
        "--compressed",
        "-H",
        "Z: 1",
        "-d",
        "q",
        "http://{}/",
    ],
    &["--url", "http://{}/a", "http://{}/b"],
    &["http://{}/a", "-o", "{dir}/o", "http://{}/b", "-H", "X: y"],
    &[
        "-H",
        "X: a",
        "http://{}/a",
        "--next",
        "-H",
        "X: b",
        "-d",
        "c",
        "http://{}/b",
    ],
    &["-H", "X: a", "http://{}/a", "-:", "-I", "http://{}/b"],
    &["-G", "-d", "q=1", "http://{}/a", "http://{}/b?c"],
    &["-g", "http://{}/a[1]{b}?c=[2]"],
    &[
        "-sSfiLk4",
        "-o",
        "{dir}/o",
        "-w",
        "%{http_code}",
        "--retry",
        "0",
        "--max-time",
        "9",
        "http://{}/",
    ],
    &[
        "-N",
        "-v",
        "--no-keepalive",
        "--no-buffer",
        "--http1.1",
        "--no-progress-meter",
        "http://{}/",
    ],
    &["-0", "http://{}/old"],
    &["--", "http://{}/a"],
    &["-G", "-F", "a=b", "http://{}/"],
    &["-G", "--json", "1", "http://{}/"],
    &["-G", "-T", "{dir}/headers", "http://{}/a"],
    &["-XPOST", "-T", "{dir}/headers", "http://{}/a"],
    &["-T", "{dir}/headers", "-r", "1-2", "http://{}/a"],
    &["-T", "{dir}/headers", "http://{}/a", "http://{}/b"],
    &["--json", "1", "-H", "Accept:", "http://{}/"],
    &["-e", "", "-b", "", "http://{}/"],
    &["-b", " a=1 ", "http://{}/"],
    &["--oauth2-bearer", "", "http://{}/"],
    &["-H", "Authorization: Bearer sk-a\r", "http://{}/"],
    &["-u", "a:b", "--no-basic", "http://{}/"],
    &["-u", "a:b", "--digest", "--basic", "http://{}/"],
    &[
        "-u",
        "a:b",
        "-u",
        "c:d",
        "-A",
        "one",
        "-A",
        "two",
        "http://{}/",
    ],
    &["--request-target", "/x?y", "http://{}/a"],
    &["-XGET", "-d", "a=b", "http://{}/"],
    &["-H", "X-Api-Key : spaced", "http://{}/"],
    &["http://{}/a/%2e%2e/b"],
    &[
        "-d",
        "a",
        "-H",
        "Expect:",
        "-H",
        "Content-Length: 1",
        "http://{}/",
    ],
    &["-d", "a", "-H", "Content-Type:", "http://{}/"],
    &["-r", "1-2", "-H", "Range: x", "http://{}/"],
    &[
        "-H",
        "Proxy-Authorization: x",
        "-H",
        "Cookie: a",
        "-H",
        "Cookie: b",
        "http://{}/",
    ],
    &[
        "--tr-encoding",
        "-H",
        "Connection: close",
        "-H",
        "TE: x",
        "http://{}/",
    ],
    &["-d", "a", "--url-query", "b=c", "http://{}/"],
    &["--url-query", "=a b", "--url-query", "c d", "http://{}/"],
    &["-G", "-d", "ü=1", "http://{}/"],
    &["-H", "X: ü", "http://{}/"],
];

/// Of these the parser says nothing or only the name.
const BODY: [&str; 4] = [
    "content-length",
    "content-range",
    "expect",
    "transfer-encoding",
];
const NAME_ONLY: [&str; 2] = ["accept-encoding", "user-agent"];

fn comparable(mut request: Request) -> Request {
    let lower = |name: &[u8]| String::from_utf8_lossy(name).to_ascii_lowercase();
    let multipart = |value: &[u8]| String::from_utf8_lossy(value).contains("boundary=");
    request.headers.retain(|(name, value)| {
        let name = lower(name);
        !(BODY.contains(&name.as_str()) || name == "content-type" && multipart(value))
    });
    // Versions of curl differ in the case of the hexadecimal digits they add.
    for at in 0..request.target.len() {
        if request.target[at] == b'%' {
            let end = request.target.len().min(at + 3);
            request.target[at..end].make_ascii_lowercase();
        }
    }
    for (name, value) in &mut request.headers {
        let default = lower(name) == "user-agent" && !value.trim_ascii().starts_with(b"curl");
        if NAME_ONLY.contains(&lower(name).as_str()) && !default {
            value.clear();
        }
        *value = value.trim_ascii().to_vec();
    }
    request
}

/// Reads a head and splits it at line ends and first colons, nothing more.
fn capture(stream: &mut TcpStream) -> Option<Request> {
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let mut head = Vec::new();
    // A line feed ends a line, as it does for servers, and an empty line ends the head.
    while !head.ends_with(b"\n\n") {
        let mut byte = [0];
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        if byte == *b"\n" && head.last() == Some(&b'\r') {
            head.pop();
        }
        head.push(byte[0]);
    }
    let head = head.strip_suffix(b"\n\n")?;
    let lines: Vec<_> = head.split(|byte| *byte == b'\n').collect();
    let mut start = lines.first()?.splitn(2, |byte| *byte == b' ');
    let method = start.next()?.to_vec();
    let target = start.next()?;
    let target = target.get(..target.len() - " HTTP/1.1".len())?.to_vec();
    let headers = lines.iter().skip(1).map(|line| {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let name = parts.next().unwrap_or_default().to_vec();
        (name, parts.next().unwrap_or_default().to_vec())
    });
    Some(Request {
        method,
        target,
        headers: headers.collect(),
    })
}

/// What curl sends for the words, over as many connections as it makes.
fn sent_by_curl(words: &[String], listener: &TcpListener) -> Vec<Request> {
    let mut curl = Command::new("curl")
        .args(words)
        .args(["--max-time", "10", "--noproxy", "*"])
        .env_clear()
        .env("PATH", env::var_os("PATH").unwrap_or_default())
        .env("HOME", "/nonexistent")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("curl cannot be run; install it: apt-get install curl");
    listener.set_nonblocking(true).expect("listener");
    let mut requests = Vec::new();
    loop {
        let ended = curl.try_wait().expect("curl").is_some();
        match listener.accept() {
            Ok((mut stream, _)) => {
                stream.set_nonblocking(false).expect("stream");
                requests.extend(capture(&mut stream));
                // A HEAD has no body, and curl ignores what stands after the head of others.
                let _ = stream.write_all(
                    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                );
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if ended {
                    return requests;
                }
                thread::sleep(Duration::from_millis(2));
            }
            Err(error) => panic!("{error}"),
        }
    }
}

struct Directory(std::path::PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("keygate-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("directory");
        fs::write(
            path.join("headers"),
            "X-One: 1\r\nX-Two;\n\nAccept:\n# no header\nX-Three: 3",
        )
        .expect("file");
        fs::write(path.join("headers2"), "a=b\r\nc").expect("file");
        fs::write(path.join("a b"), "x y\n").expect("file");
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn words(command: &[&str], address: &str, directory: &Directory) -> Vec<String> {
    let directory = directory.0.to_str().expect("UTF-8");
    let fill = |word: &&str| word.replace("{}", address).replace("{dir}", directory);
    command.iter().map(fill).collect()
}

fn parsed(words: &[String]) -> Result<Vec<Request>, String> {
    let mut all = vec![b"curl".to_vec()];
    all.extend(words.iter().map(|word| word.clone().into_bytes()));
    requests(&all, &mut Notes::default()).map_err(|failure| {
        assert!(!failure.text(Language::Zh).is_empty());
        failure.text(Language::En).to_owned()
    })
}

#[test]
fn requests_are_those_that_curl_sends() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("listener");
    let address = listener.local_addr().expect("address").to_string();
    let directory = Directory::new("curl");
    let mut differing = Vec::new();
    for command in COMMANDS {
        let words = words(command, &address, &directory);
        let sent = sent_by_curl(&words, &listener);
        let parsed = parsed(&words).map(|requests| {
            let requests = requests.into_iter().map(comparable);
            requests.collect::<Vec<_>>()
        });
        let sent: Vec<_> = sent.into_iter().map(comparable).collect();
        if sent.is_empty() || parsed.as_ref() != Ok(&sent) {
            differing.push(format!(
                "{command:?}\n sent   {}\n parsed {}",
                show(&sent),
                match &parsed {
                    Ok(parsed) => show(parsed),
                    Err(error) => error.clone(),
                }
            ));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

fn show(requests: &[Request]) -> String {
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
    let one = |request: &Request| {
        let headers = request.headers.iter();
        let headers = headers.map(|(name, value)| format!("{}: {}", text(name), text(value)));
        let headers: Vec<_> = headers.collect();
        format!(
            "{} {} {}",
            text(&request.method),
            text(&request.target),
            headers.join(" | ")
        )
    };
    requests.iter().map(one).collect::<Vec<_>>().join(" || ")
}

/// What curl refuses, or a shell or a file or a hand-shake would add to, is refused.
#[test]
fn refusals_name_the_option_or_the_url() {
    let table: &[(&[&str], &str)] = &[
        (&[], "names no URL"),
        (&["-i"], "names no URL"),
        (&["http://a/", "--next", "-i"], "names no URL"),
        (
            &["--frobnicate", "http://a/"],
            "word 2 of the curl command is an option that is not known",
        ),
        (
            &["http://a/", "-H", "--frobnicate", "--frobnicate=sk-x"],
            "word 5 of the curl command is an option that is not known",
        ),
        (&["--sk-0123456789", "http://a/"], "(not shown"),
        (
            &["--oauth2-bearersk-0123456789", "http://a/"],
            "if it is to be --oauth2-bearer, put a space",
        ),
        (
            &["--user-agentsk-0123456789", "http://a/"],
            "if it is to be --user, put a space",
        ),
        (&["-W", "http://a/"], "word 2 of the curl command"),
        (&["-ss&", "http://a/"], "word 2 of the curl command"),
        (&["-", "http://a/"], "word 2 of the curl command"),
        (&["--head=x", "http://a/"], "--head takes no value"),
        (
            &["--no-header", "x", "http://a/"],
            "an option that is not known",
        ),
        (&["http://a/", "-H"], "-H needs a value"),
        (&["http://a/", "--header"], "--header needs a value"),
        (&["-K", "file", "http://a/"], "-K is not supported"),
        (&["--netrc", "http://a/"], "--netrc is not supported"),
        (
            &["--negotiate", "-u", ":", "http://a/"],
            "--negotiate is not supported",
        ),
        (&["-V"], "-V is not supported"),
        (&["-u", "user", "http://a/"], "password of -u"),
        (
            &["-H", "@/nonexistent/sk-x", "http://a/"],
            "-H @FILE: the file cannot be read",
        ),
        (&["-H", "@-", "http://a/"], "-H @FILE: standard input"),
        (
            &["-G", "-d", "@-", "http://a/"],
            "-G -d @FILE: standard input",
        ),
        (&["-I", "-d", "x", "http://a/"], "two methods"),
        (&["-F", "a=b", "-d", "x", "http://a/"], "two methods"),
        (&["-T", "a", "-d", "x", "http://a/"], "two methods"),
        (&["http://a/[1-3]"], "URL 1: it holds ["),
        (&["http://a/", "http://a/{b,c}"], "URL 2: it holds ["),
        (&["http://a/b c"], "URL 1: it holds a space"),
        (&["-G", "-d", "b c", "http://a/"], "URL 1: it holds a space"),
        (&["ftp://a/"], "URL 1: its scheme"),
        (&["http:////a/"], "URL 1: it has more than three"),
        (&["http:///"], "URL 1: it names no host"),
        (&["http://u:p@/"], "URL 1: it names no host"),
        (&["http://u@x:y@a/"], "URL 1: it has two @"),
        (&[""], "URL 1: it names no host"),
    ];
    for (command, message) in table {
        let words: Vec<_> = command.iter().map(|word| (*word).to_owned()).collect();
        let failure = parsed(&words).expect_err(message);
        assert!(failure.contains(message), "{command:?}: {failure}");
        assert!(!failure.contains("sk-"), "{command:?}: {failure}");
    }
}

/// A secret glued to any option, before it, behind it or within it, is not shown, in no language.
#[test]
fn no_piece_of_what_is_glued_to_an_option_is_shown() {
    let mut count = 0;
    for secret in [
        "zqxv-wkjq-vbzx-qqzj",
        "Zq7Wv9Kx2Jm4",
        "-zqxw",
        "=zqxvk",
        "xwzq.9931",
    ] {
        let pieces: Vec<_> = (4..=secret.len())
            .map(|end| &secret[end - 4..end])
            .collect();
        let mut options: Vec<_> = super::options::all()
            .flat_map(|(long, letter, _)| {
                let letter = (letter != 0).then(|| format!("-{}", char::from(letter)));
                [
                    Some(format!("--{long}")),
                    Some(format!("--no-{long}")),
                    letter,
                ]
            })
            .flatten()
            .collect();
        options.extend((b'!'..=b'~').map(|letter| format!("-{}", char::from(letter))));
        options.extend(["--", "---", "--no-", "--frobnicate"].map(str::to_owned));
        for option in options {
            let (dashes, name) =
                option.split_at(option.len() - option.trim_start_matches('-').len());
            let half = name.len() / 2;
            let mut glued = vec![
                format!("{option}{secret}"),
                format!("{option}={secret}"),
                format!("{option}{secret}=x"),
                format!("{option}-{secret}"),
                format!("{dashes}{secret}{name}"),
                format!("{secret}{option}"),
            ];
            if name.is_char_boundary(half) {
                glued.push(format!(
                    "{dashes}{}{secret}{}",
                    &name[..half],
                    &name[half..]
                ));
            }
            for word in glued {
                for more in [&[][..], &["http://a/"], &["x", "http://a/"]] {
                    let words = [&["curl", word.as_str()], more].concat();
                    let words: Vec<_> = words.iter().map(|word| word.as_bytes().to_vec()).collect();
                    let Err(failure) = requests(&words, &mut Notes::default()) else {
                        continue;
                    };
                    count += 1;
                    for language in [Language::En, Language::Zh] {
                        let text = failure.text(language);
                        let shown = pieces.iter().find(|piece| text.contains(*piece));
                        assert_eq!(shown, None, "{word}: {text}");
                    }
                }
            }
        }
    }
    assert!(count > 1000, "{count} refused");
}

/// curl itself knows no `--header=`; people write it all the same.
#[test]
fn a_value_may_be_joined_to_a_long_name() {
    let joined = parsed(&["--header=X: a=b".into(), "http://a/".into()]);
    assert_eq!(
        joined,
        parsed(&["--header".into(), "X: a=b".into(), "http://a/".into()])
    );
}

/// Every option that this machine's curl lists is known, with or without a value as listed.
#[test]
fn every_option_of_curl_is_known() {
    let help = Command::new("curl")
        .args(["--help", "all"])
        .output()
        .expect("curl cannot be run; install it: apt-get install curl");
    let help = String::from_utf8_lossy(&help.stdout);
    let mut count = 0;
    for line in help.lines() {
        let Some((short, rest)) = line.split_once("--") else {
            continue;
        };
        let (name, rest) = rest.split_at(rest.find(' ').unwrap_or(rest.len()));
        let takes_value = rest.starts_with(" <") || rest.starts_with(" [protocol");
        let known = |option: String| {
            let alone = parsed(std::slice::from_ref(&option)).expect_err("no URL");
            assert!(!alone.contains("not known"), "{alone}");
            if !alone.contains("not supported") {
                assert_eq!(alone.contains("needs a value"), takes_value, "{option}");
            }
        };
        known(format!("--{name}"));
        if let Some(letter) = short
            .trim()
            .strip_prefix('-')
            .and_then(|rest| rest.strip_suffix(','))
        {
            known(format!("-{letter}"));
        }
        count += 1;
    }
    assert!(count > 200, "{count} options listed");
}
