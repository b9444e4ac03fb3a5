//! The layer in servers, over sockets: against the rules, in HTTP/2, and behind axum's `nest`.

#[allow(dead_code)]
#[path = "../../../tests/model/mod.rs"]
mod model;
#[allow(dead_code, unreachable_pub)]
#[path = "../examples/server.rs"]
mod server;

use std::convert::Infallible;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{Empty, Full};
use hyper::ext::Protocol;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use keygate_tower::Gate;
use tokio::net::TcpListener;
use tower::ServiceBuilder;

const KEY: &str = "sk-Zq7vXw9RkT2mYpLb";

async fn listen(routes: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    address
}

/// A connection that is kept alive.
struct Client(BufReader<TcpStream>);

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Client {
    fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        Self(BufReader::new(stream))
    }

    fn send(&mut self, requests: &[u8]) {
        self.0.get_mut().write_all(requests).unwrap();
    }

    fn answer(&mut self, method: &str) -> Answer {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(
                self.0.read_line(&mut head).unwrap(),
                0,
                "closed after {head:?}"
            );
        }
        head.make_ascii_lowercase();
        let status = head[9..12].parse().unwrap();
        let length = head.split("\r\ncontent-length: ").nth(1);
        let length = length.map_or(0, |rest| rest.lines().next().unwrap().parse().unwrap());
        let mut body = vec![0; if method == "HEAD" { 0 } else { length }];
        self.0.read_exact(&mut body).unwrap();
        Answer { status, head, body }
    }

    fn ask(&mut self, method: &str, target: &str, headers: &str) -> Answer {
        self.send(head(method, target, headers).as_bytes());
        self.answer(method)
    }
}

fn head(method: &str, target: &str, headers: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: a.test\r\n{headers}\r\n")
}

/// Lists of headers with at most one right key each by the rules of precedence, and their neighbours.
fn lists() -> Vec<Vec<(String, String)>> {
    let all = |values: &[String]| {
        let names = ["Authorization", "x-api-key", "x-goog-api-key"];
        let of = |name: &&'static str| {
            values
                .iter()
                .map(|value| ((*name).to_owned(), value.clone()))
                .collect::<Vec<_>>()
        };
        let mut all: Vec<_> = names.iter().flat_map(of).collect();
        all.push(("x_api_key".to_owned(), KEY.to_owned()));
        all
    };
    let few = [
        KEY.to_owned(),
        format!("Bearer {KEY}"),
        "sk-x".to_owned(),
        String::new(),
    ];
    let more = [
        format!("Bearer  {KEY}"),
        format!("Bearer{KEY}"),
        format!("bearer {KEY}"),
        format!(" {KEY}\t"),
        KEY[1..].to_owned(),
    ];
    let mut lists = vec![vec![]];
    lists.extend(
        all(&[&few[..], &more[..]].concat())
            .into_iter()
            .map(|one| vec![one]),
    );
    for first in all(&few) {
        lists.extend(
            all(&few)
                .into_iter()
                .map(|second| vec![first.clone(), second]),
        );
    }
    lists
}

/// The server in miniature decides as the rules say, written naively, over a connection to it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_decides_by_the_rules() {
    let text = |mode: &str, lan: bool, key: &str| {
        format!(r#"{{"auth_mode": "{mode}", "allow_lan_access": {lan}, "api_key": "{key}"}}"#)
    };
    let gate = Gate::parse(text("strict", false, ""), None).unwrap();
    let address = listen(server::routes(&gate)).await;
    let asked = tokio::task::spawn_blocking(move || {
        let mut client = Client::to(address);
        let (lists, mut asked) = (lists(), 0);
        for (mode, lan, key) in ["off", "strict", "all_except_health", "auto"]
            .iter()
            .flat_map(|mode| [false, true].map(|lan| (mode, lan)))
            .flat_map(|(mode, lan)| ["", KEY].map(|key| (*mode, lan, key)))
        {
            gate.reload(text(mode, lan, key), None).unwrap();
            let config = model::Config {
                auth_mode: mode.to_owned(),
                allow_lan_access: lan,
                keys: [key]
                    .iter()
                    .filter(|key| !key.is_empty())
                    .map(|key| key.as_bytes().to_vec())
                    .collect(),
                ..model::Config::default()
            };
            for method in ["GET", "HEAD", "POST", "OPTIONS", "options"] {
                for target in [
                    "/healthz",
                    "/healthz?a",
                    "/healthz/",
                    "/v1/models",
                    "/v1/chat/completions",
                ] {
                    let lines = |list: &Vec<(String, String)>| {
                        list.iter().fold(String::new(), |lines, (name, value)| {
                            lines + &format!("{name}: {value}\r\n")
                        })
                    };
                    let requests: String = lists
                        .iter()
                        .map(|list| head(method, target, &lines(list)))
                        .collect();
                    client.send(requests.as_bytes());
                    for list in &lists {
                        let request = model::Request {
                            method: method.into(),
                            target: target.into(),
                            headers: list
                                .iter()
                                .map(|(name, value)| {
                                    (name.clone().into(), value.trim_matches([' ', '\t']).into())
                                })
                                .collect(),
                        };
                        let expected = model::decision::decide(&config, &request);
                        let got = client.answer(method);
                        let what = || {
                            format!(
                                "{mode} {lan} {key:?} {method} {target} {list:?}: {}",
                                got.head
                            )
                        };
                        assert_eq!(got.status == 401, !expected.allow, "{}", what());
                        assert_eq!(
                            got.head
                                .contains("www-authenticate: bearer realm=\"keygate\""),
                            !expected.allow,
                            "{}",
                            what()
                        );
                        let invalid =
                            ["credential_unusable", "key_mismatch"].contains(&expected.reason);
                        assert_eq!(got.head.contains("invalid_token"), invalid, "{}", what());
                        asked += 1;
                    }
                }
            }
        }
        asked
    })
    .await
    .unwrap();
    println!("{asked} requests, each as the model decides");
}

