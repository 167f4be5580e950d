//! Definitions as people write them, and everything that can be wrong with them.

mod seeded;

use std::path::Path;

use mainstay_orchestrator::{
    ActivityType, Dag, Definition, Found, Known, OnFatal, Source, definition, mapped,
};
use mainstay_protocol::{Json, WorkName};
use proptest::prelude::*;
use seeded::config;

fn json(text: &str) -> Json {
    Json::parse(text).unwrap_or_else(|bad| panic!("{bad}: {text}"))
}

fn known(types: &[&str]) -> Known {
    let read = |text: &&str| {
        let mut found = Found::default();
        let read = ActivityType::read(&json(text), &mut found);
        read.unwrap_or_else(|| panic!("{:?}", found.faults))
    };
    let types = types.iter().map(read);
    types.map(|of| (of.name.clone(), of)).collect()
}

/// Types that say nothing of what they take and give.
fn open(names: &[&str]) -> Known {
    let texts = names
        .iter()
        .map(|name| format!(r#"{{"type":"{name}","provider":"p"}}"#));
    let texts: Vec<String> = texts.collect();
    known(&texts.iter().map(String::as_str).collect::<Vec<_>>())
}

fn judged(text: &str, known: &Known) -> (Option<Definition>, Found) {
    let mut found = Found::default();
    let read = definition(&json(text), known, &mut found);
    (read, found)
}

fn taken(text: &str, known: &Known) -> Definition {
    let (read, found) = judged(text, known);
    read.unwrap_or_else(|| panic!("{:#?}", found.faults))
}

fn faults(text: &str, known: &Known) -> Vec<String> {
    let (read, found) = judged(text, known);
    assert_eq!(read, None, "it was taken");
    found.faults.iter().map(ToString::to_string).collect()
}

fn warnings(text: &str, known: &Known) -> Vec<String> {
    let (read, found) = judged(text, known);
    assert!(read.is_some(), "{:#?}", found.faults);
    found.warnings.iter().map(ToString::to_string).collect()
}

fn of(activities: &str) -> String {
    format!(r#"{{"type":"t","activities":{activities}}}"#)
}

fn example(name: &str) -> String {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/examples");
    std::fs::read_to_string(examples.join(name)).expect("an example of this test")
}

// case: orchestrations 1
#[test]
fn a_bare_dependency_is_read_back_as_an_array_of_one() {
    let types = open(&["activity1.example.com", "activity2.example.com"]);
    let read = taken(&example("orchestration-tenant.json"), &types).write();
    let second = read.at(["activities", "1"]).unwrap();
    assert_eq!(
        second.member("dependsOn").unwrap().as_str(),
        r#"["activity1"]"#
    );
    assert_eq!(
        second.member("inputs").unwrap().as_str(),
        r#"[{"source":"activity1.resource","target":"resourceId"}]"#
    );
}

#[test]
fn the_examples_are_taken() {
    taken(&example("orchestration-test-deploy.json"), &open(&["test"]));
    let mut found = Found::default();
    let activity = json(&example("activity-definition.json"));
    assert!(
        ActivityType::read(&activity, &mut found).is_some(),
        "{found:?}"
    );
    let entry = example("activity-with-modules.json");
    let types = open(&["cnapi.wait_on_vm_ticket"]);
    let written = taken(&of(&format!("[{entry}]")), &types).write();
    let modules = written.at(["activities", "0", "modules_plus", "sdcClients", "ver"]);
    assert_eq!(modules.unwrap().as_str(), "\"9.0.3\"");
}

// case: orchestrations 2
#[test]
fn every_unknown_type_is_named_with_the_nearest() {
    let said = faults(
        &of(r#"[{"id":"x","type":"deploi"},{"id":"y","type":"zzz"}]"#),
        &open(&["deploy"]),
    );
    assert_eq!(
        said,
        [
            "/activities/0/type: there is no activity type deploi; deploy?",
            "/activities/1/type: there is no activity type zzz",
        ]
    );
}

// case: orchestrations 3
#[test]
fn an_absent_dependency_is_pointed_to_where_it_is_written() {
    let types = open(&["a"]);
    let alone = r#"[{"id":"first","type":"a"},{"id":"x","type":"a","dependsOn":"frist"}]"#;
    assert_eq!(
        faults(&of(alone), &types),
        ["/activities/1/dependsOn: there is no activity frist; first?"]
    );
    let among =
        r#"[{"id":"first","type":"a"},{"id":"x","type":"a","dependsOn":["first","first","no"]}]"#;
    assert_eq!(
        faults(&of(among), &types),
        ["/activities/1/dependsOn/2: there is no activity no"]
    );
}

// case: orchestrations 4
#[test]
fn a_circle_is_told_in_order_with_the_first_once_more() {
    let types = open(&["a"]);
    let circle = r#"[{"id":"w","type":"a","dependsOn":"x"},{"id":"x","type":"a","dependsOn":"y"},
        {"id":"y","type":"a","dependsOn":["z"]},{"id":"z","type":"a","dependsOn":"x"}]"#;
    assert_eq!(
        faults(&of(circle), &types),
        ["/activities/1/dependsOn: they wait for each other: x -> y -> z -> x"]
    );
    let own = r#"[{"id":"x","type":"a","dependsOn":"x"}]"#;
    assert_eq!(
        faults(&of(own), &types),
        ["/activities/0/dependsOn: they wait for each other: x -> x"]
    );
}

// case: orchestrations 5, 6
#[test]
fn ids_are_of_one_and_there_is_one_at_least() {
    let types = open(&["a"]);
    assert_eq!(
        faults(
            &of(r#"[{"id":"x","type":"a"},{"id":"x","type":"a"}]"#),
            &types
        ),
        ["/activities/1/id: x is the id of /activities/0 as well"]
    );
    for none in ["[]", r#"{"deploy":[]}"#, "{}"] {
        let said = faults(&of(none), &types);
        assert!(
            said[0].contains("there is no activity; write one at least"),
            "{said:?}"
        );
    }
    assert_eq!(
        faults(r#"{"type":"t"}"#, &types),
        ["/activities: is missing"]
    );
}

// case: orchestrations 8
#[test]
fn inputs_are_strings_or_pairs_and_nothing_else() {
    let types = open(&["a"]);
    let mixed = r#"[{"id":"x","type":"a","inputs":["cell",{"source":"base","target":"url"}]}]"#;
    let written = taken(&of(mixed), &types).write();
    assert_eq!(
        written.at(["activities", "0", "inputs"]).unwrap().as_str(),
        r#"[{"source":"cell","target":"cell"},{"source":"base","target":"url"}]"#
    );
    let wrong = r#"[{"id":"x","type":"a","inputs":[1,[],{"source":"s"},""]}]"#;
    assert_eq!(
        faults(&of(wrong), &types),
        [
            "/activities/0/inputs/0: write a string, or an object with source and target; it is a number",
            "/activities/0/inputs/1: write a string, or an object with source and target; it is an array",
            "/activities/0/inputs/2/target: is missing",
            "/activities/0/inputs/3: a source and a target have a name",
        ]
    );
}

// case: orchestrations 9
#[test]
fn nothing_is_read_from_what_may_not_be_complete() {
    let types = open(&["a"]);
    let sibling = r#"[{"id":"x","type":"a"},{"id":"y","type":"a","inputs":["x.out"]}]"#;
    assert_eq!(
        faults(&of(sibling), &types),
        [
            "/activities/1/inputs/0: x is not an ancestor, so it may not be complete then: add it to dependsOn"
        ]
    );
    let further = r#"[{"id":"x","type":"a"},{"id":"y","type":"a","dependsOn":"x"},
        {"id":"z","type":"a","dependsOn":"y","inputs":["x.out"]}]"#;
    taken(&of(further), &types);
}

const GIVES: &str = r#"{"type":"gives","provider":"p","outputSchema":{"openAPIV3Schema":
    {"properties":{"f":{"type":"string"},"n":{"type":"integer"}}}}}"#;
const TAKES: &str = r#"{"type":"takes","provider":"p","inputSchema":
    {"properties":{"f":{"type":"integer"},"n":{"type":"number"},"maybe":{}},"required":["n"]}}"#;

// case: orchestrations 10
#[test]
fn declared_types_agree_and_what_is_optional_may_be_absent() {
    let types = known(&[GIVES, TAKES]);
    let with = |inputs: &str| {
        of(&format!(
            r#"[{{"id":"b","type":"gives"}},{{"id":"c","type":"takes","dependsOn":"b","inputs":{inputs}}}]"#
        ))
    };
    assert_eq!(
        faults(
            &with(r#"[{"source":"b.f","target":"f"},{"source":"b.n","target":"n"}]"#),
            &types
        ),
        ["/activities/1/inputs/0: f of b is string, and f is to be integer"]
    );
    let optional = with(r#"[{"source":"b.gone","target":"maybe"},{"source":"b.n","target":"n"}]"#);
    assert_eq!(
        warnings(&optional, &types),
        ["/activities/1/inputs/0: there is no gone of b"]
    );
    assert_eq!(
        faults(&with(r#"[{"source":"b.gone","target":"n"}]"#), &types),
        ["/activities/1/inputs/0: there is no gone of b"]
    );
    assert_eq!(
        faults(&with("[]"), &types),
        ["/activities/1/inputs: takes needs n, and nothing is mapped to it"]
    );
}

// case: orchestrations 11
#[test]
fn a_bare_name_that_two_put_out_is_ambiguous() {
    let types = known(&[GIVES, r#"{"type":"any","provider":"p"}"#]);
    let with = |source: &str| {
        of(&format!(
            r#"[{{"id":"a","type":"gives"}},{{"id":"b","type":"gives"}},
            {{"id":"c","type":"any","dependsOn":["a","b"],"inputs":["{source}"]}}]"#
        ))
    };
    assert_eq!(
        faults(&with("f"), &types),
        ["/activities/2/inputs/0: f is ambiguous: write a.f or b.f"]
    );
    taken(&with("b.f"), &types);
    let one =
        r#"[{"id":"a","type":"gives"},{"id":"c","type":"any","dependsOn":"a","inputs":["f"]}]"#;
    assert_eq!(
        taken(&of(one), &types)
            .write()
            .at(["activities", "1", "inputs", "0"])
            .unwrap()
            .as_str(),
        r#"{"source":"a.f","target":"f"}"#
    );
}

#[test]
fn an_input_that_the_runs_schema_does_not_have_is_refused() {
    let types = open(&["a"]);
    let with = |rest: &str| {
        format!(
            r#"{{"type":"t","schema":{{"properties":{{"cell":{{}}}}}}{rest},"activities":[{{"id":"x","type":"a","inputs":["cll"]}}]}}"#
        )
    };
    assert_eq!(
        faults(&with(""), &types),
        ["/activities/0/inputs/0: there is no the input cll"]
    );
    taken(&with(r#","input":{"cll":1}"#), &types);
}

#[test]
fn a_reading_that_may_surprise_is_told() {
    let types = open(&["a"]);
    let dotted = r#"{"type":"t","schema":{"properties":{"x.out":{}}},
        "activities":[{"id":"x","type":"a"},{"id":"y","type":"a","dependsOn":"x","inputs":["x.out"]}]}"#;
    assert_eq!(
        warnings(dotted, &types),
        ["/activities/1/inputs/0: it is read as out of x, not as the input x.out"]
    );
    let nothing_undoes =
        r#"{"type":"t","onFatal":"compensate","activities":[{"id":"x","type":"a"}]}"#;
    assert_eq!(
        warnings(nothing_undoes, &types),
        ["/onFatal: there is no section dispose: a run that fails is left as it is"]
    );
}

#[test]
fn keys_of_a_newer_version_are_kept_and_told() {
    let types = open(&["a"]);
    let newer =
        r#"{"type":"t","futureThing":{"x":1},"activities":[{"id":"x","type":"a","dependOn":"y"}]}"#;
    assert_eq!(
        warnings(newer, &types),
        [
            "/activities/0/dependOn: is not known to this version, and kept as it is; dependsOn?",
            "/futureThing: is not known to this version, and kept as it is",
        ]
    );
    let written = taken(newer, &types).write();
    assert_eq!(written.at(["futureThing", "x"]).unwrap().as_str(), "1");
    assert_eq!(
        written
            .at(["activities", "0", "dependOn"])
            .unwrap()
            .as_str(),
        "\"y\""
    );
}

#[test]
fn sections_are_what_their_activities_do() {
    let types = open(&["a"]);
    let both = r#"{"type":"t","onFatal":"compensate","activities":{
        "deploy":[{"id":"x","type":"a"}],"dispose":[{"id":"x","type":"a","discriminator":"dispose"}]}}"#;
    assert_eq!(taken(both, &types).on_fatal, OnFatal::Compensate);
    let other = of(r#"{"deploy":[{"id":"x","type":"a","discriminator":"dispose"}]}"#);
    assert_eq!(
        faults(&other, &types),
        [
            r#"/activities/deploy/0/discriminator: "dispose" is not its section, "deploy"; leave it out"#
        ]
    );
}

// case: orchestrations 60
#[test]
fn what_undoes_a_run_reads_what_that_one_left_behind_and_nothing_else_does() {
    let types = known(&[GIVES, TAKES]);
    let sections = |reads: &str| {
        of(&format!(
            r#"{{"{reads}":[{{"id":"y","type":"takes","inputs":[{{"source":"x.n","target":"n"}}]}}],"deploy":[{{"id":"x","type":"gives"}}]}}"#
        ))
    };
    let read = taken(&sections("dispose"), &types);
    let activity = &read.activities.section(Some("dispose")).unwrap()[0];
    let given = mapped(&read, Some("dispose"), activity, &types).unwrap();
    let output = Source::Output {
        of: WorkName::new("x").unwrap(),
        path: vec!["n".to_owned()],
    };
    assert_eq!(given[0].source, output);
    let other = taken(&sections("update"), &types);
    let activity = &other.activities.section(Some("update")).unwrap()[0];
    let given = mapped(&other, Some("update"), activity, &types).unwrap();
    assert_eq!(given[0].source, Source::Input("x.n".to_owned()));
}

#[test]
fn what_an_activity_is_given_says_what_it_can_do_without() {
    let types = known(&[GIVES, TAKES]);
    let inputs = r#"[{"source":"b.gone","target":"maybe"},{"source":"b.n","target":"n"}]"#;
    let text = of(&format!(
        r#"[{{"id":"b","type":"gives"}},{{"id":"c","type":"takes","dependsOn":"b","inputs":{inputs}}}]"#
    ));
    let read = taken(&text, &types);
    let activities = read.activities.section(None).unwrap();
    assert_eq!(mapped(&read, None, &activities[0], &types), None);
    let given = mapped(&read, None, &activities[1], &types).unwrap();
    let given: Vec<(&str, bool)> = given
        .iter()
        .map(|one| (one.target.as_str(), one.optional))
        .collect();
    assert_eq!(given, [("maybe", true), ("n", false)]);
}

#[test]
fn a_tier_is_behind_everything_that_it_waits_for() {
    let all = [
        ("d", vec!["b", "c"]),
        ("a", vec![]),
        ("b", vec!["a"]),
        ("c", vec![]),
    ];
    assert_eq!(Dag::named(&all).tiers(), [2, 0, 1, 0]);
}

// acceptance: issue 6, line 3
#[test]
fn ten_faults_are_ten_errors_in_one_answer() {
    let types = known(&[GIVES, TAKES]);
    let ten = r#"{"type":"a b","active":"yes","onFatal":"retry","activities":[
        {"id":"x","type":"gives","dependsOn":"nobody"},
        {"id":"x","type":"gievs"},
        {"id":"y","type":"takes","dependsOn":"x","waitTimeout":"soon","inputs":[{"source":"x.f","target":"f"}, {"source":"x.n","target":"n"}, 7]},
        {"id":"z","type":"gives","retry":{"maxAttempts":0}}]}"#;
    let said = faults(ten, &types);
    let pointers: Vec<&str> = said
        .iter()
        .filter_map(|one| one.split(": ").next())
        .collect();
    assert_eq!(
        pointers,
        [
            "/type",
            "/active",
            "/onFatal",
            "/activities/2/inputs/2",
            "/activities/2/waitTimeout",
            "/activities/3/retry/maxAttempts",
            "/activities/1/id",
            "/activities/0/dependsOn",
            "/activities/1/type",
            "/activities/2/inputs/0",
        ],
        "{said:#?}"
    );
}

const SEEDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/definitions.seeds.txt");

proptest! {
    #![proptest_config(config(SEEDS))]

    /// What is taken reads back as itself; and its text does not change any more.
    #[test]
    fn the_canonical_form_is_stable(
        edges in prop::collection::vec((0usize..8, 0usize..8), 0..16),
        dotted in any::<bool>(),
    ) {
        let types = open(&["a"]);
        let activity = |place: usize| {
            let on: Vec<String> = edges
                .iter()
                .filter(|(from, to)| *from == place && to < from)
                .map(|(_, to)| format!("\"n{to}\""))
                .collect();
            let inputs = match (dotted, on.first()) {
                (true, Some(first)) => format!(r#","inputs":["{}.x"]"#, first.trim_matches('"')),
                _ => String::new(),
            };
            format!(r#"{{"id":"n{place}","type":"a","dependsOn":[{}]{inputs}}}"#, on.join(","))
        };
        let activities: Vec<String> = (0..8).map(activity).collect();
        let once = taken(&of(&format!("[{}]", activities.join(","))), &types);
        let again = taken(once.write().as_str(), &types);
        prop_assert_eq!(once.write(), again.write());
        prop_assert_eq!(once, again);
    }

    /// Whatever edges there are: a circle is told exactly when there is one.
    #[test]
    fn a_circle_is_told_when_there_is_one(edges in prop::collection::vec((0usize..6, 0usize..6), 0..9)) {
        let types = open(&["a"]);
        let activity = |place: usize| {
            let on = edges.iter().filter(|(from, _)| *from == place);
            let on: Vec<String> = on.map(|(_, to)| format!("\"n{to}\"")).collect();
            format!(r#"{{"id":"n{place}","type":"a","dependsOn":[{}]}}"#, on.join(","))
        };
        let activities: Vec<String> = (0..6).map(activity).collect();
        let (read, found) = judged(&of(&format!("[{}]", activities.join(","))), &types);
        // By another way: take away whoever waits for nobody that is left.
        let mut left: Vec<usize> = (0..6).collect();
        while let Some(free) = left.iter().position(|place| {
            !edges.iter().any(|(from, to)| from == place && left.contains(to))
        }) {
            left.remove(free);
        }
        prop_assert_eq!(read.is_some(), left.is_empty(), "{:?}", found.faults);
    }

    /// Whatever is written, an answer comes.
    #[test]
    fn anything_is_judged(text in "[\\[\\]{}\",:a-z0-9 ]{0,60}") {
        if let Ok(value) = Json::parse(&text) {
            let mut found = Found::default();
            let read = definition(&value, &Known::new(), &mut found);
            prop_assert_eq!(read.is_some(), found.faults.is_empty());
        }
    }
}
