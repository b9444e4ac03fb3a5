//! How requests are guarded.

use core::ffi::CStr;
use core::fmt;
use core::str::FromStr;

use crate::text::plain;

/// What an operator chooses by name: the pinned numbers, and the names.
macro_rules! choices {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $row:ident = $code:literal, $c_name:literal;)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(i32)]
        pub enum $name {
            $($(#[$doc])* $row = $code,)*
        }

        impl $name {
            /// All of them, in order of their numbers.
            pub(crate) const ALL: [Self; [$($code),*].len()] = [$(Self::$row,)*];

            /// The pinned number, that of the C interface.
            #[cfg(feature = "capi")]
            pub(crate) const fn code(self) -> i32 {
                self as i32
            }

            /// The one with this number.
            #[cfg(feature = "capi")]
            pub(crate) fn with_code(code: i32) -> Option<Self> {
                Self::ALL.into_iter().find(|row| row.code() == code)
            }

            /// The name with a NUL at its end, for the C interface.
            pub(crate) const fn c_name(self) -> &'static CStr {
                match self {
                    $(Self::$row => $c_name,)*
                }
            }

            /// The name in a configuration.
            #[must_use]
            pub const fn name(self) -> &'static str {
                plain(self.c_name())
            }

            pub(crate) fn from_bytes(name: &[u8]) -> Option<Self> {
                Self::ALL.into_iter().find(|row| row.name().as_bytes() == name)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

choices! {
    /// How requests are guarded, as configured. There is no default: the operator must choose.
    AuthMode {
        /// Every request but a preflight needs a key, the exempt paths included.
        Strict = 0, c"strict";
        /// No request needs a key.
        Off = 1, c"off";
        /// Every request needs a key but a preflight and GET or HEAD of an exempt path.
        AllExceptHealth = 2, c"all_except_health";
        /// `all_except_health` where `allow_lan_access` is true, `off` where it is false.
        Auto = 3, c"auto";
    }
}

choices! {
    /// Which of several credentials decides.
    #[derive(Default)]
    MatchMode {
        /// That of the first source that is present.
        #[default]
        First = 0, c"first";
        /// A right key in any source is enough.
        Any = 1, c"any";
    }
}

choices! {
    /// Which requests rule 1 lets pass without a key.
    #[derive(Default)]
    Preflight {
        /// Every `OPTIONS` request.
        #[default]
        Options = 0, c"options";
        /// An `OPTIONS` request that has both `Origin` and `Access-Control-Request-Method`, whatever
        /// their values: a CORS-preflight request of the Fetch standard.
        Cors = 1, c"cors";
        /// None.
        None = 2, c"none";
    }
}

choices! {
    /// Which of the sources' headers a host drops before it forwards a request.
    #[derive(Default)]
    Strip {
        /// All of them.
        #[default]
        Sources = 0, c"sources";
        /// Those whose value holds one of the gate's keys.
        Matched = 1, c"matched";
        /// None.
        Off = 2, c"off";
    }
}

impl AuthMode {
    /// What the mode resolves to.
    #[must_use]
    pub const fn effective(self, allow_lan_access: bool) -> EffectiveMode {
        match (self, allow_lan_access) {
            (Self::Strict, _) => EffectiveMode::Strict,
            (Self::Off, _) | (Self::Auto, false) => EffectiveMode::Off,
            (Self::AllExceptHealth, _) | (Self::Auto, true) => EffectiveMode::AllExceptHealth,
        }
    }
}

impl FromStr for AuthMode {
    type Err = UnknownAuthMode;

    /// Takes the exact name, in lower case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_bytes(text.as_bytes()).ok_or(UnknownAuthMode)
    }
}

/// The text names no [`AuthMode`]. It is not repeated here: it may have been a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownAuthMode;

impl fmt::Display for UnknownAuthMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("auth_mode: must be off, strict, all_except_health or auto")
    }
}

impl core::error::Error for UnknownAuthMode {}

/// What an [`AuthMode`] resolves to once `auto` is resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum EffectiveMode {
    /// Every request but a preflight needs a key.
    Strict = 0,
    /// No request needs a key.
    Off = 1,
    /// Every request needs a key but a preflight and GET or HEAD of an exempt path.
    AllExceptHealth = 2,
}

impl EffectiveMode {
    /// The pinned number, that of the C interface.
    #[cfg(feature = "capi")]
    pub(crate) const fn code(self) -> i32 {
        self as i32
    }

    /// The name: `off`, `strict` or `all_except_health`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Strict => AuthMode::Strict.name(),
            Self::Off => AuthMode::Off.name(),
            Self::AllExceptHealth => AuthMode::AllExceptHealth.name(),
        }
    }
}

impl fmt::Display for EffectiveMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
