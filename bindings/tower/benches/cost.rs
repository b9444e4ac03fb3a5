//! What the layer adds to a request, beside what tower-http has for it, in instructions: the difference
//! of two runs under callgrind, with few requests and with many. `cargo bench`.

use std::convert::Infallible;
use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::process::Command;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{Empty, Full};
use keygate_tower::Gate;
use tower::{Layer, Service, service_fn};
use tower_http::auth::AsyncRequireAuthorizationLayer;
use tower_http::validate_request::ValidateRequestHeaderLayer;

const KEY: &str = "sk-0123456789abcdef0123456789abcdef";
const WRONG: &str = "sk-0123456789abcdef0123456789abcdee";
const FEW: u64 = 100;
const MANY: u64 = 1100;

type Answer = Response<Full<Bytes>>;

/// The request of `benches`: what an SDK sends.
fn request(key: &str) -> Request<Empty<Bytes>> {
    let headers = [
        ("host", "127.0.0.1:8045"),
        ("accept-encoding", "gzip, deflate, br, zstd"),
        ("connection", "keep-alive"),
        ("accept", "application/json"),
        ("content-type", "application/json"),
        ("user-agent", "OpenAI/Python 2.8.1"),
        ("x-stainless-lang", "python"),
        ("x-stainless-package-version", "2.8.1"),
        ("x-stainless-os", "Linux"),
        ("x-stainless-arch", "x64"),
        ("authorization", &format!("Bearer {key}")),
        ("content-length", "0"),
    ];
    let request = Request::builder().uri("/v1/models");
    let request = headers.iter().fold(request, |request, (name, value)| {
        request.header(*name, *value)
    });
    request.body(Empty::new()).expect("a request")
}

/// Asks over and over. What makes the requests is a part of every count.
fn ask<S, R>(mut service: S, key: &str, count: u64)
where
    S: Service<Request<Empty<Bytes>>, Response = Response<R>, Error = Infallible>,
{
    let request = request(key);
    let expected = if key == KEY {
        StatusCode::OK
    } else {
        StatusCode::UNAUTHORIZED
    };
    for _ in 0..count {
        let answer = pin!(service.call(black_box(&request).clone()));
        match answer.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(answer)) => assert_eq!(answer.status(), expected),
            _ => unreachable!("nothing waits here"),
        }
    }
}

fn run(what: &str, key: &str, count: u64) {
    async fn behind<B>(request: Request<B>) -> Result<Answer, Infallible> {
        black_box(request);
        Ok(Response::default())
    }
    match what {
        "none" => {
            let always = service_fn(async |request: Request<_>| {
                let mut answer = behind(request).await?;
                *answer.status_mut() = if key == KEY {
                    StatusCode::OK
                } else {
                    StatusCode::UNAUTHORIZED
                };
                Ok(answer)
            });
            ask(always, key, count);
        }
        "bearer" => {
            #[allow(deprecated)] // it is no more than this measures
            let layer = ValidateRequestHeaderLayer::bearer(KEY);
            ask(layer.layer(service_fn(behind)), key, count);
        }
        "async" => {
            let right = format!("Bearer {KEY}");
            let layer =
                AsyncRequireAuthorizationLayer::new(move |request: Request<Empty<Bytes>>| {
                    let sent = request.headers().get("authorization");
                    let is_right = sent.is_some_and(|value| value.as_bytes() == right.as_bytes());
                    std::future::ready(if is_right { Ok(request) } else { Err(denied()) })
                });
            ask(layer.layer(service_fn(behind)), key, count);
        }
        "keygate" => {
            let config = format!(r#"{{"auth_mode": "all_except_health", "api_key": "{KEY}"}}"#);
            let gate = Gate::parse(config, None).expect("a configuration");
            ask(gate.layer().layer(service_fn(behind)), key, count);
        }
        _ => unreachable!("no such case"),
    }
}

fn denied() -> Answer {
    let mut answer = Answer::default();
    *answer.status_mut() = StatusCode::UNAUTHORIZED;
    answer
}

/// The instructions of this program, run with these arguments.
fn count(what: &str, key: &str, count: u64) -> u64 {
    let program = std::env::current_exe().expect("this program");
    let run = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args([what, key, &count.to_string()])
        .output()
        .expect("valgrind");
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{said}");
    let collected = said.split("Collected : ").nth(1).expect("a count");
    collected
        .split_whitespace()
        .next()
        .and_then(|text| text.parse().ok())
        .expect("a number")
}

fn main() {
    let arguments: Vec<_> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    if let [what, key, times] = arguments.as_slice() {
        return run(what, key, times.parse().expect("a number"));
    }
    let of = |what, key| (count(what, key, MANY) - count(what, key, FEW)) / (MANY - FEW);
    let base = [KEY, WRONG].map(|key| of("none", key));
    println!(
        "| instructions a request, besides {} and {} without | allowed | denied |\n|---|---:|---:|",
        base[0], base[1]
    );
    for (what, name) in [
        ("bearer", "tower-http, `ValidateRequestHeaderLayer::bearer`"),
        (
            "async",
            "tower-http, `AsyncRequireAuthorizationLayer` that compares one header by `==`",
        ),
        ("keygate", "keygate-tower"),
    ] {
        let more = [(KEY, base[0]), (WRONG, base[1])].map(|(key, base)| of(what, key) - base);
        println!("| {name} | {} | {} |", more[0], more[1]);
    }
}
