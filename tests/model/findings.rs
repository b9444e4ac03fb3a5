//! What the explanation finds, by name, one code after the other as the policy lists them.

use super::decision::{decide, path, trim};
use super::{Config, Request};

const UNREAD: &str = "api-key apikey x-api-key x-goog-api-key x-apikey x-auth-token x-access-token proxy-authorization authorization";
const SCHEMES: &str = "basic digest token apikey api-key key jwt oauth negotiate";
const PARAMETERS: &str = "key api_key api-key apikey access_token auth_token";

fn lower(bytes: &[u8]) -> String {
    text(&bytes.to_ascii_lowercase())
}

/// One character for each byte, so that text functions can be used.
fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

#[expect(
    clippy::too_many_lines,
    reason = "the policy's table from top to bottom"
)]
pub(crate) fn find(config: &Config, request: &Request) -> Vec<&'static str> {
    let outcome = decide(config, request);
    let mut found = Vec::new();
    let mut note = |code, applies: bool| {
        if applies {
            found.push(code);
        }
    };
    note("auto_resolved", config.auth_mode == "auto");
    note("no_key_configured", outcome.reason == "no_key_configured");
    if !outcome.reason.starts_with("credential_") && !outcome.reason.starts_with("key_") {
        return found;
    }

    let source_of = |name: &[u8]| {
        let same = |(source, _): &(String, bool)| source.to_ascii_lowercase() == lower(name);
        config.sources.iter().position(same)
    };
    let mut others = request.headers.clone();
    let deciding = outcome.header.map(|header| others.remove(header).1);
    if let Some(deciding) = outcome.source {
        let shadows: Vec<bool> = others
            .iter()
            .filter_map(|(name, value)| Some((source_of(name)?, value)))
            .filter(|(source, _)| *source != deciding)
            .map(|(source, value)| {
                let value = trim(value);
                let stripped = value.strip_prefix(b"Bearer ");
                let credential = stripped.filter(|_| config.sources[source].1);
                let credential = credential.unwrap_or(value);
                config.keys.iter().any(|key| key == credential)
            })
            .collect();
        note("shadowed_match", shadows.contains(&true));
        let all_wrong = !shadows.is_empty() && !shadows.contains(&true);
        note("shadowed_present", all_wrong);
        let again = |(name, _): &(Vec<u8>, Vec<u8>)| source_of(name) == Some(deciding);
        note("duplicate_ignored", others.iter().any(again));
    }
    if outcome.allow {
        return found;
    }

    let strips = outcome
        .source
        .is_some_and(|source| config.sources[source].1);
    let value = text(trim(deciding.as_deref().unwrap_or_default()));
    let credential = match value.strip_prefix("Bearer ") {
        Some(rest) if strips => rest.to_owned(),
        _ => value.clone(),
    };
    let small = value.to_ascii_lowercase();
    if strips {
        let exact = value
            .strip_prefix("Bearer")
            .map(|rest| rest.chars().collect::<Vec<_>>());
        let rest = exact.clone().unwrap_or_default();
        note(
            "bearer_no_space",
            !rest.is_empty() && rest[0] != ' ' && rest[0] != '\t',
        );
        note(
            "bearer_case",
            exact.is_none() && small.starts_with("bearer "),
        );
        let blanks: String = rest
            .iter()
            .take_while(|c| [' ', '\t'].contains(*c))
            .collect();
        note("bearer_extra_space", !blanks.is_empty() && blanks != " ");
        note("bearer_doubled", value.starts_with("Bearer Bearer "));
    }
    note(
        "bearer_in_key_header",
        !strips && small.starts_with("bearer "),
    );
    let scheme = |scheme| small.starts_with(&format!("{scheme} "));
    note("other_scheme", strips && SCHEMES.split(' ').any(scheme));

    let wrapped = |left, right| {
        credential.len() >= 2 && credential.starts_with(left) && credential.ends_with(right)
    };
    note("quoted", wrapped('"', '"') || wrapped('\'', '\''));
    let small = credential.to_ascii_lowercase();
    let masked = |rest: &str| !rest.is_empty() && rest.chars().all(|c| "x.*".contains(c));
    note(
        "placeholder",
        ["replace_with", "your_", "your-", "changeme", "change_me"]
            .iter()
            .any(|part| small.contains(part))
            || credential.starts_with('$')
            || credential.starts_with("{{")
            || wrapped('<', '>')
            || small.strip_prefix("sk-").is_some_and(masked),
    );
    let unread = |(name, _): &(Vec<u8>, Vec<u8>)| {
        let plain = lower(name).replace(['_', '.'], "-");
        UNREAD.split(' ').any(|known| known == plain) && source_of(name).is_none()
    };
    note("unread_header", request.headers.iter().any(unread));

    let target = text(&request.target);
    let no_fragment = target.split('#').next().unwrap();
    let query = no_fragment.split_once('?').map_or("", |(_, query)| query);
    let named = |pair: &str| {
        PARAMETERS
            .split(' ')
            .any(|name| name == pair.split('=').next().unwrap())
    };
    note("key_in_query", query.split('&').any(named));
    let part = |key: &Vec<u8>| {
        let key = text(key);
        let (short, long) = if key.len() < credential.len() {
            (&key, &credential)
        } else {
            (&credential, &key)
        };
        short.chars().count() >= 8 && short != long && long.starts_with(short.as_str())
    };
    note("truncated", config.keys.iter().any(part));

    let path = path(&request.target);
    let open = request.method == b"GET" || request.method == b"HEAD";
    let exempt = config.exempt.iter().any(|exempt| exempt == path);
    let effective = outcome.effective_mode;
    note(
        "health_in_strict",
        effective == "strict" && open && exempt && !target.contains('#'),
    );
    let near = |exempt: &Vec<u8>| normal(exempt).is_some() && normal(exempt) == normal(path);
    note(
        "health_near_miss",
        effective == "all_except_health" && config.exempt.iter().any(near),
    );
    note("options_case", lower(&request.method) == "options");
    found
}

/// A path percent-decoded, without parameters, empty and dot segments and a trailing slash, in
/// lower case.
fn normal(path: &[u8]) -> Option<Vec<String>> {
    let path = text(path);
    let mut pieces = path.split('%');
    let mut decoded = pieces.next()?.to_owned();
    for piece in pieces {
        match piece.get(..2).map(|hex| (hex, u8::from_str_radix(hex, 16))) {
            Some((hex, Ok(byte))) if !hex.starts_with('+') => {
                decoded.push(char::from(byte));
                decoded.push_str(&piece[2..]);
            }
            _ => {
                decoded.push('%');
                decoded.push_str(piece);
            }
        }
    }
    let mut segments = Vec::new();
    for segment in decoded.strip_prefix('/')?.split('/') {
        match segment.split(';').next()? {
            "" | "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment.to_ascii_lowercase()),
        }
    }
    Some(segments)
}
