//! Files that a command on the machine itself leaves behind: nobody's way to what the machine keeps for itself.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mainstay_protocol::limits;
use rustix::fs::{Mode, OFlags};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::Fault;
use super::outputs::Found;

/// What is read there is the reader's own, the agent's environment for one, or never ends.
const KERNELS_OWN: [&str; 3] = ["/proc", "/sys", "/dev"];
/// Of procfs and sysfs, wherever they are mounted.
const KERNELS_TYPES: [u64; 2] = [0x9fa0, 0x6265_6572];
/// File systems count time in ticks: what was written after an attempt began may look older by one.
const TICK: Duration = Duration::from_millis(20);

/// Reads it beside the runtime: a file of another machine may let its reader wait, for ever.
pub(super) async fn within(
    time: Duration,
    path: &Path,
    look: impl FnOnce(&Path) -> Found + Send + 'static,
) -> Result<Found, Fault> {
    let wanted = path.to_owned();
    let looking = spawn_blocking(move || look(&wanted));
    let path = path.display();
    match timeout(time, looking).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) => Err(Fault::Engine(format!("reading {path} failed: {error}"))),
        Err(_) => {
            let ms = time.as_millis();
            Err(Fault::Engine(format!(
                "{path} could not be read within {ms} ms"
            )))
        }
    }
}

/// What an earlier attempt left is not this one's.
pub(super) fn found(path: &Path, began: SystemTime) -> Found {
    match read(path, began) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => Found::Missing(String::new()),
        Err(error) => Found::Missing(error.to_string()),
    }
}

fn read(path: &Path, began: SystemTime) -> io::Result<Found> {
    if is_kernels(path) {
        return Ok(Found::Refused(path.to_owned()));
    }
    let real = fs::canonicalize(path)?;
    if is_kernels(&real) {
        return Ok(Found::Refused(real));
    }
    // To open what is no file may wait, or do something.
    if !fs::symlink_metadata(&real)?.is_file() {
        return Ok(Found::NoFile);
    }
    open(real, began)
}

/// It may have become something else by now: what counts is what was opened.
fn open(real: PathBuf, began: SystemTime) -> io::Result<Found> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = rustix::fs::open(&real, flags | OFlags::CLOEXEC, Mode::empty())?;
    let kind = rustix::fs::fstatfs(&file)?.f_type;
    if u64::try_from(kind).is_ok_and(|kind| KERNELS_TYPES.contains(&kind)) {
        return Ok(Found::Refused(real));
    }
    let file = File::from(file);
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Ok(Found::NoFile);
    }
    let changed = Duration::new(
        u64::try_from(metadata.ctime()).unwrap_or_default(),
        u32::try_from(metadata.ctime_nsec()).unwrap_or_default(),
    );
    let began = began.duration_since(UNIX_EPOCH).unwrap_or_default();
    if changed + TICK < began {
        let why = "what is there is older than this attempt";
        return Ok(Found::Missing(why.to_owned()));
    }
    let bytes_max = limits::WORK_BYTES_MAX;
    let mut bytes = Vec::new();
    let count = file.take(bytes_max as u64 + 1).read_to_end(&mut bytes)?;
    Ok(match count > bytes_max {
        true => Found::TooLong,
        false => Found::File(bytes),
    })
}

fn is_kernels(path: &Path) -> bool {
    KERNELS_OWN.iter().any(|own| path.starts_with(own))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn what_was_there_before_is_no_output() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("y");
        fs::write(&path, "old").unwrap();
        let later = SystemTime::now() + Duration::from_secs(1);
        assert!(matches!(found(&path, later), Found::Missing(why) if why.contains("older")));
        let before = SystemTime::now() - Duration::from_secs(1);
        assert_eq!(found(&path, before), Found::File(b"old".to_vec()));
        assert_eq!(found(dir.path(), before), Found::NoFile);
        assert_eq!(
            found(&path.join("x"), before),
            Found::Missing("Not a directory (os error 20)".to_owned())
        );
        let missing = dir.path().join("missing");
        assert_eq!(found(&missing, before), Found::Missing(String::new()));
        fs::write(&path, vec![b'x'; limits::WORK_BYTES_MAX + 1]).unwrap();
        assert_eq!(found(&path, before), Found::TooLong);
    }

    // regresses: `/proc/self/environ` was the agent's own environment.
    #[test]
    fn what_the_kernel_keeps_for_itself_is_no_output_by_whatever_way() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        symlink("/proc/self", dir.path().join("own")).unwrap();
        symlink("own/environ", &link).unwrap();
        let up = dir.path().join("../../../../../../proc/self/environ");
        for path in [&link, &up] {
            let refused = found(path, UNIX_EPOCH);
            let Found::Refused(real) = &refused else {
                panic!("{}: {refused:?}", path.display());
            };
            assert!(real.starts_with("/proc") && real.ends_with("environ"));
        }
        for path in [
            "/proc/self/environ",
            "/proc/self/fd/0",
            "//proc/version",
            "/proc/missing",
            "/sys/kernel/notes",
            "/dev/zero",
        ] {
            let path = Path::new(path);
            assert_eq!(found(path, UNIX_EPOCH), Found::Refused(path.to_owned()));
        }
    }

    #[test]
    fn what_became_of_a_path_after_it_was_looked_at_is_seen_in_what_was_opened() {
        let environ = PathBuf::from(format!("/proc/{}/environ", std::process::id()));
        let opened = open(environ.clone(), UNIX_EPOCH).unwrap();
        assert_eq!(opened, Found::Refused(environ));
        let dir = tempfile::tempdir().unwrap();
        let opened = open(dir.path().to_owned(), UNIX_EPOCH).unwrap();
        assert_eq!(opened, Found::NoFile);
        let link = dir.path().join("link");
        symlink("/etc/passwd", &link).unwrap();
        assert!(open(link, UNIX_EPOCH).is_err());
    }

    // regresses: a file that let its reader wait held a thread of the runtime, and the attempt's own deadline.
    #[tokio::test]
    async fn a_file_that_lets_its_reader_wait_is_not_waited_for() {
        let (lets_go, waits) = mpsc::sync_channel::<()>(1);
        let look = move |_: &Path| {
            // It ends by itself where nobody gives up.
            let _ = waits.recv_timeout(Duration::from_secs(20));
            Found::NoFile
        };
        let late = within(Duration::from_millis(20), Path::new("/y"), look).await;
        let why = "/y could not be read within 20 ms";
        assert!(matches!(late, Err(Fault::Engine(said)) if said == why));
        drop(lets_go);
        let in_time = within(Duration::from_secs(20), Path::new("/y"), |_| Found::TooLong).await;
        assert!(matches!(in_time, Ok(Found::TooLong)));
    }
}
