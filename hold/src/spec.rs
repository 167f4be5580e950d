//! The spec: what an agent writes into a slot before it starts the hold, and the hold's stages read.

use crate::fields::{BadFields, Fields};
use crate::limits;
use crate::message::Step;

/// One process, as it is to be started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spec {
    /// Whose process it is, for people: `web@n1`.
    pub instance: String,
    /// Names the log's files: `1-7-3`.
    pub incarnation: String,
    pub command: Vec<String>,
    /// All of it: nothing is inherited from the agent.
    pub environment: Vec<(String, String)>,
    pub directory: Option<String>,
    /// Names or numbers.
    pub user: Option<String>,
    pub group: Option<String>,
    pub umask: Option<u32>,
    pub limits: Limits,
    pub memory_group: Option<MemoryGroup>,
    /// A text in a line of either stream that says that the process is ready.
    pub ready_line: Option<String>,
    /// It gets a NOTIFY_SOCKET.
    pub notify: bool,
    pub log: LogBounds,
    pub lease: Option<Lease>,
}

/// Resource limits as the kernel keeps them for one process; none is the agent's own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    pub open_files: Option<u64>,
    pub address_space_bytes: Option<u64>,
    pub core_bytes: Option<u64>,
    /// Of the user, all together.
    pub processes: Option<u64>,
    pub cpu_seconds: Option<u64>,
    pub file_bytes: Option<u64>,
}

/// A control group below one that was delegated to the agent; it holds the process and all that descends from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryGroup {
    /// The group to be made; its parent is there.
    pub path: String,
    pub bytes_max: u64,
}

/// How long the process may live unless it is prolonged. The hold ends it then, also when nobody is there to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// By `boot_clock`: counted from something that was before the spec is read, so a span would be too long.
    pub until_ms: u64,
    /// How it is ended; SIGKILL follows where this does not end with it.
    pub steps: Vec<Step>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogBounds {
    /// Of one file.
    pub bytes_max: u64,
    /// The one that is written and the older ones.
    pub files_max: u32,
}

impl Default for LogBounds {
    fn default() -> Self {
        Self {
            bytes_max: limits::LOG_BYTES_DEFAULT,
            files_max: limits::LOG_FILES_DEFAULT,
        }
    }
}

impl Spec {
    pub fn to_fields(&self) -> Fields {
        let mut fields = Fields::new()
            .with("instance", &self.instance)
            .with("incarnation", &self.incarnation);
        for word in &self.command {
            fields.push("command", word);
        }
        for (key, value) in &self.environment {
            fields.push("env", format_args!("{key}={value}"));
        }
        fields.push_some("directory", self.directory.as_ref());
        fields.push_some("user", self.user.as_ref());
        fields.push_some("group", self.group.as_ref());
        fields.push_some("umask", self.umask);
        for (key, limit) in self.limits.named() {
            fields.push_some(key, limit);
        }
        if let Some(group) = &self.memory_group {
            fields.push("memory-group", &group.path);
            fields.push("memory-bytes-max", group.bytes_max);
        }
        fields.push_some("ready-line", self.ready_line.as_ref());
        if self.notify {
            fields.push("notify", 1);
        }
        fields.push("log-bytes-max", self.log.bytes_max);
        fields.push("log-files-max", self.log.files_max);
        if let Some(Lease { until_ms, steps }) = &self.lease {
            fields.push("lease-until-ms", until_ms);
            Step::push_all(&mut fields, "lease-step", steps);
        }
        fields
    }

    pub fn from_fields(fields: &Fields) -> Result<Self, BadFields> {
        let spec = Self {
            instance: fields.text("instance")?,
            incarnation: file_name(fields.text("incarnation")?)?,
            command: fields.all("command").map(str::to_owned).collect(),
            environment: fields.all("env").map(variable).collect::<Result<_, _>>()?,
            directory: fields.get("directory").map(str::to_owned),
            user: fields.get("user").map(str::to_owned),
            group: fields.get("group").map(str::to_owned),
            umask: fields.number_if_any("umask")?,
            limits: Limits {
                open_files: fields.number_if_any("open-files")?,
                address_space_bytes: fields.number_if_any("address-space-bytes")?,
                core_bytes: fields.number_if_any("core-bytes")?,
                processes: fields.number_if_any("processes")?,
                cpu_seconds: fields.number_if_any("cpu-seconds")?,
                file_bytes: fields.number_if_any("file-bytes")?,
            },
            memory_group: match fields.get("memory-group") {
                Some(path) => Some(MemoryGroup {
                    path: path.to_owned(),
                    bytes_max: fields.number("memory-bytes-max")?,
                }),
                None => None,
            },
            ready_line: fields.get("ready-line").map(str::to_owned),
            notify: fields.get("notify").is_some(),
            log: LogBounds {
                bytes_max: fields
                    .number::<u64>("log-bytes-max")?
                    .max(limits::LOG_BYTES_MIN),
                files_max: fields.number::<u32>("log-files-max")?.max(1),
            },
            lease: lease(fields)?,
        };
        if spec.command.first().is_none_or(String::is_empty) {
            return Err(BadFields("the spec has no command".to_owned()));
        }
        Ok(spec)
    }
}

