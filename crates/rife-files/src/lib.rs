//! File access that is safe in folders that other users can write to: atomic file replacement, exclusively created temporary
//! files, and opening of regular files only. All crates of the workspace write small files and open given files with these
//! functions.

mod create;
mod name;
mod open;

pub use create::{NewFile, Temporary, replace, replace_with};
pub use name::{beside, one_line, shown, with_stem};
pub use open::{open_own, open_regular, read_private, read_regular};
