//! Lists of one kind, in pages, filtered; and one resource of any kind.

use mainstay_protocol::code;
use mainstay_resource_graph::{Key, Kind, StationState, Vertex, ViewExt};
use serde::Serialize;
use serde_json::Value;

use super::{Present, find};
use crate::problem::Problem;
use crate::types::{self, Described};

/// What of a list is wanted. Filters that a kind does not have are ignored by it.
#[derive(Debug, Clone, Default)]
pub struct ListQuery {
    pub node: Option<String>,
    pub placement: Option<String>,
    pub service_type: Option<String>,
    pub state: Option<String>,
    /// Of runs.
    pub correlation: Option<String>,
    /// The reference the last page ended with.
    pub cursor: Option<String>,
    pub rows_max: usize,
}

#[derive(Debug, Clone)]
pub struct Page {
    pub rows: Vec<Value>,
    /// The cursor of the next page.
    pub next: Option<String>,
}

impl Present<'_> {
    pub fn list(&self, kind: Kind, query: &ListQuery) -> Result<Page, Problem> {
        self.page(self.keys_of(kind, query)?, query, |key| {
            let row = self.may_match(key, query).then(|| self.value(key));
            row.flatten().filter(|row| matches(row, query))
        })
    }

    /// Of keys in their order, the rows of those that have one.
    pub(super) fn page(
        &self,
        keys: Vec<Key>,
        query: &ListQuery,
        row: impl Fn(&Key) -> Option<Value>,
    ) -> Result<Page, Problem> {
        let after = query.cursor.as_deref().map(find::parse).transpose()?;
        let mut rows = Vec::new();
        let mut last = None;
        for key in keys {
            if after.as_ref().is_some_and(|after| key <= *after) {
                continue;
            }
            if rows.len() >= query.rows_max {
                return Ok(Page {
                    rows,
                    next: last.map(|key: Key| key.to_string()),
                });
            }
            // What vanished between the list of keys and this read is not there.
            if let Some(row) = row(&key) {
                rows.push(row);
                last = Some(key);
            }
        }
        Ok(Page { rows, next: None })
    }

    /// One resource by its reference.
    pub fn describe(&self, reference: &str) -> Result<Described, Problem> {
        let key = self.find(reference)?;
        let value = self.value(&key).ok_or_else(|| {
            let why = format!("{} is not shown", key.kind().with_article());
            Problem::new(code::UNKNOWN_KIND, format!("show {key}"), why)
        })?;
        Ok(Described {
            kind: key.kind().as_str().to_owned(),
            reference: key.to_string(),
            value,
        })
    }

    /// What the list of its kind shows of it.
    pub fn value(&self, key: &Key) -> Option<Value> {
        match key {
            Key::Node(name) => to_value(self.node(name)?),
            Key::Station(id) => to_value(self.station(*id)?),
            Key::Type(name) => to_value(self.service_type(name)?),
            Key::Placement(name) => to_value(self.placement(name)?),
            Key::Instance(key) => to_value(self.instance(key)?),
            Key::Name(key) => to_value(self.name(key)?),
            Key::Supervisor(node) => to_value(self.supervisor(node)?),
            Key::Configuration(hash) => to_value(self.configuration(hash)?),
            Key::Parked(id) => to_value(self.parked(id)?),
            Key::Resource(key) => to_value(self.resource(key)?),
            Key::Asked(id) => to_value(self.asked(*id)?),
            Key::Procedure(id) => to_value(self.procedure(id)?),
            Key::Collected(id) => to_value(self.collected(*id)?),
            Key::Token(id) => to_value(self.token(id)?),
            Key::Identity(bearer) => to_value(self.identity(bearer)?),
            Key::Secret(name) => to_value(self.secret(name)?),
            Key::Cluster => self.cluster_value(),
            // Definitions are shown one at a time: a page of them would not fit.
            Key::Orchestration(name) => to_value(types::Orchestration {
                definition: None,
                ..self.orchestration(name)?
            }),
            Key::Activity(name) => to_value(types::Activity {
                definition: None,
                ..self.activity(name)?
            }),
            Key::Run(id) => to_value(self.run(id)?),
            Key::Step(key) => to_value(self.step(key)?),
            Key::Service(id) => to_value(types::Service {
                definition: None,
                ..self.service(id)?
            }),
            Key::Artifact(id) => to_value(types::Artifact {
                files: None,
                ..self.artifact(id)?
            }),
            Key::Outbox(_) | Key::Command(_) | Key::Text(_) | Key::Chunk(_) => None,
        }
    }

    /// Of runs there may be hundreds of thousands: a row is made of those alone that are wanted.
    fn may_match(&self, key: &Key, query: &ListQuery) -> bool {
        let record = matches!(key, Key::Run(_)).then(|| self.view.record(key));
        let Some(record) = record.flatten() else {
            return true;
        };
        let Vertex::Run(run) = &record.vertex else {
            return true;
        };
        let state = query.state.as_deref();
        let orchestration = query.service_type.as_deref();
        let correlation = query.correlation.as_deref();
        state.is_none_or(|state| state.eq_ignore_ascii_case(run.state.as_str()))
            && orchestration.is_none_or(|name| name == run.orchestration.as_str())
            && correlation.is_none_or(|text| run.correlation.as_deref() == Some(text))
    }

    fn cluster_value(&self) -> Option<Value> {
        let cluster = self.view.cluster()?;
        to_value(types::Cluster {
            id: cluster.id.to_string(),
            name: cluster.name.to_string(),
            epoch: cluster.epoch.0,
            settings: to_value(&cluster.settings)?,
        })
    }

    /// Instances of one node or placement come from their index.
    fn is_removed(&self, key: &Key) -> bool {
        let Key::Station(id) = key else { return false };
        let station = self.view.station(*id);
        station.is_some_and(|station| station.state == StationState::Removed)
    }

    fn keys_of(&self, kind: Kind, query: &ListQuery) -> Result<Vec<Key>, Problem> {
        if kind == Kind::Station && query.state.is_none() {
            let mut keys = self.view.keys(kind);
            // Kept for its number alone; shown to whoever asks for it.
            keys.retain(|key| !self.is_removed(key));
            return Ok(keys);
        }
        if kind != Kind::Instance {
            return Ok(self.view.keys(kind));
        }
        let bad = |bad: mainstay_protocol::BadName| {
            Problem::new(code::BAD_REQUEST, "list instances", bad.to_string())
        };
        let found = match (&query.node, &query.placement) {
            (Some(node), _) => self.view.instances_on(&node.parse().map_err(bad)?),
            (None, Some(placement)) => self.view.instances_of(&placement.parse().map_err(bad)?),
            (None, None) => return Ok(self.view.keys(kind)),
        };
        Ok(found.into_iter().map(Key::Instance).collect())
    }
}

