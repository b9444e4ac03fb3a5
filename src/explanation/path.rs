//! A path as a lenient server would read it. Only explanations use it: decisions compare bytes.

use heapless::Vec;

use crate::limits::MAX_EXEMPT_LEN;

const PATH_MAX: usize = 1024;

/// A path percent-decoded (RFC 3986 section 2.1), without `;...` parameters, empty and dot
/// segments (section 5.2.4) and a trailing slash, in lower case.
#[derive(PartialEq, Eq)]
pub(super) struct Normal(Vec<u8, MAX_EXEMPT_LEN, u8>);

impl Normal {
    /// `None` if the path does not start with `/`, is longer than an exempt path can be, or too long to
    /// be looked at.
    pub(super) fn new(path: &[u8]) -> Option<Self> {
        if path.len() > PATH_MAX {
            return None;
        }
        let mut builder = Builder::default();
        let mut bytes = Decoded(path);
        if bytes.next() != Some(b'/') {
            return None;
        }
        for byte in bytes {
            match byte {
                b'/' => builder.end_segment(),
                byte => builder.push(byte.to_ascii_lowercase()),
            }
        }
        builder.end_segment();
        (builder.beyond == 0).then_some(Self(builder.path))
    }
}

#[derive(Default)]
struct Builder {
    path: Vec<u8, MAX_EXEMPT_LEN, u8>,
    /// How many segments follow `path` that did not fit: `..` takes them off first.
    beyond: usize,
    segment: Vec<u8, MAX_EXEMPT_LEN, u8>,
    in_parameters: bool,
}

impl Builder {
    fn push(&mut self, byte: u8) {
        self.in_parameters |= byte == b';';
        if !self.in_parameters {
            // A segment that is cut has as many bytes as a path, and does not fit into one.
            let _ = self.segment.push(byte);
        }
    }

    fn end_segment(&mut self) {
        match self.segment.as_slice() {
            b"" | b"." => {}
            b".." if self.beyond > 0 => self.beyond -= 1,
            b".." => {
                let parent = self.path.iter().rposition(|byte| *byte == b'/');
                self.path.truncate(parent.unwrap_or(0));
            }
            segment => {
                let whole = self.path.len();
                if self.beyond > 0
                    || self.path.push(b'/').is_err()
                    || self.path.extend_from_slice(segment).is_err()
                {
                    self.path.truncate(whole);
                    self.beyond += 1;
                }
            }
        }
        self.segment.clear();
        self.in_parameters = false;
    }
}

/// The bytes of a path with each `%` and two hexadecimal digits read as one.
pub(super) struct Decoded<'a>(pub(super) &'a [u8]);

impl Iterator for Decoded<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        if let [b'%', high, low, rest @ ..] = self.0
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            self.0 = rest;
            return Some(high << 4 | low);
        }
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }
}

const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}
