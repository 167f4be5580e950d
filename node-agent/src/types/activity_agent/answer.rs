//! What a provider answers: a JSON object that says what came of the call. Its parts go on as they were written.

use std::time::Duration;

use mainstay_protocol::Json;
use mainstay_protocol::json::Shape;
use mainstay_protocol::limits;
use mainstay_protocol::words;
use mainstay_protocol::work::Changes;
use mainstay_service::Processed;

use super::question::as_written;

/// Before another call, where who asks for one does not say when.
const SCHEDULE: Duration = Duration::from_millis(1_000);
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
/// Of a text that is not what it should be, so much is told.
const QUOTED_BYTES_MAX: usize = 200;
/// Of members that nobody reads, so many are named.
const UNKNOWN_NAMED: usize = 5;
const RESULTS: &str = "complete, wait, schedule, retry, fatal, or 1, 0, 2, -1, -2";
const MEMBERS: [&str; 5] = ["result", "waitMillis", "error", "outputs", "delta"];

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It says nothing in JSON: how it came counts alone.
    Nothing,
    /// An object that does not say what it is: what the activity leaves behind.
    Outputs(Json),
    Said(Said),
    /// Something in it begins like an answer, or may have, and it cannot be understood, for this reason. Its effects are
    /// unknown.
    Bad(String),
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) what: What,
    wait: Option<Duration>,
    error: Option<String>,
    outputs: Json,
    delta: Changes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Complete,
    Wait,
    Schedule,
    Retry,
    Fatal,
}

impl What {
    fn of(value: &Json) -> Option<Self> {
        Some(match value.as_str() {
            "\"complete\"" | "1" => Self::Complete,
            "\"wait\"" | "0" => Self::Wait,
            "\"schedule\"" | "2" => Self::Schedule,
            "\"retry\"" | "-1" => Self::Retry,
            "\"fatal\"" | "-2" => Self::Fatal,
            _ => return None,
        })
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Wait => "wait",
            Self::Schedule => "schedule",
            Self::Retry => "retry",
            Self::Fatal => "fatal",
        }
    }

    /// Whether it says that something went wrong.
    pub(super) fn is_failure(self) -> bool {
        match self {
            Self::Retry | Self::Fatal => true,
            Self::Complete | Self::Wait | Self::Schedule => false,
        }
    }
}

pub(super) fn read(bytes: &[u8]) -> Answer {
    // Some systems write the mark before all that they write.
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let Ok(text) = str::from_utf8(bytes) else {
        return Answer::Bad("its answer is not UTF-8".to_owned());
    };
    let text = text.trim();
    let bad = match Json::parse(text) {
        Ok(object) if object.shape() == Shape::Object => return of_object(object),
        Ok(other) => format!("it is {}", other.shape().with_article()),
        Err(bad) => bad.to_string(),
    };
    // Half an answer is not none, nor is one amid other words: it may have said anything.
    if text.starts_with('{') {
        return Answer::Bad(format!("its answer is no JSON: {bad}"));
    }
    let is_meant = |line: &str| line.trim_start().starts_with('{');
    match text.lines().any(is_meant) {
        true => Answer::Bad(format!(
            "its answer has a line that begins with {{, and as a whole it is not one JSON object: {bad}"
        )),
        false => Answer::Nothing,
    }
}

fn of_object(object: Json) -> Answer {
    let Some(result) = present(&object, "result") else {
        return Answer::Outputs(object);
    };
    match said(&object, &result) {
        Ok(said) => Answer::Said(said),
        Err(why) => Answer::Bad(why),
    }
}

/// Null is what many write for what is not there.
fn present(object: &Json, member: &str) -> Option<Json> {
    let value = object.member(member);
    value.filter(|value| value.shape() != Shape::Null)
}

