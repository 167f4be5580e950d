//! One attempt on the machine itself: the command of a container without its image, for trying out, and for machines whose
//! programs are installed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use mainstay_protocol::Json;
use mainstay_service::Processed;
use rustix::process::Signal;
use tokio::sync::watch;

use super::super::program::last_words;
use super::evidence;
use super::found;
use super::groups::{Groups, Places};
use super::outputs::{self, OUTPUT_BYTES_KEPT};
use super::resources::Resources;
use super::scratch::Scratch;
use super::task::Task;
use super::{Fault, exited, out_of_memory};
use crate::action::{self, Action, Heard, How, Kept, Leftovers, Ran, SEARCH_PATH};

/// A file of the machine itself; it may be another machine's.
const READ_WITHIN: Duration = Duration::from_secs(20);
/// A shell adds it to the signal that ended what it waited for.
const SIGNALLED: i32 = 128;

#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) task: Task,
    /// Of its control groups.
    pub(super) name: String,
    pub(super) places: Places,
    /// What whoever ends it finds it by: no task's to set.
    pub(super) marks: BTreeMap<String, String>,
    /// Puts it into its bounds; none, in tests of nothing else.
    pub(super) hold: Option<PathBuf>,
    pub(super) scratch: Scratch,
    pub(super) heard: Heard,
    pub(super) time: Option<Duration>,
    /// What of it is under way has a receiver.
    pub(super) under_way: watch::Sender<()>,
    pub(super) groups: Mutex<Option<Groups>>,
}

