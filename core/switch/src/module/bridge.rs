//! An application has its caller talk to somebody and waits for the end of that: dialled by the
//! plan's rules and through its gate, as if its device had dialled. The call's own steps are kept
//! aside meanwhile, and the machinery of every call rings, bridges and releases; whatever ends
//! there (a party that hangs up, nobody who answers, a key, a time, a cancel) brings the caller
//! back. A caller who goes on otherwise (is sent on, parked, taken into a room) leaves the
//! application, as its hanging up does.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use koukan_base::{OpId, Time};
use koukan_dialplan::{Ask, Asker, Caller, Decision, Facts, Origin, Release, Step, Way};

use crate::action::Now;
use crate::call::channels::Channel;
use crate::call::{Call, ModuleRun, Stage};
use crate::conference::brings_somebody;
use crate::leg::{LegState, Party};
use crate::limits;
use crate::module::voicemail::VOICEMAIL;
use crate::module::{AppEvent, Bridge, InstanceId, ModuleOrder, OpStatus, Operation};
use crate::switch::{Fate, Switch};

/// An application that waits while its caller talks, and what the call had before.
#[derive(Debug)]
pub(crate) struct Aside {
    pub(crate) run: ModuleRun,
    op: OpId,
    /// Keys of the caller that bring it back.
    keys: Arc<str>,
    longest: Option<Duration>,
    /// When ringing, or later the talk, has taken too long.
    until: Option<Time>,
    steps: VecDeque<Step>,
    release: Release,
    on_error: Option<Way>,
    failures: Vec<u16>,
    /// How many channels the call held.
    channels: usize,
}

impl Call {
    /// The application of the call, whether it has the caller or waits for it.
    pub(crate) fn module_run(&mut self) -> Option<&mut ModuleRun> {
        match (&mut self.aside, &mut self.stage) {
            (Some(aside), _) => Some(&mut aside.run),
            (None, Stage::Module(run)) => Some(run),
            (None, _) => None,
        }
    }

    /// When the application that waits wants to be looked at.
    pub(crate) fn aside_until(&self) -> Option<Time> {
        let aside = self.aside.as_ref()?;
        aside.until.into_iter().chain(aside.run.sleeps.iter().map(|(until, _)| *until)).min()
    }
}

impl Switch {
    /// What the plan says of a number that an application dials for its caller.
    pub(crate) fn ask_for_application(
        &mut self,
        now: Now,
        call: &Call,
        number: &str,
    ) -> Option<Decision> {
        let asker = match &call.stage {
            Stage::Module(run) if &*run.module == VOICEMAIL => Asker::CallBack,
            _ => Asker::Module,
        };
        let (origin, caller, ask) = match call.leg(0).map(|leg| &leg.party)? {
            Party::Device { tenant, device } => {
                let info = self.directory.plans.device(tenant, device);
                let (tenant, device) = (tenant.clone(), device.clone());
                let origin = Origin::Device { tenant: tenant.clone(), device: device.clone() };
                let (device, number) = (Some(device), None);
                let ask = Ask { asker, tenant, device, number, holds_channel: false };
                (origin, info.map(|info| info.extension.clone()), ask)
            }
            Party::Trunk((tenant, trunk)) => {
                let origin = Origin::Trunk { tenant: tenant.clone(), trunk: trunk.clone() };
                let (tenant, number) = (call.tenant.clone(), call.number.clone());
                let ask = Ask { asker, tenant, device: None, number, holds_channel: false };
                (origin, Some(call.caller.as_str().into()), ask)
            }
            Party::FaxBox { .. } => return None,
        };
        let decision = self.directory.plans.ask(
            &Facts {
                at: now.date,
                origin: &origin,
                caller: &Caller { number: caller, ..Caller::default() },
                called: number,
                state: self,
            },
            &ask,
        );
        for line in decision.lines() {
            self.explain(call.id, line);
        }
        self.note_refusal(now, &decision);
        Some(decision)
    }

    /// Takes the channels that a decision of an application's uses.
    pub(crate) fn take_channels(&mut self, call: &mut Call, decision: &Decision) {
        if !decision.uses_channel {
            return;
        }
        let tenant = decision.tenant.clone();
        let number = decision.number.clone().map(|name| Channel::Number(tenant.clone(), name));
        for channel in std::iter::once(Channel::Tenant(tenant)).chain(number) {
            self.channels.take(&channel);
            call.channels.push(channel);
        }
    }

