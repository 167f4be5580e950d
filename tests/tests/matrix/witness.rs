//! What outsiders write down: the process itself takes a lock that it shares with all its children, and says so when
//! somebody else has it; process and actor write a line per start.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mainstay_tests::{Cluster, Witness};

use super::pair::Pair;

/// What the process ends with when it is told to by SIGUSR1.
pub const EXIT_CODE: u32 = 7;

/// Slow enough in its start and its end that there are moments to be killed at.
const SCRIPT: &str = "exec 9>>\"$HELD\"\n\
    flock -n 9 || echo \"double $MAINSTAY_NAME $$ $MAINSTAY_INCARNATION\" >>\"$WITNESS\"\n\
    trap 'exit 7' USR1\n\
    trap 'sleep 0.1; exit 0' TERM\n\
    echo \"start $MAINSTAY_NAME $$ $MAINSTAY_INCARNATION $SIZE\" >>\"$WITNESS\"\n\
    sleep 0.1\n\
    echo ready\n\
    while :; do sleep 100000 & wait; done\n";

pub fn script() -> &'static str {
    SCRIPT
}

pub fn file(cluster: &Cluster) -> PathBuf {
    cluster.home().join("matrix.witness")
}

pub fn lock(home: &Path, pair: &Pair) -> PathBuf {
    home.join(format!("{}.lock", pair.process))
}

/// The newest start of somebody: its pid and what else it said.
pub fn newest(cluster: &Cluster, who: &str) -> Option<(u32, String)> {
    let witness = Witness::read(&file(cluster));
    let mut newest = None;
    for line in &witness.lines {
        if let [what, name, pid, _, more, ..] = line.as_slice()
            && what == "start"
            && name == who
        {
            newest = pid.parse().ok().map(|pid| (pid, more.clone()));
        }
    }
    newest
}

/// Never two at a time, no incarnation twice, none after a later one.
pub fn assert_books_are_right(cluster: &Cluster, pair: &Pair) {
    let witness = Witness::read(&file(cluster));
    let mut highest: BTreeMap<&str, u64> = BTreeMap::new();
    for line in &witness.lines {
        let [what, who, _, incarnation, ..] = line.as_slice() else {
            panic!("a whole line: {line:?}");
        };
        let ours = [&pair.process, &pair.actor].contains(&who);
        if !ours || what == "stop" {
            continue;
        }
        assert_eq!(what, "start", "two lived at one time: {line:?}");
        let incarnation: u64 = incarnation.parse().expect("an incarnation is a number");
        let before = highest.insert(who, incarnation);
        assert!(
            before < Some(incarnation),
            "{who} {incarnation} began after {before:?}: {:#?}",
            witness.lines
        );
    }
}
