//! Machines with networks of their own: namespaces, each with one address, on a switch that is a namespace too. Needs root.
//! Nothing of one test is seen by another.

mod group;

use std::fs::{File, OpenOptions};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use mainstay_api::Client;
use mainstay_identity::{Keep, tls};
use rustix::process::Signal;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::Value;
use tempfile::TempDir;

use crate::cluster::{signal, words};
use crate::command::{self, Run};
use crate::until::until;

/// Where stations listen.
pub const PORT: u16 = 7600;

/// Some machines. Dropped, all that runs on them is killed, and they are gone.
#[derive(Debug)]
pub struct Machines {
    home: TempDir,
    prefix: String,
    count: usize,
    running: Vec<Running>,
}

#[derive(Debug)]
struct Running {
    machine: usize,
    what: String,
    child: Child,
}

impl Machines {
    /// m1 .. mN, with the addresses 10.0.0.1 .. 10.0.0.N.
    pub fn new(count: usize) -> Self {
        let home = tempfile::Builder::new()
            .prefix("ms")
            .tempdir()
            .expect("a temporary directory");
        // What `tempdir` chose is nobody else's.
        let name = home.path().file_name().expect("it has a name");
        let prefix = name.to_string_lossy().replace('.', "");
        let machines = Self {
            home,
            prefix,
            count,
            running: Vec::new(),
        };
        machines.build();
        machines
    }

    fn build(&self) {
        let switch = self.namespace(0);
        ip(&format!("netns add {switch}"));
        ip(&format!("-n {switch} link add br0 type bridge"));
        ip(&format!("-n {switch} link set br0 up"));
        for machine in 1..=self.count {
            let own = self.namespace(machine);
            ip(&format!("netns add {own}"));
            ip(&format!(
                "-n {switch} link add p{machine} type veth peer name eth0 netns {own}"
            ));
            ip(&format!("-n {switch} link set p{machine} master br0 up"));
            ip(&format!("-n {own} link set lo up"));
            ip(&format!(
                "-n {own} addr add {}/24 dev eth0",
                self.address(machine)
            ));
            ip(&format!("-n {own} link set eth0 up"));
            std::fs::create_dir_all(self.dir(machine)).expect("a directory for a machine");
        }
    }

    fn namespace(&self, machine: usize) -> String {
        format!("{}-m{machine}", self.prefix)
    }

    /// A station on m1; agents on m2, m3 and m4, which guard each other.
    pub fn guarded() -> Self {
        let mut machines = Self::new(4);
        machines.init(1, "prod");
        for machine in 2..=4 {
            machines.add_agent(machine);
        }
        machines.until_online(1, 3);
        machines.until_list(1, "get supervisors", |all| {
            let guards = |one: &Value| one["watched_by"].as_array().map_or(0, Vec::len);
            all.len() == 3 && all.iter().all(|one| guards(one) == 2)
        });
        machines
    }

    pub fn address(&self, machine: usize) -> String {
        format!("10.0.0.{machine}")
    }

    pub fn station_address(&self, machine: usize) -> String {
        format!("{}:{PORT}", self.address(machine))
    }

    /// All that a machine keeps.
    pub fn dir(&self, machine: usize) -> PathBuf {
        self.home.path().join(format!("m{machine}"))
    }

    /// The same where `{name}` stands for it: m1 .. mN.
    pub fn dir_of_name(&self, name: &str) -> String {
        self.home.path().join(name).display().to_string()
    }

    /// The words before a program by which it runs on the machine that `{name}` stands for, as `command` has it.
    pub fn via(&self) -> Vec<String> {
        let dir = self.dir_of_name("{name}");
        let namespace = format!("{}-{{name}}", self.prefix);
        let env = ["env".to_owned(), format!("MAINSTAY_HOME={dir}/home")];
        let more = [format!("XDG_RUNTIME_DIR={dir}"), format!("TMPDIR={dir}")];
        let netns = ["ip", "netns", "exec", &namespace].map(str::to_owned);
        netns.into_iter().chain(env).chain(more).collect()
    }

    /// Nothing comes to it and nothing leaves it.
    pub fn cut(&self, machine: usize) {
        self.link(machine, "down");
    }

    pub fn heal(&self, machine: usize) {
        self.link(machine, "up");
    }

