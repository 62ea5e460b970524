//! A module's application at work on a call (`kk.call/1`): its operations done, its results given,
//! and the time-outs of a call.

use std::sync::Arc;
use std::time::Duration;

use koukan_base::OpId;
use koukan_dialplan::Release;
use koukan_media::{PlayEnd, Prompt, Source};
use koukan_sip::subscription::MessageCount;

use crate::action::Now;
use crate::call::{Call, Collect, ModuleRun, Stage};
use crate::limits;
use crate::module::recording::Wanted;
use crate::module::{
    AppEvent, InstanceId, ModuleOrder, ModuleRequest, OBJECT, OpStatus, Operation,
};
use crate::record::CallCause;
use crate::switch::{Fate, Switch};

impl Switch {
    /// Starts the application that fills a role; its operations follow as requests.
    pub(crate) fn start_module(
        &mut self,
        call: &mut Call,
        module: Arc<str>,
        arguments: Arc<str>,
        release: Option<Release>,
    ) {
        let said = format!("module {module} {arguments}");
        self.start_run(call, (module.clone(), module), arguments, (release, said));
    }

    /// Starts one of a role's applications; `said` is what the explain log tells of it.
    pub(crate) fn start_application(
        &mut self,
        call: &mut Call,
        (module, application): (&str, &str),
        arguments: String,
        said: String,
    ) {
        self.start_run(call, (module.into(), application.into()), arguments.into(), (None, said));
    }

    fn start_run(
        &mut self,
        call: &mut Call,
        (module, application): (Arc<str>, Arc<str>),
        arguments: Arc<str>,
        (release, said): (Option<Release>, String),
    ) {
        let instance = InstanceId(self.next_number());
        self.by_instance.insert(instance, call.id);
        self.explain(call.id, said);
        call.stage = Stage::Module(ModuleRun {
            instance,
            module: module.clone(),
            plays: Vec::new(),
            collect: None,
            recording: None,
            sleeps: Vec::new(),
            release,
        });
        let (id, tenant) = (call.id, call.tenant.clone());
        self.order(ModuleOrder::Start {
            instance,
            call: id,
            tenant,
            module,
            application,
            arguments,
        });
    }

    /// Ends the application of a call that is over.
    pub(crate) fn destroy_module(&mut self, call: &mut Call) {
        self.end_aside(call);
        let Stage::Module(run) = &call.stage else { return };
        let instance = run.instance;
        if self.by_instance.remove(&instance).is_none() {
            return;
        }
        self.forget_operations(call);
        if self.leave_to_recording(call) {
            return;
        }
        self.order(ModuleOrder::Event { instance, event: AppEvent::HangUp });
        self.order(ModuleOrder::Destroy { instance });
    }

    /// Ends every operation of an application that is about to be destroyed.
    pub(crate) fn forget_operations(&mut self, call: &mut Call) {
        let Stage::Module(run) = &mut call.stage else { return };
        let instance = run.instance;
        let playing: Vec<OpId> = run.plays.iter().map(|(media_op, _)| *media_op).collect();
        let plays = run.plays.drain(..).map(|(_, op)| op);
        let sleeps = run.sleeps.drain(..).map(|(_, op)| op);
        let collect = run.collect.take().map(|collect| collect.op);
        let pending: Vec<OpId> = plays.chain(sleeps).chain(collect).collect();
        for op in pending {
            self.op_done(instance, op, OpStatus::HangUp, "");
        }
        if let Some(stream) = call.leg(0).and_then(|leg| leg.stream.live()) {
            for media_op in playing {
                self.stop_play(call.worker, stream, media_op);
            }
        }
    }

    pub(crate) fn op_done(&mut self, instance: InstanceId, op: OpId, status: OpStatus, text: &str) {
        let event = AppEvent::OpDone { op, status, text: text.into() };
        self.order(ModuleOrder::Event { instance, event });
    }

