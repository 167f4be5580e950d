//! Shapes: which fields a specification may have. What a person writes in a file, or sends to `plan`, `apply` and
//! `placements/{name}`, is held against them: what each field holds, what it means, what stands where nothing is said.
//! The checker, `explain` and the reference in `docs/files.md` all read this one table.

mod check;
pub mod cluster;
mod duration;
mod kinds;
mod path;
mod placement;
pub mod settings;
mod shape;
#[cfg(test)]
mod tests;

pub use check::{Flaw, check};
pub use cluster::CLUSTER;
pub use duration::{BadDuration, duration, duration_text};
pub use kinds::{KINDS, Reader, SpecKind, kind};
pub use path::{On, Path, Step};
pub use placement::PLACEMENT;
pub use settings::{SETTINGS, Setting};
pub use shape::{Field, Of, Shape};
