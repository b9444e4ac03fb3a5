//! Every case of a small world, the core against the model. Where the properties draw at random,
//! nothing is left out here: each configuration with each method, each target and each list of
//! headers up to a length.

mod model;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use keygate::{AuthMode, Finding, Key, Policy, Source};
use model::{Config, Outcome, Prefix, Request};

const MODES: [&str; 4] = ["off", "strict", "all_except_health", "auto"];
const KEYS: [&[&str]; 3] = [&[], &["sk"], &["Bearer sk", "sk"]];
/// The defaults, and what they must not be mistaken for: another order, Bearer elsewhere. The last
/// strips Bearer in any case.
const SOURCES: [&[(&str, &str)]; 3] = [
    &[
        ("authorization", "Bearer"),
        ("x-api-key", ""),
        ("x-goog-api-key", ""),
    ],
    &[("X-API-KEY", "Bearer"), ("authorization", "")],
    &[("authorization", "bearer"), ("x-api-key", "")],
];
/// Which source decides, and what passes as a preflight.
const RULES: [(&str, &str); 5] = [
    ("first", "options"),
    ("any", "options"),
    ("first", "cors"),
    ("any", "cors"),
    ("first", "none"),
];
const METHODS: [&str; 5] = ["GET", "HEAD", "POST", "OPTIONS", "options"];
const TARGETS: [&str; 4] = ["/healthz", "/healthz?a", "/healthz/", "/v1"];
/// The last is spelled almost like a source.
const NAMES: [&str; 4] = ["Authorization", "x-api-key", "X-GOOG-API-KEY", "x_api_key"];
/// The key in every dress, and what must not pass for it: cut, continued, empty, unusable.
const VALUES: [&[u8]; 8] = [
    b"sk",
    b" Bearer sk\t",
    b"Bearer Bearer sk",
    b"bearer sk",
    b"s",
    b"skk",
    b"Bearer ",
    b"sk\xff",
];
/// These two make a preflight.
const MORE: [&str; 2] = ["ORIGIN", "access-control-request-method"];
const HEADERS: usize = NAMES.len() * VALUES.len() + MORE.len();

struct Pair {
    config: Config,
    policy: Policy,
}

fn pair(config: Config) -> Pair {
    let policy = config.policy().expect("a valid configuration");
    let lints: Vec<_> = policy.lints().iter().map(keygate::Lint::name).collect();
    assert_eq!(lints, model::lints::find(&config));
    Pair { config, policy }
}

fn pairs() -> Vec<Pair> {
    let mut pairs = Vec::new();
    for mode in MODES {
        for allow_lan_access in [false, true] {
            for keys in KEYS {
                let rules = |sources| RULES.map(|rules| (sources, rules));
                for (sources, (match_mode, preflight)) in SOURCES.into_iter().flat_map(rules) {
                    // What is not the default meets each mode, with one key.
                    let is_default = (match_mode, preflight) == RULES[0] && sources != SOURCES[2];
                    if !is_default && (!allow_lan_access || keys.len() != 1) {
                        continue;
                    }
                    let prefix = |prefix: &str| match prefix {
                        "bearer" => Prefix::Scheme(prefix.to_owned()),
                        prefix => (!prefix.is_empty()).into(),
                    };
                    pairs.push(pair(Config {
                        auth_mode: mode.to_owned(),
                        allow_lan_access,
                        keys: keys.iter().map(|key| key.as_bytes().to_vec()).collect(),
                        sources: sources
                            .iter()
                            .map(|(name, stripped)| ((*name).to_owned(), prefix(stripped)))
                            .collect(),
                        match_mode: match_mode.to_owned(),
                        preflight: preflight.to_owned(),
                        ..Config::default()
                    }));
                }
            }
        }
    }
    pairs
}

/// One worker's walk. Nothing in it allocates but explaining.
struct Walk<'a> {
    pairs: &'a [Pair],
    request: Request,
    cases: u64,
    /// Lists of headers up to this length are decided, and up to that one explained.
    decide: usize,
    explain: usize,
}

impl Walk<'_> {
    /// The list as it is, and each that continues it.
    fn lists(&mut self) {
        self.list();
        if self.request.headers.len() < self.decide {
            for header in 0..HEADERS {
                self.continued(header);
            }
        }
    }

    fn continued(&mut self, header: usize) {
        let (name, value) = match VALUES.get(header / NAMES.len()) {
            Some(value) => (NAMES[header % NAMES.len()], *value),
            None => (MORE[header % NAMES.len()], &b"a"[..]),
        };
        self.request.headers.push((name.into(), value.into()));
        self.lists();
        self.request.headers.pop();
    }

    fn list(&mut self) {
        let Request {
            method,
            target,
            headers,
        } = &self.request;
        let headers = || headers.iter().map(|(name, value)| (name, value));
        for Pair { config, policy } in self.pairs {
            let decision = policy.decide(method, target, headers());
            let expected = model::decision::decide(config, &self.request);
            if Outcome::from(decision) != expected {
                fail(config, &self.request, &decision, &expected);
            }
        }
        self.cases += self.pairs.len() as u64;
        if self.request.headers.len() > self.explain {
            return;
        }
        for Pair { config, policy } in self.pairs {
            let explanation = policy.explain(method, target, headers());
            let findings = explanation.findings().iter().map(keygate::Finding::name);
            let findings: Vec<_> = findings.collect();
            let expected = model::findings::find(config, &self.request);
            if findings != expected {
                fail(config, &self.request, &findings, &expected);
            }
        }
    }
}

