//! The example, over sockets, in front of a server that writes down what arrives.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

const SECONDS: Duration = Duration::from_secs(10);

/// Ends it, whatever happened.
struct Proxy(Child);

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Answers each request, which must have no body, and gives its head.
fn upstream() -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, heads) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, sender) = (BufReader::new(stream.unwrap()), sender.clone());
            std::thread::spawn(move || {
                while let Some(head) = head(&mut stream) {
                    sender.send(head.to_ascii_lowercase()).unwrap();
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
                    stream.get_mut().write_all(answer).unwrap();
                }
            });
        }
    });
    (address, heads)
}

fn head(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        (stream.read_line(&mut head).unwrap_or(0) > 0).then_some(())?;
    }
    Some(head)
}

/// The answer's head and body.
fn ask(client: &mut BufReader<TcpStream>, request: &str, headers: &str) -> (String, String) {
    let request = format!("{request} HTTP/1.1\r\nHost: a.test\r\n{headers}\r\n");
    client.get_mut().write_all(request.as_bytes()).unwrap();
    let head = head(client).expect("an answer").to_ascii_lowercase();
    let length = head
        .split("content-length: ")
        .nth(1)
        .map_or(0, |rest| rest.lines().next().unwrap().parse().unwrap());
    let mut body = vec![0; length];
    client.read_exact(&mut body).unwrap();
    (head, String::from_utf8(body).unwrap())
}

/// The proxy, and a connection to it.
fn start(config: &Path, upstream: SocketAddr) -> (Proxy, BufReader<TcpStream>) {
    let listen = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let proxy = Command::new(env!("CARGO_BIN_EXE_keygate-pingora-example"))
        .arg(config)
        .args([upstream.to_string(), listen.to_string()])
        .spawn();
    let proxy = Proxy(proxy.unwrap());
    let connect = || {
        (0..100).find_map(|_| {
            std::thread::sleep(Duration::from_millis(100));
            TcpStream::connect(listen).ok()
        })
    };
    let stream = connect().expect("it listens");
    stream.set_read_timeout(Some(SECONDS)).unwrap();
    (proxy, BufReader::new(stream))
}

#[test]
fn the_gate_in_pingora() {
    let config = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pingora.json");
    let write = |key: &str| {
        let key = format!(r#"{{"key": "{key}", "label": "alice"}}"#);
        let rest = r#""auth_mode": "all_except_health", "identity_header": "x-user""#;
        std::fs::write(&config, format!(r#"{{"keys": [{key}], {rest}}}"#)).unwrap();
    };
    write("sk-example");
    let (upstream, heads) = upstream();
    let (_proxy, mut client) = start(&config, upstream);

    // One connection, and each request decided by itself.
    for _ in 0..3 {
        let (head, body) = ask(&mut client, "GET /v1/models", "");
        assert!(head.starts_with("http/1.1 401 "), "{head}");
        assert!(
            head.contains("www-authenticate: bearer realm=\"keygate\"\r\n"),
            "{head}"
        );
        assert!(
            head.contains("content-type: application/json\r\n") && body.contains("missing_api_key"),
            "{head}{body}"
        );

        let headers =
            "x-api-key: sk-example\r\nX_Api_Key: sk-example\r\nX-User: mallory\r\nx-other: 1\r\n";
        let (head, _) = ask(&mut client, "GET /v1/models?a", headers);
        assert!(head.starts_with("http/1.1 200 "), "{head}");
        let arrived = heads.recv_timeout(SECONDS).unwrap();
        assert!(
            arrived.starts_with("get /v1/models?a http/1.1\r\n"),
            "{arrived}"
        );
        assert!(
            arrived.contains("x-user: alice\r\n") && arrived.contains("x-other: 1\r\n"),
            "{arrived}"
        );
        assert!(
            !arrived.contains("sk-example") && !arrived.contains("mallory"),
            "{arrived}"
        );

        // Of the absolute form, what an origin is asked for.
        ask(
            &mut client,
            "GET http://a.test/v1?a",
            "x-api-key: sk-example\r\n",
        );
        let arrived = heads.recv_timeout(SECONDS).unwrap();
        assert!(arrived.starts_with("get /v1?a http/1.1\r\n"), "{arrived}");

        // A denial with a body, which is read after it.
        let (head, _) = ask(
            &mut client,
            "POST /v1/models",
            "Content-Length: 5\r\n\r\n123",
        );
        assert!(head.starts_with("http/1.1 401 "), "{head}");

        // Without a key it is one request.
        let upgrade = "Connection: Upgrade\r\nUpgrade: h2c\r\nX-HTTP-Method-Override: POST\r\n";
        for request in ["OPTIONS /v1/models", "GET /healthz"] {
            ask(&mut client, request, upgrade);
            let arrived = heads.recv_timeout(SECONDS).unwrap();
            assert!(
                !arrived.contains("upgrade") && !arrived.contains("override"),
                "{arrived}"
            );
        }
        for target in [
            "/healthz/",
            "/%68ealthz",
            "http://a.test/healthz",
            "/a/../healthz",
        ] {
            let (head, _) = ask(&mut client, &format!("GET {target}"), "");
            assert!(head.starts_with("http/1.1 401 "), "{target}: {head}");
        }
    }
    assert!(heads.try_recv().is_err(), "a denied request was forwarded");

    write("sk-new");
    let in_force = || {
        std::thread::sleep(Duration::from_millis(100));
        ask(&mut client, "GET /v1", "x-api-key: sk-new\r\n")
            .0
            .contains(" 200 ")
    };
    assert!(std::iter::repeat_with(in_force).take(50).any(|taken| taken));
    assert!(
        ask(&mut client, "GET /v1", "x-api-key: sk-example\r\n")
            .0
            .contains(" 401 ")
    );
    std::fs::remove_file(&config).unwrap();
}
