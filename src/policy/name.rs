//! Header names, compared without regard to ASCII case.

use zeroize::Zeroize;

use crate::header::spells;
use crate::limits::MAX_SOURCE_NAME_LEN;

const WORD: usize = size_of::<u64>();

/// The name of a header that the policy looks for: a token of 1 to 32 bytes, in lower case.
pub(crate) struct Name {
    len: u8,
    text: [u8; MAX_SOURCE_NAME_LEN],
    /// The two ends, of a name that has as many bytes. They may overlap.
    first: Word,
    last: Word,
}

/// A word of a name in lower case, and in `fold` the case bit of each letter, so that a byte equals
/// the two cases of a letter, or itself. Both sides of a comparison have the same byte order.
#[derive(Clone, Copy)]
struct Word {
    text: [u8; WORD],
    fold: [u8; WORD],
}

impl Word {
    const EMPTY: Self = Self {
        text: [0; WORD],
        fold: [0; WORD],
    };

    fn new(bytes: [u8; WORD]) -> Self {
        Self {
            text: bytes.map(|byte| byte.to_ascii_lowercase()),
            fold: bytes.map(|byte| u8::from(byte.is_ascii_alphabetic()) << 5),
        }
    }

    #[inline]
    fn equals(self, bytes: [u8; WORD]) -> bool {
        let [bytes, text, fold] = [bytes, self.text, self.fold].map(u64::from_ne_bytes);
        bytes | fold == text
    }

    fn wipe(&mut self) {
        self.text.zeroize();
        self.fold.zeroize();
    }
}

impl Default for Name {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl Name {
    /// No header's.
    pub(crate) const EMPTY: Self = Self {
        len: 0,
        text: [0; MAX_SOURCE_NAME_LEN],
        first: Word::EMPTY,
        last: Word::EMPTY,
    };

    /// `None` if `name` does not fit.
    pub(crate) fn new(name: &[u8]) -> Option<Self> {
        let mut new = Self {
            len: u8::try_from(name.len()).ok()?,
            ..Self::EMPTY
        };
        let text = new.text.get_mut(..name.len())?;
        text.copy_from_slice(name);
        text.make_ascii_lowercase();
        if let (Some(first), Some(last)) = (name.first_chunk(), name.last_chunk()) {
            new.first = Word::new(*first);
            new.last = Word::new(*last);
        }
        Some(new)
    }

    pub(crate) fn wipe(&mut self) {
        self.text.zeroize();
        self.first.wipe();
        self.last.wipe();
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        usize::from(self.len)
    }

    pub(crate) fn lower_case(&self) -> &[u8] {
        self.text.get(..self.len()).unwrap_or(&[])
    }

    #[inline]
    pub(crate) fn equals(&self, name: &[u8]) -> bool {
        if name.len() != self.len() {
            return false;
        }
        match (name.first_chunk(), name.last_chunk()) {
            // The two ends are the whole. Equally long names differ in the last more often.
            (Some(first), Some(last)) if name.len() <= 2 * WORD => {
                self.last.equals(*last) && self.first.equals(*first)
            }
            _ => self.equals_byte_by_byte(name),
        }
    }

    #[cold]
    #[inline(never)]
    fn equals_byte_by_byte(&self, name: &[u8]) -> bool {
        name.eq_ignore_ascii_case(self.lower_case())
    }

    /// Whether `name` is this name up to `_` and `.` for `-`.
    pub(crate) fn spells(&self, name: &[u8]) -> bool {
        // As it is written mostly, and by the word.
        self.equals(name) || spells(name, self.lower_case())
    }
}