type Limit = (&'static str, u64);

/// What it is held to.
#[derive(Debug, Default)]
struct Bounds {
    groups: Groups,
    /// By the names that the hold has for them.
    limits: Vec<Limit>,
    cpu: Option<String>,
    memory: Option<String>,
    storage: Option<String>,
}

impl Bounds {
    /// Control groups bound all of it together; where none can be made, a limit of the kernel bounds each process.
    fn made(task: &Task, places: &Places, name: &str, time: Option<Duration>) -> Self {
        let (mut bounds, resources) = (Self::default(), &task.resources);
        if let Some(bytes) = resources.memory.limit_bytes() {
            bounds.memory = bounds.groups.bound_memory(places, name, bytes);
            bounds.memory.get_or_insert_with(|| {
                bounds.limits.push(("address-space-bytes", bytes));
                format!("rlimit address space, each process: {bytes}")
            });
        }
        if let Some(limit) = &resources.cpu.limit {
            let thousandths = limit.thousandths();
            let by = bounds.groups.bound_cpu(places, name, thousandths);
            bounds.cpu = by.or_else(|| {
                let seconds = processor_seconds(thousandths, time)?;
                bounds.limits.push(("cpu-seconds", seconds));
                Some(format!("rlimit cpu, each process: {seconds} s"))
            });
        }
        if let Some(bytes) = resources.storage.limit_bytes() {
            bounds.limits.push(("file-bytes", bytes));
            bounds.storage = Some(format!("rlimit file size, each file: {bytes}"));
        }
        bounds
    }

    /// The words before the command's own; none, where nothing is bounded.
    fn words(&self, hold: Option<&Path>) -> Result<Vec<OsString>, Fault> {
        if self.limits.is_empty() && self.groups.all().is_empty() {
            return Ok(Vec::new());
        }
        let hold = hold.ok_or_else(|| {
            let why = "its limits take mainstay-hold, which this agent has not";
            Fault::Engine(why.to_owned())
        })?;
        let mut words = vec![OsString::from(hold), OsString::from("within")];
        for group in self.groups.all() {
            words.extend([OsString::from("--group"), group.into()]);
        }
        for (name, limit) in &self.limits {
            words.extend(["--limit".into(), format!("{name}={limit}").into()]);
        }
        words.push(OsString::from("--"));
        Ok(words)
    }
}

/// All that it could use in its time at the rate it may have.
fn processor_seconds(thousandths: u64, time: Option<Duration>) -> Option<u64> {
    let ms = u64::try_from(time?.as_millis()).ok()?;
    Some(ms.saturating_mul(thousandths).div_ceil(1_000_000).max(1))
}

/// The limit that the kernel ended it for: itself, or what a shell waited for.
fn beyond(resources: &Resources, limits: &[Limit], how: &How) -> Option<String> {
    let signal = match how {
        How::Signalled(signal) => *signal,
        How::Exited(code) => code - SIGNALLED,
        _ => return None,
    };
    let limit = |name| limits.iter().find(|limit| limit.0 == name);
    if signal == Signal::XFSZ.as_raw() {
        limit("file-bytes")?;
        let text = &resources.storage.limit.as_ref()?.text;
        return Some(format!(
            "wrote more than its ephemeral-storage limit of {text} to a file"
        ));
    }
    if signal == Signal::XCPU.as_raw() {
        let (_, seconds) = limit("cpu-seconds")?;
        let text = &resources.cpu.limit.as_ref()?.text;
        return Some(format!(
            "used the {seconds} s of processor time that its cpu limit of {text} gives it"
        ));
    }
    None
}

/// The marks come last: whatever a task sets, it is found.
fn environment(task: &Task, marks: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut environment = BTreeMap::from([("PATH".to_owned(), SEARCH_PATH.to_owned())]);
    environment.extend(task.environment.iter().cloned());
    environment.extend(marks.clone());
    environment
}

impl Attempt {
    pub(super) async fn run(&self) -> Result<Processed, Fault> {
        let task = &self.task;
        if task.command.is_empty() {
            return Err(Fault::Work(
                "it has no command, and on the machine itself there is no image that says one"
                    .to_owned(),
            ));
        }
        let script = task.source.as_ref();
        let script = script.map(|source| self.scratch.script(source));
        let mut bounds = Bounds::made(task, &self.places, &self.name, self.time);
        if self.hold.is_some() {
            bounds.groups.keep_together(&self.places, &self.name);
        }
        let before = bounds.words(self.hold.as_deref());
        let evidence = self.evidence(&bounds);
        *self.groups.lock().unwrap_or_else(PoisonError::into_inner) = Some(bounds.groups);
        let given = task.command.iter().chain(&task.arguments);
        let mut words = before?;
        words.extend(given.map(OsString::from));
        words.extend(script.transpose()?.map(OsString::from));
        let began = SystemTime::now();
        let ran = self.ran(words).await;
        self.ended_well(&ran, &bounds.limits)?;
        let mut parameters = BTreeMap::new();
        for wanted in &task.outputs {
            let look = move |path: &Path| found::found(path, began);
            let found = found::within(READ_WITHIN, Path::new(&wanted.path), look).await?;
            parameters.insert(wanted.name.clone(), outputs::parameter(wanted, found)?);
        }
        let processed = outputs::complete("host", &ran.stdout, &parameters, evidence);
        Ok(processed)
    }

    async fn ran(&self, words: Vec<OsString>) -> Ran {
        let mut words = words.into_iter();
        let directory = self.task.directory.as_ref().map(PathBuf::from);
        let action = Action {
            program: words.next().unwrap_or_default().into(),
            arguments: words.collect(),
            environment: environment(&self.task, &self.marks),
            directory: Some(directory.unwrap_or_else(|| self.scratch.path().to_owned())),
            input: None,
            deadline: None,
            leftovers: Leftovers::Killed,
            output: Kept::End(OUTPUT_BYTES_KEPT),
            log: Some(self.heard.clone()),
        };
        action::run(action, self.under_way.subscribe()).await
    }

    fn ended_well(&self, ran: &Ran, limits: &[Limit]) -> Result<(), Fault> {
        let said = last_words(&ran.stderr);
        let groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        let ran_out = groups.as_ref().is_some_and(Groups::ran_out);
        let how = match &ran.how {
            How::Exited(0) => return Ok(()),
            How::Exited(code) => exited(*code, said.as_deref()),
            How::Signalled(_) => ran.how.to_string(),
            // As a container's command that is not there.
            How::CannotRun(error) => {
                let program = &self.task.command[0];
                match &self.task.directory {
                    Some(path) if !Path::new(path).is_dir() => {
                        format!("its workingDir {path} is not there")
                    }
                    Some(_) | None => format!("{program} cannot be run: {error}"),
                }
            }
            How::Deadline(_) | How::Flood | How::Swarm(_) | How::Abandoned => {
                return Err(Fault::Engine(ran.how.to_string()));
            }
        };
        Err(Fault::Work(match ran_out {
            true => out_of_memory(&self.task, &how),
            false => match beyond(&self.task.resources, limits, &ran.how) {
                Some(beyond) => format!("{beyond}: {how}"),
                None => how,
            },
        }))
    }

    fn evidence(&self, bounds: &Bounds) -> Json {
        let resources = &self.task.resources;
        let all = [
            ("cpu", &resources.cpu, bounds.cpu.clone()),
            ("memory", &resources.memory, bounds.memory.clone()),
            (
                "ephemeral-storage",
                &resources.storage,
                bounds.storage.clone(),
            ),
        ];
        evidence::of(&all, self.time)
    }

    /// Nothing of it is left after that, and nothing of it is under way.
    pub(super) async fn end(&self) {
        self.under_way.closed().await;
        let groups = self.groups.lock();
        let groups = groups.unwrap_or_else(PoisonError::into_inner).take();
        if let Some(groups) = groups {
            groups.remove().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    use super::super::quantity::Quantity;
    use super::super::resources::Bound;

    #[test]
    fn where_no_group_can_be_made_limits_of_the_kernel_bound_each_process() {
        let limit = |text: &str| Bound {
            request: None,
            limit: Quantity::read(text),
        };
        let task = Task {
            resources: Resources {
                cpu: limit("1500m"),
                memory: limit("64Mi"),
                storage: limit("1k"),
            },
            ..Task::default()
        };
        let places = Places::default();
        let minute = Some(Duration::from_secs(60));
        let bounds = Bounds::made(&task, &places, "x", minute);
        let wanted = [
            ("address-space-bytes", 64 << 20),
            ("cpu-seconds", 90),
            ("file-bytes", 1_000),
        ];
        assert_eq!(bounds.limits, wanted);
        assert!(bounds.groups.all().is_empty());
        // Hours are no bound of a processor's time.
        let bounds = Bounds::made(&task, &places, "x", None);
        assert_eq!((bounds.limits.len(), &bounds.cpu), (2, &None));
        let none = bounds.words(None);
        assert!(matches!(none, Err(Fault::Engine(why)) if why.contains("mainstay-hold")));
        let none = Bounds::made(&Task::default(), &places, "x", minute);
        assert_eq!(none.words(None).ok(), Some(Vec::new()));
    }

    // regresses: it was told as "was ended by signal 25".
    #[test]
    fn what_the_kernel_ends_for_a_limit_is_told_by_the_limit() {
        let limit = |text: &str| Bound {
            request: None,
            limit: Quantity::read(text),
        };
        let resources = Resources {
            cpu: limit("1500m"),
            storage: limit("1Mi"),
            ..Resources::default()
        };
        let limits = [("cpu-seconds", 90), ("file-bytes", 1 << 20)];
        let wrote = "wrote more than its ephemeral-storage limit of 1Mi to a file";
        let used = "used the 90 s of processor time that its cpu limit of 1500m gives it";
        for (how, wanted) in [
            (How::Signalled(25), Some(wrote)),
            (How::Exited(153), Some(wrote)),
            (How::Signalled(24), Some(used)),
            (How::Exited(152), Some(used)),
            (How::Signalled(9), None),
            (How::Exited(25), None),
        ] {
            let told = beyond(&resources, &limits, &how);
            assert_eq!(told.as_deref(), wanted, "{how}");
            assert_eq!(beyond(&resources, &[], &how), None, "not ours: {how}");
        }
    }

    /// Enters the groups, as the real one does.
    const HOLD: &str = r#"#!/bin/sh
shift
while [ "$1" != -- ]; do
    [ "$1" = --group ] && echo 0 >"$2/cgroup.procs"
    shift
done
shift
exec "$@"
"#;

    // regresses: what wiped its environment and left its session outlived its attempt, where nothing was bounded.
    #[tokio::test]
    async fn nothing_outlives_its_attempt_where_a_group_can_be_made() {
        let dir = tempfile::tempdir().unwrap();
        let (hold, pid) = (dir.path().join("hold"), dir.path().join("pid"));
        fs::write(&hold, HOLD).unwrap();
        fs::set_permissions(&hold, fs::Permissions::from_mode(0o755)).unwrap();
        let places = Places::of_agent(None);
        let (scratch, name) = (
            Scratch::made(dir.path()).unwrap(),
            format!("mainstay-test-{}", std::process::id()),
        );
        let mut groups = Groups::default();
        groups.keep_together(&places, &name);
        if groups.all().is_empty() {
            eprintln!("no control group can be made here");
            return;
        }
        groups.remove().await;
        let script = format!(
            "setsid env -i sh -c 'echo $$ >{0}; exec sleep 60' >/dev/null 2>&1 & until test -s {0}; do sleep 0.01; done",
            pid.display()
        );
        let attempt = Attempt {
            task: Task {
                command: ["sh", "-c", &script].map(str::to_owned).into(),
                ..Task::default()
            },
            name,
            places,
            marks: BTreeMap::new(),
            hold: Some(hold),
            scratch,
            heard: Heard {
                within: tracing::Span::none(),
                by: String::new(),
            },
            time: None,
            under_way: watch::Sender::new(()),
            groups: Mutex::default(),
        };
        let ran = attempt.run().await;
        attempt.end().await;
        assert!(ran.is_ok(), "{ran:?}");
        let pid = fs::read_to_string(&pid).unwrap().trim().parse().unwrap();
        let left = mainstay_hold::processes::look(pid);
        assert!(left.is_none_or(|seen| seen.state == 'Z'), "{pid}");
    }

    // regresses: a task that set MAINSTAY_GUARD went on after its agent was killed.
    #[test]
    fn a_task_sets_its_path_and_not_what_it_is_found_by() {
        let pair = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let task = Task {
            environment: [("PATH", "/own"), ("MAINSTAY_GUARD", "x"), ("A", "b")]
                .map(pair)
                .into(),
            ..Task::default()
        };
        let marks = BTreeMap::from([pair(("MAINSTAY_GUARD", "mark"))]);
        let wanted = [("A", "b"), ("MAINSTAY_GUARD", "mark"), ("PATH", "/own")].map(pair);
        assert_eq!(environment(&task, &marks), BTreeMap::from(wanted));
        let own = environment(&Task::default(), &marks);
        assert_eq!(own["PATH"], SEARCH_PATH);
    }
}