#[cold]
fn fail(
    config: &Config,
    request: &Request,
    core: &dyn std::fmt::Debug,
    model: &dyn std::fmt::Debug,
) {
    panic!("{config:?}\n{request:?}\ncore:  {core:?}\nmodel: {model:?}");
}

/// Every list of at most `decide` headers, the workers taking turns by method, target and first
/// header. Returns the number of cases.
fn walk(decide: usize, explain: usize) -> u64 {
    let (pairs, begun, next) = (pairs(), Instant::now(), AtomicUsize::new(0));
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let work = || {
        let mut walk = Walk {
            pairs: &pairs,
            request: Request {
                method: vec![],
                target: vec![],
                headers: Vec::with_capacity(decide),
            },
            cases: 0,
            decide,
            explain,
        };
        loop {
            let turn = next.fetch_add(1, Ordering::Relaxed);
            let (line, header) = (turn / (HEADERS + 1), turn % (HEADERS + 1));
            let Some(target) = TARGETS.get(line / METHODS.len()) else {
                return walk.cases;
            };
            walk.request.method = METHODS[line % METHODS.len()].into();
            walk.request.target = (*target).into();
            match header {
                HEADERS => walk.list(),
                header => walk.continued(header),
            }
        }
    };
    let cases = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let cases = workers
            .into_iter()
            .map(|worker| worker.join().expect("no difference"));
        cases.sum::<u64>()
    });
    println!(
        "{cases} cases: {} configurations, {} methods, {} targets, every list of up to {decide} of {HEADERS} headers; \
         explained up to {explain}; {workers} threads, {:.1} s",
        pairs.len(),
        METHODS.len(),
        TARGETS.len(),
        begun.elapsed().as_secs_f64(),
    );
    let lists: u64 = (0..=u32::try_from(decide).expect("few"))
        .map(|len| (HEADERS as u64).pow(len))
        .sum();
    assert_eq!(
        cases,
        lists * (pairs.len() * METHODS.len() * TARGETS.len()) as u64
    );
    cases
}

#[test]
fn every_list_of_up_to_two_headers() {
    walk(2, 1);
}

/// The whole: `make assurance`.
#[test]
#[ignore = "a billion cases; a minute in a release build"]
fn every_list_of_up_to_four_headers() {
    assert!(walk(4, 2) >= 1_000_000_000);
}

/// A configuration and the request of one header, to be changed in place.
fn one_header(auth_mode: &str, keys: &[&str], bearer: bool) -> (Pair, Request) {
    let pair = pair(Config {
        auth_mode: auth_mode.to_owned(),
        keys: keys.iter().map(|key| key.as_bytes().to_vec()).collect(),
        sources: vec![("x-api-key".to_owned(), bearer.into())],
        exempt: vec![b"/h".to_vec()],
        ..Config::default()
    });
    let request = Request {
        method: b"GET".to_vec(),
        target: b"/".to_vec(),
        headers: vec![(b"x-api-key".to_vec(), vec![])],
    };
    (pair, request)
}

fn agree(Pair { config, policy }: &Pair, request: &Request) -> bool {
    let headers = request.headers.iter().map(|(name, value)| (name, value));
    let decision = policy.decide(&request.method, &request.target, headers);
    let expected = model::decision::decide(config, request);
    if Outcome::from(decision) != expected {
        fail(config, request, &decision, &expected);
    }
    decision.is_allow()
}

/// Every string of at most two bytes.
fn strings(mut each: impl FnMut(&[u8])) {
    each(b"");
    for first in 0..=255 {
        each(&[first]);
        for second in 0..=255 {
            each(&[first, second]);
        }
    }
}

#[test]
fn every_value_of_up_to_two_bytes() {
    for bearer in [false, true] {
        let (pair, mut request) = one_header("strict", &["~", "a b", "ab"], bearer);
        let mut allowed = 0;
        strings(|value| {
            request.headers[0].1.clear();
            request.headers[0].1.extend_from_slice(value);
            allowed += usize::from(agree(&pair, &request));
        });
        // "~", "~" with a blank on either side, "ab".
        assert_eq!(allowed, 6);
    }
}

