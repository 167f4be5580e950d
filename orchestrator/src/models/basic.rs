//! One container or command: a workflow of one task, handed to the workflow provider.

use std::collections::BTreeMap;

use mainstay_protocol::Json;

use crate::fault::{Found, Pointer};
use crate::models::resources::{self, RESOURCES};
use crate::models::{
    ArgoWorkflow, Description, ModelProvider, NotOrdered, Planner, Purpose, needed_text, strings,
};
use crate::parameter::Parameter;
use crate::reader::Reader;

#[derive(Debug, Clone, Copy)]
pub struct Basic;

/// What the one template of its workflow is called.
const MAIN: &str = "main";

impl ModelProvider for Basic {
    fn schema(&self) -> &str {
        "urn:ivcap:schema:service.basic.1"
    }

    fn purpose(&self) -> Purpose<'_> {
        Purpose::Ordered(self)
    }

    fn check(&self, controller: &Json, parameters: &[Parameter], found: &mut Found) {
        let at = Pointer::root().key("controller");
        let Some(mut reader) = Reader::new(at.clone(), controller, found) else {
            return;
        };
        reader.take("$schema");
        needed_text(&mut reader, "image");
        strings(&mut reader, "command");
        strings(&mut reader, "args");
        let resources = RESOURCES.map(|key| reader.object(key).map(|value| (key, value)));
        reader.others();
        for (key, value) in resources.into_iter().flatten() {
            resources::amount(&at.key(key), &value, found);
        }
        if found.faults.is_empty() {
            ArgoWorkflow.check(&workflow(controller, parameters), parameters, found);
        }
    }
}

impl Planner for Basic {
    fn plan(
        &self,
        description: &Description,
        values: &BTreeMap<String, Json>,
    ) -> Result<Json, NotOrdered> {
        let controller = workflow(&description.controller, &description.parameters);
        let description = Description {
            controller,
            ..description.clone()
        };
        ArgoWorkflow.plan(&description, values)
    }
}

/// The workflow that somebody would write by hand for it. Every parameter of the order is one of its template.
fn workflow(controller: &Json, parameters: &[Parameter]) -> Json {
    let mut container = controller.members();
    container.remove("$schema");
    let resources = RESOURCES.map(|key| Some((key, container.remove(key)?)));
    let resources: Vec<(&str, Json)> = resources.into_iter().flatten().collect();
    if !resources.is_empty() {
        container.insert("resources".to_owned(), Json::of(&resources));
    }
    // One that an order may leave out, and that has no default, cannot stand in it.
    let inputs = parameters.iter();
    let inputs = inputs.filter(|one| !one.optional || one.default.is_some());
    let inputs: Vec<Json> = inputs
        .map(|one| Json::of(&[("name", Json::text(&one.name))]))
        .collect();
    let template = Json::of(&[
        ("name", Json::text(MAIN)),
        ("inputs", Json::of(&[("parameters", Json::array(&inputs))])),
        ("container", Json::object(&container)),
    ]);
    Json::of(&[
        ("$schema", Json::text(ArgoWorkflow.schema())),
        ("entrypoint", Json::text(MAIN)),
        ("templates", Json::array(&[template])),
    ])
}
