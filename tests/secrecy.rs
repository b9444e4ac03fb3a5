//! No output shows a piece of a key or of a credential.

use keygate::{AuthMode, Config, Exempt, Key, KeyFile, Language, Policy, Source};
use proptest::prelude::*;

/// How many bytes in a row count as a piece.
const PIECE: usize = 6;

fn shows(text: &str, secret: &str) -> bool {
    (PIECE..=secret.len()).any(|end| text.contains(&secret[end - PIECE..end]))
}

/// Every form that a policy's answer about a request can be shown in.
fn answers(
    policy: &Policy,
    method: &str,
    target: &str,
    headers: &[(String, String)],
) -> Vec<String> {
    let decision = policy.decide(method, target, headers);
    let explanation = policy.explain(method, target, headers);
    let mut evaluation = policy.evaluate(method, target);
    for (name, value) in headers {
        evaluation.push(name, value);
    }
    let mut outputs = vec![
        format!("{policy:?}"),
        format!("{decision:?} {}", decision.reason()),
        format!("{evaluation:?}"),
        format!("{explanation:?} {explanation}"),
        format!("{:?}", decision.denial()),
    ];
    for language in [Language::En, Language::Zh] {
        let mut text = String::new();
        explanation
            .write(language, &mut text)
            .expect("a string takes all");
        outputs.push(text);
    }
    outputs
}

type Headers = Vec<(String, String)>;

/// A request with the secret wherever a client or an operator could put it by mistake.
fn misplaced(secret: &str) -> Vec<(String, String, Headers)> {
    let headers = |pairs: &[(&str, String)]| -> Vec<_> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect()
    };
    let half = secret.len() / 2;
    let values = [
        secret.to_owned(),
        format!("Bearer {secret}"),
        format!("Bearer{secret}"),
        format!("bearer {secret}"),
        format!("Bearer  {secret}"),
        format!("Bearer Bearer {secret}"),
        format!("Basic {secret}"),
        format!("\"{secret}\""),
        format!("<{secret}>"),
        format!("${secret}"),
        format!("{secret}\u{7f}"),
        secret[..half].to_owned(),
        secret[half..].to_owned(),
        format!("{secret}{secret}"),
        secret.to_ascii_uppercase(),
    ];
    let mut requests = Vec::new();
    for value in values {
        for name in ["authorization", "x-api-key", "x_api_key", "cookie"] {
            requests.push((
                "GET".into(),
                "/v1".into(),
                headers(&[(name, value.clone())]),
            ));
        }
        requests.push((
            "GET".into(),
            "/v1".into(),
            headers(&[
                ("authorization", "wrong".into()),
                ("x-api-key", value.clone()),
                ("authorization", value),
            ]),
        ));
    }
    requests.push((secret.to_owned(), "/".into(), vec![]));
    for target in [
        format!("/{secret}"),
        format!("/?key={secret}"),
        format!("/?{secret}=key&key"),
        format!("/healthz#{secret}"),
        secret.to_owned(),
    ] {
        requests.push(("GET".into(), target, vec![]));
    }
    requests.push((
        "GET".into(),
        "/".into(),
        vec![(secret.to_owned(), "x".into())],
    ));
    requests.push((
        "GET".into(),
        "/".into(),
        vec![(format!("authorization: {secret}"), String::new())],
    ));
    requests.push((
        "GET".into(),
        "/".into(),
        vec![
            (format!("x-api-key-{secret}"), String::new()),
            ("x-api-key".into(), String::new()),
        ],
    ));
    requests
}

/// Configurations that cannot work, with the secret in them.
fn refusals(secret: &str) -> Vec<String> {
    let long = secret.repeat(40);
    let padded = format!(" {secret}");
    let mixed = format!("{secret}\u{1}");
    let strict = Config::new(AuthMode::Strict);
    let refused = |config: &Config<'_>| match Policy::new(config) {
        Ok(policy) => panic!("taken: {policy:?}"),
        Err(error) => format!("{error} {error:?} {:?}", error.kind()),
    };
    let colon = format!("{secret}:");
    let labelled = [Key::new(secret).label(&long)];
    let keys = [Key::new(secret), Key::new("")];
    vec![
        refused(&strict.api_key(&long)),
        refused(&strict.api_key(&padded)),
        refused(&strict.api_key(&mixed)),
        refused(&strict.api_key(secret).keys(&[Key::new(secret)])),
        refused(&strict.keys(&labelled)),
        refused(&strict.keys(&keys)),
        refused(&strict.sources(&[Source::new(&colon)])),
        refused(&strict.sources(&[Source::new(secret), Source::new(secret)])),
        refused(&strict.exempt(&[Exempt::new(secret)])),
        format!("{:?}", strict.api_key(secret)),
        format!("{:?}", strict.keys(&keys)),
        match secret.parse::<AuthMode>() {
            Ok(mode) => panic!("taken: {mode}"),
            Err(error) => format!("{error} {error:?}"),
        },
    ]
}

