//! Equality with a secret.
//!
//! Everything here takes a time that depends on the candidate's length alone. Facts about a
//! secret stay numbers until the one comparison that combines them; none is branched on.

use constant_time_eq::{constant_time_eq, constant_time_eq_n};
use zeroize::Zeroize;

use crate::limits::MAX_KEY_LEN;

/// The fewest bytes of a secret that is looked for within a text: less would be found by chance.
pub(crate) const SEARCHED_MIN: u32 = 8;

/// A secret, padded with zeros so that a comparison reads as many bytes as the client sent,
/// however long the secret is.
pub(crate) struct Secret {
    bytes: [u8; MAX_KEY_LEN],
    len: u16,
}

impl Secret {
    /// Equals nothing.
    pub(crate) const EMPTY: Self = Self {
        bytes: [0; MAX_KEY_LEN],
        len: 0,
    };

    /// Takes a secret in place, so that no copy of it is left on the stack. `None` if it does
    /// not fit.
    pub(crate) fn set(&mut self, secret: &[u8]) -> Option<()> {
        self.bytes.get_mut(..secret.len())?.copy_from_slice(secret);
        self.len = u16::try_from(secret.len()).ok()?;
        Some(())
    }

    #[cfg_attr(feature = "capi", allow(clippy::inline_always), inline(always))]
    pub(crate) fn equals(&self, candidate: &[u8]) -> bool {
        let Some((sent, begin)) = self.beginning(candidate) else {
            return false;
        };
        let begins = same(begin, candidate);
        let fact =
            |begins: bool, len: u16| (u32::from(begins) << 16 | u32::from(len)).to_ne_bytes();
        constant_time_eq_n(&fact(begins, self.len), &fact(true, sent))
    }

    /// Whether the secret begins with the candidate and goes on.
    pub(crate) fn continues(&self, candidate: &[u8]) -> bool {
        let Some((sent, begin)) = self.beginning(candidate) else {
            return false;
        };
        let begins = same(begin, candidate);
        // The sign bit of the difference: set where the secret is longer.
        let longer = u32::from(sent).wrapping_sub(u32::from(self.len)) >> 31;
        constant_time_eq_n(
            &(u32::from(begins) << 1 | longer).to_ne_bytes(),
            &3_u32.to_ne_bytes(),
        )
    }

    pub(crate) fn len(&self) -> usize {
        self.len.into()
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        constant_time_eq_n(&self.bytes, &other.bytes) && self.len == other.len
    }

    /// Whether the secret begins so.
    pub(crate) fn begins_with(&self, prefix: &[u8]) -> bool {
        let Some((len, begin)) = self.beginning(prefix) else {
            return false;
        };
        let begins = same(begin, prefix);
        // The sign bit of the difference: set where the secret is shorter.
        let shorter = u32::from(self.len).wrapping_sub(u32::from(len)) >> 31;
        constant_time_eq_n(
            &(u32::from(begins) << 1 | shorter).to_ne_bytes(),
            &2_u32.to_ne_bytes(),
        )
    }

    /// Whether the secret, less so many bytes before and after, equals the candidate.
    pub(crate) fn equals_within(&self, candidate: &[u8], before: usize, after: usize) -> bool {
        let around = before.saturating_add(after);
        let end = before.saturating_add(candidate.len());
        let Some(within) = self
            .bytes
            .get(before..end)
            .filter(|within| !within.is_empty())
        else {
            return false;
        };
        let len = u32::try_from(candidate.len().saturating_add(around)).unwrap_or(0);
        let equals = same(within, candidate);
        let fact = |equals: bool, len: u32| (u32::from(equals) << 16 | len).to_ne_bytes();
        constant_time_eq_n(&fact(equals, self.len.into()), &fact(true, len))
    }

    /// Where the secret first stands in a text, among its first so many places, and how long the secret
    /// is then. Of a secret of fewer than `SEARCHED_MIN` bytes: nowhere. It takes a time that depends on
    /// the two lengths that are given, whatever the secret and wherever it stands.
    pub(crate) fn find_in(&self, text: &[u8], places: usize) -> Option<(usize, usize)> {
        let own = u32::from(self.len);
        // A sign bit, as 0 or 1.
        let less = |a: u32, b: u32| a.wrapping_sub(b) >> 31;
        let counts: [u8; MAX_KEY_LEN] = core::array::from_fn(|at| {
            let within = less(u32::try_from(at).unwrap_or(u32::MAX), own);
            u8::try_from(within).unwrap_or(0).wrapping_neg()
        });
        let long_enough = 1 ^ less(own, SEARCHED_MIN);
        let (mut found, mut first) = (0_u32, 0_u32);
        for place in 0..places.min(text.len()) {
            let rest = text.get(place..).unwrap_or(&[]);
            let rest = rest.get(..MAX_KEY_LEN).unwrap_or(rest);
            let all = rest.iter().zip(&self.bytes).zip(&counts);
            let differs = all.fold(0, |differs, ((sent, own), counts)| {
                differs | (sent ^ own) & counts
            });
            let differs = u32::from(core::hint::black_box(differs));
            let room = 1 ^ less(u32::try_from(rest.len()).unwrap_or(0), own);
            let here = less(differs, 1) & room & long_enough & (1 ^ found);
            found |= here;
            first |= here.wrapping_neg() & u32::try_from(place).unwrap_or(0);
        }
        let place = usize::try_from(first).unwrap_or(0);
        (core::hint::black_box(found) != 0).then_some((place, self.len()))
    }

    /// The candidate's length, and as many bytes of the padded secret. `None` if that length
    /// alone rules a match out. No fact about the secret is part of it: in an `Option`, one would
    /// be branched on.
    fn beginning(&self, candidate: &[u8]) -> Option<(u16, &[u8])> {
        let begin = self.bytes.get(..candidate.len())?;
        let sent = u16::try_from(candidate.len())
            .ok()
            .filter(|&sent| sent > 0)?;
        Some((sent, begin))
    }
}

impl Default for Secret {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.bytes.zeroize();
        self.len.zeroize();
    }
}

/// Whether two texts of one length are the same: by blocks, of which the first may overlap the one
/// after it.
#[inline]
fn same(a: &[u8], b: &[u8]) -> bool {
    const BLOCK: usize = 16;
    let (Some(first_a), Some(first_b)) = (a.first_chunk::<BLOCK>(), b.first_chunk()) else {
        return constant_time_eq(a, b);
    };
    let mut same = constant_time_eq_n(first_a, first_b);
    for (a, b) in a.as_rchunks().1.iter().zip(b.as_rchunks::<BLOCK>().1) {
        same &= constant_time_eq_n(a, b);
    }
    same
}

/// The lowest index of a secret that equals the candidate. All are compared.
#[cfg_attr(feature = "capi", allow(clippy::inline_always), inline(always))]
pub(crate) fn find<'a>(secrets: impl Iterator<Item = &'a Secret>, candidate: &[u8]) -> Option<u8> {
    let mut matches = 0_u32;
    for (index, secret) in secrets.enumerate() {
        matches |= u32::from(secret.equals(candidate)) << index;
    }
    let lowest = u8::try_from(matches.trailing_zeros()).ok();
    lowest.filter(|_| matches != 0)
}