    /// Dials a second party for the caller.
    pub(crate) fn start_bridge(
        &mut self,
        now: Now,
        call: &mut Call,
        (instance, op): (InstanceId, OpId),
        wanted: Bridge,
    ) -> Fate {
        let failed = |switch: &mut Self, why: &str| {
            switch.op_done(instance, op, OpStatus::Failed, why);
            Fate::Keep
        };
        // Legs that are over stay in the call for its record.
        let most = usize::try_from(limits::RING_LEGS.default).unwrap_or(usize::MAX);
        if call.legs.len() >= most {
            return failed(self, "the call has had too many parties");
        }
        let Some(mut decision) = self.ask_for_application(now, call, &wanted.number) else {
            return failed(self, "this caller cannot be put through");
        };
        let few = decision.steps.iter().take_while(|step| brings_somebody(step)).count();
        decision.steps.truncate(few);
        if few == 0 {
            let words = format!("refused {}", decision.release.cause);
            self.op_done(instance, op, OpStatus::Ok, &words);
            return Fate::Keep;
        }
        self.stop_operations(call);
        let channels = call.channels.len();
        self.take_channels(call, &decision);
        let stage = std::mem::replace(&mut call.stage, Stage::Opening { until: now.time });
        let Stage::Module(run) = stage else {
            call.stage = stage;
            return Fate::Keep;
        };
        self.explain(call.id, format!("module {} dials {}", run.module, wanted.number));
        let ms = |ms: u32| (ms > 0).then(|| Duration::from_millis(u64::from(ms)));
        decision.release.prompt = None;
        call.aside = Some(Box::new(Aside {
            run,
            op,
            keys: wanted.keys,
            longest: ms(wanted.max_ms),
            until: ms(wanted.ring_ms).map(|time| now.time + time),
            steps: std::mem::replace(&mut call.steps, decision.steps.into()),
            release: std::mem::replace(&mut call.release, decision.release),
            on_error: call.on_error.take(),
            failures: std::mem::take(&mut call.failures),
            channels,
        }));
        call.rang_out = None;
        self.next_step(now, call)
    }

    /// What the application plays, collects and records ends before its caller talks.
    fn stop_operations(&mut self, call: &mut Call) {
        let stream = call.leg(0).and_then(|leg| leg.stream.live());
        let Stage::Module(run) = &mut call.stage else { return };
        let instance = run.instance;
        let collect = run.collect.take().map(|collect| collect.op);
        let plays: Vec<OpId> = run.plays.iter().map(|(media_op, _)| *media_op).collect();
        let recording = run.recording;
        if let Some(op) = collect {
            self.op_done(instance, op, OpStatus::Cancelled, "");
        }
        for media_op in plays {
            if let Some(stream) = stream {
                self.stop_play(call.worker, stream, media_op);
            }
        }
        if let Some(media_op) = recording {
            self.end_recording(call, media_op);
        }
    }

    /// Operations of an application that waits: it may wait beside, and hang up.
    pub(crate) fn operation_aside(
        &mut self,
        now: Now,
        call: &mut Call,
        (instance, op): (InstanceId, OpId),
        operation: &Operation,
    ) -> Fate {
        match operation {
            Operation::Sleep { ms } => {
                let until = now.time + Duration::from_millis(u64::from(*ms));
                if let Some(run) = call.module_run() {
                    run.sleeps.push((until, op));
                }
                Fate::Keep
            }
            Operation::HangUp { status } => self.hang_up_by_application(instance, op, *status),
            _ => {
                self.op_done(instance, op, OpStatus::Failed, "the caller talks to somebody");
                Fate::Keep
            }
        }
    }

    /// The application wants its caller back; false when this is another operation of it.
    pub(crate) fn cancel_bridge(&mut self, now: Now, call: &mut Call, op: OpId) -> bool {
        let is_it = call.aside.as_ref().is_some_and(|aside| aside.op == op);
        if is_it {
            self.bring_back(now, call, Some((OpStatus::Cancelled, String::new())));
        }
        is_it
    }

    /// The two talk: from now on the time counts that they may.
    pub(crate) fn aside_answered(&mut self, now: Now, call: &mut Call) {
        if let Some(aside) = &mut call.aside {
            aside.until = aside.longest.map(|longest| now.time + longest);
        }
    }

    /// A key of the caller; true when it brings the caller back.
    pub(crate) fn taken_back(&mut self, now: Now, call: &mut Call, digit: u8) -> bool {
        let is_key = |keys: &str| keys.bytes().any(|key| key == digit);
        if !call.aside.as_ref().is_some_and(|aside| is_key(&aside.keys)) {
            return false;
        }
        let how = format!("key-{}", char::from(digit));
        self.bridge_over(now, call, &how);
        true
    }

