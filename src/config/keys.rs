//! Keys in a file of their own, one a line.

use super::error::{ByteClass, ConfigError, ConfigErrorKind, ConfigField};
use super::{BYTE_ORDER_MARK, Draft, Filler, Key};

const LABEL: &[u8] = b" label=";

/// The keys in the text of a key file: one a line, each with an optional label.
///
/// A line that is empty or begins with `#` has none. A leading byte order mark and one CR at the end
/// of a line are skipped. Everything before the last ` label=` of a line is the key, and what
/// follows it is the label.
///
/// ```
/// use keygate::KeyFile;
///
/// let text = "# laptops\nsk-example-1 label=alice\nsk-example-2\n";
/// let mut keys = KeyFile::new(text);
/// assert_eq!(keys.by_ref().count(), 2);
/// keys.end()?;
/// # Ok::<(), keygate::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct KeyFile<'t> {
    /// What is not read yet. `None`: the end, or an error.
    rest: Option<&'t [u8]>,
    line: usize,
    /// How many keys there were.
    keys: usize,
    problem: Option<Problem>,
}

/// What was wrong with the line that was read last.
#[derive(Clone, Copy)]
struct Problem {
    kind: ConfigErrorKind,
    field: ConfigField,
    byte_class: Option<ByteClass>,
}

impl<'t> KeyFile<'t> {
    /// Begins to read.
    pub fn new(text: &'t (impl AsRef<[u8]> + ?Sized)) -> Self {
        let text = text.as_ref();
        Self {
            rest: Some(text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text)),
            line: 0,
            keys: 0,
            problem: None,
        }
    }

    /// What was wrong, with its line, in the lines that were read so far.
    ///
    /// # Errors
    ///
    /// Where a key or a label can never work. [`next`](Iterator::next) stops there.
    pub const fn end(&self) -> Result<(), ConfigError> {
        match self.problem {
            None => Ok(()),
            Some(Problem {
                kind,
                field,
                byte_class,
            }) => Err(ConfigError {
                index: Some(self.keys),
                byte_class,
                line: self.line,
                ..ConfigError::new(kind, field)
            }),
        }
    }

    fn next_line(&mut self) -> Option<&'t [u8]> {
        let rest = self.rest.filter(|rest| !rest.is_empty())?;
        let end = rest.iter().position(|byte| *byte == b'\n');
        let (line, rest) = match end {
            Some(end) => (rest.get(..end)?, rest.get(end.saturating_add(1)..)),
            None => (rest, None),
        };
        self.rest = rest;
        self.line = self.line.saturating_add(1);
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

impl<'t> Iterator for KeyFile<'t> {
    type Item = Key<'t>;

    fn next(&mut self) -> Option<Key<'t>> {
        loop {
            let line = self.next_line()?;
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let (secret, label) = split_label(line);
            let key = Key {
                secret,
                label: label.unwrap_or(&[]),
            };
            let index = Some(self.keys);
            let checked = match label {
                // What is written is meant.
                Some([]) => {
                    Err(ConfigError::new(ConfigErrorKind::LabelEmpty, ConfigField::Label).at(index))
                }
                _ => Filler {
                    draft: &mut Anything,
                }
                .key(&key, ConfigField::Key, index),
            };
            if let Err(error) = checked {
                self.problem = Some(Problem {
                    kind: error.kind,
                    field: error.field,
                    byte_class: error.byte_class,
                });
                self.rest = None;
                return None;
            }
            self.keys = self.keys.saturating_add(1);
            return Some(key);
        }
    }
}

/// The key, and the label where there is one: at the last ` label=`.
fn split_label(line: &[u8]) -> (&[u8], Option<&[u8]>) {
    let mut at = line.len();
    while let Some(before) = at.checked_sub(1) {
        at = before;
        let label = line.get(at..).and_then(|rest| rest.strip_prefix(LABEL));
        if let (Some(secret), Some(label)) = (line.get(..at), label) {
            return (secret, Some(label));
        }
    }
    (line, None)
}

/// Takes as many keys as there are: a policy counts them.
struct Anything;

impl Draft for Anything {}
