//! Parameters of what can be ordered: declared once, and what somebody gives for them checked in one place for all providers.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_protocol::ArtifactId;
use mainstay_protocol::json::{Json, Shape};
use mainstay_protocol::words;

use crate::fault::{Found, Pointer};
use crate::reader::{self, Reader};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    pub name: String,
    pub kind: ParameterKind,
    pub label: String,
    pub unit: String,
    pub description: String,
    pub default: Option<Json>,
    /// Without it the order is taken all the same.
    pub optional: bool,
    /// Its default is its value, and nobody gives another.
    pub constant: bool,
    /// What it may be; anything of its kind where there are none.
    pub options: Vec<Json>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ParameterKind {
    Text,
    Int,
    Float,
    Bool,
    /// A URN of something that is kept.
    Artifact,
    /// The name of a queue, or its URN.
    Queue,
}

const KINDS: [(&str, ParameterKind); 6] = [
    ("string", ParameterKind::Text),
    ("int", ParameterKind::Int),
    ("float", ParameterKind::Float),
    ("bool", ParameterKind::Bool),
    ("artifact", ParameterKind::Artifact),
    ("queue", ParameterKind::Queue),
];

impl ParameterKind {
    pub fn as_str(self) -> &'static str {
        let found = KINDS.iter().find(|(_, kind)| *kind == self);
        found.expect("every kind is named").0
    }

    /// The value as one of this kind, also where it was given as text; or what would be one.
    fn coerced(self, value: &Json) -> Result<Json, String> {
        let text = value.as_text();
        let bare = text.as_deref().unwrap_or(value.as_str());
        let is_scalar = !matches!(value.shape(), Shape::Array | Shape::Object | Shape::Null);
        let fits = is_scalar.then_some(bare);
        match self {
            Self::Text => fits.map(Json::text).ok_or("a string"),
            Self::Int => fits.and_then(whole).ok_or("a whole number"),
            Self::Float => fits.and_then(number).ok_or("a number"),
            Self::Bool => match fits {
                Some("true") => Ok(Json::bool(true)),
                Some("false") => Ok(Json::bool(false)),
                _ => Err("true or false"),
            },
            Self::Artifact => match text
                .as_deref()
                .is_some_and(|text| ArtifactId::new(text).is_ok())
            {
                true => Ok(value.clone()),
                false => Err("an artifact, urn:ivcap:artifact: and a UUID"),
            },
            Self::Queue => match text.as_deref().is_some_and(|text| !text.is_empty()) {
                true => Ok(value.clone()),
                false => Err("the name or URN of a queue"),
            },
        }
        .map_err(|wanted| format!("write {wanted}"))
    }
}

/// As it was written; only its text is looked at, so that no digit is lost.
fn whole(text: &str) -> Option<Json> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_whole.then(|| Json::parse(text).ok())?
}

fn number(text: &str) -> Option<Json> {
    let parsed = Json::parse(text).ok()?;
    (parsed.shape() == Shape::Number).then_some(parsed)
}

/// What is wrong with what was given for one parameter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Misgiven {
    pub what: MisgivenWhat,
    pub name: String,
    /// As it was given, if it was.
    pub value: Option<String>,
    pub reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MisgivenWhat {
    Unknown,
    Missing,
    Invalid,
    Constant,
    Repeated,
}

impl MisgivenWhat {
    pub fn code(self) -> &'static str {
        match self {
            Self::Unknown => "parameter-unknown",
            Self::Missing => "parameter-missing",
            Self::Invalid => "parameter-invalid",
            Self::Constant => "parameter-constant",
            Self::Repeated => "parameter-repeated",
        }
    }
}

/// Declarations, from the `parameters` of a description.
pub fn declared(at: &Pointer, value: &Json, found: &mut Found) -> Vec<Parameter> {
    if value.shape() != Shape::Array {
        let is = value.shape().with_article();
        found.fault(at, format!("write an array of parameters; it is {is}"));
        return Vec::new();
    }
    let mut names = BTreeSet::new();
    let mut all = Vec::new();
    for (place, item) in value.items().iter().enumerate() {
        let at = at.index(place);
        let Some(parameter) = Parameter::read(at.clone(), item, found) else {
            continue;
        };
        if !names.insert(parameter.name.clone()) {
            let text = format!("{} is declared twice", parameter.name);
            found.fault(&at.key("name"), text);
        }
        all.push(parameter);
    }
    all
}

