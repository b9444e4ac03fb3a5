//! The options of tools that are simpler than curl.

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

pub(super) fn unknown() -> Failure {
    fail(
        "the command has an option that is not known here (not shown, since it may hold a key); leave it out \
         where it does not change the request",
        "命令中有不认识的选项(不显示,因为其中可能有 key);如果它不改变请求,请去掉它",
    )
}
