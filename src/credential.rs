//! What of a header value is the credential.

/// The scheme of RFC 6750 section 2.1 and the one space after it.
pub(crate) const BEARER: &[u8] = b"Bearer ";

pub(crate) struct Credential<'a> {
    /// What is compared with the keys.
    pub(crate) text: &'a [u8],
    /// Whether a prefix stood before it.
    pub(crate) stripped: bool,
}

impl<'a> Credential<'a> {
    #[inline]
    pub(crate) fn whole(value: &'a [u8]) -> Self {
        Self::unmarked(trim(value))
    }

    #[inline]
    pub(crate) fn behind_bearer(value: &'a [u8]) -> Self {
        let value = trim(value);
        match value.strip_prefix(BEARER) {
            Some(text) => Self::behind(text),
            None => Self::unmarked(value),
        }
    }

    /// RFC 9110 section 11.4: a scheme in any case and one or more spaces.
    #[cold]
    #[inline(never)]
    pub(crate) fn behind_scheme(value: &'a [u8], scheme: &[u8]) -> Self {
        let value = trim(value);
        let rest = value.split_at_checked(scheme.len());
        let rest = rest.filter(|(start, _)| start.eq_ignore_ascii_case(scheme));
        let mut text = rest.and_then(|(_, rest)| rest.strip_prefix(b" "));
        while let Some([b' ', more @ ..]) = text {
            text = Some(more);
        }
        text.map_or(Self::unmarked(value), Self::behind)
    }

    #[inline]
    const fn behind(text: &'a [u8]) -> Self {
        let stripped = true;
        Self { text, stripped }
    }

    #[inline]
    const fn unmarked(text: &'a [u8]) -> Self {
        let stripped = false;
        Self { text, stripped }
    }
}

/// Whether what is read from a value could be a key at all. The whole value is looked at, which is the
/// same: a scheme is sound, and what stands behind it never empty.
#[inline(never)]
pub(crate) fn is_usable(value: &[u8]) -> bool {
    // Every byte is looked at: that is done many at a time.
    let sound = |sound, byte: &u8| sound & is_field_byte(*byte);
    let value = trim(value);
    !value.is_empty() && value.iter().fold(true, sound)
}

pub(crate) const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// A byte that a header value can carry: RFC 9110 section 5.5 without `obs-text`.
pub(crate) const fn is_field_byte(byte: u8) -> bool {
    is_blank(byte) || matches!(byte, 0x21..=0x7e)
}

/// RFC 9110 section 5.5: optional white space around a value is not part of it.
#[inline]
pub(crate) fn trim(value: &[u8]) -> &[u8] {
    match value {
        [first, .., last] if *first > b' ' && *last > b' ' => value,
        _ => trim_blanks(value),
    }
}

#[cold]
#[inline(never)]
fn trim_blanks(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}
