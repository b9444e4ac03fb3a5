//! What holds for every configuration and every request, and the core against the model.

mod model;

use keygate::{Decision, Language, Policy, Reason};
use model::{Config, Outcome, Prefix, Request};
use proptest::collection::{hash_set, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};

const KEYS: [&str; 8] = [
    "sk-0123456789abcdef",
    "sk-0123456",
    "sk-01234567",
    "k",
    "Bearer sk-01234567",
    "\"quoted\"",
    "in ner",
    "$-VARIABLE",
];
const NAMES: [&str; 22] = [
    "authorization",
    "x-api-key",
    "x-goog-api-key",
    "x_api_key",
    "api-key",
    "api.key",
    "proxy-authorization",
    "x-my-key",
    "cookie",
    "x-api-ke",
    "x-api-keyz",
    "upgrade",
    "http2-settings",
    "x-method-override",
    "x-original-url",
    "origin",
    "origin",
    "access-control-request-method",
    "access-control-request-method",
    "x-user",
    "x_key.label",
    "",
];
const SOURCES: [&str; 6] = [
    "authorization",
    "X-Api-Key",
    "x-goog-api-key",
    "x_api_key",
    "cookie",
    "x-my-key",
];
const VALUE_PARTS: [&[u8]; 38] = [
    b"Bearer",
    b"Bearer ",
    b"Bearer ",
    b"bearer ",
    b"BEARER ",
    b"Basic ",
    b"toKen ",
    b"Api-Key ",
    b" ",
    b"  ",
    b"\t",
    b"\"",
    b"'",
    b"sk-",
    b"x",
    b"***",
    b"YOUR_",
    b"replace_with",
    b"ChangeMe",
    b"$",
    b"{{",
    b"<",
    b">",
    b",",
    b"\0",
    b"\n",
    b"\x7f",
    b"\xff",
    b"a",
    b"`",
    b"NAME=",
    b"eyJa.b.c",
    b"sk-ant-",
    b"websocket",
    b"none",
    b"_api_key",
    b"Key ",
    b"",
];
const TARGET_PARTS: [&str; 32] = [
    "/healthz",
    "/healthz",
    "/healthz",
    "/h",
    "/",
    "/",
    "//",
    "/a",
    "/b",
    "/.",
    "/..",
    "/HEALTHZ",
    "/%68ealthz",
    "%2f",
    "%2e",
    "%2E",
    "%3f",
    "%",
    "%4",
    "%zz",
    ";x",
    "?",
    "#",
    "&",
    "=",
    "key",
    "api_key",
    "access_token",
    "KEY",
    "*",
    "\0",
    "http://h",
];
const EXEMPT: [&str; 7] = [
    "/healthz",
    "/",
    "/h/",
    "/%68",
    "/a/b",
    "/healthz/a",
    "/Healthz",
];
const METHODS: [&str; 8] = [
    "GET", "GET", "HEAD", "POST", "OPTIONS", "OPTIONS", "options", "",
];

fn text(parts: &[&str]) -> Vec<u8> {
    parts.concat().into_bytes()
}

