//! Service types, as the code that has them declares them.

use mainstay_protocol::TypeName;
use mainstay_protocol::report::RestartWhen;
use mainstay_resource_graph::{Key, Relation, Vertex};

use super::{Present, json};
use crate::types;

impl Present<'_> {
    pub fn service_type(&self, name: &TypeName) -> Option<types::ServiceType> {
        let key = Key::Type(name.clone());
        let record = self.record(&key)?;
        let Vertex::Type(service_type) = &record.vertex else {
            return None;
        };
        let declaration = &service_type.declaration;
        let mut nodes: Vec<String> = self
            .view
            .edges_to(&key, Relation::Provides)
            .into_iter()
            .filter_map(|edge| match edge.from {
                Key::Node(node) => Some(node.to_string()),
                _ => None,
            })
            .collect();
        nodes.sort_unstable();
        Some(types::ServiceType {
            name: name.to_string(),
            version: declaration.version.clone(),
            holds: declaration.holds.as_ref().map(ToString::to_string),
            nodes,
            restart: match declaration.restart {
                RestartWhen::Always => "always",
                RestartWhen::OnFailure => "on-failure",
                RestartWhen::Never => "never",
            }
            .to_owned(),
            start_deadline_ms: declaration.start_deadline_ms,
            stop_deadline_ms: declaration.stop_deadline_ms,
            may_use: declaration.may_use.clone(),
            in_place: declaration.in_place,
            messages: declaration
                .messages
                .iter()
                .map(|message| types::MessageType {
                    name: message.name.clone(),
                    schema: json(&message.schema),
                })
                .collect(),
            schema: json(&declaration.schema),
        })
    }
}

#[cfg(test)]
mod tests {
    use mainstay_protocol::TypeName;

    use crate::present::sample::Sample;

    #[test]
    fn a_type_lists_its_messages_and_the_nodes_that_have_it() {
        let sample = Sample::new();
        let name = TypeName::new("greeter").unwrap();
        let shown = sample.present().service_type(&name).unwrap();
        assert_eq!(shown.nodes, ["n1"]);
        assert_eq!(shown.messages[0].name, "greet");
        assert_eq!(shown.restart, "on-failure");
    }
}
