//! The files of `deploy/`, read as Kubernetes and an engine would: that they fit together, and fit the program.

mod pods;
mod tree;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use mainstay_api::routes::{HEALTHZ, READYZ};
use pods::{Pod, pods};
use serde_json::{Value, json};
use tree::{Manifest, deploy, manifests, text};

/// All that there may be: no rights, no kinds of its own, nothing that asks Kubernetes for anything.
const KINDS: [(&str, &str); 9] = [
    ("v1", "Namespace"),
    ("v1", "Service"),
    ("v1", "PersistentVolumeClaim"),
    ("v1", "Pod"),
    ("policy/v1", "PodDisruptionBudget"),
    ("apps/v1", "StatefulSet"),
    ("apps/v1", "DaemonSet"),
    ("batch/v1", "Job"),
    ("kustomize.config.k8s.io/v1beta1", "Kustomization"),
];
/// Of Mainstay, not of Kubernetes.
const OURS: &str = "kubernetes/apply/placements.yaml";
/// By hand, and in no kustomization.
const ALONE: &str = "kubernetes/workbench.yaml";
/// Whom the image runs as.
const USER: u64 = 10001;
/// The only one that is more than nobody, and only until its pod begins.
const ROOT: (&str, &str) = ("machine", "own");

fn is_within(wanted: &Value, labels: &Value) -> bool {
    let wanted = wanted.as_object().filter(|wanted| !wanted.is_empty());
    wanted.is_some_and(|wanted| wanted.iter().all(|(key, value)| labels[key] == *value))
}

fn all(of: &str) -> Vec<Manifest> {
    let mut all = manifests();
    all.retain(|one| one.kind() == of);
    all
}

// proves: O10
#[test]
fn manifests_are_of_kinds_that_need_no_rights_and_each_is_in_a_kustomization() {
    let mut used = BTreeSet::from([OURS.to_owned(), ALONE.to_owned()]);
    for kustomization in all("Kustomization") {
        used.insert(kustomization.file.clone());
        let folder = Path::new(&kustomization.file).parent().expect("a folder");
        let generators = kustomization.list("/configMapGenerator");
        let generated = generators.iter().flat_map(|one| one["files"].as_array());
        let resources = kustomization.list("/resources");
        for file in resources.iter().chain(generated.flatten()) {
            let file = folder.join(file.as_str().expect("a path"));
            assert!(deploy().join(&file).is_file(), "{}", file.display());
            used.insert(file.display().to_string());
        }
    }
    for manifest in manifests() {
        assert!(
            used.contains(&manifest.file),
            "nobody uses {}",
            manifest.file
        );
        if manifest.file == OURS {
            assert_eq!(manifest.kind(), "Placement");
            continue;
        }
        let kind = (manifest.text("/apiVersion"), manifest.kind());
        assert!(KINDS.contains(&kind), "{}: {kind:?}", manifest.file);
        let name = manifest.text("/metadata/name");
        assert!(
            kind.1 == "Kustomization" || !name.is_empty(),
            "{}",
            manifest.file
        );
    }
}

