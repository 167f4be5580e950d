//! Lines for a machine's shell. Each script comes to `sh` on its standard input, so that nothing of it, a token least of
//! all, is among the arguments that a list of processes shows.

use super::file::{Cluster, Daemons, Machine, Role};

/// Stands where the token goes that the step before made.
pub const TOKEN: &str = "TOKEN-OF-THE-STEP-BEFORE";

/// How long a machine waits for what it started.
const TRIES: u32 = 60;

/// A word as a shell reads it.
pub fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./:=@,+-%".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

pub fn line(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|text| word(text)).collect();
    words.join(" ")
}

/// `sh` on a machine with a script, as it is typed.
pub fn typed(via: &[String], script: &str) -> String {
    let words: Vec<&str> = via.iter().map(String::as_str).chain(["sh"]).collect();
    format!("{} <<'STEP'\n{script}STEP\n", line(&words))
}

/// What is asked of a machine before anything is changed; `look` reads the answer.
pub fn look(cluster: &Cluster, machine: &Machine) -> String {
    let binary = word(&cluster.binary);
    let mut script = format!(
        "echo '== version'\n{binary} --version\n\
         echo '== lacks'\nfor tool in flock setsid; do command -v $tool >/dev/null || echo $tool; done\n"
    );
    for role in &machine.roles {
        let (role, at) = (role.as_str(), word(&machine.dir_of(*role)));
        script.push_str(&format!(
            "echo '== {role}'\nat={at}\n\
             if [ -e \"$at/identity/membership.json\" ]; then cat \"$at/identity/membership.json\"\n\
             elif [ -n \"$(ls -A \"$at\" 2>/dev/null | grep -v '^identity$')\" ]; then echo taken\n\
             else echo empty; fi\necho\n\
             echo '== {role} runs'\n\
             if [ -e \"$at/lock\" ]; then flock -n -s \"$at/lock\" true; [ $? -eq 1 ] && echo yes; fi\n"
        ));
    }
    if machine.roles.contains(&Role::Station) {
        let name = cluster.name.as_str();
        let at = word(&format!("{}/api.sock", machine.dir_of(Role::Station)));
        let asked: [(&str, &[&str]); 4] = [
            ("status", &["status"]),
            ("stations", &["get", "stations"]),
            ("nodes", &["get", "nodes"]),
            ("identities", &["identity", "list"]),
        ];
        for (part, words) in asked {
            let before = ["--context", name, "--timeout", "5s"];
            let all: Vec<&str> = before
                .iter()
                .chain(words)
                .chain(&["-o", "json"])
                .copied()
                .collect();
            script.push_str(&format!(
                "echo '== {part}'\nif [ -S {at} ]; then {binary} {}; fi\n",
                line(&all)
            ));
        }
    }
    script + "exit 0\n"
}

pub fn init(cluster: &Cluster, machine: &Machine) -> String {
    let (listen, dir) = (machine.listen.to_string(), machine.dir_of(Role::Station));
    let name = cluster.name.as_str();
    let words = ["init", "--name", name, "--listen", &listen, "--dir", &dir];
    format!("{} {}\n", word(&cluster.binary), line(&words))
}

pub fn token(cluster: &Cluster, role: &str, whose: &[&str]) -> String {
    let mut words = vec!["token", "create", "--role", role];
    words.extend(whose);
    // It is shown at once; what is left over by somebody who broke off is good for nothing soon.
    words.extend(["--for", "5m", "-o", "json"]);
    asked(cluster, &words)
}

/// A command for the station that a machine's context names.
fn asked(cluster: &Cluster, words: &[&str]) -> String {
    let context = ["--context", cluster.name.as_str()];
    let words: Vec<&str> = context.iter().chain(words).copied().collect();
    format!("{} {}\n", word(&cluster.binary), line(&words))
}

/// Whoever joins reads its token; it asks for a while, since a station may just be starting.
pub fn join(cluster: &Cluster, machine: &Machine, role: Role, at: &str) -> String {
    let (listen, dir) = (machine.listen.to_string(), machine.dir_of(role));
    let own = match role {
        Role::Station => ["--listen", &listen],
        Role::Agent => ["--node", machine.node.as_str()],
    };
    let words = ["join", at, "--token", "-", own[0], own[1]];
    let words: Vec<&str> = words
        .into_iter()
        .chain(["--dir", &dir, "--timeout", "60s"])
        .collect();
    format!(
        "{} {} <<'TOKEN'\n{TOKEN}\nTOKEN\n",
        word(&cluster.binary),
        line(&words)
    )
}

/// What is done here.
pub fn join_person(at: &str, context: &str) -> String {
    let words = ["mainstay", "--context", context, "join", at, "--token", "-"];
    format!("{} <<'TOKEN'\n{TOKEN}\nTOKEN\n", line(&words))
}

