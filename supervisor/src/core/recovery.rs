//! A new life of the agent on the file of the last one.
//!
//! - Another boot, another node, no file, no readable head: the file is void; only the node's id is kept.
//! - Damage further in (not a torn tail): floors are kept; outbox and ledger are void, because numbers given out
//!   in the lost part must not be given again. The digest of NodeUp tells the coordinator what does not live.
//! - Otherwise: what had begun and did not survive is reported once, in the order of the instances: in the survivor's
//!   own words if its end is known, else as `Failed{AgentEnded}`, or `Failed{AgentStopped}` if the last life ended in
//!   order. A process that was asked to end after such a farewell (by whoever ended the agent) ended with it too. Its Start is answered `Done` (it was carried out; the
//!   report says what came of it), its Stops `NotRunning`. A Start that waited and never began is `Refused`: the
//!   coordinator decides again.
//! - What lives stays as it was: its Start is under way until it has started, its Stop is carried out again.
//! - What lives and is in no file (it is void, or somebody brought it) is taken in where its name is free and its
//!   incarnation is not past: whether it is wanted is for the coordinator to say, and it hears of it in the digest.

use mainstay_protocol::code;
use mainstay_protocol::command::{Start, Stop, StopManner, StopWhy};
use mainstay_protocol::health::{Evidence, FailureKind};
use mainstay_protocol::report::{CommandOutcome, Ending, LiveState, Presence, Report};
use mainstay_protocol::work::{Changes, WorkAnswer};
use mainstay_protocol::{CommandId, Incarnation, InstanceKey};

use super::AgentCore;
use super::input::{Action, Survivor, Survivors};
use super::state::State;
use crate::file::{Came, FileRecord, Life, OpenOrder, Recovered};

impl AgentCore {
    pub(super) fn recover(&mut self, recovered: Recovered, mut survivors: Survivors) {
        let ours = (self.identity.node.clone(), self.identity.boot_id.clone());
        let found = recovered.state.head.clone();
        let same_node = found.as_ref().is_some_and(|(node, _)| *node == ours.0);
        if found.as_ref() == Some(&ours) && !recovered.damaged {
            self.state = recovered.state;
            self.conclude_the_past(&mut survivors);
            if self.state.ended_in_order {
                // Last: a file that is cut before it tells the rest in the same words.
                self.persist(FileRecord::Life(Life::Began));
            }
        } else {
            self.persist(FileRecord::Head {
                node: ours.0.clone(),
                boot_id: ours.1.clone(),
                node_id: recovered.state.node_id.filter(|_| same_node),
            });
            if found.as_ref() == Some(&ours) {
                self.keep_floors(&recovered.state, &survivors);
            }
        }
        for survivor in survivors.into_values() {
            self.take_in(survivor);
        }
        self.trim_floors();
    }

    fn keep_floors(&mut self, past: &State, survivors: &Survivors) {
        if past.leadership > self.state.leadership {
            self.persist(FileRecord::Leads(past.leadership));
        }
        for (instance, floor) in past.floors.iter() {
            let survives = matches!(survivors.get(instance), Some(Survivor::Lives(_)));
            let lived = past.living.get(instance).filter(|_| !survives);
            let incarnation = lived.map_or(floor, |lived| floor.max(lived.incarnation.next()));
            self.persist(FileRecord::Floor {
                instance: instance.clone(),
                incarnation,
            });
        }
    }

    fn conclude_the_past(&mut self, survivors: &mut Survivors) {
        let begun: Vec<(InstanceKey, Incarnation)> = self
            .state
            .living
            .iter()
            .map(|(instance, living)| (instance.clone(), living.incarnation))
            .collect();
        let mut starts = Vec::new();
        for (instance, incarnation) in begun {
            let start = self.state.living.get(&instance).and_then(|l| l.start);
            let report = match survivors.remove(&instance) {
                Some(Survivor::Lives(start)) if start.incarnation == incarnation => {
                    self.goes_on(start);
                    // The last life told that it started, and died before it said that the command was done.
                    let living = self.state.living.get(&instance);
                    starts.extend(living.filter(|l| l.started).and_then(|l| l.start));
                    continue;
                }
                Some(Survivor::Ended(report))
                    if report.about() == Some((&instance, incarnation)) =>
                {
                    match self.was_ended_with_its_agent(&instance, &report) {
                        true => self.ended_with_its_agent(instance, incarnation),
                        false => report,
                    }
                }
                // What survived of another incarnation than the one that had begun is no news of this one.
                Some(Survivor::Lives(_) | Survivor::Ended(_)) | None => {
                    self.ended_with_its_agent(instance, incarnation)
                }
            };
            starts.extend(start);
            self.report(report);
        }
        for start in starts {
            self.answer(start, CommandOutcome::Done);
        }
        self.conclude_commands();
        self.conclude_works();
    }

