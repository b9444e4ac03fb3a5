//! What can be found, by name and by bit.

use core::ffi::CStr;
use core::fmt;

/// A thing worth telling the operator. Its number is its bit in [`Findings`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
#[repr(u8)]
pub enum Finding {
    /// `auth_mode` is `auto`; the text says what it came to, and by which `allow_lan_access`.
    AutoResolved = 0,
    /// There is no key to compare with.
    NoKeyConfigured = 1,
    /// A header that was not consulted holds a right key.
    ShadowedMatch = 2,
    /// A header that was not consulted holds something else.
    ShadowedPresent = 3,
    /// The deciding name occurs again.
    DuplicateIgnored = 4,
    /// `Bearer<key>`, without the space.
    BearerNoSpace = 5,
    /// `bearer <key>` or `BEARER <key>`.
    BearerCase = 6,
    /// More than one space, or a tab, after `Bearer`.
    BearerExtraSpace = 7,
    /// `Bearer Bearer <key>`.
    BearerDoubled = 8,
    /// `Bearer <key>` in a header that takes the bare key.
    BearerInKeyHeader = 9,
    /// `Basic ...`, `Token ...` and the like.
    OtherScheme = 10,
    /// The credential is wrapped in quotes.
    Quoted = 11,
    /// The credential is an example that was never replaced, or a variable never expanded.
    Placeholder = 12,
    /// A key-like header that is not a source.
    UnreadHeader = 13,
    /// A key-like parameter in the query.
    KeyInQuery = 14,
    /// The credential is the beginning of a key or begins with one: 8 bytes or more are shared.
    Truncated = 15,
    /// An exempt path, in `strict`.
    HealthInStrict = 16,
    /// Nearly an exempt path, or one with another method than GET or HEAD.
    HealthNearMiss = 17,
    /// `options` in another case than upper.
    OptionsCase = 18,
}

impl Finding {
    /// Every finding, in order of its number.
    pub const ALL: [Self; 19] = [
        Self::AutoResolved,
        Self::NoKeyConfigured,
        Self::ShadowedMatch,
        Self::ShadowedPresent,
        Self::DuplicateIgnored,
        Self::BearerNoSpace,
        Self::BearerCase,
        Self::BearerExtraSpace,
        Self::BearerDoubled,
        Self::BearerInKeyHeader,
        Self::OtherScheme,
        Self::Quoted,
        Self::Placeholder,
        Self::UnreadHeader,
        Self::KeyInQuery,
        Self::Truncated,
        Self::HealthInStrict,
        Self::HealthNearMiss,
        Self::OptionsCase,
    ];

    /// The name with a NUL at its end, for the C interface.
    pub(crate) const fn c_name(self) -> &'static CStr {
        match self {
            Self::AutoResolved => c"auto_resolved",
            Self::NoKeyConfigured => c"no_key_configured",
            Self::ShadowedMatch => c"shadowed_match",
            Self::ShadowedPresent => c"shadowed_present",
            Self::DuplicateIgnored => c"duplicate_ignored",
            Self::BearerNoSpace => c"bearer_no_space",
            Self::BearerCase => c"bearer_case",
            Self::BearerExtraSpace => c"bearer_extra_space",
            Self::BearerDoubled => c"bearer_doubled",
            Self::BearerInKeyHeader => c"bearer_in_key_header",
            Self::OtherScheme => c"other_scheme",
            Self::Quoted => c"quoted",
            Self::Placeholder => c"placeholder",
            Self::UnreadHeader => c"unread_header",
            Self::KeyInQuery => c"key_in_query",
            Self::Truncated => c"truncated",
            Self::HealthInStrict => c"health_in_strict",
            Self::HealthNearMiss => c"health_near_miss",
            Self::OptionsCase => c"options_case",
        }
    }

    /// The name for logs and programs, `bearer_no_space` for example.
    #[must_use]
    pub const fn name(self) -> &'static str {
        crate::decision::plain(self.c_name())
    }

    pub(crate) const fn bit(self) -> u32 {
        1 << self as u8
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of [`Finding`]s.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Findings(u32);

impl Findings {
    /// Those for which a mended value is tried.
    pub(crate) const MENDABLE: Self = Self(
        Finding::BearerNoSpace.bit()
            | Finding::BearerCase.bit()
            | Finding::BearerExtraSpace.bit()
            | Finding::BearerDoubled.bit()
            | Finding::BearerInKeyHeader.bit()
            | Finding::Quoted.bit(),
    );
    /// Those that say what is wrong with the deciding value.
    pub(crate) const OF_VALUE: Self = Self(
        Self::MENDABLE.0
            | Finding::OtherScheme.bit()
            | Finding::Placeholder.bit()
            | Finding::Truncated.bit(),
    );
    /// Those that say how the request could have passed without a key.
    pub(crate) const OPENING: Self = Self(
        Finding::HealthInStrict.bit() | Finding::HealthNearMiss.bit() | Finding::OptionsCase.bit(),
    );

    pub(crate) const fn insert(&mut self, finding: Finding) {
        self.0 |= finding.bit();
    }

    pub(crate) const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether the finding is among them.
    #[must_use]
    pub const fn contains(self, finding: Finding) -> bool {
        self.0 & finding.bit() != 0
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Bit i is the finding with the number i.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The findings, in order of their numbers.
    pub fn iter(self) -> impl Iterator<Item = Finding> {
        Finding::ALL
            .into_iter()
            .filter(move |finding| self.contains(*finding))
    }
}

impl fmt::Debug for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
