//! The configuration as a file: it is taken or refused, the same in both forms.

#![no_main]

use keygate::{ConfigBuf, ExactConfigBuf};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let exact = serde_json::from_slice::<ExactConfigBuf>(data);
    let lenient = serde_json::from_slice::<ConfigBuf>(data);
    if let Err(error) = &exact {
        assert!(!error.to_string().is_empty());
    }
    let Ok(ExactConfigBuf(exact)) = exact else {
        drop(lenient.map(|config| config.policy()));
        return;
    };
    let lenient = lenient.expect("what the exact form takes");
    match (exact.policy(), lenient.policy()) {
        (Ok(exact), Ok(lenient)) => {
            assert_eq!(exact.auth_mode(), lenient.auth_mode());
            assert_eq!(exact.effective_mode(), lenient.effective_mode());
            assert!(exact.source_names().eq(lenient.source_names()));
            let value: serde_json::Value = serde_json::from_slice(data).expect("JSON");
            assert_eq!(value["auth_mode"], exact.auth_mode().name());
            let one = usize::from(value["api_key"].as_str().is_some_and(|key| !key.is_empty()));
            let keys = value["keys"].as_array().map_or(one, Vec::len);
            assert_eq!((exact.key_count(), lenient.key_count()), (keys, keys));
            // With each key as it stands there, the gate opens.
            let listed = value["keys"].as_array().into_iter().flatten();
            let texts = listed.map(|entry| &entry["key"]).chain([&value["api_key"]]);
            for text in texts.filter_map(serde_json::Value::as_str) {
                let key: Vec<u8> = text.chars().map(|c| c as u8).collect();
                let Some(source) = exact.source_name(0).filter(|_| !key.is_empty()) else {
                    continue;
                };
                let prefixed = [b"Bearer ".as_slice(), &key].concat();
                let opens = |value: &[u8]| exact.decide("GET", "/", [(source, value)]).is_allow();
                assert!(opens(&key) || opens(&prefixed));
            }
        }
        (exact, lenient) => assert_eq!(exact.err(), lenient.err()),
    }
});
