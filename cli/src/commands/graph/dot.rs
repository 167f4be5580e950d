//! The graph as Graphviz reads it.

use mainstay_api::types::Graph;

use crate::table::Tone;

pub fn text(graph: &Graph) -> String {
    let mut out = String::from(
        "digraph mainstay {\n  rankdir=LR;\n  node [shape=box, fontname=\"sans-serif\"];\n",
    );
    for vertex in &graph.vertices {
        let state = vertex.state.as_deref().unwrap_or_default();
        let label = match state {
            "" => vertex.reference.clone(),
            state => format!("{}\n{state}", vertex.reference),
        };
        let colour = match Tone::of(state) {
            Tone::Plain => "black",
            Tone::Good => "darkgreen",
            Tone::Uneasy => "darkorange",
            Tone::Bad => "red",
            Tone::Faint => "gray",
        };
        let root = match graph.root.as_ref() == Some(&vertex.reference) {
            true => ", penwidth=2",
            false => "",
        };
        out.push_str(&format!(
            "  {} [label={}, color={colour}{root}];\n",
            quoted(&vertex.reference),
            quoted(&label)
        ));
    }
    for related in &graph.relations {
        out.push_str(&format!(
            "  {} -> {} [label={}];\n",
            quoted(&related.from),
            quoted(&related.to),
            quoted(&related.relation)
        ));
    }
    out.push_str("}\n");
    out
}

/// In quotes only the quote and the backslash mean something.
fn quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", text.replace('\n', "\\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::graph::sample;

    #[test]
    fn every_vertex_and_relation_is_drawn_once_and_names_are_quoted() {
        let drawn = text(&sample::graph(Some("web@n1")));
        assert!(
            drawn.contains(
                "  \"web@n1\" [label=\"web@n1\\nRunning\", color=darkgreen, penwidth=2];\n"
            ),
            "{drawn}"
        );
        assert!(
            drawn.contains("  \"web@n2\" -> \"web\" [label=\"PlacedBy\"];\n"),
            "{drawn}"
        );
        assert_eq!(drawn.matches(" -> ").count(), 4, "{drawn}");
        assert_eq!(quoted("a\"b\\c\nd"), "\"a\\\"b\\\\c\\nd\"");
    }
}