fn is_confined(pod: &Pod) {
    let at = &pod.name;
    for (pointer, wanted) in [
        ("/automountServiceAccountToken", json!(false)),
        ("/enableServiceLinks", json!(false)),
        ("/securityContext/runAsNonRoot", json!(true)),
        ("/securityContext/runAsUser", json!(USER)),
        ("/securityContext/runAsGroup", json!(USER)),
        (
            "/securityContext/seccompProfile/type",
            json!("RuntimeDefault"),
        ),
    ] {
        assert_eq!(pod.spec.pointer(pointer), Some(&wanted), "{at}: {pointer}");
    }
    for field in ["hostNetwork", "hostPID", "hostIPC", "serviceAccountName"] {
        assert!(pod.spec[field].is_null(), "{at}: {field}");
    }
    for container in pod.containers() {
        let name = container["name"].as_str().unwrap_or_default();
        let security = &container["securityContext"];
        assert_eq!(security["allowPrivilegeEscalation"], false, "{at} {name}");
        assert_eq!(security["readOnlyRootFilesystem"], true, "{at} {name}");
        assert_eq!(
            security["capabilities"]["drop"],
            json!(["ALL"]),
            "{at} {name}"
        );
        assert!(security["privileged"].is_null(), "{at} {name}");
        let (adds, user) = (&security["capabilities"]["add"], &security["runAsUser"]);
        match (at.as_str(), name) == ROOT {
            true => assert_eq!((adds, user), (&json!(["CHOWN"]), &json!(0))),
            false => assert!(adds.is_null() && user.is_null(), "{at} {name}"),
        }
        for (pointer, what) in [
            ("/resources/requests/cpu", "a request of processors"),
            ("/resources/requests/memory", "a request of memory"),
            ("/resources/limits/memory", "a limit of memory"),
        ] {
            assert!(container.pointer(pointer).is_some(), "{at} {name}: {what}");
        }
    }
}

// proves: O10
#[test]
fn pods_are_confined_as_their_namespace_demands() {
    let pods = pods();
    assert_eq!(pods.len(), 5);
    let enforced = |namespace: &str| {
        let mut all = all("Namespace").into_iter();
        let found = all.find(|one| one.text("/metadata/name") == namespace);
        let found = found.unwrap_or_else(|| panic!("there is no namespace {namespace}"));
        let labels = &found.document["metadata"]["labels"];
        labels["pod-security.kubernetes.io/enforce"].clone()
    };
    for pod in &pods {
        is_confined(pod);
        let volumes = pod.spec["volumes"].as_array().into_iter().flatten();
        let has_host = volumes.clone().any(|volume| !volume["hostPath"].is_null());
        // The strictest standard knows no directory of the machine and no user 0.
        let wanted = if has_host { "privileged" } else { "restricted" };
        assert_eq!(enforced(&pod.namespace), wanted, "{}", pod.name);
        let mut names: Vec<&Value> = volumes.map(|volume| &volume["name"]).collect();
        names.extend(pod.claims.iter().map(|claim| &claim["metadata"]["name"]));
        for container in pod.containers() {
            for mount in container["volumeMounts"].as_array().into_iter().flatten() {
                assert!(names.contains(&&mount["name"]), "{}: {mount}", pod.name);
            }
        }
    }
}

// proves: O10
#[test]
fn selectors_find_pods_and_what_is_named_is_there() {
    let pods = pods();
    let services = all("Service");
    for service in &services {
        let selects = &service.document["spec"]["selector"];
        let selected: Vec<&Pod> = pods
            .iter()
            .filter(|pod| is_within(selects, &pod.labels))
            .collect();
        assert!(!selected.is_empty(), "{} selects nobody", service.name());
        for port in service.list("/spec/ports") {
            let named = |pod: &&Pod| pod.ports().contains(&port["targetPort"]);
            assert!(selected.iter().all(named), "{}: {port}", service.name());
        }
    }
    for budget in all("PodDisruptionBudget") {
        let selects = &budget.document["spec"]["selector"]["matchLabels"];
        let found = pods.iter().any(|pod| is_within(selects, &pod.labels));
        assert!(found, "{} selects nobody", budget.name());
    }
    for pod in &pods {
        for selector in pod.selectors() {
            assert!(is_within(selector, &pod.labels), "{}: {selector}", pod.name);
        }
        if let Some(service) = pod.service.as_deref() {
            let service = services.iter().find(|one| one.name() == service);
            let service = service.expect("a stateful set has a service");
            assert_eq!(service.text("/spec/clusterIP"), "None", "{}", pod.name);
            assert!(is_within(
                &service.document["spec"]["selector"],
                &pod.labels
            ));
        }
    }
    // The address that the Job joins at.
    let addresses: Vec<String> = services
        .iter()
        .flat_map(|one| {
            one.list("/spec/ports")
                .into_iter()
                .map(|port| format!("{}:{}", one.name(), port["port"]))
        })
        .collect();
    let job = pods
        .iter()
        .find(|pod| pod.name == "mainstay-apply")
        .expect("there is a Job");
    let words = job.words();
    let joins = words
        .iter()
        .position(|word| word == "join")
        .expect("it joins");
    assert!(
        addresses.contains(&words[joins + 1]),
        "{words:?}, {addresses:?}"
    );
}

