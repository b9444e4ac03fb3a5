//! What the page about 401 asks: the command line's readers and answers, behind three functions.
//!
//! The page writes a configuration and, behind it, a paste to where `keygate_page_input` says, calls
//! `keygate_page_answer`, and reads the answer from where `keygate_page_output` says. It makes a module for
//! each question.

use std::cell::RefCell;

use keygate::Language;

thread_local! {
    static INPUT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static OUTPUT: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Room for `len` bytes of a configuration and a paste.
#[unsafe(no_mangle)]
pub extern "C" fn keygate_page_input(len: usize) -> *mut u8 {
    INPUT.with_borrow_mut(|input| {
        input.clear();
        input.resize(len, 0);
        input.as_mut_ptr()
    })
}

/// Answers what was written there, of which the first `config` bytes are the configuration. Returns the
/// length of the answer.
#[unsafe(no_mangle)]
pub extern "C" fn keygate_page_answer(config: usize, chinese: bool) -> usize {
    let language = if chinese { Language::Zh } else { Language::En };
    INPUT.with_borrow(|input| {
        let (config, paste) = input.split_at_checked(config).unwrap_or_default();
        let answer = keygate_cli::answer(config, paste, language);
        let len = answer.len();
        OUTPUT.set(answer);
        len
    })
}

/// Where the answer is.
#[unsafe(no_mangle)]
pub extern "C" fn keygate_page_output() -> *const u8 {
    OUTPUT.with_borrow(|output| output.as_ptr())
}