    pub(crate) fn module_request(&mut self, now: Now, request: ModuleRequest) {
        let instance = match &request {
            ModuleRequest::Start { instance, .. }
            | ModuleRequest::Cancel { instance, .. }
            | ModuleRequest::Ended { instance, .. } => *instance,
            ModuleRequest::Messages { tenant, mailbox, new, old } => {
                let count = MessageCount { new: *new, old: *old, ..MessageCount::default() };
                return self.mailbox_changed(now, (tenant.clone(), mailbox.clone()), count);
            }
            ModuleRequest::Answered { lookup, answer } => {
                return self.looked_up(now, *lookup, answer.clone());
            }
        };
        let Some(&id) = self.by_instance.get(&instance) else { return };
        self.with_call(now, id, |switch, call| match request {
            ModuleRequest::Start { op, operation, .. } => {
                switch.operation(now, call, instance, op, operation)
            }
            ModuleRequest::Cancel { op, .. } => {
                if !switch.cancel_bridge(now, call, op) {
                    switch.cancel_operation(call, instance, op);
                }
                Fate::Keep
            }
            ModuleRequest::Ended { result, .. } => switch.module_ended(now, call, instance, result),
            ModuleRequest::Messages { .. } | ModuleRequest::Answered { .. } => Fate::Keep,
        });
    }

    fn operation(
        &mut self,
        now: Now,
        call: &mut Call,
        instance: InstanceId,
        op: OpId,
        operation: Operation,
    ) -> Fate {
        if call.aside.is_some() {
            return self.operation_aside(now, call, (instance, op), &operation);
        }
        let Stage::Module(run) = &call.stage else { return Fate::Keep };
        let single = usize::from(run.collect.is_some()) + usize::from(run.recording.is_some());
        let under_way = run.plays.len() + run.sleeps.len() + single;
        if u64::try_from(under_way).is_ok_and(|count| count >= limits::OPERATIONS.default) {
            self.op_done(instance, op, OpStatus::Failed, "too many operations are under way");
            return Fate::Keep;
        }
        match operation {
            Operation::Answer => {
                let done = self.answer_caller(now, call, None);
                let status = if done { OpStatus::Ok } else { OpStatus::Failed };
                self.op_done(instance, op, status, "");
            }
            Operation::EarlyMedia => {
                let done = self.early_media(now, call, None);
                let status = if done { OpStatus::Ok } else { OpStatus::Failed };
                self.op_done(instance, op, status, "");
            }
            Operation::Play { prompts, times } => self.play_prompts(call, op, &prompts, times),
            Operation::CollectDigits { min, max, timeout_ms } => {
                let Stage::Module(run) = &mut call.stage else { return Fate::Keep };
                if run.collect.is_some() {
                    self.op_done(
                        instance,
                        op,
                        OpStatus::Failed,
                        "digits are being collected already",
                    );
                    return Fate::Keep;
                }
                run.collect = Some(Collect {
                    op,
                    min,
                    max: max.max(1),
                    gap_ms: timeout_ms,
                    until: now.time + Duration::from_millis(u64::from(timeout_ms)),
                    digits: String::new(),
                });
            }
            Operation::Sleep { ms } => {
                let Stage::Module(run) = &mut call.stage else { return Fate::Keep };
                run.sleeps.push((now.time + Duration::from_millis(u64::from(ms)), op));
            }
            Operation::Dial { number } => return self.dial(now, call, (instance, op), &number),
            Operation::Record { path, max_ms, silence_ms, keys } => {
                let wanted = Wanted { path: &path, max_ms, silence_ms, keys: &keys };
                self.start_recording(call, (instance, op), wanted);
            }
            Operation::Bridge(wanted) => {
                return self.start_bridge(now, call, (instance, op), wanted);
            }
            Operation::HangUp { status } => {
                return self.hang_up_by_application(instance, op, status);
            }
        }
        Fate::Keep
    }

    pub(crate) fn hang_up_by_application(
        &mut self,
        instance: InstanceId,
        op: OpId,
        status: u16,
    ) -> Fate {
        self.op_done(instance, op, OpStatus::Ok, "");
        let status = if (400..=699).contains(&status) { status } else { 480 };
        Fate::End(CallCause::Plan, status)
    }

    fn play_prompts(
        &mut self,
        call: &mut Call,
        op: OpId,
        prompts: &[(Arc<str>, Arc<str>)],
        times: u32,
    ) {
        let media_op = self.next_op();
        let Stage::Module(run) = &mut call.stage else { return };
        run.plays.push((media_op, op));
        let prompts = prompts
            .iter()
            .map(|(language, name)| match &**language {
                OBJECT => Prompt::clip("", name),
                language => self.prompt(&call.tenant, language, name),
            })
            .collect();
        let stream = call.leg(0).and_then(|leg| leg.stream.live());
        // Behind the last word the packets go on: a jitter buffer keeps the last ones until
        // others follow, and the caller's NAT its binding.
        self.feed(call, 0, Source::Silence);
        self.stop_music(call, 0);
        if let Some(stream) = stream {
            self.play(call.worker, stream, media_op, prompts, times);
        }
    }

