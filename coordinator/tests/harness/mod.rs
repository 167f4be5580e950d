//! A world for the coordinator: the real leader core, a log that does as it is told, time that moves when it is told,
//! and nodes that say what they are told to say.

pub mod care;
pub mod dice;
pub mod hosts;
mod judge;
mod log;
mod node;
mod print;
pub mod script;
mod sights;
mod types;
pub mod wishes;
pub mod work;
mod world;

pub use log::Mode;
pub use print::{decision_line, why_lines};
pub use types::{at, declaration, key, node_name, rules_of};
pub use wishes::operation as wish;
pub use world::{Death, World, is_start, start};
