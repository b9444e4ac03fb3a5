//! What is probably a mistake in a configuration, by name.

use super::Config;
use super::findings::{is_placeholder, quoted, text};

pub(crate) fn find(config: &Config) -> Vec<&'static str> {
    let mut found = Vec::new();
    let mut note = |code, applies: bool| {
        if applies {
            found.push(code);
        }
    };
    let keys: Vec<String> = config.keys.iter().map(|key| text(key)).collect();
    let assignment = |key: &String| {
        let Some((name, value)) = key.split_once('=') else {
            return key.starts_with('{') && key.ends_with('}') && key.len() > 1;
        };
        let word = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        let name = name.starts_with(|c: char| c.is_ascii_uppercase()) && name.chars().all(word);
        name && !value.is_empty() && !value.starts_with('=')
            || key.starts_with('{') && key.ends_with('}')
    };
    let bearer = |key: &String| key.to_ascii_lowercase().starts_with("bearer ");
    note(
        "key_placeholder",
        keys.iter().any(|key| is_placeholder(key)),
    );
    note("key_quoted", keys.iter().any(|key| quoted(key).is_some()));
    note("key_bearer", keys.iter().any(bearer));
    note("key_assignment", keys.iter().any(assignment));
    note("key_short", keys.iter().any(|key| key.chars().count() < 16));
    let repeated = |(at, key)| keys[..at].contains(key);
    note("key_repeated", keys.iter().enumerate().any(repeated));
    let auto_off = config.auth_mode == "auto" && !config.allow_lan_access;
    let off = config.auth_mode == "off" || auto_off;
    note("no_key", keys.is_empty() && !off);
    note("open", off && !keys.is_empty());
    note("auto_open", auto_off);
    let odd = |(name, _): &(String, _)| name.contains(['_', '.']);
    note("source_underscore", config.sources.iter().any(odd));
    let pattern = |path: &Vec<u8>| {
        let path = text(path);
        path.contains('*') || path != "/" && path.ends_with('/')
    };
    note("exempt_pattern", config.exempt.iter().any(pattern));
    found
}
