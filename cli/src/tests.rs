//! The command line from outside: help, messages, exit codes; generated bad input over every command and flag.

mod advised;

use std::ffi::OsString;

use clap::CommandFactory;
use mainstay_api::{Exit, Problem};
use proptest::prelude::*;

use crate::arguments::{
    AgentArguments, AgentCommand, Arguments, Command, StationArguments, StationCommand,
};
use crate::console::{Console, Style};
use crate::home::Home;
use crate::outcome::four_lines;
use crate::parse::{Parsed, parse};
use crate::program;

/// Every command of the tree with the words that lead to it, hidden ones left out.
fn commands() -> Vec<(Vec<String>, clap::Command)> {
    let mut root = Arguments::command();
    root.build();
    let mut found = Vec::new();
    let mut open = vec![(vec![root.get_name().to_owned()], root)];
    while let Some((path, command)) = open.pop() {
        for child in command
            .get_subcommands()
            .filter(|child| !child.is_hide_set())
        {
            let mut longer = path.clone();
            longer.push(child.get_name().to_owned());
            open.push((longer, child.clone()));
        }
        found.push((path, command));
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

/// Words as a shell splits them; single quotes are all our examples need.
fn split(line: &str) -> Vec<OsString> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' if !quoted => words.extend(word.take().map(OsString::from)),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word.map(OsString::from));
    words
}

/// A suggestion is a command of ours that parses (help counts), or one of the few shell words we use.
pub(crate) fn runs_as_written(command: &str) -> bool {
    if let Some(home) = command.strip_prefix("MAINSTAY_HOME=") {
        return home
            .split_once(' ')
            .is_some_and(|(_, rest)| runs_as_written(rest));
    }
    if ["rm ", "kill -9 ", "ls -l", "df -h", "date -u", "ip address"]
        .iter()
        .any(|prefix| command.starts_with(prefix))
    {
        return true;
    }
    let words = split(command);
    words.first().is_some_and(|first| first == "mainstay")
        && !matches!(parse(&words), Parsed::Wrong(_))
}

/// What a run came to: exit code, data, talk. None for what would start a daemon, or write files where this runs.
fn run(words: &[OsString], home: &Home) -> Option<(Exit, String, String)> {
    let arguments = match parse(words) {
        Parsed::Run(arguments) => *arguments,
        Parsed::Show(text) => return Some((Exit::Ok, text, String::new())),
        Parsed::Wrong(problem) => return Some((problem.exit, String::new(), four_lines(&problem))),
    };
    let daemon = matches!(
        arguments.command,
        Command::Dev(_)
            | Command::Station(StationArguments {
                command: StationCommand::Run(_)
            })
            | Command::Agent(_)
            | Command::Demo(_)
            | Command::DevDaemon(_)
            | Command::DevReaper(_)
    );
    // What this machine is like is not for this test to say.
    let looks = matches!(arguments.command, Command::Doctor(_));
    let writes = matches!(
        arguments.command,
        Command::Debug(_)
            | Command::New(_)
            | Command::Init(_)
            | Command::Join(_)
            | Command::Restore(_)
    );
    if daemon || looks || writes {
        return None;
    }
    let (mut data, mut talk) = (Vec::new(), Vec::new());
    let style = Style::of(&arguments.global);
    let exit = program::run(
        arguments,
        home.clone(),
        Console::new(&mut data, &mut talk, style),
    );
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Some((exit, text(data), text(talk)))
}

fn wrong(line: &str) -> Problem {
    match parse(&split(line)) {
        Parsed::Wrong(problem) => problem,
        other => panic!("{line} is not wrong: {other:?}"),
    }
}

#[test]
fn the_declaration_of_the_command_line_is_consistent() {
    Arguments::command().debug_assert();
}

// case: usability 27
#[test]
fn every_help_fits_a_screen_and_has_examples_that_parse() {
    const LINES_MAX: usize = 48;
    // The list of all commands is longer than a screen, and the one page on which it may be.
    const COMMANDS_LINES_MAX: usize = 75;
    for (path, _) in commands() {
        let name = path.join(" ");
        let Parsed::Show(help) = parse(&split(&format!("{name} --help"))) else {
            panic!("{name} has no help");
        };
        let lines = help.lines().count();
        let most = match path.len() {
            1 => COMMANDS_LINES_MAX,
            _ => LINES_MAX,
        };
        assert!(lines <= most, "{name} --help has {lines} lines:\n{help}");
        let examples: Vec<&str> = help
            .lines()
            .skip_while(|line| !line.starts_with("Example"))
            .map(str::trim)
            .filter(|line| line.starts_with("mainstay "))
            .collect();
        assert!(
            !examples.is_empty(),
            "{name} --help has no example:\n{help}"
        );
        for example in examples {
            assert!(runs_as_written(example), "{name}: {example}");
        }
    }
}

#[test]
fn only_the_commands_of_this_version_appear() {
    let top: Vec<String> = commands()
        .into_iter()
        .filter(|(path, _)| path.len() == 2)
        .map(|(path, _)| path[1].clone())
        .collect();
    let expected = [
        "activity",
        "agent",
        "answer",
        "apply",
        "artifact",
        "ask-status",
        "backup",
        "bootstrap",
        "call",
        "can-i",
        "cert",
        "chaos",
        "check",
        "clear",
        "completion",
        "debug",
        "decisions",
        "delete",
        "describe",
        "dev",
        "doctor",
        "events",
        "explain",
        "get",
        "graph",
        "identity",
        "impact",
        "init",
        "join",
        "logs",
        "maintenance",
        "move",
        "new",
        "node",
        "orchestration",
        "order",
        "parked",
        "placement",
        "plan",
        "reconfigure",
        "restart",
        "restore",
        "rule",
        "run",
        "secret",
        "service",
        "settings",
        "start",
        "station",
        "status",
        "stop",
        "token",
        "version",
        "wait",
        "why",
    ];
    assert_eq!(top, expected);
}

#[test]
fn a_start_without_a_place_says_both_ways_to_name_one() {
    let problem = wrong("mainstay start greeter");
    assert_eq!(problem.exit, Exit::Usage);
    assert!(
        ["--on", "--all"]
            .iter()
            .all(|flag| problem.why.contains(flag)),
        "{problem}"
    );
}

// acceptance: 12
#[test]
fn wrong_words_end_with_2_and_the_nearest_name() {
    for (line, nearest) in [
        ("mainstay stauts", "status"),
        ("mainstay chaos kil greeter@n1", "kill"),
        ("mainstay parked lst", "list"),
        ("mainstay start greeter --al", "--all"),
        ("mainstay status --exit-cod", "--exit-code"),
        ("mainstay get nods", "nodes"),
        ("mainstay status -o jsn", "json"),
        ("mainstay station rn", "run"),
    ] {
        let problem = wrong(line);
        assert_eq!(problem.exit, Exit::Usage, "{line}");
        assert!(
            problem.nearest.iter().any(|name| name == nearest),
            "{line}: {problem}"
        );
        assert!(runs_as_written(&problem.to_do), "{line}: {}", problem.to_do);
    }
}

// acceptance: 12
#[test]
fn wrong_values_end_with_2_and_say_what_is_wanted() {
    for (line, wanted) in [
        ("mainstay describe nod/n1", "\"node\""),
        ("mainstay describe Greeter", "a-z"),
        ("mainstay check node/n1", "PLACEMENT@NODE"),
        ("mainstay call greeter greet", "greeter@NODE"),
        ("mainstay call greeter@n1 greet {", "ends too early"),
        (
            "mainstay start greeter --on n1 --config greeting",
            "KEY=VALUE",
        ),
        ("mainstay start greeter --on n1 --config =1", "KEY=VALUE"),
        ("mainstay start greeter", "missing"),
        ("mainstay start greeter --all --on n1", "do not go together"),
        ("mainstay wait greeter@n1 --for helthy", "\"healthy\""),
        (
            "mainstay wait greeter@n1 --for state=Runing",
            "state=Running",
        ),
        ("mainstay wait greeter@n1", "--for"),
        ("mainstay status --timeout soon", "30s"),
        ("mainstay events --since yesterday", "10m"),
        ("mainstay dev --nodes 0", "1..=64"),
        ("mainstay dev --stations 0", "1..=5"),
        ("mainstay dev --stations 6", "1..=5"),
        ("mainstay station add s2 --at s2.sock", "unix:"),
        ("mainstay station add s2", "--at"),
        ("mainstay station lead 2", "s1, s2"),
        ("mainstay restore x.backup", "--dir"),
        ("mainstay station recover --from d", "--to"),
        ("mainstay station repair --dir d", "--to"),
        (
            "mainstay station run --dir d --cluster c --joins 0c6f6a34-6f0e-4c0f-9e0b-2d7f5a3c1b22",
            "--station",
        ),
        ("mainstay parked show zz", "hexadecimal"),
        ("mainstay", "a command is missing"),
        ("mainstay chaos", "kill"),
        ("mainstay stop a@n1 b@n1", "one word too many"),
    ] {
        let problem = wrong(line);
        assert_eq!(problem.exit, Exit::Usage, "{line}");
        assert!(problem.why.contains(wanted), "{line}: {problem}");
        assert!(runs_as_written(&problem.to_do), "{line}: {}", problem.to_do);
    }
}

// case: usability 19
#[test]
fn without_a_cluster_every_command_that_needs_one_ends_with_6() {
    let directory = tempfile::tempdir().unwrap();
    let home = Home::at(directory.path());
    for line in [
        "mainstay status",
        "mainstay get nodes",
        "mainstay get instances greeter",
        "mainstay describe greeter@n1",
        "mainstay start greeter --all",
        "mainstay stop greeter",
        "mainstay restart greeter@n1",
        "mainstay clear greeter@n1",
        "mainstay delete greeter",
        "mainstay reconfigure greeter greeting=hi",
        "mainstay placement history greeter",
        "mainstay placement rollback greeter",
        "mainstay check greeter",
        "mainstay ask-status greeter@n1",
        "mainstay call greeter@n1 greet {}",
        "mainstay logs greeter@n1",
        "mainstay events",
        "mainstay decisions",
        "mainstay why",
        "mainstay status -w",
        "mainstay get instances -w -o json",
        "mainstay impact node/n1",
        "mainstay graph",
        "mainstay graph greeter@n1 --depth 1 --format dot",
        "mainstay graph check",
        "mainstay wait greeter@n1 --for running",
        "mainstay parked list",
        "mainstay rule list",
        "mainstay rule disable restart --i-mean-it",
        "mainstay chaos kill greeter@n1",
        "mainstay station list",
        "mainstay station add s2 --at unix:/nowhere/s2.sock",
        "mainstay station remove s2 --yes",
        "mainstay station lead s2",
        "mainstay backup /nowhere/x.backup",
        "mainstay cert rotate agent/n1",
        "mainstay status --context prod",
    ] {
        let (exit, data, talk) = run(&split(line), &home).unwrap();
        assert_eq!(exit, Exit::NoServer, "{line}: {talk}");
        assert!(data.is_empty(), "{line} says on stdout: {data}");
        assert_eq!(talk.lines().count(), 4, "{line}: {talk}");
    }
    let (exit, data, _) = run(&split("mainstay version -o json"), &home).unwrap();
    assert_eq!(exit, Exit::Ok);
    assert!(serde_json::from_str::<serde_json::Value>(&data).unwrap()["station"].is_null());
}

#[test]
fn what_cannot_be_waited_for_is_refused_with_what_can() {
    let directory = tempfile::tempdir().unwrap();
    let home = Home::at(directory.path());
    for line in [
        "mainstay wait type/flaky --for running",
        "mainstay wait node/n1 --for gone",
    ] {
        let (exit, _, talk) = run(&split(line), &home).unwrap();
        assert_eq!(exit, Exit::Usage, "{line}: {talk}");
        assert!(talk.contains("can be waited for"), "{talk}");
    }
    let (exit, _, talk) = run(&split("mainstay wait node/n1 --for state=Online"), &home).unwrap();
    assert_eq!(exit, Exit::NoServer, "{talk}");
}

// case: services 6
#[test]
fn an_agent_that_is_told_no_station_says_so_and_does_not_run() {
    let Parsed::Run(arguments) = parse(&split("mainstay agent run --node n1 --dir /nowhere"))
    else {
        panic!("it is well formed");
    };
    let Command::Agent(AgentArguments {
        command: AgentCommand::Run(run),
    }) = arguments.command
    else {
        panic!("it runs an agent");
    };
    let cannot = run.options().unwrap_err();
    assert_eq!(cannot.exit, 2);
    assert!(cannot.why.contains("no --station was said"), "{cannot}");
}

#[test]
fn help_is_also_a_word() {
    let text = |line| match parse(&split(line)) {
        Parsed::Show(text) => text,
        other => panic!("{line}: {other:?}"),
    };
    assert_eq!(text("mainstay help"), text("mainstay --help"));
    assert_eq!(text("mainstay help start"), text("mainstay start --help"));
}

/// A listener whose process never takes what connects, as one that is stopped.
#[test]
fn a_station_that_says_nothing_is_no_server_and_a_change_may_have_been_done() {
    let directory = tempfile::tempdir().unwrap();
    let home = Home::at(directory.path().join("home"));
    let socket = directory.path().join("s1.sock");
    let _silent = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    home.write(&crate::home::Context {
        name: "prod".to_owned(),
        sockets: vec![socket],
        stations: Vec::new(),
        identity: None,
        dev: None,
    })
    .unwrap();
    home.make_current("prod").unwrap();
    let (exit, data, talk) =
        run(&split("mainstay start greeter --all --timeout 50ms"), &home).unwrap();
    assert_eq!(exit, Exit::NoServer, "{talk}");
    assert!(data.is_empty(), "{data}");
    assert!(talk.starts_with("error: start greeter\n"), "{talk}");
    assert!(talk.contains("may have been done"), "{talk}");
    assert!(
        talk.contains("do:  mainstay get instances greeter\n"),
        "{talk}"
    );
    let (exit, _, talk) = run(&split("mainstay status --timeout 50ms"), &home).unwrap();
    assert_eq!(exit, Exit::NoServer, "{talk}");
    assert!(talk.starts_with("error: status\n"), "{talk}");
}

#[test]
fn a_context_whose_dev_cluster_was_killed_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let home = Home::at(directory.path());
    let gone = crate::home::ProcessId {
        started: crate::process::own().started + 1,
        ..crate::process::own()
    };
    let context = crate::home::Context {
        name: crate::home::DEV.to_owned(),
        sockets: vec![directory.path().join("gone.sock")],
        stations: Vec::new(),
        identity: None,
        dev: Some(crate::home::DevCluster {
            parent: gone,
            directory: directory.path().join("data"),
            runtime: directory.path().join("runtime"),
            previous: None,
        }),
    };
    home.write(&context).unwrap();
    home.make_current(crate::home::DEV).unwrap();
    let (exit, _, talk) = run(&split("mainstay status"), &home).unwrap();
    assert_eq!(exit, Exit::NoServer, "{talk}");
    assert!(
        talk.contains("its parent") && talk.contains("do:  mainstay dev\n"),
        "{talk}"
    );
}

