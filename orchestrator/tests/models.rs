//! Services as they are registered and ordered.
#![allow(clippy::unwrap_used, reason = "the failing line is the explanation")]

use std::collections::BTreeMap;
use std::path::Path;

use mainstay_orchestrator::{
    Basic, Description, Found, ModelProvider, Models, NotOrdered, Parameter, Planner, Purpose,
    TwoForOne, definition, types_of_models,
};
use mainstay_protocol::Json;

fn json(text: &str) -> Json {
    Json::parse(text).unwrap_or_else(|bad| panic!("{bad}: {text}"))
}

fn example(name: &str) -> Json {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/examples");
    json(&std::fs::read_to_string(examples.join(name)).unwrap())
}

fn models() -> Models {
    Models::shipped()
}

fn registered(value: &Json) -> Description {
    let mut found = Found::default();
    let description = models().register(value, &mut found);
    description.unwrap_or_else(|| panic!("{:#?}", found.faults))
}

fn faults(value: &Json) -> Vec<String> {
    let mut found = Found::default();
    assert_eq!(models().register(value, &mut found), None, "it was taken");
    found.faults.iter().map(ToString::to_string).collect()
}

fn ordered(value: &Json, given: &[(&str, &str)]) -> Result<Json, NotOrdered> {
    let given = given.iter();
    let given: Vec<_> = given
        .map(|(name, value)| ((*name).to_owned(), json(value)))
        .collect();
    models()
        .order(&registered(value), &given)
        .map(|(plan, _)| plan)
}

/// A plan is a definition that is taken.
fn taken(plan: &Json) {
    let mut found = Found::default();
    assert!(
        definition(plan, &types_of_models(), &mut found).is_some(),
        "{:#?}",
        found.faults
    );
}

fn service(controller: &str, parameters: &str) -> Json {
    json(&format!(
        r#"{{"$schema":"urn:ivcap:schema:service.2","id":"urn:ivcap:service:1","name":"s","parameters":{parameters},"controller":{controller}}}"#
    ))
}

fn argo(entrypoint: &str, templates: &str) -> String {
    format!(
        r#"{{"$schema":"urn:ivcap:schema:service.argo-wf.1","entrypoint":"{entrypoint}","templates":{templates}}}"#
    )
}

// case: orchestrations 63
#[test]
fn what_is_not_ordered_and_what_nobody_knows_are_told_apart() {
    let hosted = ordered(&example("service-app-server.json"), &[]).unwrap_err();
    assert_eq!(hosted.code(), "controller-not-orderable");
    assert_eq!(
        hosted.to_string(),
        "crewai-ui is not ordered: it hosts a user interface for as long as it is wanted; place it with mainstay apply, or mainstay start"
    );
    let unknown = service(r#"{"$schema":"urn:ivcap:schema:service.foo.9"}"#, "[]");
    let said = faults(&unknown);
    assert!(
        said[0].starts_with("/controller/$schema: nobody knows the model"),
        "{said:?}"
    );
    // One that was registered when somebody knew it.
    let mut before = registered(&example("service-basic.json"));
    before.schema = "urn:ivcap:schema:service.foo.9".to_owned();
    let gone = models().order(&before, &[]).unwrap_err();
    assert_eq!(gone.code(), "controller-unknown");
    let proxy = service(
        r#"{"$schema":"urn:ivcap:schema:service.service-proxy.1"}"#,
        "[]",
    );
    assert_eq!(
        ordered(&proxy, &[]).unwrap_err().code(),
        "controller-not-orderable"
    );
}

/// A model that somebody adds.
struct Own;

impl ModelProvider for Own {
    fn schema(&self) -> &str {
        "urn:example:own.1"
    }
    fn purpose(&self) -> Purpose<'_> {
        Purpose::Ordered(self)
    }
    fn check(&self, _: &Json, _: &[Parameter], _: &mut Found) {}
}

