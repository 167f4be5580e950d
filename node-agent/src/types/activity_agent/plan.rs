//! The configuration, understood: who does what, with the secrets that it takes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use mainstay_protocol::work::ANY;
use mainstay_service::{Call, CannotStart, Context, Processed};

use super::calls::Hold;
use super::config::{ActivityAgentConfig, ProcessWay, Way};
use super::guard::Guard;
use super::http::Endpoint;
use super::program::Program;
use super::workload::{Engine, Workload};
use crate::action::SEARCH_PATH;
use crate::secret_files::{self, SecretFiles};

#[derive(Debug)]
pub(super) struct Plan {
    doers: BTreeMap<String, BTreeMap<String, Doer>>,
    engines: Vec<Arc<Engine>>,
}

#[derive(Debug)]
enum Doer {
    Program(Program),
    Endpoint(Endpoint),
    Workload(Workload),
}

/// What the programs of one instance have in common.
struct Programs<'a> {
    secrets: SecretFiles,
    guard: Option<Arc<Guard>>,
    engines: Engines,
    ctx: &'a Context,
}

/// By provider and type of activity, the engine that answered for it.
type Engines = BTreeMap<(String, String), Arc<Engine>>;

impl Plan {
    pub(super) async fn made(
        config: &ActivityAgentConfig,
        ctx: &Context,
    ) -> Result<Self, CannotStart> {
        let references = config.secrets();
        let secrets = match references.is_empty() {
            true => SecretFiles::of(ctx),
            false => secret_files::taken(references, None, ctx).await?,
        };
        let (guard, engines) = guarded(config, ctx).await?;
        let programs = Programs {
            secrets,
            guard,
            engines,
            ctx,
        };
        let mut plan = BTreeMap::new();
        for (provider, types) in &config.activities {
            let mut doers = BTreeMap::new();
            for (activity, way) in types {
                let name = (provider.clone(), activity.clone());
                if let Some(doer) = programs.doer(&name, way).await? {
                    doers.insert(activity.clone(), doer);
                }
            }
            plan.insert(provider.clone(), doers);
        }
        Ok(Self {
            doers: plan,
            engines: programs.engines.into_values().collect(),
        })
    }

    /// Those that its containers run in.
    pub(super) fn engines(&self) -> &[Arc<Engine>] {
        &self.engines
    }

    /// `hold` is let go of when nothing of it runs any more.
    pub(super) async fn process(&self, call: &Call, hold: Hold) -> Processed {
        let skill = call.skill();
        let doers = self.doers.get(&skill.provider);
        let doer = doers.and_then(|doers| {
            let named = doers.get(skill.activity.as_str());
            named.or_else(|| doers.get(ANY))
        });
        match doer {
            Some(Doer::Program(program)) => program.process(call, hold).await,
            Some(Doer::Endpoint(endpoint)) => endpoint.process(call).await,
            Some(Doer::Workload(workload)) => workload.process(call, hold).await,
            None => Processed::retry(format!("its configuration does not say how to do {skill}")),
        }
    }
}

/// One for all that would go on without the agent.
async fn guarded(
    config: &ActivityAgentConfig,
    ctx: &Context,
) -> Result<(Option<Arc<Guard>>, Engines), CannotStart> {
    let (mut found, mut goes_on) = (Vec::new(), false);
    for (provider, types) in &config.activities {
        for (activity, way) in types {
            goes_on |= way.process.is_some() || way.workload.is_some();
            let Some(workload) = &way.workload else {
                continue;
            };
            let engine = Engine::found(workload).await?;
            let name = (provider.clone(), activity.clone());
            found.extend(engine.map(|engine| (name, engine)));
        }
    }
    let engines: Vec<&Engine> = found.iter().map(|(_, engine)| engine).collect();
    let guard = match goes_on {
        true => Guard::begun(&engines, ctx).await,
        false => Ok(None),
    };
    let guard = guard.map_err(CannotStart::not_now)?;
    let guarded = found.into_iter();
    let guarded = guarded.map(|(name, engine)| (name, engine.guarded_by(guard.as_deref())));
    let engines = guarded.collect();
    Ok((guard, engines))
}

impl Programs<'_> {
    /// None of a way that says nothing: that was refused.
    async fn doer(&self, name: &(String, String), way: &Way) -> Result<Option<Doer>, CannotStart> {
        if let Some(workload) = &way.workload {
            let engine = self.engines.get(name).cloned();
            let workload = Workload::of(workload, engine, self.guard.clone(), self.ctx);
            return workload.await.map(Doer::Workload).map(Some);
        }
        if let Some(process) = &way.process {
            return self.program(process).map(Doer::Program).map(Some);
        }
        match &way.http {
            Some(http) => Ok(Some(Doer::Endpoint(Endpoint::of(http, self.ctx).await?))),
            None => Ok(None),
        }
    }

    fn program(&self, way: &ProcessWay) -> Result<Program, CannotStart> {
        let command: Result<_, _> = way
            .command
            .iter()
            .map(|text| self.filled_in(text))
            .collect();
        let instance = &self.ctx.identity().instance;
        let mut environment = BTreeMap::from([
            // Unless the configuration says.
            ("PATH".to_owned(), SEARCH_PATH.to_owned()),
            ("MAINSTAY_INSTANCE".to_owned(), instance.to_string()),
            ("MAINSTAY_NODE".to_owned(), instance.node.to_string()),
        ]);
        for (key, value) in &way.env {
            environment.insert(key.clone(), self.filled_in(value)?);
        }
        Ok(Program {
            command: command?,
            environment,
            directory: way.directory.as_ref().map(PathBuf::from),
            guard: self.guard.clone(),
        })
    }

    /// A reference to a secret becomes the path of its file.
    fn filled_in(&self, text: &str) -> Result<String, CannotStart> {
        let path = self.secrets.in_place_of(text).transpose();
        let path = path.map_err(|error| CannotStart::not_now(format!("{text}: {error}")))?;
        Ok(path.unwrap_or_else(|| text.to_owned()))
    }
}
