//! `-w`: a look that goes on. The station says when to look again; nothing is asked in between. On a terminal the
//! answer is drawn anew; into a pipe or a file goes a line for each thing that changed. Goes on over restarts of the
//! station.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use mainstay_api::{Client, Exit, Problem, Time};
use serde_json::Value;

use crate::app::App;
use crate::arguments::Format;
use crate::console::Console;
use crate::outcome::Outcome;
use crate::shown::{Row, Shown};
use crate::yaml;

/// Between two tries to reach a station that went away.
const RETRY: Duration = Duration::from_millis(200);
/// What changes within this time is one look: a crash loop is not drawn a hundred times a second.
const GATHER: Duration = Duration::from_millis(100);

/// Until interrupted. A station that goes away is looked for again, for as long as `--timeout` says, else for ever.
pub async fn run(
    app: &mut App<'_>,
    client: &Client,
    told: &str,
    look: impl AsyncFn() -> Result<Shown, Problem>,
) -> Outcome {
    let mut board = Board::new(told);
    let mut lost: Option<Instant> = None;
    loop {
        match until_it_ends(app, client, &look, &mut board, &mut lost).await {
            Ok(()) => {}
            Err(problem) if problem.is_retryable() && board.last.is_some() => {
                let since = *lost.get_or_insert_with(|| {
                    app.console
                        .say("the station went away; going on when it is back");
                    Instant::now()
                });
                let patience = app.global.timeout;
                if patience.is_some_and(|timeout| since.elapsed() >= timeout) {
                    return Err(problem);
                }
            }
            Err(problem) => return Err(problem),
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn until_it_ends(
    app: &mut App<'_>,
    client: &Client,
    look: &impl AsyncFn() -> Result<Shown, Problem>,
    board: &mut Board<'_>,
    lost: &mut Option<Instant>,
) -> Result<(), Problem> {
    let mut changes = client.changes().await?;
    while changes.newest().await?.is_some() {
        let shown = match look().await {
            // It was there, and is not any more.
            Err(problem) if problem.exit == Exit::NotFound && board.last.is_some() => {
                Shown::default()
            }
            shown => shown?,
        };
        if lost.take().is_some() {
            app.console.say("the station is back");
        }
        board.show(&mut app.console, shown)?;
        tokio::time::sleep(GATHER).await;
    }
    Ok(())
}

/// What was shown last.
struct Board<'a> {
    told: &'a str,
    last: Option<BTreeMap<String, Row>>,
}

/// What became of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// It was so when the watch began.
    Is,
    New,
    Changed,
    Gone,
}

impl Change {
    fn as_str(self) -> &'static str {
        match self {
            Self::Is => "is",
            Self::New => "new",
            Self::Changed => "changed",
            Self::Gone => "gone",
        }
    }
}

impl<'a> Board<'a> {
    fn new(told: &'a str) -> Self {
        Self { told, last: None }
    }

    fn show(&mut self, console: &mut Console<'_>, shown: Shown) -> Result<(), Problem> {
        let changes = self.changes(&shown);
        let first = self.last.is_none();
        let missed = shown.is_history
            && !first
            && changes.len() >= shown.rows.len()
            && !shown.rows.is_empty();
        let rows = shown.rows.iter();
        self.last = Some(
            rows.map(|row| (row.reference.clone(), row.clone()))
                .collect(),
        );
        let style = console.style;
        if style.terminal && style.is_text() {
            return match first || !changes.is_empty() {
                true => console.data(&self.drawn(&shown, height())),
                false => Ok(()),
            };
        }
        if let Some(nothing) = shown.nothing.filter(|_| first) {
            console.say(nothing);
        }
        if missed {
            console.say("more happened at once than is shown; `mainstay decisions` shows it");
        }
        let now = now();
        for (change, row) in changes {
            console.data(&line(style.format, now, change, &row))?;
        }
        Ok(())
    }

    /// In the order of the answer, then what is gone; of a history oldest first.
    fn changes(&self, shown: &Shown) -> Vec<(Change, Row)> {
        let Some(last) = &self.last else {
            let mut rows = shown.rows.to_vec();
            if shown.is_history {
                rows.reverse();
            }
            return rows.into_iter().map(|row| (Change::Is, row)).collect();
        };
        let mut changes = Vec::new();
        for row in &shown.rows {
            match last.get(&row.reference) {
                None => changes.push((Change::New, row.clone())),
                Some(before) if before.value != row.value => {
                    changes.push((Change::Changed, row.clone()));
                }
                Some(_) => {}
            }
        }
        if shown.is_history {
            changes.reverse();
            return changes;
        }
        let stays = |reference: &str| shown.rows.iter().any(|row| row.reference == reference);
        let gone = last.values().filter(|row| !stays(&row.reference));
        changes.extend(gone.map(|row| (Change::Gone, row.clone())));
        changes
    }

    /// The whole screen: what does not fit is left out, and said.
    fn drawn(&self, shown: &Shown, rows: usize) -> String {
        let mut lines: Vec<&str> = shown.whole.lines().collect();
        if let Some(nothing) = shown.nothing {
            lines = vec![nothing];
        }
        if shown.rows.is_empty() && lines.is_empty() {
            lines = vec!["it is not there any more"];
        }
        // Two are above it, and the cursor stays below.
        let room = rows.saturating_sub(3).max(1);
        let left_out = lines.len().saturating_sub(room);
        let mut more = String::new();
        if left_out > 0 {
            lines.truncate(room - 1);
            more = format!(".. {} lines more\n", left_out + 1);
        }
        let head = format!(
            "mainstay {}   as of {}   Ctrl-C ends this",
            self.told,
            now()
        );
        let body: String = lines.iter().map(|line| format!("{line}\n")).collect();
        // Home, cleared, and without wrapping: a long line is cut, not two.
        format!("\u{1b}[H\u{1b}[J\u{1b}[?7l{head}\n\n{body}{more}\u{1b}[?7h")
    }
}