    fn link(&self, machine: usize, to: &str) {
        let switch = self.namespace(0);
        ip(&format!("-n {switch} link set p{machine} {to}"));
    }

    /// One way only: what it sends is lost, and all comes to it.
    pub fn mute(&self, machine: usize) {
        for other in self.others(machine) {
            self.lose("add", machine, other);
        }
    }

    /// One way only: nothing comes to it, and what it sends arrives.
    pub fn deafen(&self, machine: usize) {
        for other in self.others(machine) {
            self.lose("add", other, machine);
        }
    }

    pub fn unmute(&self, machine: usize) {
        for other in self.others(machine) {
            self.lose("del", machine, other);
        }
    }

    pub fn undeafen(&self, machine: usize) {
        for other in self.others(machine) {
            self.lose("del", other, machine);
        }
    }

    /// Nothing that the one sends to the other arrives; all else goes as it did.
    pub fn part(&self, from: usize, to: usize) {
        self.lose("add", from, to);
    }

    pub fn join_again(&self, from: usize, to: usize) {
        self.lose("del", from, to);
    }

    /// Of what comes to it, so many packets of a hundred are lost.
    pub fn drop_packets(&self, machine: usize, percent: u32) {
        let own = self.namespace(machine);
        for rule in [
            "add table inet lossy".to_owned(),
            "add chain inet lossy in { type filter hook input priority 0; }".to_owned(),
            format!("add rule inet lossy in numgen random mod 100 lt {percent} drop"),
        ] {
            let run = Command::new("ip")
                .args(["netns", "exec", &own, "nft", &rule])
                .output();
            let output = run.unwrap_or_else(|error| panic!("`ip` cannot be run: {error}"));
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(
                output.status.success(),
                "`nft {rule}`: {said}; install nftables (`scripts/setup` does)"
            );
        }
    }

    fn others(&self, machine: usize) -> impl Iterator<Item = usize> {
        (1..=self.count).filter(move |other| *other != machine)
    }

    fn lose(&self, how: &str, from: usize, to: usize) {
        let (own, to) = (self.namespace(from), self.address(to));
        ip(&format!("-n {own} route {how} blackhole {to}/32"));
    }

    /// For what is to run there without being a program.
    pub fn place(&self, machine: usize) -> Place {
        let path = Path::new("/run/netns").join(self.namespace(machine));
        Place(File::open(path).expect("a machine has a namespace"))
    }

    /// A client with what the person on this machine shows, which asks these machines' stations in this order.
    pub fn client(&self, person: usize, stations: &[usize]) -> Client {
        let kept = Keep::at(self.dir(person).join("person")).credentials();
        let shown = tls::client(&kept.expect("a person has joined"), tls::ALPN_API);
        let shown = shown.expect("what a person shows is whole");
        let stations = stations.iter().map(|at| self.station_address(*at));
        let stations = stations.map(|at| at.parse().expect("an address"));
        Client::at(stations.collect(), Some(Arc::new(shown)))
    }

    /// A program on a machine.
    pub fn command(&self, machine: usize, program: &Path) -> Command {
        let namespace = self.namespace(machine);
        let mut command = command::command(Path::new("ip"), &self.dir(machine));
        command.args(["netns", "exec", &namespace]).arg(program);
        command
    }

    /// A line of `mainstay` there.
    pub fn sh(&self, machine: usize, line: &str) -> Run {
        self.run(machine, &[], line)
    }

