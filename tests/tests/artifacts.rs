//! Artifacts with real processes: put at a cluster that loses a station, served by an agent, refused where they are hostile, and
//! nowhere to be seen where they were broken off.

use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use mainstay_tests::cluster::signal;
use mainstay_tests::{Cluster, DevOptions, outside, until};
use rustix::process::Signal;
use serde_json::Value;

const EXAMPLE_ID: &str = "urn:ivcap:artifact:00000000-0000-0000-0000-000000000004";

fn three_stations() -> Cluster {
    Cluster::with(&DevOptions {
        stations: 3,
        nodes: 2,
        ..DevOptions::default()
    })
}

fn tar(directory: &Path, arguments: &[&str]) {
    let packed = Command::new("tar")
        .current_dir(directory)
        .args(arguments)
        .output();
    let packed = packed.expect("tar is there");
    assert!(packed.status.success(), "{packed:?}");
}

/// A site with two pages, packed.
fn site(cluster: &Cluster, says: &str) -> PathBuf {
    let pages = cluster.home().join("pages");
    fs::create_dir_all(pages.join("about")).expect("a directory of its own");
    fs::write(pages.join("index.html"), says).expect("it is ours");
    fs::write(pages.join("about/index.html"), "about it").expect("it is ours");
    tar(cluster.home(), &["-czf", "site.tar.gz", "-C", "pages", "."]);
    cluster.home().join("site.tar.gz")
}

fn put(cluster: &Cluster, file: &Path) -> String {
    let put = cluster.sh(&format!("artifact put {}", file.display())).ok();
    put.stdout.trim().to_owned()
}

fn leader(cluster: &Cluster) -> String {
    let status = until(
        "a station leads",
        || cluster.sh("status -o json"),
        |run| run.code == Some(0) && run.json()["leader"].is_string(),
    );
    let status = status.json();
    status["leader"].as_str().unwrap_or_default().to_owned()
}

fn kill_leader(cluster: &Cluster) {
    let leader = leader(cluster);
    signal(cluster.station_pids()[&leader], Signal::KILL);
}

fn address(cluster: &Cluster, reference: &str) -> String {
    let told = cluster.json(&format!("call {reference} address"));
    let address = told["answer"]["address"].as_str();
    address
        .unwrap_or_else(|| panic!("no address: {told:#}"))
        .to_owned()
}

fn page(url: &str) -> Option<String> {
    let got = Command::new("curl").args(["-sS", "-f", url]).output();
    let got = got.expect("curl is there");
    got.status
        .success()
        .then(|| String::from_utf8_lossy(&got.stdout).into_owned())
}

/// Files that agents keep of artifacts.
fn kept(cluster: &Cluster) -> Vec<PathBuf> {
    let files = outside::files_below(cluster.home()).into_iter();
    let of_artifacts = |file: &PathBuf| {
        file.components()
            .any(|part| part.as_os_str() == "artifacts")
    };
    files
        .filter(|file| file.is_file() && of_artifacts(file))
        .collect()
}

// proves: M2, M6
#[test]
fn a_site_survives_the_station_that_took_it_and_is_served_on_a_node() {
    let cluster = three_stations();
    let file = site(&cluster, "hello from the archive");
    let id = put(&cluster, &file);
    assert_eq!(put(&cluster, &file), id, "the same content is the same");
    kill_leader(&cluster);

    let back = cluster.home().join("back.tar.gz");
    until(
        "the artifact is got from who is left",
        || cluster.sh(&format!("artifact get {id} {}", back.display())),
        |run| run.code == Some(0),
    );
    assert_eq!(fs::read(&back).ok(), fs::read(&file).ok());
    cluster
        .sh(&format!(
            "start app-server --name shop --on n2 --config artifact={id} host=* listen=127.0.0.1:0"
        ))
        .ok();
    let served = format!("http://{}", address(&cluster, "shop@n2"));
    assert_eq!(page(&served).as_deref(), Some("hello from the archive"));
    assert_eq!(
        page(&format!("{served}/about/")).as_deref(),
        Some("about it")
    );
    assert_eq!(page(&format!("{served}/../../etc/passwd")), None);
    let used = cluster.sh(&format!("artifact delete {id}")).expect_code(10);
    assert!(used.stderr.contains("MS-IN-USE") && used.stderr.contains("shop"));

    // Another agent finds it where it is.
    let before = cluster.incarnation("shop@n2");
    signal(cluster.agent_pid("n2"), Signal::KILL);
    cluster.until_restarted("shop@n2", before);
    let served = format!("http://{}", address(&cluster, "shop@n2"));
    assert_eq!(page(&served).as_deref(), Some("hello from the archive"));

    assert_ne!(kept(&cluster), Vec::<PathBuf>::new());
    cluster.sh("stop shop").ok();
    until("nobody keeps it", || kept(&cluster), Vec::is_empty);
}

