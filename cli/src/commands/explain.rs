//! `explain`: the page of a reason code, as it is in `docs/codes`; what a kind and its keys are. Needs no station.

use mainstay_api::explain::{self, Explained};
use mainstay_api::{Exit, Problem};
use mainstay_protocol::code;
use mainstay_protocol::words::nearest;
use serde::Serialize;

use crate::app::App;
use crate::outcome::Outcome;
use crate::table::{Cell, Look, Table};

/// Every code with its page, in the order of the codes.
const PAGES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/code_pages.rs"));

#[derive(Serialize)]
struct Page<'a> {
    code: &'a str,
    page: &'a str,
}

pub fn run(app: &mut App<'_>, wanted: &str) -> Outcome {
    if !is_code(wanted) {
        let explained = explain::explain(wanted)?;
        app.console
            .answer(&explained, &[], |look| text(&explained, look))?;
        return Ok(Exit::Ok);
    }
    let code = wanted.to_ascii_uppercase();
    let Some((code, page)) = PAGES.iter().find(|(known, _)| *known == code) else {
        return Err(unknown(wanted));
    };
    let explained = Page { code, page };
    app.console
        .answer(&explained, &[], |_| (*page).to_owned())?;
    Ok(Exit::Ok)
}

/// Codes begin alike, and no kind does so.
fn is_code(wanted: &str) -> bool {
    let begin = wanted.get(..2).unwrap_or_default();
    begin.eq_ignore_ascii_case("MS")
}

fn text(explained: &Explained, look: Look) -> String {
    let mut out = format!(
        "{} ({})\n  {}\n",
        explained.path, explained.shape, explained.text
    );
    if explained.fields.is_empty() {
        return out;
    }
    let mut table = Table::new(&["KEY", "TYPE", "MEANING"]);
    for field in &explained.fields {
        table.row(vec![
            Cell::new(&field.name),
            Cell::new(&field.shape),
            Cell::new(&field.text),
        ]);
    }
    out.push('\n');
    out.push_str(&table.render(look));
    out
}

fn unknown(wanted: &str) -> Problem {
    let mut problem = Problem::new(
        code::NOT_FOUND,
        format!("explain {wanted}"),
        "there is no such code",
    )
    .to_do("mainstay explain MS-NAME-HELD");
    problem.nearest = nearest(
        &wanted.to_ascii_uppercase(),
        PAGES.iter().map(|(code, _)| *code),
    );
    problem
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_the_protocol_has_its_page_in_the_program() {
        let known: Vec<&str> = code::ALL.iter().map(|(code, _)| code.as_str()).collect();
        for code in &known {
            let page = PAGES.iter().find(|(name, _)| name == code);
            let (_, text) = page.unwrap_or_else(|| panic!("{code} has no page"));
            assert!(text.starts_with(&format!("# {code}\n")), "{code}");
        }
        assert_eq!(PAGES.len(), known.len(), "a page without a code");
    }

    #[test]
    fn a_mistyped_code_is_told_its_nearest() {
        let problem = unknown("ms-name-hold");
        assert_eq!(problem.exit, Exit::NotFound);
        assert!(problem.nearest.contains(&"MS-NAME-HELD".to_owned()));
    }
}