// proves: O10
#[test]
fn volumes_secrets_and_files_that_pods_name_are_made_by_somebody() {
    let pods = pods();
    let mut claims: BTreeSet<String> = all("PersistentVolumeClaim")
        .iter()
        .map(|one| one.name().to_owned())
        .collect();
    for pod in pods.iter().filter(|pod| pod.service.is_some()) {
        let names = pod
            .claims
            .iter()
            .map(|claim| claim["metadata"]["name"].as_str());
        claims.extend(names.flatten().map(|name| format!("{name}-{}-0", pod.name)));
    }
    let generators = all("Kustomization")
        .into_iter()
        .flat_map(|one| one.list("/configMapGenerator"));
    let maps: Vec<Value> = generators.map(|one| one["name"].clone()).collect();
    let readme = text("README.md");
    for pod in &pods {
        for volume in pod.spec["volumes"].as_array().into_iter().flatten() {
            if let Some(claim) = volume["persistentVolumeClaim"]["claimName"].as_str() {
                assert!(claims.contains(claim), "{}: {claim}", pod.name);
            }
            let map = &volume["configMap"]["name"];
            assert!(map.is_null() || maps.contains(map), "{}: {map}", pod.name);
        }
        // Secrets are made by people, who are told to.
        for secret in pod.secrets() {
            assert!(
                readme.contains(&format!("secret generic {secret}")),
                "{secret}"
            );
        }
    }
}

// proves: O10
#[test]
fn probes_and_arguments_are_what_the_entry_point_and_the_station_know() {
    let entry = text("mainstay-container");
    let commands: BTreeSet<&str> = entry
        .lines()
        .skip_while(|line| !line.starts_with("case ${1:-} in"))
        .filter_map(|line| line.split_once(')'))
        .filter(|(names, _)| !names.starts_with(' '))
        .flat_map(|(names, _)| names.split('|').map(str::trim))
        .collect();
    assert!(
        commands.contains("wait") && commands.contains("ready"),
        "{commands:?}"
    );
    for route in [HEALTHZ.path, READYZ.path] {
        assert!(
            entry.contains(&format!("station) answers_200 {route}")),
            "{route}"
        );
    }
    let mut probes = 0;
    for pod in pods() {
        for container in pod.containers() {
            let first = container["args"][0].as_str();
            let known = first.is_none_or(|word| word == "mainstay" || commands.contains(word));
            assert!(
                known && (first.is_some() || !container["command"].is_null()),
                "{container}"
            );
            for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
                let probe = &container[probe];
                if probe.is_null() {
                    continue;
                }
                probes += 1;
                if let Some(get) = probe["httpGet"].as_object() {
                    assert_eq!(
                        (&get["path"], &get["scheme"]),
                        (&json!(READYZ.path), &json!("HTTPS"))
                    );
                    assert!(pod.ports().contains(&get["port"]), "{get:?}");
                    continue;
                }
                let words = &probe["exec"]["command"];
                assert_eq!(
                    (&words[0], &words[2]),
                    (&json!("mainstay-container"), &container["name"])
                );
                let asks = words[1].as_str().expect("a word");
                assert!(["alive", "ready"].contains(&asks), "{words}");
            }
        }
    }
    assert_eq!(probes, 9, "three of each that goes on for ever");
    for script in ["mainstay-container", "kubernetes/let-in.sh"] {
        let read = Command::new("sh")
            .arg("-n")
            .arg(deploy().join(script))
            .status();
        assert!(read.expect("sh runs").success(), "{script}");
    }
}

