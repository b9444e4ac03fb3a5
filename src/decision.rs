//! What comes out: codes and texts, in one table.

use core::ffi::CStr;
use core::fmt;

use crate::mode::EffectiveMode;
use crate::text::{Language, numbered, plain, worded};

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

/// A row a reason: the pinned number, its name, the number of the rule, what a denied request is
/// answered with, and the sentence for the operator in both languages.
macro_rules! reasons {
    ($($(#[$doc:meta])* $reason:ident = $code:literal, $name:literal, $rule:expr, $denial:expr, $en:literal, $zh:literal;)*) => {
        numbered! {
            /// Which rule decided. The numbers are pinned: they are part of the C interface.
            Reason: i32 {
                $($(#[$doc])* $reason = $code,)*
            }
        }

        worded! {
            Reason { $($reason: $name, $en, $zh;)* }
        }

        impl Reason {
            /// The number of the rule in the [crate's documentation](crate).
            #[must_use]
            pub const fn rule(self) -> Option<u8> {
                match self {
                    $(Self::$reason => $rule,)*
                }
            }

            /// What to answer the client. `None` where the reason allows.
            #[must_use]
            pub const fn denial(self) -> Option<Denial> {
                match self {
                    $(Self::$reason => $denial,)*
                }
            }
        }
    };
}

reasons! {
    /// Allow: the effective mode is `off`.
    AuthOff = 1, c"auth_off", Some(2), None,
        c"The effective mode is off; no request needs a key",
        c"实际生效模式为 off,任何请求都不需要 key";
    /// Allow: the method is `OPTIONS`. The request carries no proof of anything, and a host that
    /// forwards it can tell.
    Preflight = 2, c"preflight", Some(1), None,
        c"OPTIONS (a CORS preflight) needs no key",
        c"OPTIONS(CORS 预检)不需要 key";
    /// Allow: GET or HEAD of an exempt path.
    Health = 3, c"health", Some(3), None,
        c"An exempt path needs no key for GET or HEAD",
        c"放行路径的 GET 和 HEAD 不需要 key";
    /// Allow: the credential equals a key.
    KeyMatched = 4, c"key_matched", Some(7), None,
        c"The credential equals a configured key",
        c"凭据与已配置的 key 相同";
    /// Deny: there is no key to compare with. Operators search their logs for this very line, so it
    /// is the same in every language.
    NoKeyConfigured = 16, c"no_key_configured", Some(4), Some(Denial::CLOSED),
        c"Proxy auth is enabled but api_key is empty; denying request",
        c"Proxy auth is enabled but api_key is empty; denying request";
    /// Deny: no header of any source is present.
    CredentialMissing = 17, c"credential_missing", Some(5), Some(Denial::MISSING),
        c"No header that a key is read from is present",
        c"请求中没有任何用来读取 key 的请求头";
    /// Deny: the deciding value is empty or holds a byte that no key has.
    CredentialUnusable = 18, c"credential_unusable", Some(6), Some(Denial::INVALID),
        c"The deciding header's value is empty or holds a byte that no key can have",
        c"起决定作用的请求头,其值为空或含有 key 中不可能出现的字节";
    /// Deny: the credential equals no key.
    KeyMismatch = 19, c"key_mismatch", Some(8), Some(Denial::INVALID),
        c"The deciding header's value equals no configured key",
        c"起决定作用的请求头,其值与任何已配置的 key 都不相同";
    /// Deny: a call through the C interface had a bad argument. Nothing else yields it.
    InvalidCall = 32, c"invalid_call", None, Some(Denial::CLOSED),
        c"The gate was called with an invalid argument; denying request",
        c"调用网关时参数无效,拒绝请求";
}

impl Reason {
    /// The name for logs and programs, `key_mismatch` for example.
    #[must_use]
    pub const fn name(self) -> &'static str {
        plain(self.c_name())
    }

    /// One sentence for the operator's log.
    #[must_use]
    pub const fn text(self, language: Language) -> &'static str {
        self.texts().get(language)
    }

    /// Deny where there is a [`denial`](Self::denial), allow where there is none.
    #[must_use]
    pub const fn verdict(self) -> Verdict {
        match self.denial() {
            None => Verdict::Allow,
            Some(_) => Verdict::Deny,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text(Language::En))
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
    /// One by which no header decided.
    #[cfg(feature = "capi")]
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

    /// Whether `Bearer `, or the source's scheme, was stripped from the deciding value.
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
