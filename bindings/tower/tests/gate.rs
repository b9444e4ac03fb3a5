//! What the layer does with one request: what it answers, what it hands on, and what it tells.

use std::cell::RefCell;
use std::convert::Infallible;
use std::io::Write;
use std::pin::Pin;
use std::sync::{Arc, Mutex, Once};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, Version};
use http_body::{Body, Frame};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full};
use keygate_tower::keygate::Reason;
use keygate_tower::{Allowed, Gate, RequestBody, ResponseBody};
use tower::{Layer, ServiceExt, service_fn};

const KEY: &str = "sk-Zq7vXw9RkT2mYpLb";
const OTHER: &str = "sk-Wd4hNs8FgJ3cVtQz";

type Passed<B> = Option<Request<RequestBody<B>>>;

fn gate(fields: &str) -> Gate {
    let text = format!(
        r#"{{"keys": [{{"key": "{KEY}", "label": "alice"}}, {{"key": "{OTHER}"}}], {fields}}}"#
    );
    Gate::parse(text, None).expect("a configuration")
}

/// The answer, and the request as it was handed on.
async fn ask<B: 'static>(gate: &Gate, request: Request<B>) -> (Response<Bytes>, Passed<B>) {
    let passed = Arc::new(Mutex::new(None));
    let keep = passed.clone();
    let service = gate.layer().layer(service_fn(move |request| {
        *keep.lock().unwrap() = Some(request);
        async { Ok::<_, Infallible>(Response::new(Full::new(Bytes::from("behind")))) }
    }));
    let (head, body) = service.oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let passed = passed.lock().unwrap().take();
    (Response::from_parts(head, body), passed)
}

fn request(method: &str, target: &str, headers: &[(&str, &str)]) -> Request<Empty<Bytes>> {
    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Empty::new()).unwrap()
}

async fn passed(gate: &Gate, method: &str, target: &str, headers: &[(&str, &str)]) -> HeaderMap {
    let (_, passed) = ask(gate, request(method, target, headers)).await;
    passed.expect("an allowed request").headers().clone()
}

async fn status(gate: &Gate, request: Request<Empty<Bytes>>) -> u16 {
    ask(gate, request).await.0.status().as_u16()
}

fn pairs(headers: &HeaderMap) -> Vec<(&str, &str)> {
    let mut pairs: Vec<_> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
        .collect();
    pairs.sort_unstable();
    pairs
}

/// Nobody may look at it.
struct Untouched;

impl Body for Untouched {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        panic!("the body of a denied request was read")
    }
}