fn line(format: Format, now: Time, change: Change, row: &Row) -> String {
    let value = match change {
        Change::Gone => "null",
        Change::Is | Change::New | Change::Changed => &row.json,
    };
    let json = || {
        format!(
            "{{\"time\":\"{now}\",\"change\":\"{}\",\"ref\":{},\"value\":{value}}}",
            change.as_str(),
            Value::from(row.reference.as_str()),
        )
    };
    match format {
        Format::Table | Format::Wide => format!("{now}  {:<7}  {}\n", change.as_str(), row.line),
        Format::Name => format!("{}\n", row.reference),
        Format::Json => format!("{}\n", json()),
        Format::Yaml => format!("---\n{}", yaml::of_json(&json())),
    }
}

fn now() -> Time {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let ms = since.map_or(0, |since| since.as_millis());
    Time::from_wall_ms(u64::try_from(ms).unwrap_or(u64::MAX))
}

/// Lines of the terminal.
fn height() -> usize {
    const USUAL: usize = 24;
    match rustix::termios::tcgetwinsize(std::io::stdout()) {
        Ok(size) if size.ws_row > 0 => size.ws_row.into(),
        Ok(_) | Err(_) => USUAL,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::console::Style;

    fn row(reference: &str, state: &str, heard_ms: u64) -> Row {
        let value = json!({"ref": reference, "state": state, "heard_ms": heard_ms});
        Row::new(
            &value,
            reference.to_owned(),
            format!("{reference}  {state}"),
        )
        .unwrap()
    }

    fn shown(rows: Vec<Row>) -> Shown {
        Shown {
            whole: rows.iter().map(|row| format!("{}\n", row.line)).collect(),
            nothing: rows.is_empty().then_some("there is none"),
            rows,
            is_history: false,
        }
    }

    /// What goes to stdout, without the times.
    fn said(style: Style, looks: Vec<Shown>) -> Vec<String> {
        let mut board = Board::new("get instances");
        let (mut data, mut talk) = (Vec::new(), Vec::new());
        let mut console = Console::new(&mut data, &mut talk, style);
        for look in looks {
            board.show(&mut console, look).unwrap();
        }
        let text = String::from_utf8(data).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn in_a_pipe_each_change_is_a_line_and_an_age_is_none() {
        let lines = said(
            Style::PLAIN,
            vec![
                shown(vec![row("a@n1", "Running", 1), row("b@n1", "Running", 1)]),
                shown(vec![row("a@n1", "Running", 900), row("b@n1", "Running", 2)]),
                shown(vec![row("a@n1", "Failed", 3), row("c@n1", "Pending", 3)]),
            ],
        );
        let without_time: Vec<&str> = lines
            .iter()
            .map(|line| line.split_once("  ").unwrap().1)
            .collect();
        assert_eq!(
            without_time,
            [
                "is       a@n1  Running",
                "is       b@n1  Running",
                "changed  a@n1  Failed",
                "new      c@n1  Pending",
                "gone     b@n1  Running",
            ]
        );
    }

    #[test]
    fn as_json_each_change_is_an_object_with_the_value_or_null() {
        let style = Style {
            format: Format::Json,
            ..Style::PLAIN
        };
        let lines = said(
            style,
            vec![shown(vec![row("a@n1", "Running", 1)]), shown(Vec::new())],
        );
        let read = |line: &str| serde_json::from_str::<Value>(line).unwrap();
        let (first, gone) = (read(&lines[0]), read(&lines[1]));
        assert_eq!(
            (&first["change"], &first["value"]["heard_ms"]),
            (&json!("is"), &json!(1))
        );
        assert_eq!(
            (&gone["change"], &gone["ref"]),
            (&json!("gone"), &json!("a@n1"))
        );
        assert!(gone["value"].is_null());
    }

    #[test]
    fn what_falls_out_of_a_history_is_not_gone_and_the_oldest_comes_first() {
        let history = |ids: &[&str]| Shown {
            is_history: true,
            ..shown(ids.iter().map(|id| row(id, "did", 0)).collect())
        };
        let lines = said(
            Style::PLAIN,
            vec![history(&["2.0", "1.0"]), history(&["4.0", "3.0", "2.0"])],
        );
        let ids: Vec<&str> = lines
            .iter()
            .map(|line| line.split_whitespace().nth(2).unwrap())
            .collect();
        assert_eq!(ids, ["1.0", "2.0", "3.0", "4.0"]);
    }

    #[test]
    fn a_terminal_is_drawn_anew_only_when_something_changed_and_as_far_as_it_reaches() {
        let style = Style {
            terminal: true,
            ..Style::PLAIN
        };
        let looks = |last: &str| {
            vec![
                shown(vec![row("a@n1", "Running", 1)]),
                shown(vec![row("a@n1", last, 900)]),
            ]
        };
        let drawn = |last| {
            said(style, looks(last))
                .join("\n")
                .matches("\u{1b}[H")
                .count()
        };
        assert_eq!((drawn("Running"), drawn("Failed")), (1, 2));
        let many = shown(
            (0..50)
                .map(|n| row(&format!("i{n}@n1"), "Running", 0))
                .collect(),
        );
        let screen = Board::new("get instances").drawn(&many, 10);
        // The last is where the cursor stays.
        assert_eq!(screen.lines().count(), 10, "{screen}");
        assert!(screen.contains(".. 44 lines more"), "{screen}");
    }
}
