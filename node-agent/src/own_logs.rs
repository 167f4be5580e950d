//! Logs of actors: what an instance says within its span is written into its slot, in files like those of a process.
//!
//! A line is `TIME LEVEL text key=value ..`. It is written when it is said, on the thread that says it, so that last words
//! are there whatever ends the agent; a file is made with the first word, so that silent instances cost nothing.

use std::fmt::{self, Write as _};
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use mainstay_hold::{Log, LogBounds, limits};
use mainstay_protocol::Incarnation;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Span, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::{LookupSpan, Registry};

use crate::held::file_name;

/// Writes what is said within the spans that are listened to.
pub(crate) struct OwnLogs;

/// From now on what is said within the span is written into this directory. Without a subscriber that has the layer
/// nothing is: then the program keeps its logs itself.
pub(crate) fn listen(span: &Span, directory: &Path, incarnation: Incarnation) {
    span.with_subscriber(|(id, dispatch)| {
        let registry = dispatch.downcast_ref::<Registry>();
        if let Some(span) = registry.and_then(|registry| registry.span(id)) {
            let log = OwnLog::new(directory, incarnation, LogBounds::default());
            span.extensions_mut().insert(log);
        }
    });
}

impl<S> Layer<S> for OwnLogs
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        // Said elsewhere, it is the agent's alone.
        for span in ctx.event_scope(event).into_iter().flatten() {
            if let Some(log) = span.extensions().get::<OwnLog>() {
                return log.write(event);
            }
        }
    }
}

struct OwnLog {
    directory: PathBuf,
    name: String,
    bounds: LogBounds,
    /// None until its first word.
    log: Mutex<Option<Log>>,
}

impl OwnLog {
    fn new(directory: &Path, incarnation: Incarnation, bounds: LogBounds) -> Self {
        Self {
            directory: directory.to_owned(),
            name: file_name(incarnation),
            bounds,
            log: Mutex::new(None),
        }
    }

    fn write(&self, event: &Event<'_>) {
        let mut said = Said::default();
        event.record(&mut said);
        let level = word(*event.metadata().level());
        let text = format!("{}{}", said.message, said.fields);
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        if log.is_none() {
            // Said here it would be heard here again. The next word tries again, and the agent's own log has it.
            *log = self.begin().ok();
        }
        if let Some(log) = log.as_mut() {
            append(log, level, &text);
        }
    }

    fn begin(&self) -> io::Result<Log> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.directory)?;
        Log::begin(&self.directory, &self.name, self.bounds)
    }
}

/// Lines as they are, long ones in pieces.
fn append(log: &mut Log, level: &str, text: &str) {
    let now = SystemTime::now();
    let more = format!("{level}+");
    for line in text.lines() {
        let mut pieces = line
            .as_bytes()
            .chunks(limits::LOG_LINE_BYTES_MAX)
            .peekable();
        while let Some(piece) = pieces.next() {
            let tag = match pieces.peek() {
                Some(_) => &more,
                None => level,
            };
            log.line(now, tag, piece);
        }
    }
    log.flush();
}

fn word(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

/// An event in words: its message, then the rest as `key=value`.
#[derive(Default)]
struct Said {
    message: String,
    fields: String,
}

impl Said {
    fn put(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let written = match field.name() {
            "message" => write!(self.message, "{value}"),
            name => write!(self.fields, " {name}={value}"),
        };
        written.expect("a String takes everything");
    }
}

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format_args!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use mainstay_protocol::request::{LogOf, LogPlace};
    use mainstay_protocol::{Epoch, Revision};
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::logs;

    fn incarnation(count: u64) -> Incarnation {
        Incarnation {
            epoch: Epoch(1),
            created: Revision(7),
            count,
        }
    }

    /// What is said there is written here.
    fn said(directory: &Path, count: u64, say: impl FnOnce(&Span)) {
        let subscriber = tracing_subscriber::registry().with(OwnLogs);
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("instance");
            listen(&span, directory, incarnation(count));
            say(&span);
        });
    }

    /// Without the times.
    fn lines(directory: &Path, count: u64) -> Vec<String> {
        let (mut lines, mut from) = (Vec::new(), None::<LogPlace>);
        loop {
            let page = logs::page(directory, LogOf::This, incarnation(count), from).unwrap();
            let Some(page) = page else { return lines };
            lines.extend(page.text.lines().map(|line| {
                let (_, rest) = line.split_once(' ').unwrap();
                rest.to_owned()
            }));
            if page.end {
                return lines;
            }
            from = Some(page.next);
        }
    }

    #[test]
    fn what_is_said_within_an_instances_span_is_in_its_log_and_nothing_else_is() {
        // proves: S7
        let dir = tempfile::tempdir().unwrap();
        let logs = dir.path().join("slots/web/log");
        said(&logs, 1, |span| {
            tracing::info!("somebody else's");
            assert!(!logs.exists(), "a silent instance has no file");
            tracing::warn!(parent: span, count = 3, who = "Ada", "greeted");
            span.in_scope(|| {
                let _inner = tracing::info_span!("inner").entered();
                tracing::error!(at = ?Some(1), "two\nlines");
            });
        });
        assert_eq!(
            lines(&logs, 1),
            [
                "warn greeted count=3 who=Ada",
                "error two",
                "error lines at=Some(1)"
            ]
        );
        said(&logs, 2, |span| tracing::info!(parent: span, "again"));
        assert_eq!(lines(&logs, 2), ["info again"]);
        let before = logs::page(&logs, LogOf::Before, incarnation(2), None);
        assert_eq!(before.unwrap().unwrap().incarnation, incarnation(1));
    }

    #[test]
    fn a_long_line_is_cut_into_pieces_that_say_so() {
        let dir = tempfile::tempdir().unwrap();
        let long = "x".repeat(2 * limits::LOG_LINE_BYTES_MAX + 5);
        said(dir.path(), 1, |span| tracing::info!(parent: span, "{long}"));
        let pieces = lines(dir.path(), 1);
        let tags: Vec<&str> = pieces
            .iter()
            .map(|line| line.split(' ').next().unwrap())
            .collect();
        assert_eq!(tags, ["info+", "info+", "info"]);
        assert!(pieces[2].ends_with(" xxxxx"));
    }

    #[test]
    fn a_flood_is_bounded_by_files_and_bytes_like_that_of_a_process() {
        let dir = tempfile::tempdir().unwrap();
        let bounds = LogBounds {
            bytes_max: 2_000,
            files_max: 3,
        };
        let log = OwnLog::new(dir.path(), incarnation(1), bounds);
        let mut log = log.begin().unwrap();
        for i in 0..1_000 {
            append(&mut log, "info", &format!("{i}"));
        }
        let sizes: Vec<u64> = fs::read_dir(dir.path())
            .unwrap()
            .map(|file| file.unwrap().metadata().unwrap().len())
            .collect();
        assert_eq!(sizes.len(), 3);
        assert!(sizes.iter().all(|size| *size <= 2_000), "{sizes:?}");
        assert_eq!(lines(dir.path(), 1).last().unwrap(), "info 999");
    }
}