impl Parameter {
    fn read(at: Pointer, value: &Json, found: &mut Found) -> Option<Self> {
        let mut reader = Reader::new(at, value, found)?;
        let name = reader.needed("name");
        let name = name.and_then(|(at, value)| {
            let name = reader::text(&at, &value, reader.found)?;
            let is_name = !name.is_empty() && !name.contains(['{', '}', '.']);
            if !is_name {
                let text = format!("{name:?} is no name: braces and points are not in one");
                reader.found.fault(&at, text);
            }
            is_name.then_some(name)
        });
        let kind = kind(&mut reader);
        let default = reader.take("default");
        let options = reader.take("options");
        let mut parameter = Self {
            label: reader.text("label").unwrap_or_default(),
            unit: reader.text("unit").unwrap_or_default(),
            description: reader.text("description").unwrap_or_default(),
            optional: reader.bool("optional").unwrap_or(false),
            constant: reader.bool("constant").unwrap_or(false),
            name: name?,
            kind: kind?,
            default: None,
            options: Vec::new(),
        };
        if let Some((at, options)) = options {
            parameter.options = listed(&at, &options, parameter.kind, reader.found);
        }
        if let Some((at, default)) = default {
            match parameter.value(&default) {
                Ok(value) => parameter.default = Some(value),
                Err(why) => reader.found.fault(&at, why),
            }
        } else if parameter.constant {
            let at = reader.at.key("constant");
            reader
                .found
                .fault(&at, "its value is its default, and it has none");
        }
        reader.others();
        Some(parameter)
    }

    /// One of its kind, and of its options.
    fn value(&self, given: &Json) -> Result<Json, String> {
        let value = self.kind.coerced(given)?;
        if self.options.is_empty() || self.options.contains(&value) {
            return Ok(value);
        }
        let options: Vec<&str> = self.options.iter().map(Json::as_str).collect();
        Err(format!("write one of {}", options.join(", ")))
    }
}

fn kind(reader: &mut Reader<'_>) -> Option<ParameterKind> {
    let (at, value) = reader.needed("type")?;
    let said = reader::text(&at, &value, reader.found)?;
    let found = KINDS.iter().find(|(name, _)| *name == said);
    if found.is_none() {
        let names = KINDS.iter().map(|(name, _)| *name);
        let meant = match words::nearest(&said, names.clone()).first() {
            Some(near) => format!("; {near}?"),
            None => String::new(),
        };
        let all = names.collect::<Vec<_>>().join(", ");
        let text = format!("{said:?} is none of {all}{meant}");
        reader.found.fault(&at, text);
    }
    found.map(|(_, kind)| *kind)
}

/// Values, or objects with a value and words about it.
fn listed(at: &Pointer, options: &Json, kind: ParameterKind, found: &mut Found) -> Vec<Json> {
    if options.shape() != Shape::Array {
        let is = options.shape().with_article();
        found.fault(at, format!("write an array; it is {is}"));
    }
    let mut listed = Vec::new();
    for (place, option) in options.items().into_iter().enumerate() {
        let value = option.member("value").unwrap_or(option);
        match kind.coerced(&value) {
            Ok(value) => listed.push(value),
            Err(why) => found.fault(&at.index(place), why),
        }
    }
    listed
}

/// What each parameter is for an order: what was given, as one of its kind, else its default. All that is wrong at once.
pub fn given(
    declared: &[Parameter],
    given: &[(String, Json)],
) -> Result<BTreeMap<String, Json>, Vec<Misgiven>> {
    let mut values = BTreeMap::new();
    let mut wrong = Vec::new();
    let mut misgiven = |what: MisgivenWhat, name: &str, value: Option<&Json>, reason: String| {
        wrong.push(Misgiven {
            what,
            name: name.to_owned(),
            value: value.map(ToString::to_string),
            reason,
        });
    };
    for (name, value) in given {
        let Some(parameter) = declared.iter().find(|one| one.name == *name) else {
            let names = declared.iter().map(|one| one.name.as_str());
            let reason = match words::nearest(name, names).first() {
                Some(near) => format!("there is no such parameter; {near}?"),
                None => "there is no such parameter".to_owned(),
            };
            misgiven(MisgivenWhat::Unknown, name, Some(value), reason);
            continue;
        };
        if values.contains_key(name) {
            let reason = "it is given twice".to_owned();
            misgiven(MisgivenWhat::Repeated, name, Some(value), reason);
            continue;
        }
        match parameter.value(value) {
            Ok(value) if parameter.constant && parameter.default.as_ref() != Some(&value) => {
                let is = parameter.default.as_ref().map_or("", Json::as_str);
                let reason = format!("it is always {is}");
                misgiven(MisgivenWhat::Constant, name, Some(&value), reason);
            }
            Ok(value) => _ = values.insert(name.clone(), value),
            Err(reason) => misgiven(MisgivenWhat::Invalid, name, Some(value), reason),
        }
    }
    let said: BTreeSet<&String> = given.iter().map(|(name, _)| name).collect();
    for parameter in declared.iter().filter(|one| !said.contains(&one.name)) {
        match &parameter.default {
            Some(default) => _ = values.insert(parameter.name.clone(), default.clone()),
            None if parameter.optional => {}
            None => {
                let reason = format!("give {}", with_article(parameter.kind));
                misgiven(MisgivenWhat::Missing, &parameter.name, None, reason);
            }
        }
    }
    match wrong.is_empty() {
        true => Ok(values),
        false => Err(wrong),
    }
}

