//! What a task may use, as its description says it.

use mainstay_protocol::Json;
use mainstay_protocol::json::Shape;

use super::quantity::Quantity;
use super::reader::Reader;

const NAMES: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Resources {
    pub(super) cpu: Bound,
    pub(super) memory: Bound,
    pub(super) storage: Bound,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Bound {
    pub(super) request: Option<Quantity>,
    pub(super) limit: Option<Quantity>,
}

impl Bound {
    pub(super) fn limit_bytes(&self) -> Option<u64> {
        self.limit.as_ref().map(Quantity::whole)
    }
}

impl Resources {
    /// `{cpu: {request, limit}, ..}`, or as a pod has it: `{requests: {cpu}, limits: {cpu}}`.
    pub(super) fn read(reader: &Reader<'_>, at: &str, value: &Json) -> Result<Self, String> {
        let known = [&NAMES[..], &["requests", "limits"]].concat();
        for (member, value) in reader.object(at, value)? {
            let below = format!("{at}.{member}");
            if !known.contains(&member.as_str()) {
                return Err(format!(
                    "{below}: nothing of that is given out here; known are {}",
                    NAMES.join(", ")
                ));
            }
            reader.object(&below, &value)?;
        }
        let bound = |name| bound(reader, at, value, name);
        let [cpu, memory, storage] = NAMES.map(bound);
        Ok(Self {
            cpu: cpu?,
            memory: memory?,
            storage: storage?,
        })
    }
}

fn bound(reader: &Reader<'_>, at: &str, value: &Json, name: &str) -> Result<Bound, String> {
    let one = |own: &str, pods: &str| match value.at([name, own]) {
        Some(found) => quantity(reader, &format!("{at}.{name}.{own}"), &found),
        None => match value.at([pods, name]) {
            Some(found) => quantity(reader, &format!("{at}.{pods}.{name}"), &found),
            None => Ok(None),
        },
    };
    let (request, limit) = (one("request", "requests")?, one("limit", "limits")?);
    match (&request, &limit) {
        (_, Some(limit)) if limit.is_zero() => Err(format!(
            "{at}.{name}: its limit {} leaves it nothing",
            limit.text
        )),
        (Some(request), Some(limit)) if request.is_above(limit) => Err(format!(
            "{at}.{name}: its request {} is above its limit {}",
            request.text, limit.text
        )),
        _ => Ok(Bound { request, limit }),
    }
}

/// A number is one too.
fn quantity(reader: &Reader<'_>, at: &str, value: &Json) -> Result<Option<Quantity>, String> {
    let text = match value.shape() {
        Shape::Null => return Ok(None),
        Shape::Number => value.as_str().to_owned(),
        Shape::Bool | Shape::Text | Shape::Array | Shape::Object => reader.text(at, value)?,
    };
    let read = Quantity::read(&text);
    let read = read.ok_or_else(|| {
        let text = text.escape_debug();
        format!("{at}: \"{text}\" is no quantity; 500m, 1.5, 64Mi and 1G are some")
    });
    read.map(Some)
}
