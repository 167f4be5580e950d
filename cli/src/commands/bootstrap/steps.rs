//! From a file and what its machines said to the steps that are left: each a title and a script, on one machine. Nothing
//! here does anything; what is printed by a dry run and what is carried out are the same steps.
//!
//! ```text
//!   start.., wait..               what is a station already
//!   found, start, wait            the first, if none is
//!   token, join, start, wait      every other one, one after the other: each is one of the group before the next comes
//!   token, join, start            every agent; then all are waited for
//!   token, join                   this machine, as a person, unless it knows the cluster
//! ```

use serde::Serialize;

use super::file::{Cluster, Machine, Role};
use super::look::Seen;
use super::shell;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Where in the file its machine is; none is this very one.
    #[serde(skip)]
    pub at: Option<usize>,
    pub machine: String,
    pub title: String,
    pub script: String,
    pub token: Token,
}

/// What a step has to do with a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Token {
    None,
    /// It prints one, in JSON.
    Made,
    /// It shows the one that the step before made.
    Shown,
}

/// Who is to be let in here, and under which name this machine will know the cluster.
#[derive(Debug, Clone)]
pub struct Person {
    pub name: String,
    pub context: String,
}

/// What is left to do.
pub fn steps(cluster: &Cluster, seen: &[Seen], person: Option<&Person>) -> Vec<Step> {
    let mut plan = Planning {
        cluster,
        seen,
        asked: asked(cluster, seen),
        steps: Vec::new(),
    };
    plan.members();
    if super::look::cluster_of(cluster, seen).is_none() {
        plan.found();
    }
    plan.newcomers();
    for (at, machine) in cluster.with(Role::Agent) {
        plan.agent(at, machine);
    }
    plan.nodes();
    if let Some(person) = person {
        plan.person(person);
    }
    plan.steps
}

/// The station that is asked for tokens: one that runs, else one that is a member, else the first.
fn asked(cluster: &Cluster, seen: &[Seen]) -> usize {
    let worth = |at: usize| {
        let station = &seen[at].station;
        match (station.member().is_some(), station.runs) {
            (true, true) => 0,
            (true, false) => 1,
            (false, _) => 2,
        }
    };
    let stations = cluster.with(Role::Station).map(|(at, _)| at);
    stations.min_by_key(|at| worth(*at)).unwrap_or_default()
}

struct Planning<'a> {
    cluster: &'a Cluster,
    seen: &'a [Seen],
    asked: usize,
    steps: Vec<Step>,
}

impl Planning<'_> {
    fn step(&mut self, at: Option<usize>, title: String, token: Token, script: String) {
        let machine = at.map_or("here", |at| &self.cluster.machines[at].name);
        let machine = machine.to_owned();
        self.steps.push(Step {
            at,
            machine,
            title,
            script,
            token,
        });
    }

    /// What a station that answers knows of one of them.
    fn state(&self, reference: &str) -> Option<&str> {
        let own = std::iter::once(&self.seen[self.asked]);
        let mut states = own.chain(self.seen).map(|seen| &seen.states);
        let known = states.find(|states| !states.is_empty())?;
        known.get(reference).map(String::as_str)
    }

    /// Those that are stations already. All are started before any is waited for: one alone may be no majority.
    fn members(&mut self) {
        let stations: Vec<usize> = self.stations(|member| member).collect();
        for at in &stations {
            if !self.seen[*at].station.runs {
                self.start_station(*at);
            }
        }
        for at in stations {
            let station = &self.seen[at].station;
            let known = station.member().map(|known| self.state(&known.name));
            if !station.runs || known != Some(Some("Running")) {
                self.wait_station(at);
            }
        }
    }

    fn found(&mut self) {
        let (cluster, at) = (self.cluster, self.asked);
        let title = format!("found cluster {}", cluster.name);
        let script = shell::init(cluster, &cluster.machines[at]);
        self.step(Some(at), title, Token::None, script);
        self.start_station(at);
        self.wait_station(at);
    }

    fn newcomers(&mut self) {
        let asked = self.asked;
        let stations = self.stations(|member| !member);
        let stations: Vec<usize> = stations.filter(|at| *at != asked).collect();
        for at in stations {
            let token = shell::token(self.cluster, "station", &[]);
            self.join(at, Role::Station, "a station".to_owned(), token);
            self.start_station(at);
            self.wait_station(at);
        }
    }

    fn stations(&self, of: impl Fn(bool) -> bool) -> impl Iterator<Item = usize> {
        let stations = self.cluster.with(Role::Station).map(|(at, _)| at);
        stations.filter(move |at| of(self.seen[*at].station.member().is_some()))
    }

    fn start_station(&mut self, at: usize) {
        let script = shell::start(self.cluster, &self.cluster.machines[at], Role::Station);
        self.step(
            Some(at),
            "start the station".to_owned(),
            Token::None,
            script,
        );
    }

    fn wait_station(&mut self, at: usize) {
        let script = shell::wait_station(self.cluster, &self.cluster.machines[at]);
        let title = "wait until the station is Running".to_owned();
        self.step(Some(at), title, Token::None, script);
    }

    fn agent(&mut self, at: usize, machine: &Machine) {
        let cluster = self.cluster;
        let daemon = &self.seen[at].agent;
        let node = machine.node.as_str();
        if daemon.member().is_none() {
            let token = shell::token(cluster, "agent", &["--node", node]);
            self.join(at, Role::Agent, format!("node {node}"), token);
        }
        if !daemon.runs {
            let script = shell::start(cluster, machine, Role::Agent);
            self.step(Some(at), "start the agent".to_owned(), Token::None, script);
        }
    }

    fn join(&mut self, at: usize, role: Role, whom: String, token: String) {
        let station = self.cluster.machines[self.asked].listen.to_string();
        let script = shell::join(self.cluster, &self.cluster.machines[at], role, &station);
        let title = format!("make a token for {whom}");
        self.step(Some(self.asked), title, Token::Made, token);
        self.step(Some(at), format!("join as {whom}"), Token::Shown, script);
    }

    /// All together, since none of them waits for another.
    fn nodes(&mut self) {
        let online = |node: &str| self.state(&format!("node/{node}")) == Some("Online");
        let agents = self.cluster.with(Role::Agent);
        let waits = agents
            .filter(|(at, machine)| !(self.seen[*at].agent.runs && online(machine.node.as_str())));
        let nodes: Vec<&str> = waits.map(|(_, machine)| machine.node.as_str()).collect();
        if nodes.is_empty() {
            return;
        }
        let title = match nodes.as_slice() {
            [one] => format!("wait until node {one} is Online"),
            all => format!("wait until {} nodes are Online", all.len()),
        };
        let script = shell::wait_nodes(self.cluster, &nodes);
        self.step(Some(self.asked), title, Token::None, script);
    }

    fn person(&mut self, person: &Person) {
        let whom = format!("admin {}", person.name);
        let token = shell::token(self.cluster, "admin", &["--name", &person.name]);
        let title = format!("make a token for {whom}");
        self.step(Some(self.asked), title, Token::Made, token);
        let station = self.cluster.machines[self.asked].listen.to_string();
        let script = shell::join_person(&station, &person.context);
        self.step(None, format!("join as {whom}"), Token::Shown, script);
    }
}

#[cfg(test)]
mod tests;
