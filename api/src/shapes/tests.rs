//! The reference in `docs/files.md` lists every field, from the table itself.

use std::path::Path;

use super::{CLUSTER, Field, Of, PLACEMENT, SETTINGS, Shape};

/// A row for each field, those of objects under the path they are written at.
fn rows(shape: &'static Shape, above: &str, columns: fn(&Field) -> String, out: &mut String) {
    for field in shape.fields {
        let path = match above.is_empty() {
            true => field.name.to_owned(),
            false => format!("{above}.{}", field.name),
        };
        let below = match field.of {
            Of::Object(shape) => Some(shape),
            Of::List(Of::Object(shape)) => Some(*shape),
            Of::Bool
            | Of::Name(..)
            | Of::Count { .. }
            | Of::Duration { .. }
            | Of::Cores
            | Of::Bytes
            | Of::OneOf(_)
            | Of::List(_)
            | Of::Words
            | Of::Labels
            | Of::Free => None,
        };
        match below {
            None => out.push_str(&format!("| `{path}` | {} |\n", columns(field))),
            Some(shape) => {
                out.push_str(&format!("| `{path}` | {} |\n", columns(field)));
                rows(shape, &path, columns, out);
            }
        }
    }
}

fn of_wish(field: &Field) -> String {
    let holds = match field.of {
        Of::Object(_) => String::new(),
        Of::List(Of::Object(_)) => " (a list)".to_owned(),
        of => format!(" ({})", of.words()),
    };
    let default = match (field.required, field.default) {
        (true, _) => "must be said",
        (false, default) => default,
    };
    format!("{}{holds} | {default}", field.doc)
}

fn of_settings(field: &Field) -> String {
    let range = match field.of {
        Of::Count { min, max } => format!(" ({min} to {max})"),
        Of::Duration { min_ms, max_ms } => format!(
            " ({} to {})",
            super::duration_text(min_ms),
            super::duration_text(max_ms)
        ),
        _ => String::new(),
    };
    format!("{}{range}", field.doc)
}

/// What stands between a table's head and the next empty line.
fn with_table(page: &str, head: &str, rows: &str) -> String {
    let start = page
        .find(head)
        .unwrap_or_else(|| panic!("no table {head:?}"))
        + head.len();
    let end = page[start - 1..]
        .find("\n\n")
        .map_or(page.len(), |end| start + end);
    format!("{}{rows}{}", &page[..start], &page[end..])
}

/// `UPDATE=1` rewrites the tables.
#[test]
fn the_reference_lists_every_field_of_every_shape() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/files.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let mut placement = String::new();
    rows(&PLACEMENT, "", of_wish, &mut placement);
    let mut cluster = String::new();
    rows(&CLUSTER, "", of_wish, &mut cluster);
    let mut settings = String::new();
    rows(&SETTINGS, "", of_settings, &mut settings);
    let expected = with_table(
        &page,
        "| field | what it is | where nothing is said |\n|---|---|---|\n",
        &placement,
    );
    let expected = with_table(
        &expected,
        "| field of a cluster | what it is | where nothing is said |\n|---|---|---|\n",
        &cluster,
    );
    let expected = with_table(
        &expected,
        "| setting | what it is |\n|---|---|\n",
        &settings,
    );
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &expected).unwrap();
    } else {
        assert_eq!(page, expected);
    }
}
