//! Where a key stood, nothing of it is left.

use std::mem::{MaybeUninit, size_of};

use keygate::{AuthMode, Config, GeneratedKey, Key, Policy, generate_key};

const KEY: &str = "sk-0123456789abcdef";

/// Whether a piece of the key stands at the place of a value, before and after it is dropped.
fn shows<T>(value: T, key: &[u8]) -> [bool; 2] {
    let mut place = Box::new(MaybeUninit::new(value));
    let bytes = place.as_mut_ptr().cast::<u8>();
    let holds = || {
        // SAFETY: inside of the box. It may be padding, which volatile reads take as it is.
        let read = |at| unsafe { bytes.add(at).read_volatile() };
        let all: Vec<u8> = (0..size_of::<T>()).map(read).collect();
        key.windows(4)
            .any(|piece| all.windows(4).any(|window| window == piece))
    };
    let before = holds();
    // SAFETY: it was written above, and is not used again.
    unsafe { place.assume_init_drop() };
    [before, holds()]
}

fn policy(config: &Config<'_>) -> Policy {
    Policy::new(config).expect("a policy")
}

#[test]
fn a_policy_is_wiped() {
    let strict = Config::new(AuthMode::Strict);
    assert_eq!(
        shows(policy(&strict.api_key(KEY)), KEY.as_bytes()),
        [true, false]
    );
    let longest = "sk-0123456789abcdefghijklmnopqrstuvwxyz".repeat(7)[..256].to_owned();
    let keys = [Key::new(&longest); 8];
    assert_eq!(
        shows(policy(&strict.keys(&keys)), longest.as_bytes()),
        [true, false]
    );
}

#[test]
fn a_fresh_key_is_wiped() {
    let key: GeneratedKey = generate_key(b"0123456789abcdef");
    let text = key.as_bytes().to_vec();
    assert_eq!(shows(key, &text), [true, false]);
}
