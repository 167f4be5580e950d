//! The graph as it is, and what would be affected if a part of it failed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A part of the graph, or the whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Graph {
    /// Where it was looked from; null for the whole.
    pub root: Option<String>,
    /// So many relations away from it, at most; null for the whole.
    pub depth: Option<u64>,
    /// What there is.
    pub vertices: Vec<GraphVertex>,
    /// What is related to what.
    pub relations: Vec<GraphRelation>,
    /// Whether there is more than is shown.
    pub is_cut: bool,
}

/// A vertex of the graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GraphVertex {
    /// What it is called.
    #[serde(rename = "ref")]
    pub reference: String,
    /// Its kind.
    pub kind: String,
    /// Null for what has none.
    pub state: Option<String>,
}

/// A relation of the graph.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct GraphRelation {
    /// From what it leads.
    pub from: String,
    /// Its name, as in RunsOn or Holds.
    pub relation: String,
    /// To what it leads.
    pub to: String,
}

/// Something that must not be so in any graph, found by looking at all of it: a defect of Mainstay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GraphProblem {
    /// What it is about.
    #[serde(rename = "ref")]
    pub reference: String,
    /// What is wrong, in words.
    pub text: String,
}

/// What would be affected if it failed now. What would be done about it is not foreseen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Impact {
    /// What might fail.
    #[serde(rename = "ref")]
    pub reference: String,
    /// What it is now; null for what has none.
    pub state: Option<String>,
    /// In a sentence.
    pub text: String,
    /// Live instances that would end.
    pub instances: Vec<String>,
    /// Placements that would lose some of theirs.
    pub placements: Vec<Loss>,
    /// Names under which nobody would answer.
    pub names: Vec<String>,
    /// Instances that wait for one of these names, and would be next.
    pub waiting: Vec<String>,
    /// Live instances that nobody would watch meanwhile.
    pub unwatched: Vec<String>,
    /// Placements that depend on what would be gone, directly or through others.
    pub depending: Vec<String>,
}

/// What a placement would be left with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Loss {
    /// The placement.
    #[serde(rename = "ref")]
    pub reference: String,
    /// Instances wanted running.
    pub want: u64,
    /// Instances that run.
    pub have: u64,
    /// Of them, those that would still run.
    pub left: u64,
}