fn said(object: &Json, result: &Json) -> Result<Said, String> {
    let what = What::of(result).ok_or_else(|| {
        let result = quoted(result.as_str());
        format!("its answer has the result {result}, which is none of {RESULTS}")
    })?;
    let mut unknown: Vec<String> = object.members().into_keys().collect();
    unknown.retain(|member| !MEMBERS.contains(&member.as_str()));
    if !unknown.is_empty() {
        let unknown = quoted(&words::several(unknown.iter(), UNKNOWN_NAMED));
        tracing::warn!("an answer has what nobody reads: {unknown}");
    }
    let wait = present(object, "waitMillis").map(|value| wait(&value));
    let error = present(object, "error").map(|value| {
        let wrong = || wrong("error", &value, "a string");
        value.as_text().ok_or_else(wrong)
    });
    let outputs = present(object, "outputs").map(|value| shaped("outputs", value));
    Ok(Said {
        what,
        wait: wait.transpose()?,
        error: error.transpose()?,
        outputs: outputs.transpose()?.unwrap_or_else(Json::empty_object),
        delta: delta(object)?,
    })
}

fn wait(value: &Json) -> Result<Duration, String> {
    let wrong = || {
        let most = limits::WORK_WAIT_MS_MAX;
        wrong(
            "waitMillis",
            value,
            &format!("a whole number from 0 to {most}"),
        )
    };
    let ms = value
        .as_count()
        .filter(|ms| *ms <= limits::WORK_WAIT_MS_MAX);
    ms.map(Duration::from_millis).ok_or_else(wrong)
}

fn shaped(member: &str, value: Json) -> Result<Json, String> {
    match value.shape() {
        Shape::Object => Ok(value),
        Shape::Null | Shape::Bool | Shape::Number | Shape::Text | Shape::Array => {
            Err(wrong(member, &value, "an object"))
        }
    }
}

fn delta(object: &Json) -> Result<Changes, String> {
    let Some(delta) = present(object, "delta") else {
        return Ok(Changes::default());
    };
    let delta = shaped("delta", delta)?;
    let set = present(&delta, "set").map(|value| shaped("delta.set", value));
    let delete = present(&delta, "delete").map(|value| {
        let keys: Option<_> = match value.shape() {
            Shape::Array => value.items().iter().map(Json::as_text).collect(),
            _ => None,
        };
        keys.ok_or_else(|| wrong("delta.delete", &value, "an array of strings"))
    });
    Ok(Changes {
        set: set
            .transpose()?
            .map(|set| set.members())
            .unwrap_or_default(),
        delete: delete.transpose()?.unwrap_or_default(),
    })
}

fn wrong(member: &str, value: &Json, right: &str) -> String {
    let value = quoted(value.as_str());
    format!("its answer has {value} as {member}, which is {right}")
}

pub(super) fn quoted(text: &str) -> String {
    let mut text = text.to_owned();
    if text.len() > QUOTED_BYTES_MAX {
        words::cut(&mut text, QUOTED_BYTES_MAX);
        text.push_str("..");
    }
    text
}

/// What it leaves behind, an object. The coordinator would refuse one that is too long too, and not know the name of it here.
pub(super) fn completed(outputs: &Json) -> Processed {
    let (bytes, most) = (outputs.as_str().len(), limits::WORK_BYTES_MAX);
    if bytes > most {
        return Processed::fatal(format!("its outputs have {bytes} bytes, more than {most}"));
    }
    Processed::complete(as_written(outputs))
}

impl Said {
    /// For a failure that does not say itself when another attempt is due.
    pub(super) fn or_after(mut self, wait: Option<Duration>) -> Self {
        self.wait = self.wait.or(wait);
        self
    }

    /// `why`: what else is known of a failure.
    pub(super) fn processed(self, why: Option<String>) -> Processed {
        let what = self.what.name();
        let error = self.error.or(why);
        let error = error.unwrap_or_else(|| format!("it said {what}, and not why"));
        let processed = match self.what {
            What::Complete => completed(&self.outputs),
            What::Wait => Processed::wait(),
            What::Schedule => Processed::again_after(self.wait.unwrap_or(SCHEDULE)),
            What::Retry => match self.wait {
                Some(after) => Processed::retry_after(told(error), after),
                None => Processed::retry(told(error)),
            },
            What::Fatal => Processed::fatal(told(error)),
        };
        // Each takes its own of the two and leaves the other: a completion the context, what comes again its scratch. Set
        // and deleted in one answer, it is set.
        let delete = self.delta.delete.into_iter();
        let processed = delete.fold(processed, |processed, key| {
            processed.delete_context(key.clone()).delete_scratch(key)
        });
        let set = self.delta.set.iter();
        set.fold(processed, |processed, (key, value)| {
            let value = as_written(value);
            processed.set_context(key, value).set_scratch(key, value)
        })
    }
}

