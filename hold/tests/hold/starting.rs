//! What cannot start, who may have the name, and how small a hold is.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use mainstay_hold::{How, Lease, Phase, Slot, Spec, exit_code};
use rustix::process::geteuid;

use crate::held::{Held, PROGRAM, launch, said, shell, spec, until};

fn why(spec: &Spec) -> (String, i32, String) {
    let mut held = Held::start(spec);
    match held.ended().how {
        How::NotStarted { doing, errno, text } => (doing, errno, text),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_cannot_be_started_is_told_from_what_ends() {
    // acceptance: 1
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str, mode: u32| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path.display().to_string()
    };
    let (doing, errno, text) = why(&spec(&["/no/such/program"]));
    assert_eq!(doing, "running /no/such/program");
    assert_eq!((errno, text.as_str()), (2, "No such file or directory"));
    let (_, errno, _) = why(&spec(&["no-such-program-in-the-path"]));
    assert_eq!(errno, 2);
    let plain = file("plain", "hello", 0o644);
    let (_, errno, text) = why(&spec(&[&plain]));
    assert_eq!((errno, text.as_str()), (13, "Permission denied"));
    let script = file("script", "#!/no/such/interpreter -x\n", 0o755);
    let (_, _, text) = why(&spec(&[&script]));
    assert_eq!(text, "its interpreter /no/such/interpreter -x is not there");
    let (doing, errno, _) = why(&Spec {
        directory: Some("/no/such/directory".to_owned()),
        ..spec(&["true"])
    });
    assert_eq!(
        (doing.as_str(), errno),
        ("changing to the directory /no/such/directory", 2)
    );
    let (doing, _, text) = why(&Spec {
        user: Some("no-such-user".to_owned()),
        ..spec(&["true"])
    });
    assert_eq!(doing, "finding its user");
    assert_eq!(text, "there is no user \"no-such-user\"");
}

#[test]
fn a_process_runs_as_the_user_it_is_given() {
    if !geteuid().is_root() {
        return;
    }
    let spec = Spec {
        user: Some("65534".to_owned()),
        directory: Some("/".to_owned()),
        ..shell("id -u; id -G | wc -w; read x < /proc/self/environ; sleep 1000")
    };
    let held = Held::start(&spec);
    until("it says who it is", || {
        held.log().contains(" out 65534\n").then_some(())
    });
    assert_eq!(held.running().pid, held.state().process.unwrap().pid);
}

#[test]
fn a_second_hold_on_a_name_is_refused_and_told_who_has_it() {
    // proves: S4
    // acceptance: 3
    let held = Held::start(&spec(&["sleep", "1000"]));
    let process = held.running();
    let (word, fields) = said(&held.up);
    assert_eq!(word, "up");
    assert_eq!(fields.get("process"), Some(process.to_string().as_str()));
    let (mut second, line) = launch(&held.slot);
    assert_eq!(
        second.wait().unwrap().code(),
        Some(i32::from(exit_code::HELD))
    );
    let (word, fields) = said(&line);
    assert_eq!(word, "held");
    let text = fields.get("text").unwrap();
    assert!(
        text.contains("the name web is held by web@n1 incarnation 0-1-1"),
        "{text}"
    );
    assert!(text.contains(&format!("process {}", process.pid)), "{text}");
    // By hand, with a command of one's own: the same lock, and the spec is not touched.
    let by_hand = Command::new(PROGRAM)
        .args(["run", "--slot"])
        .arg(held.slot.path())
        .args(["--", "sleep", "1000"])
        .output()
        .unwrap();
    assert_eq!(by_hand.status.code(), Some(i32::from(exit_code::HELD)));
    assert!(String::from_utf8_lossy(&by_hand.stderr).contains("web@n1"));
    assert_eq!(held.slot.spec().unwrap(), Some(spec(&["sleep", "1000"])));
    assert_eq!(held.running(), process);
}

#[test]
fn a_process_started_by_hand_has_the_name_like_any_other() {
    // acceptance: 3
    let dir = tempfile::tempdir().unwrap();
    let slot = Slot::at(dir.path().join("slots/web"));
    let mut by_hand = Command::new(PROGRAM)
        .args(["run", "--slot"])
        .arg(slot.path())
        .args(["--", "sleep", "1000"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let state = until("it runs", || {
        slot.state()
            .unwrap()
            .filter(|state| state.phase == Phase::Running)
    });
    assert_eq!(state.instance, "web (by hand)");
    assert!(slot.lock().unwrap().is_none());
    let (mut second, line) = launch(&slot);
    assert_eq!(
        second.wait().unwrap().code(),
        Some(i32::from(exit_code::HELD))
    );
    assert!(line.contains("by%20hand"), "{line}");
    by_hand.kill().unwrap();
    by_hand.wait().unwrap();
    until("the name is free", || slot.lock().unwrap());
}

#[test]
fn a_slot_without_a_spec_and_bad_arguments_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let slot = Slot::make(&dir.path().join("web")).unwrap();
    let (mut hold, line) = launch(&slot);
    assert_eq!(
        hold.wait().unwrap().code(),
        Some(i32::from(exit_code::USAGE))
    );
    assert!(line.starts_with("error text="), "{line}");
    let said = Command::new(PROGRAM).arg("dance").output().unwrap();
    assert_eq!(said.status.code(), Some(i32::from(exit_code::USAGE)));
    let text = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(
        text.contains("\"dance\" is no command") && text.contains("usage:"),
        "{text}"
    );
}

#[test]
fn a_hold_is_small_also_when_its_process_has_much_to_say() {
    // acceptance: 9
    let lease = Lease {
        until_ms: u64::MAX,
        steps: vec!["TERM:5000".parse().unwrap()],
    };
    let held = Held::start(&Spec {
        lease: Some(lease),
        ..shell("yes | head -c 2000000; echo done; sleep 1000")
    });
    until("all is said", || {
        held.log().ends_with(" out done\n").then_some(())
    });
    let hold = held.state().hold;
    let status = fs::read_to_string(format!("/proc/{}/status", hold.pid)).unwrap();
    let resident = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
    let resident: u64 = resident.unwrap().trim().parse().unwrap();
    println!("the hold has {resident} KiB resident");
    assert!(resident < 2 * 1024, "{resident} KiB");
}
