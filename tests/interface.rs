//! What a user of the crate relies on without saying so, and where keygate differs on purpose
//! from the product whose rules it took over.

use keygate::{
    AuthMode, Config, ConfigError, Decision, Denial, Evaluation, Explanation, Findings, MatchMode,
    Policy, Preflight, Reason,
};

fn policy(mode: AuthMode) -> Policy {
    Policy::new(&Config::new(mode).api_key("sk-right")).expect("a policy")
}

#[test]
fn values_go_between_threads_and_a_policy_is_small() {
    fn shared<T: Send + Sync + 'static>() {}
    fn sent<T: Send + Sync>() {}
    shared::<Policy>();
    shared::<Decision>();
    shared::<ConfigError>();
    shared::<Findings>();
    sent::<Evaluation<'_>>();
    sent::<Explanation<'_>>();
    assert!(size_of::<Policy>() <= 4096);
}

#[test]
fn every_list_of_headers_fits_as_it_is() {
    let policy = policy(AuthMode::Strict);
    let allows = |decision: Decision| assert_eq!(decision.reason(), Reason::KeyMatched);

    let array = [("Host", "localhost"), ("X-Api-Key", "sk-right")];
    allows(policy.decide("GET", "/", array));
    allows(policy.decide("GET", "/", &array));
    allows(policy.decide("GET", "/", &array[..]));
    allows(policy.explain("GET", "/", &array).decision());

    let texts = vec![("X-Api-Key".to_owned(), "sk-right".to_owned())];
    allows(policy.decide("GET", "/", &texts));
    allows(policy.decide(String::from("GET"), String::from("/"), texts));

    let bytes: Vec<(Vec<u8>, Vec<u8>)> = vec![(b"X-Api-Key".to_vec(), b"sk-right".to_vec())];
    allows(policy.decide(b"GET", b"/", &bytes));
    allows(policy.explain(b"GET", b"/", &bytes).decision());
    allows(policy.decide(
        b"GET",
        b"/",
        bytes.iter().map(|(name, value)| (name, value)),
    ));

    let mut map = http::HeaderMap::new();
    map.append("accept", http::HeaderValue::from_static("*/*"));
    map.append(
        "authorization",
        http::HeaderValue::from_static("Bearer sk-right"),
    );
    map.append(
        "authorization",
        http::HeaderValue::from_static("Bearer sk-wrong"),
    );
    allows(policy.decide(http::Method::GET.as_str(), "/", &map));
    allows(policy.explain("GET", "/", &map).decision());
    let decision = policy.decide("GET", "/", &map);
    assert_eq!(decision.header_index(), Some(1));
}

#[cfg(feature = "httparse")]
#[test]
fn what_httparse_returns_fits_as_it_is() {
    let mut headers = [httparse::EMPTY_HEADER; 8];
    let mut request = httparse::Request::new(&mut headers);
    let head = b"GET /v1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer sk-right \r\n\r\n";
    assert!(request.parse(head).expect("well formed").is_complete());
    let (method, target) = (
        request.method.expect("a method"),
        request.path.expect("a target"),
    );
    let policy = policy(AuthMode::Strict);
    let decision = policy.decide(method, target, request.headers.iter());
    assert_eq!(decision.reason(), Reason::KeyMatched);
    let slice: &[httparse::Header<'_>] = request.headers;
    assert_eq!(policy.decide(method, target, slice), decision);
    assert_eq!(policy.explain(method, target, slice).decision(), decision);
}

/// The product lets its health path pass whatever the method, and leaves the rest to its router.
#[test]
fn differs_health_path_with_other_methods_is_not_exempt() {
    let policy = policy(AuthMode::AllExceptHealth);
    let none: [(&str, &str); 0] = [];
    for method in [
        "POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "get", "options",
    ] {
        let decision = policy.decide(method, "/healthz", none);
        assert_eq!(decision.reason(), Reason::CredentialMissing, "{method}");
    }
    for method in ["GET", "HEAD"] {
        assert_eq!(
            policy.decide(method, "/healthz", none).reason(),
            Reason::Health,
            "{method}"
        );
    }
}

/// The product takes a value with non-ASCII bytes as absent, against its own manual.
#[test]
fn differs_non_ascii_value_is_not_rescued_by_a_later_header() {
    let policy = policy(AuthMode::Strict);
    for garbled in ["Bearer sk-caf\u{e9}", "\u{ff}", "\u{5bc6}\u{94a5}"] {
        for later in ["x-api-key", "x-goog-api-key", "authorization"] {
            let headers = [("authorization", garbled), (later, "sk-right")];
            let decision = policy.decide("GET", "/", headers);
            assert_eq!(decision.reason(), Reason::CredentialUnusable, "{later}");
            assert_eq!(decision.header_index(), Some(0), "{later}");
        }
    }
}

#[test]
fn denials_are_what_sdks_parse() {
    assert_eq!(Denial::STATUS, 401);
    let invalid = Some("invalid_api_key");
    for (reason, code, token) in [
        (Reason::CredentialMissing, Some("missing_api_key"), false),
        (Reason::CredentialUnusable, invalid, true),
        (Reason::KeyMismatch, invalid, true),
        (Reason::NoKeyConfigured, invalid, false),
        (Reason::InvalidCall, invalid, false),
        (Reason::Preflight, None, false),
        (Reason::AuthOff, None, false),
        (Reason::Health, None, false),
        (Reason::KeyMatched, None, false),
    ] {
        let denial = reason.denial();
        assert_eq!(denial.is_some(), code.is_some(), "{reason:?}");
        let (Some(denial), Some(code)) = (denial, code) else {
            continue;
        };
        let body: serde_json::Value = serde_json::from_str(denial.body()).expect("JSON");
        assert_eq!(body["error"]["code"], code, "{reason:?}");
        assert_eq!(body["error"]["type"], "authentication_error", "{reason:?}");
        assert!(body["error"]["message"].is_string(), "{reason:?}");
        let error = if token {
            ", error=\"invalid_token\""
        } else {
            ""
        };
        assert_eq!(
            denial.challenge(),
            format!("Bearer realm=\"keygate\"{error}"),
            "{reason:?}"
        );
    }
    assert_eq!(
        Reason::NoKeyConfigured.text(keygate::Language::En),
        "Proxy auth is enabled but api_key is empty; denying request"
    );
}

/// Where it is told that the first wanted header settles a decision, none that comes later changes it.
#[test]
fn what_settles_a_decision_is_told() {
    let config = Config::new(AuthMode::Strict).api_key("sk-right");
    for match_mode in [MatchMode::First, MatchMode::Any] {
        for preflight in [Preflight::Options, Preflight::Cors, Preflight::None] {
            let config = config.match_mode(match_mode).preflight(preflight);
            let policy = Policy::new(&config).expect("a policy");
            let headers = [
                ("authorization", "Bearer sk-wrong"),
                ("x-api-key", "sk-right"),
                ("origin", ""),
                ("access-control-request-method", ""),
            ];
            let mut same = true;
            for method in ["GET", "OPTIONS"] {
                let whole = policy.decide(method, "/", headers);
                same &= policy.decide(method, "/", &headers[..1]) == whole;
            }
            assert_eq!(policy.first_decides(), same, "{match_mode}, {preflight}");
        }
    }
}
