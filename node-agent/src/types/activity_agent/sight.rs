//! Its health: that of any service, and whether the engines of its containers still answer.

use std::sync::Arc;
use std::time::Duration;

use mainstay_protocol::health::Health as State;
use mainstay_service::{Busy, Context, Health, Probe};

use super::workload::{Engine, look};
use crate::types::watching::{Found, Latest, Watching};

/// Each look is a process.
const EVERY: Duration = Duration::from_secs(30);

#[derive(Debug, Clone)]
pub struct Sight {
    busy: Busy,
    engines: Vec<Latest>,
}

impl Sight {
    /// Of engines that have just answered.
    pub(super) fn over(engines: &[Arc<Engine>], ctx: &Context) -> (Self, Vec<Watching>) {
        let (mut latest, mut looking) = (Vec::new(), Vec::new());
        for engine in engines {
            let looks_at = Arc::clone(engine);
            let (watching, found) = Watching::begin(
                answered("answers", Duration::ZERO),
                EVERY,
                ctx.clone(),
                move || seen(Arc::clone(&looks_at)),
            );
            latest.push(found);
            looking.push(watching);
        }
        let busy = ctx.busy();
        let sight = Self {
            busy,
            engines: latest,
        };
        (sight, looking)
    }
}

impl Probe for Sight {
    async fn check(&self) -> Health {
        let own = self.busy.check().await;
        if own.state() != State::Ok {
            return own;
        }
        for engine in &self.engines {
            let health = engine.check().await;
            if health.state() != State::Ok {
                return health;
            }
        }
        own
    }
}

fn answered(text: &str, took: Duration) -> Found {
    Found::now(Health::ok(), text, took)
}

/// Not failed: to start again would mend nothing, and what else it does goes on.
async fn seen(engine: Arc<Engine>) -> Found {
    match look(&engine).await {
        (Ok(version), took) => answered(&version, took),
        (Err(why), took) => Found::now(Health::degraded(&why), why, took),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::super::config::{EngineName, WorkloadWay};
    use super::*;

    #[tokio::test]
    async fn an_engine_that_does_not_answer_any_more_is_told_with_its_words() {
        let dir = tempfile::tempdir().unwrap();
        let runtime = dir.path().join("own-runtime");
        symlink("/usr/sbin/runc", &runtime).unwrap();
        let way = WorkloadWay {
            engine: EngineName::Podman,
            arguments: vec!["--runtime".to_owned(), runtime.display().to_string()],
            ..WorkloadWay::default()
        };
        let engine = Engine::found(&way)
            .await
            .expect("podman and runc are installed");
        let engine = engine.expect("it is no host").guarded_by(None);
        let found = seen(Arc::clone(&engine)).await;
        assert_eq!(found.health, Health::ok(), "{}", found.text);
        fs::remove_file(runtime).unwrap();
        let found = seen(engine).await;
        assert_eq!(found.health.state(), State::Degraded);
        let told = "podman does not answer: ";
        assert!(
            found.text.starts_with(told) && found.text.contains("own-runtime"),
            "{}",
            found.text
        );
    }
}
