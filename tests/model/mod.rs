//! The policy once more, written naively from its text and sharing nothing with the core.

pub(crate) mod decision;
pub(crate) mod findings;
pub(crate) mod lints;

/// A configuration that is valid.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) auth_mode: String,
    pub(crate) allow_lan_access: bool,
    pub(crate) keys: Vec<Vec<u8>>,
    pub(crate) sources: Vec<(String, Prefix)>,
    pub(crate) exempt: Vec<Vec<u8>>,
    pub(crate) match_mode: String,
    pub(crate) preflight: String,
    pub(crate) strip: String,
    pub(crate) identity_header: Option<String>,
}

/// What a source strips.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Prefix {
    None,
    Bearer,
    Scheme(String),
}

impl From<bool> for Prefix {
    fn from(bearer: bool) -> Self {
        if bearer { Self::Bearer } else { Self::None }
    }
}

impl Default for Config {
    /// Strict, with the default sources and no key.
    fn default() -> Self {
        let sources = [
            ("authorization", Prefix::Bearer),
            ("x-api-key", Prefix::None),
            ("x-goog-api-key", Prefix::None),
        ];
        Self {
            auth_mode: "strict".to_owned(),
            allow_lan_access: false,
            keys: vec![],
            sources: sources
                .map(|(name, prefix)| (name.to_owned(), prefix))
                .to_vec(),
            exempt: vec![b"/healthz".to_vec()],
            match_mode: "first".to_owned(),
            preflight: "options".to_owned(),
            strip: "sources".to_owned(),
            identity_header: None,
        }
    }
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
        use keygate::{Config, Exempt, Key, MatchMode, Policy, Preflight, Source, Strip};

        let keys: Vec<_> = self.keys.iter().map(Key::new).collect();
        let source = |(name, prefix)| match prefix {
            &Prefix::None => Source::new(name),
            Prefix::Bearer => Source::bearer(name),
            Prefix::Scheme(scheme) => Source::scheme(name, scheme),
        };
        let sources = self.sources.iter().map(|(name, prefix)| (name, prefix));
        let sources: Vec<_> = sources.map(source).collect();
        let exempt: Vec<_> = self.exempt.iter().map(Exempt::new).collect();
        let auth_mode = self.auth_mode.parse().expect("a mode");
        let config = Config::new(auth_mode)
            .allow_lan_access(self.allow_lan_access)
            .keys(&keys)
            .sources(&sources)
            .exempt(&exempt)
            .match_mode(match self.match_mode.as_str() {
                "any" => MatchMode::Any,
                _ => MatchMode::First,
            })
            .preflight(match self.preflight.as_str() {
                "none" => Preflight::None,
                "cors" => Preflight::Cors,
                _ => Preflight::Options,
            })
            .strip(match self.strip.as_str() {
                "off" => Strip::Off,
                "matched" => Strip::Matched,
                _ => Strip::Sources,
            });
        match &self.identity_header {
            Some(name) => Policy::new(&config.identity_header(name)),
            None => Policy::new(&config),
        }
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