    /// Whoever had them in the last life of the agent is not there to answer. The instance may be.
    fn conclude_works(&mut self) {
        for command in self.state.works.keys().copied().collect::<Vec<_>>() {
            if !self.state.ledger.knows(command) {
                self.untold.insert(command, self.now_ms);
            }
            let lost = WorkAnswer::Retry {
                error: "the agent ended before it was told what came of it".to_owned(),
                after: None,
                scratch: Changes::default(),
            };
            self.worked(command, lost);
        }
    }

    /// After a farewell only somebody else can have asked a process to end, unless a Stop of ours was under way.
    fn was_ended_with_its_agent(&self, instance: &InstanceKey, report: &Report) -> bool {
        let asked = match report {
            Report::Ended { ending, .. } => *ending != Ending::ByItself,
            _ => false,
        };
        let living = self.state.living.get(instance);
        let stopping = living.is_some_and(|living| living.state == LiveState::Stopping);
        self.state.ended_in_order && asked && !stopping
    }

    fn ended_with_its_agent(&self, instance: InstanceKey, incarnation: Incarnation) -> Report {
        let (kind, text) = match self.state.ended_in_order {
            true => (
                FailureKind::AgentStopped,
                "it was stopped with the agent that hosted it",
            ),
            false => (
                FailureKind::AgentEnded,
                "the agent process that hosted it ended",
            ),
        };
        Report::Failed {
            instance,
            incarnation,
            kind,
            presence: Presence::Gone,
            evidence: Evidence::text(text),
        }
    }

    /// Those that nothing living waits for.
    fn conclude_commands(&mut self) {
        let under_way: Vec<CommandId> = self
            .state
            .living
            .values()
            .flat_map(|living| living.start.iter().chain(&living.stops).copied())
            .collect();
        let open: Vec<_> = self
            .state
            .ledger
            .open_entries()
            .filter(|(command, ..)| !under_way.contains(command))
            .map(|(command, order, instance, at)| (command, order, instance.clone(), at))
            .collect();
        for (command, order, instance, incarnation) in open {
            match order {
                OpenOrder::Stop => self.answer(command, CommandOutcome::NotRunning),
                // What it was given is not kept, nor whether it took it: a restart makes sure.
                OpenOrder::Reconfigure => {
                    let why = "the agent ended before the change was confirmed";
                    self.refuse(command, code::AGENT_ENDED, why.to_owned());
                }
                OpenOrder::Start => {
                    self.raise_floor(&instance, incarnation);
                    let why = "the agent ended before the start began";
                    self.refuse(command, code::AGENT_ENDED, why.to_owned());
                }
            }
        }
    }

    fn goes_on(&mut self, start: Start) {
        let Some(living) = self.state.living.get(&start.instance) else {
            return;
        };
        let came = match living.started {
            true => Came::Started,
            false => Came::Begun,
        };
        // How it was asked is not kept: in order, and the coordinator repeats itself harder if that does not help.
        let stop = (living.state == LiveState::Stopping).then(|| Stop {
            instance: start.instance.clone(),
            incarnation: start.incarnation,
            deadline_ms: start.stop_deadline_ms,
            why: StopWhy::NotWanted,
            manner: StopManner::AskThenKill,
        });
        self.first_pulse(&start);
        self.output.actions.push(Action::Adopt { start, came });
        self.output.actions.extend(stop.map(Action::Stop));
    }

    /// It lives, and no record of ours began it.
    fn take_in(&mut self, survivor: Survivor) {
        let Survivor::Lives(start) = survivor else {
            return;
        };
        let taken = self.state.names.holder(&start.name).is_some()
            || self.state.living.contains_key(&start.instance);
        if taken || start.incarnation < self.state.floors.of(&start.instance) {
            return;
        }
        self.persist(FileRecord::Begun {
            instance: start.instance.clone(),
            incarnation: start.incarnation,
            name: start.name.clone(),
            command: None,
            came: Came::Begun,
            needs: start.needs.clone(),
        });
        self.goes_on(start);
    }
}
