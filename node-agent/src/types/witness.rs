//! A file that outlives its writers, in which each start and stop is one line: so that starts can be counted from
//! outside.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use mainstay_service::Context;

/// Appends `WORD NAME PID INCARNATION UNIX-MILLISECONDS` in one write, if there is a file to write to.
pub(super) fn write(path: Option<&str>, word: &str, ctx: &Context) -> io::Result<()> {
    let Some(path) = path else {
        return Ok(());
    };
    let identity = ctx.identity();
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let line = format!(
        "{word} {} {} {} {}\n",
        identity.name,
        std::process::id(),
        identity.incarnation,
        now.as_millis()
    );
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    file.write_all(line.as_bytes())
}

/// At an end, where nobody can be told that it failed but the log.
pub(super) fn write_last(path: Option<&str>, ctx: &Context) {
    if let Err(error) = write(path, "stop", ctx) {
        tracing::warn!(parent: ctx.span(), %error, "the witness file cannot be written");
    }
}
