//! The policy once more, written naively from its text and sharing nothing with the core.

pub(crate) mod decision;
pub(crate) mod findings;

/// A configuration that is valid.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) auth_mode: String,
    pub(crate) allow_lan_access: bool,
    pub(crate) keys: Vec<Vec<u8>>,
    pub(crate) sources: Vec<(String, bool)>,
    pub(crate) exempt: Vec<Vec<u8>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: Vec<u8>,
    pub(crate) target: Vec<u8>,
    pub(crate) headers: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What comes out, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) allow: bool,
    pub(crate) reason: &'static str,
    pub(crate) effective_mode: &'static str,
    pub(crate) source: Option<usize>,
    pub(crate) header: Option<usize>,
    pub(crate) bearer_stripped: bool,
    pub(crate) key: Option<usize>,
}

impl Config {
    /// The core's policy for the same configuration.
    pub(crate) fn policy(&self) -> Result<keygate::Policy, keygate::ConfigError> {
        use keygate::{Config, Exempt, Key, Policy, Source};

        let keys: Vec<_> = self.keys.iter().map(Key::new).collect();
        let source: fn(&(String, bool)) -> Source<'_> = |(name, bearer)| {
            let source = if *bearer { Source::bearer } else { Source::new };
            source(name)
        };
        let sources: Vec<_> = self.sources.iter().map(source).collect();
        let exempt: Vec<_> = self.exempt.iter().map(Exempt::new).collect();
        let auth_mode = self.auth_mode.parse().expect("a mode");
        Policy::new(
            &Config::new(auth_mode)
                .allow_lan_access(self.allow_lan_access)
                .keys(&keys)
                .sources(&sources)
                .exempt(&exempt),
        )
    }
}

impl Outcome {
    fn of(effective_mode: &'static str, reason: &'static str) -> Self {
        Self {
            allow: ["preflight", "auth_off", "health", "key_matched"].contains(&reason),
            reason,
            effective_mode,
            ..Self::default()
        }
    }
}

impl From<keygate::Decision> for Outcome {
    fn from(decision: keygate::Decision) -> Self {
        Self {
            allow: decision.is_allow(),
            reason: decision.reason().name(),
            effective_mode: decision.effective_mode().name(),
            source: decision.source_index(),
            header: decision.header_index(),
            bearer_stripped: decision.bearer_stripped(),
            key: decision.key_index(),
        }
    }
}
