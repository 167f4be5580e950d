//! Files of wishes: what `plan`, `apply` and `delete` read with `-f`. YAML, TOML and JSON become one tree whose every
//! node knows its place, the tree becomes documents, and a document's flaws are told with file, line and column.
//!
//! ```text
//! -f PATH..  sources   text of files, of a directory's files, of standard input; bounded
//!              |
//!            yaml, toml, json -> tree     syntax, duplicate keys, depth, aliases
//!              |
//!            documents                    kind, name, duplicates; shapes of `mainstay_api::shapes`
//!              |
//!            faults, or wishes            all faults of all files at once; else JSON for the station
//! ```
//!
//! Nothing here but `sources` touches the machine. What the station finds wrong (a type nobody provides, a field a
//! type does not know) comes back with its path, and `Wish::place` turns that into a place again.

mod definitions;
mod documents;
mod fault;
mod json;
mod sources;
#[cfg(test)]
mod tests;
mod toml;
mod tree;
mod yaml;

pub use definitions::{Definition, definitions, payload};
pub use documents::{Wish, documents};
pub use fault::Fault;
pub use sources::sources;
