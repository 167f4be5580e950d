//! The tours of the READMEs, typed as they are written there: every command ends as it says, and shows what its comment
//! names. A line that no longer works fails here before anybody stumbles over it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use mainstay_tests::command::{command, programs};
use mainstay_tests::{Cluster, DevOptions};

const TOUR: &str = "## A tour in five minutes";
/// Fewer would mean that the tour was not found, not that it is short.
const COMMANDS_MIN: usize = 25;
const EXAMPLES_MIN: usize = 10;
/// What goes on until it is interrupted is looked at for so long.
const GOES_ON: &str = "3";
/// What a comment promises comes true within this, as far as looking again can tell.
const TRUE_WITHIN: Duration = Duration::from_secs(30);

/// One command of a fenced block.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    text: String,
    promise: Promise,
}

/// What the comment behind a command says of its outcome, as far as a program can read it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Promise {
    /// `exit 4`; else 0.
    exit: i32,
    /// States, verdicts, signals, nodes, codes and "quoted words": each is in the output.
    shows: Vec<String>,
}

// acceptance: 10
// proves: U1
#[test]
fn the_tour_of_the_readme_works_as_it_is_written() {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("there is a README");
    let lines = commands(section(&readme, TOUR));
    assert!(lines.len() >= COMMANDS_MIN, "{lines:#?}");
    walked(&lines, "", true);
}

// acceptance: issue 6, line 8
// proves: O4, O5, O8
#[test]
fn the_examples_work_as_their_readme_says() {
    let examples = root().join("examples");
    let readme = std::fs::read_to_string(examples.join("README.md")).expect("there is a README");
    for (heading, folder) in [
        ("Orchestrations", "orchestrations"),
        ("Services", "services"),
        ("A web UI", "web-ui"),
    ] {
        let lines = commands(section(&readme, &format!("## {heading}")));
        assert!(lines.len() >= EXAMPLES_MIN, "{lines:#?}");
        walked(&lines, folder, false);
    }
}

/// In a copy of a folder of the examples, where one is said; else where the cluster is at home.
fn walked(lines: &[Line], folder: &str, demo: bool) {
    let cluster = Cluster::with(&DevOptions {
        demo,
        ..DevOptions::default()
    });
    let here = cluster.home().join(folder);
    if !folder.is_empty() {
        copied(&root().join("examples").join(folder), &here);
    }
    let mut wrong = Vec::new();
    for line in lines {
        let began = Instant::now();
        if let Err(why) = walk((&cluster, &here), line) {
            wrong.push(why);
        }
        println!("{:>7.1?}  {}", began.elapsed(), line.text);
    }
    assert!(
        wrong.is_empty(),
        "{} of {} commands of the tour are not as it says:\n\n{}",
        wrong.len(),
        lines.len(),
        wrong.join("\n\n")
    );
}

