//! What happens where a capacity ends, and other corners that branch coverage showed to be bare.

#[allow(dead_code)]
mod model;

use keygate::{AuthMode, Config, Exempt, Finding, Key, Language, Lint, Policy, generate_key};
use model::Request;

/// Whether a path is told to be nearly the exempt one, after the model has said the same.
fn is_near(exempt: &str, target: &str) -> bool {
    let config = model::Config {
        auth_mode: "all_except_health".to_owned(),
        keys: vec![b"k".to_vec()],
        sources: vec![],
        exempt: vec![exempt.into()],
        ..model::Config::default()
    };
    let request = Request {
        method: b"GET".to_vec(),
        target: target.into(),
        headers: vec![],
    };
    let policy = config.policy().expect("a policy");
    let headers: [(&str, &str); 0] = [];
    let findings = policy.explain("GET", target, headers).findings();
    let names: Vec<_> = findings.iter().map(Finding::name).collect();
    assert_eq!(names, model::findings::find(&config, &request), "{target}");
    findings.contains(Finding::HealthNearMiss)
}

/// A segment, or a path, that no exempt path has room for is kept in mind until `..` takes it off.
#[test]
fn near_misses_that_are_long_before_they_are_short() {
    let long = "l".repeat(65);
    let full = format!("/{}", "f".repeat(63));
    for (exempt, target, near) in [
        ("/healthz", format!("/{long}/../healthz"), true),
        ("/healthz", format!("/{long}/x/../../healthz"), true),
        ("/healthz", format!("/{long}/x/../healthz"), false),
        ("/healthz", format!("/{long}/healthz/.."), false),
        ("/healthz", format!("/healthz/{long}/.."), true),
        ("/healthz", format!("/healthz/{long}"), false),
        (&full, format!("{full}/x/.."), true),
        (&full, format!("{full}/x/y/../.."), true),
        (&full, format!("{full}/x"), false),
        (&full, format!("{full}f"), false),
        (&full, format!("{full}/"), true),
        // What does not fit stays too long, whatever follows it.
        ("/healthz", format!("/{long};x/healthz"), false),
        (&full, format!("{full}ff;x"), false),
        (&full, format!("{full}ff"), false),
    ] {
        assert_eq!(is_near(exempt, &target), near, "{target}");
    }
}

#[test]
fn the_exempt_path_that_is_meant_is_named() {
    let exempt = ["/alive", "/ready"].map(Exempt::new);
    for (mode, target) in [
        (AuthMode::Strict, "/ready"),
        (AuthMode::AllExceptHealth, "/ready/"),
    ] {
        let config = Config::new(mode).api_key("k").exempt(&exempt);
        let policy = Policy::new(&config).expect("a policy");
        let text = policy.explain("GET", target, [("a", "b")]).to_string();
        let problem = text.lines().find(|line| line.starts_with("problem"));
        let problem = problem.expect("a problem");
        assert!(
            problem.contains("/ready") && !problem.contains("/alive"),
            "{text}"
        );
    }
}

#[test]
fn a_push_tells_whether_the_next_can_matter() {
    let policy = Policy::new(&Config::new(AuthMode::Strict).api_key("k")).expect("a policy");
    let mut evaluation = policy.evaluate("GET", "/");
    for (name, more) in [
        ("accept", true),
        ("x-goog-api-key", true),
        ("x-api-key", true),
        ("authorization", false),
        ("authorization", false),
        ("accept", false),
    ] {
        assert_eq!(evaluation.push(name, "k"), more, "{name}");
    }
    assert_eq!(evaluation.finish().header_index(), Some(3));
    assert!(!policy.evaluate("OPTIONS", "/").push("accept", "k"));
}

#[test]
fn the_word_bearer_alone_is_told_from_a_wrong_key() {
    let policy = Policy::new(&Config::new(AuthMode::Strict).api_key("k")).expect("a policy");
    for (value, alone) in [
        ("Bearer", true),
        ("Bearer ", true),
        ("bearer", true),
        ("Bearer x", false),
        ("x", false),
    ] {
        let text = policy
            .explain("GET", "/", [("authorization", value)])
            .to_string();
        assert_eq!(
            text.contains("nothing stands after Bearer"),
            alone,
            "{value}"
        );
    }
}

#[test]
fn a_fresh_key_has_every_digit_of_its_randomness() {
    let digits = 0x0009_0a0f_9099_9a9f_a0a9_aaaf_f0f9_faff_u128;
    let key = generate_key(&digits.to_be_bytes());
    assert_eq!(key.as_str(), format!("sk-{digits:032x}"));
    assert_eq!(key.as_bytes(), key.as_str().as_bytes());
    assert_eq!(key.as_ref(), key.as_bytes());
    assert_eq!(key.to_string(), key.as_str());
    // It can be used as it is.
    let policy = Policy::new(&Config::new(AuthMode::Strict).api_key(&key)).expect("a policy");
    assert!(
        policy
            .decide("GET", "/", [("x-api-key", key.as_bytes())])
            .is_allow()
    );
}

