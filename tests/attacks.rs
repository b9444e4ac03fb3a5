//! One test for each class of attack that gates like this one have fallen to; `tests/README.md`
//! names the public bugs. Each is named after its class and states what keygate does instead.

use keygate::{
    AuthMode, Config, Decision, Exempt, Header, Key, MatchMode, Policy, Preflight, Reason, Source,
    Strip,
};

const KEY: &str = "sk-0123456789abcdef";
const NONE: [(&str, &str); 0] = [];

fn policy(mode: AuthMode) -> Policy {
    Policy::new(&Config::new(mode).api_key(KEY)).expect("a policy")
}

/// Guards everything but the health path.
fn gate() -> Policy {
    policy(AuthMode::AllExceptHealth)
}

/// The same, but that any source may decide, that a preflight is told by its headers, and that of the
/// sources only what holds a key is dropped.
fn open_handed() -> Config<'static> {
    let config = Config::new(AuthMode::AllExceptHealth).api_key(KEY);
    let config = config.match_mode(MatchMode::Any);
    config.preflight(Preflight::Cors).strip(Strip::Matched)
}

fn made(config: &Config<'_>) -> Policy {
    Policy::new(config).expect("a policy")
}

/// The decision of both: what is told by one header, or by none, is no matter of which may decide.
#[track_caller]
fn decide<I>(method: impl AsRef<[u8]>, target: impl AsRef<[u8]>, headers: I) -> Decision
where
    I: IntoIterator + Clone,
    I::Item: Header,
{
    let decision = gate().decide(&method, &target, headers.clone());
    let other = made(&open_handed()).decide(method, target, headers);
    assert_eq!(decision, other);
    decision
}

fn bearer(key: &str) -> String {
    format!("Bearer {key}")
}

#[track_caller]
fn denied(decision: Decision, reason: Reason) {
    assert!(!decision.is_allow());
    assert_eq!(decision.reason(), reason);
    assert!(decision.denial().is_some());
}

#[test]
fn duplicate_credential_header() {
    let (right, wrong) = (bearer(KEY), bearer("sk-wrong"));
    for names in [["authorization"; 2], ["authorization", "AUTHORIZATION"]] {
        let headers = [(names[0], &wrong), (names[1], &right)];
        denied(gate().decide("GET", "/v1", headers), Reason::KeyMismatch);
        let decision = gate().decide("GET", "/v1", [(names[0], &right), (names[1], &wrong)]);
        assert!(decision.is_allow());
        assert_eq!(decision.header_index(), Some(0));
    }
    let across = [("x-api-key", KEY), ("authorization", &wrong)];
    denied(gate().decide("GET", "/v1", across), Reason::KeyMismatch);
}

/// A right key in any source is enough, and in any further header of one source it is nothing. The
/// lowest source with one decides, whatever came before it and whichever key it is.
#[test]
fn duplicate_credential_header_where_any_source_may_decide() {
    let keys = [Key::new("sk-another-0123"), Key::new(KEY)];
    let config = Config::new(AuthMode::Strict).keys(&keys);
    let policy = made(&config.match_mode(MatchMode::Any));
    let (right, wrong) = (bearer(KEY), bearer("sk-wrong"));
    let (right, wrong) = (right.as_str(), wrong.as_str());
    let (authorization, x, goog) = ("authorization", "x-api-key", "x-goog-api-key");
    for (headers, decided, key) in [
        (
            &[(authorization, wrong), ("Authorization", right)][..],
            (0, 0),
            None,
        ),
        (&[(x, ""), (x, KEY), (authorization, wrong)], (0, 2), None),
        (
            &[(goog, "?"), (x, "?"), (x, KEY), (goog, KEY)],
            (1, 1),
            None,
        ),
        (&[(authorization, wrong), (x, KEY)], (1, 1), Some(1)),
        (
            &[(x, KEY), (x, "?"), (authorization, wrong)],
            (1, 0),
            Some(1),
        ),
        (
            &[(goog, KEY), (x, "?"), (authorization, right)],
            (0, 2),
            Some(1),
        ),
        (
            &[(goog, KEY), (x, KEY), (authorization, wrong)],
            (1, 1),
            Some(1),
        ),
        // The keys have an order too, and it does not matter here.
        (
            &[(x, "sk-another-0123"), (authorization, right)],
            (0, 1),
            Some(1),
        ),
    ] {
        let decision = policy.decide("GET", "/v1", headers);
        let place = decision.source_index().zip(decision.header_index());
        assert_eq!(place, Some(decided), "{headers:?}");
        assert_eq!(decision.key_index(), key, "{headers:?}");
        assert_eq!(decision.is_allow(), key.is_some());
    }
}

#[test]
fn comma_joined_duplicates() {
    for joined in [
        format!("Bearer sk-wrong, Bearer {KEY}"),
        format!("Bearer {KEY}, Bearer sk-wrong"),
        format!("Bearer {KEY},"),
        format!("{KEY},{KEY}"),
        format!("{KEY}; {KEY}"),
    ] {
        for name in ["authorization", "x-api-key"] {
            let decision = decide("GET", "/", [(name, &joined)]);
            denied(decision, Reason::KeyMismatch);
        }
    }
    // Of a list, what stands last goes no further where it is a key.
    let policy = made(&open_handed());
    let right = policy.decide("GET", "/", [("x-api-key", KEY)]);
    let dropped = |value: &str| policy.drops(&right, "authorization", value);
    assert!(dropped(&format!("Bearer token, Bearer {KEY}")));
    assert!(!dropped("Bearer token, Bearer sk-wrong"));
}

#[test]
fn exempt_path_by_query_or_fragment() {
    for target in [
        "/v1?/healthz",
        "/v1#/healthz",
        "/v1?x=/healthz",
        "/v1?#/healthz",
        "?/healthz",
        "#/healthz",
        "/v1/healthz",
        "/healthz%3f",
        "/healthz%23",
        "/healthz&x",
    ] {
        let decision = decide("GET", target, NONE);
        denied(decision, Reason::CredentialMissing);
    }
    for target in ["/healthz?x", "/healthz?", "/healthz?/v1"] {
        assert_eq!(decide("GET", target, NONE).reason(), Reason::Health);
    }
}

#[test]
fn path_rebuilt_from_something_a_client_chooses() {
    for name in [
        "host",
        "x-original-url",
        "x-rewrite-url",
        "x-forwarded-uri",
        "x-forwarded-path",
        "x-forwarded-prefix",
        "referer",
        ":path",
    ] {
        for value in ["/healthz", "localhost/healthz?", "http://localhost/healthz"] {
            let decision = decide("GET", "/v1/models", [(name, value)]);
            denied(decision, Reason::CredentialMissing);
        }
    }
}