    /// The same behind other words: `with_clock("+2h")`.
    pub fn run(&self, machine: usize, before: &[String], line: &str) -> Run {
        let namespace = self.namespace(machine);
        let mut command = command::command(Path::new("ip"), &self.dir(machine));
        command.args(["netns", "exec", &namespace]).args(before);
        command.arg(command::mainstay_binary()).args(words(line));
        let output = command
            .stdin(Stdio::null())
            .output()
            .expect("a program can be run in a namespace");
        Run {
            arguments: format!("(on m{machine}) {line}"),
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    #[track_caller]
    pub fn list(&self, machine: usize, line: &str) -> Vec<Value> {
        let answer = self.sh(machine, &format!("{line} -o json")).ok().json();
        answer.as_array().cloned().expect("a list")
    }

    /// Keeps a daemon running there: `station run ..`, `agent run ..`.
    pub fn start(&mut self, machine: usize, line: &str) {
        self.start_behind(machine, &[], line);
    }

    /// The same behind other words.
    pub fn start_behind(&mut self, machine: usize, before: &[String], line: &str) {
        let what = words(line).first().cloned().unwrap_or_default();
        let log = self.dir(machine).join(format!("{what}.log"));
        let log = OpenOptions::new().create(true).append(true).open(log);
        let mainstay = command::mainstay_binary();
        let mut all: Vec<&std::ffi::OsStr> = before.iter().map(|word| word.as_ref()).collect();
        all.push(mainstay.as_os_str());
        let child = self
            .command(machine, all[0].as_ref())
            .args(&all[1..])
            .args(words(line))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.expect("a log can be written"))
            .spawn()
            .expect("a daemon can be started in a namespace");
        self.running.push(Running {
            machine,
            what,
            child,
        });
    }

    /// Ends the daemon so, and waits for its end where that ends it.
    pub fn signal(&mut self, machine: usize, what: &str, with: Signal) {
        let at = self
            .running
            .iter()
            .position(|one| one.machine == machine && one.what == what);
        let at = at.unwrap_or_else(|| panic!("no {what} runs on m{machine}"));
        signal(self.running[at].child.id(), with);
        if [Signal::KILL, Signal::TERM].contains(&with) {
            let mut ended = self.running.remove(at);
            drop(ended.child.wait());
        }
    }

    pub fn log(&self, machine: usize, what: &str) -> String {
        std::fs::read_to_string(self.dir(machine).join(format!("{what}.log"))).unwrap_or_default()
    }

    /// Until what the machine is told of is as awaited; also while nobody answers.
    pub fn until_list(
        &self,
        machine: usize,
        line: &str,
        right: impl Fn(&[Value]) -> bool,
    ) -> Vec<Value> {
        let rows = |run: &Run| match run.code {
            Some(0) => run.json().as_array().cloned(),
            _ => None,
        };
        let found = until(
            &format!("{line} on m{machine} shows what is awaited"),
            || rows(&self.sh(machine, &format!("{line} -o json"))),
            |all| all.as_deref().is_some_and(&right),
        );
        found.expect("the condition holds for something only")
    }
}

/// A machine's network.
#[derive(Debug)]
pub struct Place(File);

impl Place {
    /// What this opens, it opens there. The thread stays there: it is to be one of its own.
    pub fn within<T>(&self, doing: impl Future<Output = T>) -> T {
        move_into_link_name_space(self.0.as_fd(), Some(LinkNameSpaceType::Network))
            .expect("root may be on any machine");
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build();
        runtime.expect("a runtime can be made").block_on(doing)
    }
}

impl Drop for Machines {
    fn drop(&mut self) {
        for one in &mut self.running {
            // One that has ended by itself cannot be killed.
            let _ = one.child.kill();
            let _ = one.child.wait();
        }
        for machine in 0..=self.count {
            let namespace = self.namespace(machine);
            // What agents started outlives them.
            let left = Command::new("ip")
                .args(["netns", "pids", &namespace])
                .output();
            let left = left.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
            for pid in left.unwrap_or_default().lines() {
                let _ = Command::new("kill").args(["-9", pid]).status();
            }
            let _ = Command::new("ip")
                .args(["netns", "del", &namespace])
                .status();
        }
    }
}

/// Words before a program by which its clock on the wall is off by so much (`-4d`, `+2h`). Not through `faketime`, which stays
/// as its parent.
pub fn with_clock(off: &str) -> Vec<String> {
    let found = std::fs::read_dir("/usr/lib")
        .into_iter()
        .flatten()
        .flatten();
    let mut libraries = found.map(|arch| arch.path().join("faketime/libfaketime.so.1"));
    let library = libraries.find(|path| path.exists());
    let library = library.expect("libfaketime is there: install faketime (`scripts/setup` does)");
    vec![
        "env".to_owned(),
        format!("LD_PRELOAD={}", library.display()),
        format!("FAKETIME={off}"),
        // No other span between two moments.
        "DONT_FAKE_MONOTONIC=1".to_owned(),
    ]
}

fn ip(line: &str) {
    let output = Command::new("ip").args(line.split(' ')).output();
    let output = output.unwrap_or_else(|error| {
        panic!("`ip` cannot be run ({error}): install iproute2 (`scripts/setup` does)")
    });
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "`ip {line}`: {said}; these tests need root and network namespaces"
    );
}
