//! How requests are guarded.

use core::ffi::CStr;
use core::fmt;
use core::str::FromStr;

use crate::text::plain;

/// How requests are guarded, as configured. There is no default: the operator must choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum AuthMode {
    /// Every request but a preflight needs a key, the exempt paths included.
    Strict = 0,
    /// No request needs a key.
    Off = 1,
    /// Every request needs a key but a preflight and GET or HEAD of an exempt path.
    AllExceptHealth = 2,
    /// `all_except_health` where `allow_lan_access` is true, `off` where it is false.
    Auto = 3,
}

impl AuthMode {
    /// Every mode, in order of its number.
    pub(crate) const ALL: [Self; 4] = [Self::Strict, Self::Off, Self::AllExceptHealth, Self::Auto];

    /// The pinned number, that of the C interface.
    #[cfg(feature = "capi")]
    pub(crate) const fn code(self) -> i32 {
        self as i32
    }

    /// The name with a NUL at its end, for the C interface.
    pub(crate) const fn c_name(self) -> &'static CStr {
        match self {
            Self::Strict => c"strict",
            Self::Off => c"off",
            Self::AllExceptHealth => c"all_except_health",
            Self::Auto => c"auto",
        }
    }

    /// The name in a configuration: `off`, `strict`, `all_except_health` or `auto`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        plain(self.c_name())
    }

    pub(crate) fn from_bytes(name: &[u8]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|mode| mode.name().as_bytes() == name)
    }

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

impl fmt::Display for AuthMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
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
