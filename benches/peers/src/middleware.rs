//! A service's middleware on `http::HeaderMap`: the configuration sits behind a lock, so that it
//! can be changed while the service runs, and is cloned for each request.

use std::sync::RwLock;

use fixture::Case;
use http::header::{AUTHORIZATION, HeaderMap};
use http::{Method, Request};
use keygate::AuthMode;

#[derive(Clone)]
pub struct Config {
    auth_mode: AuthMode,
    allow_lan_access: bool,
    api_key: String,
}

impl Config {
    #[must_use]
    pub fn new(case: &Case) -> RwLock<Self> {
        RwLock::new(Self {
            auth_mode: case.mode,
            allow_lan_access: true,
            api_key: case.keys.first().cloned().unwrap_or_default(),
        })
    }

    fn effective_mode(&self) -> AuthMode {
        match (self.auth_mode, self.allow_lan_access) {
            (AuthMode::Auto, true) => AuthMode::AllExceptHealth,
            (AuthMode::Auto, false) => AuthMode::Off,
            (mode, _) => mode,
        }
    }
}

/// # Panics
///
/// Never: the lock is not poisoned.
#[must_use]
pub fn allows(config: &RwLock<Config>, request: &Request<()>) -> bool {
    let config = config.read().expect("no writer panicked").clone();
    let mode = config.effective_mode();
    if request.method() == Method::OPTIONS || mode == AuthMode::Off {
        return true;
    }
    if mode == AuthMode::AllExceptHealth && request.uri().path() == "/healthz" {
        return true;
    }
    if config.api_key.is_empty() {
        return false;
    }
    let text = |name: &str| header(request.headers(), name);
    let credential = text(AUTHORIZATION.as_str())
        .map(|value| value.strip_prefix("Bearer ").unwrap_or(value))
        .or_else(|| text("x-api-key"))
        .or_else(|| text("x-goog-api-key"));
    credential.is_some_and(|credential| credential == config.api_key)
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// # Panics
///
/// Never: the cases are sound requests.
#[must_use]
pub fn request(case: &Case) -> Request<()> {
    let request = Request::builder().method(case.method).uri(case.target);
    let add = |request: http::request::Builder, (name, value): &(&str, &str)| {
        request.header(*name, value.as_bytes())
    };
    let headers = case.headers.iter();
    headers.fold(request, add).body(()).expect("sound headers")
}
