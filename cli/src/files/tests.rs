//! The reader as a whole: stored outputs for wrong files, agreement of the formats, and that nothing makes it panic.

use std::fs;
use std::path::Path;

use mainstay_api::shapes::Reader;
use mainstay_protocol::limits;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::sources::{Format, Source};
use super::tree::Lines;
use super::{Fault, Wish, documents};

fn source(file: &str, format: Format, text: &str) -> Source {
    Source {
        file: file.into(),
        format,
        text: text.to_owned(),
    }
}

fn read(format: Format, text: &str) -> Result<Vec<Wish>, (Vec<Fault>, usize)> {
    documents(&[source("f", format, text)], Reader::Plan)
}

fn specs(format: Format, text: &str) -> Vec<Json> {
    let wishes = read(format, text).unwrap_or_else(|(faults, _)| panic!("{faults:#?}"));
    wishes.into_iter().map(|wish| wish.spec).collect()
}

fn told(result: Result<Vec<Wish>, (Vec<Fault>, usize)>) -> String {
    match result {
        Ok(wishes) => wishes
            .iter()
            .map(|wish| format!("{} {} at {}\n", wish.kind.name, wish.spec, wish.place()))
            .collect(),
        Err((faults, more)) => {
            let mut text: String = faults.iter().map(|fault| format!("{fault}\n")).collect();
            if more > 0 {
                text.push_str(&format!("and {more} more\n"));
            }
            text
        }
    }
}

/// `UPDATE=1` rewrites what is stored; the difference is reviewed like code.
#[test]
fn every_wrong_file_is_told_as_it_is_stored() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/files/golden");
    let update = std::env::var_os("UPDATE").is_some();
    let mut wrong = Vec::new();
    let mut count = 0;
    for entry in fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let format = match path.extension().unwrap().to_str().unwrap() {
            "yaml" => Format::Yaml,
            "toml" => Format::Toml,
            "json" => Format::Json,
            _ => continue,
        };
        count += 1;
        let text = fs::read_to_string(&path).unwrap();
        let have = told(documents(&[source(&name, format, &text)], Reader::Plan));
        let stored = directory.join(format!("{name}.out"));
        if update {
            fs::write(&stored, &have).unwrap();
        } else if fs::read_to_string(&stored).unwrap_or_default() != have {
            wrong.push(format!("{name}:\n{have}"));
        }
    }
    assert!(count > 10, "{count} files");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

const YAML: &str = "
kind: Placement
name: web
type: process
holds: web
target: { nodes: [n1, n2] }
config:
  command: [/usr/bin/web, --port, '80']
  on: no
  text: |
    two
    lines
policy: { restart: always, attempts: 5, window: 10m, backoff: { max: 60s } }
depends_on: [ { placement: db, until: started } ]
update: { strategy: rolling, at_once: 1, rollback: true }
---
kind: Settings
silence: 5s
";
const TOML: &str = r#"
[[placement]]
name = "web"
type = "process"
holds = "web"
target.nodes = ["n1", "n2"]
policy = { restart = "always", attempts = 5, window = "10m", backoff = { max = "60s" } }
update = { strategy = "rolling", at_once = 1, rollback = true }
[placement.config]
command = ["/usr/bin/web", "--port", "80"]
on = "no"
text = "two\nlines\n"
[[placement.depends_on]]
placement = "db"
until = "started"
[settings]
silence = "5s"
"#;

// proves: S15
#[test]
fn the_three_formats_say_the_same() {
    let yaml = specs(Format::Yaml, YAML);
    assert_eq!(yaml.len(), 2);
    assert_eq!(yaml[0]["config"]["on"], json!("no"));
    assert_eq!(specs(Format::Toml, TOML), yaml);
    let mut documents = yaml.clone();
    documents[0]["kind"] = json!("Placement");
    documents[1]["kind"] = json!("Settings");
    let text = Json::Array(documents).to_string();
    assert_eq!(specs(Format::Json, &text), yaml);
}

#[test]
fn an_alias_stands_for_the_whole_of_what_it_names() {
    let text =
        "kind: Placement\nname: a\ntype: t\ntarget: &t { nodes: [n1] }\nconfig: { where: *t }\n";
    let specs = specs(Format::Yaml, text);
    assert_eq!(specs[0]["config"]["where"], json!({"nodes": ["n1"]}));
}

