//! The web page: what the database counted, drawn anew every second; and whether something is in its way.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use serde_json::json;

use super::address::{self, WEB_ADDRESS};
use super::database::Database;
use super::http::{self, Answer, text};

/// Between two questions to the database.
const LOOK: Duration = Duration::from_millis(250);
/// After trouble it calls itself well only when it had none for so long: a database that comes and goes is no good,
/// and somebody who asks `why` has the time to type it.
const QUIET: Duration = Duration::from_secs(10);

/// What the page shows.
#[derive(Default)]
struct Seen {
    /// `worker@n1` and its count.
    counts: Vec<(String, u64)>,
    /// The last trouble with the database, and when it was.
    trouble: Option<(String, Instant)>,
    /// Whether the database answers now.
    answers: bool,
}

pub(super) fn serve(port: u16) -> Result<(), String> {
    let mut database = Database::default();
    let seen = Arc::new(Mutex::new(Seen::default()));
    look(&mut database, &seen);
    let listener = address::listen(port, WEB_ADDRESS).map_err(|error| error.to_string())?;
    println!("the page is http://127.0.0.1:{port}/");
    let shown = Arc::clone(&seen);
    let looking = move || loop {
        sleep(LOOK);
        look(&mut database, &seen);
    };
    thread::Builder::new()
        .name("looking".to_owned())
        .spawn(looking)
        .map_err(|error| format!("cannot start a thread: {error}"))?;
    let answer = move |path: &str| {
        let seen = shown.lock().expect("nobody panics while looking");
        answer(path, &seen)
    };
    http::serve(&listener, answer).map_err(|error| format!("cannot take connections: {error}"))
}

fn look(database: &mut Database, seen: &Mutex<Seen>) {
    // Not under the lock: the page is shown also while the database is awaited.
    let answer = database.ask("read");
    let mut seen = seen.lock().expect("nobody panics while showing");
    let did_answer = seen.answers;
    seen.answers = answer.is_ok();
    match answer {
        Ok(counts) => {
            seen.counts = read_counts(&counts);
            if !did_answer && seen.trouble.is_some() {
                println!("db answers again");
            }
        }
        Err(why) => {
            if did_answer || seen.trouble.is_none() {
                println!("{why}");
            }
            seen.trouble = Some((why, Instant::now()));
        }
    }
}

fn read_counts(text: &str) -> Vec<(String, u64)> {
    let words: Vec<&str> = text.split_whitespace().collect();
    words
        .chunks_exact(2)
        .filter_map(|pair| Some((pair[0].to_owned(), pair[1].parse().ok()?)))
        .collect()
}

impl Seen {
    /// What is, or was a moment ago, in the way. It is reported once, when it begins: so it has to be true until it ends.
    fn warning(&self) -> Option<String> {
        let (why, at) = self.trouble.as_ref()?;
        let quiet = QUIET.as_secs();
        let warns = !self.answers || at.elapsed() < QUIET;
        warns.then(|| format!("{why}; well again after {quiet} s without trouble"))
    }
}

fn answer(path: &str, seen: &Seen) -> Answer {
    match path {
        "/" => Answer {
            status: "200 OK",
            kind: "text/html",
            body: page(seen),
        },
        "/health" => {
            let said = match seen.warning() {
                Some(why) => json!({"status": "warn", "output": why}),
                None => json!({"status": "pass"}),
            };
            Answer {
                status: "200 OK",
                kind: "application/health+json",
                body: format!("{said}\n"),
            }
        }
        _ => text("404 Not Found", "there is / and /health\n"),
    }
}

const STYLE: &str = "body{font-family:sans-serif;margin:3em;max-width:42em}td,th{padding:.2em 1em;text-align:left}\
                     td:last-child{text-align:right}.bad{color:#a00}code{background:#eee;padding:.1em .3em}\
                     @media(prefers-color-scheme:dark){body{background:#111;color:#ddd}code{background:#333}.bad{color:#f77}}";

fn page(seen: &Seen) -> String {
    let total: u64 = seen.counts.iter().map(|(_, count)| count).sum();
    let mut rows = String::new();
    for (worker, count) in &seen.counts {
        // Writing to a string does not fail.
        let _ = writeln!(
            rows,
            "<tr><td>{}</td><td>{count}</td></tr>",
            escaped(worker)
        );
    }
    let state = match (seen.warning(), seen.answers) {
        (None, _) => "<p>The database answers, and its workers count.</p>".to_owned(),
        (Some(why), true) => {
            format!(
                "<p class=\"bad\">It is back. A moment ago: {}.</p>",
                escaped(&why)
            )
        }
        (Some(why), false) => format!(
            "<p class=\"bad\">Not now: {}. This is what was seen last.</p>",
            escaped(&why)
        ),
    };
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"1\">\
         <title>Mainstay demo</title>\n<style>{STYLE}</style></head>\n<body><h1>Counted so far: {total}</h1>\n{state}\n\
         <table>\n<tr><th>worker</th><th>counted</th></tr>\n{rows}</table>\n\
         <p>Break something: <code>mainstay chaos kill worker@n1</code>, <code>mainstay chaos kill db@n1</code>, or \
         <code>mainstay stop db</code> and later <code>mainstay restart db</code>.</p>\n\
         <p>Then ask: <code>mainstay why web</code>, <code>mainstay why worker@n1</code>.</p></body></html>\n"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(answers: bool, trouble: Option<&str>) -> Seen {
        Seen {
            counts: read_counts("worker@n1 2 <b>@n2 3"),
            trouble: trouble.map(|why| (why.to_owned(), Instant::now())),
            answers,
        }
    }

    #[test]
    fn the_page_shows_what_was_counted_and_what_is_in_the_way() {
        let well = page(&seen(true, None));
        assert!(well.contains("Counted so far: 5"), "{well}");
        assert!(well.contains("<td>&lt;b>@n2</td><td>3</td>"), "{well}");
        let down = page(&seen(false, Some("nobody & nothing")));
        assert!(down.contains("Not now: nobody &amp; nothing"), "{down}");
        assert!(down.contains("Counted so far: 5"), "{down}");
    }

    #[test]
    fn trouble_is_warned_of_until_it_has_been_quiet_for_long_enough() {
        let health = |seen: &Seen| answer("/health", seen).body;
        assert_eq!(health(&seen(true, None)), "{\"status\":\"pass\"}\n");
        assert!(health(&seen(false, Some("gone"))).contains("\"warn\""));
        assert!(health(&seen(true, Some("gone"))).contains("well again"));
        let mut long_ago = seen(true, Some("gone"));
        let then = Instant::now().checked_sub(QUIET);
        long_ago.trouble = then.map(|then| ("gone".to_owned(), then));
        assert_eq!(health(&long_ago), "{\"status\":\"pass\"}\n");
        assert_eq!(answer("/x", &long_ago).status, "404 Not Found");
    }
}
