//! Fresh keys.

use core::fmt;

use zeroize::Zeroize;

const PREFIX: &str = "sk-";
const LEN: usize = PREFIX.len() + 32;

/// A fresh key, wiped on drop. It has no `Debug` form.
///
/// ```compile_fail
/// println!("{:?}", keygate::generate_key(&[7; 16]));
/// ```
pub struct GeneratedKey([u8; LEN]);

impl GeneratedKey {
    /// `sk-` and 32 lower-case hexadecimal digits. This is the secret itself.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; LEN] {
        &self.0
    }

    /// The same as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Never empty: every byte is ASCII.
        core::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl AsRef<[u8]> for GeneratedKey {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for GeneratedKey {
    /// Writes the secret: showing it once is what a fresh key is for.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Drop for GeneratedKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Makes a key of 16 bytes from the system's source of randomness; the caller gets them, since
/// the library does no I/O. 128 random bits are all the strength the key has.
///
/// ```
/// let random: [u8; 16] = *b"not random at al";
/// assert_eq!(keygate::generate_key(&random).as_str(), "sk-6e6f742072616e646f6d20617420616c");
/// ```
#[must_use]
pub fn generate_key(random: &[u8; 16]) -> GeneratedKey {
    let mut key = GeneratedKey([0; LEN]);
    let digits = random.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let hex = digits.map(|digit| digit + if digit < 10 { b'0' } else { b'a' - 10 });
    for (to, from) in key.0.iter_mut().zip(PREFIX.bytes().chain(hex)) {
        *to = from;
    }
    key
}