#[test]
fn names_are_there_once_in_all_files_together() {
    let text = "kind: Placement\nname: a\ntype: t\ntarget: { nodes: [n1] }\n";
    let result = documents(
        &[
            source("one.yaml", Format::Yaml, text),
            source("two.yaml", Format::Yaml, text),
        ],
        Reader::Plan,
    );
    let told = told(result);
    assert_eq!(
        told,
        "two.yaml:2:7: the Placement \"a\" is there twice; the first is at one.yaml:2:7\n"
    );
}

#[test]
fn faults_beyond_the_bound_are_counted() {
    let fields: String = (0..limits::FILE_FAULTS_MAX + 7)
        .map(|n| format!("x{n}: 1\n"))
        .collect();
    let text = format!("kind: Placement\nname: a\ntype: t\ntarget: {{ nodes: [n1] }}\n{fields}");
    let (faults, more) = read(Format::Yaml, &text).unwrap_err();
    assert_eq!((faults.len(), more), (limits::FILE_FAULTS_MAX, 7));
}

/// Texts that are nearly right: pieces of good ones with something cut out, doubled or thrown in.
fn nearly_right() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        "---\n",
        "...\n",
        "\n",
        "\r",
        "\t",
        "  ",
        ":",
        ": ",
        "- ",
        "? ",
        "&a ",
        "*a",
        "!!int ",
        "!x ",
        "<<: *a\n",
        "\"",
        "'",
        "|\n",
        ">-\n",
        "#",
        "%YAML 1.2\n",
        "=",
        "[[placement]]\n",
        "1e9",
        "0x",
        "\u{FEFF}",
        "\0",
        "ä",
        "\u{2028}",
        "kind: Placement\n",
        "\"kind\": ",
        ",",
        "null",
        "'''",
        "\"\"\"",
        "\\u0000",
        "\\",
    ]);
    let text = prop::sample::select(vec![YAML.to_owned(), TOML.to_owned(), {
        json!([{"kind": "Placement", "name": "web", "config": {"a": [1, 2.5, null, true, "x"]}}])
            .to_string()
    }]);
    (
        text,
        prop::collection::vec((any::<prop::sample::Index>(), piece, 0_usize..12), 0..8),
    )
        .prop_map(|(mut text, edits)| {
            for (at, piece, cut) in edits {
                let start = text.floor_char_boundary(at.index(text.len() + 1));
                let end = text.floor_char_boundary((start + cut).min(text.len()));
                text.replace_range(start..end, piece);
            }
            text
        })
}

/// A place within the text, or right behind its end.
fn is_inside(fault: &Fault, lines: &Lines<'_>) -> bool {
    let (Some(line), Some(column)) = (fault.line, fault.column) else {
        return false;
    };
    let place = super::tree::Place { line, column };
    lines.within(place) == place
}

fn holds_for(text: &str) {
    for format in [Format::Yaml, Format::Toml, Format::Json] {
        if let Err((faults, _)) = read(format, text) {
            assert!(!faults.is_empty());
            let lines = Lines::new(text);
            for fault in faults {
                assert!(is_inside(&fault, &lines), "{fault}\nin {text:?}");
                assert!(!fault.why.is_empty());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic_and_every_fault_has_a_place_in_it(text in ".{0,200}") {
        holds_for(&text);
    }

    #[test]
    fn no_text_that_is_nearly_right_makes_it_panic(text in nearly_right()) {
        holds_for(&text);
    }

    #[test]
    fn json_is_read_as_others_read_it(value in any_json()) {
        let document = json!({
            "kind": "Placement", "name": "a", "type": "t", "target": {"nodes": ["n1"]}, "config": {"value": value}
        });
        let text = serde_json::to_string_pretty(&document).unwrap();
        prop_assert_eq!(&specs(Format::Json, &text)[0]["config"], &document["config"]);
    }

    #[test]
    fn yaml_written_as_json_is_the_same(value in any_json()) {
        let document = json!({
            "kind": "Placement", "name": "a", "type": "t", "target": {"nodes": ["n1"]}, "config": {"value": value}
        });
        let text = document.to_string();
        prop_assert_eq!(&specs(Format::Yaml, &text)[0]["config"], &document["config"]);
    }
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        (-1000_i32..1000).prop_map(|number| Json::from(f64::from(number) / 8.0)),
        "[ -~äß\n\t]{0,12}".prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::btree_map("[a-z]{1,4}", inner, 0..4)
                .prop_map(|map| Json::Object(map.into_iter().collect())),
        ]
    })
}