#[test]
fn every_end_of_a_bearer_value_of_up_to_two_bytes() {
    for key in ["a", "Bearer", "Bearera", "Bearer a"] {
        let (pair, mut request) = one_header("strict", &[key], true);
        strings(|end| {
            let value = &mut request.headers[0].1;
            value.clear();
            value.extend_from_slice(b"Bearer");
            value.extend_from_slice(end);
            agree(&pair, &request);
        });
    }
}

#[test]
fn every_name_with_two_bytes_changed() {
    let (pair, mut request) = one_header("strict", &["k"], false);
    request.headers[0].1 = b"k".to_vec();
    let mut allowed = 0;
    strings(|bytes| {
        let name = &mut request.headers[0].0;
        name.clear();
        name.extend_from_slice(b"x-api-key");
        for (place, byte) in bytes.iter().enumerate() {
            name[1 + place * 7] = *byte;
        }
        allowed += usize::from(agree(&pair, &request));
    });
    // As it is; with the hyphen as it is; and with "y" or "Y" besides.
    assert_eq!(allowed, 1 + 1 + 2);
}

#[test]
fn every_target_of_up_to_two_bytes_and_after_an_exempt_path() {
    for prefix in ["", "/h"] {
        let (pair, mut request) = one_header("all_except_health", &["k"], false);
        request.headers.clear();
        let mut allowed = 0;
        strings(|end| {
            request.target.clear();
            request.target.extend_from_slice(prefix.as_bytes());
            request.target.extend_from_slice(end);
            allowed += usize::from(agree(&pair, &request));
        });
        // "/h"; or that with "?", and nothing or any byte but "#" behind it.
        let expected = if prefix.is_empty() { 1 } else { 1 + 256 };
        assert_eq!(allowed, expected);
    }
}

/// Each byte of an exempt path percent-encoded, with any two characters for the digits.
#[test]
fn every_exempt_path_percent_encoded() {
    let (pair, mut request) = one_header("all_except_health", &["k"], false);
    request.headers.clear();
    for place in 0..2 {
        strings(|digits| {
            request.target.clear();
            request.target.extend_from_slice(b"/h");
            request.target[place] = b'%';
            let after = request.target.split_off(place + 1);
            request.target.extend_from_slice(digits);
            request.target.extend_from_slice(&after);
            assert!(!agree(&pair, &request));
        });
    }
}

/// Every length of a key with every length of a credential, and with lengths that are the same
/// when cut to 8 or 16 bits.
#[test]
fn every_length_of_key_and_credential() {
    let text = "k".repeat(3 * 65536);
    for key in 1..=256 {
        let policy = Policy::new(
            &keygate::Config::new(AuthMode::Strict)
                .keys(&[Key::new(&text[..key])])
                .sources(&[Source::new("k")]),
        )
        .expect("a policy");
        let wrapped = [key + 65536, key + 2 * 65536];
        for sent in (0..=520).chain(wrapped) {
            let decision = policy.decide("GET", "/", [("k", &text[..sent])]);
            assert_eq!(
                decision.is_allow(),
                sent == key,
                "a key of {key}, {sent} sent"
            );
        }
    }
}

fn times(count: usize) -> String {
    let many = if count == 1 { "" } else { "s" };
    format!("{count} byte{many}")
}

/// Places of a key in a text, around each end of what is searched at once: in the deciding value,
/// where it is told, in another header, and in a query as it is and encoded.
#[test]
fn places_of_a_key() {
    let (key, wrong) = ("sk-0123456789abcdef", "sk-0123456789abcdeg");
    let config = keygate::Config::new(AuthMode::Strict).api_key(key);
    let policy = Policy::new(&config).expect("a policy");
    let found =
        |target: &str, headers: &[(&str, &str)]| policy.explain("GET", target, headers).findings();
    for before in (0..=18).chain(238..=258).chain(494..=514) {
        for behind in ["", "~", &format!("~{key}"), &"~".repeat(300)] {
            let begin = "~".repeat(before);
            for (key, stands) in [(key, true), (wrong, false)] {
                if !stands && !behind.is_empty() {
                    continue;
                }
                let text = format!("{begin}{key}{behind}");
                let explanation = policy.explain("GET", "/", [("x-api-key", &text)]);
                let surrounded = stands && text != key;
                let findings = explanation.findings();
                assert_eq!(
                    findings.contains(Finding::KeySurrounded),
                    surrounded,
                    "{text}"
                );
                let after = times(behind.len());
                let told = format!("{} before it and {after} after it", times(before));
                assert_eq!(
                    explanation.to_string().contains(&told),
                    surrounded,
                    "{text}"
                );
                let encoded: Vec<_> = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
                let encoded = encoded.concat();
                for (target, value) in [
                    ("/", &text),
                    (&format!("/?{text}"), &begin),
                    (&format!("/?{encoded}"), &begin),
                ] {
                    let findings = found(target, &[("cookie", value)]);
                    assert_eq!(
                        findings.contains(Finding::KeyElsewhere),
                        stands,
                        "{target} {value}"
                    );
                }
            }
        }
    }
}
