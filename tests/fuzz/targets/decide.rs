//! The decision against the model, whole and push by push.

#![no_main]

mod input;
#[path = "../../model/mod.rs"]
#[allow(dead_code)]
mod model;

use libfuzzer_sys::fuzz_target;
use model::Outcome;

fuzz_target!(|data: &[u8]| {
    let Some((config, request)) = input::read(data) else {
        return;
    };
    let Ok(policy) = config.policy() else {
        return;
    };
    let expected = model::decision::decide(&config, &request);
    let headers = request.headers.iter().map(|(name, value)| (name, value));
    let decision = policy.decide(&request.method, &request.target, headers);
    assert_eq!(Outcome::from(decision), expected);
    let mut evaluation = policy.evaluate(&request.method, &request.target);
    for (name, value) in &request.headers {
        evaluation.push(name, value);
    }
    assert_eq!(evaluation.finish(), decision);
    for (name, value) in &request.headers {
        let expected = model::decision::drops(&config, &request, name, value);
        assert_eq!(policy.drops(&decision, name, value), expected);
    }
});
