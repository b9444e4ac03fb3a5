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
        let (wrapping, before, after) = match key {
            _ if unquote(key).is_some() => (Some(Wrapping::Quotes), 1, 1),
            _ if starts_with_ignore_case(key, BEARER) => (Some(Wrapping::Bearer), BEARER.len(), 0),
            [b'{', .., b'}'] => (Some(Wrapping::Object), 0, 0),
            _ => match name_of_assignment(key) {
                Some(name) => (Some(Wrapping::Assignment), name.saturating_add(1), 0),
                None => (None, 0, 0),
            },
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

/// What stands between two quotes of one kind.
pub(crate) fn unquote(value: &[u8]) -> Option<&[u8]> {
    match value {
        [b'"', inner @ .., b'"'] | [b'\'', inner @ .., b'\''] | [b'`', inner @ .., b'`'] => {
            Some(inner)
        }
        _ => None,
    }
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
        || matches!(
            text,
            [b'$', ..]
                | [b'{' | b'#', b'{', ..]
                | [b'<', .., b'>']
                | [b'{', .., b'}']
                | [b'%', .., b'%']
        )
        || ending
            .and_then(|at| text.get(at..))
            .is_some_and(|end| end.eq_ignore_ascii_case(b"_api_key"))
        || starts_with_ignore_case(text, b"sk-") && text.get(3..).is_some_and(is_masked)
}
