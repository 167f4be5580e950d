//! What the coordinator has to say to a living instance, and wants to hear of it: answers, activities of runs, what a stray
//! is.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mainstay_protocol::command::{Answer, TakeBack};
use mainstay_protocol::health::{Health, ProcessIdentity};
use mainstay_protocol::report::Report;
use mainstay_protocol::work::Work;
use mainstay_protocol::{CommandId, Incarnation, InstanceKey};
use mainstay_service::hosting::{Hosted, Phase};
use mainstay_supervisor::Observation;
use tokio::sync::oneshot;

use super::{Instances, Living};

/// Activities under way, by the commands that brought them: how each is told that nobody wants it any more.
#[derive(Debug, Default)]
pub(super) struct Calls(Mutex<BTreeMap<CommandId, oneshot::Sender<()>>>);

impl Calls {
    /// Ready when it is taken back.
    fn begins(&self, command: CommandId) -> impl Future<Output = ()> + use<> {
        let (take_back, taken_back) = oneshot::channel();
        self.all().insert(command, take_back);
        async {
            if taken_back.await.is_err() {
                pending().await
            }
        }
    }

    fn ends(&self, command: CommandId) {
        self.all().remove(&command);
    }

    fn take_back(&self, command: CommandId) -> bool {
        let call = self.all().remove(&command);
        call.is_some_and(|call| call.send(()).is_ok())
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<CommandId, oneshot::Sender<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Instances {
    /// What it asked is answered. It may not wait for it any more.
    pub(crate) fn answer(&self, answer: Answer) {
        let Some(hosted) = self.get(&answer.instance) else {
            return;
        };
        if hosted.identity().incarnation == answer.incarnation {
            let heard = hosted.answer_question(answer.question, answer.answered);
            tracing::debug!(instance = %answer.instance, heard, "is answered");
        }
    }

    /// An activity of a run for a living instance. Where it is not any more, its end is on its way and answers this.
    pub(crate) fn work(&self, command: CommandId, work: Work) {
        let found = self.get(&work.instance);
        let found = found.filter(|hosted| hosted.identity().incarnation == work.incarnation);
        let Some(hosted) = found else { return };
        let taken_back = self.shared.calls.begins(command);
        let instances = self.clone();
        tokio::spawn(async move {
            let (step, skill) = (work.step.clone(), work.skill.clone());
            tracing::debug!(instance = %work.instance, %step, %skill, attempt = work.attempt, "works");
            let answer = hosted.work(command, work, taken_back).await;
            instances.shared.calls.ends(command);
            if let Some(answer) = answer {
                tracing::debug!(%step, answer = answer.name(), "has worked");
                let observation = Observation::Worked { command, answer };
                instances.observe(observation).await;
            }
        });
    }

    /// Nobody wants it any more. One that is done, or whose instance has ended, has answered already.
    pub(crate) fn take_back(&self, back: &TakeBack) {
        let found = self.shared.calls.take_back(back.work);
        tracing::debug!(instance = %back.instance, found, "work is taken back");
    }

    /// Tells of a living incarnation as adopted: what it was started with, and what it is.
    pub(crate) fn tell_again(
        &self,
        command: CommandId,
        instance: InstanceKey,
        incarnation: Incarnation,
    ) {
        let living = self.hosted().get(&instance).cloned();
        let adopted = living
            .filter(|living| living.start.incarnation == incarnation)
            .and_then(|living| self.adopted(&living));
        let instances = self.clone();
        tokio::spawn(async move {
            instances
                .observe(Observation::ToldAgain {
                    command,
                    instance,
                    incarnation,
                    adopted: adopted.map(Box::new),
                })
                .await;
        });
    }

    fn adopted(&self, living: &Living) -> Option<Report> {
        let Phase::Running(running) = living.hosted.phase().borrow().clone() else {
            return None;
        };
        let start = &living.start;
        let declared = self.shared.types.get(&start.service_type)?;
        Some(Report::Adopted {
            instance: start.instance.clone(),
            incarnation: start.incarnation,
            service_type: start.service_type.clone(),
            version: declared.declaration().version.clone(),
            given: start.config.clone(),
            config: running.config,
            process: self.processes_of(&living.hosted),
            ports: living.hosted.ports(),
            // The core has heard the Checks.
            health: Health::Unknown,
            uses: living.hosted.uses(),
        })
    }

    /// The processes it stands for; actors live in the agent's.
    pub(super) fn processes_of(&self, hosted: &Hosted) -> Vec<ProcessIdentity> {
        hosted
            .processes()
            .unwrap_or_else(|| vec![self.shared.process.clone()])
    }
}
