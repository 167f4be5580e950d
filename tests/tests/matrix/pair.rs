//! What a round is about: a process behind its hold, and an actor in its agent.

use mainstay_tests::Cluster;
use serde_json::json;

use super::course::Course;
use super::witness;

/// Their placements, which no other round has.
#[derive(Debug, Clone)]
pub struct Pair {
    pub process: String,
    pub actor: String,
}

impl Pair {
    pub fn of_round(number: usize) -> Self {
        Self {
            process: format!("process{number}"),
            actor: format!("actor{number}"),
        }
    }

    pub fn references(&self) -> [String; 2] {
        [&self.process, &self.actor].map(|name| format!("{name}@n1"))
    }

    /// The words that start the two.
    pub fn starts(&self, cluster: &Cluster, course: Course) -> [Vec<String>; 2] {
        let file = witness::file(cluster);
        let environment = json!({
            "WITNESS": file,
            "HELD": witness::lock(cluster.home(), self),
            "SIZE": "one",
        });
        let command = json!(["/bin/sh", "-c", witness::script()]);
        let process = start("process", &self.process)
            .chain([
                format!("command={command}"),
                format!("env={environment}"),
                format!("ready={}", json!({ "line": "ready" })),
            ])
            .collect();
        let witness = format!("witness={}", file.display());
        let actor = match course {
            Course::Reconfigure => start("greeter", &self.actor).chain([witness]).collect(),
            _ => start("flaky", &self.actor)
                .chain([witness, "start_ms=60".to_owned(), "stop_ms=60".to_owned()])
                .collect(),
        };
        [process, actor]
    }
}

fn start(service_type: &str, name: &str) -> impl Iterator<Item = String> {
    let words = [
        "start",
        service_type,
        "--name",
        name,
        "--on",
        "n1",
        "--no-wait",
        "--config",
    ];
    words.map(str::to_owned).into_iter()
}