// proves: M2, M6
#[test]
fn a_description_is_refused_without_its_artifact_and_taken_with_it() {
    let cluster = Cluster::with(&DevOptions {
        nodes: 1,
        ..DevOptions::default()
    });
    let description = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../orchestrator/tests/examples/service-app-server.json");
    let register = format!("service register -f {}", description.display());
    let refused = cluster.sh(&register).expect_code(2).stderr;
    for said in [
        "MS-NO-ARTIFACT",
        "/controller/artifact",
        "mainstay artifact put",
    ] {
        assert!(refused.contains(said), "{refused}");
    }
    // Its 404 is a file of the archive.
    let pages = cluster.home().join("pages");
    fs::create_dir_all(&pages).expect("a directory of its own");
    fs::write(pages.join("start.html"), "hello").expect("it is ours");
    tar(cluster.home(), &["-cf", "other.tar", "-C", "pages", "."]);
    let put_as = |file: &Path| format!("artifact put {} --id {EXAMPLE_ID}", file.display());
    cluster.sh(&put_as(&cluster.home().join("other.tar"))).ok();
    let refused = cluster.sh(&register).expect_code(2).stderr;
    assert!(refused.contains("/controller/404"), "{refused}");
    let file = site(&cluster, "hello");
    let differs = cluster.sh(&put_as(&file)).expect_code(4).stderr;
    assert!(differs.contains("MS-ARTIFACT-DIFFERS"), "{differs}");
    cluster.sh(&format!("artifact delete {EXAMPLE_ID}")).ok();
    cluster.sh(&put_as(&file)).ok();
    cluster.sh(&register).ok();
    cluster
        .sh(&format!("artifact delete {EXAMPLE_ID}"))
        .expect_code(10);
    cluster.sh("service delete crewai-ui").ok();
    cluster.sh(&format!("artifact delete {EXAMPLE_ID}")).ok();
    assert_eq!(cluster.list("artifact list"), Vec::<Value>::new());
}

// proves: M2
#[test]
fn a_hostile_archive_is_served_by_nobody() {
    let cluster = Cluster::with(&DevOptions {
        nodes: 1,
        ..DevOptions::default()
    });
    let home = cluster.home();
    fs::write(home.join("x"), "x").expect("it is ours");
    std::os::unix::fs::symlink("/etc/passwd", home.join("link")).expect("it is ours");
    tar(
        home,
        &[
            "-P",
            "--transform=s|^x$|../../../escaped|",
            "-czf",
            "out.tar.gz",
            "x",
        ],
    );
    tar(home, &["-cf", "link.tar", "link"]);
    fs::write(home.join("no.zip"), "PK\u{3}\u{4} and nothing").expect("it is ours");
    for (name, why) in [
        ("out.tar.gz", "leads out of the archive"),
        ("link.tar", "is a symbolic link"),
        ("no.zip", "it cannot be read"),
        ("x", "it is none of tar, tar.gz and zip"),
    ] {
        let id = put(&cluster, &home.join(name));
        let shown = cluster.json(&format!("artifact show {id}"));
        assert_eq!(shown["archive"], false, "{name}: {shown:#}");
        let refused = cluster
            .sh(&format!(
                "start app-server --name bad --on n1 --config artifact={id}"
            ))
            .expect_code(2)
            .stderr;
        assert!(refused.contains(why), "{name}: {refused}");
    }
    assert_eq!(cluster.instance("bad@n1"), None);
    assert!(!home.join("escaped").exists());
}