/// Under `nest`, axum hands on what is left of the target.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_target_behind_nest_is_the_one_that_was_received() {
    let gate = Gate::parse(
        r#"{"auth_mode": "all_except_health", "api_key": "sk-example"}"#,
        None,
    )
    .unwrap();
    let guarded = || {
        let routes = Router::new().route("/healthz", get(async || "secret"));
        routes.layer(gate.layer())
    };
    let routes = Router::new()
        .nest("/v1", guarded())
        .nest("/a/b", Router::new().nest("/c", guarded()));
    let address = listen(routes.merge(guarded())).await;
    tokio::task::spawn_blocking(move || {
        let mut client = Client::to(address);
        assert_eq!(client.ask("GET", "/healthz", "").status, 200);
        for target in ["/v1/healthz", "/a/b/c/healthz", "/v1/healthz?/healthz"] {
            assert_eq!(client.ask("GET", target, "").status, 401, "{target}");
            assert_eq!(
                client.ask("GET", target, "x-api-key: sk-example\r\n").body,
                b"secret"
            );
        }
    })
    .await
    .unwrap();
}

/// What is denied goes nowhere, whatever stands ready for a request that nobody else wants.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fallback_is_guarded_too() {
    let gate = Gate::parse(r#"{"auth_mode": "strict", "api_key": "sk-example"}"#, None).unwrap();
    let routes = Router::new().route("/v1", get(async || "v1"));
    let routes = routes
        .fallback(async || "secret")
        .method_not_allowed_fallback(async || "secret");
    let address = listen(routes.layer(gate.layer())).await;
    tokio::task::spawn_blocking(move || {
        let mut client = Client::to(address);
        for (method, target) in [
            ("GET", "/v1"),
            ("POST", "/v1"),
            ("GET", "/nowhere"),
            ("DELETE", "/"),
        ] {
            assert_eq!(
                client.ask(method, target, "").status,
                401,
                "{method} {target}"
            );
            let answer = client.ask(method, target, "x-api-key: sk-example\r\n");
            assert_eq!(answer.status, 200, "{method} {target}");
        }
    })
    .await
    .unwrap();
}

/// The stream of the server in miniature comes in parts, and only with a key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_streams_to_whom_it_knows() {
    let text = r#"{"auth_mode": "strict", "keys": [{"key": "sk-example", "label": "alice"}]}"#;
    let address = listen(server::routes(&Gate::parse(text, None).unwrap())).await;
    let question = r#"{"stream": true, "messages": [{"role": "user", "content": "good day"}]}"#;
    let headers = format!(
        "Content-Type: application/json\r\nContent-Length: {}\r\n",
        question.len()
    );
    tokio::task::spawn_blocking(move || {
        let mut client = Client::to(address);
        let ask = |key: &str| {
            head(
                "POST",
                "/v1/chat/completions",
                &format!("{headers}{key}Connection: close\r\n"),
            ) + question
        };
        client.send(ask("x-api-key: sk-example\r\n").as_bytes());
        let answer = client.answer("POST");
        assert_eq!(answer.status, 200, "{}", answer.head);
        let mut events = String::new();
        client.0.read_to_string(&mut events).unwrap();
        let parts = events.matches("data: {").count();
        assert!(
            parts == 4 && events.contains("alice ") && events.contains("data: [DONE]"),
            "{events}"
        );
        let mut client = Client::to(address);
        client.send(ask("").as_bytes());
        assert_eq!(client.answer("POST").status, 401);
    })
    .await
    .unwrap();
}

