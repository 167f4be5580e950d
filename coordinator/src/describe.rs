//! A vertex's state in a few words, as decisions and `why` show it.

use mainstay_resource_graph::{Identity, Placement, Record, Standing, TokenState, Vertex};

/// "Failed (incarnation 3, 2 restarts): panicked: boom".
pub fn record(record: &Record) -> String {
    match &record.vertex {
        Vertex::Instance(instance) => {
            let mut text = format!(
                "{} (incarnation {}",
                instance.state.as_str(),
                instance.incarnation
            );
            if !instance.attempts.is_empty() {
                text.push_str(&format!(", {} restarts", instance.attempts.len()));
            }
            text.push_str(&format!(", wanted {})", instance.desired.as_str()));
            if let Some(reason) = &instance.reason {
                text.push_str(&format!(": {}", reason.text));
            }
            text
        }
        Vertex::Node(node) => node.state.as_str().to_owned(),
        Vertex::Placement(placement) => self::placement(placement),
        Vertex::Command(command) => {
            let (instance, incarnation) = command.order.instance();
            format!(
                "{} of {instance} incarnation {incarnation}, sent {} times",
                command.order.name(),
                command.sends
            )
        }
        Vertex::Type(found) => format!("version {}", found.declaration.version),
        Vertex::Supervisor(supervisor) => {
            let (state, incarnation) = (supervisor.state.as_str(), supervisor.incarnation);
            format!("{state} (incarnation {incarnation})")
        }
        Vertex::Configuration(configuration) => configuration.json.clone(),
        Vertex::Name(_) => "in use".to_owned(),
        Vertex::Cluster(cluster) => format!("epoch {}", cluster.epoch),
        Vertex::Station(station) => {
            format!("{} (build {})", station.state.as_str(), station.build)
        }
        Vertex::Outbox(outbox) => format!("up to {}", outbox.watermark),
        Vertex::Parked(parked) => parked.why.text.clone(),
        Vertex::Resource(resource) => format!("used {}", resource.manner.as_str()),
        Vertex::Asked(asked) => format!(
            "{} of {} (incarnation {}): {}",
            asked.failure.name, asked.instance, asked.incarnation, asked.failure.body
        ),
        Vertex::Procedure(procedure) => {
            let (rule, subject) = (&procedure.rule, &procedure.subject);
            let over = if procedure.deadline.is_some() {
                ""
            } else {
                " is over"
            };
            format!("{rule} on {subject}{over}: {}", procedure.text)
        }
        Vertex::Collected(record) => {
            format!("{} of {}: {}", record.name, record.instance, record.body)
        }
        Vertex::Token(token) => format!("lets in {}: {}", token.admits, token_state(&token.state)),
        Vertex::Identity(identity) => identity_state(identity),
        Vertex::Secret(secret) => format!("set by {}", secret.by),
        Vertex::Orchestration(_)
        | Vertex::Activity(_)
        | Vertex::Service(_)
        | Vertex::Artifact(_)
        | Vertex::Chunk(_)
        | Vertex::Text(_)
        | Vertex::Run(_)
        | Vertex::Step(_) => work(&record.vertex),
    }
}

/// Orchestrations, runs, and what they are made of.
fn work(vertex: &Vertex) -> String {
    match vertex {
        Vertex::Orchestration(one) => format!("generation {}, set by {}", one.generation, one.by),
        Vertex::Activity(one) => format!("set by {}", one.by),
        Vertex::Service(one) => format!("generation {}, registered by {}", one.generation, one.by),
        Vertex::Artifact(one) => match one.is_there() {
            true => format!("{} bytes, put by {}", one.size, one.by),
            false => format!("{} bytes are arriving, from {}", one.size, one.by),
        },
        Vertex::Chunk(chunk) => format!("{} bytes", chunk.bytes.bytes().len()),
        Vertex::Text(text) => text.json.to_string(),
        Vertex::Run(run) => format!(
            "{} ({} of {} steps complete)",
            run.state.as_str(),
            run.done,
            run.done + run.left
        ),
        Vertex::Step(step) => match &step.last_error {
            Some(error) => format!(
                "{} (attempt {}): {error}",
                step.state.as_str(),
                step.attempt
            ),
            None => format!("{} (attempt {})", step.state.as_str(), step.attempt),
        },
        _ => String::new(),
    }
}

fn placement(placement: &Placement) -> String {
    let leaving = match placement.standing {
        Standing::Wanted => "",
        Standing::Leaving => ", to be deleted",
    };
    let (generation, target) = (placement.generation, &placement.wish.target);
    format!(
        "{} on {target} (generation {generation}{leaving})",
        placement.service_type
    )
}

fn identity_state(identity: &Identity) -> String {
    match &identity.revoked {
        None => "let in".to_owned(),
        Some(revoked) => format!("taken back by {}: {}", revoked.by, revoked.why),
    }
}

fn token_state(state: &TokenState) -> String {
    match state {
        TokenState::Open => "open".to_owned(),
        TokenState::Used(bearer) => format!("used by {bearer}"),
        TokenState::Revoked { by } => format!("taken back by {by}"),
    }
}