fn config() -> impl Strategy<Value = Config> {
    let own_sources = subsequence(SOURCES.to_vec(), 0..=SOURCES.len())
        .prop_shuffle()
        .prop_flat_map(|names| {
            let count = names.len();
            let scheme = || select(vec!["Bearer", "tOKEN", "key"]).prop_map(str::to_owned);
            let prefix = prop_oneof![
                Just(Prefix::None),
                Just(Prefix::Bearer),
                scheme().prop_map(Prefix::Scheme)
            ];
            (Just(names), vec(prefix, count))
        })
        .prop_map(|(names, prefix)| names.into_iter().map(str::to_owned).zip(prefix).collect());
    let name = |names: &[&'static str]| select(names.to_vec());
    let bytes = |text: &str| text.as_bytes().to_vec();
    (
        select(vec![
            "off",
            "strict",
            "strict",
            "all_except_health",
            "all_except_health",
            "auto",
        ]),
        any::<bool>(),
        vec(select(KEYS.to_vec()), 0..=8),
        prop_oneof![Just(Config::default().sources), own_sources],
        prop_oneof![
            Just(vec![b"/healthz".to_vec()]),
            vec(select(EXEMPT.to_vec()).prop_map(bytes), 0..=8)
        ],
        (
            name(&["first", "any"]),
            name(&["options", "cors", "none"]),
            name(&["sources", "matched", "matched", "off"]),
            select(vec![None, None, Some("x-user"), Some("X-Key_Label")]),
        ),
    )
        .prop_map(
            move |(auth_mode, allow_lan_access, keys, sources, exempt, more)| {
                let (match_mode, preflight, strip, identity) = more;
                Config {
                    auth_mode: auth_mode.to_owned(),
                    allow_lan_access,
                    keys: keys.into_iter().map(bytes).collect(),
                    sources,
                    exempt,
                    match_mode: match_mode.to_owned(),
                    preflight: preflight.to_owned(),
                    strip: strip.to_owned(),
                    identity_header: identity.map(str::to_owned),
                }
            },
        )
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    let key = select(KEYS.to_vec()).prop_map(|key| key.as_bytes().to_vec());
    let begin = (select(KEYS.to_vec()), any::<Index>())
        .prop_map(|(key, len)| key.as_bytes()[..len.index(key.len())].to_vec());
    let part = || select(VALUE_PARTS.to_vec()).prop_map(<[u8]>::to_vec);
    let around = vec(part(), 0..4);
    let middle = prop_oneof![4 => key, 1 => begin, 2 => part()];
    (around, middle, vec(part(), 0..3), any::<bool>()).prop_map(|(before, key, after, bare)| {
        if bare {
            key
        } else {
            [before.concat(), key, after.concat()].concat()
        }
    })
}

fn odd_case(name: &str, mask: u32) -> Vec<u8> {
    let flip = |(index, byte): (usize, u8)| match mask >> (index % 32) & 1 {
        1 => byte.to_ascii_uppercase(),
        _ => byte,
    };
    name.bytes().enumerate().map(flip).collect()
}

fn headers() -> impl Strategy<Value = Vec<(Vec<u8>, Vec<u8>)>> {
    let name = (select(NAMES.to_vec()), prop_oneof![Just(0), any::<u32>()])
        .prop_map(|(name, mask)| odd_case(name, mask));
    vec((name, value()), 0..6)
}

fn request() -> impl Strategy<Value = Request> {
    let target = vec(select(TARGET_PARTS.to_vec()), 0..5).prop_map(|parts| text(&parts));
    (select(METHODS.to_vec()), target, headers()).prop_map(|(method, target, headers)| Request {
        method: method.as_bytes().to_vec(),
        target,
        headers,
    })
}

fn policy(config: &Config) -> Policy {
    config.policy().expect("a valid configuration")
}

/// A strict configuration of one key and one source, which strips Bearer.
fn one_key(key: &str, source: &str) -> Config {
    Config {
        keys: vec![key.as_bytes().to_vec()],
        sources: vec![(source.to_owned(), Prefix::Bearer)],
        exempt: vec![],
        ..Config::default()
    }
}

fn decide(policy: &Policy, request: &Request) -> Decision {
    let headers = request.headers.iter().map(|(name, value)| (name, value));
    policy.decide(&request.method, &request.target, headers)
}

fn explain<'p>(policy: &'p Policy, request: &Request) -> keygate::Explanation<'p> {
    let headers = request.headers.iter().map(|(name, value)| (name, value));
    policy.explain(&request.method, &request.target, headers)
}

fn is_wanted(policy: &Policy, name: &[u8]) -> bool {
    let mut names = policy.wanted_names();
    names.any(|own| own.as_bytes().eq_ignore_ascii_case(name))
}

/// A decision but for the place of the deciding header.
fn placeless(decision: Decision) -> Outcome {
    Outcome {
        header: None,
        ..decision.into()
    }
}

fn settings(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(settings(4000))]

    #[test]
    fn core_equals_model(config in config(), request in request()) {
        let policy = policy(&config);
        prop_assert_eq!(
            Outcome::from(decide(&policy, &request)),
            model::decision::decide(&config, &request)
        );
        let findings: Vec<_> =
            explain(&policy, &request).findings().iter().map(keygate::Finding::name).collect();
        prop_assert_eq!(findings, model::findings::find(&config, &request));
        let lints: Vec<_> = policy.lints().iter().map(keygate::Lint::name).collect();
        prop_assert_eq!(lints, model::lints::find(&config));
    }
}

