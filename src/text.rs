//! Texts in the languages that keygate speaks.

use core::ffi::CStr;
use core::fmt::{self, Write};

/// A language that texts for the operator are written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(i32)]
pub enum Language {
    /// English.
    #[default]
    En = 0,
    /// Simplified Chinese.
    Zh = 1,
}

impl Language {
    /// That of two texts which is in this language.
    pub(crate) const fn pick<T: Copy>(self, en: T, zh: T) -> T {
        match self {
            Self::En => en,
            Self::Zh => zh,
        }
    }
}

#[cfg(feature = "capi")]
impl Language {
    /// Every language, in order of its number.
    pub(crate) const ALL: [Self; 2] = [Self::En, Self::Zh];

    /// The pinned number, that of the C interface.
    pub(crate) const fn code(self) -> i32 {
        self as i32
    }
}

/// A text in every language, with a NUL at its end for the C interface.
#[derive(Clone, Copy)]
pub(crate) struct Text {
    en: &'static CStr,
    zh: &'static CStr,
}

pub(crate) const fn text(en: &'static CStr, zh: &'static CStr) -> Text {
    Text { en, zh }
}

impl Text {
    pub(crate) const fn c_str(self, language: Language) -> &'static CStr {
        language.pick(self.en, self.zh)
    }

    pub(crate) const fn get(self, language: Language) -> &'static str {
        plain(self.c_str(language))
    }
}

/// The text without the NUL. Every text of ours is UTF-8.
pub(crate) const fn plain(text: &'static CStr) -> &'static str {
    match text.to_str() {
        Ok(text) => text,
        Err(_) => "",
    }
}

/// Writes a number in decimal. `core::fmt` would bring formatting code that firmware has no room
/// for.
pub(crate) fn number(to: &mut impl Write, number: usize) -> fmt::Result {
    if number >= 10 {
        self::number(to, number / 10)?;
    }
    let digit = u8::try_from(number % 10).unwrap_or(0);
    to.write_char(char::from(b'0' + digit))
}

/// An enum of pinned numbers, with the list of all.
macro_rules! numbered {
    ($(#[$meta:meta])* $name:ident: $number:ident { $($(#[$doc:meta])* $row:ident = $code:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        #[repr($number)]
        pub enum $name {
            $($(#[$doc])* $row = $code,)*
        }

        impl $name {
            /// All of them, in the order of the table.
            pub const ALL: [Self; [$($code),*].len()] = [$(Self::$row,)*];

            /// The pinned number.
            #[must_use]
            pub const fn code(self) -> $number {
                self as $number
            }

            /// The one with this number.
            #[cfg(feature = "capi")]
            pub(crate) fn with_code(code: $number) -> Option<Self> {
                Self::ALL.iter().copied().find(|row| row.code() == code)
            }
        }
    };
}
pub(crate) use numbered;

/// The name and the text in every language of each row of a table.
macro_rules! worded {
    ($name:ident { $($row:ident: $c_name:literal, $en:literal, $zh:literal;)* }) => {
        impl $name {
            /// The name with a NUL at its end, for the C interface.
            pub(crate) const fn c_name(self) -> &'static core::ffi::CStr {
                match self {
                    $(Self::$row => $c_name,)*
                }
            }

            pub(crate) const fn texts(self) -> crate::text::Text {
                match self {
                    $(Self::$row => crate::text::text($en, $zh),)*
                }
            }
        }
    };
}
pub(crate) use worded;