/// Texts of a configuration that cannot be used, with the secret in them.
fn unusable_texts(secret: &str) -> Vec<String> {
    let long = secret.repeat(40);
    vec![
        format!(r#""{secret}""#),
        format!(r#"["{secret}"]"#),
        format!(r#"{{"{secret}":1}}"#),
        format!(r#"{{"auth_mode":"{secret}"}}"#),
        format!(r#"{{"auth_mode":["{secret}"]}}"#),
        format!(r#"{{"auth_mode":{{"{secret}":1}}}}"#),
        format!(r#"{{"auth_mode":"off","{secret}":"{secret}","api_key":7}}"#),
        format!(r#"{{"auth_mode":"off","allow_lan_access":"{secret}"}}"#),
        format!(r#"{{"auth_mode":"off","api_key":["{secret}"]}}"#),
        format!(r#"{{"auth_mode":"off","api_key":{{"{secret}":""}}}}"#),
        format!(r#"{{"auth_mode":"off","api_key":"{long}"}}"#),
        format!(r#"{{"auth_mode":"off","api_key":"{secret}Ā"}}"#),
        format!(r#"{{"auth_mode":"off","api_key":"{secret}","api_key":"{secret}"}}"#),
        format!(r#"{{"auth_mode":"off","api_key":"{secret}"#),
        format!(r#"{{"auth_mode":"off","api_key":{secret}}}"#),
        format!(r#"{{"auth_mode":"off"}}{secret}"#),
        format!(r#"{{"auth_mode":"off","keys":"{secret}"}}"#),
        format!(r#"{{"auth_mode":"off","keys":["{secret}"]}}"#),
        format!(r#"{{"auth_mode":"off","keys":[{{"{secret}":"{secret}"}}]}}"#),
        format!(r#"{{"auth_mode":"off","keys":[{{"key":"{secret}","label":"{long}"}}]}}"#),
        format!(r#"{{"auth_mode":"off","keys":[{{"key":"{secret}","key":"{secret}"}}]}}"#),
        format!(r#"{{"auth_mode":"off","sources":"{secret}"}}"#),
        format!(r#"{{"auth_mode":"off","sources":["{secret}"]}}"#),
        format!(r#"{{"auth_mode":"off","sources":[{{"name":"x","{secret}":true}}]}}"#),
        format!(r#"{{"auth_mode":"off","sources":[{{"name":"x","bearer":"{secret}"}}]}}"#),
        format!(r#"{{"auth_mode":"off","exempt":"{secret}"}}"#),
        format!(r#"{{"auth_mode":"off","exempt":[["{secret}"]]}}"#),
        format!(r#"{{"proxy":"{secret}"}}"#),
        format!(r#"{{"proxy":{{"api_key":"{secret}"}},"{secret}":1}}"#),
        format!(r#"{{"proxy":{{"auth_mode":"off","api_key":"{secret}"}},"api_key":"{secret}"}}"#),
    ]
}

/// Lines of a key file that cannot be used, with the secret in them.
fn unusable_lines(secret: &str) -> Vec<String> {
    vec![
        format!("{secret}\u{a0}\n"),
        format!("#\n {secret}\n"),
        format!("{secret} label={} {secret}\n", secret.repeat(3)),
        format!("k label={secret}{secret}{secret}"),
        format!("{secret}\0"),
        secret.repeat(40),
    ]
}

/// An error in every form that it has.
fn all(error: &keygate::ConfigError) -> String {
    let mut text = format!("{error} {error:?} {error:#?}");
    for language in [Language::En, Language::Zh] {
        error.write(language, &mut text).expect("a string takes it");
    }
    text
}

#[test]
fn the_search_finds_a_piece() {
    assert!(shows("error: sk-abcdef", "0sk-abc9"));
    assert!(!shows("error: sk-abcdef", "sk-abZdef"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_output_shows_a_piece_of_a_key(secret in "sk-[0-9A-Za-z]{13,40}", other in "[0-9A-Z]{20}") {
        let keys = [Key::new(&other), Key::new(&secret).label("label")];
        for mode in [AuthMode::Strict, AuthMode::Auto] {
            for keys in [&keys[..], &keys[..1]] {
                let config = Config::new(mode).allow_lan_access(true).keys(keys);
                let policy = Policy::new(&config).expect("a policy");
                for (method, target, headers) in misplaced(&secret) {
                    for output in answers(&policy, &method, &target, &headers) {
                        prop_assert!(!shows(&output, &secret) && !shows(&output, &other), "it is shown");
                    }
                }
            }
        }
        for output in refusals(&secret) {
            prop_assert!(!shows(&output, &secret), "a configuration error shows it");
        }
        for (index, text) in unusable_texts(&secret).into_iter().enumerate() {
            let error = Policy::parse_object(&text).expect_err("refused");
            prop_assert!(!shows(&all(&error), &secret), "text {} is shown", index);
            let output = match Policy::parse(&text, None) {
                Ok(policy) => format!("{policy:?} {policy:#?}"),
                Err(error) => all(&error),
            };
            prop_assert!(!shows(&output, &secret), "text {} is shown leniently", index);
        }
        for lines in unusable_lines(&secret) {
            let mut file = KeyFile::new(&lines);
            let _ = file.by_ref().count();
            let error = file.end().expect_err("refused");
            prop_assert!(!shows(&all(&error), &secret), "a line is shown");
        }
        let sound = format!(r#"{{"auth_mode":"off","api_key":"{secret}"}}"#);
        let policy = Policy::parse(&sound, None).expect("taken");
        prop_assert!(!shows(&format!("{policy:?} {policy:#?}"), &secret), "it is shown");
    }
}

#[test]
fn a_field_that_is_not_known_is_not_named() {
    let json = r#"{"auth_mode": "strict", "akeyoflettersalone": "api_key"}"#;
    let error = Policy::parse(json, None).unwrap_err();
    assert_eq!(error.kind(), keygate::ConfigErrorKind::FieldUnknown);
    assert!(!error.to_string().contains("letters"));
}