// proves: M6
#[test]
fn a_put_that_is_broken_off_leaves_nothing_to_be_seen() {
    let cluster = three_stations();
    // Half of a body, and whoever sends it is gone.
    let mut stream = UnixStream::connect(cluster.api_socket()).expect("a station answers");
    let head = format!(
        "PUT /v1/artifacts/{EXAMPLE_ID} HTTP/1.1\r\nhost: station\r\ncontent-length: 1000000\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).expect("it is heard");
    stream.write_all(&[7; 400_000]).expect("it is heard");
    drop(stream);
    assert_eq!(cluster.list("artifact list"), Vec::<Value>::new());

    // Who takes it dies at some place of the way, each time another one.
    let file = cluster.home().join("large.bin");
    let bytes: Vec<u8> = (0..12_000_000_u32)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    fs::write(&file, &bytes).expect("it is ours");
    for round in 0..3 {
        std::thread::scope(|scope| {
            let putting = scope.spawn(|| cluster.sh(&format!("artifact put {}", file.display())));
            // tidy: waits because the kill is to come at another moment each time; any moment is right
            std::thread::sleep(std::time::Duration::from_millis(80 * (round + 1)));
            kill_leader(&cluster);
            drop(putting.join());
        });
        let all = until(
            "artifacts are listed again",
            || cluster.sh("artifact list -o json"),
            |run| run.code == Some(0),
        );
        for one in all.json().as_array().into_iter().flatten() {
            is_whole(&cluster, one, &bytes);
        }
    }
    // Whatever came of it, it can be put.
    let put = until(
        "the artifact is put",
        || cluster.sh(&format!("artifact put {}", file.display())),
        |run| run.code == Some(0),
    );
    let id = put.stdout.trim();
    // A station that was killed is not up to it at once.
    let shown = until(
        "it is shown",
        || cluster.sh(&format!("artifact show {id} -o json")),
        |run| run.code == Some(0),
    );
    is_whole(&cluster, &shown.json(), &bytes);
}

/// What is seen is all of it.
fn is_whole(cluster: &Cluster, one: &Value, bytes: &[u8]) {
    let id = one["id"].as_str().unwrap_or_default();
    let back = cluster.home().join("back.bin");
    // It may not be there yet.
    drop(fs::remove_file(&back));
    until(
        "it is got",
        || cluster.sh(&format!("artifact get {id} {}", back.display())),
        |run| run.code == Some(0),
    );
    assert!(fs::read(&back).is_ok_and(|got| got == bytes), "{one:#}");
}

/// A service whose command is given an artifact, and the word of somebody who waits for it.
const READER: &str = r#"{
  "$schema": "urn:ivcap:schema:service.2", "id": "urn:ivcap:service:00000000-0000-0000-0000-00000000000a", "name": "reader",
  "parameters": [{"name": "data", "type": "artifact"}, {"name": "wait", "type": "string", "default": "/"}],
  "controller": {
    "$schema": "urn:ivcap:schema:service.basic.1", "image": "alpine:3.7", "command": ["sh", "-c"],
    "args": ["echo $$ >HOME/pid; curl -sSf $MAINSTAY_DATA_URL/artifacts/$1 && echo $MAINSTAY_DATA_URL; until [ -e $2 ]; do sleep 0.05; done",
             "sh", "{{inputs.parameters.data}}", "{{inputs.parameters.wait}}"]
  }
}"#;

/// Registered, with one hand on n2 for what is ordered.
fn can_read(cluster: &Cluster) {
    let file = cluster.home().join("reader.json");
    let description = READER.replace("HOME", &cluster.home().display().to_string());
    fs::write(&file, description).expect("it is ours");
    let register = format!("service register -f {}", file.display());
    cluster.sh(&register).ok();
    let worker = r#"start activity-agent --name runner --on n2 --config hands=1 'activities={"model": {"*": {"workload": {"engine": "host"}}}}'"#;
    cluster.sh(worker).ok();
}

// proves: M5, O11
// case: orchestrations 61
#[test]
fn an_ordered_task_reads_its_artifact_through_its_node_and_is_ended_when_nobody_wants_it() {
    let cluster = three_stations();
    let path = |name: &str| cluster.home().join(name);
    fs::write(path("data"), "what it is about\n").expect("it is ours");
    let id = put(&cluster, &path("data"));
    can_read(&cluster);

    // Nobody could give it to it: an attempt says what to do, and one after that finds it done.
    cluster
        .sh(&format!("order reader data={id} --id o1 --no-wait"))
        .ok();
    let why = until(
        "an attempt came to nothing",
        || cluster.json("run show o1"),
        |run| run.to_string().contains("no data-proxy"),
    );
    assert!(
        why.to_string()
            .contains("mainstay start data-proxy --on n2"),
        "{why:#}"
    );
    cluster.sh("start data-proxy --all").ok();
    kill_leader(&cluster);
    let done = until(
        "the order came to its end",
        || cluster.sh("order show o1 -o json"),
        |run| run.code == Some(0) && run.json()["order"]["status"] == "succeeded",
    );
    let result = done.json()["products"]["main"]["result"].clone();
    let result = result.as_str().unwrap_or_default().to_owned();
    let (said, url) = result.split_once('\n').expect("two lines");
    assert_eq!(said, "what it is about");
    assert_eq!(
        page(&format!("{url}/artifacts/{id}")),
        None,
        "the task is over"
    );

    // As long as a task has it at work it stays; taken back, the task ends, and its hand is free for the next.
    fs::remove_file(path("pid")).expect("the first task wrote it");
    let waits = path("never").display().to_string();
    cluster
        .sh(&format!(
            "order reader data={id} wait={waits} --id o2 --no-wait"
        ))
        .ok();
    let run = until(
        "the task has begun",
        || fs::read_to_string(path("pid")).unwrap_or_default(),
        |pid| pid.trim() != "" && cluster.json("run show o2").to_string().contains("Running"),
    );
    let used = cluster.sh(&format!("artifact delete {id}")).expect_code(10);
    assert!(used.stderr.contains("run/o2"), "{}", used.stderr);
    cluster
        .sh(&format!("order reader data={id} --id o3 --no-wait"))
        .ok();
    cluster.sh("run cancel o2").ok();
    until(
        "the next one has the hand",
        || cluster.json("order show o3"),
        |order| order["order"]["status"] == "succeeded",
    );
    let left = PathBuf::from(format!("/proc/{}", run.trim()));
    assert!(!left.exists(), "{} goes on", left.display());
    cluster.sh(&format!("artifact delete {id}")).ok();
}
