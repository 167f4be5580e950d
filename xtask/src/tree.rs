//! The texts of the checkout, read once; checks work on these and never on the disk.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// A text file with its path relative to the root, with forward slashes.
pub struct TextFile {
    pub path: String,
    pub text: String,
}

impl TextFile {
    #[cfg(test)]
    pub fn new(path: &str, text: &str) -> Self {
        Self {
            path: path.into(),
            text: text.into(),
        }
    }

    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    pub fn file_name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// Test code by where it lies: a `tests` folder (the `tests/` crate too) or a `tests.rs` module.
    pub fn is_test_path(&self) -> bool {
        self.path
            .split('/')
            .any(|part| part == "tests" || part == "tests.rs")
            || self.path.ends_with("_test.rs")
            || self.path.ends_with("_tests.rs")
    }
}

/// Hidden folders that are ours; every other hidden folder is a tool's.
const OWN_HIDDEN_FOLDERS: [&str; 3] = [".cargo", ".ci", ".config"];

/// As cargo says it at run time; a build output shared by two checkouts must not mix them up.
pub fn root() -> PathBuf {
    let told = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let here = told.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
    here.parent()
        .expect("xtask lies in the workspace root")
        .to_path_buf()
}

/// Every UTF-8 text below `root`, in path order; build output (recognised by cargo's tag) is left out.
pub fn texts(root: &Path) -> anyhow::Result<Vec<TextFile>> {
    let mut found = Vec::new();
    collect(root, root, &mut found)?;
    found.sort_by(|a: &TextFile, b| a.path.cmp(&b.path));
    Ok(found)
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<TextFile>) -> anyhow::Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("reading folder {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = entry.path();
        let kind = entry.file_type()?;
        if kind.is_dir() {
            let foreign = name.starts_with('.') && !OWN_HIDDEN_FOLDERS.contains(&name.as_str());
            let built =
                name == "target" || name == "node_modules" || path.join("CACHEDIR.TAG").exists();
            if !foreign && !built {
                collect(root, &path, found)?;
            }
        } else if kind.is_file() && name != ".git" {
            // In a second work tree `.git` is a file that names the first by its path.
            let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
            if let Ok(text) = String::from_utf8(bytes) {
                let relative = path
                    .strip_prefix(root)
                    .expect("the walk stays below the root");
                found.push(TextFile {
                    path: relative.to_string_lossy().replace('\\', "/"),
                    text,
                });
            }
        }
    }
    Ok(())
}
