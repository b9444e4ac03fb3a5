//! The command line's reader of curl commands: words quoted anew are the same words, a header added
//! is in the request, and no message repeats what was read.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../../bindings/cli/src"]
#[allow(dead_code)]
mod cli {
    pub(crate) mod failure;

    pub(crate) mod explain {
        mod curl;
        mod shell;
        mod url;

        use keygate::Language;

        use crate::failure::Failure;

        const SECRET: &[u8] = b"sk-5f0c4b8e21d97a36";

        /// The requests of a command, and no secret in the message where there are none.
        fn requests(words: &[Vec<u8>]) -> Result<Vec<curl::Request>, Failure> {
            let result = curl::requests(words);
            if let Err(failure) = &result {
                for language in [Language::En, Language::Zh] {
                    let text = failure.text(language).as_bytes();
                    assert!(!text.windows(SECRET.len()).any(|part| part == SECRET));
                }
            }
            result
        }

        fn quoted(word: &[u8]) -> Vec<u8> {
            let parts: Vec<_> = word.split(|byte| *byte == b'\'').collect();
            [b"'", parts.join(&b"'\\''"[..]).as_slice(), b"'"].concat()
        }

        pub(crate) fn look(text: &[u8]) {
            let Ok(words) = shell::split(text) else {
                return;
            };
            let anew: Vec<_> = words.iter().map(|word| quoted(word)).collect();
            let anew = shell::split(&anew.join(&b' ')).expect("words in quotes");
            assert_eq!(anew, words);
            // A command may name files; those that never end are left alone.
            if text
                .windows(4)
                .any(|part| matches!(part, b"/dev" | b"proc"))
            {
                return;
            }
            let before = requests(&words);
            let header = [b"x-added: ", SECRET].concat();
            let option = [b"--", SECRET].concat();
            let glued = [b"--oauth2-bearer", SECRET].concat();
            for more in [
                vec![b"-H".to_vec(), header],
                vec![option],
                vec![glued],
                vec![SECRET.to_vec()],
            ] {
                let begin = words.get(..1).unwrap_or_default();
                let rest = words.get(1..).unwrap_or_default();
                requests(&[&words, &more[..]].concat()).ok();
                let after = requests(&[begin, &more, rest].concat());
                let (Ok(before), Ok(after)) = (&before, after) else {
                    continue;
                };
                if more.len() == 2 {
                    let (before, after) = (&before[0], &after[0]);
                    assert_eq!(
                        (&after.method, &after.target),
                        (&before.method, &before.target)
                    );
                    assert!(after.headers.iter().any(|(name, value)| {
                        name == b"x-added" && value.trim_ascii() == SECRET
                    }));
                }
            }
        }
    }
}
use cli::failure;

/// Where failures are wrapped; none is written here.
#[allow(dead_code)]
mod terminal {
    pub(crate) fn width() -> usize {
        0
    }

    pub(crate) fn wrap(text: &str, _: usize, _: usize) -> Vec<String> {
        vec![text.to_owned()]
    }
}

fuzz_target!(|text: &[u8]| cli::explain::look(text));
