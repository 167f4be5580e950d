//! Services as they are registered and ordered.
#![allow(clippy::unwrap_used, reason = "the failing line is the explanation")]

use std::collections::BTreeMap;
use std::path::Path;

use mainstay_orchestrator::{
    Basic, Description, Found, ModelProvider, Models, NotOrdered, Parameter, Planner, Pointer,
    Purpose, TwoForOne, definition, types_of_models,
};
use mainstay_protocol::Json;
use proptest::prelude::*;

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
    let description = models().read(value, &mut found);
    assert!(found.faults.is_empty(), "{:#?}", found.faults);
    description.unwrap()
}

fn faults(value: &Json) -> Vec<String> {
    let mut found = Found::default();
    if let Some(description) = models().read(value, &mut found)
        && found.faults.is_empty()
    {
        let at = Pointer::root().key("controller");
        match models().rehearsed(&description).expect("it is ordered") {
            Err(not) => found.fault(&at, not.to_string()),
            Ok(plan) => {
                definition(&plan, &types_of_models(), &mut found);
            }
        }
    }
    assert!(!found.faults.is_empty(), "it was taken");
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
    assert!(
        matches!(hosted, NotOrdered::NotOrderable { .. }),
        "{hosted}"
    );
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
    assert!(
        matches!(gone, NotOrdered::ControllerUnknown { .. }),
        "{gone}"
    );
    let proxy = service(
        r#"{"$schema":"urn:ivcap:schema:service.service-proxy.1"}"#,
        "[]",
    );
    let proxy = ordered(&proxy, &[]).unwrap_err();
    assert!(matches!(proxy, NotOrdered::NotOrderable { .. }), "{proxy}");
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
    fn plan(&self, _: &Description, _: &BTreeMap<String, Json>) -> Result<Json, NotOrdered> {
        Ok(json(r#"{"own":true}"#))
    }
}

// case: orchestrations 64
#[test]
fn a_provider_is_all_that_a_new_model_takes_and_a_model_has_one() {
    let models = models().with(Own).unwrap();
    let own = service(r#"{"$schema":"urn:example:own.1"}"#, "[]");
    let description = models.read(&own, &mut Found::default()).unwrap();
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

/// Templates, each with two tasks of the next one.
fn doubling(levels: usize, argument: &str) -> String {
    let mut all = Vec::new();
    for level in 0..levels {
        let task = |name: &str| {
            format!(
                r#"{{"name":"{name}","template":"t{}","arguments":{{"parameters":[{{"name":"x","value":"{argument}"}}]}}}}"#,
                level + 1
            )
        };
        all.push(format!(
            r#"{{"name":"t{level}","inputs":{{"parameters":[{{"name":"x"}}]}},"dag":{{"tasks":[{}]}}}}"#,
            match argument.len() < 40 {
                true => [task("a"), task("b")].join(","),
                false => task("a"),
            }
        ));
    }
    all.push(format!(
        r#"{{"name":"t{levels}","inputs":{{"parameters":[{{"name":"x"}}]}},"container":{{"image":"i","args":["{{{{inputs.parameters.x}}}}"]}}}}"#
    ));
    argo("t0", &format!("[{}]", all.join(",")))
}

#[test]
fn what_would_grow_without_end_is_refused_before_it_does() {
    let parameters = r#"[{"name":"x","type":"string"}]"#;
    let once = "{{inputs.parameters.x}}";
    let wide = service(&doubling(60, once), parameters);
    assert_eq!(
        faults(&wide),
        ["/controller/entrypoint: becomes more than 2000 activities"]
    );
    let deep = service(
        &doubling(80, &format!("{once}{}", " ".repeat(40))),
        parameters,
    );
    assert!(
        faults(&deep)[0].contains("more than 128 bytes"),
        "{:?}",
        faults(&deep)
    );
    // As many levels as a description holds: nothing is followed so far.
    let deepest = service(
        &doubling(1_500, &format!("{once}{}", " ".repeat(40))),
        parameters,
    );
    assert!(faults(&deepest)[0].contains("more than 128 bytes"));
    // Nothing is odd about each of its templates: a value stands in the next one twice.
    let doubled = service(&doubling(40, &once.repeat(2)), parameters);
    assert_eq!(
        ordered(&doubled, &[("x", "\"a\"")]),
        Err(NotOrdered::TooLarge)
    );
    assert!(
        faults(&doubled)[0].contains("too large"),
        "{:?}",
        faults(&doubled)
    );
}

#[test]
fn as_many_references_as_fit_are_taken() {
    let tasks: Vec<String> = (0..1_500)
        .map(|place| {
            let before = match place {
                0 => String::new(),
                place => format!(r#""t{}""#, place - 1),
            };
            let said = "{{tasks.t0.outputs.result}}".repeat(if place == 1_499 { 2_000 } else { 1 });
            let arguments = match place {
                0 => String::new(),
                _ => format!(r#","arguments":{{"parameters":[{{"name":"x","value":"{said}"}}]}}"#),
            };
            format!(
                r#"{{"name":"t{place}","template":"say","dependencies":[{before}]{arguments}}}"#
            )
        })
        .collect();
    let chain = argo(
        "main",
        &format!(
            r#"[{{"name":"main","dag":{{"tasks":[{}]}}}},{{"name":"say","inputs":{{"parameters":[{{"name":"x","value":"-"}}]}},"container":{{"image":"i"}}}}]"#,
            tasks.join(",")
        ),
    );
    let chain = service(&chain, "[]");
    let plan = ordered(&chain, &[]).unwrap();
    assert_eq!(plan.member("activities").unwrap().items().len(), 1_500);
}

#[test]
fn references_that_would_stay_as_text_are_refused_and_defaults_are_filled() {
    let of = |default: &str, argument: &str| {
        service(
            &argo(
                "main",
                &format!(
                    r#"[{{"name":"main","inputs":{{"parameters":[{{"name":"a","value":"{default}"}}]}},"container":{{"image":"i","args":["{argument}"]}}}}]"#
                ),
            ),
            r#"[{"name":"y","type":"string"}]"#,
        )
    };
    let filled = of(
        "<{{workflow.parameters.y}}>",
        "{{inputs.parameters.a}} {{.Names}}",
    );
    let plan = ordered(&filled, &[("y", "\"{{inputs.parameters.a}}\"")]).unwrap();
    let said = plan.at(["input", "task/main", "container", "args", "0"]);
    assert_eq!(
        said.unwrap().as_text().unwrap(),
        "<{{inputs.parameters.a}}> {{.Names}}"
    );
    for (default, argument) in [
        ("x", "{{inputs.paramters.a}}"),
        ("x", "{{inputs.parameters.a.b}}"),
        ("{{workflow.parameters.z}}", "x"),
        ("{{inputs.parameters.a}}", "x"),
    ] {
        let said = faults(&of(default, argument));
        assert!(said[0].contains("unresolved-parameter"), "{said:?}");
    }
}

#[test]
fn what_only_shows_as_it_would_run_is_found_when_it_is_registered() {
    let spaced = argo(
        "my template",
        r#"[{"name":"my template","container":{"image":"i"}}]"#,
    );
    assert!(faults(&service(&spaced, "[]"))[0].contains("no name"));
    let pointed = argo(
        "m",
        r#"[{"name":"m","dag":{"tasks":[{"name":"a.b","template":"t"}]}},{"name":"t","container":{"image":"i"}}]"#,
    );
    assert!(faults(&service(&pointed, "[]"))[0].contains("has a point in it"));
    let one = r#"{"$schema":"urn:ivcap:schema:service.basic.1","image":"i","args":["{{inputs.parameters.o}}"]}"#;
    let defaulted = r#"[{"name":"o","type":"int","optional":true,"default":7}]"#;
    let plan = ordered(&service(one, defaulted), &[]).unwrap();
    let said = plan.at(["input", "task/main", "container", "args", "0"]);
    assert_eq!(said.unwrap().as_text().as_deref(), Some("7"));
    let left_out = r#"[{"name":"o","type":"int","optional":true}]"#;
    assert!(faults(&service(one, left_out))[0].contains("unresolved-parameter"));
}

proptest! {
    // acceptance: issue 6, line 4
    /// Whatever the value: around it everything stays, and it is there once, as it was given.
    #[test]
    fn no_value_changes_what_stands_around_it(value in any::<String>()) {
        let given = Json::text(&value).to_string();
        let plan = ordered(&example("service-argo-wf.json"), &[("message", &given)]).unwrap();
        let args = plan.at(["input", "task/first-task", "container", "args"]).unwrap();
        let items = args.items();
        prop_assert_eq!(items.len(), 1);
        prop_assert_eq!(items[0].as_text().unwrap(), format!("echo '{value}'"));
        prop_assert_eq!(Json::parse(plan.as_str()).unwrap(), plan);
    }
}
