//! Asking before what cannot be taken back. Whoever is no person at a terminal has meant what was written.

use std::io::{self, BufRead, IsTerminal};

use crate::app::App;

pub fn confirmed(app: &mut App<'_>, question: &str) -> bool {
    if !io::stdin().is_terminal() {
        return true;
    }
    app.console.complain(&format!("{question} [y/N]"));
    let mut answer = String::new();
    // An unreadable answer is no.
    let read = io::stdin().lock().read_line(&mut answer).is_ok();
    read && answer.trim().eq_ignore_ascii_case("y")
}