/// Until its own station says that it runs: then it is one of the group, and the next may come.
pub fn wait_station(cluster: &Cluster, machine: &Machine) -> String {
    let membership = format!("{}/identity/membership.json", machine.dir_of(Role::Station));
    let wait = asked(cluster, &["--timeout", "5s", "wait"]);
    format!(
        "self=$(sed -n 's/^ *\"name\": \"\\(station.*\\)\".*$/\\1/p' {})\nn=0\n\
         until said=$({} \"$self\" --for state=Running 2>&1); do\n  \
         n=$((n + 1)); [ $n -lt {TRIES} ] || {{ echo \"$said\" >&2; exit 8; }}; sleep 1\ndone\n",
        word(&membership),
        wait.trim_end()
    )
}

pub fn wait_nodes(cluster: &Cluster, nodes: &[&str]) -> String {
    let each = nodes.iter().map(|node| {
        let node = format!("node/{node}");
        let words = ["--timeout", "120s", "wait", &node, "--for", "state=Online"];
        asked(cluster, &words)
    });
    format!("set -e\n{}", each.collect::<String>())
}

/// The daemon outlives whoever started it: as a unit, which also starts it with the machine, or in a session of its own.
pub fn start(cluster: &Cluster, machine: &Machine, role: Role) -> String {
    let dir = machine.dir_of(role);
    let labels = machine.labels.iter().filter(|_| role == Role::Agent);
    let labels: Vec<String> = labels
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let mut words = vec![cluster.binary.as_str(), role.as_str(), "run", "--dir", &dir];
    words.extend(labels.iter().flat_map(|label| ["--label", label.as_str()]));
    let unit = unit(cluster, role, &dir, &words);
    let session = session(&format!("{dir}.log"), &words);
    let started = match cluster.daemons {
        Some(Daemons::Systemd) => unit,
        Some(Daemons::Setsid) => session,
        None => format!("if [ -d /run/systemd/system ]; then\n{unit}else\n{session}fi\n"),
    };
    format!("set -e\n{started}")
}

/// Where it ends at once, by what it says in its log, this ends as well.
fn session(log: &str, words: &[&str]) -> String {
    let log = word(log);
    format!(
        "setsid {} </dev/null >>{log} 2>&1 &\nsleep 1\n\
         kill -0 $! 2>/dev/null || {{ tail -n 4 {log} >&2; exit 9; }}\n",
        line(words)
    )
}

/// Another daemon's unit of this name stays as it is. systemd has a path of its own, so the program is named by where it was
/// found; and it calls started what ends at once, so that is looked at.
fn unit(cluster: &Cluster, role: Role, dir: &str, words: &[&str]) -> String {
    let role = role.as_str();
    let run: Vec<String> = words[1..].iter().map(|text| unit_word(text)).collect();
    let (binary, dir) = (word(words[0]), word(dir));
    // What an agent started must not end with it, so a unit's end is its main process's alone.
    format!(
        "unit=/etc/systemd/system/mainstay-{role}.service\nbinary=$(command -v {binary})\n\
         sed \"s|@BINARY@|$binary|\" >\"$unit.new\" <<'UNIT'\n\
         [Unit]\nDescription=Mainstay {role} of cluster {}\nAfter=network-online.target\nWants=network-online.target\n\
         [Service]\nExecStart=@BINARY@ {}\nRestart=always\nRestartSec=1\nKillMode=process\n\
         [Install]\nWantedBy=multi-user.target\nUNIT\n\
         if [ -e \"$unit\" ] && ! grep -qF -- {dir} \"$unit\"; then\n  \
         rm \"$unit.new\"; echo \"$unit is another daemon's\" >&2; exit 9\nfi\n\
         mv \"$unit.new\" \"$unit\"\nsystemctl daemon-reload\nsystemctl enable mainstay-{role}.service\n\
         systemctl restart mainstay-{role}.service\nsleep 1\n\
         systemctl is-active --quiet mainstay-{role}.service || {{ journalctl -u mainstay-{role} -n 4 -o cat >&2; exit 9; }}\n",
        cluster.name,
        run.join(" ")
    )
}

/// A word as systemd reads it: specifiers and variables are none.
fn unit_word(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    let text = text.replace('%', "%%").replace('$', "$$");
    let splits = |c: char| c.is_whitespace() || ";'\"\\".contains(c);
    match text.contains(splits) || text.is_empty() {
        true => format!("\"{text}\""),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_quoted_where_a_shell_or_systemd_would_read_more_into_it() {
        for (text, shell, unit) in [
            ("/opt/mainstay", "/opt/mainstay", "/opt/mainstay"),
            ("a b", "'a b'", "\"a b\""),
            ("a\tb", "'a\tb'", "\"a\tb\""),
            ("it's", "'it'\\''s'", "\"it's\""),
            ("", "''", "\"\""),
            ("$HOME;rm", "'$HOME;rm'", "\"$$HOME;rm\""),
            ("100%", "100%", "100%%"),
            ("a\"b\\", "'a\"b\\'", "\"a\\\"b\\\\\""),
        ] {
            assert_eq!(
                (word(text), unit_word(text)),
                (shell.to_owned(), unit.to_owned())
            );
        }
    }
}
