//! What a shell offers while somebody types: real bash, the script as it is printed, a real station.

use std::path::Path;
use std::process::{Command, Stdio};

use mainstay_tests::command::{command, programs};
use mainstay_tests::{Cluster, DevOptions};

/// Loads the script, and asks it as bash does when the tab key is hit at the end of a line.
const ASK: &str = r#"
source <(mainstay completion bash) || exit 1
COMP_LINE="$1" COMP_POINT=${#1}
# As bash splits it: also at its word breaks, of which "@" is one.
line="${1//@/ @ }"
read -r -a COMP_WORDS <<< "$line"
case "$1" in *' ') COMP_WORDS+=('') ;; esac
COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 ))
_mainstay_with_names mainstay "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
for one in "${COMPREPLY[@]}"; do echo "$one"; done
"#;

fn offered(home: &Path, line: &str) -> Vec<String> {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut bash: Command = command(Path::new("bash"), home);
    let output = bash
        .args(["-c", ASK, "bash", line])
        .env("PATH", format!("{}:{path}", programs().display()))
        .stdin(Stdio::null())
        .output()
        .expect("bash runs");
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(complaint, "", "{line}");
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    shown.lines().map(str::to_owned).collect()
}

#[test]
fn the_names_of_the_cluster_complete_where_commands_want_them() {
    let cluster = Cluster::with(&DevOptions {
        nodes: 2,
        ..DevOptions::default()
    });
    cluster.sh("start greeter --all").ok();
    let offered = |line: &str| offered(cluster.home(), line);
    for (line, names) in [
        (
            "mainstay why gre",
            vec!["greeter@n1", "greeter@n2", "greeter"],
        ),
        // Behind the last word break.
        ("mainstay why greeter@n", vec!["n1", "n2"]),
        ("mainstay logs gre", vec!["greeter@n1", "greeter@n2"]),
        ("mainstay chaos kill node/", vec!["node/n1", "node/n2"]),
        ("mainstay chaos kill st", vec!["station/s1"]),
        ("mainstay get nodes n", vec!["n1", "n2"]),
        ("mainstay start gre", vec!["greeter"]),
        ("mainstay start greeter --on n", vec!["n1", "n2"]),
        ("mainstay rule disable quar", vec!["quarantine"]),
        ("mainstay why no-such", vec![]),
    ] {
        assert_eq!(offered(line), names, "{line}");
    }
    // Beside what the script knows by itself.
    let after_why = offered("mainstay why ");
    for one in ["--watch", "greeter@n1", "node/n2", "type/flaky"] {
        assert!(
            after_why.iter().any(|name| name == one),
            "{one}: {after_why:?}"
        );
    }
    assert!(offered("mainstay sta").contains(&"status".to_owned()));
}

#[test]
fn without_a_cluster_nothing_is_offered_and_nothing_said() {
    let home = tempfile::tempdir().expect("a directory");
    assert_eq!(offered(home.path(), "mainstay why gre"), [""; 0]);
    assert!(offered(home.path(), "mainstay sta").contains(&"status".to_owned()));
}
