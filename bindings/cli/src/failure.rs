//! What stops a command, in both languages.

use keygate::Language;

/// A message for the person at the terminal. It repeats nothing that was typed or read, since
/// any of it may be a key in the wrong place.
#[derive(Debug)]
pub(crate) struct Failure {
    en: String,
    zh: String,
}

/// Makes a [`Failure`].
pub(crate) fn fail(en: impl Into<String>, zh: impl Into<String>) -> Failure {
    Failure {
        en: en.into(),
        zh: zh.into(),
    }
}

impl Failure {
    pub(crate) fn text(&self, language: Language) -> &str {
        match language {
            Language::Zh => &self.zh,
            _ => &self.en,
        }
    }
}

/// The option that a value was perhaps glued to. The shortest one that the argument begins with: a
/// longer one may be made of bytes of the value.
pub(crate) fn glued_to<'n>(
    argument: &[u8],
    names: impl Iterator<Item = &'n str>,
) -> Option<&'n str> {
    names
        .filter(|name| argument.starts_with(name.as_bytes()))
        .min_by_key(|name| name.len())
}