#[test]
fn keys_are_counted_and_named() {
    let keys = [Key::new("a").label("laptop"), Key::new("b")];
    let policy = Policy::new(&Config::new(AuthMode::Strict).keys(&keys)).expect("a policy");
    assert_eq!(policy.key_count(), 2);
    assert_eq!(policy.key_label(0), Some(b"laptop".as_slice()));
    assert_eq!((policy.key_label(1), policy.key_label(2)), (None, None));
    // Of keys, only how many there are is shown.
    let shown = format!("{policy:?}");
    assert!(
        shown.contains("Strict") && shown.contains("keys: 2"),
        "{shown}"
    );
}

/// They are the status codes and reasons of the C interface.
#[test]
fn numbers_are_pinned() {
    use keygate::ConfigErrorKind as Kind;
    use keygate::Reason;

    let kinds = [
        Kind::ApiKeyAndKeys,
        Kind::TooManyKeys,
        Kind::KeyEmpty,
        Kind::KeyTooLong,
        Kind::KeyByte,
        Kind::KeyEdge,
        Kind::LabelTooLong,
        Kind::TooManySources,
        Kind::SourceTooLong,
        Kind::SourceNotToken,
        Kind::SourceTwice,
        Kind::TooManyExempt,
        Kind::ExemptTooLong,
        Kind::ExemptNoSlash,
        Kind::ExemptNotPath,
    ];
    assert!(kinds.into_iter().map(Kind::code).eq((-30..=-16).rev()));
    let reasons = [1, 2, 3, 4, 16, 17, 18, 19, 32];
    assert!(Reason::ALL.into_iter().map(Reason::code).eq(reasons));
    let rules = [2, 1, 3, 7, 4, 5, 6, 8].map(Some).into_iter().chain([None]);
    assert!(Reason::ALL.into_iter().map(Reason::rule).eq(rules));
}

#[test]
fn errors_name_the_field_and_the_entry() {
    let strict = Config::new(AuthMode::Strict);
    let error = |config: &Config<'_>| {
        let error = Policy::new(config).expect_err("refused");
        (error.index(), error.to_string())
    };
    let keys = [Key::new("k"), Key::new("")];
    let (index, text) = error(&strict.keys(&keys));
    assert_eq!(index, Some(1));
    assert!(text.starts_with("keys[1].key: the key is empty"), "{text}");
    let (index, text) = error(&strict.api_key("k "));
    assert_eq!(index, None);
    assert!(
        text.starts_with("api_key: the key starts or ends"),
        "{text}"
    );
    let (index, text) = error(&strict.keys(&[Key::new("k"); 9]));
    assert_eq!(index, None);
    assert!(text.starts_with("keys: there are more"), "{text}");
    for mode in ["off", "strict", "all_except_health", "auto"] {
        let parsed: AuthMode = mode.parse().expect("a mode");
        assert_eq!(parsed.to_string(), mode);
        let effective = parsed.effective(true).to_string();
        let expected = if mode == "auto" {
            "all_except_health"
        } else {
            mode
        };
        assert_eq!(effective, expected);
    }
}

#[test]
fn a_value_would_match_mended_where_quotes_and_bearer_are_all_that_is_wrong() {
    let policy = Policy::new(&Config::new(AuthMode::Strict).api_key("sk-a")).expect("a policy");
    for (name, value, mended) in [
        ("authorization", "Bearersk-a", true),
        ("authorization", "bearer sk-a", true),
        ("authorization", "Bearer  sk-a", true),
        ("x-api-key", "\"sk-a\"", true),
        ("authorization", "Bearer \"sk-a\"", true),
        ("authorization", "Bearer Bearer 'sk-a'", true),
        ("x-api-key", "Bearer sk-a", true),
        ("api-key", "sk-a", true),
        ("api-key", "\"sk-a\"", true),
        ("authorization", "Bearersk-b", false),
        ("x-api-key", "Bearer sk-b", false),
        ("api-key", "sk-b", false),
        // Nothing of the kind is wrong with these.
        ("x-api-key", "sk-b", false),
        ("authorization", "Bearer sk-a", false),
    ] {
        let explanation = policy.explain("GET", "/", [(name, value)]);
        assert_eq!(explanation.would_match_mended(), mended, "{name}: {value}");
    }
    // One that would match is enough, wherever it stands.
    for order in [["sk-a", "sk-b"], ["sk-b", "sk-a"]] {
        let headers = order.map(|value| ("api-key", value));
        assert!(policy.explain("GET", "/", headers).would_match_mended());
    }
}

