//! Style as checks in code: each module takes the texts of the checkout and returns problems.

mod codes;
mod functions;
mod manifests;
mod purity;
mod rust_files;
mod texts;

use std::path::Path;

use crate::problem::{Problem, settle};
use crate::{cases, requirements, tree};

pub fn run(root: &Path) -> anyhow::Result<()> {
    let texts = tree::texts(root)?;
    let mut problems: Vec<Problem> = Vec::new();
    problems.extend(rust_files::check(&texts));
    problems.extend(functions::check(&texts));
    problems.extend(purity::check(&texts));
    problems.extend(texts::check(&texts));
    problems.extend(codes::check(&texts));
    problems.extend(manifests::check(&texts));
    problems.extend(requirements::check(&texts));
    problems.extend(cases::check(&texts));
    settle("tidy", &problems, &rust_files::sizes(&texts))
}
