//! Looking for the gate's keys where none is read.

use super::path::Decoded;
use crate::limits::MAX_KEY_LEN;
use crate::policy::Policy;
use crate::policy::secret::SEARCHED_MIN;

/// How many bytes of a request are searched.
const MOST: usize = 64 << 10;
/// The piece of a decoded text that is searched at once: as many places, and the longest key after
/// the last of them.
const PLACES: usize = MAX_KEY_LEN;
const PIECE: usize = 2 * MAX_KEY_LEN;

/// Where a key stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) before: usize,
    pub(super) after: usize,
}

/// A search for every key, in one text after the other. Each takes a time that depends on the length of
/// the text and on the number of keys.
#[derive(Clone, Debug)]
pub(super) struct Search {
    left: usize,
    /// Whether something was left out, for want of room.
    pub(super) left_out: bool,
}

/// Whether there are keys that are not looked for.
pub(super) fn has_short_keys(policy: &Policy) -> bool {
    let is_short = |len: usize| u32::try_from(len).is_ok_and(|len| len < SEARCHED_MIN);
    policy.keys.iter().any(|key| is_short(key.secret.len()))
}

impl Search {
    pub(super) const fn new() -> Self {
        Self {
            left: MOST,
            left_out: false,
        }
    }

    /// Where a key stands in a text; the first one, if there are several.
    pub(super) fn find(&mut self, policy: &Policy, text: &[u8]) -> Option<Place> {
        let len = self.take(text.len());
        let text = text.get(..len)?;
        let (at, key_len) = find_among(policy, text, len)?;
        Some(Place {
            before: at,
            after: len.saturating_sub(at.saturating_add(key_len)),
        })
    }

    /// Whether a key stands in a text once this is percent-decoded.
    pub(super) fn is_in_decoded(&mut self, policy: &Policy, text: &[u8]) -> bool {
        let mut bytes = Decoded(text);
        let mut left = self.take(text.len()); // as many bytes as there can be
        let (mut piece, mut filled, mut found) = ([0; PIECE], 0_usize, false);
        loop {
            let room = piece.get_mut(filled..).unwrap_or_default();
            let mut more = 0_usize;
            for (to, byte) in room.iter_mut().zip(bytes.by_ref().take(left)) {
                *to = byte;
                more = more.saturating_add(1);
            }
            left = left.saturating_sub(more);
            filled = filled.saturating_add(more);
            let ends = filled < PIECE;
            let places = if ends { filled } else { PLACES };
            let text = piece.get(..filled).unwrap_or(&[]);
            found |= find_among(policy, text, places).is_some();
            if ends {
                return found;
            }
            piece.copy_within(PLACES.., 0);
            filled = filled.saturating_sub(PLACES);
        }
    }

    fn take(&mut self, len: usize) -> usize {
        let taken = len.min(self.left);
        self.left_out |= taken < len;
        self.left = self.left.saturating_sub(taken);
        taken
    }
}

/// The first place of a key, and how long it is: of the longest, where several stand there.
fn find_among(policy: &Policy, text: &[u8], places: usize) -> Option<(usize, usize)> {
    let mut found: Option<(usize, usize)> = None;
    for key in &policy.keys {
        if let Some((at, len)) = key.secret.find_in(text, places) {
            let is_better =
                |(first, longest): (usize, usize)| at < first || at == first && len > longest;
            if found.is_none_or(is_better) {
                found = Some((at, len));
            }
        }
    }
    found
}
