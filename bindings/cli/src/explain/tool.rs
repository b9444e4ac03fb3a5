//! The options of tools that are simpler than curl.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::failure::{Failure, fail};

/// A command's words: those that are no options, and the options, each with its value if it takes one.
pub(super) struct Parsed {
    pub(super) plain: Vec<String>,
    pub(super) options: Vec<(String, String)>,
}

/// `flags` take no value and `with_value` take one, as the next word or behind `=`.
pub(super) fn parse(
    words: &[Vec<u8>],
    flags: &[&str],
    with_value: &[&str],
) -> Result<Parsed, Failure> {
    let (mut plain, mut options) = (Vec::new(), Vec::new());
    let mut rest = words.iter().skip(1);
    while let Some(word) = rest.next() {
        let text = str::from_utf8(word).map_err(|_| unknown())?;
        if !text.starts_with('-') || text == "-" {
            plain.push(text.to_owned());
            continue;
        }
        let (name, joined) = match text.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, Some(value)),
            _ => (text, None),
        };
        let value = if flags.contains(&name) && joined.is_none() {
            String::new()
        } else if with_value.contains(&name) {
            let next = || {
                rest.next()
                    .map(|word| String::from_utf8_lossy(word).into_owned())
            };
            joined.map(str::to_owned).or_else(next).ok_or_else(|| {
                fail(
                    "the command's last option needs a value",
                    "命令的最后一个选项缺少值",
                )
            })?
        } else {
            return Err(unknown());
        };
        options.push((name.to_owned(), value));
    }
    Ok(Parsed { plain, options })
}

impl Parsed {
    /// The value of the last option of one of these names.
    pub(super) fn last(&self, names: &[&str]) -> Option<&str> {
        let mut options = self.options.iter().rev();
        let found = options.find(|(name, _)| names.contains(&name.as_str()));
        found.map(|(_, value)| value.as_str())
    }
}

/// The value of `Authorization` for `user:password` (RFC 7617).
pub(super) fn basic(credentials: impl AsRef<[u8]>) -> Vec<u8> {
    format!("Basic {}", BASE64_STANDARD.encode(credentials)).into_bytes()
}

/// Sets a header in the place of all that there are of its name.
pub(super) fn replace(headers: &mut Vec<(Vec<u8>, Vec<u8>)>, name: &str, value: &str) {
    headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name.as_bytes()));
    headers.push((name.into(), value.into()));
}

pub(super) fn unknown() -> Failure {
    fail(
        "the command has an option that is not known here (not shown, since it may hold a key); leave it out \
         where it does not change the request",
        "命令中有不认识的选项(不显示,因为其中可能有 key);如果它不改变请求,请去掉它",
    )
}