    fn cancel_operation(&mut self, call: &mut Call, instance: InstanceId, op: OpId) {
        let Some(run) = call.module_run() else { return };
        if let Some(&(media_op, _)) = run.plays.iter().find(|(_, known)| *known == op) {
            // The worker's report of the stopped play is the operation's result.
            if let Some(stream) = call.leg(0).and_then(|leg| leg.stream.live()) {
                self.stop_play(call.worker, stream, media_op);
            }
            return;
        }
        if run.recording.is_some() && self.cancel_recording(call, op) {
            return;
        }
        let Some(run) = call.module_run() else { return };
        let slept = run.sleeps.iter().any(|(_, known)| *known == op);
        run.sleeps.retain(|(_, known)| *known != op);
        let collected = run.collect.take_if(|collect| collect.op == op).is_some();
        if slept || collected {
            self.op_done(instance, op, OpStatus::Cancelled, "");
        }
    }

    /// A play of the worker has ended.
    pub(crate) fn played(&mut self, call: &mut Call, media_op: OpId, end: PlayEnd) {
        let Some(run) = call.module_run() else { return };
        let Some(at) = run.plays.iter().position(|(known, _)| *known == media_op) else { return };
        let (_, op) = run.plays.remove(at);
        let instance = run.instance;
        let status = match end {
            PlayEnd::Finished => OpStatus::Ok,
            PlayEnd::Stopped => OpStatus::Cancelled,
            PlayEnd::Failed => OpStatus::NotFound,
        };
        self.op_done(instance, op, status, "");
    }

    /// The caller pressed a key.
    pub(crate) fn digit(&mut self, now: Now, call: &mut Call, digit: u8) {
        let Stage::Module(run) = &mut call.stage else { return };
        let instance = run.instance;
        let Some(collect) = &mut run.collect else {
            self.order(ModuleOrder::Event { instance, event: AppEvent::Digit(digit) });
            return;
        };
        let ends = digit == b'#';
        if !ends {
            collect.digits.push(char::from(digit));
            collect.until = now.time + Duration::from_millis(u64::from(collect.gap_ms));
        }
        if ends || collect.digits.len() >= usize::from(collect.max) {
            self.collected(call);
        }
    }

    pub(crate) fn collected(&mut self, call: &mut Call) {
        let Stage::Module(run) = &mut call.stage else { return };
        let (instance, Some(collect)) = (run.instance, run.collect.take()) else { return };
        let enough = collect.digits.len() >= usize::from(collect.min);
        let status = if enough { OpStatus::Ok } else { OpStatus::TimedOut };
        self.op_done(instance, collect.op, status, &collect.digits);
    }

    fn module_ended(
        &mut self,
        now: Now,
        call: &mut Call,
        instance: InstanceId,
        result: Result<(), Arc<str>>,
    ) -> Fate {
        self.by_instance.remove(&instance);
        // Whoever talks instead of it is hung up with it.
        self.bring_back(now, call, None);
        self.abandon_recording(call);
        let Stage::Module(run) = &mut call.stage else { return Fate::Keep };
        let module = run.module.clone();
        let release = run.release.take();
        let plays = std::mem::take(&mut run.plays);
        if let Some(stream) = call.leg(0).and_then(|leg| leg.stream.live()) {
            for (op, _) in plays {
                self.stop_play(call.worker, stream, op);
            }
        }
        match &result {
            Ok(()) => self.explain(call.id, format!("module {module} is done")),
            Err(why) => self.explain(call.id, format!("module {module} failed: {why}")),
        }
        match release {
            Some(release) => {
                let cause =
                    if call.failures.is_empty() { CallCause::Plan } else { CallCause::NotAnswered };
                Fate::End(cause, release.status)
            }
            None => {
                let failed = result.is_err().then(|| self.step_failed(now, call)).flatten();
                failed.unwrap_or_else(|| self.next_step(now, call))
            }
        }
    }
}
