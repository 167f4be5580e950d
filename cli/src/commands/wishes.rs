//! Files as a request for a plan; and what the station finds wrong with them, told at its place in the file.

use mainstay_api::shapes::Reader;
use mainstay_api::types::{PlanMode, PlanRequest, WishBody};
use mainstay_api::{Client, Problem};
use mainstay_protocol::code;

use crate::app::App;
use crate::console::Console;
use crate::files::{self, Fault, Wish};

/// What the files wish for. Every fault of every file is told, a line each, before the problem that sums them up.
pub fn read(console: &mut Console<'_>, paths: &[String]) -> Result<Vec<Wish>, Problem> {
    read_for(Reader::Plan, console, paths)
}

/// The same of the kinds that another command reads.
pub fn read_for(
    reader: Reader,
    console: &mut Console<'_>,
    paths: &[String],
) -> Result<Vec<Wish>, Problem> {
    let read = files::sources(paths, &mut std::io::stdin().lock())
        .map_err(|faults| (faults, 0))
        .and_then(|sources| files::documents(&sources, reader));
    read.map_err(|(faults, more)| told(console, &faults, more))
}

pub fn request(wishes: &[Wish], mode: PlanMode) -> PlanRequest {
    let body = |wish: &Wish| WishBody {
        kind: wish.kind.name.to_owned(),
        spec: wish.spec.clone(),
    };
    PlanRequest {
        wishes: wishes.iter().map(body).collect(),
        mode,
    }
}

/// The plan of files. What only the cluster could find wrong is told like what was found here.
pub async fn plan(
    app: &mut App<'_>,
    client: &Client,
    wishes: &[Wish],
    mode: PlanMode,
) -> Result<mainstay_api::types::Plan, Problem> {
    let planned = client.plan(&request(wishes, mode)).await;
    planned.map_err(|problem| {
        let faults: Vec<Fault> = problem
            .flaws
            .iter()
            .filter_map(|flaw| Some(wishes.get(flaw.wish)?.fault(&flaw.flaw)))
            .collect();
        match faults.is_empty() {
            true => problem,
            false => told(&mut app.console, &faults, 0).in_request(problem.request_id),
        }
    })
}

/// One line for each fault, and what is to be done about all of them.
pub fn told(console: &mut Console<'_>, faults: &[Fault], more: usize) -> Problem {
    for fault in faults {
        console.complain(&crate::text::one_line(&fault.to_string()));
    }
    let count = faults.len() + more;
    if more > 0 {
        console.complain(&format!("and {more} more"));
    }
    let first = faults.first().map(ToString::to_string).unwrap_or_default();
    let why = match count {
        1 => first,
        _ => format!("{count} faults, the first at {first}"),
    };
    Problem::new(code::BAD_SPEC, "read the files", why).to_do("mainstay explain MS-BAD-SPEC")
}