/// Within what is kept of an error.
pub(super) fn told(mut error: String) -> String {
    words::cut(&mut error, limits::EVIDENCE_BYTES_MAX);
    error
}

#[cfg(test)]
mod tests {
    use mainstay_service::json;

    use super::*;

    fn processed(text: &str) -> Processed {
        match read(text.as_bytes()) {
            Answer::Said(said) => said.processed(None),
            other => panic!("{text}: {other:?}"),
        }
    }

    // proves: O5
    #[test]
    fn each_result_is_read_by_its_name_and_by_its_number() {
        let second = Duration::from_millis(1_000);
        let retried = Processed::retry("it said retry, and not why");
        let fatal = Processed::fatal("it said fatal, and not why");
        for (name, number, wanted) in [
            ("complete", 1, Processed::complete(())),
            ("wait", 0, Processed::wait()),
            ("schedule", 2, Processed::again_after(second)),
            ("retry", -1, retried),
            ("fatal", -2, fatal),
        ] {
            assert_eq!(processed(&json!({ "result": name }).to_string()), wanted);
            assert_eq!(processed(&json!({ "result": number }).to_string()), wanted);
        }
    }

    #[test]
    fn what_an_answer_says_goes_where_it_belongs() {
        let ms = Duration::from_millis;
        let delta = r#""delta":{"set":{"a":1},"delete":["b"]}"#;
        for (text, wanted) in [
            (
                format!(r#"{{"result":"complete","outputs":{{"x":1}},{delta}}}"#),
                Processed::complete(json!({ "x": 1 }))
                    .set_context("a", 1)
                    .delete_context("b"),
            ),
            (
                format!(r#"{{"result":"schedule","waitMillis":7,{delta}}}"#),
                Processed::again_after(ms(7))
                    .set_scratch("a", 1)
                    .delete_scratch("b"),
            ),
            (
                format!(r#"{{"result":"retry","waitMillis":7,"error":"no",{delta}}}"#),
                Processed::retry_after("no", ms(7))
                    .set_scratch("a", 1)
                    .delete_scratch("b"),
            ),
            (
                r#"{"result":"retry","error":"no"}"#.to_owned(),
                Processed::retry("no"),
            ),
            (
                format!(r#"{{"result":"fatal","error":"no",{delta}}}"#),
                Processed::fatal("no"),
            ),
            (
                r#"{"result":0,"waitMillis":null,"error":null,"outputs":null,"delta":null,"x":1}"#
                    .to_owned(),
                Processed::wait(),
            ),
            (
                r#"{"result":1,"delta":{"set":{"a":1},"delete":["a"]}}"#.to_owned(),
                Processed::complete(()).set_context("a", 1),
            ),
        ] {
            assert_eq!(processed(&text), wanted, "{text}");
        }
    }

    // case: orchestrations 44
    #[test]
    fn what_cannot_be_understood_is_named() {
        for (text, word) in [
            (
                r#"{"result":"done"}"#,
                "the result \"done\", which is none of complete",
            ),
            (r#"{"result":"Complete"}"#, "\"Complete\""),
            (r#"{"result":3}"#, "the result 3"),
            (r#"{"result":1.0}"#, "the result 1.0"),
            (r#"{"result":true}"#, "the result true"),
            (r#"{"result":[]}"#, "the result []"),
            (
                r#"{"result":1,"outputs":[1]}"#,
                "[1] as outputs, which is an object",
            ),
            (r#"{"result":2,"waitMillis":"5"}"#, "\"5\" as waitMillis"),
            (r#"{"result":2,"waitMillis":-5}"#, "-5 as waitMillis"),
            (r#"{"result":2,"waitMillis":99999999999999}"#, "waitMillis"),
            (
                r#"{"result":-1,"error":{}}"#,
                "{} as error, which is a string",
            ),
            (
                r#"{"result":1,"delta":[]}"#,
                "[] as delta, which is an object",
            ),
            (r#"{"result":1,"delta":{"set":1}}"#, "1 as delta.set"),
            (
                r#"{"result":1,"delta":{"delete":"a"}}"#,
                "an array of strings",
            ),
            (
                r#"{"result":1,"delta":{"delete":[1]}}"#,
                "an array of strings",
            ),
            (r#"{"result":"comp"#, "no JSON"),
            ("{} {}", "no JSON"),
        ] {
            match read(text.as_bytes()) {
                Answer::Bad(why) => assert!(why.contains(word), "{text}: {why}"),
                other => panic!("{text}: {other:?}"),
            }
        }
        let long = format!(r#"{{"result":"{}"}}"#, "ü".repeat(10_000));
        let Answer::Bad(why) = read(long.as_bytes()) else {
            panic!("it is none")
        };
        assert!(why.len() < 400, "{why}");
    }

    #[test]
    fn what_is_no_object_says_nothing() {
        for text in [
            "",
            " \n",
            "done",
            "5",
            "[1]",
            "\"a\"",
            "null",
            "done {}",
            "\u{feff}",
            "a\n}\n[{}]",
        ] {
            assert_eq!(read(text.as_bytes()), Answer::Nothing, "{text}");
        }
    }

    // case: orchestrations 44
    #[test]
    fn an_answer_that_is_not_alone_or_not_readable_is_not_taken_for_none() {
        let amid = "a line that begins with {";
        for (bytes, word) in [
            (&b"\xff{}"[..], "not UTF-8"),
            (b"caf\xe9", "not UTF-8"),
            (b"{\"result\":\"fatal\",\"error\":\"\xe9\"}", "not UTF-8"),
            // UTF-16.
            (b"\xff\xfe{\0}\0", "not UTF-8"),
            (b"copying ..\n{\"result\":\"fatal\"}", amid),
            (b"copying ..\n  {\"result\":\"fatal\"}\ndone", amid),
            (b"[\n{}\n]", amid),
            (b"{\"result\":1}\ndone", "no JSON"),
            // Two marks are no mark of anything.
            (b"\xef\xbb\xbf\xef\xbb\xbfx\n{}", amid),
        ] {
            match read(bytes) {
                Answer::Bad(why) => assert!(why.contains(word), "{why}"),
                other => panic!("{}: {other:?}", bytes.escape_ascii()),
            }
        }
        let marked = processed("\u{feff}{\"result\":\"fatal\",\"error\":\"no\"}\r\n");
        assert_eq!(marked, Processed::fatal("no"));
    }

    #[test]
    fn outputs_that_are_too_long_are_named() {
        let outputs = |bytes: usize| format!(r#"{{"x":"{}"}}"#, "y".repeat(bytes - 8));
        let most = limits::WORK_BYTES_MAX;
        let said = |outputs: String| processed(&format!(r#"{{"result":1,"outputs":{outputs}}}"#));
        assert!(said(outputs(most)).output().is_some());
        let why = format!("its outputs have {} bytes, more than {most}", most + 1);
        assert_eq!(said(outputs(most + 1)), Processed::fatal(why));
    }

    // case: orchestrations 30
    #[test]
    fn numbers_and_letters_go_through_as_they_were_written() {
        let value = r#"{"big":18446744073709551617,"exact":9007199254740993,"small":-0.10,"text":"日本 \"🌍\""}"#;
        let Answer::Outputs(outputs) = read(value.as_bytes()) else {
            panic!("it says no result")
        };
        assert_eq!(completed(&outputs).output().unwrap().as_str(), value);
        let said = format!(r#"{{"result":1,"outputs":{value},"delta":{{"set":{{"a":{value}}}}}}}"#);
        let said = processed(&said);
        assert_eq!(said.output().unwrap().as_str(), value);
        assert!(format!("{said:?}").contains(value), "{said:?}");
    }
}