    /// What is due for an application that waits.
    pub(crate) fn aside_timeout(&mut self, now: Now, call: &mut Call) {
        let Some(aside) = &mut call.aside else { return };
        let instance = aside.run.instance;
        let is_due = |until: &Time| *until <= now.time;
        let over: Vec<OpId> =
            aside.run.sleeps.extract_if(.., |(until, _)| is_due(until)).map(|(_, op)| op).collect();
        let is_over = aside.until.as_ref().is_some_and(is_due);
        for op in over {
            self.op_done(instance, op, OpStatus::Ok, "");
        }
        if is_over {
            self.bridge_over(now, call, "time");
        }
    }

    /// The second party has hung up or is lost: true when the caller goes back to its application.
    pub(crate) fn second_party_gone(&mut self, now: Now, call: &mut Call) -> bool {
        let stays = call.leg(0).is_some_and(|leg| matches!(leg.state, LegState::Up { .. }));
        let goes_back = stays && call.aside.is_some() && !call.carries_fax();
        if goes_back {
            self.bridge_over(now, call, "party");
        }
        goes_back
    }

    /// Nobody has answered, and nothing is left to try. False when no application waits.
    pub(crate) fn nobody_answered(&mut self, now: Now, call: &mut Call, status: u16) -> bool {
        if call.aside.is_none() {
            return false;
        }
        let words = match status {
            486 | 600 => "busy",
            603 => "declined",
            _ if call.rang_out == Some(true) => "no-answer",
            408 | 480 if !call.failures.is_empty() => "no-answer",
            480 => "unreachable",
            _ => "failed",
        };
        self.bring_back(now, call, Some((OpStatus::Ok, format!("{words} {status}"))));
        true
    }

    /// The caller talks no longer, or was not put through before this ended it.
    fn bridge_over(&mut self, now: Now, call: &mut Call, how: &str) {
        let Stage::Bridged { leg } = call.stage else {
            let words = if how == "time" { "no-answer 408" } else { how };
            return self.bring_back(now, call, Some((OpStatus::Ok, words.to_owned())));
        };
        let since = call.leg(leg).and_then(|leg| leg.answered).unwrap_or(now.date);
        let ms = now.date.duration_since(since).as_millis().max(0);
        self.bring_back(now, call, Some((OpStatus::Ok, format!("talked {how} {ms}"))));
    }

    /// Ends everything but the caller and gives that back to its application, with the operation's
    /// result when it is still there to hear it.
    pub(crate) fn bring_back(
        &mut self,
        now: Now,
        call: &mut Call,
        result: Option<(OpStatus, String)>,
    ) {
        self.release_supervisors(now, call);
        let Some(aside) = call.aside.take() else { return };
        let others = (0u16..).zip(&call.legs).skip(1).filter(|(_, leg)| !leg.is_over());
        for index in others.map(|(index, _)| index).collect::<Vec<u16>>() {
            self.end_leg(now, call, index, 487, None);
        }
        for index in (0u16..).zip(&call.legs).skip(1).map(|(i, _)| i).collect::<Vec<u16>>() {
            self.close_stream(call, index);
        }
        self.end_tape(call);
        while call.channels.len() > aside.channels {
            if let Some(channel) = call.channels.pop() {
                self.channels.give_back(&channel);
            }
        }
        let Aside { run, op, steps, release, on_error, failures, .. } = *aside;
        let instance = run.instance;
        (call.steps, call.release, call.on_error) = (steps, release, on_error);
        (call.failures, call.held, call.auto_answer) = (failures, None, false);
        call.stage = Stage::Module(run);
        self.feed(call, 0, koukan_media::Source::Silence);
        self.stop_music(call, 0);
        if let Some((status, text)) = result {
            self.explain(call.id, format!("the caller is back: {text}"));
            self.op_done(instance, op, status, &text);
        }
    }

    /// The call is over while its application waits: it is the application's again.
    pub(crate) fn end_aside(&mut self, call: &mut Call) {
        let Some(aside) = call.aside.take() else { return };
        self.op_done(aside.run.instance, aside.op, OpStatus::HangUp, "");
        call.stage = Stage::Module(aside.run);
    }

    /// The caller goes on without its application, which hears so as of a hang-up.
    pub(crate) fn leave_aside(&mut self, call: &mut Call) {
        if call.aside.is_none() {
            return;
        }
        let stage = std::mem::replace(&mut call.stage, Stage::Opening { until: Time::ZERO });
        self.end_aside(call);
        if let Stage::Module(run) = &call.stage {
            let (instance, module) = (run.instance, run.module.clone());
            self.explain(call.id, format!("goes on without module {module}"));
            self.by_instance.remove(&instance);
            self.forget_operations(call);
            self.abandon_recording(call);
            self.order(ModuleOrder::Event { instance, event: AppEvent::HangUp });
            self.order(ModuleOrder::Destroy { instance });
        }
        call.stage = stage;
    }
}
