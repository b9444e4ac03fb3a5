//! What a person writes into files, against a plain reader of JSON.

#![no_main]

use keygate::{KeyFile, Language, Policy};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let lines = data.split(|byte| *byte == b'\n').count();
    let mut file = KeyFile::new(data);
    let keys: Vec<_> = file.by_ref().collect();
    assert!(keys.len() <= lines);
    if let Err(error) = file.end() {
        assert!(error.line().is_some_and(|line| line <= lines), "{error}");
    }

    let alone = Policy::parse_object(data);
    let parsed = Policy::parse(data, None);
    for error in [&alone, &parsed].into_iter().filter_map(|parsed| parsed.as_ref().err()) {
        let mut text = String::new();
        for language in [Language::En, Language::Zh] {
            error.write(language, &mut text).expect("a string takes it");
        }
        assert!(error.line().is_some_and(|line| line <= lines), "{text}");
    }
    let data = data.strip_prefix(b"\xef\xbb\xbf").unwrap_or(data);
    if let Ok(alone) = alone {
        let parsed = parsed.as_ref().expect("what stands alone is taken");
        assert_eq!(alone.auth_mode(), parsed.auth_mode());
        assert_eq!(alone.key_count(), parsed.key_count());
    }
    let Ok(policy) = parsed else {
        return;
    };
    let value: serde_json::Value = match serde_json::from_slice(data) {
        // In a field of somebody else, which the library passes over, and serde_json has no room for.
        Err(error) if error.to_string().starts_with("number out of range") => return,
        value => value.expect("JSON"),
    };
    let section = value.get("proxy").unwrap_or(&value);
    assert_eq!(section["auth_mode"], policy.auth_mode().name());
    let one = usize::from(section["api_key"].as_str().is_some_and(|key| !key.is_empty()));
    let keys = section["keys"].as_array().map_or(one, Vec::len);
    assert_eq!(policy.key_count(), keys);
    // With each key as it stands there, or behind its scheme, the gate opens.
    let scheme = section["sources"][0]["scheme"].as_str().unwrap_or("Bearer");
    let listed = section["keys"].as_array().into_iter().flatten();
    let texts = listed.map(|entry| &entry["key"]).chain([&section["api_key"]]);
    for text in texts.filter_map(serde_json::Value::as_str) {
        let key: Vec<u8> = text.chars().map(|c| c as u8).collect();
        let Some(source) = policy.source_name(0).filter(|_| !key.is_empty()) else {
            continue;
        };
        let prefixed = [scheme.as_bytes(), b" ", &key].concat();
        let opens = |value: &[u8]| policy.decide("GET", "/", [(source, value)]).is_allow();
        assert!(opens(&key) || opens(&prefixed));
    }
});