/// What a container has to end what it runs is less than the pod has.
#[test]
fn pods_of_agents_have_the_time_that_their_containers_take_to_end() {
    let entry = text("mainstay-container");
    let (_, grace) = entry
        .split_once("grace_ms=${GRACE_MS:-")
        .expect("it says so");
    let (grace, _) = grace.split_once('}').expect("a number");
    let grace_ms: u64 = grace.parse().expect("a number");
    let mut agents = pods();
    agents.retain(|pod| pod.labels["app.kubernetes.io/component"] == "agent");
    assert_eq!(agents.len(), 2);
    for pod in agents {
        let seconds = pod.spec["terminationGracePeriodSeconds"].as_u64();
        assert!(
            seconds.is_some_and(|seconds| seconds * 1000 >= grace_ms + 10_000),
            "{}",
            pod.name
        );
    }
}

/// From the image that both are made from, on.
fn second_half(file: &str) -> Vec<String> {
    let lines = text(file);
    let lines = lines.lines().map(str::to_owned);
    let half: Vec<String> = lines.skip_while(|line| line != "FROM ${BASE}").collect();
    assert!(half.len() > 10, "{file} has no second half");
    half
}

// proves: O10
#[test]
fn both_ways_to_make_the_image_make_the_same_one() {
    let files = ["Containerfile", "Containerfile.binaries"];
    let [sources, binaries] = files.map(second_half);
    assert_eq!(sources.len(), binaries.len());
    for (one, other) in sources.iter().zip(&binaries) {
        match one.strip_prefix("COPY ") {
            Some(_) => assert!(other.starts_with("COPY "), "{one}\n{other}"),
            None => assert_eq!(one, other),
        }
    }
    let base = |file: &str| {
        let all = text(file);
        let mut lines = all.lines().map(str::to_owned);
        lines
            .find(|line| line.starts_with("ARG BASE="))
            .expect("there is a base")
    };
    assert_eq!(base(files[0]), base(files[1]));
    let user = format!("USER {USER}:{USER}");
    let of_image = |word: &str| {
        sources
            .iter()
            .any(|line| line.split(' ').any(|one| one == word))
    };
    assert!(sources.contains(&user), "{user}");
    for pod in pods() {
        for container in pod.containers() {
            for port in container["ports"].as_array().into_iter().flatten() {
                let port = port["containerPort"].to_string();
                assert!(of_image(&port), "{port} is not exposed");
            }
        }
    }
}

// proves: O10
#[test]
fn the_versions_of_image_and_compiler_are_the_workspaces() {
    let version = env!("CARGO_PKG_VERSION");
    let mut images = BTreeSet::new();
    for kustomization in all("Kustomization") {
        for image in kustomization.list("/images") {
            assert_eq!(image["newTag"], version, "{}", kustomization.file);
            images.insert(format!(
                "{}:{version}",
                image["newName"].as_str().expect("a name")
            ));
        }
    }
    for pod in pods() {
        for container in pod.containers() {
            let image = container["image"].as_str().expect("an image");
            assert!(
                image == "mainstay" || images.contains(image),
                "{}: {image}",
                pod.name
            );
        }
    }
    for file in ["README.md", "Containerfile", "Containerfile.binaries"] {
        let all = text(file);
        // An upgrade is to another.
        let lines = all.lines().filter(|line| !line.contains(" set image "));
        for tag in lines.flat_map(|line| line.split("mainstay:").skip(1)) {
            let tag: String = tag
                .chars()
                .take_while(|c| c.is_ascii_digit() || *c == '.')
                .collect();
            // Without a point it is a port.
            let is_version = tag.contains('.');
            assert!(!is_version || tag == version, "{file}: {tag}");
        }
    }
    let rust = format!(
        "ARG RUST=docker.io/library/rust:{}-",
        env!("CARGO_PKG_RUST_VERSION")
    );
    assert!(text("Containerfile").contains(&rust), "{rust}");
}
