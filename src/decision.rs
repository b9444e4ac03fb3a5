//! What comes out: codes and texts, in one table.

use core::ffi::CStr;
use core::fmt;

use crate::EffectiveMode;

/// Allow or deny.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum Verdict {
    /// Answer the request with [`Denial`].
    Deny = 0,
    /// Let the request pass.
    Allow = 1,
}

impl Verdict {
    /// `allow` or `deny`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Allow => "allow",
        }
    }
}

/// Which rule decided. The numbers are pinned: they are part of the C interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(i32)]
pub enum Reason {
    /// Allow: the effective mode is `off`.
    AuthOff = 1,
    /// Allow: the method is `OPTIONS`. The request carries no proof of anything, and a host that
    /// forwards it can tell.
    Preflight = 2,
    /// Allow: GET or HEAD of an exempt path.
    Health = 3,
    /// Allow: the credential equals a key.
    KeyMatched = 4,
    /// Deny: there is no key to compare with.
    NoKeyConfigured = 16,
    /// Deny: no header of any source is present.
    CredentialMissing = 17,
    /// Deny: the deciding value is empty or holds a byte that no key has.
    CredentialUnusable = 18,
    /// Deny: the credential equals no key.
    KeyMismatch = 19,
    /// Deny: a call through the C interface had a bad argument. Nothing else yields it.
    InvalidCall = 32,
}

/// A reason's row in the table. The texts end in NUL for the C interface.
struct Row {
    name: &'static CStr,
    text: &'static CStr,
    /// The number of the rule in the crate's documentation.
    rule: Option<u8>,
}

const fn row(rule: Option<u8>, name: &'static CStr, text: &'static CStr) -> Row {
    Row { name, text, rule }
}

pub(crate) const fn plain(text: &'static CStr) -> &'static str {
    match text.to_str() {
        Ok(text) => text,
        Err(_) => "",
    }
}

impl Reason {
    /// Every reason, in order of its number.
    pub const ALL: [Self; 9] = [
        Self::AuthOff,
        Self::Preflight,
        Self::Health,
        Self::KeyMatched,
        Self::NoKeyConfigured,
        Self::CredentialMissing,
        Self::CredentialUnusable,
        Self::KeyMismatch,
        Self::InvalidCall,
    ];

    const fn row(self) -> Row {
        match self {
            Self::AuthOff => row(
                Some(2),
                c"auth_off",
                c"The effective mode is off; no request needs a key",
            ),
            Self::Preflight => row(
                Some(1),
                c"preflight",
                c"OPTIONS (a CORS preflight) needs no key",
            ),
            Self::Health => row(
                Some(3),
                c"health",
                c"An exempt path needs no key for GET or HEAD",
            ),
            Self::KeyMatched => row(
                Some(7),
                c"key_matched",
                c"The credential equals a configured key",
            ),
            Self::NoKeyConfigured => row(
                Some(4),
                c"no_key_configured",
                c"Proxy auth is enabled but api_key is empty; denying request",
            ),
            Self::CredentialMissing => row(
                Some(5),
                c"credential_missing",
                c"No header that a key is read from is present",
            ),
            Self::CredentialUnusable => row(
                Some(6),
                c"credential_unusable",
                c"The deciding header's value is empty or holds a byte that no key can have",
            ),
            Self::KeyMismatch => row(
                Some(8),
                c"key_mismatch",
                c"The deciding header's value equals no configured key",
            ),
            Self::InvalidCall => row(
                None,
                c"invalid_call",
                c"The gate was called with an invalid argument; denying request",
            ),
        }
    }

    /// The pinned number.
    #[must_use]
    pub const fn code(self) -> i32 {
        self as i32
    }

    pub(crate) const fn c_name(self) -> &'static CStr {
        self.row().name
    }

    pub(crate) const fn c_text(self) -> &'static CStr {
        self.row().text
    }

    /// The name for logs and programs, `key_mismatch` for example.
    #[must_use]
    pub const fn name(self) -> &'static str {
        plain(self.c_name())
    }

    /// One sentence for the operator's log.
    #[must_use]
    pub const fn text(self) -> &'static str {
        plain(self.c_text())
    }

    /// The number of the rule in the [crate's documentation](crate).
    #[must_use]
    pub const fn rule(self) -> Option<u8> {
        self.row().rule
    }

    /// Allow for [`AuthOff`](Self::AuthOff), [`Preflight`](Self::Preflight),
    /// [`Health`](Self::Health) and [`KeyMatched`](Self::KeyMatched), deny for all others.
    #[must_use]
    pub const fn verdict(self) -> Verdict {
        match self {
            Self::AuthOff | Self::Preflight | Self::Health | Self::KeyMatched => Verdict::Allow,
            Self::NoKeyConfigured
            | Self::CredentialMissing
            | Self::CredentialUnusable
            | Self::KeyMismatch
            | Self::InvalidCall => Verdict::Deny,
        }
    }

    /// What to answer the client. `None` where the reason allows.
    #[must_use]
    pub const fn denial(self) -> Option<Denial> {
        match self {
            Self::AuthOff | Self::Preflight | Self::Health | Self::KeyMatched => None,
            Self::CredentialMissing => Some(Denial::MISSING),
            Self::CredentialUnusable | Self::KeyMismatch => Some(Denial::INVALID),
            Self::NoKeyConfigured | Self::InvalidCall => Some(Denial::CLOSED),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// The answer to a denied request. It tells a missing credential from an invalid one and no
/// more; its realm tells a person that the gate answered and not what stands behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denial {
    pub(crate) challenge: &'static CStr,
    pub(crate) body: &'static CStr,
}

const BODY_INVALID: &CStr = c"{\"type\":\"error\",\"error\":{\"message\":\"Invalid API key: the gate in front of this service does not accept it.\",\"type\":\"authentication_error\",\"code\":\"invalid_api_key\",\"status\":\"UNAUTHENTICATED\"}}";

impl Denial {
    /// The status code.
    pub const STATUS: u16 = 401;
    /// The media type of the body.
    pub const CONTENT_TYPE: &'static str = "application/json";

    const MISSING: Self = Self {
        challenge: c"Bearer realm=\"keygate\"",
        body: c"{\"type\":\"error\",\"error\":{\"message\":\"Missing API key: the gate in front of this service found none in the request.\",\"type\":\"authentication_error\",\"code\":\"missing_api_key\",\"status\":\"UNAUTHENTICATED\"}}",
    };
    const INVALID: Self = Self {
        challenge: c"Bearer realm=\"keygate\", error=\"invalid_token\"",
        body: BODY_INVALID,
    };
    /// No credential could be right, so none is called invalid.
    pub(crate) const CLOSED: Self = Self {
        challenge: c"Bearer realm=\"keygate\"",
        body: BODY_INVALID,
    };

    /// The value of the `WWW-Authenticate` header.
    #[must_use]
    pub const fn challenge(&self) -> &'static str {
        plain(self.challenge)
    }

    /// The body, in JSON.
    #[must_use]
    pub const fn body(&self) -> &'static str {
        plain(self.body)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deciding {
    pub(crate) header: usize,
    pub(crate) source: u8,
    pub(crate) bearer_stripped: bool,
}

/// What was decided and why. It holds no byte of a key or of a credential.
#[must_use = "a decision that is not looked at guards nothing"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    pub(crate) reason: Reason,
    pub(crate) effective_mode: EffectiveMode,
    pub(crate) deciding: Option<Deciding>,
    pub(crate) key: Option<u8>,
}

