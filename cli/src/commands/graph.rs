//! `graph`: what is related to what, as a tree, for Graphviz, or as data; and `graph check`.

mod dot;
mod tree;

use mainstay_api::{Exit, Problem};
use mainstay_protocol::code;

use crate::app::App;
use crate::arguments::{Format, GraphArguments, GraphCommand, GraphFormat};
use crate::console::Style;
use crate::outcome::{Outcome, usage};
use crate::table::{Cell, Table};

pub async fn run(app: &mut App<'_>, arguments: &GraphArguments) -> Outcome {
    if let Some(GraphCommand::Check) = arguments.command {
        return check(app).await;
    }
    let reference = arguments.reference.as_ref().map(ToString::to_string);
    let format = format(arguments.format, app.global.output)?;
    let client = app.client().await?;
    let depth = arguments.depth.map(usize::from);
    let graph = client.graph(reference.as_deref(), depth).await?;
    match format {
        GraphFormat::Dot => app.console.data(&dot::text(&graph))?,
        GraphFormat::Json => {
            let style = Style {
                format: Format::Json,
                ..app.console.style
            };
            let text = style.render(&graph, &[], |_| String::new())?;
            app.console.data(&text)?;
        }
        GraphFormat::Tree | GraphFormat::Svg => {
            let vertices = graph.vertices.iter();
            let references: Vec<String> = vertices.map(|one| one.reference.clone()).collect();
            app.console
                .answer(&graph, &references, |look| tree::text(&graph, look.colour))?;
        }
    }
    if graph.is_cut {
        app.console
            .say("there is more than is shown; name a REF, or a smaller --depth");
    }
    Ok(Exit::Ok)
}

/// `--format` speaks of pictures, `-o` of data; they may not contradict each other.
fn format(format: Option<GraphFormat>, output: Format) -> Result<GraphFormat, Problem> {
    let refuse =
        |why: &str, do_this: &str| Err(usage("draw the graph", why).to_do(do_this.to_owned()));
    match (format, output) {
        (Some(GraphFormat::Svg), _) => refuse(
            "Mainstay draws no SVG; Graphviz makes one of --format dot: dot -Tsvg",
            "mainstay graph --format dot",
        ),
        (None, _) | (Some(GraphFormat::Tree), Format::Table | Format::Wide) => {
            Ok(GraphFormat::Tree)
        }
        (Some(GraphFormat::Json), Format::Table | Format::Wide | Format::Json) => {
            Ok(GraphFormat::Json)
        }
        (Some(GraphFormat::Dot), Format::Table | Format::Wide) => Ok(GraphFormat::Dot),
        (Some(_), _) => refuse(
            "--format and -o do not go together",
            "mainstay graph --help",
        ),
    }
}

async fn check(app: &mut App<'_>) -> Outcome {
    let problems = app.client().await?.graph_check().await?;
    let mut table = Table::new(&["REF", "WHAT MUST NOT BE"]);
    for problem in &problems {
        table.row(vec![
            Cell::new(&problem.reference),
            Cell::new(&problem.text),
        ]);
    }
    let reference = |problem: &mainstay_api::types::GraphProblem| problem.reference.clone();
    app.console
        .list(&problems, reference, &table, "the graph is sound")?;
    if problems.is_empty() {
        return Ok(Exit::Ok);
    }
    let why = format!(
        "{} things are so that must not be in any graph",
        problems.len()
    );
    Err(Problem::new(code::INTERNAL, "check the graph", why).to_do("mainstay parked list"))
}

#[cfg(test)]
pub(super) mod sample {
    use mainstay_api::types::{Graph, GraphRelation, GraphVertex};

    /// web@n1 and web@n2 of one placement: a circle through placement and type.
    pub fn graph(root: Option<&str>) -> Graph {
        let vertex = |reference: &str, kind: &str, state: Option<&str>| GraphVertex {
            reference: reference.to_owned(),
            kind: kind.to_owned(),
            state: state.map(str::to_owned),
        };
        let relation = |from: &str, relation: &str, to: &str| GraphRelation {
            from: from.to_owned(),
            relation: relation.to_owned(),
            to: to.to_owned(),
        };
        Graph {
            root: root.map(str::to_owned),
            depth: root.map(|_| 2),
            vertices: vec![
                vertex("type/t", "type", None),
                vertex("web", "placement", None),
                vertex("web@n1", "instance", Some("Running")),
                vertex("web@n2", "instance", Some("Failed")),
            ],
            relations: vec![
                relation("web", "OfType", "type/t"),
                relation("web@n1", "InstanceOf", "type/t"),
                relation("web@n1", "PlacedBy", "web"),
                relation("web@n2", "PlacedBy", "web"),
            ],
            is_cut: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_drawn_is_refused_with_what_draws_it() {
        let refused = format(Some(GraphFormat::Svg), Format::Table).unwrap_err();
        assert_eq!(
            (refused.exit, refused.to_do.as_str()),
            (Exit::Usage, "mainstay graph --format dot")
        );
        assert!(format(Some(GraphFormat::Dot), Format::Yaml).is_err());
        assert_eq!(format(None, Format::Yaml), Ok(GraphFormat::Tree));
    }
}