/// A denied client that is still sending reads its 401, and goes on using the connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denied_body_is_read_after_the_answer() {
    let gate = Gate::parse(r#"{"auth_mode": "strict", "api_key": "sk-example"}"#, None).unwrap();
    let address = listen(server::routes(&gate)).await;
    tokio::task::spawn_blocking(move || {
        let mut client = Client::to(address);
        for _ in 0..3 {
            let body = vec![b'x'; 3_000_000];
            client.send(
                head(
                    "POST",
                    "/v1/models",
                    &format!("Content-Length: {}\r\n", body.len()),
                )
                .as_bytes(),
            );
            assert_eq!(client.answer("POST").status, 401); // before the body
            client.send(&body);
            assert_eq!(
                client
                    .ask("GET", "/v1/models", "x-api-key: sk-example\r\n")
                    .status,
                200
            );
        }
    })
    .await
    .unwrap();
}

/// An extended CONNECT (RFC 8441) is an upgrade: without a key it reaches nobody.
#[tokio::test]
async fn an_extended_connect_needs_a_key() {
    let gate = Gate::parse(
        r#"{"auth_mode": "all_except_health", "api_key": "sk-example"}"#,
        None,
    )
    .unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (layer, see) = (gate.layer(), seen.clone());
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let service = ServiceBuilder::new()
            .layer(layer)
            .service_fn(move |request: Request<_>| {
                let protocol = request
                    .extensions()
                    .get::<Protocol>()
                    .map(|name| name.as_str().to_owned());
                see.lock().unwrap().push(protocol);
                async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())) }
            });
        hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .enable_connect_protocol()
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
            .await
    });
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    tokio::time::sleep(Duration::from_millis(200)).await; // until the server's settings are here
    for method in [Method::CONNECT, Method::OPTIONS, Method::GET] {
        for target in ["/healthz", "/v1/realtime"] {
            for protocol in ["websocket", "connect-tcp", "h2c"] {
                let mut request = Request::builder()
                    .method(&method)
                    .uri(format!("http://a.test{target}"));
                request = request.extension(Protocol::from(protocol));
                let answer = client
                    .send_request(request.body(Empty::<Bytes>::new()).unwrap())
                    .await;
                let told = seen.lock().unwrap().drain(..).collect::<Vec<_>>();
                assert!(
                    told.iter().all(Option::is_none),
                    "{method} {target} {protocol}: {told:?}"
                );
                assert!(method != Method::CONNECT || answer.unwrap().status() == 401);
            }
        }
    }
    let request =
        Request::connect("http://a.test/v1/realtime").extension(Protocol::from_static("websocket"));
    let request = request
        .header("x-api-key", "sk-example")
        .body(Empty::new())
        .unwrap();
    assert_eq!(client.send_request(request).await.unwrap().status(), 200);
    assert_eq!(
        seen.lock().unwrap().as_slice(),
        [Some("websocket".to_owned())]
    );
}

/// What stands in the file is in force soon after, whichever way it came there, and what cannot work
/// never is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_the_file_is_put_in_force() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (file, new) = (folder.join("config.json"), folder.join("config.new"));
    let keys = |count| {
        let keys = vec![r#"{"key": "sk-example"}"#; count].join(",");
        format!(r#"{{"auth_mode": "strict", "keys": [{keys}]}}"#)
    };
    std::fs::write(&file, keys(1)).unwrap();
    let gate = server::shared::gate(file.clone()).unwrap();
    let in_force = async |count| {
        for _ in 0..50 {
            if gate.policy().key_count() == count {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        false
    };
    assert_eq!(gate.policy().key_count(), 1);
    std::fs::write(&file, keys(2)).unwrap();
    assert!(in_force(2).await);
    for bad in ["{}", "", &keys(3)[..40]] {
        std::fs::write(&file, bad).unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(gate.policy().key_count(), 2);
    }
    std::fs::remove_file(&file).unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    std::fs::write(&new, keys(4)).unwrap();
    std::fs::rename(&new, &file).unwrap();
    assert!(in_force(4).await);
    assert!(server::shared::gate(folder.into()).is_err(), "a folder");
    assert!(
        server::shared::gate("/dev/zero".into()).is_err(),
        "without an end"
    );
    std::fs::remove_file(&file).unwrap();
}
