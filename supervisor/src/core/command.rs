//! Commands as they arrive: what is stale is answered so, what is known is not done twice.

use std::collections::BTreeMap;

use mainstay_broker::{Asked, Facts, No, evaluate};
use mainstay_protocol::code;
use mainstay_protocol::command::{
    Adopt, Answer, Command, Order, Reconfigure, Start, Stop, TakeBack,
};
use mainstay_protocol::report::{CommandOutcome, LiveState, Report};
use mainstay_protocol::room::Room;
use mainstay_protocol::work::Work;
use mainstay_protocol::{CommandId, Incarnation, InstanceKey, limits};

use super::AgentCore;
use super::input::Action;
use crate::file::{Came, FileRecord, OpenOrder};

impl AgentCore {
    pub(super) fn command(&mut self, command: Command) {
        if self.state.ledger.knows(command.id) {
            return;
        }
        // Beyond the bound a command is left to be repeated: the coordinator does so until it is answered.
        if self.state.ledger.len() >= limits::COMMANDS_KEPT_MAX {
            return;
        }
        // Nor is a deposed leader answered: whatever it decided that still counts, its successor sends again, and
        // would take the answer for its own.
        if command.leadership < self.state.leadership {
            return;
        }
        if command.leadership > self.state.leadership {
            self.persist(FileRecord::Leads(command.leadership));
        }
        match command.order {
            Order::Start(start) if start.lease.is_some() => self.start_leased(command.id, start),
            Order::Start(start) => self.start(command.id, start),
            Order::Stop(stop) => self.stop(command.id, stop),
            Order::Reconfigure(change) => self.reconfigure(command.id, change),
            Order::Answer(answer) => self.answer_question(command.id, answer),
            Order::Adopt(adopt) => self.adopt(command.id, adopt),
            Order::Work(work) => self.work(command.id, work),
            Order::TakeBack(back) => self.take_back(command.id, back),
        }
        self.trim_floors();
    }

    pub(super) fn start(&mut self, command: CommandId, start: Start) {
        if self.outbox_is_overfull() {
            return;
        }
        if self.is_under_way(&start) {
            let (instance, incarnation) = (&start.instance, start.incarnation);
            return self.open(command, OpenOrder::Start, instance, incarnation);
        }
        if self.is_stale(&start) {
            return self.answer(command, CommandOutcome::Stale);
        }
        if let Some(why) = self.overloaded() {
            self.raise_floor(&start.instance, start.incarnation);
            return self.refuse(command, code::OVERLOADED, why.to_owned());
        }
        let Some(living) = self.state.living.get(&start.instance) else {
            return self.begin_or_refuse(command, start, true);
        };
        if living.state != LiveState::Stopping || self.stuck.contains(&start.instance) {
            let holder = start.instance.clone();
            return self.refuse_name(command, &start, Some(holder));
        }
        self.open(
            command,
            OpenOrder::Start,
            &start.instance,
            start.incarnation,
        );
        let instance = start.instance.clone();
        if let Some((older, _)) = self.waiting.insert(instance, (command, start)) {
            self.answer(older, CommandOutcome::Stale);
        }
    }

    /// It was found alive by a life that does not know who asked for it: here is who.
    pub(super) fn is_under_way(&self, start: &Start) -> bool {
        self.state
            .living
            .get(&start.instance)
            .is_some_and(|living| {
                living.incarnation == start.incarnation
                    && living.state == LiveState::Starting
                    && living.start.is_none()
                    // Its Start was answered with that.
                    && !living.failed
            })
    }

    /// Below the floor, or not newer than what lives or waits.
    pub(super) fn is_stale(&self, start: &Start) -> bool {
        let instance = &start.instance;
        let lives = self
            .state
            .living
            .get(instance)
            .map(|living| living.incarnation);
        let waits = self
            .waiting
            .get(instance)
            .map(|(_, waiting)| waiting.incarnation);
        let floor = self.state.floors.of(instance);
        #[cfg(feature = "planted-bugs")]
        let floor = match crate::planted::is(crate::planted::Bug::ForgetsFloors) {
            true => Incarnation::default(),
            false => floor,
        };
        start.incarnation < floor
            || lives.is_some_and(|newest| start.incarnation <= newest)
            || waits.is_some_and(|newest| start.incarnation <= newest)
    }

