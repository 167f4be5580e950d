//! The command line as a person types it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// A finished run of `mainstay`.
#[derive(Debug, Clone)]
pub struct Run {
    pub arguments: String,
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    /// Fails with everything it said unless it ended with this code.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "mainstay {}: {self:#?}",
            self.arguments
        );
        self
    }

    #[track_caller]
    pub fn ok(self) -> Self {
        self.expect_code(0)
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| {
            panic!(
                "mainstay {} printed no JSON ({error}): {self:#?}",
                self.arguments
            )
        })
    }
}

/// The directory with the built programs: where this test itself was built to.
pub fn programs() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let profile = test
        .ancestors()
        .find(|path| path.join("deps").is_dir())
        .expect("tests are built below the profile's directory");
    profile.to_owned()
}

/// The built `mainstay`.
pub fn mainstay_binary() -> PathBuf {
    program("mainstay")
}

/// A built program of this workspace.
pub fn program(name: &str) -> PathBuf {
    let path = programs().join(name);
    assert!(
        path.exists(),
        "{} is not built: run `make test`, or `cargo build --workspace --bins` first",
        path.display()
    );
    path
}

/// Runs `mainstay` with a home of its own and waits for its end.
pub fn run<S: AsRef<OsStr>>(home: &Path, arguments: &[S]) -> Run {
    run_program(&mainstay_binary(), home, arguments)
}

pub fn run_program<S: AsRef<OsStr>>(program: &Path, home: &Path, arguments: &[S]) -> Run {
    let output = command(program, home)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the program can be run");
    let words: Vec<String> = arguments
        .iter()
        .map(|word| word.as_ref().to_string_lossy().into_owned())
        .collect();
    Run {
        arguments: words.join(" "),
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A command whose contexts, sockets and data stay below `home`.
pub fn command(program: &Path, home: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env("MAINSTAY_HOME", home.join("home"))
        .env("XDG_RUNTIME_DIR", home)
        .env("TMPDIR", home)
        .env_remove("RUST_BACKTRACE")
        .env_remove("XDG_CONFIG_HOME");
    command
}