impl Planner for Own {
    fn plan(
        &self,
        _: &Description,
        _: &BTreeMap<String, Json>,
    ) -> Result<Json, Vec<mainstay_orchestrator::Misgiven>> {
        Ok(json(r#"{"own":true}"#))
    }
}

// case: orchestrations 64
#[test]
fn a_provider_is_all_that_a_new_model_takes_and_a_model_has_one() {
    let models = models().with(Own).unwrap();
    let own = service(r#"{"$schema":"urn:example:own.1"}"#, "[]");
    let description = models.register(&own, &mut Found::default()).unwrap();
    assert_eq!(
        models.order(&description, &[]).unwrap().0,
        json(r#"{"own":true}"#)
    );
    let two = "urn:ivcap:schema:service.basic.1".to_owned();
    assert_eq!(Models::shipped().with(Basic).err(), Some(TwoForOne(two)));
}

// case: orchestrations 65
#[test]
fn basic_is_the_workflow_that_somebody_would_write_by_hand() {
    let by_hand = argo(
        "main",
        r#"[{"name":"main","container":{"image":"registry.example/cv_pipeline:1","command":["python","/app/service.py"],
            "resources":{"cpu":{},"memory":{},"ephemeral-storage":{}}}}]"#,
    );
    let mut description = example("service-basic.json").members();
    let plan = ordered(&example("service-basic.json"), &[]).unwrap();
    description.insert("controller".to_owned(), json(&by_hand));
    assert_eq!(ordered(&Json::object(&description), &[]).unwrap(), plan);
    taken(&plan);
}

// case: orchestrations 66
#[test]
fn a_message_is_said_as_it_is_and_not_without_being_given() {
    let two_steps = example("service-argo-wf.json");
    let message = r#""it's {{x}} {{inputs.parameters.message}} \"q\"""#;
    let plan = ordered(&two_steps, &[("message", message)]).unwrap();
    taken(&plan);
    let said = plan
        .at(["input", "task/first-task", "container", "args", "0"])
        .unwrap();
    assert_eq!(
        said.as_text().unwrap(),
        "echo 'it's {{x}} {{inputs.parameters.message}} \"q\"'"
    );
    let second = plan.at(["activities", "1", "dependsOn"]).unwrap();
    assert_eq!(second.as_str(), r#"["first-task"]"#);
    let NotOrdered::Parameters(missing) = ordered(&two_steps, &[]).unwrap_err() else {
        panic!("it was ordered without a message");
    };
    assert_eq!(missing[0].what.code(), "parameter-missing");
    let NotOrdered::Parameters(unknown) =
        ordered(&two_steps, &[("message", "\"\""), ("mesage", "\"\"")]).unwrap_err()
    else {
        panic!("it was ordered with what is not declared");
    };
    assert_eq!(unknown[0].what.code(), "parameter-unknown");
}

// case: orchestrations 67
#[test]
fn a_description_of_before_is_as_its_newer_form() {
    let old = registered(&example("service-basic-v1-legacy.json"));
    let new = registered(&example("service-basic.json"));
    assert_eq!(old.controller, new.controller);
    assert_eq!(old.original, example("service-basic-v1-legacy.json"));
    let spelt = new
        .original
        .to_string()
        .replace("schema:service", "schema.service");
    assert_eq!(registered(&json(&spelt)).schema, new.schema);
    let mut contradicts = new.original.members();
    let other = Json::text("urn:ivcap:schema:service.argo-wf.1");
    contradicts.insert("controller-schema".to_owned(), other);
    let said = faults(&Json::object(&contradicts));
    assert!(said[0].contains("controller-schema says"), "{said:?}");
}

#[test]
fn a_workflow_that_cannot_run_is_refused_with_everything_that_is_wrong() {
    let wrong = argo(
        "man",
        r#"[{"name":"main","dag":{"tasks":[
              {"name":"a","template":"echo","dependencies":["b"]},{"name":"b","template":"ecko","dependencies":["a"]}]}},
            {"name":"echo","inputs":{"parameters":[{"name":"text"}]},"container":{"image":"i","args":["{{inputs.parameters.txt}}"]}},
            {"name":"nothing"}]"#,
    );
    assert_eq!(
        faults(&service(&wrong, "[]")),
        [
            "/controller/templates/2: does nothing: write one of dag, steps, container, script",
            "/controller/entrypoint: there is no template man; main?",
            "/controller/templates/1: unresolved-parameter: inputs.parameters.txt is not declared",
            "/controller/templates/0/dag/tasks/0: unresolved-parameter: echo needs text: give it as an argument, a default, or a parameter of the service",
            "/controller/templates/0/dag/tasks/1/template: there is no template ecko; echo?",
            "/controller/templates/0: its tasks wait for each other: a -> b -> a",
        ]
    );
    let own = argo(
        "a",
        r#"[{"name":"a","steps":[[{"name":"s","template":"a"}]]}]"#,
    );
    assert_eq!(
        faults(&service(&own, "[]")),
        ["/controller/templates: its templates are made of each other: a -> a"]
    );
}

#[test]
fn a_step_that_is_none_is_told() {
    let wrong = argo("a", r#"[{"name":"a","steps":["b"]}]"#);
    assert_eq!(
        faults(&service(&wrong, "[]")),
        ["/controller/templates/0/steps/0: write a step, or an array of steps; it is a string"]
    );
}

#[test]
fn outputs_of_tasks_come_from_their_activities_and_templates_may_be_nested() {
    let nested = argo(
        "main",
        r#"[{"name":"main","steps":[[{"name":"make","template":"make"}],[{"name":"inner","template":"inner",
               "arguments":{"parameters":[{"name":"id","value":"x-{{steps.make.outputs.parameters.id}}"}]}}],
               [{"name":"last","template":"make"}]]},
            {"name":"inner","inputs":{"parameters":[{"name":"id"}]},"dag":{"tasks":[
               {"name":"use","template":"use","arguments":{"parameters":[{"name":"id","value":"{{inputs.parameters.id}}!"}]}},
               {"name":"too","template":"make"}]}},
            {"name":"make","script":{"image":"i","source":"s"},"outputs":{"parameters":[{"name":"id","valueFrom":{"path":"/tmp/id","default":"0"}}]}},
            {"name":"use","inputs":{"parameters":[{"name":"id"},{"name":"mode","value":"fast"}]},
               "container":{"image":"i","args":["{{inputs.parameters.mode}} {{inputs.parameters.id}}"]}}]"#,
    );
    let plan = ordered(&service(&nested, "[]"), &[]).unwrap();
    taken(&plan);
    let activities: BTreeMap<String, Json> = plan
        .member("activities")
        .unwrap()
        .items()
        .into_iter()
        .map(|one| (one.member("id").unwrap().as_text().unwrap(), one))
        .collect();
    let on = |id: &str| activities[id].member("dependsOn").unwrap().to_string();
    assert_eq!(on("inner.use"), r#"["make"]"#);
    assert_eq!(on("inner.too"), r#"["make"]"#);
    assert_eq!(on("last"), r#"["inner.too","inner.use"]"#);
    let args = plan.at(["input", "task/inner.use", "container", "args", "0", "parts"]);
    assert_eq!(
        args.unwrap().as_str(),
        r#"["fast x-",{"input":"output0"},"!"]"#
    );
    assert_eq!(
        activities["inner.use"].member("inputs").unwrap().as_str(),
        r#"[{"source":"task/inner.use","target":"task"},{"source":"make.parameters.id","target":"output0"}]"#
    );
}
