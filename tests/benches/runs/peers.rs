//! What both peers need: where they were installed, ports, processes that end with the bench.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// As `scripts/setup bench` has it.
pub fn installed(what: &str) -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = cache.or_else(home).unwrap_or_default();
    cache.join("mainstay-bench").join(what)
}

/// Which versions, on one line; none where it is not installed.
pub fn versions(what: &str) -> Option<String> {
    let text = std::fs::read_to_string(installed(what).join("installed")).ok()?;
    Some(text.trim().to_owned())
}

/// The programs beside this file.
pub fn program(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("benches/runs")
        .join(path)
}

/// All at once, so that they differ.
pub fn free_ports<const MANY: usize>() -> [SocketAddr; MANY] {
    let taken: [TcpListener; MANY] =
        std::array::from_fn(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port"));
    taken.map(|taken| taken.local_addr().expect("its address"))
}

/// Its words go into a file.
pub fn logged(command: &mut Command, log: &Path) -> std::io::Result<Child> {
    let log = File::options().create(true).append(true).open(log)?;
    let errors = log.try_clone()?;
    command
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .spawn()
}

/// A process, killed when dropped.
pub struct Process(pub Child);

impl Process {
    pub fn kill(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
