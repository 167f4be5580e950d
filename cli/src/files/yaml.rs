//! YAML 1.2 with its core schema: `no`, `on` and `1:30` are texts. The parser gives events; this builds trees of them
//! without recursion, follows aliases within a bound, and goes on at the next document after one that cannot be read.

mod scalar;

use std::collections::BTreeMap;

use mainstay_protocol::limits;
use saphyr_parser::{Event, Marker, Parser, ScanError, Span, Tag};

use super::fault::Faults;
use super::tree::{FieldsOf, Lines, Node, Place, Value, too_deep, too_many, twice};

/// The documents of a text; empty ones are none.
pub fn read(text: &str, faults: &mut Faults) -> Vec<Node> {
    let lines = Lines::new(text);
    let mut builder = Builder::new(faults, &lines);
    // The parser does not recover. A line that begins with `---` begins a document wherever it stands, so what follows
    // one is read by a new parser, and its faults are told as well.
    let mut begin = 0;
    loop {
        builder.lines_before = lines.place(begin).line - 1;
        let Err(error) = builder.document_stream(&text[begin..]) else {
            break;
        };
        let at = builder.place(error.marker());
        builder.faults.add(at, told(&error, text, at));
        let Some(next) = next_document(text, &lines, at.line, begin) else {
            break;
        };
        begin = next;
    }
    builder.documents
}

/// Where the first line after `line` that begins with `---` starts.
fn next_document(text: &str, lines: &Lines<'_>, line: usize, begin: usize) -> Option<usize> {
    (line + 1..=lines.count())
        .map(|line| lines.start(line))
        .find(|start| *start > begin && is_document_start(&text[*start..]))
}

fn is_document_start(rest: &str) -> bool {
    rest.strip_prefix("---")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\n', '\r']))
}

/// The parser's words, and what they mean where that can be known.
fn told(error: &ScanError, text: &str, at: Place) -> String {
    let info = error.info();
    let line = text
        .split(['\n', '\r'])
        .nth(at.line.saturating_sub(1))
        .unwrap_or_default();
    let indent = &line[..line.len() - line.trim_start().len()];
    if indent.contains('\t') {
        return "a tab indents this line; YAML is indented with spaces".to_owned();
    }
    format!("this is not YAML: {info}")
}

struct Builder<'f> {
    faults: &'f mut Faults,
    lines: &'f Lines<'f>,
    documents: Vec<Node>,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Node>,
    /// Lines before what the present parser sees.
    lines_before: usize,
    nodes: usize,
    /// The rest of this document is not looked at: what is wrong with it was told.
    skip: bool,
}

/// A list or map whose end has not come.
struct Open {
    at: Place,
    anchor: usize,
    inside: Inside,
}

enum Inside {
    List(Vec<Node>),
    Fields {
        fields: FieldsOf,
        key: Option<(String, Place)>,
    },
    /// Its tag makes no sense here; what is in it is read and forgotten.
    Refused,
}

impl<'f> Builder<'f> {
    fn new(faults: &'f mut Faults, lines: &'f Lines<'f>) -> Self {
        Self {
            faults,
            lines,
            documents: Vec::new(),
            open: Vec::new(),
            anchors: BTreeMap::new(),
            lines_before: 0,
            nodes: 0,
            skip: false,
        }
    }

    fn document_stream(&mut self, text: &str) -> Result<(), ScanError> {
        self.begin();
        for event in Parser::new_from_str(text) {
            let (event, span) = event?;
            self.event(event, span);
        }
        Ok(())
    }

    fn begin(&mut self) {
        self.open.clear();
        self.anchors.clear();
        self.skip = false;
    }

    fn place(&self, marker: &Marker) -> Place {
        self.lines.within(Place {
            line: marker.line() + self.lines_before,
            column: marker.col() + 1,
        })
    }

