//! What people write and use where keygate could stand, each deciding about the same requests by
//! the same rules as far as it can.

use fixture::Case;
use keygate::{Reason, Verdict};

use rego::Headers;

pub mod bearer;
pub mod cedar;
pub mod middleware;
pub mod plain;
pub mod rego;

/// The headers that a credential is read from, and whether `Bearer ` is stripped.
const SOURCES: [(&str, bool); 3] = [
    ("authorization", true),
    ("x-api-key", false),
    ("x-goog-api-key", false),
];

/// Whether every peer decides as keygate does, so that equal work is compared. The exceptions are
/// what a peer cannot do.
///
/// # Panics
///
/// Where one decides otherwise.
pub fn assert_agreement() {
    for name in fixture::CASES {
        let case = Case::new(name);
        let allow = case.reason.verdict() == Verdict::Allow;
        assert_eq!(plain::Gate::new(&case).allows(&case), allow, "plain {name}");
        for headers in [Headers::List, Headers::Map] {
            let input = rego::input(&case, headers);
            let mut interpreter = rego::Interpreter::new(&case, headers);
            assert_eq!(interpreter.allows(&input), allow, "rego {name}");
            let mut machine = rego::Machine::new(&case, headers);
            assert_eq!(machine.allows(&input), allow, "rego {name}");
        }
        let gate = cedar::Gate::new(&case);
        assert_eq!(gate.allows(&cedar::request(&case)), allow, "cedar {name}");
        if name == "credential_unusable" {
            continue; // `http` refuses to make such a header
        }
        let request = middleware::request(&case);
        if case.keys.len() < 2 {
            let config = middleware::Config::new(&case);
            let decided = middleware::allows(&config, &request);
            assert_eq!(decided, allow, "middleware {name}"); // it has one key
        }
        if matches!(case.reason, Reason::KeyMatched | Reason::KeyMismatch) && case.keys.len() < 2 {
            let mut gate = bearer::Gate::new(&case); // it has one key and no modes
            assert_eq!(gate.allows(&mut Some(request)), allow, "bearer {name}");
        }
    }
}