fn matches(row: &Value, query: &ListQuery) -> bool {
    let wanted = [
        ("node", &query.node),
        ("placement", &query.placement),
        ("type", &query.service_type),
        ("state", &query.state),
    ];
    wanted
        .iter()
        .all(|(key, wanted)| match (wanted, row.get(key)) {
            (Some(wanted), Some(Value::String(found))) if *key == "state" => {
                wanted.eq_ignore_ascii_case(found)
            }
            (Some(wanted), Some(Value::String(found))) => wanted == found,
            // It has none of this.
            (Some(_), Some(Value::Null)) => false,
            _ => true,
        })
}

fn to_value(value: impl Serialize) -> Option<Value> {
    serde_json::to_value(value).ok()
}

#[cfg(test)]
mod tests {
    use mainstay_resource_graph::Kind;

    use super::*;
    use crate::present::find::KINDS;
    use crate::present::sample::Sample;

    #[test]
    fn pages_follow_each_other_without_gap_or_repeat() {
        let sample = Sample::new();
        let mut query = ListQuery {
            rows_max: 1,
            ..ListQuery::default()
        };
        let mut seen = Vec::new();
        loop {
            let page = sample.present().list(Kind::Instance, &query).unwrap();
            seen.extend(
                page.rows
                    .iter()
                    .map(|row| row["ref"].as_str().unwrap_or_default().to_owned()),
            );
            let Some(next) = page.next else { break };
            query.cursor = Some(next);
        }
        assert_eq!(seen, ["rival@n1", "web@n1"]);
    }

    #[test]
    fn a_filter_keeps_what_it_says() {
        let sample = Sample::new();
        let query = ListQuery {
            state: Some("blocked".to_owned()),
            node: Some("n1".to_owned()),
            rows_max: 10,
            ..ListQuery::default()
        };
        let page = sample.present().list(Kind::Instance, &query).unwrap();
        assert_eq!(page.rows.len(), 1);
        assert_eq!(page.rows[0]["ref"], "rival@n1");
    }

    #[test]
    fn every_kind_can_be_listed_and_described() {
        let sample = Sample::new();
        let query = ListQuery {
            rows_max: 10,
            ..ListQuery::default()
        };
        for kind in KINDS {
            let page = sample.present().list(kind, &query).unwrap();
            assert!(!page.rows.is_empty(), "{kind:?}");
            let key = &sample.view().keys(kind)[0];
            let described = sample.present().describe(&key.to_string()).unwrap();
            assert_eq!(described.value, page.rows[0]);
        }
        assert!(sample.present().describe("cluster").unwrap().value["name"].is_string());
    }
}