#[test]
fn what_is_shown_says_what_it_is() {
    use keygate::Reason;

    for reason in Reason::ALL {
        assert_eq!(reason.to_string(), reason.text(keygate::Language::En));
    }
    let unknown = "on".parse::<AuthMode>().expect_err("no mode");
    assert!(unknown.to_string().starts_with("auth_mode: must be off"));
    let keys = [Key::new("a"), Key::new("b")];
    let shown = format!("{:?}", Config::new(AuthMode::Auto).keys(&keys));
    assert!(
        shown.contains("Auto") && shown.contains("keys: Some(2)"),
        "{shown}"
    );
}

/// That the credential equals no key is said where nothing else is wrong with it; what is to be
/// done besides begins with "or" where the request could pass without a key.
#[test]
fn the_advice_depends_on_what_was_found() {
    let strict = Policy::new(&Config::new(AuthMode::Strict).api_key("sk-abcdefghijkl"));
    let health = Policy::new(&Config::new(AuthMode::AllExceptHealth).api_key("sk-abcdefghijkl"));
    let (strict, health) = (strict.expect("a policy"), health.expect("a policy"));
    let text = |policy: &Policy, method, target, header| {
        policy.explain(method, target, [header]).to_string()
    };
    for (name, value) in [
        ("authorization", "Basic eDp5"),
        ("x-api-key", "YOUR_API_KEY"),
        ("x-api-key", "sk-abcdefghij"),
        ("authorization", "Bearerx"),
        ("authorization", "bearer x"),
        ("authorization", "Bearer  x"),
        ("authorization", "Bearer Bearer x"),
        ("x-api-key", "Bearer x"),
        ("x-api-key", "\"x\""),
    ] {
        let text = text(&strict, "GET", "/v1", (name, value));
        assert!(!text.contains("equals none of the keys"), "{text}");
    }
    for (policy, method, target, or) in [
        (&strict, "GET", "/v1", false),
        (&strict, "GET", "/healthz", true),
        (&health, "GET", "/healthz/", true),
        (&health, "options", "/v1", true),
    ] {
        let text = text(policy, method, target, ("x-api-key", "sk-other"));
        assert!(text.contains("equals none of the keys"), "{text}");
        assert_eq!(text.contains("or compare the key"), or, "{text}");
    }
}

#[test]
fn lints_are_a_set_of_sentences() {
    let config = Config::new(AuthMode::Strict).api_key("sk-0123456789abcdef");
    let none = Policy::new(&config).expect("a policy").lints();
    assert!(none.is_empty());
    assert_eq!((none.bits(), format!("{none:?}").as_str()), (0, "{}"));
    let config = Config::new(AuthMode::Auto).api_key("'short'");
    let some = Policy::new(&config).expect("a policy").lints();
    assert!(!some.is_empty());
    let found = [Lint::KeyQuoted, Lint::KeyShort, Lint::Open, Lint::AutoOpen];
    assert!(some.iter().eq(found));
    assert_eq!(some.bits(), 1 << 1 | 1 << 4 | 1 << 7 | 1 << 8);
    assert_eq!(format!("{some:?}"), "{KeyQuoted, KeyShort, Open, AutoOpen}");
    for lint in found {
        assert_eq!(lint.to_string(), lint.name());
        // What is wrong, and what to change.
        assert_eq!(lint.text(Language::En).matches("; ").count(), 1, "{lint}");
        assert_eq!(lint.text(Language::Zh).matches(';').count(), 1, "{lint}");
    }
}

#[test]
fn findings_are_a_set() {
    let policy = Policy::new(&Config::new(AuthMode::Strict).api_key("k")).expect("a policy");
    let none = policy
        .explain("GET", "/v1", [("x-api-key", "k")])
        .findings();
    assert!(none.is_empty());
    assert_eq!((none.bits(), format!("{none:?}").as_str()), (0, "{}"));
    let some = policy
        .explain("options", "/v1?key=k", [("a", "b")])
        .findings();
    assert!(!some.is_empty());
    let found = [Finding::KeyInQuery, Finding::OptionsCase];
    assert!(some.iter().eq(found));
    assert_eq!(some.bits(), 1 << 14 | 1 << 18);
    assert_eq!(format!("{some:?}"), "{KeyInQuery, OptionsCase}");
    for finding in Finding::ALL {
        assert_eq!(finding.to_string(), finding.name());
        assert_eq!(some.contains(finding), found.contains(&finding));
    }
}
