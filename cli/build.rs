//! Gathers the pages of `docs/codes` into the program, so that `mainstay explain CODE` shows them on any machine.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    // A build script runs in its package's folder. No absolute path may be kept: one build directory serves several checkouts.
    let pages = Path::new("../docs/codes");
    println!("cargo::rerun-if-changed={}", pages.display());
    let mut files: Vec<PathBuf> = fs::read_dir(pages)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<_>>()?;
    files.sort();
    let mut list = String::from("&[\n");
    for file in files {
        let Some(code) = file.file_stem().and_then(|stem| stem.to_str()) else {
            continue;
        };
        let page = fs::read_to_string(&file)?;
        // Writing to a String cannot fail.
        let _ = writeln!(list, "({code:?}, {page:?}),");
    }
    list.push_str("]\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?);
    fs::write(out.join("code_pages.rs"), list)
}
