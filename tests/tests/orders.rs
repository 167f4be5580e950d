//! Services ordered: from files to what containers say, in real containers.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use mainstay_tests::containers::IMAGE;
use mainstay_tests::{Cluster, DevOptions, Podman, Run};
use serde_json::{Value, json};

fn file(cluster: &Cluster, name: &str, text: &str) -> PathBuf {
    let file = cluster.home().join(name);
    std::fs::write(&file, text).expect("a directory of its own");
    file
}

/// Descriptions as others wrote them.
fn example(name: &str) -> PathBuf {
    let examples = "../orchestrator/tests/examples";
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(examples)
        .join(name)
}

/// A cluster whose one worker runs containers.
fn cluster(podman: &Podman) -> Cluster {
    let cluster = Cluster::with(&DevOptions::default());
    let spec = json!({
        "kind": "Placement", "name": "runner", "type": "activity-agent", "target": {"all": {}},
        "config": {"hands": 4, "activities": {"model": {"*": podman.way()}}},
    });
    let spec = file(&cluster, "runner.json", &spec.to_string());
    cluster.sh(&format!("apply -f {}", spec.display())).ok();
    cluster
}

/// What a description names is there before it can be registered.
fn put_site(cluster: &Cluster) {
    let page = file(cluster, "index.html", "hello");
    let home = cluster.home();
    let packed = std::process::Command::new("tar")
        .arg("-C")
        .arg(home)
        .args(["-cf"])
        .arg(home.join("site.tar"))
        .arg(page.file_name().expect("it has one"))
        .status();
    assert!(packed.is_ok_and(|status| status.success()));
    let id = "urn:ivcap:artifact:00000000-0000-0000-0000-000000000004";
    let site = home.join("site.tar");
    cluster
        .sh(&format!("artifact put {} --id {id}", site.display()))
        .ok();
}

fn register(cluster: &Cluster, file: &Path) -> Run {
    cluster.sh(&format!("service register -f {}", file.display()))
}

/// The image of the service, with a program where it looks for one.
fn pipeline(podman: &Podman, cluster: &Cluster) {
    let image = "registry.example/cv_pipeline:1";
    std::fs::create_dir_all(cluster.home().join("app")).expect("a directory of its own");
    file(cluster, "app/service.py", "echo it works on $1\n");
    // No Python in so small an image: what stands there reads the program as a shell does.
    let python = file(cluster, "python", "#!/bin/sh\nexec sh \"$@\"\n");
    let may_run = Permissions::from_mode(0o755);
    std::fs::set_permissions(&python, may_run).expect("it is ours");
    podman.does(&["create", "--name", "making", IMAGE, "true"]);
    for (from, to) in [(python, "/bin/python"), (cluster.home().join("app"), "/")] {
        let from = from.display().to_string();
        podman.does(&["cp", &from, &format!("making:{to}")]);
    }
    podman.does(&["commit", "--quiet", "making", image]);
    podman.does(&["rm", "making"]);
}

fn said(order: &Value, step: &str) -> String {
    let result = &order["products"][step]["result"];
    result.as_str().unwrap_or_default().to_owned()
}

// case: orchestrations 65, 66, 67
// acceptance: issue 6, line 6
// proves: M1, M2, M4
#[test]
fn workflows_are_ordered_and_what_their_containers_say_is_shown() {
    let podman = Podman::new();
    let cluster = cluster(&podman);
    put_site(&cluster);
    for name in [
        "service-basic.json",
        "service-basic-v1-legacy.json",
        "service-argo-wf.json",
        "service-app-server.json",
    ] {
        register(&cluster, &example(name)).ok();
    }
    assert_eq!(cluster.list("service list").len(), 4);

    // As it was written, whatever is in it; in a shell's quotes it is the description's own matter.
    let message = r#"it is {{x}} {{inputs.parameters.message}} "q" $(id)"#;
    let argument = format!("order two-steps 'message={message}' --id o1");
    let ordered = cluster.sh(&argument).ok();
    assert!(
        ordered.stdout.contains("Hello from task 2!"),
        "{}",
        ordered.stdout
    );
    let order = cluster.json("order show o1");
    assert_eq!(order["order"]["status"], "succeeded", "{order:#}");
    assert_eq!(said(&order, "first-task"), message);
    assert_eq!(said(&order, "second-task"), "Hello from task 2!");
    assert_eq!(order["parameters"], json!({"message": message}));
    cluster.sh(&argument).ok();
    cluster
        .sh("order two-steps message=other --id o1")
        .expect_code(4);

    // The old form and the new are the same service under two ids: neither is meant by the name.
    pipeline(&podman, &cluster);
    cluster.sh("order cv").expect_code(2);
    for (id, service) in [
        (
            "o2",
            "urn:ivcap:service:cd1f418c-0000-0000-0000-000000000001",
        ),
        (
            "o3",
            "urn:ivcap:service:cd1f418c-0000-0000-0000-000000000002",
        ),
    ] {
        cluster.sh(&format!("order {service} --id {id}")).ok();
        let order = cluster.json(&format!("order show {id}"));
        assert_eq!(order["order"]["service"], service);
        assert_eq!(said(&order, "main"), "it works on");
    }
    assert_eq!(cluster.list("order list --of two-steps").len(), 1);
    assert_eq!(cluster.list("order list --status succeeded").len(), 3);
    assert!(podman.containers().is_empty(), "containers are left");
}

