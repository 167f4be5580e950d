//! `logs`: what an instance wrote, a process or an actor, from its first line; followed over restarts, its own and its
//! agent's.

use std::time::{Duration, Instant};

use mainstay_api::client::LogsFrom;
use mainstay_api::types::LogPage;
use mainstay_api::{Client, Exit, Problem};
use mainstay_protocol::{InstanceKey, code};
use serde::Serialize;

use crate::app::App;
use crate::arguments::LogsArguments;
use crate::outcome::{Outcome, usage};
use crate::text::printable;

/// Between two looks for what is new.
const LOOK: Duration = Duration::from_millis(250);

pub async fn run(app: &mut App<'_>, arguments: &LogsArguments) -> Outcome {
    if arguments.follow && arguments.previous {
        let why = "what ended writes nothing any more: --previous cannot be followed";
        return Err(usage(format!("logs {}", arguments.reference), why)
            .to_do(format!("mainstay logs {} --previous", arguments.reference)));
    }
    let client = app.client().await?;
    let mut reading = Reading {
        client,
        instance: arguments.reference.clone(),
        from: match arguments.previous {
            true => LogsFrom::Previous,
            false => LogsFrom::Beginning,
        },
        incarnation: None,
        is_overtaken: false,
        lines: Vec::new(),
    };
    while !reading.page(app).await? {
        // What it had when this began has been read, or is gone by now: a flood would never be read to its end.
        if !arguments.follow && reading.is_overtaken {
            app.console
                .say("it writes faster than it is read; -f goes on with it");
            break;
        }
    }
    if !arguments.follow {
        if !app.console.style.is_text() {
            let lines: Vec<Line<'_>> = reading.lines.iter().map(|line| Line::of(line)).collect();
            app.console.answer(&lines, &[], |_| String::new())?;
        }
        return Ok(Exit::Ok);
    }
    reading.follow(app).await
}

struct Reading {
    client: Client,
    instance: InstanceKey,
    from: LogsFrom,
    incarnation: Option<u64>,
    /// Lines went before they were read, and not only before it began to read.
    is_overtaken: bool,
    /// Kept where they are data, which is one list.
    lines: Vec<String>,
}

/// One line of a log, in its parts.
#[derive(Serialize)]
struct Line<'a> {
    time: &'a str,
    /// `out`, `err`, or `hold`, which says what it lost; of an actor the level: `info`, `warn`, `error`. With a `+`
    /// behind it, the line goes on in the next.
    stream: &'a str,
    text: &'a str,
}

impl<'a> Line<'a> {
    fn of(line: &'a str) -> Self {
        let (time, rest) = line.split_once(' ').unwrap_or(("", line));
        let (stream, text) = rest.split_once(' ').unwrap_or((rest, ""));
        Self { time, stream, text }
    }
}

impl Reading {
    /// True: that was all there is for now.
    async fn page(&mut self, app: &mut App<'_>) -> Result<bool, Problem> {
        let (node, placement) = (
            self.instance.node.as_str(),
            self.instance.placement.as_str(),
        );
        let page = self.client.logs(node, placement, &self.from).await?;
        let end = page.end;
        self.show(app, page)?;
        Ok(end)
    }

    fn show(&mut self, app: &mut App<'_>, page: LogPage) -> Result<(), Problem> {
        let is_first = self.incarnation.is_none();
        if page.gap && !self.is_overtaken {
            app.console.say("older lines are not kept any more");
        }
        self.is_overtaken |= page.gap && !is_first;
        self.incarnation = Some(page.incarnation);
        for line in page.text.lines() {
            if !app.console.style.is_text() {
                self.lines.push(line.to_owned());
            } else {
                app.console.data(&format!("{}\n", printable(line)))?;
            }
        }
        self.from = LogsFrom::After(page.next);
        Ok(())
    }

    /// Until interrupted. A station or agent that goes away is waited for, for as long as `--timeout` says, else for ever.
    async fn follow(&mut self, app: &mut App<'_>) -> Outcome {
        let mut lost: Option<Instant> = None;
        loop {
            for line in std::mem::take(&mut self.lines) {
                let told = || line.clone();
                app.console.one_of_many(&Line::of(&line), "", told)?;
            }
            tokio::time::sleep(LOOK).await;
            match self.look(app).await {
                Ok(()) => {
                    if lost.take().is_some() {
                        app.console.say("it is back");
                    }
                }
                Err(problem) if is_passing(&problem) => {
                    let since = *lost.get_or_insert_with(|| {
                        app.console
                            .say(&format!("{}; going on when it is back", problem.why));
                        Instant::now()
                    });
                    let timeout = app.global.timeout;
                    if timeout.is_some_and(|timeout| since.elapsed() >= timeout) {
                        return Err(problem);
                    }
                }
                Err(problem) => return Err(problem),
            }
        }
    }

    /// What is new; when that was all, and a later incarnation is there, it goes on with that one.
    async fn look(&mut self, app: &mut App<'_>) -> Result<(), Problem> {
        let (node, placement) = (
            self.instance.node.as_str(),
            self.instance.placement.as_str(),
        );
        // Asked first: what an incarnation says last is read before the next one is turned to.
        let now = self.client.instance(node, placement).await?.incarnation;
        while !self.page(app).await? {}
        if self.incarnation.is_some_and(|shown| shown < now) {
            let from = std::mem::replace(&mut self.from, LogsFrom::Beginning);
            match self.page(app).await {
                Ok(_) => app.console.say(&format!("incarnation {now}")),
                // It has not begun to write.
                Err(problem) if problem.code == code::NOT_FOUND => self.from = from,
                Err(problem) => {
                    self.from = from;
                    return Err(problem);
                }
            }
        }
        Ok(())
    }
}

/// What comes back by itself.
fn is_passing(problem: &Problem) -> bool {
    let away = [
        code::AGENT_DOWN,
        code::AGENT_SILENT,
        code::TIMEOUT,
        code::NODE_AWAY,
    ];
    problem.is_retryable() || away.contains(&problem.code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_its_time_its_stream_and_its_text_as_it_was_written() {
        let line = Line::of("2026-11-21T09:07:32.123456Z err+ no  such table ");
        assert_eq!(line.time, "2026-11-21T09:07:32.123456Z");
        assert_eq!((line.stream, line.text), ("err+", "no  such table "));
        assert_eq!(Line::of("t out ").text, "");
    }
}
