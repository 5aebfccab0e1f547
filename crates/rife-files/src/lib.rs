//! File access that a folder made by somebody else cannot turn against its user: atomic replacement of a file,
//! exclusively created temporary files, and opening of regular files only. Every crate of the workspace writes its
//! small files and opens the files it is given by these functions.

mod create;
mod name;
mod open;

pub use create::{NewFile, Temporary, replace, replace_with};
pub use name::{beside, one_line, shown, with_stem};
pub use open::{open_own, open_regular, read_regular};
