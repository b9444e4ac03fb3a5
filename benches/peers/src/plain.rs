//! A gate written by hand, as plainly as can be, with the comparison left to `subtle`.

use fixture::Case;
use keygate::AuthMode;
use subtle::ConstantTimeEq;

use crate::SOURCES;

pub struct Gate {
    mode: AuthMode,
    keys: Vec<String>,
}

impl Gate {
    #[must_use]
    pub fn new(case: &Case) -> Self {
        Self {
            mode: case.mode,
            keys: case.keys.clone(),
        }
    }

    #[must_use]
    pub fn allows(&self, request: &Case) -> bool {
        if request.method == "OPTIONS" || self.mode == AuthMode::Off {
            return true;
        }
        if self.mode == AuthMode::AllExceptHealth
            && matches!(request.method, "GET" | "HEAD")
            && request.target.split(['?', '#']).next() == Some("/healthz")
        {
            return true;
        }
        for (source, bearer) in SOURCES {
            let named = |(name, _): &&(&str, &str)| name.eq_ignore_ascii_case(source);
            let Some((_, value)) = request.headers.iter().find(named) else {
                continue;
            };
            let value = value.trim_matches([' ', '\t']);
            let credential = match value.strip_prefix("Bearer ") {
                Some(rest) if bearer => rest,
                _ => value,
            };
            let equals = |key: &String| key.as_bytes().ct_eq(credential.as_bytes());
            let none = subtle::Choice::from(0);
            return self.keys.iter().map(equals).fold(none, |a, b| a | b).into();
        }
        false
    }
}