// case: orchestrations 63, 68
// acceptance: issue 6, line 3
// proves: M2, M3, M6
#[test]
fn an_order_that_cannot_be_is_refused_and_one_that_goes_wrong_says_whose_fault_it_is() {
    let podman = Podman::new();
    let cluster = cluster(&podman);
    let service = |name: &str, image: &str, command: &Value| {
        let text = json!({
            "$schema": "urn:ivcap:schema:service.2", "id": format!("urn:test:{name}"), "name": name,
            "controller": {"$schema": "urn:ivcap:schema:service.basic.1", "image": image, "command": command,
                "memory": {"limit": "32Mi"}},
        });
        file(&cluster, &format!("{name}.json"), &text.to_string())
    };
    let no = json!(["sh", "-c", "echo it is odd >&2; exit 3"]);
    register(&cluster, &service("odd", IMAGE, &no)).ok();
    register(&cluster, &service("nowhere", "nowhere.example/x:1", &no)).ok();
    register(
        &cluster,
        &service("hungry", IMAGE, &json!(["tail", "/dev/zero"])),
    )
    .ok();
    put_site(&cluster);
    register(&cluster, &example("service-app-server.json")).ok();

    // Three ways to be refused, each told in its own way, and nothing begins.
    let unknown = cluster.sh("order od").expect_code(3).stderr;
    assert!(
        unknown.contains("MS-SERVICE-UNKNOWN") && unknown.contains("odd"),
        "{unknown}"
    );
    let hosted = cluster.sh("order crewai-ui").expect_code(10).stderr;
    assert!(hosted.contains("MS-CONTROLLER-NOT-ORDERABLE"), "{hosted}");
    assert!(hosted.contains("mainstay start"), "{hosted}");
    let parameter = cluster.sh("order odd n=1").expect_code(2).stderr;
    assert!(parameter.contains("parameter-unknown"), "{parameter}");
    let foo = file(
        &cluster,
        "foo.yaml",
        "id: urn:test:foo\nname: foo\n$schema: urn:ivcap:schema:service.2\ncontroller:\n  $schema: urn:ivcap:schema:service.foo.9\n",
    );
    let told = register(&cluster, &foo).expect_code(2).stderr;
    assert!(told.contains("MS-CONTROLLER-UNKNOWN"), "{told}");
    assert!(told.contains("foo.yaml:5:"), "where it stands: {told}");
    assert!(cluster.list("order list").is_empty());

    goes_wrong(&cluster);
    assert!(podman.containers().is_empty(), "containers are left");
}

/// The work said no; the machine could not; it took more than it may.
fn goes_wrong(cluster: &Cluster) {
    let failed = cluster.sh("order odd --id o1").expect_code(9);
    assert!(
        failed.stderr.contains("exited with 3: it is odd"),
        "{}",
        failed.stderr
    );
    cluster.sh("order nowhere --id o2").expect_code(9);
    let hungry = cluster.sh("order hungry --id o3").expect_code(9);
    assert!(
        hungry.stderr.contains("memory of 32Mi"),
        "{}",
        hungry.stderr
    );
    let status = |id: &str| {
        let order = cluster.json(&format!("order show {id}"));
        order["order"]["status"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    assert_eq!(
        [status("o1"), status("o2"), status("o3")],
        ["failed", "error", "failed"]
    );
    let why = cluster.sh("why run/o2").ok().stdout;
    assert!(why.contains("nowhere.example/x:1"), "{why}");
}