/// Words that people and scripts get wrong, and some that nobody should ever type.
fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(vec![
            "greeter", "greeter@n1", "greeter@", "@n1", "@", "a@b@c", "node/n1", "nodes/n1", "node/", "/", "//", "nod/n1",
            "type/flaky", "station/s1", "station/x", "supervisor/n1", "instance/n1/greeter", "name/n1/greeter", "name/n1",
            "config/00ff", "config/xyz", "parked/3fa9c2", "parked/", "command/1", "outbox/n1", "cluster", "nodes", "types",
            "instances", "json", "table", "yaml", "running", "state=", "state=Nope", "state=Stopped", "gone", "10m", "-1s",
            "1e9", "0", "-1", "99999999999999999999", "k=v", "k=", "=v", "a.b=1", "a..b=1", "{}", "{", "[1,", "null", "",
            " ", "--", "-", "---", "-x", "-o", "-o=", "-qv", "--help", "--verion", "\u{1b}[2J", "ä@ö", "\n", "a\nb", "%s", "$(x)",
            "../../etc/passwd", "A", "n_1",
        ]).prop_map(str::to_owned),
        1 => "[ -~]{0,80}",
        1 => any::<String>().prop_map(|text| text.replace('\0', "")),
    ]
}

/// The words to a command, then flags it has, flags it does not have, and other words.
fn line() -> impl Strategy<Value = Vec<String>> {
    let known: Vec<(Vec<String>, Vec<String>)> = commands()
        .into_iter()
        .map(|(path, command)| {
            let longs = command.get_arguments().filter_map(clap::Arg::get_long);
            (path, longs.map(|long| format!("--{long}")).collect())
        })
        .collect();
    prop::sample::select(known).prop_flat_map(|(path, flags)| {
        let flag = match flags.is_empty() {
            true => Just("--none".to_owned()).boxed(),
            false => prop::sample::select(flags).boxed(),
        };
        let part = prop_oneof![
            3 => word(),
            2 => flag.clone(),
            1 => (flag, word()).prop_map(|(flag, word)| format!("{flag}={word}")),
        ];
        prop::collection::vec(part, 0..6)
            .prop_map(move |rest| path.iter().cloned().chain(rest).collect())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    // acceptance: 12
    #[test]
    fn bad_input_is_told_in_four_lines_and_never_panics(words in line()) {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::at(directory.path());
        let words: Vec<OsString> = words.into_iter().map(OsString::from).collect();
        if let Some((exit, data, talk)) = run(&words, &home) {
            match exit {
                // Help, or a command that needs no cluster.
                Exit::Ok => prop_assert!(!data.is_empty(), "{:?} says nothing", words),
                Exit::Usage | Exit::NotFound | Exit::Conflict | Exit::NoServer => {
                    prop_assert!(data.is_empty(), "{:?}: {}", words, data);
                    let lines: Vec<&str> = talk.lines().collect();
                    prop_assert!(lines.len() >= 4, "{:?}: {}", words, talk);
                    let [what, why, fix, code] = lines[lines.len() - 4..] else { unreachable!() };
                    prop_assert!(what.starts_with("error: ") && what.len() > 7, "{:?}: {}", words, talk);
                    prop_assert!(why.starts_with("  why: ") && why.trim() != "why:", "{:?}: {}", words, talk);
                    prop_assert!(!why.contains("no cause known"), "{:?}: {}", words, talk);
                    let fix = fix.strip_prefix("  do:  ").unwrap_or_default();
                    prop_assert!(runs_as_written(fix), "{:?}: {}", words, talk);
                    prop_assert!(code.starts_with("  MS-"), "{:?}: {}", words, talk);
                    prop_assert!(!talk.chars().any(|c| c.is_control() && c != '\n'), "{:?}: {:?}", words, talk);
                }
                other => prop_assert!(false, "{:?} ends with {:?}: {}", words, other, talk),
            }
        }
    }
}
