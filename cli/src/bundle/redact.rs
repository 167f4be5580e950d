//! What nobody else is to learn, taken out of what is shown to others: by the names of keys, and by how secrets look. Too much
//! rather than too little; a reference to a secret (`secret://NAME`, `file://PATH`) says nothing, and stays.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

/// What stands where something was.
pub const REDACTED: &str = "(redacted)";

#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    Json(Value),
    Text(String),
}

impl Content {
    pub fn to_text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Json(value) => format!("{value:#}\n"),
        }
    }
}

/// The one way into a bundle.
pub fn redacted(content: Content) -> Content {
    match content {
        Content::Text(said) => Content::Text(text(&said)),
        Content::Json(mut value) => {
            walk(&mut value);
            Content::Json(value)
        }
    }
}

fn walk(value: &mut Value) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
        Value::String(said) => *said = text(said),
        Value::Array(list) => {
            list.iter_mut().for_each(walk);
            flags(list);
        }
        Value::Object(fields) => {
            for (key, value) in fields.iter_mut() {
                match is_secret(key) {
                    true => hide(value),
                    false => walk(value),
                }
            }
            // As environments are written: {"name": "DB_PASSWORD", "value": "x"}.
            let named = ["name", "key"]
                .iter()
                .filter_map(|key| fields.get(*key)?.as_str());
            let secret = named.into_iter().any(is_secret);
            if let Some(value) = fields.get_mut("value").filter(|_| secret) {
                hide(value);
            }
        }
    }
}

/// `["--password", "x"]`: what stands behind such a flag.
fn flags(words: &mut [Value]) {
    for at in 1..words.len() {
        let before = words[at - 1].as_str();
        let is_flag = before
            .is_some_and(|word| word.starts_with('-') && !word.contains('=') && is_secret(word));
        if is_flag {
            hide(&mut words[at]);
        }
    }
}

/// Everything below, but references, and what there is not.
fn hide(value: &mut Value) {
    match value {
        Value::Null | Value::Bool(_) => {}
        Value::Number(_) => *value = REDACTED.into(),
        Value::String(said) if said.is_empty() || is_reference(said) => {}
        Value::String(said) => REDACTED.clone_into(said),
        Value::Array(list) => list.iter_mut().for_each(hide),
        Value::Object(fields) => fields.values_mut().for_each(hide),
    }
}

fn is_reference(said: &str) -> bool {
    ["secret://", "file://"]
        .iter()
        .any(|scheme| said.starts_with(scheme))
}

/// Whether what goes by this name is a secret: `DB_PASSWORD`, `apiKey`, `--auth-token`. A bare `key` is not: much is called so.
fn is_secret(name: &str) -> bool {
    const WITHIN: [&str; 15] = [
        "password",
        "passwd",
        "passphrase",
        "secret",
        "token",
        "credential",
        "apikey",
        "accesskey",
        "privatekey",
        "sealkey",
        "encryptionkey",
        "signingkey",
        "sshkey",
        "masterkey",
        "authorization",
    ];
    const WORDS: [&str; 5] = ["pass", "pwd", "auth", "cookie", "pw"];
    let dense: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    let dense = dense.to_ascii_lowercase();
    let mut words = name.split(|c: char| !c.is_ascii_alphanumeric());
    let ends = ["pass", "pwd"].iter().any(|end| dense.ends_with(end));
    let means_another = ["compass", "bypass"].contains(&dense.as_str());
    WITHIN.iter().any(|part| dense.contains(part))
        || (ends && !means_another)
        || words.any(|word| WORDS.contains(&word.to_ascii_lowercase().as_str()))
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the pattern is written right: a test runs it")
}

