//! What can be said behind the `?` of a path. The station refuses every other word, and a test compares what it then
//! says there is with what is written here.

/// A parameter of a query.
#[derive(Debug, Clone, Copy)]
pub struct Word {
    pub name: &'static str,
    pub about: &'static str,
    pub shape: Shape,
    pub is_needed: bool,
}

#[derive(Debug, Clone, Copy)]
pub enum Shape {
    Text,
    Number,
    /// Set to 1, or not there.
    Set,
}

const fn word(name: &'static str, shape: Shape, about: &'static str) -> Word {
    Word {
        name,
        about,
        shape,
        is_needed: false,
    }
}

const REF: Word = word(
    "ref",
    Shape::Text,
    "Of what: placement, placement@node, or kind/name.",
);
const CURSOR: Word = word(
    "cursor",
    Shape::Text,
    "Where a page goes on: what the page before said as mainstay-next.",
);
const LIMIT: Word = word("limit", Shape::Number, "So many at most.");
const USES: Word = word(
    "usage",
    Shape::Set,
    "Also what each instance uses of its machine.",
);

/// Of every list of a kind; what the kind does not have is ignored.
pub const LIST: &[Word] = &[
    word("node", Shape::Text, "Those on this node."),
    word("placement", Shape::Text, "Those of this placement."),
    word(
        "type",
        Shape::Text,
        "Those of this service type; of runs, of this orchestration.",
    ),
    word("state", Shape::Text, "Those in this state."),
    word("correlation", Shape::Text, "Runs with this correlation id."),
    CURSOR,
    LIMIT,
    USES,
];
pub const USAGE: &[Word] = &[USES];
pub const OF: &[Word] = &[REF];
pub const OF_ONE: &[Word] = &[Word {
    is_needed: true,
    ..REF
}];
pub const OF_ONE_AND_USAGE: &[Word] = &[
    Word {
        is_needed: true,
        ..REF
    },
    USES,
];
pub const AROUND: &[Word] = &[
    REF,
    word(
        "depth",
        Shape::Number,
        "So many relations away from it; 2 where nothing is said.",
    ),
];
pub const EVENTS: &[Word] = &[
    word(
        "after",
        Shape::Number,
        "Those behind the one with this seq.",
    ),
    LIMIT,
    REF,
    CURSOR,
];
pub const DECISIONS: &[Word] = &[
    REF,
    word("rule", Shape::Text, "Those of this rule."),
    LIMIT,
    CURSOR,
];
pub const LOGS: &[Word] = &[
    word("after", Shape::Text, "Behind a page: what it said as next."),
    word("previous", Shape::Set, "Of the incarnation before."),
];
pub const ARTIFACT: &[Word] = &[
    word(
        "sha256",
        Shape::Text,
        "What the body is to have, in hexadecimal.",
    ),
    word("name", Shape::Text, "What people call it."),
    word("media-type", Shape::Text, "What it is, as in text/csv."),
];
pub const NONE: &[Word] = &[];
