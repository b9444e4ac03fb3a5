//! The effective mode, the decision and what is dropped after it, in at most 80 lines of code.

use super::{Config, Outcome, Request};

pub(crate) fn trim(value: &[u8]) -> &[u8] {
    match value {
        [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] => trim(rest),
        _ => value,
    }
}

pub(crate) fn path(target: &[u8]) -> &[u8] {
    target.split(|byte| b"?#".contains(byte)).next().unwrap()
}

/// Must a host drop a header of this name?
#[allow(dead_code, reason = "the properties alone ask it")]
pub(crate) fn drops(config: &Config, request: &Request, name: &[u8]) -> bool {
    let plain = |name: &[u8]| {
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        name.replace(['_', '.'], "-")
    };
    let outcome = decide(config, request);
    let mut dropped: Vec<String> = config
        .sources
        .iter()
        .map(|(name, _)| plain(name.as_bytes()))
        .collect();
    if ["preflight", "health"].contains(&outcome.reason) {
        let more = "upgrade http2-settings x-http-method x-http-method-override x-method-override x-original-url x-rewrite-url";
        dropped.extend(more.split(' ').map(str::to_owned));
    }
    !outcome.allow || dropped.contains(&plain(name))
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
    if method == b"OPTIONS" {
        return outcome("preflight");
    } else if effective_mode == "off" {
        return outcome("auth_off");
    } else if effective_mode == "all_except_health" && health {
        return outcome("health");
    } else if config.keys.is_empty() {
        return outcome("no_key_configured");
    }
    for (source, (wanted, strips)) in config.sources.iter().enumerate() {
        let named = |(name, _): &(Vec<u8>, _)| name.eq_ignore_ascii_case(wanted.as_bytes());
        let Some(header) = request.headers.iter().position(named) else {
            continue;
        };
        let value = trim(&request.headers[header].1);
        let usable = |byte: &u8| matches!(byte, b' ' | b'\t' | 0x21..=0x7e);
        let bearer_stripped = *strips && value.starts_with(b"Bearer ");
        let credential = if bearer_stripped { &value[7..] } else { value };
        let key = config.keys.iter().position(|key| key == credential);
        let decided = match key {
            _ if value.is_empty() || !value.iter().all(usable) => outcome("credential_unusable"),
            Some(_) => outcome("key_matched"),
            None => outcome("key_mismatch"),
        };
        return Outcome {
            source: Some(source),
            header: Some(header),
            bearer_stripped,
            key,
            ..decided
        };
    }
    outcome("credential_missing")
}