    fn event(&mut self, event: Event<'_>, span: Span) {
        let at = self.place(&span.start);
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd => {}
            Event::DocumentStart(_) | Event::DocumentEnd => self.begin(),
            _ if self.skip => {}
            Event::Scalar(text, style, anchor, tag) => {
                if self.wants_key() {
                    self.key(&text, at);
                    return;
                }
                let value = match scalar::value(&text, style, tag.as_deref()) {
                    Ok(value) => value,
                    Err(why) => {
                        self.faults.add(at, why);
                        Value::Bad
                    }
                };
                self.node(Node::new(at, value), anchor);
            }
            Event::SequenceStart(anchor, tag) => {
                self.open(at, anchor, tag.as_deref(), "seq", Inside::List(Vec::new()));
            }
            Event::MappingStart(anchor, tag) => {
                let fields = Inside::Fields {
                    fields: FieldsOf::default(),
                    key: None,
                };
                self.open(at, anchor, tag.as_deref(), "map", fields);
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => self.alias(at, anchor),
        }
    }

    fn wants_key(&self) -> bool {
        matches!(
            self.open.last(),
            Some(Open {
                inside: Inside::Fields { key: None, .. },
                ..
            })
        )
    }

    fn key(&mut self, text: &str, at: Place) {
        if let Some(Open {
            inside: Inside::Fields { key, .. },
            ..
        }) = self.open.last_mut()
        {
            *key = Some((text.to_owned(), at));
        }
    }

    fn give_up(&mut self, at: Place, why: impl Into<String>) {
        self.faults.add(at, why);
        self.skip = true;
        self.open.clear();
        self.documents.push(Node::new(at, Value::Bad));
    }

    fn open(&mut self, at: Place, anchor: usize, tag: Option<&Tag>, own: &str, inside: Inside) {
        if self.wants_key() {
            return self.give_up(at, "the name of a field is a text, not a list or a map");
        }
        if self.open.len() >= limits::FILE_DEPTH_MAX {
            return self.give_up(at, too_deep());
        }
        let inside = match tag {
            Some(tag) if !(tag.is_yaml_core_schema() && tag.suffix == own) => {
                self.faults.add(at, scalar::no_such_tag(tag));
                Inside::Refused
            }
            Some(_) | None => inside,
        };
        self.open.push(Open { at, anchor, inside });
    }

    fn close(&mut self) {
        let Some(Open { at, anchor, inside }) = self.open.pop() else {
            return;
        };
        let value = match inside {
            Inside::List(items) => Value::List(items),
            Inside::Fields { fields, .. } => fields.done(),
            Inside::Refused => Value::Bad,
        };
        self.node(Node::new(at, value), anchor);
    }

    fn alias(&mut self, at: Place, anchor: usize) {
        if self.wants_key() {
            return self.give_up(at, "the name of a field is a text, not an alias");
        }
        if self.open.iter().any(|open| open.anchor == anchor) {
            return self.give_up(at, "this alias stands for what it is in");
        }
        let Some(node) = self.anchors.get(&anchor).cloned() else {
            return self.give_up(
                at,
                "there is no anchor of this name before it in the document",
            );
        };
        // What is in it keeps its own places: that is where it can be put right.
        self.nodes += node.count();
        self.node(node, 0);
    }

    /// A value that is complete goes where it belongs.
    fn node(&mut self, node: Node, anchor: usize) {
        self.nodes += 1;
        if self.nodes > limits::FILE_NODES_MAX {
            return self.give_up(node.at, too_many());
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|open| &mut open.inside) {
            None => {
                if node.value != Value::Null {
                    self.documents.push(node);
                }
            }
            Some(Inside::Refused) => {}
            Some(Inside::List(items)) => items.push(node),
            Some(Inside::Fields { fields, key }) => {
                let Some((key, at)) = key.take() else {
                    return;
                };
                if key == "<<" {
                    let why = "merge keys (<<) are YAML 1.1 and not taken: write the fields out, or alias a whole value";
                    self.faults.add(at, why);
                } else if let Err((key, first)) = fields.add(key, at, node) {
                    self.faults.add(at, twice(&key, first));
                }
            }
        }
    }
}
