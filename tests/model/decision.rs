//! The effective mode, the decision, and what is dropped and said after it.

use super::{Config, Outcome, Prefix, Request};

pub(crate) fn trim(value: &[u8]) -> &[u8] {
    match value {
        [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] => trim(rest),
        _ => value,
    }
}

pub(crate) fn path(target: &[u8]) -> &[u8] {
    target.split(|byte| b"?#".contains(byte)).next().unwrap()
}

/// What a source reads from a value, and whether a prefix was stripped.
pub(crate) fn read<'v>(prefix: &Prefix, value: &'v [u8]) -> (&'v [u8], bool) {
    let value = trim(value);
    let (begins, len) = match prefix {
        Prefix::None => (false, 0),
        Prefix::Bearer => (value.starts_with(b"Bearer "), 7),
        Prefix::Scheme(name) => {
            let begins = value.to_ascii_lowercase();
            let name = format!("{} ", name.to_ascii_lowercase());
            (begins.starts_with(name.as_bytes()), name.len())
        }
    };
    match (begins, prefix) {
        (false, _) => (value, false),
        (true, Prefix::Scheme(_)) => {
            let spaces = value[len..]
                .iter()
                .take_while(|byte| **byte == b' ')
                .count();
            (&value[len + spaces..], true)
        }
        (true, _) => (&value[len..], true),
    }
}

pub(crate) fn spelled(name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
    name.replace(['_', '.'], "-")
}

/// Must a host drop this header?
#[allow(dead_code, reason = "not every test asks it")]
pub(crate) fn drops(config: &Config, request: &Request, name: &[u8], value: &[u8]) -> bool {
    let outcome = decide(config, request);
    if !outcome.allow {
        return true;
    }
    let name = spelled(name);
    let value = trim(value);
    let is_key = |text: &[u8]| config.keys.iter().any(|key| key == text);
    let last = value.rsplit(|byte| b" \t".contains(byte)).next().unwrap();
    for (source, prefix) in &config.sources {
        let holds_key = is_key(value) || is_key(read(prefix, value).0) || is_key(last);
        let strips = config.strip == "sources" || config.strip == "matched" && holds_key;
        if strips && spelled(source.as_bytes()) == name {
            return true;
        }
    }
    if let Some(identity) = &config.identity_header {
        let tunnel = name == "upgrade" && !value.eq_ignore_ascii_case(b"websocket");
        if spelled(identity.as_bytes()) == name || tunnel {
            return true;
        }
    }
    let more = "upgrade http2-settings x-http-method x-http-method-override x-method-override x-original-url x-rewrite-url";
    ["preflight", "health"].contains(&outcome.reason) && more.split(' ').any(|own| own == name)
}

pub(crate) fn decide(config: &Config, request: &Request) -> Outcome {
    let effective_mode = match (config.auth_mode.as_str(), config.allow_lan_access) {
        ("off", _) | ("auto", false) => "off",
        ("all_except_health", _) | ("auto", true) => "all_except_health",
        _ => "strict",
    };
    let method = request.method.as_slice();
    let exempt = config
        .exempt
        .iter()
        .any(|exempt| exempt == path(&request.target))
        && !request.target.contains(&b'#');
    let health = exempt && (method == b"GET" || method == b"HEAD");
    let outcome = |reason| Outcome::of(effective_mode, reason);
    let first = |wanted: &str| {
        let named = |(name, _): &(Vec<u8>, Vec<u8>)| name.eq_ignore_ascii_case(wanted.as_bytes());
        request.headers.iter().position(named)
    };
    let preflight = match config.preflight.as_str() {
        "none" => false,
        "cors" => ["origin", "access-control-request-method"]
            .iter()
            .all(|name| first(name).is_some()),
        _ => true,
    };
    if method == b"OPTIONS" && preflight {
        return outcome("preflight");
    } else if effective_mode == "off" {
        return outcome("auth_off");
    } else if effective_mode == "all_except_health" && health {
        return outcome("health");
    } else if config.keys.is_empty() {
        return outcome("no_key_configured");
    }
    let mut present = Vec::new();
    for (source, (wanted, prefix)) in config.sources.iter().enumerate() {
        let Some(header) = first(wanted) else {
            continue;
        };
        let value = trim(&request.headers[header].1);
        let usable = |byte: &u8| matches!(byte, b' ' | b'\t' | 0x21..=0x7e);
        let (credential, bearer_stripped) = read(prefix, value);
        let key = config.keys.iter().position(|key| key == credential);
        let decided = match key {
            _ if value.is_empty() || !value.iter().all(usable) => outcome("credential_unusable"),
            Some(_) => outcome("key_matched"),
            None => outcome("key_mismatch"),
        };
        present.push(Outcome {
            source: Some(source),
            header: Some(header),
            bearer_stripped,
            key,
            ..decided
        });
    }
    let right = present.iter().position(|outcome| outcome.allow);
    let deciding = right.filter(|_| config.match_mode == "any").unwrap_or(0);
    let missing = outcome("credential_missing");
    present.into_iter().nth(deciding).unwrap_or(missing)
}