proptest! {
    #![proptest_config(settings(512))]

    #[test]
    fn push_order_of_unrelated_headers_never_matters(
        config in config(), request in request(), places in vec(any::<Index>(), 6)
    ) {
        let policy = policy(&config);
        let (mut headers, unrelated): (Vec<_>, Vec<_>) =
            request.headers.iter().cloned().partition(|(name, _)| is_wanted(&policy, name));
        for (header, place) in unrelated.into_iter().zip(places) {
            headers.insert(place.index(headers.len() + 1), header);
        }
        let moved = Request { headers, ..request.clone() };
        prop_assert_eq!(placeless(decide(&policy, &moved)), placeless(decide(&policy, &request)));
    }

    #[test]
    fn wanted_headers_only_equals_all_headers(config in config(), request in request()) {
        let policy = policy(&config);
        let mut wanted = request.clone();
        wanted.headers.retain(|(name, _)| is_wanted(&policy, name));
        prop_assert_eq!(placeless(decide(&policy, &wanted)), placeless(decide(&policy, &request)));
    }

    #[test]
    fn name_case_never_matters(config in config(), request in request(), mask: u32) {
        let policy = policy(&config);
        let mut other = request.clone();
        for (name, _) in &mut other.headers {
            let lower = name.to_ascii_lowercase();
            *name = odd_case(std::str::from_utf8(&lower).expect("ASCII"), mask);
        }
        prop_assert_eq!(decide(&policy, &other), decide(&policy, &request));
        prop_assert_eq!(
            explain(&policy, &other).findings(),
            explain(&policy, &request).findings()
        );
    }

    #[test]
    fn an_allow_has_one_of_four_reasons(config in config(), request in request()) {
        let decision = decide(&policy(&config), &request);
        let allowing = [Reason::AuthOff, Reason::Preflight, Reason::Health, Reason::KeyMatched];
        prop_assert_eq!(decision.is_allow(), allowing.contains(&decision.reason()));
        prop_assert_eq!(decision.is_allow(), decision.denial().is_none());
        prop_assert_eq!(decision.key_index().is_some(), decision.reason() == Reason::KeyMatched);
    }

    // Keys here begin with none of `$`, `%` and `{`, as a variable does.

    #[test]
    fn a_key_that_differs_in_one_byte_never_matches(
        key in "[!-#&-z|-~][!-~]{0,255}", place: Index, other in 0x21_u8..=0x7e, bearer: bool
    ) {
        let config = one_key(&key, "authorization");
        let mut credential = key.into_bytes();
        let place = place.index(credential.len());
        let same = credential[place] == other;
        credential[place] = other;
        let prefix: &[u8] = if bearer { b"Bearer " } else { b"" };
        let value = [prefix, &credential].concat();
        let decision = policy(&config).decide("GET", "/", [("authorization", value)]);
        prop_assert_eq!(decision.is_allow(), same);
    }

    #[test]
    fn a_key_cut_or_continued_never_matches(key in "[!-#&-z|-~][!-~]{1,254}", more in "[!-~]{1,300}", place: Index) {
        let config = one_key(&key, "x-api-key");
        let policy = policy(&config);
        let cut = &key[..place.index(key.len())];
        let continued = format!("{key}{more}");
        prop_assert!(!policy.decide("GET", "/", [("x-api-key", cut)]).is_allow());
        prop_assert!(!policy.decide("GET", "/", [("x-api-key", &continued)]).is_allow());
        prop_assert!(policy.decide("GET", "/", [("x-api-key", &key)]).is_allow());
    }

    #[test]
    fn the_first_present_source_decides(config in config(), request in request()) {
        let policy = policy(&config);
        let decision = decide(&policy, &request);
        let sources = (0..).map_while(|index| policy.source_name(index));
        let first = sources.enumerate().find_map(|(source, own)| {
            let header = request.headers.iter().position(|(name, _)| name.eq_ignore_ascii_case(own.as_bytes()))?;
            Some((source, header))
        });
        let decided = decision.source_index().zip(decision.header_index());
        match decision.reason() {
            // A right key in a later source may have decided.
            Reason::KeyMatched if config.match_mode == "any" => prop_assert!(decided.is_some()),
            Reason::KeyMatched | Reason::KeyMismatch | Reason::CredentialUnusable => {
                prop_assert_eq!(decided, first);
                // And nothing behind it can change that.
                let mut alone = request.clone();
                alone.headers = vec![request.headers[decided.expect("a header").1].clone()];
                prop_assert_eq!(placeless(decide(&policy, &alone)), placeless(decision));
            }
            Reason::CredentialMissing => prop_assert_eq!((decided, first), (None, None)),
            _ => prop_assert_eq!(decided, None),
        }
    }

    #[test]
    fn explanation_agrees_with_decision(config in config(), request in request()) {
        let policy = policy(&config);
        let explanation = explain(&policy, &request);
        let decision = decide(&policy, &request);
        prop_assert_eq!(explanation.decision(), decision);
        let mendable = |finding: keygate::Finding| {
            finding.name().starts_with("bearer_") || ["quoted", "unread_header", "key_surrounded", "key_elsewhere"].contains(&finding.name())
        };
        prop_assert!(!explanation.would_match_mended() || explanation.findings().iter().any(mendable));
        for language in [Language::En, Language::Zh] {
            let mut text = String::new();
            explanation.write(language, &mut text).expect("a string takes all");
            prop_assert!(text.contains(decision.reason().name()));
            prop_assert!(!text.contains('{') && !text.contains('}'), "an open slot: {}", text);
        }
    }

    #[test]
    fn stopping_early_changes_nothing(config in config(), request in request()) {
        let policy = policy(&config);
        let mut evaluation = policy.evaluate(&request.method, &request.target);
        let mut open = true;
        for (name, value) in &request.headers {
            let goes_on = evaluation.push(name, value);
            prop_assert!(open || !goes_on, "it had stopped");
            open = goes_on;
        }
        prop_assert_eq!(evaluation.finish(), decide(&policy, &request));
    }

    #[test]
    fn drops_equals_model(config in config(), request in request()) {
        let policy = policy(&config);
        let decision = decide(&policy, &request);
        for (name, value) in &request.headers {
            let spelled: Vec<u8> = name.iter().map(|byte| if *byte == b'-' { b'_' } else { *byte }).collect();
            for name in [name, &spelled] {
                let expected = model::decision::drops(&config, &request, name, value);
                prop_assert_eq!(policy.drops(&decision, name, value), expected);
                let of_no_length = policy.name_lengths() >> (name.len() % 64) & 1 == 0;
                prop_assert!(!(of_no_length && expected && decision.is_allow()), "the length is left out");
            }
        }
        // The header that let the request in goes no further, unless it is meant to.
        if let Some(header) = decision.header_index().filter(|_| config.strip != "off") {
            let (name, value) = &request.headers[header];
            prop_assert!(policy.drops(&decision, name, value));
        }
    }

    #[test]
    fn never_panics_on_any_bytes(
        mode in select(vec!["off", "strict", "all_except_health", "auto"]),
        keys in vec(vec(any::<u8>(), 0..300), 0..10),
        names in vec(any::<String>(), 0..10),
        exempt in vec(vec(any::<u8>(), 0..70), 0..10),
        request in (vec(any::<u8>(), 0..12), vec(any::<u8>(), 0..200),
            vec((vec(any::<u8>(), 0..40), vec(any::<u8>(), 0..600)), 0..8)),
    ) {
        let config = Config {
            auth_mode: mode.to_owned(),
            allow_lan_access: true,
            keys,
            sources: names.into_iter().map(|name| (name, Prefix::Bearer)).collect(),
            exempt,
            match_mode: "any".to_owned(),
            ..Config::default()
        };
        let (method, target, headers) = request;
        let request = Request { method, target, headers };
        for config in [config.clone(), Config { keys: vec![b"k".to_vec()], sources: vec![("a".into(), Prefix::Bearer)], exempt: vec![], ..config }] {
            match config.policy() {
                Ok(policy) => drop(explain(&policy, &request).to_string()),
                Err(error) => drop(error.to_string()),
            }
        }
    }

    #[test]
    fn a_config_is_taken_exactly_where_its_limits_hold(
        keys in vec("[a~]{0,2}|[ \ta\u{7f}]{1,3}|a{255,258}", 0..10),
        names in prop_oneof![
            hash_set("[a-z!#]{1,3}|n{31,34}|[a: ]{1,2}|", 0..10).prop_map(|set| set.into_iter().collect()),
            vec("[aA]|b", 0..3),
        ],
        exempt in vec("/[a-z]{0,2}|/p{62,65}|[a/?#]{0,2}", 0..10),
    ) {
        let names: Vec<String> = names;
        let blank = |edge: Option<char>| edge == Some(' ') || edge == Some('\t');
        let key_fits = |key: &String| {
            (1..=256).contains(&key.len())
                && key.chars().all(|c| c == '\t' || (' '..='~').contains(&c))
                && !blank(key.chars().next())
                && !blank(key.chars().last())
        };
        let name_fits = |name: &String| {
            (1..=32).contains(&name.len()) && !name.contains([':', ' ']) && name != "te"
        };
        let path_fits = |path: &String| {
            path.starts_with('/') && path.len() <= 64 && !path.contains(['?', '#'])
        };
        let mut distinct: Vec<_> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
        distinct.sort();
        distinct.dedup();
        let fits = keys.len() <= 8
            && keys.iter().all(key_fits)
            && names.len() <= 8
            && names.iter().all(name_fits)
            && distinct.len() == names.len()
            && exempt.len() <= 8
            && exempt.iter().all(path_fits);
        let config = Config {
            keys: keys.into_iter().map(String::into_bytes).collect(),
            sources: names.into_iter().map(|name| (name, Prefix::None)).collect(),
            exempt: exempt.into_iter().map(String::into_bytes).collect(),
            ..Config::default()
        };
        prop_assert_eq!(config.policy().is_ok(), fits);
    }
}
