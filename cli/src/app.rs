//! What a command runs with: its console, its home, and the station of the chosen context.

use std::env;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use mainstay_api::client::{NOBODY_ANSWERS, SILENT};
use mainstay_api::{Client, Problem};
use mainstay_protocol::code;
use tokio::net::UnixStream;

use crate::arguments::Global;
use crate::console::Console;
use crate::home::{Context, Home};
use crate::process;

pub struct App<'a> {
    pub console: Console<'a>,
    pub home: Home,
    pub global: Global,
    /// The stations that were asked, and by which context.
    pub asked: Option<(Context, Client)>,
}

/// A command asks a dev cluster's station that is starting again for so long, so often.
const STATION_BACK_MAX: Duration = Duration::from_millis(1500);
const STATION_LOOK: Duration = Duration::from_millis(20);

/// For how long changes are awaited, unless told otherwise: longer than any start or stop deadline by default.
const WAIT_DEFAULT: Duration = Duration::from_secs(60);

impl App<'_> {
    /// The cluster that is meant.
    pub fn context(&self) -> Result<Context, Problem> {
        let from_environment = env::var("MAINSTAY_CONTEXT")
            .ok()
            .filter(|name| !name.is_empty());
        let named = self.global.context.clone().or(from_environment);
        self.home.choose(named.as_deref())
    }

    pub async fn client(&mut self) -> Result<Client, Problem> {
        let context = self.context()?;
        let sockets = context
            .sockets
            .iter()
            .map(|socket| socket.display().to_string());
        let stations = context.stations.iter().map(ToString::to_string);
        let sockets: Vec<String> = sockets.chain(stations).collect();
        self.console
            .detail(&format!("context {}: {}", context.name, sockets.join(", ")));
        if context
            .dev
            .as_ref()
            .is_some_and(|dev| process::is_alive(dev.parent))
        {
            self.station_back(&context.sockets).await;
        }
        let client = context.client()?;
        self.asked = Some((context, client.clone()));
        Ok(match self.global.timeout {
            Some(timeout) => client.with_timeout(timeout),
            None => client,
        })
    }

    /// A dev cluster's station that ended is started again at once: worth a moment, not more.
    async fn station_back(&mut self, sockets: &[PathBuf]) {
        let patience = self
            .global
            .timeout
            .unwrap_or(STATION_BACK_MAX)
            .min(STATION_BACK_MAX);
        let started = Instant::now();
        while started.elapsed() < patience && !any_is_open(sockets).await {
            self.console.detail("its station is starting");
            tokio::time::sleep(STATION_LOOK).await;
        }
    }

    /// The group changes while people work with it: from now on those are asked that are there.
    pub fn keep_told_stations(&mut self) {
        let Some((context, client)) = self.asked.take() else {
            return;
        };
        let told = client.told_stations();
        let told = told.filter(|told| !context.stations.is_empty() && *told != context.stations);
        let Some(stations) = told else { return };
        // Whoever joined anew meanwhile has written what is newer.
        let now = self.home.context(&context.name).ok().flatten();
        if now.as_ref() != Some(&context) {
            return;
        }
        if let Err(problem) = self.home.write(&Context {
            stations,
            ..context
        }) {
            self.console.detail(&format!(
                "where the stations are now is not kept: {}",
                problem.why
            ));
        }
    }

    pub fn wait_timeout(&self) -> Duration {
        self.global.timeout.unwrap_or(WAIT_DEFAULT)
    }

    /// Says what is known here about a server that does not answer.
    pub fn explain(&self, problem: Problem) -> Problem {
        if problem.code != code::NO_SERVER {
            return problem;
        }
        let Ok(context) = self.context() else {
            return problem;
        };
        let Some(dev) = &context.dev else {
            return match problem.why.starts_with(NOBODY_ANSWERS) {
                true => problem.to_do("mainstay version"),
                false => problem,
            };
        };
        let mut problem = problem;
        let alive = process::is_alive(dev.parent);
        let starting = problem.why.starts_with(NOBODY_ANSWERS) && !problem.why.contains(SILENT);
        if alive && !starting {
            // It runs; that it says nothing was said.
            problem
        } else if alive {
            let again = match context.sockets.len() {
                1 => "the dev cluster's station is starting again",
                _ => "the dev cluster's stations are starting again",
            };
            problem.why = format!("{}; {again}", problem.why);
            problem.to_do("mainstay status")
        } else {
            problem.why = format!(
                "the dev cluster of context {} is no more: its parent, process {}, has ended",
                context.name, dev.parent.pid
            );
            problem.to_do("mainstay dev")
        }
    }
}

async fn any_is_open(sockets: &[PathBuf]) -> bool {
    for socket in sockets {
        if UnixStream::connect(socket).await.is_ok() {
            return true;
        }
    }
    false
}
