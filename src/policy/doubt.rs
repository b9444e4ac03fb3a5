//! What is odd about a key: it works, and is probably not what was meant.

use crate::credential::BEARER;

/// A key that stands in something else, by one layer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrapping {
    Quotes,
    Bearer,
    /// `NAME=`
    Assignment,
    /// An object of JSON.
    Object,
}

/// What was found when a key was configured, so that no explanation need look at its bytes.
#[derive(Clone, Copy, Default)]
pub(crate) struct Doubts {
    pub(crate) wrapping: Option<Wrapping>,
    pub(crate) placeholder: bool,
    pub(crate) has_space: bool,
    /// Where what is wrapped begins, and how many bytes come after it.
    before: u16,
    after: u16,
}

impl Doubts {
    pub(crate) fn about(key: &[u8]) -> Self {
        let (wrapping, before, after) = if unquote(key).is_some() {
            (Some(Wrapping::Quotes), 1, 1)
        } else if starts_with_ignore_case(key, BEARER) {
            (Some(Wrapping::Bearer), BEARER.len(), 0)
        } else if is_wrapped(key, *b"{}") {
            (Some(Wrapping::Object), 0, 0)
        } else if let Some(name) = name_of_assignment(key) {
            (Some(Wrapping::Assignment), name.saturating_add(1), 0)
        } else {
            (None, 0, 0)
        };
        Self {
            wrapping,
            placeholder: is_placeholder(key),
            has_space: key.contains(&b' '),
            before: u16::try_from(before).unwrap_or(0),
            after,
        }
    }

    /// The bytes around what is wrapped, where something is.
    pub(crate) fn around(self) -> Option<(usize, usize)> {
        let wrapped = !matches!(self.wrapping, None | Some(Wrapping::Object));
        wrapped.then_some((self.before.into(), self.after.into()))
    }
}

/// How long the name is in `NAME=value`.
fn name_of_assignment(text: &[u8]) -> Option<usize> {
    let equals = text.iter().position(|byte| *byte == b'=')?;
    let (name, value) = text.split_at_checked(equals)?;
    let is_name_byte =
        |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_';
    let is_name = name.first()?.is_ascii_uppercase() && name.iter().all(is_name_byte);
    let is_value = !matches!(value, [_] | [_, b'=', ..]);
    (is_name && is_value).then_some(equals)
}

pub(crate) fn starts_with_ignore_case(value: &[u8], prefix: &[u8]) -> bool {
    value
        .get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

// Lists and not patterns: a compiler may jump by a table where a byte is matched, and a key's byte would
// be an address then.
const QUOTES: [[u8; 2]; 3] = [*b"\"\"", *b"''", *b"``"];
const AROUND: [[u8; 2]; 3] = [*b"<>", *b"{}", *b"%%"];
const BEGINS: [&[u8]; 3] = [b"$", b"{{", b"#{"];

fn is_wrapped(text: &[u8], [first, last]: [u8; 2]) -> bool {
    text.len() >= 2 && text.first() == Some(&first) && text.last() == Some(&last)
}

/// What stands between two quotes of one kind.
pub(crate) fn unquote(value: &[u8]) -> Option<&[u8]> {
    let quoted = QUOTES.iter().any(|quotes| is_wrapped(value, *quotes));
    value.get(1..value.len().checked_sub(1)?).filter(|_| quoted)
}

const HELD: [&[u8]; 9] = [
    b"replace_with",
    b"your_",
    b"your-",
    b"changeme",
    b"change_me",
    b"no-key",
    b"not-needed",
    b"***",
    b"...",
];
const WHOLE: [&[u8]; 9] = [
    b"undefined",
    b"null",
    b"none",
    b"nil",
    b"empty",
    b"dummy",
    b"test",
    b"xxx",
    b"[object object]",
];

/// Whether a text is an example that was never replaced, a variable that was never expanded, or what
/// clients send for want of a key.
pub(crate) fn is_placeholder(text: &[u8]) -> bool {
    let holds = |part: &&[u8]| {
        // Not `windows`: it can panic, and optimising for size does not see that it does not.
        (0..text.len()).any(|at| starts_with_ignore_case(text.get(at..).unwrap_or(&[]), part))
    };
    let is_masked = |rest: &[u8]| {
        let is_mask = |byte: &u8| matches!(byte, b'x' | b'X' | b'.' | b'-' | b'*');
        !rest.is_empty() && rest.iter().all(is_mask)
    };
    let ending = text.len().checked_sub(b"_api_key".len());
    HELD.iter().any(holds)
        || WHOLE.iter().any(|whole| text.eq_ignore_ascii_case(whole))
        || BEGINS.iter().any(|begin| text.starts_with(begin))
        || AROUND.iter().any(|around| is_wrapped(text, *around))
        || ending
            .and_then(|at| text.get(at..))
            .is_some_and(|end| end.eq_ignore_ascii_case(b"_api_key"))
        || starts_with_ignore_case(text, b"sk-") && text.get(3..).is_some_and(is_masked)
}
