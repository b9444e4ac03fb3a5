//! The C callers of `tests/c` as a test of cargo, so that `make mutants` can change `src/ffi.rs`.

use std::process::Command;

#[test]
#[ignore = "`make test-capi` runs these and more"]
fn vectors_and_hostile_callers() {
    let target = concat!(env!("CARGO_TARGET_TMPDIR"), "/from_c");
    let build = Command::new(env!("CARGO"))
        .args(["rustc", "--quiet", "--locked", "--profile", "capi", "--lib"])
        .args([
            "--features",
            "capi",
            "--crate-type",
            "staticlib",
            "--target-dir",
            target,
        ])
        .status();
    assert!(build.expect("cargo runs").success());
    let archive = format!("{target}/capi/libkeygate.a");
    let callers = Command::new("tests/c/callers")
        .args([&archive, target, "100000"])
        .status();
    assert!(callers.expect("the script runs").success());
}
