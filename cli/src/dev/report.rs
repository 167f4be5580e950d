//! What a dev cluster that is ready says: where things are, and what to try.

use std::io::{self, Write};
use std::path::PathBuf;

use mainstay_api::Problem;
use rustix::stdio::{dup2_stderr, dup2_stdout};
use serde::Serialize;

use super::demo::Demo;
use super::layout::Layout;
use crate::app::App;
use crate::arguments::DevArguments;
use crate::home::DEV;
use crate::outcome::machine;

/// Where things are, and what to try.
#[derive(Serialize)]
struct Report {
    context: &'static str,
    /// Of the first station.
    socket: PathBuf,
    sockets: Vec<PathBuf>,
    directory: PathBuf,
    logs: PathBuf,
    nodes: Vec<String>,
    stations: Vec<String>,
    demo: Option<DemoReport>,
    #[serde(rename = "try")]
    to_try: [String; 3],
}

impl Report {
    fn text(&self) -> String {
        let [first, second, third] = &self.to_try;
        let demo = match &self.demo {
            Some(DemoReport { file, page }) => {
                format!("demo       {}\npage       {page}\n", file.display())
            }
            None => String::new(),
        };
        let stations = match self.stations.len() {
            1 => "station",
            _ => "stations",
        };
        let sockets: Vec<String> = self
            .sockets
            .iter()
            .map(|socket| socket.display().to_string())
            .collect();
        format!(
            "ready: {} and {stations} {}\ncontext    {DEV} (now the current one)\ndata       {}\nlogs       {}\n\
             socket     {}\n{demo}try        {first}\n           {second}\n           {third}\n",
            self.nodes.join(", "),
            self.stations.join(", "),
            self.directory.display(),
            self.logs.display(),
            sockets.join("\n           "),
        )
    }
}

#[derive(Serialize)]
struct DemoReport {
    /// Of what was applied.
    file: PathBuf,
    page: String,
}

fn to_try(nodes: u16, demo: bool) -> [String; 3] {
    match demo {
        true => [
            "mainstay status".to_owned(),
            format!("mainstay chaos kill worker@n{}", nodes.min(2)),
            "mainstay why web".to_owned(),
        ],
        false => [
            "mainstay status",
            "mainstay get nodes",
            "mainstay get types",
        ]
        .map(str::to_owned),
    }
}

pub fn report(
    app: &mut App<'_>,
    arguments: &DevArguments,
    layout: &Layout,
    demo: Option<&Demo>,
) -> Result<(), Problem> {
    let demo = match demo {
        Some(demo) => Some(DemoReport {
            file: demo.file.clone(),
            page: demo.page()?,
        }),
        None => None,
    };
    let report = Report {
        context: DEV,
        socket: layout.api_socket("s1"),
        sockets: layout.api_sockets(),
        directory: layout.root.clone(),
        logs: layout.logs(),
        nodes: layout.size.nodes().collect(),
        stations: layout.size.stations().collect(),
        to_try: to_try(arguments.nodes, demo.is_some()),
        demo,
    };
    let references: Vec<String> = report
        .nodes
        .iter()
        .map(|node| format!("node/{node}"))
        .collect();
    app.console
        .answer(&report, &references, |_| report.text())?;
    let end = match arguments.detached {
        true => "`mainstay dev stop`",
        false => "Ctrl-C",
    };
    let kept = arguments.keep || layout.reopened;
    app.console.say(&match kept {
        true => format!("{end} ends it; its data stays in {}", layout.root.display()),
        false => format!("{end} ends it and removes everything it made"),
    });
    match arguments.detached {
        true => let_go_of_the_terminal(layout),
        false => Ok(()),
    }
}

/// Whoever started a detached cluster reads until its streams end, and that is now. The last byte says that it is
/// ready: a parent that merely ended does not write it.
fn let_go_of_the_terminal(layout: &Layout) -> Result<(), Problem> {
    let doing = |error: io::Error| machine("write the parent's log", error);
    io::stdout()
        .write_all(&[super::detach::READY])
        .and_then(|()| io::stdout().flush())
        .map_err(doing)?;
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(layout.log("dev"))
        .map_err(doing)?;
    dup2_stdout(&log).map_err(|error| doing(error.into()))?;
    dup2_stderr(&log).map_err(|error| doing(error.into()))
}
