//! What does the activities, and the ledger that it keeps outside of the cluster: a line for each call that begins, a directory
//! for each effect. It stands still at its points until it is let go.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use mainstay_tests::outside;
use serde_json::{Value, json};

/// By the type of the activity. `after` stands between its effect and its answer, where a crash hurts most.
const SCRIPT: &str = r#"#!/bin/sh
here=$(dirname "$0")
flat=$(printf %s "$MAINSTAY_IDEMPOTENCY_KEY" | tr / +)
echo "$MAINSTAY_IDEMPOTENCY_KEY" >>"$here/begun"
cat >/dev/null
until_open() { until [ -e "$here/open" ]; do sleep 0.2; done; }
effect() { mkdir -p "$here/effects/$flat"; }
says() { printf '{"result": "%s", "waitMillis": 1000, "error": "not yet"}\n' "$1"; exit 0; }
case $MAINSTAY_TYPE/$MAINSTAY_DISCRIMINATOR in
before/* | refuses/dispose) until_open; effect ;;
after/*) effect; until_open ;;
waits/*) effect; says wait ;;
schedules/*) [ -e "$here/open" ] || says schedule; effect ;;
retries/*) [ -e "$here/open" ] || says retry; effect ;;
mended/*) [ -e "$here/mended" ] || { echo 'out of order' >&2; exit 64; }; effect ;;
refuses/deploy) echo 'no such address' >&2; exit 64 ;;
*) effect ;;
esac
"#;

/// All types of activities that it does.
pub const TYPES: [&str; 8] = [
    "plain",
    "before",
    "after",
    "waits",
    "schedules",
    "retries",
    "mended",
    "refuses",
];

pub struct Script(PathBuf);

impl Script {
    pub fn new(home: &Path) -> Self {
        let here = home.join("script");
        std::fs::create_dir_all(here.join("effects")).expect("a directory of its own");
        std::fs::write(here.join("does.sh"), SCRIPT).expect("a directory of its own");
        Self(here)
    }

    /// How an `activity-agent` does with it all activities of a provider.
    pub fn way(&self) -> Value {
        json!({"*": {"process": {"command": ["/bin/sh", self.0.join("does.sh")]}}})
    }

    /// Whoever stands at a point goes on, and whoever comes to one.
    pub fn opens(&self) {
        self.makes("open");
    }

    /// What failed for good does not fail again.
    pub fn mends(&self) {
        self.makes("mended");
    }

    fn makes(&self, file: &str) {
        std::fs::write(self.0.join(file), "").expect("a directory of its own");
    }

    /// How often the call of each key began.
    pub fn begun(&self) -> BTreeMap<String, usize> {
        let begun = std::fs::read_to_string(self.0.join("begun")).unwrap_or_default();
        let mut counted = BTreeMap::new();
        for key in begun.lines() {
            *counted.entry(key.to_owned()).or_default() += 1;
        }
        counted
    }

    /// The keys of what was done.
    pub fn effects(&self) -> BTreeSet<String> {
        let all = std::fs::read_dir(self.0.join("effects")).expect("a directory of its own");
        let names = all.map(|one| one.expect("an entry").file_name());
        names
            .map(|name| name.to_string_lossy().replace('+', "/"))
            .collect()
    }

    /// Those that stand or go at this moment.
    pub fn pids(&self) -> Vec<u32> {
        let file = self.0.join("does.sh").display().to_string();
        let all = outside::processes().into_iter();
        let ours = all.filter(|one| one.state != 'Z' && one.arguments.contains(&file));
        ours.map(|one| one.pid).collect()
    }
}