/// The files of a folder that has no others in it; what an earlier use left there is left out.
fn copied(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory of its own");
    for entry in std::fs::read_dir(from).expect("the folder is there") {
        let path = entry.expect("an entry").path();
        if let Some(name) = path.file_name().filter(|_| path.is_file()) {
            std::fs::copy(&path, to.join(name)).expect("a directory of its own");
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Runs it once; what only looks is asked again until it shows what it should, and what finds its agent just coming back
/// is tried again: people type more slowly than this.
fn walk(at: (&Cluster, &Path), line: &Line) -> Result<(), String> {
    let began = Instant::now();
    loop {
        let why = match typed(at, line) {
            Ok(()) => return Ok(()),
            Err(why) => why,
        };
        let again = looks(&line.text) || why.contains("MS-AGENT-DOWN");
        if !again || began.elapsed() > TRUE_WITHIN {
            return Err(why);
        }
        // tidy: waits because somebody looks again, and does not look as fast as a machine can
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn typed((cluster, here): (&Cluster, &Path), line: &Line) -> Result<(), String> {
    let path = std::env::var("PATH").unwrap_or_default();
    let shell = match goes_on(&line.text) {
        true => "exec timeout --signal=INT \"$0\" bash -c \"$1\"",
        false => "eval \"$1\"",
    };
    let mut bash = command(Path::new("bash"), cluster.home());
    bash.args(["-c", shell, GOES_ON, &line.text])
        .env("PATH", format!("{}:{path}", programs().display()))
        // What it writes goes with the cluster.
        .current_dir(here)
        .stdin(Stdio::null());
    let output = bash.output().expect("bash runs");
    let shown = [output.stdout, output.stderr]
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .concat();
    judged(line, output.status.code(), &shown)
}

fn judged(line: &Line, code: Option<i32>, shown: &str) -> Result<(), String> {
    // `timeout` ends with 124 for what it had to interrupt.
    let as_said = match goes_on(&line.text) {
        true => [Some(124), Some(130)].contains(&code) && !shown.is_empty(),
        false => code == Some(line.promise.exit),
    };
    if !as_said {
        return Err(format!(
            "$ {}\n  ended with {code:?}, and the README says {}\n{shown}",
            line.text, line.promise.exit
        ));
    }
    let missing = line
        .promise
        .shows
        .iter()
        .find(|word| !shown.contains(*word));
    missing.map_or(Ok(()), |missing| {
        Err(format!(
            "$ {}\n  does not show {missing}, which the README names\n{shown}",
            line.text
        ))
    })
}

/// It changes nothing, so that it can be asked again.
fn looks(text: &str) -> bool {
    const LOOKS: [&str; 12] = [
        "status",
        "get",
        "describe",
        "why",
        "decisions",
        "events",
        "logs",
        "impact",
        "graph",
        "explain",
        "check",
        "ask-status",
    ];
    let mut words = text.split_whitespace();
    words.next() == Some("mainstay") && words.next().is_some_and(|word| LOOKS.contains(&word))
}

fn goes_on(text: &str) -> bool {
    let command = without_comment(text).0;
    // There `-f` names a file.
    let of_files = ["plan", "apply", "delete", "register"];
    let mut words = command.split_whitespace();
    let mut verbs = command.split_whitespace().skip(1).take(2);
    if verbs.any(|verb| of_files.contains(&verb)) {
        return false;
    }
    words.any(|word| ["-w", "-f", "--watch", "--follow"].contains(&word))
}

/// From a heading to the next of its rank.
fn section<'a>(readme: &'a str, heading: &str) -> &'a str {
    let begin = readme.find(heading).expect("the README has the heading");
    let behind = &readme[begin + heading.len()..];
    let end = behind.find("\n## ").unwrap_or(behind.len());
    &behind[..end]
}

/// The commands of all fenced blocks, with their continued lines.
fn commands(text: &str) -> Vec<Line> {
    let blocks = text.split("```").skip(1).step_by(2);
    let mut lines = Vec::new();
    for block in blocks {
        // What stands behind the fence is the block's language.
        let body = block.split_once('\n').map_or("", |(_, body)| body);
        let mut command = String::new();
        for line in body.lines() {
            command.push_str(line);
            if line.ends_with('\\') {
                command.push('\n');
            } else if !command.trim().is_empty() {
                let text = std::mem::take(&mut command);
                let promise = promise(without_comment(&text).1);
                lines.push(Line { text, promise });
            }
        }
    }
    lines
}

/// As the shell takes it: `#` at the beginning of a word and outside of quotes.
fn without_comment(text: &str) -> (&str, &str) {
    let (mut single, mut double, mut before) = (false, false, ' ');
    for (at, letter) in text.char_indices() {
        match letter {
            '\'' if !double => single = !single,
            '"' if !single => double = !double,
            '#' if !single && !double && before.is_whitespace() => {
                return (&text[..at], &text[at + 1..]);
            }
            _ => {}
        }
        before = letter;
    }
    (text, "")
}

fn promise(comment: &str) -> Promise {
    let words: Vec<&str> = comment
        .split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-' && letter != '@')
        .filter(|word| !word.is_empty())
        .collect();
    let exit = words
        .windows(2)
        .find(|pair| pair[0] == "exit")
        .and_then(|pair| pair[1].parse().ok())
        .unwrap_or(0);
    let quoted = comment.split('"').skip(1).step_by(2);
    let named = words.iter().copied().filter(|word| is_shown(word));
    Promise {
        exit,
        shows: named.chain(quoted).map(str::to_owned).collect(),
    }
}

/// `HEALTHY`, `SIGKILL`, `MS-...`, `n2`, `greeter@n1`, `Backoff`.
fn is_shown(word: &str) -> bool {
    const STATES: [&str; 11] = [
        "Completed",
        "Compensated",
        "Pending",
        "Blocked",
        "Starting",
        "Running",
        "Degraded",
        "Stopped",
        "Failed",
        "Backoff",
        "Quarantined",
    ];
    let capitals = ["HEALTHY", "DEGRADED"].contains(&word)
        || word.starts_with("SIG")
        || word.starts_with("MS-");
    let node = word.strip_prefix('n').is_some_and(|number| {
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    });
    capitals || node || word.contains('@') || STATES.contains(&word)
}

#[test]
fn what_a_comment_promises_is_read() {
    let text = "before\n```sh\nmainstay start a --config 'b=\"#1\"' \\\n    --on n1  # exit 4: \"is held\"; b@n2 stays Blocked\n\n\
                mainstay status # HEALTHY, as JSON\n```\nbetween\n```\ntrue\n```\n";
    let lines = commands(text);
    let promises: Vec<(i32, Vec<&str>)> = lines
        .iter()
        .map(|line| {
            let shows = line.promise.shows.iter().map(String::as_str);
            (line.promise.exit, shows.collect())
        })
        .collect();
    assert_eq!(
        promises,
        [
            (4, vec!["b@n2", "Blocked", "is held"]),
            (0, vec!["HEALTHY"]),
            (0, vec![]),
        ]
    );
    assert!(lines[0].text.ends_with("stays Blocked"));
    assert!(goes_on("mainstay get nodes -w # on") && !goes_on("mainstay logs a # -f goes on"));
}

#[test]
fn a_promise_that_is_not_kept_is_told() {
    let lines =
        commands("```\nmainstay get instances # exit 3: flaky is Blocked\nmainstay events -f\n```");
    let [look, stream] = lines.as_slice() else {
        panic!("two commands: {lines:?}");
    };
    assert_eq!(judged(look, Some(3), "flaky Blocked"), Ok(()));
    assert!(
        judged(look, Some(0), "flaky Blocked")
            .unwrap_err()
            .contains("README says 3")
    );
    assert!(
        judged(look, Some(3), "flaky Running")
            .unwrap_err()
            .contains("Blocked")
    );
    assert_eq!(judged(stream, Some(124), "an event"), Ok(()));
    assert!(judged(stream, Some(124), "").is_err(), "it showed nothing");
    assert!(
        judged(stream, Some(6), "an error").is_err(),
        "it did not go on"
    );
}
