//! One station and one agent, processes of their own, with an instance of `activity-agent` that echoes.

use mainstay_tests::daemons::Daemons;
use mainstay_tests::mainstay_binary;
use mainstay_tests::measure::of_status;
use serde_json::{Value, json};

use super::http::{Connection, Place};
use super::system::{BEGINNERS, Caller, Flow, Memory, SLOW_STEP, Served};

/// More than there are clients: none waits for a free hand.
const HANDS: u32 = 1024;
const SIDES: usize = 10;
const WAIT_MS: u64 = 60_000;

pub struct Mainstay {
    daemons: Daemons,
}

impl Mainstay {
    pub fn start() -> Self {
        let daemons = Daemons::start(&mainstay_binary(), 1);
        for activity in ["echo", "sleep"] {
            let definition = json!({"type": activity, "provider": "builtin"});
            apply(&daemons, "activity", &definition);
        }
        for flow in [chain(), fan(), slow(), hour()] {
            apply(&daemons, "orchestration", &flow);
        }
        let start = format!("start activity-agent --name worker --on n1 --config hands={HANDS}");
        daemons.sh(&start).ok();
        daemons.until_state("worker@n1", "Running");
        Self { daemons }
    }
}

fn apply(daemons: &Daemons, kind: &str, definition: &Value) {
    let file = daemons.home().join("definition.json");
    std::fs::write(&file, definition.to_string()).expect("a file");
    daemons
        .sh(&format!("{kind} apply -f {}", file.display()))
        .ok();
}

/// Each is given what the one before left behind.
fn chain() -> Value {
    let of = |before: &str| json!([{"source": format!("{before}.item"), "target": "item"}]);
    json!({
        "type": "chain", "output": of("three"),
        "activities": [
            {"id": "one", "type": "echo", "inputs": ["item"]},
            {"id": "two", "type": "echo", "dependsOn": "one", "inputs": of("one")},
            {"id": "three", "type": "echo", "dependsOn": "two", "inputs": of("two")},
        ],
    })
}

fn fan() -> Value {
    let of = |before: &str| json!([{"source": format!("{before}.item"), "target": "item"}]);
    let names: Vec<String> = (0..SIDES).map(|side| format!("side{side}")).collect();
    let sides = names.iter().map(
        |name| json!({"id": name, "type": "echo", "dependsOn": "first", "inputs": of("first")}),
    );
    let mut activities = vec![json!({"id": "first", "type": "echo", "inputs": ["item"]})];
    activities.extend(sides);
    activities
        .push(json!({"id": "last", "type": "echo", "dependsOn": names, "inputs": of("side0")}));
    json!({"type": "fan", "output": of("last"), "activities": activities})
}

fn slow() -> Value {
    json!({
        "type": "slow",
        "activities": [
            {"id": "one", "type": "sleep", "inputs": ["millis"]},
            {"id": "two", "type": "sleep", "dependsOn": "one", "inputs": ["millis"]},
            {"id": "three", "type": "sleep", "dependsOn": "two", "inputs": ["millis"]},
        ],
    })
}

fn hour() -> Value {
    json!({
        "type": "hour",
        "activities": [
            {"id": "one", "type": "echo", "inputs": ["item"]},
            {"id": "hour", "type": "sleep", "dependsOn": "one", "inputs": ["seconds"]},
        ],
    })
}

/// What a run of this number is given.
fn payload(flow: Flow, number: usize) -> Value {
    match flow {
        Flow::Chain | Flow::Fan => json!({"item": number}),
        Flow::Slow => json!({"millis": SLOW_STEP.as_millis() as u64}),
        Flow::Hour => json!({"item": number, "seconds": 3600}),
    }
}

impl Served for Mainstay {
    type Caller = Client;

    fn caller(&self) -> Client {
        Client(Connection::new(Place::Unix(self.daemons.api_socket())))
    }

    /// They are given out in their order: those begun last say it of all.
    async fn all_wait(&self, caller: &mut Client, count: usize) -> anyhow::Result<bool> {
        for number in count.saturating_sub(BEGINNERS)..count {
            let path = format!("/v1/runs/{}", id(Flow::Hour, number));
            let shown = caller.0.get(&path).await?.granted()?;
            if shown["steps"][1]["state"] != "Scheduled" {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn memory(&self) -> Memory {
        let of = |pid| u64::from(of_status(pid, "VmRSS"));
        Memory {
            server: of(self.daemons.station_pid()),
            worker: self.daemons.agent_pids().into_iter().map(of).sum(),
        }
    }

    fn kill(&mut self) {
        self.daemons.kill_station();
    }

    fn begin_again(&mut self) {
        self.daemons.start_station(&mainstay_binary());
    }
}

/// Begins, waits and looks: three requests.
pub struct Client(Connection);

impl Client {
    /// Returns the revision that has it.
    async fn post(&mut self, flow: Flow, number: usize) -> anyhow::Result<Value> {
        let request = json!({
            "id": id(flow, number), "type": flow.as_str(), "payload": payload(flow, number),
        });
        let begun = self.0.post("/v1/runs", &request).await?.granted()?;
        Ok(begun["revision"].clone())
    }

    async fn wait(&mut self, flow: Flow, number: usize, after: &Value) -> anyhow::Result<()> {
        let request = json!({
            "ref": format!("run/{}", id(flow, number)), "for": "state=Completed",
            "timeout_ms": WAIT_MS, "after_revision": after,
        });
        self.0.post("/v1/wait", &request).await?.granted()?;
        Ok(())
    }
}

impl Caller for Client {
    async fn run(&mut self, flow: Flow, number: usize) -> anyhow::Result<()> {
        let revision = self.post(flow, number).await?;
        self.wait(flow, number, &revision).await?;
        let path = format!("/v1/runs/{}", id(flow, number));
        let shown = self.0.get(&path).await?.granted()?;
        let left = &shown["outputs"];
        anyhow::ensure!(*left == payload(flow, number), "it left {left} behind");
        Ok(())
    }

    async fn begin(&mut self, flow: Flow, number: usize) -> anyhow::Result<()> {
        self.post(flow, number).await?;
        Ok(())
    }

    async fn end(&mut self, flow: Flow, number: usize) -> anyhow::Result<()> {
        self.wait(flow, number, &json!(0)).await
    }
}

fn id(flow: Flow, number: usize) -> String {
    format!("{}-{number}", flow.as_str())
}