    fn overloaded(&self) -> Option<&'static str> {
        if self.outbox_is_full() {
            Some("the node has too many reports waiting to be acknowledged to start anything")
        } else if self.state.living.len() + self.waiting.len() >= limits::INSTANCES_PER_NODE_MAX {
            Some("the node has as many instances as it may have")
        } else {
            None
        }
    }

    /// Begins a Start whose instance has nothing living, if nobody holds its name.
    fn begin_or_refuse(&mut self, command: CommandId, start: Start, open: bool) {
        if let Some(holder) = self.state.names.holder(&start.name).cloned() {
            return self.refuse_name(command, &start, Some(holder));
        }
        if let Some(why) = self.lacks_room(&start) {
            self.raise_floor(&start.instance, start.incarnation);
            return self.refuse(command, code::NO_ROOM, why);
        }
        if open {
            self.open(
                command,
                OpenOrder::Start,
                &start.instance,
                start.incarnation,
            );
        }
        self.persist(FileRecord::Begun {
            instance: start.instance.clone(),
            incarnation: start.incarnation,
            name: start.name.clone(),
            command: Some(command),
            came: Came::Begun,
            needs: start.needs.clone(),
        });
        self.first_pulse(&start);
        self.output.actions.push(Action::Start(start));
    }

    /// What the node does not have for it, by the same judgement as the coordinator's, over what really lives here.
    fn lacks_room(&self, start: &Start) -> Option<String> {
        let nothing = BTreeMap::new();
        let asked = Asked {
            service_type: &start.service_type,
            labels: &nothing,
            least: Room::NONE,
            company: &[],
            needs: &start.needs,
        };
        let facts = Facts {
            node: &self.identity.node,
            // Whether it has it is for the starter to say.
            has_type: true,
            labels: &nothing,
            objections: &[],
            account: self.state.room.account(self.identity.sysinfo.offers),
            holder: None,
        };
        let noes: Vec<String> = evaluate(&asked, &facts).iter().map(No::to_string).collect();
        (!noes.is_empty()).then(|| noes.join("; "))
    }

    /// The older incarnation is gone: the Start that waited for it begins.
    pub(super) fn begin_waiting(&mut self, instance: &InstanceKey) {
        if let Some((command, start)) = self.waiting.remove(instance) {
            self.begin_or_refuse(command, start, false);
        }
    }

    /// The older incarnation will not end: the Start that waited for it cannot have the name.
    pub(super) fn refuse_waiting(&mut self, instance: &InstanceKey) {
        if let Some((command, start)) = self.waiting.remove(instance) {
            self.refuse_name(command, &start, Some(instance.clone()));
        }
    }

    fn refuse_name(&mut self, command: CommandId, start: &Start, holder: Option<InstanceKey>) {
        let text = match &holder {
            Some(holder) => format!("{holder} holds the name {} on this node", start.name),
            None => format!("the name {} is held on this node", start.name),
        };
        self.report(Report::NameTaken {
            instance: start.instance.clone(),
            incarnation: start.incarnation,
            name: start.name.clone(),
            holder,
        });
        self.refuse(command, code::NAME_HELD_ON_NODE, text);
    }

    fn stop(&mut self, command: CommandId, stop: Stop) {
        let living = self.state.living.get(&stop.instance);
        let Some(incarnation) = living
            .map(|living| living.incarnation)
            .filter(|living| *living <= stop.incarnation)
        else {
            return self.stop_nothing(command, &stop);
        };
        self.open(command, OpenOrder::Stop, &stop.instance, stop.incarnation);
        self.forget_waiting(&stop);
        self.stuck.remove(&stop.instance);
        self.output.actions.push(Action::Stop(Stop {
            incarnation,
            ..stop
        }));
    }

    /// Only for what has started and is not asked to end. One of a time when another incarnation lived is late.
    fn reconfigure(&mut self, command: CommandId, change: Reconfigure) {
        if self.outbox_is_full() {
            return;
        }
        let living = self.state.living.get(&change.instance);
        let Some(living) = living.filter(|living| {
            living.incarnation == change.incarnation && living.state == LiveState::Running
        }) else {
            return self.answer(command, CommandOutcome::NotRunning);
        };
        if living.newest_change >= Some(command) {
            return self.answer(command, CommandOutcome::Stale);
        }
        let incarnation = change.incarnation;
        self.open(
            command,
            OpenOrder::Reconfigure,
            &change.instance,
            incarnation,
        );
        self.output
            .actions
            .push(Action::Reconfigure { command, change });
    }

    /// Handed over at once. Should the agent end before that is known, it comes again and is no harm: who asked is gone.
    fn answer_question(&mut self, command: CommandId, answer: Answer) {
        if self.outbox_is_overfull() {
            return;
        }
        let outcome = match self.lives(&answer.instance, answer.incarnation) {
            true => CommandOutcome::Done,
            false => CommandOutcome::NotRunning,
        };
        if outcome == CommandOutcome::Done {
            self.output.actions.push(Action::Answer(answer));
        }
        self.answer(command, outcome);
    }

    /// What it runs with is known to the host; asked again, it is told again.
    fn adopt(&mut self, command: CommandId, adopt: Adopt) {
        if self.outbox_is_overfull() {
            return;
        }
        let Adopt {
            instance,
            incarnation,
        } = adopt;
        if !self.lives(&instance, incarnation) {
            return self.answer(command, CommandOutcome::NotRunning);
        }
        self.output.actions.push(Action::TellAgain {
            command,
            instance,
            incarnation,
        });
    }

    /// What has it answers when it is done, which may be hours later. That it has it is told with that, or when a while
    /// has passed, or when it is asked again.
    fn work(&mut self, command: CommandId, work: Box<Work>) {
        let has_room = self.state.works.len() < limits::COMMANDS_KEPT_MAX;
        if self.outbox_is_full() || !has_room {
            return;
        }
        let living = self.state.living.get(&work.instance);
        let runs = living.is_some_and(|living| {
            living.incarnation == work.incarnation && living.state == LiveState::Running
        });
        if !runs {
            return self.answer(command, CommandOutcome::NotRunning);
        }
        if self.state.works.contains_key(&command) {
            self.untold.remove(&command);
            return self.answer(command, CommandOutcome::Done);
        }
        self.persist(FileRecord::Took {
            command,
            instance: work.instance.clone(),
            incarnation: work.incarnation,
            step: work.step.clone(),
        });
        self.untold.insert(command, self.now_ms);
        self.output.actions.push(Action::Work { command, work });
    }

    /// Answered when nothing of it is at work, however it ended: where nobody knows of it, at once.
    fn take_back(&mut self, command: CommandId, back: TakeBack) {
        if self.outbox_is_full() {
            return;
        }
        self.taken_back.insert(back.work, command);
        if self.state.works.contains_key(&back.work) {
            self.output.actions.push(Action::TakeBack(back));
        }
    }

    /// What was taken back and is at work no more: it is done, or its instance is gone, or nobody ever had it.
    pub(super) fn tell_what_was_let_go(&mut self) {
        let works = &self.state.works;
        let gone = self
            .taken_back
            .extract_if(.., |work, _| !works.contains_key(work));
        for (_, command) in gone.collect::<Vec<_>>() {
            self.answer(command, CommandOutcome::Done);
        }
    }

    /// What was taken and is not done soon. Commands come in the order of their numbers, but for a few that came again.
    pub(super) fn tell_what_was_taken(&mut self) {
        while let Some(first) = self.untold.first_entry() {
            if self.now_ms.saturating_sub(*first.get()) < limits::TAKEN_UNTOLD_MS {
                return;
            }
            let (command, _) = first.remove_entry();
            self.answer(command, CommandOutcome::Done);
        }
    }

    pub(super) fn lives(&self, instance: &InstanceKey, incarnation: Incarnation) -> bool {
        let living = self.state.living.get(instance);
        living.is_some_and(|living| living.incarnation == incarnation)
    }

    /// Nothing of it lives here, but the floor rises: a Start that is late does not take effect.
    fn stop_nothing(&mut self, command: CommandId, stop: &Stop) {
        self.raise_floor(&stop.instance, stop.incarnation);
        self.forget_waiting(stop);
        if !self.outbox_is_overfull() {
            self.answer(command, CommandOutcome::NotRunning);
        }
    }

    fn forget_waiting(&mut self, stop: &Stop) {
        let waits = self.waiting.get(&stop.instance);
        if waits.is_some_and(|(_, start)| start.incarnation <= stop.incarnation)
            && let Some((older, _)) = self.waiting.remove(&stop.instance)
        {
            self.answer(older, CommandOutcome::Stale);
        }
        self.forget_unleased(stop);
    }

    fn open(
        &mut self,
        command: CommandId,
        order: OpenOrder,
        instance: &InstanceKey,
        incarnation: Incarnation,
    ) {
        self.persist(FileRecord::Opened {
            command,
            order,
            instance: instance.clone(),
            incarnation,
        });
    }

    /// This incarnation and all below it are not started any more.
    pub(super) fn raise_floor(&mut self, instance: &InstanceKey, past: Incarnation) {
        if self.state.floors.of(instance) < past.next() {
            self.persist(FileRecord::Floor {
                instance: instance.clone(),
                incarnation: past.next(),
            });
        }
    }

    pub(super) fn trim_floors(&mut self) {
        let (living, waiting) = (&self.state.living, &self.waiting);
        self.state.floors.trim(limits::FLOORS_KEPT_MAX, |instance| {
            living.contains_key(instance) || waiting.contains_key(instance)
        });
    }
}
