//! What the program `keygate` is made of. The page about 401 (`bindings/wasm`) has its readers and its
//! answers without the feature `terminal`, which has all the rest.

mod decided;
mod explain;
mod failure;
mod lints;

pub use explain::answer;

#[cfg(feature = "terminal")]
mod check;
#[cfg(feature = "terminal")]
mod gate;
#[cfg(feature = "terminal")]
mod help;
#[cfg(feature = "terminal")]
mod keygen;
#[cfg(feature = "terminal")]
mod lint;
#[cfg(feature = "terminal")]
mod program;
#[cfg(feature = "terminal")]
mod terminal;

#[cfg(feature = "terminal")]
pub use program::{command, main};