#[test]
fn slashes_dots_percent_parameters_case_nul_absolute_form() {
    for target in [
        "//healthz",
        "/healthz/",
        "/healthz//",
        "/./healthz",
        "/healthz/.",
        "/v1/../healthz",
        "/healthz/../v1/models",
        "/healthz/..%2fv1",
        "/healthz/%2e%2e/v1",
        "/%68ealthz",
        "/healthz%2f",
        "/healthz%00",
        "/healthz\0",
        "/healthz\0/v1",
        "/healthz;",
        "/healthz;x=1",
        "/;x/healthz",
        "/Healthz",
        "/HEALTHZ",
        "healthz",
        "\\healthz",
        " /healthz",
        "/healthz ",
        "/healthz\t",
        "/health",
        "/healthz1",
        "/healthz.json",
        "http://localhost/healthz",
        "http:/healthz",
        "//localhost/healthz",
        "*",
        "",
    ] {
        let decision = decide("GET", target, NONE);
        denied(decision, Reason::CredentialMissing);
    }
}

#[test]
fn health_by_spoofable_signal() {
    for (name, value) in [
        ("user-agent", "GoogleHC/1.0"),
        ("user-agent", "kube-probe/1.30"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-real-ip", "127.0.0.1"),
        ("forwarded", "for=127.0.0.1"),
        ("host", "localhost"),
        ("x-health-check", "1"),
        ("x-internal", "true"),
        ("origin", "null"),
        ("upgrade", "websocket"),
        ("access-control-request-method", "GET"),
    ] {
        denied(
            decide("GET", "/v1", [(name, value)]),
            Reason::CredentialMissing,
        );
        let strict = policy(AuthMode::Strict);
        denied(
            strict.decide("GET", "/v1", [(name, value)]),
            Reason::CredentialMissing,
        );
    }
}

#[test]
fn options_reaching_the_app_as_if_authenticated() {
    let right = bearer(KEY);
    for policy in [gate(), policy(AuthMode::Strict), policy(AuthMode::Off)] {
        for headers in [vec![], vec![("authorization", right.as_str())]] {
            let decision = policy.decide("OPTIONS", "/v1", &headers);
            assert_eq!(decision.reason(), Reason::Preflight);
            // Not even a right key makes it look authenticated.
            assert_eq!(decision.key_index(), None);
            assert_eq!(decision.source_index(), None);
        }
    }
}

/// What is to be a preflight has both of its headers, and is none by anything that looks like them;
/// what is none is asked for a key like any other request.
#[test]
fn options_that_is_no_preflight() {
    let (origin, method) = (
        ("Origin", "https://a"),
        ("access-control-request-METHOD", ""),
    );
    let (right, wrong) = (("x-api-key", KEY), ("authorization", "Bearer sk-wrong"));
    let policy = made(&open_handed());
    let none = made(&open_handed().preflight(Preflight::None));
    for headers in [
        vec![],
        vec![origin],
        vec![method],
        vec![origin, origin],
        vec![method, method],
        vec![origin, ("access_control_request_method", "GET")],
        vec![origin, ("access-control-request-methods", "GET")],
        vec![method, ("x-origin", "https://a"), ("origins", "")],
        vec![method, ("referer", "https://a")],
    ] {
        let decision = policy.decide("OPTIONS", "/v1", &headers);
        denied(decision, Reason::CredentialMissing);
        let decision = policy.decide("OPTIONS", "/v1", [&headers[..], &[wrong]].concat());
        denied(decision, Reason::KeyMismatch);
        let decision = policy.decide("OPTIONS", "/v1", [&headers[..], &[wrong, right]].concat());
        assert_eq!(decision.reason(), Reason::KeyMatched);
        denied(
            none.decide("OPTIONS", "/v1", &headers),
            Reason::CredentialMissing,
        );
    }
    let headers = [origin, wrong, right, method];
    for order in [[0, 1, 2, 3], [3, 0, 2, 1], [2, 3, 1, 0], [2, 1, 0, 3]] {
        let headers = order.map(|index| headers[index]);
        // Not even a right key that came before makes it look authenticated.
        let decision = policy.decide("OPTIONS", "/v1", headers);
        assert_eq!(decision.reason(), Reason::Preflight, "{order:?}");
        assert_eq!(
            (decision.key_index(), decision.source_index()),
            (None, None)
        );
        assert_eq!(
            none.decide("OPTIONS", "/v1", headers).reason(),
            Reason::KeyMatched
        );
        assert_eq!(
            policy.decide("POST", "/v1", headers).reason(),
            Reason::KeyMatched
        );
    }
}

#[test]
fn method_case_override_head() {
    for method in [
        "options",
        "Options",
        "OPTION",
        "OPTIONSX",
        "OPTIONS ",
        " OPTIONS",
        "OPTIONS\0",
        "get",
        "Get",
        "GETS",
        "GE",
        "head",
        "HEADER",
        "",
        "POST",
        "PUT",
        "DELETE",
        "TRACE",
        "CONNECT",
        "PROPFIND",
        "*",
    ] {
        let decision = decide(method, "/healthz", NONE);
        denied(decision, Reason::CredentialMissing);
    }
    for name in [
        "x-http-method-override",
        "x-http-method",
        "x-method-override",
    ] {
        for method in ["OPTIONS", "GET", "HEAD"] {
            let decision = decide("POST", "/healthz", [(name, method)]);
            denied(decision, Reason::CredentialMissing);
        }
    }
    denied(decide("HEAD", "/v1", NONE), Reason::CredentialMissing);
    let decision = decide("HEAD", "/healthz", NONE);
    assert_eq!(decision.reason(), Reason::Health);
}

#[test]
fn underscore_for_hyphen_in_names() {
    for name in [
        "x_api_key",
        "X_API_KEY",
        "x-api_key",
        "x.api.key",
        "x_api-key",
    ] {
        let decision = decide("GET", "/", [(name, KEY)]);
        denied(decision, Reason::CredentialMissing);
        // Neither does it shadow the real one.
        let headers = [(name, "sk-wrong"), ("x-api-key", KEY)];
        assert!(decide("GET", "/", headers).is_allow());
        // Nor does it reach the upstream, which may read it as the same.
        let right = decide("GET", "/", [("x-api-key", KEY)]);
        assert!(gate().drops(&right, name, ""));
    }
    for name in [
        "x-api-keys",
        "x-api",
        "xapikey",
        "x-api-key ",
        " x-api-key",
        "x-api-key\0",
    ] {
        let decision = decide("GET", "/", [(name, KEY)]);
        denied(decision, Reason::CredentialMissing);
    }
    // Nor does it rescue a wrong one where any source may, and only what holds a key is dropped of it.
    let policy = made(&open_handed());
    for name in ["x_api_key", "X.API-KEY", "Authorization", "x_goog.api_key"] {
        let headers = [("x-api-key", "sk-wrong"), (name, KEY)];
        let right = policy.decide("GET", "/", [("x-api-key", KEY)]);
        assert_eq!(
            policy.decide("GET", "/", headers).is_allow(),
            name == "Authorization"
        );
        assert!(policy.drops(&right, name, KEY), "{name}");
        assert!(!policy.drops(&right, name, "sk-wrong"), "{name}");
    }
}

#[test]
fn empty_header_name_header_cap() {
    let decision = gate().decide("GET", "/", [("", KEY)]);
    denied(decision, Reason::CredentialMissing);
    let headers = [("", "x"), ("x-api-key", KEY)];
    assert!(gate().decide("GET", "/", headers).is_allow());
    for last in [("x-api-key", KEY), ("authorization", "Bearer sk-wrong")] {
        let mut headers = vec![("cookie", "a=b"); 10_000];
        headers.push(last);
        let decision = gate().decide("GET", "/", &headers);
        assert_eq!(decision.is_allow(), last.1 == KEY);
        assert_eq!(decision.header_index(), Some(10_000));
    }
    // A deciding header behind any number of lesser ones still decides.
    let mut headers = vec![("x-api-key", KEY); 10_000];
    headers.push(("authorization", ""));
    let decision = gate().decide("GET", "/", &headers);
    denied(decision, Reason::CredentialUnusable);
    // Nor is there an end to the search for a right one.
    let mut headers = vec![("authorization", "Bearer sk-wrong"); 10_000];
    headers.extend([("", KEY), ("x-goog-api-key", KEY)]);
    let decision = made(&open_handed()).decide("GET", "/", &headers);
    assert_eq!(decision.header_index(), Some(10_001));
    assert!(decision.is_allow());
}

#[test]
fn obs_fold_controls_and_high_bytes() {
    let rescue = ("x-api-key", KEY.as_bytes());
    let controls = (0..=0x1f).filter(|byte| *byte != b'\t');
    for byte in controls.chain(0x7f..=0xff) {
        for place in [0, 7, KEY.len()] {
            let mut value = KEY.as_bytes().to_vec();
            value.insert(place, byte);
            let headers = [("authorization", value.as_slice()), rescue];
            denied(
                gate().decide("GET", "/", headers),
                Reason::CredentialUnusable,
            );
            // Where any source may decide, it is the other one that does, and this one only where
            // none is right; neither may hide that it was garbled.
            let policy = made(&open_handed());
            assert_eq!(policy.decide("GET", "/", headers).source_index(), Some(1));
            for wrong in ["sk-wrong", ""] {
                let headers = [("x-api-key", wrong.as_bytes()), headers[0]];
                let decision = policy.decide("GET", "/", headers);
                denied(decision, Reason::CredentialUnusable);
                assert_eq!(decision.header_index(), Some(1));
            }
        }
        let alone = [byte];
        let headers = [("authorization", alone.as_slice()), rescue];
        denied(
            gate().decide("GET", "/", headers),
            Reason::CredentialUnusable,
        );
    }
    for inner in [
        format!("Bearer\t{KEY}"),
        format!("Bearer  {KEY}"),
        format!("{KEY} {KEY}"),
    ] {
        let headers = [("authorization", inner.as_bytes()), rescue];
        denied(gate().decide("GET", "/", headers), Reason::KeyMismatch);
    }
}

#[test]
fn empty_key_equals_empty_credential() {
    let strict = Config::new(AuthMode::Strict);
    for config in [strict, strict.api_key(""), strict.keys(&[])] {
        let policy = Policy::new(&config).expect("a policy");
        assert_eq!(policy.key_count(), 0);
        for value in ["", " ", "\t", "Bearer", "Bearer ", "Bearer  ", "\0", "x"] {
            for name in ["authorization", "x-api-key"] {
                let decision = policy.decide("GET", "/", [(name, value)]);
                denied(decision, Reason::NoKeyConfigured);
            }
        }
        denied(policy.decide("GET", "/", NONE), Reason::NoKeyConfigured);
    }
    for keys in [&[Key::new("")][..], &[Key::new(KEY), Key::new("")]] {
        assert!(Policy::new(&strict.keys(keys)).is_err());
    }
    // With a key, nothing is still no credential.
    for (value, reason) in [
        ("", Reason::CredentialUnusable),
        (" \t", Reason::CredentialUnusable),
        ("Bearer ", Reason::KeyMismatch),
    ] {
        let decision = gate().decide("GET", "/", [("authorization", value)]);
        denied(decision, reason);
    }
    // Nor is what a client sends for a variable without a value.
    for value in ["undefined", "null", "None", "nil", "false", "0", "*"] {
        let decision = gate().decide("GET", "/", [("authorization", bearer(value))]);
        denied(decision, Reason::KeyMismatch);
    }
    // Nor does anything empty hold a key, where there are some and where there are none.
    let off = Config::new(AuthMode::Off).strip(Strip::Matched);
    for config in [open_handed(), off, off.keys(&[Key::new(KEY)])] {
        let policy = made(&config);
        let allowed = policy.decide("GET", "/healthz", NONE);
        for value in ["", " ", "\t ", "Bearer", "Bearer ", "Bearer \t", "\0"] {
            assert!(allowed.is_allow() && !policy.drops(&allowed, "authorization", value));
        }
    }
}

#[test]
fn length_taken_from_the_attacker_or_truncated() {
    let policy = gate();
    for len in 0..KEY.len() {
        let decision = policy.decide("GET", "/", [("x-api-key", &KEY[..len])]);
        assert!(!decision.is_allow(), "{len}");
    }
    // Lengths that equal the key's when cut to 8, 16 or 24 bits.
    for more in [1, 256, 65_536, 1 << 24] {
        for filler in ["\0", " ", "x"] {
            let value = format!("{KEY}{}x", filler.repeat(more - 1));
            let decision = policy.decide("GET", "/", [("x-api-key", &value)]);
            assert!(!decision.is_allow(), "{more} more");
        }
    }
    let longest = "k".repeat(256);
    let policy = Policy::new(&Config::new(AuthMode::Strict).api_key(&longest)).expect("a policy");
    for len in [0, 1, 255, 256, 257, 512, 65_536, 65_792] {
        let decision = policy.decide("GET", "/", [("x-api-key", "k".repeat(len))]);
        assert_eq!(decision.is_allow(), len == 256, "{len}");
    }
}

#[test]
fn error_read_as_success() {
    for reason in Reason::ALL {
        let allows = matches!(
            reason,
            Reason::Preflight | Reason::AuthOff | Reason::Health | Reason::KeyMatched
        );
        assert_eq!(reason.verdict() as i32, i32::from(allows), "{reason:?}");
        assert_eq!(reason.denial().is_none(), allows, "{reason:?}");
    }
}

#[test]
fn answer_that_tells_more_than_missing_or_invalid() {
    let answer = |value: &str| {
        let denial = gate().decide("GET", "/", [("x-api-key", value)]).denial();
        denial.map(|denial| (denial.body(), denial.challenge()))
    };
    let wrong = answer("x");
    let (begin, longer) = (&KEY[..KEY.len() - 1], format!("{KEY}0"));
    for value in ["", "\u{7f}", begin, &longer, &bearer(KEY)] {
        assert_eq!(answer(value), wrong);
    }
    // Nor does it tell which of several was looked at.
    let policy = made(&open_handed().allow_origin("https://a"));
    let answer = |headers: [(&str, &str); 2]| {
        let decision = policy.decide("GET", "/", headers);
        let fields = (0..).map_while(|index| policy.denial_header(&decision, index));
        let fields: Vec<_> = fields
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        (decision.denial().map(|denial| denial.body()), fields)
    };
    let wrong = answer([("authorization", "x"), ("x-api-key", "x")]);
    for value in ["", "\u{7f}", begin, &longer, &bearer(KEY)] {
        assert_eq!(
            answer([("x-api-key", value), ("x-goog-api-key", "x")]),
            wrong
        );
        assert_eq!(
            answer([("authorization", "x"), ("x-api-key", value)]),
            wrong
        );
    }
    // And a script of another site learns no more than one of this.
    let missing = answer([("a", "x"), ("b", "x")]).1;
    assert_eq!(missing[1..], wrong.1[1..]);
    assert_eq!(missing[4], "Vary: Origin");
}

/// The whole search for pieces of keys is `tests/secrecy.rs`.
#[test]
fn key_in_debug_logs_errors() {
    let policy = gate();
    let headers = [("authorization", bearer(KEY)), (KEY, bearer(KEY))];
    let config = Config::new(AuthMode::Strict).api_key(KEY);
    let error = Policy::new(&config.keys(&[])).expect_err("refused");
    let explanation = policy.explain(KEY, KEY, &headers);
    let decision = explanation.decision();
    let shown = format!(
        "{policy:?} {config:?} {decision:?} {explanation:?} {explanation} {error} {error:?}"
    );
    for start in 0..KEY.len() - 4 {
        let piece = &KEY[start..start + 4];
        assert!(!shown.contains(piece), "a piece of the key is shown");
    }
}

#[test]
fn key_forwarded_upstream() {
    for policy in [gate(), policy(AuthMode::Off), policy(AuthMode::Strict)] {
        let decision = policy.decide("GET", "/", [("x-api-key", KEY)]);
        for name in [
            "authorization",
            "Authorization",
            "AUTHORIZATION",
            "x-api-key",
            "X-API-KEY",
            "x_api_key",
            "x.api.key",
            "x-goog-api-key",
            "X-Goog.Api_Key",
        ] {
            assert!(policy.drops(&decision, name, ""), "{name}");
        }
        for name in [
            "host",
            "x-api",
            "authorizatio",
            "authorizations",
            "x+api-key",
            "x-a_i-key",
            "",
            "-",
        ] {
            assert!(!policy.drops(&decision, name, KEY), "{name}");
        }
    }
}

/// With `matched`, whatever was read as a key goes no further, nor does any other of the gate's keys,
/// wherever a client puts them; what belongs to somebody else goes on.
#[test]
fn key_forwarded_beside_what_belongs_to_somebody_else() {
    let keys = [Key::new("in ner key"), Key::new(KEY)];
    let sources = [
        Source::scheme("authorization", "Token"),
        Source::new("x-key"),
        Source::bearer("x_key"),
    ];
    let config = Config::new(AuthMode::AllExceptHealth)
        .keys(&keys)
        .sources(&sources);
    let config = config.match_mode(MatchMode::Any).strip(Strip::Matched);
    let policy = made(&config);
    let off = made(
        &Config::new(AuthMode::Off)
            .keys(&keys)
            .sources(&sources)
            .strip(Strip::Matched),
    );
    let headers = [("authorization", "sk-ant-oat"), ("x-key", KEY)];
    for decision in [
        policy.decide("GET", "/v1", headers),
        policy.decide("GET", "/healthz", headers),
        policy.decide("OPTIONS", "/v1", headers),
        off.decide("GET", "/v1", headers),
    ] {
        let dropped = |name: &str, value: &str| {
            assert!(decision.is_allow());
            policy.drops(&decision, name, value)
        };
        for (name, value) in [
            ("authorization", KEY.to_owned()),
            ("AUTHORIZATION", format!(" \t{KEY}\t ")),
            ("authorization", format!("tOKEN   {KEY}")),
            ("authorization", "Token in ner key".to_owned()),
            // By a scheme that no source has, or by none.
            ("authorization", format!("Basic {KEY}")),
            ("authorization", format!("a b\t{KEY} ")),
            // By what either of two names that are spelled alike would read.
            ("x-key", "Bearer in ner key".to_owned()),
            ("X.KEY", "in ner key".to_owned()),
            ("x_key", format!("Bearer  {KEY}")),
        ] {
            assert!(dropped(name, &value), "{name}: {value}");
        }
        for (name, value) in [
            ("authorization", "Bearer sk-ant-oat".to_owned()),
            ("authorization", "Bearer in ner key".to_owned()),
            ("authorization", format!("{KEY}x")),
            ("authorization", format!("x{KEY}")),
            ("authorization", KEY[1..].to_owned()),
            ("x-keys", KEY.to_owned()),
            ("cookie", KEY.to_owned()),
        ] {
            assert!(!dropped(name, &value), "{name}: {value}");
        }
    }
}

/// What is to tell the upstream whose key it was, the client writes in no spelling, before no
/// decision, and in no tunnel.
#[test]
fn client_that_writes_the_identity_header() {
    let keys = [Key::new(KEY).label("alice")];
    for strip in [Strip::Sources, Strip::Matched, Strip::Off] {
        let config = open_handed().strip(strip).identity_header("X-User.Name");
        let policy = made(&config);
        let off = made(
            &Config::new(AuthMode::Off)
                .keys(&keys)
                .strip(strip)
                .identity_header("x-user-name"),
        );
        for (policy, method, target) in [
            (&policy, "GET", "/v1"),
            (&policy, "HEAD", "/healthz"),
            (&off, "GET", "/"),
            (&off, "OPTIONS", "/"),
        ] {
            let decision = policy.decide(method, target, [("x-api-key", KEY)]);
            assert!(decision.is_allow());
            for name in ["x-user-name", "X_USER_NAME", "x.user-name", "X-User.Name"] {
                assert!(policy.drops(&decision, name, ""), "{name}");
                assert!(policy.drops(&decision, name, "alice"), "{name}");
            }
            for name in ["upgrade", "Upgrade", "UPGRADE"] {
                for protocol in ["h2c", "", "websocket, h2c", "websockets", "web socket"] {
                    assert!(policy.drops(&decision, name, protocol), "{protocol}");
                }
                let keyless = decision.reason() == Reason::Health;
                let keyless = keyless || decision.reason() == Reason::Preflight;
                assert_eq!(policy.drops(&decision, name, " WebSocket\t"), keyless);
            }
            for name in ["x-user", "x-user-names", "x+user-name", "connection"] {
                assert!(!policy.drops(&decision, name, "alice"), "{name}");
            }
        }
    }
    // Nor is it one that means something else already.
    for name in [
        "x_api.key",
        "Origin",
        "access_control_request-method",
        "UPGRADE",
        "x.original_url",
        "te",
    ] {
        assert!(
            Policy::new(&open_handed().identity_header(name)).is_err(),
            "{name}"
        );
    }
}

const BEYOND_ONE_REQUEST: [&str; 9] = [
    "Upgrade",
    "uPGRADE",
    "HTTP2-Settings",
    "http2_settings",
    "X-HTTP-Method",
    "X-HTTP-Method-Override",
    "X_Method.Override",
    "x-original-url",
    "X-Rewrite-URL",
];

#[test]
fn keyless_allow_that_becomes_a_connection() {
    let keyless = [
        gate().decide("OPTIONS", "/", NONE),
        gate().decide("GET", "/healthz", NONE),
        gate().decide("HEAD", "/healthz?x", [("x-api-key", KEY)]),
    ];
    for name in BEYOND_ONE_REQUEST {
        for decision in keyless {
            assert!(
                decision.is_allow() && gate().drops(&decision, name, "h2c"),
                "{name}"
            );
        }
        // With a key, or where none is asked for, a connection may be opened.
        let right = gate().decide("GET", "/", [("x-api-key", KEY)]);
        assert!(!gate().drops(&right, name, "websocket"), "{name}");
        let off = policy(AuthMode::Off);
        assert!(
            !off.drops(&off.decide("GET", "/", NONE), name, "websocket"),
            "{name}"
        );
    }
    for name in ["connection", "upgrades", "origin", "x-original-uri"] {
        assert!(!gate().drops(&keyless[0], name, ""), "{name}");
    }
    // The same of a preflight that is told by its headers.
    let policy = made(&open_handed());
    let headers = [
        ("origin", ""),
        ("access-control-request-method", ""),
        ("x-api-key", KEY),
    ];
    let keyless = policy.decide("OPTIONS", "/", headers);
    for name in BEYOND_ONE_REQUEST {
        assert!(
            keyless.is_allow() && policy.drops(&keyless, name, "websocket"),
            "{name}"
        );
    }
}

/// Where credentials are forwarded, these are not, whatever the sources are called.
#[test]
fn kept_credential_that_makes_another_request() {
    for name in &BEYOND_ONE_REQUEST[2..] {
        let spelled = name.replace(['_', '.'], "-");
        let sources = [Source::new(&spelled)];
        let config = Config::new(AuthMode::Strict).api_key(KEY).sources(&sources);
        for strip in [Strip::Off, Strip::Matched] {
            let policy = Policy::new(&config.strip(strip)).expect("a policy");
            let keyless = policy.decide("OPTIONS", "/", NONE);
            let right = policy.decide("GET", "/", [(&*spelled, KEY)]);
            assert!(policy.drops(&keyless, name, "other"), "{name}");
            assert!(
                right.is_allow() && !policy.drops(&right, name, "other"),
                "{name}"
            );
            assert!(!policy.drops(&keyless, "x-api-key", KEY), "{name}");
        }
    }
}

#[test]
fn denied_request_forwarded_by_a_later_phase() {
    let denied = decide("POST", "/", NONE);
    let strips = [Strip::Sources, Strip::Matched, Strip::Off];
    for policy in strips.map(|strip| made(&open_handed().strip(strip))) {
        for name in ["host", "accept", "x-api-key", "upgrade", ""] {
            assert!(policy.drops(&denied, name, ""), "{name}");
        }
    }
}

#[test]
fn fragment_behind_an_exempt_path() {
    for target in [
        "/healthz#",
        "/healthz#x",
        "/healthz#/../private/s.txt",
        "/healthz?#",
        "/healthz?a#b",
        "/healthz?a=b&c#/../../v1",
        "/healthz#a?b",
        "#/healthz",
        "/healthz##",
    ] {
        let decision = decide("GET", target, NONE);
        denied(decision, Reason::CredentialMissing);
        assert!(decide("GET", target, [("x-api-key", KEY)]).is_allow());
    }
    assert!(decide("GET", "/healthz?%23", NONE).is_allow());
}

#[test]
fn variable_that_nobody_expanded() {
    for key in [
        "$KEY",
        "$_",
        "$key_2",
        "${KEY}",
        "${KEY:-}",
        "${ }",
        "{{KEY}}",
        "{{ secrets.key }}",
        "{{}}",
        "$env://KEY",
        "$env://",
        "%KEY%",
        "%_%",
    ] {
        let error = Policy::new(&Config::new(AuthMode::Strict).api_key(key)).unwrap_err();
        assert_eq!(error.kind(), keygate::ConfigErrorKind::KeyVariable, "{key}");
        let keys = [Key::new(KEY), Key::new(key).label("second")];
        let error = Policy::new(&Config::new(AuthMode::Off).keys(&keys)).unwrap_err();
        assert_eq!(error.index(), Some(1), "{key}");
        assert!(!format!("{error} {error:?}").contains(key));
    }
    for key in [
        "$",
        "$1",
        "$KEY-x",
        "$$KEY",
        "x$KEY",
        "${}",
        "${KEY}x",
        "{KEY}",
        "{{KEY}",
        "{{}",
        "%%",
        "%1%",
        "%KEY",
        "%K Y%",
        "$env:/KEY",
        "sk-${KEY}",
    ] {
        assert!(
            Policy::new(&Config::new(AuthMode::Strict).api_key(key)).is_ok(),
            "{key}"
        );
    }
}

#[test]
fn label_or_path_that_ends_a_line() {
    for label in ["a b", "a\n", "a\rb", "\u{7f}", "é", "\t", "a\0"] {
        let keys = [Key::new(KEY).label(label)];
        let error = Policy::new(&Config::new(AuthMode::Strict).keys(&keys)).unwrap_err();
        assert_eq!(
            error.kind(),
            keygate::ConfigErrorKind::LabelByte,
            "{label:?}"
        );
    }
    for path in ["/a b", "/a\n", "/\u{7f}", "/é", "/\t", "/\0"] {
        let exempt = [Exempt::new(path)];
        let error = Policy::new(&Config::new(AuthMode::Strict).exempt(&exempt)).unwrap_err();
        assert_eq!(
            error.kind(),
            keygate::ConfigErrorKind::ExemptByte,
            "{path:?}"
        );
    }
}

#[test]
fn torn_stale_or_emptied_key_on_reload() {
    // A policy is not changed by what comes after it: a bad new configuration makes none.
    let old = gate();
    let too_long = "k".repeat(257);
    for bad in ["\u{7f}", " k", "k\t", "k\n", &too_long] {
        assert!(Policy::new(&Config::new(AuthMode::Strict).api_key(bad)).is_err());
        assert!(old.decide("GET", "/", [("x-api-key", KEY)]).is_allow());
    }
    // The configuration's bytes are not looked at any more once it is made.
    let mut secret = KEY.to_owned();
    let made = Policy::new(&Config::new(AuthMode::Strict).api_key(&secret)).expect("a policy");
    secret.replace_range(.., "sk-fedcba9876543210");
    assert!(made.decide("GET", "/", [("x-api-key", KEY)]).is_allow());
    assert!(!made.decide("GET", "/", [("x-api-key", &secret)]).is_allow());
}

#[test]
fn equal_keys_and_keys_that_contain_each_other() {
    let strict = Config::new(AuthMode::Strict);
    let policy = Policy::new(&strict.keys(&[Key::new(KEY); 8])).expect("a policy");
    let decision = policy.decide("GET", "/", [("x-api-key", KEY)]);
    assert_eq!(decision.key_index(), Some(0));
    let keys = ["sk-abc", "sk-ab", "sk-abcd", "sk-ab"].map(Key::new);
    let policy = Policy::new(&strict.keys(&keys)).expect("a policy");
    for (sent, key) in [
        ("sk-a", None),
        ("sk-ab", Some(1)),
        ("sk-abc", Some(0)),
        ("sk-abcd", Some(2)),
        ("sk-abcde", None),
    ] {
        let decision = policy.decide("GET", "/", [("x-api-key", sent)]);
        assert_eq!(decision.key_index(), key, "{sent}");
    }
}

#[test]
fn key_that_starts_with_bearer() {
    let key = "Bearer sk-x";
    let policy = Policy::new(&Config::new(AuthMode::Strict).api_key(key)).expect("a policy");
    let allows = |name, value| policy.decide("GET", "/", [(name, value)]).is_allow();
    assert!(allows("x-api-key", key));
    assert!(allows("authorization", "Bearer Bearer sk-x"));
    assert!(!allows("authorization", key));
    assert!(!allows("authorization", "sk-x"));
    // The same of a scheme, which is read in any case, before any spaces, and once.
    let sources = [Source::scheme("authorization", "ApiKey")];
    let config = Config::new(AuthMode::Strict).sources(&sources);
    for key in ["ApiKey sk-x", "apikey  sk-x", "ApiKey"] {
        let policy = made(&config.api_key(key));
        let allows = |value: &str| {
            policy
                .decide("GET", "/", [("authorization", value)])
                .is_allow()
        };
        assert!(allows(&format!("APIKEY   {key}")));
        assert_eq!(allows(key), key == "ApiKey");
        assert!(!allows("sk-x") && !allows("ApiKey sk-x ApiKey sk-x"));
        assert!(!allows(&format!("ApiKey:{key}")) && !allows(&format!("ApiKey\t{key}")));
    }
}

#[test]
fn huge_values() {
    for len in [65_536, 1 << 20] {
        for fill in ["a", " ", "\t", "\u{ff}"] {
            let value = fill.repeat(len);
            for name in ["authorization", "x-api-key", &value] {
                let decision = decide(&value, &value, [(name, &value)]);
                assert!(!decision.is_allow());
            }
        }
        let padded = format!("{0}{KEY}{0}", " ".repeat(len));
        let decision = decide("GET", "/", [("x-api-key", &padded)]);
        assert!(decision.is_allow());
        let policy = made(&open_handed());
        assert!(policy.drops(&decision, "x-api-key", &padded));
        let behind = format!("{} {KEY}", "a".repeat(len));
        assert!(policy.drops(&decision, "x-api-key", &behind));
        assert!(!policy.drops(&decision, "x-api-key", &behind[..len + 5]));
    }
}

#[test]
fn configuration_that_opens_more_than_it_says() {
    let open = Config::new(AuthMode::AllExceptHealth).api_key(KEY);
    for path in ["", "healthz", "*", "/healthz?", "/#", "?"] {
        assert!(Policy::new(&open.exempt(&[Exempt::new(path)])).is_err());
    }
    // No wildcards: each byte stands for itself.
    let exempt = ["/*", "/h.*", "/"].map(Exempt::new);
    let policy = Policy::new(&open.exempt(&exempt)).expect("a policy");
    for target in ["/v1", "/h", "/health", "//", "/*/v1"] {
        let decision = policy.decide("GET", target, NONE);
        denied(decision, Reason::CredentialMissing);
    }
    for name in ["", "x api", "x-api-key:", "x-api-key\r\n", "é"] {
        assert!(Policy::new(&open.sources(&[Source::new(name)])).is_err());
    }
    for mode in ["", "none", "OFF", "disabled", "strict ", "auto\0", "0"] {
        assert!(mode.parse::<AuthMode>().is_err(), "{mode:?}");
    }
    for (field, names) in [
        ("match", ["Any", "all", "any ", ""]),
        ("preflight", ["off", "CORS", "option", "*"]),
        ("strip", ["on", "match", "none", "Off"]),
    ] {
        for name in names {
            let text = format!(r#"{{"auth_mode": "strict", "{field}": "{name}"}}"#);
            assert!(Policy::parse(&text, None).is_err(), "{text}");
        }
    }
}

/// What only a caller in C can do, from here so that planted bugs, mutants and coverage reach the
/// boundary too. More of it, in C, with sanitizers and guard pages: `tests/c`.
#[cfg(feature = "capi")]
#[allow(clippy::borrow_as_ptr)] // as a caller in C would
mod from_c {
    use std::mem::size_of;
    use std::ptr;

    use keygate::ffi::*;

    use super::KEY;

    const HALF: usize = isize::MAX.unsigned_abs();

    fn text(bytes: &str) -> keygate_str {
        keygate_str {
            ptr: bytes.as_ptr().cast(),
            len: bytes.len(),
        }
    }

    /// At an address that nobody may follow.
    fn at(address: usize, len: usize) -> keygate_str {
        let ptr = ptr::with_exposed_provenance(address);
        keygate_str { ptr, len }
    }

    fn init(config: *const keygate_config) -> (Box<keygate_policy>, keygate_status) {
        // What was there before must not matter.
        let opaque = [u64::MAX; KEYGATE_POLICY_WORDS];
        let mut policy = Box::new(keygate_policy { opaque });
        let size = size_of::<keygate_policy>();
        let status =
            unsafe { keygate_policy_init(&raw mut *policy, size, config, ptr::null_mut()) };
        (policy, status)
    }

    fn config() -> keygate_config {
        keygate_config {
            size: size_of::<keygate_config>(),
            auth_mode: KEYGATE_MODE_STRICT,
            flags: 0,
            api_key: text(KEY),
            keys: ptr::null(),
            key_count: 0,
            sources: ptr::null(),
            source_count: 0,
            exempt: ptr::null(),
            exempt_count: 0,
            r#match: 0,
            preflight: 0,
            strip: 0,
            identity_header: text(""),
            allow_origin: text(""),
        }
    }

    fn right_key() -> [keygate_header; 1] {
        let (name, value) = (text("x-api-key"), text(KEY));
        [keygate_header { name, value }]
    }

    fn request(headers: &[keygate_header]) -> keygate_request {
        keygate_request {
            size: size_of::<keygate_request>(),
            method: text("GET"),
            target: text("/v1"),
            headers: headers.as_ptr(),
            header_count: headers.len(),
        }
    }

    /// The verdict and the reason, from a decision that claimed to be an allow before.
    fn decide(policy: *const keygate_policy, request: *const keygate_request) -> (i32, i32) {
        let mut out = keygate_decision {
            size: size_of::<keygate_decision>(),
            verdict: KEYGATE_ALLOW,
            reason: KEYGATE_REASON_KEY_MATCHED,
            effective_mode: KEYGATE_MODE_OFF,
            source: 0,
            key: 0,
            flags: 0,
            header: 0,
        };
        let verdict = unsafe { keygate_decide(policy, request, &raw mut out) };
        assert_eq!(verdict, out.verdict);
        let alone = unsafe { keygate_decide(policy, request, ptr::null_mut()) };
        assert_eq!(verdict, alone);
        (verdict, out.reason)
    }

    const MATCHED: (i32, i32) = (KEYGATE_ALLOW, KEYGATE_REASON_KEY_MATCHED);
    const INVALID: (i32, i32) = (KEYGATE_DENY, KEYGATE_REASON_INVALID_CALL);

    fn made() -> Box<keygate_policy> {
        let (policy, status) = init(&config());
        assert_eq!(status, KEYGATE_OK);
        assert_eq!(decide(&raw const *policy, &request(&right_key())), MATCHED);
        policy
    }

    #[test]
    fn null_misaligned_overflowing_pointers() {
        let (policy, headers) = (made(), right_key());
        let policy = &raw const *policy;
        let sound = request(&headers);
        assert_eq!(decide(ptr::null(), &sound), INVALID);
        assert_eq!(decide(policy, ptr::null()), INVALID);
        assert_eq!(decide(policy.wrapping_byte_add(1), &sound), INVALID);
        let misaligned = (&raw const sound).wrapping_byte_add(1);
        assert_eq!(decide(policy, misaligned), INVALID);
        let (name, value) = (text("x-api-key"), text(KEY));
        for bad in [
            at(0, 1),
            at(0, usize::MAX),
            at(1, HALF + 1),
            at(usize::MAX, 2),
            at(HALF, usize::MAX),
        ] {
            let method = keygate_request {
                method: bad,
                ..sound
            };
            assert_eq!(decide(policy, &method), INVALID);
            let target = keygate_request {
                target: bad,
                ..sound
            };
            assert_eq!(decide(policy, &target), INVALID);
            // A pointer is checked where it is followed: no source has a name so long.
            let named = [keygate_header { name: bad, value }];
            let missing = (KEYGATE_DENY, KEYGATE_REASON_CREDENTIAL_MISSING);
            assert_eq!(decide(policy, &request(&named)), missing);
            let valued = [keygate_header { name, value: bad }];
            assert_eq!(decide(policy, &request(&valued)), INVALID);
        }
        for (headers, header_count) in [
            (ptr::null(), 1),
            (headers.as_ptr().wrapping_byte_add(1), 1),
            (headers.as_ptr(), usize::MAX),
            (headers.as_ptr(), HALF / size_of::<keygate_header>() + 1),
        ] {
            let bad = keygate_request {
                headers,
                header_count,
                ..sound
            };
            assert_eq!(decide(policy, &bad), INVALID);
        }
        // A length of 0 makes its pointer irrelevant.
        let none = keygate_request {
            headers: ptr::null(),
            header_count: 0,
            target: at(0, 0),
            ..sound
        };
        assert_eq!(decide(policy, &none).1, KEYGATE_REASON_CREDENTIAL_MISSING);
    }

    #[test]
    fn unknown_enum_stale_struct_size() {
        #[repr(C)]
        struct Longer(keygate_config, usize); // no padding between them

        let headers = right_key();
        let refuse = |config: *const keygate_config, expected| {
            let (policy, status) = init(config);
            assert_eq!(status, expected);
            // What was not made denies, whatever the caller makes of the status.
            assert_eq!(decide(&raw const *policy, &request(&headers)), INVALID);
        };
        for auth_mode in [-1, 4, i32::MAX, i32::MIN, 1 << 8, 1 << 16, (1 << 8) + 1] {
            let unknown = keygate_config {
                auth_mode,
                ..config()
            };
            refuse(&unknown, KEYGATE_ERR_MODE);
        }
        for unknown in [-1, 3, i32::MAX, i32::MIN, 1 << 8, (1 << 16) + 1] {
            let matched = keygate_config {
                r#match: unknown,
                ..config()
            };
            refuse(&matched, KEYGATE_ERR_MATCH);
            let preflight = keygate_config {
                preflight: unknown,
                ..config()
            };
            refuse(&preflight, KEYGATE_ERR_PREFLIGHT);
            let strip = keygate_config {
                strip: unknown,
                ..config()
            };
            refuse(&strip, KEYGATE_ERR_STRIP);
        }
        let flags = keygate_config {
            flags: 1 << 31,
            ..config()
        };
        refuse(&flags, KEYGATE_ERR_FLAGS);
        let sized = |size| keygate_config { size, ..config() };
        for size in [0, 1, size_of::<usize>(), usize::MAX] {
            refuse(&sized(size), KEYGATE_ERR_SIZE);
        }
        // A shorter, older struct has no key: it denies. A longer one whose rest says something
        // that is not known is refused.
        let (policy, status) = init(&sized(2 * size_of::<usize>()));
        assert_eq!(status, KEYGATE_OK);
        let reason = decide(&raw const *policy, &request(&headers)).1;
        assert_eq!(reason, KEYGATE_REASON_NO_KEY_CONFIGURED);
        let mut longer = Longer(sized(size_of::<Longer>()), 0);
        let long = |longer: &Longer| (&raw const *longer).cast::<keygate_config>();
        let (policy, status) = init(long(&longer));
        assert_eq!(status, KEYGATE_OK);
        assert_eq!(decide(&raw const *policy, &request(&headers)), MATCHED);
        longer.1 = 1;
        refuse(long(&longer), KEYGATE_ERR_SIZE);
    }

    #[test]
    fn error_code_read_as_success() {
        let (policy, headers) = (made(), right_key());
        for size in [0, size_of::<usize>(), usize::MAX] {
            let bad = keygate_request {
                size,
                ..request(&headers)
            };
            assert_eq!(decide(&raw const *policy, &bad), INVALID);
        }
        let mut out = keygate_decision {
            size: 0,
            verdict: KEYGATE_ALLOW,
            reason: KEYGATE_REASON_KEY_MATCHED,
            effective_mode: KEYGATE_MODE_OFF,
            source: 0,
            key: 0,
            flags: 0,
            header: 0,
        };
        let request = request(&headers);
        // Where the reason cannot be told, the answer is no.
        let verdict =
            unsafe { keygate_decide(&raw const *policy, &raw const request, &raw mut out) };
        assert_eq!(verdict, KEYGATE_DENY);
        assert_eq!(out.reason, KEYGATE_REASON_KEY_MATCHED, "it has no room");
    }

    #[test]
    fn zeroed_copied_wiped_refused_policies() {
        let headers = right_key();
        let request = request(&headers);
        let mut policy = Box::new(keygate_policy {
            opaque: [0; KEYGATE_POLICY_WORDS],
        });
        assert_eq!(decide(&raw const *policy, &request), INVALID);
        policy.opaque = made().opaque;
        assert_eq!(decide(&raw const *policy, &request), MATCHED);
        unsafe { keygate_policy_wipe(&raw mut *policy) };
        assert_eq!(decide(&raw const *policy, &request), INVALID);
        let empty = policy.opaque.iter().all(|word| *word == 0);
        assert!(empty, "something is left of the key");
        unsafe { keygate_policy_wipe(ptr::null_mut()) };
        // What does not know its headers strips all of them.
        let off = keygate_decision {
            size: size_of::<keygate_decision>(),
            verdict: KEYGATE_ALLOW,
            reason: KEYGATE_REASON_AUTH_OFF,
            effective_mode: KEYGATE_MODE_OFF,
            source: -1,
            key: -1,
            flags: 0,
            header: usize::MAX,
        };
        let host = text("host");
        assert!(unsafe { keygate_policy_drops(&raw const *policy, &off, host, host) });
        policy.opaque = made().opaque;
        let short = size_of::<keygate_policy>() - 1;
        let status =
            unsafe { keygate_policy_init(&raw mut *policy, short, &config(), ptr::null_mut()) };
        assert_eq!(status, KEYGATE_ERR_SIZE);
        assert_eq!(decide(&raw const *policy, &request), INVALID);
    }

    #[test]
    fn drops_after_what_is_no_allow() {
        let policy = made();
        let drops = |verdict, reason| {
            let decision = keygate_decision {
                size: size_of::<keygate_decision>(),
                verdict,
                reason,
                effective_mode: KEYGATE_MODE_STRICT,
                source: -1,
                key: -1,
                flags: 0,
                header: usize::MAX,
            };
            let (name, value) = (text("host"), text(""));
            unsafe { keygate_policy_drops(&raw const *policy, &raw const decision, name, value) }
        };
        assert!(!drops(KEYGATE_ALLOW, KEYGATE_REASON_KEY_MATCHED));
        for verdict in [KEYGATE_DENY, 2, -1, i32::MAX, i32::MIN] {
            assert!(drops(verdict, KEYGATE_REASON_KEY_MATCHED), "{verdict}");
        }
        for reason in [
            0,
            -1,
            5,
            15,
            99,
            KEYGATE_REASON_KEY_MISMATCH,
            KEYGATE_REASON_INVALID_CALL,
        ] {
            assert!(drops(KEYGATE_ALLOW, reason), "{reason}");
        }
    }

    #[test]
    fn evaluations_never_begun_begun_badly_finished_twice() {
        let policy = made();
        let policy = &raw const *policy;
        let null = at(0, 3);
        let mut evaluation = keygate_evaluation {
            opaque: [0; KEYGATE_EVALUATION_WORDS],
        };
        let evaluation = &raw mut evaluation;
        let begin = |policy, method| unsafe {
            let size = size_of::<keygate_evaluation>();
            keygate_evaluation_begin(evaluation, size, policy, method, text("/v1"));
        };
        let push = |name| unsafe { keygate_evaluation_push(evaluation, name, text(KEY)) };
        let finish = || unsafe { keygate_evaluation_finish(evaluation, ptr::null_mut()) };
        assert_eq!(finish(), KEYGATE_DENY);
        begin(policy, text("GET"));
        push(text("x-api-key"));
        assert_eq!(finish(), KEYGATE_ALLOW);
        assert_eq!(finish(), KEYGATE_DENY);
        for (policy, method) in [(ptr::null(), text("GET")), (policy, null)] {
            begin(policy, method);
            push(text("x-api-key"));
            assert_eq!(finish(), KEYGATE_DENY);
        }
        // A bad header spoils the whole, as it does in keygate_decide, where it is looked at.
        for (len, verdict) in [(9, KEYGATE_DENY), (8, KEYGATE_ALLOW)] {
            begin(policy, text("GET"));
            push(keygate_str { len, ..null });
            push(text("x-api-key"));
            assert_eq!(finish(), verdict);
        }
        let nothing = unsafe { keygate_evaluation_finish(ptr::null_mut(), ptr::null_mut()) };
        assert_eq!(nothing, KEYGATE_DENY);
    }
}