/// A token that lets somebody in: `mst1.agent.ID.SECRET..`.
static TOKEN: LazyLock<Regex> = LazyLock::new(|| pattern(r"mst1\.[A-Za-z0-9.]+"));
static PRIVATE_KEY: LazyLock<Regex> = LazyLock::new(|| {
    // Also one whose beginning, or end, is not there.
    pattern(
        r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\z)|\A[A-Za-z0-9+/=\s]*-----END [A-Z ]*PRIVATE KEY-----",
    )
});
/// `postgres://ada:x@host`.
static LOGIN: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"([A-Za-z][A-Za-z0-9+.-]*://[^\s/:@]*):[^\s"'<>]+@"#));
/// `authorization: Bearer x`.
static HEADER: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)\b((?:proxy-)?authorization\W{1,4})(?:[a-z]+\s+)?[^\s,;]+"));
/// `NAME=x`, `name: "x"`, `--name x`, whatever the name is: `is_secret` says whether it matters.
static NAMED: LazyLock<Regex> = LazyLock::new(|| {
    // In quotes; in quotes of a text within a text, as JSON in a log is; in quotes that do not end; in none.
    const VALUE: &str = r#"("(?:[^"\\\n]|\\.)*"|\\+"(?:[^"\\\n]|\\+[^"\\\n]|\\{3,}")*\\*"|'[^'\n]*'|["'][^\n]*|[^\s"']\S*)"#;
    let assigned = format!(r#"([A-Za-z0-9_.-]+)\\*["']?\s*[=:]\s*{VALUE}"#);
    pattern(&format!(r"{assigned}|(--[A-Za-z0-9-]+)\s+{VALUE}"))
});

fn text(said: &str) -> String {
    let mut said: Cow<'_, str> = said.into();
    let plain = [
        (&TOKEN, REDACTED.to_owned()),
        (&PRIVATE_KEY, REDACTED.to_owned()),
        (&LOGIN, format!("${{1}}:{REDACTED}@")),
        (&HEADER, format!("${{1}}{REDACTED}")),
    ];
    for (pattern, with) in plain {
        if pattern.is_match(&said) {
            said = pattern.replace_all(&said, with).into_owned().into();
        }
    }
    assigned(&said)
}

/// What is no secret is gone through again behind its name: its value may be one's name.
fn assigned(said: &str) -> String {
    let mut out = String::with_capacity(said.len());
    let mut from = 0;
    while let Some(found) = NAMED.captures_at(said, from) {
        let (Some(name), Some(value)) =
            (found.get(1).or(found.get(3)), found.get(2).or(found.get(4)))
        else {
            break;
        };
        let bare = value.as_str().trim_start_matches(['"', '\'', '\\']);
        // `secret://NAME` itself reads as a name and its value; codes of reasons are no names.
        let harmless = bare.starts_with("//")
            || bare.starts_with(REDACTED)
            || is_reference(bare)
            || name.as_str().starts_with("MS-");
        let hides = is_secret(name.as_str()) && !harmless;
        let kept = if hides { value.start() } else { name.end() };
        out.push_str(&said[from..kept]);
        from = kept;
        if hides {
            out.push_str(REDACTED);
            // Of a list, or of a text of several lines, the first word is not the end.
            let opens = bare.starts_with(['[', '{', '|', '>']);
            from = match said[value.start()..].find('\n') {
                Some(line) if opens => value.start() + line,
                None if opens => said.len(),
                Some(_) | None => value.end(),
            };
        }
    }
    out.push_str(&said[from..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn json_of(value: Value) -> Value {
        match redacted(Content::Json(value)) {
            Content::Json(value) => value,
            Content::Text(text) => panic!("{text}"),
        }
    }

    fn text_of(said: &str) -> String {
        redacted(Content::Text(said.to_owned())).to_text()
    }

    // proves: U6
    #[test]
    fn what_goes_by_the_name_of_a_secret_is_taken_out_wherever_it_stands() {
        let given = json!({
            "name": "web",
            "config": {
                "password": "hunter2",
                "db": { "DB_PASSWD": "hunter2", "apiKey": "hunter2", "pin": 4711, "auth-token": 4711 },
                "credentials": { "user": "ada", "more": ["hunter2"] },
                "env": [{ "name": "PGPASSWORD", "value": "hunter2" }, { "name": "LANG", "value": "C" }],
                "command": ["/bin/x", "--password", "hunter2", "--port", "80", "--secret=hunter2"],
                "url": "postgres://ada:hunter2@db/x",
            },
        });
        let found = json_of(given);
        assert!(!found.to_string().contains("hunter2"), "{found:#}");
        let config = &found["config"];
        assert_eq!(config["db"]["auth-token"], REDACTED);
        assert_eq!(config["db"]["pin"], 4711);
        assert_eq!(config["env"][1]["value"], "C");
        assert_eq!(config["command"][4], "80");
        assert_eq!(config["url"], "postgres://ada:(redacted)@db/x");
        assert_eq!(found["name"], "web");
    }

    #[test]
    fn a_reference_to_a_secret_stays_and_so_does_what_is_only_called_alike() {
        let given = json!({
            "password": "secret://db-password",
            "token_file": "file:///run/token",
            "secret": null,
            "key": "ab12",
            "author": "ada",
            "compass": "north",
            "ref": "token/0a1b",
            "text": "it waits for secret://db-password",
        });
        assert_eq!(json_of(given.clone()), given);
    }

    // proves: U6
    #[test]
    fn secrets_are_known_in_text_by_how_they_look() {
        for said in [
            "run: mainstay join 10.0.0.1:7600 --token mst1.agent.0a.hunter2.2c.0c",
            "DB_PASSWORD=hunter2 started",
            "command: DB_PASSWORD=hunter2",
            "author: --password hunter2",
            "password=\"hunter2 whose end is cut off",
            "started with {\"password\": \"hunter2 with spaces\", \"port\": 1}",
            "password: 'hunter2'",
            "dbPass=hunter2",
            "userPwd: hunter2",
            "sshKey=hunter2",
            "passwords=[\"a\", \"hunter2\"]",
            "postgres://ada:p/hunter2@db/x",
            "postgres://ada:p@hunter2@db/x",
            r#"config="{\"password\":\"hunter2\",\"port\":1}""#,
            r#"config="{\"password\":\"a\\\"hunter2\"}""#,
            "/bin/x --db-password hunter2 --port 80",
            "authorization: Bearer hunter2",
            "Proxy-Authorization: Basic hunter2==",
            "get https://ada:hunter2@example.org/x",
            "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----",
            "-----BEGIN EC PRIVATE KEY-----\nhunter2, and the rest is cut off",
        ] {
            let found = text_of(said);
            assert!(!found.contains("hunter2"), "{said} -> {found}");
            assert!(found.contains(REDACTED), "{said} -> {found}");
        }
        assert_eq!(
            text_of("a\nDB_PASSWORD=hunter2 b\nport=80"),
            "a\nDB_PASSWORD=(redacted) b\nport=80"
        );
    }

    #[test]
    fn what_is_said_of_secrets_without_saying_one_stays() {
        for said in [
            "2026-11-21T05:36:43.120Z  INFO agent runs node=n1 dir=/var/lib/x",
            "MS-TOKEN-USED: the token was used by agent/n1",
            "password: secret://db",
            "",
            "a token lets one in once",
        ] {
            assert_eq!(text_of(said), said);
        }
    }

    #[test]
    fn what_was_redacted_once_is_redacted_no_further() {
        let given = json!({"a": "password=x", "token": "y", "b": ["--secret", "z"]});
        let once = json_of(given);
        assert_eq!(json_of(once.clone()), once);
    }
}