#[tokio::test]
async fn a_denial_is_the_cores_and_reads_no_body() {
    let gate = gate(r#""auth_mode": "strict", "allow_origin": "https://a.test""#);
    let missing = Request::post("/v1").body(Untouched).unwrap();
    let wrong = Request::post("/v1")
        .header("x-api-key", "sk-x")
        .body(Untouched)
        .unwrap();
    for (request, challenge, code) in [
        (missing, r#"Bearer realm="keygate""#, "missing_api_key"),
        (
            wrong,
            r#"Bearer realm="keygate", error="invalid_token""#,
            "invalid_api_key",
        ),
    ] {
        let (response, passed) = ask(&gate, request).await;
        assert!(passed.is_none());
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        let expected = [
            ("access-control-allow-origin", "https://a.test"),
            ("access-control-expose-headers", "WWW-Authenticate"),
            ("content-type", "application/json"),
            ("vary", "Origin"),
            ("www-authenticate", challenge),
        ];
        assert_eq!(pairs(response.headers()), expected);
        let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(body["error"]["code"], code);
    }
}

#[tokio::test]
async fn what_is_allowed_goes_on_without_credentials() {
    let gate = gate(r#""auth_mode": "strict", "identity_header": "X-User""#);
    let headers = [
        ("authorization", KEY),
        ("x-api-key", "another"),
        ("x_api_key", "another"),
        ("x-goog.api-key", "another"),
        ("x-user", "mallory"),
        ("x_user", "mallory"),
        ("connection", "x-user, close, authorization, X_Api_Key"),
        ("trailer", "x-checksum, x-api-key"),
        ("x-b", "1"),
        ("x-b", "2"),
    ];
    let expected = [
        ("connection", "close"),
        ("trailer", "x-checksum"),
        ("x-b", "1"),
        ("x-b", "2"),
        ("x-user", "alice"),
    ];
    let got = passed(&gate, "POST", "/v1", &headers).await;
    assert_eq!(pairs(&got), expected);
    // Nobody's name where the key has none, or where none was presented.
    let unnamed = [("x-user", "mallory"), ("x-api-key", OTHER)];
    assert_eq!(pairs(&passed(&gate, "POST", "/v1", &unnamed).await), []);
    assert_eq!(pairs(&passed(&gate, "OPTIONS", "/v1", &unnamed).await), []);
}

#[tokio::test]
async fn what_belongs_to_somebody_else_stays() {
    let gate = gate(r#""auth_mode": "strict", "strip": "matched", "match": "any""#);
    let headers = [
        ("authorization", "Bearer theirs"),
        ("x-api-key", "theirs"),
        ("x-goog-api-key", KEY),
        ("x_api_key", KEY),
        ("x_api_key", "theirs"),
        ("x_api_key", OTHER),
        ("connection", "x-goog-api-key, x_api_key"),
    ];
    let expected = [
        ("authorization", "Bearer theirs"),
        ("connection", "x_api_key"),
        ("x-api-key", "theirs"),
        ("x_api_key", "theirs"),
    ];
    assert_eq!(
        pairs(&passed(&gate, "POST", "/v1", &headers).await),
        expected
    );
}

const BEYOND: [(&str, &str); 6] = [
    ("connection", "keep-alive, Upgrade, HTTP2-Settings"),
    ("upgrade", "websocket"),
    ("http2-settings", "AAMAAABkAAQAAP__"),
    ("x-http-method-override", "POST"),
    ("x_original_url", "/admin"),
    ("x-other", "1"),
];

#[tokio::test]
async fn without_a_key_passes_one_request() {
    let gate = gate(r#""auth_mode": "all_except_health", "strip": "off""#);
    for (method, target) in [
        ("OPTIONS", "/v1"),
        ("GET", "/healthz"),
        ("HEAD", "/healthz?x"),
    ] {
        let got = passed(&gate, method, target, &BEYOND).await;
        assert_eq!(
            pairs(&got),
            [("connection", "keep-alive"), ("x-other", "1")]
        );
    }
    let mut with_key = BEYOND.to_vec();
    with_key.push(("x-api-key", KEY));
    let got = passed(&gate, "GET", "/v1", &with_key).await;
    with_key.sort_unstable();
    assert_eq!(pairs(&got), with_key);
}

#[tokio::test]
async fn in_a_tunnel_nobody_says_who_it_is() {
    let gate = gate(r#""auth_mode": "strict", "identity_header": "x-user""#);
    for (protocol, goes_on) in [("websocket", true), ("WebSocket", true), ("h2c", false)] {
        let headers = [
            ("connection", "upgrade"),
            ("upgrade", protocol),
            ("x-api-key", KEY),
        ];
        let got = passed(&gate, "GET", "/v1", &headers).await;
        assert_eq!(got.contains_key("upgrade"), goes_on, "{protocol}");
        assert_eq!(got.contains_key("connection"), goes_on, "{protocol}");
    }
}

fn trailers(names: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in names {
        map.append(*name, value.parse().unwrap());
    }
    map
}

#[tokio::test]
async fn trailers_are_headers_too() {
    let gate = gate(r#""auth_mode": "strict", "identity_header": "x-user""#);
    let theirs = [("x-checksum", "1"), ("x-checksum", "2")];
    let gates = [("x-api-key", KEY), ("x_user", "mallory")];
    let all = [&gates[..], &theirs[..]].concat();
    for (sent, arrives) in [(all, Some(&theirs[..])), (gates.to_vec(), None)] {
        let end = Some(Ok(trailers(&sent)));
        let body = Full::new(Bytes::from("body")).with_trailers(async { end });
        let request = Request::post("/v1")
            .header("x-api-key", KEY)
            .body(body)
            .unwrap();
        let (_, passed) = ask(&gate, request).await;
        let collected = passed
            .expect("an allowed request")
            .into_body()
            .collect()
            .await
            .unwrap();
        assert_eq!(collected.trailers().map(pairs), arrives.map(<[_]>::to_vec));
        assert_eq!(collected.to_bytes(), "body");
    }
}

#[tokio::test]
async fn the_service_is_told_of_the_decision() {
    let gate = gate(r#""auth_mode": "all_except_health""#);
    for (key, target, reason, label) in [
        (KEY, "/v1", Reason::KeyMatched, Some("alice")),
        (OTHER, "/v1", Reason::KeyMatched, None),
        (KEY, "/healthz", Reason::Health, None),
    ] {
        let (_, passed) = ask(&gate, request("GET", target, &[("x-api-key", key)])).await;
        let passed = passed.expect("an allowed request");
        let allowed = passed.extensions().get::<Allowed>().expect("a decision");
        assert_eq!(allowed.decision().reason(), reason);
        assert_eq!(allowed.key_label(), label);
        let text = format!("{allowed:?} {passed:?}");
        assert!(
            !text.contains(&KEY[..6]) && !text.contains(&OTHER[..6]),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_target_in_another_form_is_no_path() {
    let gate = gate(r#""auth_mode": "all_except_health""#);
    for target in ["/healthz", "/healthz?x"] {
        assert_eq!(
            status(&gate, request("GET", target, &[])).await,
            200,
            "{target}"
        );
    }
    for target in [
        "http://a.test/healthz",
        "http://healthz",
        "healthz",
        "*",
        "/a/../healthz",
    ] {
        assert_eq!(
            status(&gate, request("GET", target, &[])).await,
            401,
            "{target}"
        );
    }
    // In HTTP/2 the scheme and the authority are fields of their own, and always there.
    for version in [Version::HTTP_2, Version::HTTP_3] {
        for (target, expected) in [("http://a.test/healthz", 200), ("http://a.test/v1", 401)] {
            let mut request = request("GET", target, &[]);
            *request.version_mut() = version;
            assert_eq!(status(&gate, request).await, expected, "{target}");
        }
        let mut connect = request("CONNECT", "a.test:443", &[]);
        *connect.version_mut() = version;
        assert_eq!(status(&gate, connect).await, 401);
    }
}

#[tokio::test]
async fn a_change_holds_for_every_service_and_a_bad_one_for_none() {
    let text = |key| format!(r#"{{"auth_mode": "strict", "api_key": "{key}"}}"#);
    let gate = Gate::parse(text(KEY), None).unwrap();
    let layer = gate.clone().layer();
    let service = layer.layer(service_fn(async |_: Request<_>| {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    }));
    let ask = async |key| {
        let request = request("GET", "/v1", &[("x-api-key", key)]);
        service
            .clone()
            .oneshot(request)
            .await
            .unwrap()
            .status()
            .as_u16()
    };
    assert_eq!((ask(KEY).await, ask(OTHER).await), (200, 401));
    gate.reload(text(OTHER), None).unwrap();
    assert_eq!((ask(KEY).await, ask(OTHER).await), (401, 200));
    for bad in [
        "",
        "{}",
        r#"{"auth_mode": "open"}"#,
        r#"{"auth_mode": "off", "api_key": " "}"#,
    ] {
        assert!(gate.reload(bad, None).is_err(), "{bad}");
        assert_eq!((ask(KEY).await, ask(OTHER).await), (401, 200));
    }
    assert_eq!(gate.policy().key_count(), 1);
}

/// The answer and the request have the bodies that the service has, whatever these are.
#[tokio::test]
async fn any_body_does() {
    async fn denied<Q, A>(gate: &Gate, request: Q) -> String
    where
        A: Body + 'static,
        A::Data: From<&'static [u8]>,
        A::Error: std::fmt::Debug,
    {
        let behind = service_fn(|_: Request<RequestBody<Q>>| {
            std::future::pending::<Result<Response<A>, Infallible>>()
        });
        let response = gate
            .layer()
            .layer(behind)
            .oneshot(Request::new(request))
            .await
            .unwrap();
        let body: ResponseBody<A> = response.into_body();
        assert!(!body.is_end_stream() && body.size_hint().exact().is_some());
        String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }
    let gate = gate(r#""auth_mode": "strict""#);
    let text = denied::<_, Full<Bytes>>(&gate, ()).await;
    assert!(text.contains("missing_api_key"));
    assert_eq!(
        denied::<_, BoxBody<Bytes, Infallible>>(&gate, "text").await,
        text
    );
    assert_eq!(
        denied::<_, hyper::body::Incoming>(&gate, Empty::<Bytes>::new()).await,
        text
    );
    assert_eq!(
        denied::<_, axum::body::Body>(&gate, axum::body::Body::empty()).await,
        text
    );
    assert_eq!(
        denied::<_, Full<&'static [u8]>>(&gate, Full::new(Bytes::new())).await,
        text
    );
}

thread_local! {
    static LOG: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What a test is told on its own thread. The subscriber is everybody's: one that comes and goes beside
/// others may miss events.
struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.with_borrow_mut(|log| log.write(bytes))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn listen() -> Self {
        static SUBSCRIBED: Once = Once::new();
        SUBSCRIBED.call_once(|| {
            tracing_subscriber::fmt()
                .json()
                .flatten_event(true)
                .with_max_level(tracing::Level::TRACE)
                .with_writer(|| Self)
                .init();
        });
        Self
    }

    #[allow(clippy::unused_self)] // to be taken, it must have been listened to
    fn take(&self) -> (String, Vec<serde_json::Value>) {
        let text = String::from_utf8(LOG.take()).unwrap();
        let events = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        (text, events)
    }
}

#[tokio::test]
async fn each_decision_is_one_event_without_a_key() {
    let log = Log::listen();
    let gate = gate(r#""auth_mode": "all_except_health""#);
    log.take();
    let secret = format!("/v1/{KEY}?key={KEY}");
    for (method, name, value, expected) in [
        (
            "GET",
            "x-api-key",
            KEY,
            "allow key_matched x-api-key 0 alice GET",
        ),
        (
            "POST",
            "authorization",
            OTHER,
            "allow key_matched authorization 1 - POST",
        ),
        (
            KEY,
            "x-goog-api-key",
            "sk-x",
            "deny key_mismatch x-goog-api-key - - (other)",
        ),
        ("OPTIONS", "cookie", KEY, "allow preflight - - - OPTIONS"),
        ("HEAD", "x-other", KEY, "deny credential_missing - - - HEAD"),
    ] {
        ask(&gate, request(method, &secret, &[(name, value)])).await;
        let (text, events) = log.take();
        let [event] = events.as_slice() else {
            panic!("{text}")
        };
        let fields = "verdict reason source key_index key_label method".split(' ');
        let told = fields.map(|name| match &event[name] {
            serde_json::Value::Null => "-".to_owned(),
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        assert_eq!(told.collect::<Vec<_>>().join(" "), expected);
        assert_eq!(event["effective_mode"], "all_except_health");
        assert_eq!(
            (&event["target"], &event["level"]),
            (&"keygate".into(), &"INFO".into())
        );
        assert!(event.get("findings").is_none());
        assert!(
            !text.contains(&KEY[..8]) && !text.contains(&OTHER[..8]),
            "{text}"
        );
    }
    let closed = Gate::parse(r#"{"auth_mode": "strict"}"#, None).unwrap();
    log.take();
    ask(&closed, request("GET", "/v1", &[])).await;
    let (_, events) = log.take();
    assert_eq!(events[0]["level"], "ERROR");
    assert_eq!(
        events[0]["message"],
        "Proxy auth is enabled but api_key is empty; denying request"
    );
}

#[tokio::test]
async fn findings_are_told_where_they_are_asked_for() {
    let log = Log::listen();
    let service = gate(r#""auth_mode": "auto", "allow_lan_access": true"#)
        .layer()
        .explain(true);
    let service = service.layer(service_fn(async |_: Request<_>| {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    }));
    log.take();
    let wrong = request("GET", "/v1", &[("authorization", &format!("Bearer{KEY}"))]);
    service.oneshot(wrong).await.unwrap();
    let (text, events) = log.take();
    assert_eq!(events[0]["findings"], "auto_resolved,bearer_no_space");
    assert!(!text.contains(&KEY[..8]));
}

#[test]
fn lints_are_warnings_at_the_start_and_after_a_change() {
    let log = Log::listen();
    let told = || {
        let (text, events) = log.take();
        assert!(!text.contains("sk-sh"), "{text}");
        let told = events
            .iter()
            .map(|event| (event["level"].clone(), event["lint"].clone()));
        told.collect::<Vec<_>>()
    };
    let warning = |name: &str| ("WARN".into(), name.into());
    let gate = Gate::parse(r#"{"auth_mode": "strict", "api_key": "sk-short"}"#, None).unwrap();
    assert_eq!(told(), [warning("key_short")]);
    gate.reload(r#"{"auth_mode": "auto"}"#, None).unwrap();
    assert_eq!(told(), [warning("auto_open")]);
    gate.reload("{", None).unwrap_err();
    assert_eq!(told(), []);
}

#[test]
fn no_debug_form_shows_a_key() {
    let gate = gate(r#""auth_mode": "strict""#);
    let layer = gate.layer();
    let text = format!(
        "{gate:?} {layer:?} {:?} {:?}",
        layer.layer(()),
        gate.policy()
    );
    assert!(
        !text.contains(&KEY[..6]) && !text.contains(&OTHER[..6]),
        "{text}"
    );
}
