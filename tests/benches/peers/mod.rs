//! Other supervisors of processes, each as its own documents say to run it: runit, supervisord, monit.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use mainstay_tests::outside;
use mainstay_tests::signal;
use rustix::process::Signal;

/// In order, before it is killed.
const END_PATIENCE: Duration = Duration::from_secs(5);

/// The line that every supervised process is: it tells that it runs, then sleeps.
pub fn script(marks: &Path) -> String {
    format!("echo $$ >> {}; exec sleep {SLEEP}", marks.display())
}

/// So long sleeps nobody else.
pub const SLEEP: &str = "98761";

/// A supervisor that runs with its services; ended, with all of them, when dropped.
pub struct Peer {
    program: Child,
}

impl Peer {
    /// `runsvdir` over a service directory each.
    pub fn runit(directory: &Path, names: &[String]) -> Self {
        let services = directory.join("services");
        for name in names {
            let service = services.join(name);
            fs::create_dir_all(&service).expect("a directory");
            let run = format!("#!/bin/sh\n{}\n", script(&directory.join(name)));
            executable(&service.join("run"), &run);
        }
        Self::start(Command::new("runsvdir").arg("-P").arg(&services))
    }

    pub fn supervisord(directory: &Path, names: &[String]) -> Self {
        let at = directory.display();
        let mut config = format!(
            "[supervisord]\nnodaemon=true\nlogfile={at}/log\npidfile={at}/pid\nchildlogdir={at}\n"
        );
        for name in names {
            let script = script(&directory.join(name));
            config.push_str(&format!(
                "[program:{name}]\ncommand=/bin/sh -c \"{script}\"\nautorestart=true\nstartsecs=1\n"
            ));
        }
        let file = directory.join("supervisord.conf");
        fs::write(&file, config).expect("a file");
        Self::start(Command::new("supervisord").arg("-c").arg(&file))
    }

    /// Looks once a second, which is the least it takes.
    pub fn monit(directory: &Path, names: &[String]) -> Self {
        let at = directory.display();
        let mut config = format!(
            "set daemon 1\nset log {at}/log\nset pidfile {at}/pid\nset idfile {at}/id\nset statefile {at}/state\n"
        );
        for name in names {
            let start = directory.join(format!("{name}.sh"));
            let pid = directory.join(format!("{name}.pid"));
            let script = script(&directory.join(name));
            let text = format!(
                "#!/bin/sh\nsetsid /bin/sh -c 'echo $$ > {}; {script}' </dev/null >/dev/null 2>&1 &\n",
                pid.display()
            );
            executable(&start, &text);
            config.push_str(&format!(
                "check process {name} with pidfile {}\n  start program = \"{}\"\n",
                pid.display(),
                start.display()
            ));
        }
        let file = directory.join("monitrc");
        fs::write(&file, config).expect("a file");
        fs::set_permissions(&file, Permissions::from_mode(0o700)).expect("its mode");
        Self::start(Command::new("monit").arg("-I").arg("-c").arg(&file))
    }

    fn start(command: &mut Command) -> Self {
        let program = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self {
            program: program.expect("scripts/setup bench installs it"),
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // runsvdir ends its services on HUP alone; the others end on TERM.
        signal(self.program.id(), Signal::HUP);
        signal(self.program.id(), Signal::TERM);
        let asked = Instant::now();
        while asked.elapsed() < END_PATIENCE && matches!(self.program.try_wait(), Ok(None)) {
            // tidy: waits because its end is looked for again
            thread::sleep(Duration::from_millis(50));
        }
        // What is gone already needs no killing.
        let _ = self.program.kill();
        let _ = self.program.wait();
        let left = format!("sleep\0{SLEEP}");
        for process in outside::processes() {
            let is_runsv = process.arguments.starts_with("runsv\0p");
            if is_runsv || process.arguments.starts_with(&left) {
                signal(process.pid, Signal::KILL);
            }
        }
    }
}

fn executable(path: &Path, text: &str) {
    fs::write(path, text).expect("a file");
    fs::set_permissions(path, Permissions::from_mode(0o755)).expect("its mode");
}
