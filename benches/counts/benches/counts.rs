//! How many instructions a decision takes.

use std::hint::black_box;

use fixture::Case;
use fixture::capi::Request;
use gungraun::{library_benchmark, library_benchmark_group, main};
use keygate::Policy;

type Core = &'static (Policy, Case);
type C = &'static Request<'static>;

fn core(name: String) -> Core {
    let case = Case::new(&name);
    Box::leak(Box::new((case.policy(), case)))
}

fn c(name: String) -> C {
    Box::leak(Box::new(Request::new(&core(name).1)))
}

#[library_benchmark]
#[benches::case(file = "counts/cases", setup = core)]
fn decide(input: Core) -> bool {
    let (policy, case) = black_box(input);
    let decision = policy.decide(case.method, case.target, &case.headers);
    assert_eq!(decision.reason(), case.reason);
    decision.is_allow()
}

#[library_benchmark]
#[benches::case(file = "counts/cases", setup = core)]
fn push(input: Core) -> bool {
    let (policy, case) = black_box(input);
    let mut evaluation = policy.evaluate(case.method, case.target);
    for (name, value) in &case.headers {
        if !evaluation.push(name, value) {
            break;
        }
    }
    let decision = evaluation.finish();
    assert_eq!(decision.reason(), case.reason);
    decision.is_allow()
}

#[library_benchmark]
#[benches::case(file = "counts/cases", setup = c)]
fn capi(input: C) -> bool {
    black_box(input).decide()
}

library_benchmark_group!(name = counts, benchmarks = [decide, push, capi]);
main!(library_benchmark_groups = counts);