impl Limits {
    /// By the names they have in a spec.
    pub fn named(&self) -> [(&'static str, Option<u64>); 6] {
        [
            ("open-files", self.open_files),
            ("address-space-bytes", self.address_space_bytes),
            ("core-bytes", self.core_bytes),
            ("processes", self.processes),
            ("cpu-seconds", self.cpu_seconds),
            ("file-bytes", self.file_bytes),
        ]
    }
}

fn lease(fields: &Fields) -> Result<Option<Lease>, BadFields> {
    match fields.number_if_any("lease-until-ms")? {
        Some(until_ms) => Ok(Some(Lease {
            until_ms,
            steps: Step::all(fields, "lease-step")?,
        })),
        // Half a lease must not become none.
        None if fields.get("lease-step").is_some() => Err(BadFields(
            "a lease has steps, and no lease-until-ms".to_owned(),
        )),
        None => Ok(None),
    }
}

fn variable(text: &str) -> Result<(String, String), BadFields> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        Some(_) | None => Err(BadFields(format!(
            "\"{text}\" is no variable: KEY=VALUE is one"
        ))),
    }
}

/// It becomes part of a file's name.
fn file_name(text: String) -> Result<String, BadFields> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if !text.is_empty() && text.len() <= 80 && text.chars().all(plain) {
        Ok(text)
    } else {
        Err(BadFields(format!(
            "the incarnation \"{text}\" is not made of letters, digits and '-'"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole() -> Spec {
        Spec {
            instance: "web@n1".to_owned(),
            incarnation: "0-4-1".to_owned(),
            command: vec!["/bin/web".to_owned(), "--port".to_owned(), String::new()],
            environment: vec![("A".to_owned(), "b=c\nd".to_owned())],
            directory: Some("/srv/web site".to_owned()),
            user: Some("www".to_owned()),
            group: None,
            umask: Some(0o027),
            limits: Limits {
                open_files: Some(100),
                cpu_seconds: Some(0),
                ..Limits::default()
            },
            memory_group: Some(MemoryGroup {
                path: "/sys/fs/cgroup/x".to_owned(),
                bytes_max: 1 << 20,
            }),
            ready_line: Some("listening on".to_owned()),
            notify: true,
            log: LogBounds::default(),
            lease: Some(Lease {
                until_ms: 77_000,
                steps: vec!["TERM:5000".parse().unwrap(), "KILL:0".parse().unwrap()],
            }),
        }
    }

    #[test]
    fn half_a_lease_is_refused() {
        let without = |key: &str| {
            let text = whole().to_fields().to_file();
            let lines = text.lines().filter(|line| !line.starts_with(key));
            let text: String = lines.flat_map(|line| [line, "\n"]).collect();
            Spec::from_fields(&Fields::from_file(&text).unwrap())
        };
        for (key, word) in [
            ("lease-until-ms=", "no lease-until-ms"),
            ("lease-step=", "1 to 8 steps"),
        ] {
            let error = without(key).unwrap_err();
            assert!(error.0.contains(word), "{error}");
        }
        assert_eq!(without("lease-").unwrap().lease, None);
        let mut many = whole();
        let lease = many.lease.as_mut().unwrap();
        lease.steps = vec![lease.steps[0].clone(); limits::STOP_STEPS_MAX + 1];
        assert!(Spec::from_fields(&many.to_fields()).is_err());
    }

    #[test]
    fn a_spec_comes_back_as_it_was_written() {
        for spec in [
            whole(),
            Spec {
                instance: "x".to_owned(),
                incarnation: "1".to_owned(),
                command: vec!["true".to_owned()],
                ..Spec::default()
            },
        ] {
            let file = spec.to_fields().to_file();
            let fields = Fields::from_file(&file).unwrap();
            assert_eq!(Spec::from_fields(&fields), Ok(spec), "{file}");
        }
    }

    #[test]
    fn a_spec_without_command_or_with_a_path_for_an_incarnation_is_refused() {
        let none = Spec {
            command: Vec::new(),
            ..whole()
        };
        let error = Spec::from_fields(&none.to_fields()).unwrap_err();
        assert!(error.0.contains("no command"), "{error}");
        let path = Spec {
            incarnation: "../x".to_owned(),
            ..whole()
        };
        let error = Spec::from_fields(&path.to_fields()).unwrap_err();
        assert!(error.0.contains("../x"), "{error}");
    }
}
