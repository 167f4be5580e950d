//! Reading what `-o json` printed: roots of `why`, decisions of a rule, times of a witness.

use serde_json::Value;

use crate::cluster::Cluster;
use crate::command::Run;

/// The causes in a `why` tree behind which nothing is known.
pub fn roots(why: &Value) -> Vec<Value> {
    let because = why["because"].as_array().cloned().unwrap_or_default();
    if because.is_empty() {
        return vec![why.clone()];
    }
    because.iter().flat_map(roots).collect()
}

/// The newest of a list of decisions that this rule made, with this code, whether it did or declined.
pub fn decided<'a>(decisions: &'a [Value], rule: &str, code: &str) -> Option<&'a Value> {
    decisions.iter().find(|decision| {
        let said = |way: &str| decision[way]["code"] == code;
        decision["rule"] == rule && (said("did") || said("declined"))
    })
}

/// The one process that an instance says it stands for.
#[track_caller]
pub fn pid_of(instance: &Value) -> u32 {
    let process = &instance["process"];
    assert_eq!(process.as_array().map(Vec::len), Some(1), "{instance:#}");
    let pid = process[0]["pid"]
        .as_u64()
        .and_then(|pid| pid.try_into().ok());
    pid.unwrap_or_else(|| panic!("no pid: {instance:#}"))
}

impl Cluster {
    /// `mainstay start process --name NAME --on n1` with this configuration.
    #[track_caller]
    pub fn start_process(&self, name: &str, config: &Value, more: &[&str]) -> Run {
        let pairs: Vec<String> = config
            .as_object()
            .expect("a configuration is an object")
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let mut words = vec!["start", "process", "--name", name, "--on", "n1"];
        words.extend(more);
        words.push("--config");
        words.extend(pairs.iter().map(String::as_str));
        self.run(&words)
    }

    /// `mainstay LINE -o json`, which must end well.
    #[track_caller]
    pub fn json(&self, line: &str) -> Value {
        self.sh(&format!("{line} -o json")).ok().json()
    }

    #[track_caller]
    pub fn list(&self, line: &str) -> Vec<Value> {
        match self.json(line) {
            Value::Array(list) => list,
            other => panic!("mainstay {line} printed no list: {other:#}"),
        }
    }

    #[track_caller]
    pub fn decisions(&self, reference: &str) -> Vec<Value> {
        self.list(&format!("decisions {reference}"))
    }

    #[track_caller]
    pub fn why(&self, reference: &str) -> Value {
        self.json(&format!("why {reference}"))
    }

    /// Fails unless some root of `why REF` quotes this text.
    #[track_caller]
    pub fn expect_root(&self, reference: &str, text: &str) {
        let why = self.why(reference);
        let roots = roots(&why);
        let quotes = |root: &Value| {
            let reason = root["reason"]["text"].as_str().unwrap_or_default();
            let evidence = root["evidence"].as_str().unwrap_or_default();
            reason.contains(text) || evidence.contains(text)
        };
        assert!(
            roots.iter().any(quotes),
            "no root of `why {reference}` says \"{text}\": {why:#}"
        );
    }

    /// Fails unless this rule decided so about `REF`, and says what it saw.
    #[track_caller]
    pub fn expect_decision(&self, reference: &str, rule: &str, code: &str) -> Value {
        let decisions = self.decisions(reference);
        let Some(decision) = decided(&decisions, rule, code) else {
            panic!("{rule} did not decide {code} about {reference}: {decisions:#?}");
        };
        let saw = decision["saw"].as_array().map_or(0, Vec::len);
        assert!(saw > 0, "a decision says what it saw: {decision:#}");
        decision.clone()
    }

    #[track_caller]
    pub fn incarnation(&self, reference: &str) -> u64 {
        let instance = self.instance(reference);
        instance
            .as_ref()
            .and_then(|instance| instance["incarnation"].as_u64())
            .unwrap_or_else(|| panic!("{reference} has no incarnation: {instance:#?}"))
    }

    /// Waits until a later incarnation than this one runs.
    pub fn until_restarted(&self, reference: &str, before: u64) -> Value {
        let found = crate::until(
            &format!("{reference} runs in a later incarnation than {before}"),
            || self.instance(reference),
            |instance| {
                instance.as_ref().is_some_and(|instance| {
                    instance["state"] == "Running"
                        && instance["incarnation"].as_u64() > Some(before)
                })
            },
        );
        found.expect("the condition holds for something only")
    }

    /// Waits until a start that keeps failing has been decided about again.
    pub fn until_restarted_or_waiting(&self, reference: &str) {
        crate::until(
            &format!("{reference} was started again or waits for it"),
            || self.instance(reference),
            |instance| {
                instance.as_ref().is_some_and(|instance| {
                    instance["state"] == "Backoff" || instance["incarnation"].as_u64() > Some(1)
                })
            },
        );
    }

    /// Greets, and returns the instance's own count.
    #[track_caller]
    pub fn greet(&self, reference: &str) -> u64 {
        let answer = self.json(&format!("call {reference} greet '{{\"name\":\"Ada\"}}'"));
        answer["answer"]["count"]
            .as_u64()
            .unwrap_or_else(|| panic!("{reference} said no count: {answer:#}"))
    }

    pub fn state(&self, reference: &str) -> String {
        self.instance(reference)
            .and_then(|instance| instance["state"].as_str().map(str::to_owned))
            .unwrap_or_else(|| "(none)".to_owned())
    }
}
