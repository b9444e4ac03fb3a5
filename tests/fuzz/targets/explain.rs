//! The findings against the model, and their text in both languages.

#![no_main]

mod input;
#[path = "../../model/mod.rs"]
#[allow(dead_code)]
mod model;

use keygate::{Finding, Language};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((config, request)) = input::read(data) else {
        return;
    };
    let Ok(policy) = config.policy() else {
        return;
    };
    let headers = request.headers.iter().map(|(name, value)| (name, value));
    let explanation = policy.explain(&request.method, &request.target, headers);
    let findings: Vec<_> = explanation.findings().iter().map(Finding::name).collect();
    assert_eq!(findings, model::findings::find(&config, &request));
    for language in [Language::En, Language::Zh] {
        let mut text = String::new();
        explanation
            .write(language, &mut text)
            .expect("a string takes all");
        assert!(text.contains(explanation.decision().reason().name()));
    }
});
