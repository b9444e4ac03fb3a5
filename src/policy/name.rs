//! Header names, compared without regard to ASCII case.

use zeroize::Zeroize;

use crate::header::spells;
use crate::limits::MAX_SOURCE_NAME_LEN;

const WORD: usize = size_of::<u64>();

/// The name of a header that the policy looks for: a token of 1 to 32 bytes, in lower case and padded with zeros.
///
/// `fold` has the case bit where the name has a letter and nothing elsewhere, so that a byte
/// matches exactly the two cases of a letter, or itself. Any byte order will do for the words:
/// both sides of a comparison have the same.
pub(crate) struct Name {
    len: u8,
    text: [u8; MAX_SOURCE_NAME_LEN],
    fold: [u8; MAX_SOURCE_NAME_LEN],
    /// The last word of `text` and of `fold`, for names that have as many bytes.
    last: [[u8; WORD]; 2],
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
        fold: [0; MAX_SOURCE_NAME_LEN],
        last: [[0; WORD]; 2],
    };

    /// `None` if `name` does not fit.
    pub(crate) fn new(name: &[u8]) -> Option<Self> {
        let mut new = Self {
            len: u8::try_from(name.len()).ok()?,
            ..Self::EMPTY
        };
        let text = new.text.get_mut(..name.len())?;
        let fold = new.fold.get_mut(..name.len())?;
        for ((text, fold), byte) in text.iter_mut().zip(fold.iter_mut()).zip(name) {
            *text = byte.to_ascii_lowercase();
            *fold = if byte.is_ascii_alphabetic() { 0x20 } else { 0 };
        }
        if let (Some(text), Some(fold)) = (text.last_chunk(), fold.last_chunk()) {
            new.last = [*text, *fold];
        }
        Some(new)
    }

    pub(crate) fn wipe(&mut self) {
        self.text.zeroize();
        self.fold.zeroize();
        self.last.zeroize();
    }

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
        let Some(last) = name.last_chunk() else {
            return name.eq_ignore_ascii_case(self.lower_case());
        };
        // The last word first: names that are equally long differ there more often than not.
        let [text, fold] = self.last;
        let own = self.text.as_chunks().0.iter().zip(self.fold.as_chunks().0);
        same(*last, text, fold)
            && name
                .as_chunks()
                .0
                .iter()
                .zip(own)
                .all(|(bytes, (text, fold))| same(*bytes, *text, *fold))
    }

    /// Whether `name` is this name up to `_` and `.` for `-`.
    pub(crate) fn spells(&self, name: &[u8]) -> bool {
        // As it is written mostly, and by the word.
        self.equals(name) || spells(name, self.lower_case())
    }
}

fn same(bytes: [u8; WORD], text: [u8; WORD], fold: [u8; WORD]) -> bool {
    u64::from_ne_bytes(bytes) | u64::from_ne_bytes(fold) == u64::from_ne_bytes(text)
}
