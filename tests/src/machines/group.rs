//! A cluster on machines, made by the commands that the README has.

use serde_json::Value;

use super::Machines;
use crate::command::Run;
use crate::until::until;

impl Machines {
    /// `--dir`, for what this daemon keeps there.
    pub fn data(&self, machine: usize, what: &str) -> String {
        format!("--dir {}", self.dir(machine).join(what).display())
    }

    /// The first station of a cluster, running.
    pub fn init(&mut self, machine: usize, name: &str) {
        let dir = self.data(machine, "station");
        let listen = self.station_address(machine);
        let line = format!("init --name {name} --listen {listen} {dir}");
        self.sh(machine, &line).ok();
        self.run_station(machine);
        self.until_running(machine, 1);
    }

    pub fn run_station(&mut self, machine: usize) {
        let dir = self.data(machine, "station");
        self.start(machine, &format!("station run {dir} --profile dev"));
    }

    /// Another station, by a token of the first machine.
    pub fn add_station(&mut self, machine: usize) {
        let made = self.sh(1, "token create --role station").ok();
        let dir = self.data(machine, "station");
        self.join(machine, &made, &dir).ok();
        self.run_station(machine);
    }

    pub fn add_agent(&mut self, machine: usize) {
        let made = self.sh(1, "token create --role agent").ok();
        let dir = self.data(machine, "agent");
        let node = format!("{dir} --node n{machine}");
        self.join(machine, &made, &node).ok();
        self.start(machine, &format!("agent run {dir}"));
    }

    /// Somebody who works there.
    pub fn add_person(&self, machine: usize, role: &str) {
        let made = self.sh(1, &format!("token create --role {role} --name ada"));
        let dir = self.data(machine, "person");
        self.join(machine, &made.ok(), &dir).ok();
    }

    /// What joins a machine: the line that `token create` printed, with its address in it.
    pub fn join(&self, machine: usize, made: &Run, more: &str) -> Run {
        let line = made.stdout.trim();
        let line = line.strip_prefix("mainstay ").expect("a line to be pasted");
        let listen = format!("--listen {}", self.station_address(machine));
        let line = line.replace("--listen HOST:PORT", &listen);
        self.sh(machine, &format!("{line} {more}"))
    }

    /// Until so many stations are in the group, and all are heard.
    pub fn until_running(&self, asked: usize, count: usize) -> Vec<Value> {
        self.until_list(asked, "get stations", |all| {
            let those: Vec<_> = all.iter().filter(|one| one["state"] != "Removed").collect();
            those.len() == count && those.iter().all(|one| one["state"] == "Running")
        })
    }

    pub fn until_online(&self, asked: usize, count: usize) -> Vec<Value> {
        self.until_list(asked, "get nodes", |all| {
            all.len() == count && all.iter().all(|one| one["state"] == "Online")
        })
    }

    /// The machine whose station leads, and in which term, once one does in a later term than this, as that machine is told.
    pub fn until_led_after(&self, asked: usize, term: u64) -> (usize, u64) {
        let led = until(
            &format!("a station leads after term {term}"),
            || led(&self.sh(asked, "status -o json --timeout 3s")),
            |led| led.is_some_and(|(_, now)| now > term),
        );
        led.expect("the condition holds for something only")
    }
}

/// Stations are numbered as their machines are, where they were added in that order.
fn led(run: &Run) -> Option<(usize, u64)> {
    if run.code != Some(0) {
        return None;
    }
    let status = run.json();
    let leader = status["leader"].as_str()?.strip_prefix('s')?.parse();
    Some((leader.ok()?, status["term"].as_u64()?))
}