fn with_article(kind: ParameterKind) -> String {
    let article = match kind {
        ParameterKind::Int | ParameterKind::Artifact => "an",
        ParameterKind::Text | ParameterKind::Float | ParameterKind::Bool | ParameterKind::Queue => {
            "a"
        }
    };
    format!("{article} {}", kind.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Json {
        Json::parse(text).unwrap()
    }

    fn all(text: &str) -> Vec<Parameter> {
        let mut found = Found::default();
        let all = declared(&Pointer::root(), &json(text), &mut found);
        assert!(found.faults.is_empty(), "{:?}", found.faults);
        all
    }

    fn values(declared: &[Parameter], pairs: &[(&str, &str)]) -> Result<String, Vec<String>> {
        let pairs = pairs.iter();
        let pairs: Vec<_> = pairs
            .map(|(name, value)| ((*name).to_owned(), json(value)))
            .collect();
        let said = |one: &Misgiven| format!("{} {}: {}", one.what.code(), one.name, one.reason);
        given(declared, &pairs)
            .map(|values| Json::object(&values).to_string())
            .map_err(|wrong| wrong.iter().map(said).collect())
    }

    #[test]
    fn what_is_given_as_text_becomes_one_of_its_kind_and_no_digit_is_lost() {
        let declared = all(
            r#"[{"name":"s","type":"string"},{"name":"i","type":"int"},{"name":"f","type":"float"},
                {"name":"b","type":"bool"},{"name":"a","type":"artifact","optional":true}]"#,
        );
        let pairs = [
            ("s", "7"),
            ("i", "\"123456789012345678901234567890\""),
            ("f", "\"-1.50\""),
            ("b", "\"true\""),
        ];
        assert_eq!(
            values(&declared, &pairs).unwrap(),
            r#"{"b":true,"f":-1.50,"i":123456789012345678901234567890,"s":"7"}"#
        );
    }

    // case: orchestrations 66
    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let declared = all(
            r#"[{"name":"message","type":"string"},{"name":"count","type":"int","default":1},
                {"name":"mode","type":"string","options":["fast",{"value":"slow","description":"safe"}],"optional":true},
                {"name":"fixed","type":"int","constant":true,"default":7}]"#,
        );
        let pairs = [
            ("mesage", "\"x\""),
            ("count", "1.5"),
            ("mode", "\"best\""),
            ("fixed", "8"),
        ];
        assert_eq!(
            values(&declared, &pairs).unwrap_err(),
            [
                "parameter-unknown mesage: there is no such parameter; message?",
                "parameter-invalid count: write a whole number",
                "parameter-invalid mode: write one of \"fast\", \"slow\"",
                "parameter-constant fixed: it is always 7",
                "parameter-missing message: give a string",
            ]
        );
        assert_eq!(
            values(&declared, &[("message", "\"hi\"")]).unwrap(),
            r#"{"count":1,"fixed":7,"message":"hi"}"#
        );
    }

    #[test]
    fn a_declaration_that_cannot_be_met_is_a_fault() {
        let mut found = Found::default();
        let text = r#"[{"name":"a","type":"strng"},{"name":"b","type":"int","default":"x"},
            {"name":"c","type":"bool","constant":true},{"name":"d","type":"string","options":["x"],"default":"y"},
            {"name":"e.f","type":"int"},{"name":"d","type":"int"}]"#;
        declared(&Pointer::root(), &json(text), &mut found);
        let said: Vec<String> = found.faults.iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "/0/type: \"strng\" is none of string, int, float, bool, artifact, queue; string?",
                "/1/default: write a whole number",
                "/2/constant: its value is its default, and it has none",
                "/3/default: write one of \"x\"",
                "/4/name: \"e.f\" is no name: braces and points are not in one",
                "/5/name: d is declared twice",
            ]
        );
    }

    #[test]
    fn an_artifact_is_a_urn_with_an_id() {
        let declared = all(r#"[{"name":"a","type":"artifact"}]"#);
        let good = "\"urn:ivcap:artifact:00000000-0000-0000-0000-000000000004\"";
        assert!(values(&declared, &[("a", good)]).is_ok());
        for bad in ["\"urn:ivcap:artifact:4\"", "\"x\"", "4", "null"] {
            assert!(values(&declared, &[("a", bad)]).is_err(), "{bad}");
        }
    }
}
