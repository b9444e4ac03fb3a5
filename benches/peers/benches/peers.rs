//! The time that a decision takes, keygate's and its peers'.

use std::fmt::Write;
use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use fixture::capi::Request;
use fixture::{COUNTS, Case};
use keygate::Verdict;
use peers::rego::Headers;
use peers::{bearer, cedar, middleware, plain, rego};

fn allows(case: &Case) -> bool {
    case.reason.verdict() == Verdict::Allow
}

/// Times what `$decide` makes of each case; the verdict is asserted each time.
macro_rules! time {
    ($criterion:ident, $name:literal, $cases:expr, |$case:ident| $setup:block, |$gate:ident| $decide:expr) => {{
        let mut group = $criterion.benchmark_group($name);
        for name in $cases {
            let $case = Case::new(&name.to_string());
            let allow = allows(&$case);
            #[allow(unused_mut)]
            let mut $gate = $setup;
            group.bench_function(name.to_string(), |bencher| {
                bencher.iter(|| {
                    let $gate = black_box(&mut $gate);
                    assert_eq!($decide, allow);
                });
            });
        }
    }};
}

fn keygate(criterion: &mut Criterion) {
    let cases = fixture::CASES;
    time!(
        criterion,
        "list",
        cases,
        |case| { (case.policy(), case) },
        |gate| {
            let (policy, case) = gate;
            let decision = policy.decide(case.method, case.target, &case.headers);
            decision.is_allow()
        }
    );
    // A header map, as a service has it.
    time!(
        criterion,
        "map",
        COUNTS.map(|count| format!("headers_{count}")),
        |case| { (case.policy(), middleware::request(&case)) },
        |gate| {
            let (policy, request) = gate;
            let target = request.uri().path();
            let decision = policy.decide(request.method().as_str(), target, request.headers());
            decision.is_allow()
        }
    );
    time!(
        criterion,
        "push",
        cases,
        |case| { (case.policy(), case) },
        |gate| {
            let (policy, case) = gate;
            let mut evaluation = policy.evaluate(case.method, case.target);
            for (name, value) in &case.headers {
                if !evaluation.push(name, value) {
                    break;
                }
            }
            evaluation.finish().is_allow()
        }
    );
    time!(
        criterion,
        "capi",
        cases,
        |case| { Request::new(&case) },
        |gate| gate.decide()
    );
    time!(
        criterion,
        "capi_verdict",
        cases,
        |case| { Request::new(&case) },
        |gate| gate.verdict()
    );
    let explained = ["headers_12", "credential_missing", "key_mismatch"];
    time!(
        criterion,
        "explain",
        explained,
        |case| { (case.policy(), case, String::with_capacity(4096)) },
        |gate| {
            let (policy, case, text) = gate;
            text.clear();
            let explanation = policy.explain(case.method, case.target, &case.headers);
            write!(text, "{explanation}").expect("a string takes everything");
            text.starts_with("Allowed")
        }
    );
}

fn others(criterion: &mut Criterion) {
    let counts = COUNTS.map(|count| format!("headers_{count}"));
    time!(
        criterion,
        "floor",
        &counts,
        |case| { Request::new(&case) },
        |gate| gate.floor()
    );
    time!(
        criterion,
        "by_hand",
        &counts,
        |case| { Request::new(&case) },
        |gate| gate.by_hand()
    );
    let cases: Vec<_> = counts
        .iter()
        .cloned()
        .chain(["key_mismatch".into()])
        .collect();
    time!(
        criterion,
        "plain",
        &cases,
        |case| { (plain::Gate::new(&case), case) },
        |gate| gate.0.allows(&gate.1)
    );
    time!(
        criterion,
        "middleware",
        &cases,
        |case| { (middleware::Config::new(&case), middleware::request(&case)) },
        |gate| middleware::allows(&gate.0, &gate.1)
    );
    // What it denies it does not give back.
    time!(
        criterion,
        "bearer",
        &counts,
        |case| { (bearer::Gate::new(&case), Some(middleware::request(&case))) },
        |gate| gate.0.allows(&mut gate.1)
    );
    time!(
        criterion,
        "rego",
        &cases,
        |case| {
            (
                rego::Interpreter::new(&case, Headers::List),
                rego::input(&case, Headers::List),
            )
        },
        |gate| gate.0.allows(&gate.1)
    );
    time!(
        criterion,
        "rego_vm",
        &cases,
        |case| {
            (
                rego::Machine::new(&case, Headers::List),
                rego::input(&case, Headers::List),
            )
        },
        |gate| gate.0.allows(&gate.1)
    );
    time!(
        criterion,
        "rego_vm_map",
        &cases,
        |case| {
            (
                rego::Machine::new(&case, Headers::Map),
                rego::input(&case, Headers::Map),
            )
        },
        |gate| gate.0.allows(&gate.1)
    );
    time!(
        criterion,
        "cedar",
        &cases,
        |case| { (cedar::Gate::new(&case), cedar::request(&case)) },
        |gate| gate.0.allows(&gate.1)
    );
}

/// Short: the whole is repeated, and what is compared is the least disturbed of the rounds.
fn brief() -> Criterion {
    peers::assert_agreement();
    Criterion::default()
        .without_plots()
        .sample_size(10)
        .nresamples(1000)
        .warm_up_time(Duration::from_millis(30))
        .measurement_time(Duration::from_millis(120))
}

criterion_group!(name = all; config = brief(); targets = keygate, others);
criterion_main!(all);
