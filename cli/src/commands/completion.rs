//! `completion SHELL`: the script a shell completes from, made of the arguments themselves.

use clap::CommandFactory;
use clap_complete::{Shell, generate};
use mainstay_api::Exit;

use crate::app::App;
use crate::arguments::Arguments;
use crate::outcome::Outcome;

pub fn run(app: &mut App<'_>, shell: Shell) -> Outcome {
    let mut script = Vec::new();
    generate(shell, &mut Arguments::command(), "mainstay", &mut script);
    app.console.data(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Ok)
}