impl Decision {
    pub(crate) const fn new(reason: Reason, effective_mode: EffectiveMode) -> Self {
        Self {
            reason,
            effective_mode,
            deciding: None,
            key: None,
        }
    }

    /// Whether the request may pass.
    #[must_use]
    pub const fn is_allow(&self) -> bool {
        matches!(self.verdict(), Verdict::Allow)
    }

    /// Allow or deny.
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        self.reason.verdict()
    }

    /// Which rule decided.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// The mode in force.
    #[must_use]
    pub const fn effective_mode(&self) -> EffectiveMode {
        self.effective_mode
    }

    /// The index of the source that the deciding header belongs to, where one decided. See
    /// [`Policy::source_name`](crate::Policy::source_name).
    #[must_use]
    pub const fn source_index(&self) -> Option<usize> {
        match self.deciding {
            Some(deciding) => Some(deciding.source as usize),
            None => None,
        }
    }

    /// The index of the deciding header among those pushed, where one decided.
    #[must_use]
    pub const fn header_index(&self) -> Option<usize> {
        match self.deciding {
            Some(deciding) => Some(deciding.header),
            None => None,
        }
    }

    /// Whether `Bearer ` was stripped from the deciding value.
    #[must_use]
    pub const fn bearer_stripped(&self) -> bool {
        matches!(
            self.deciding,
            Some(Deciding {
                bearer_stripped: true,
                ..
            })
        )
    }

    /// The lowest index of a key that matched, where one did. See
    /// [`Policy::key_label`](crate::Policy::key_label).
    #[must_use]
    pub const fn key_index(&self) -> Option<usize> {
        match self.key {
            Some(key) => Some(key as usize),
            None => None,
        }
    }

    /// What to answer the client. `None` where the request may pass.
    #[must_use]
    pub const fn denial(&self) -> Option<Denial> {
        self.reason.denial()
    }
}
