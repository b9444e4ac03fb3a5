//! The command line's readers of what people paste: no message repeats what was read. Of curl
//! commands: words quoted anew are the same words, and a header added is in the request.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../../bindings/cli/src"]
#[allow(dead_code)]
mod cli {
    pub(crate) mod failure;

    pub(crate) mod explain {
        mod cmd;
        mod curl;
        mod fetch;
        mod har;
        mod httpie;
        mod note;
        mod paste;
        mod powershell;
        mod raw;
        mod shell;
        mod tool;
        mod url;
        mod wget;

        use keygate::Language;
        use note::Notes;

        use crate::failure::Failure;

        const SECRET: &[u8] = b"sk-5f0c4b8e21d97a36";

        /// The requests of a command, and no secret in the message where there are none.
        fn requests(words: &[Vec<u8>]) -> Result<Vec<curl::Request>, Failure> {
            let result = curl::requests(words, &mut Notes::default());
            silent(&result);
            result
        }

        fn silent<T>(result: &Result<T, Failure>) {
            if let Err(failure) = result {
                for language in [Language::En, Language::Zh] {
                    let text = failure.text(language).as_bytes();
                    assert!(!text.windows(SECRET.len()).any(|part| part == SECRET));
                }
            }
        }

        fn quoted(word: &[u8]) -> Vec<u8> {
            let parts: Vec<_> = word.split(|byte| *byte == b'\'').collect();
            [b"'", parts.join(&b"'\\''"[..]).as_slice(), b"'"].concat()
        }

        pub(crate) fn look(text: &[u8]) {
            // A command may name files; those that never end are left alone.
            if text
                .windows(4)
                .any(|part| matches!(part, b"/dev" | b"proc"))
            {
                return;
            }
            silent(&paste::of_text(text));
            let Ok(words) = shell::split(text, &mut Notes::default()) else {
                return;
            };
            if words.is_empty() {
                return;
            }
            let anew: Vec<_> = words.iter().map(|word| quoted(word)).collect();
            let anew = anew.join(&b' ');
            let anew = shell::split(&anew, &mut Notes::default()).expect("words in quotes");
            assert_eq!(anew, words);
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
                // A value with a blank line ends the head, for curl too, and the header with it.
                let is_one_head = !words.iter().any(|word| word.contains(&b'\n'));
                if more.len() == 2 && is_one_head {
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

fuzz_target!(|text: &[u8]| cli::explain::look(text));
