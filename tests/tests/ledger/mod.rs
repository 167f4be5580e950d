//! What activities did, kept outside of the cluster: a script that writes down each call and leaves each effect once, and
//! the hand that kills who brings it on.

use std::path::{Path, PathBuf};

use mainstay_tests::random::Random;
use mainstay_tests::{Cluster, outside, signal, until};
use rustix::process::Signal;

/// Its effects are links: made once, whoever tries again.
const SCRIPT: &str = r#"#!/bin/sh
here=$(dirname "$0")
key=$MAINSTAY_IDEMPOTENCY_KEY
flat=$(printf %s "$key" | tr / +)
echo "$key" >>"$here/begun"
document=$(cat)
if [ -s "$here/faults/$flat" ]; then . "$here/faults/$flat"; fi
sleep 0.05
mkdir -p "$here/effects/$flat"
printf '%s\n' "$document" | sed -n 's/.*"inputs":{"item":\(.*\)},"scratch":.*/{"result":"complete","outputs":{"of":\1}}/p'
"#;

pub struct Ledger {
    here: PathBuf,
}

impl Ledger {
    pub fn new(home: &Path) -> Self {
        let here = home.join("ledger");
        for part in ["effects", "faults"] {
            std::fs::create_dir_all(here.join(part)).expect("a directory of its own");
        }
        std::fs::write(here.join("script.sh"), SCRIPT).expect("a directory of its own");
        std::fs::write(here.join("begun"), "").expect("a directory of its own");
        Self { here }
    }

    pub fn script(&self) -> PathBuf {
        self.here.join("script.sh")
    }

    /// From now on a call with this idempotency key does this first; empty: nothing.
    pub fn fails(&self, key: &str, how: &str) {
        let file = self.here.join("faults").join(key.replace('/', "+"));
        std::fs::write(file, how).expect("a directory of its own");
    }

    /// The keys of calls that began, in order.
    pub fn begun(&self) -> Vec<String> {
        let begun = std::fs::read_to_string(self.here.join("begun"));
        begun
            .unwrap_or_default()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    pub fn begun_of(&self, key: &str) -> usize {
        self.begun().iter().filter(|one| *one == key).count()
    }

    /// The keys of effects, in the order of their names.
    pub fn effects(&self) -> Vec<String> {
        let all = std::fs::read_dir(self.here.join("effects")).expect("a directory of its own");
        let names = all.map(|one| one.expect("an entry").file_name());
        let mut keys: Vec<String> = names
            .map(|name| name.to_string_lossy().replace('+', "/"))
            .collect();
        keys.sort();
        keys
    }

    /// A station, the one that leads, an agent, or a script, killed -9; which, the dice say.
    pub fn kill_one(&self, cluster: &Cluster, dice: &mut Random) {
        let stations = until(
            "a station",
            || cluster.station_pids(),
            |pids| !pids.is_empty(),
        );
        let stations: Vec<u32> = stations.into_values().collect();
        let script = self.script().display().to_string();
        let scripts = outside::processes().into_iter();
        let scripts = scripts.filter(|one| one.arguments.contains(&script));
        let victims: Vec<u32> = match dice.below(4) {
            0 => stations.clone(),
            1 => {
                let status = cluster.sh("status -o json");
                let leader = (status.code == Some(0)).then(|| status.json()["leader"].clone());
                let leader = leader.as_ref().and_then(|leader| leader.as_str());
                let pids = cluster.station_pids();
                leader
                    .and_then(|leader| pids.get(leader))
                    .copied()
                    .into_iter()
                    .collect()
            }
            2 => ["n1", "n2"]
                .iter()
                .flat_map(|node| cluster.agent_pids(node))
                .collect(),
            _ => scripts.map(|one| one.pid).collect(),
        };
        // Some of them are not there at this moment; a station always is.
        let victims = match victims.is_empty() {
            true => stations,
            false => victims,
        };
        signal(
            victims[dice.below(victims.len() as u64) as usize],
            Signal::KILL,
        );
    }
}
