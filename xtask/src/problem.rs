//! What a check found, and how a list of findings becomes the outcome of a task.

/// One finding: where (a path, with a line where one is known) and what to do about it.
#[derive(Debug, PartialEq, Eq)]
pub struct Problem {
    pub place: String,
    pub text: String,
}

impl Problem {
    pub fn new(place: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            text: text.into(),
        }
    }

    pub fn at(path: &str, line: usize, text: impl Into<String>) -> Self {
        Self::new(format!("{path}:{line}"), text)
    }
}

/// Prints every problem, not only the first: they are mended in one go.
pub fn settle(task: &str, problems: &[Problem], summary: &str) -> anyhow::Result<()> {
    if problems.is_empty() {
        println!("{task}: ok, {summary}");
        return Ok(());
    }
    for problem in problems {
        println!("{}: {}", problem.place, problem.text);
    }
    anyhow::bail!("{task}: {} problem(s), {summary}", problems.len())
}
