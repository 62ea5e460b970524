//! The steps of a decision, one after the other.

use std::sync::Arc;

use koukan_dialplan::{FeatureCode, PromptRef, Release, Step};

use crate::action::Now;
use crate::call::forwarding::Forwarding;
use crate::call::{Call, Stage};
use crate::conference::brings_somebody;
use crate::record::CallCause;
use crate::switch::{Fate, Switch};

impl Switch {
    /// Begins the next step that can begin, or releases the caller when none is left.
    pub(crate) fn next_step(&mut self, now: Now, call: &mut Call) -> Fate {
        (call.on_error, call.auto_answer) = (None, false);
        while let Some(step) = call.steps.pop_front() {
            self.explain(call.id, format!("step: {}", name(&step)));
            let step = match step {
                Step::Guarded { step, on_error } => {
                    call.on_error = Some(on_error);
                    *step
                }
                step => step,
            };
            let brings = call.guest.is_some() || call.sending.is_some() || call.aside.is_some();
            if brings && !brings_somebody(&step) {
                // A phone's own forwarding or redirection leads to nobody who could come.
                self.explain(call.id, "brings nobody");
                continue;
            }
            if let Some(fate) = self.begin_step(now, call, step) {
                return fate;
            }
            if let Some(fate) = self.step_failed(now, call) {
                return fate;
            }
        }
        self.release(now, call)
    }

    /// A step that somebody else does has failed: the way on that the plan names, when it does.
    pub(crate) fn step_failed(&mut self, now: Now, call: &mut Call) -> Option<Fate> {
        let way = call.on_error.take()?;
        self.explain(call.id, "goes the way on from an error");
        let decision = self.way_on(now, call, &way);
        call.release = decision.release.clone();
        call.failures.clear();
        call.steps = self.further_steps(call, decision).unwrap_or_default().into();
        Some(self.next_step(now, call))
    }

    /// Begins a step; `None` when the next one has its turn.
    fn begin_step(&mut self, now: Now, call: &mut Call, step: Step) -> Option<Fate> {
        match step {
            Step::Ring { targets, timeout, called_name } => {
                if self.start_ringing(now, call, targets, timeout, called_name) {
                    self.wire(call);
                    return Some(Fate::Keep);
                }
            }
            Step::Trunk(attempt) | Step::Forward(attempt) => {
                if self.start_trunk(now, call, attempt) {
                    self.wire(call);
                    return Some(Fate::Keep);
                }
            }
            Step::Announce { prompt, answered, .. } => {
                self.start_announcement(call, &[prompt], answered, None);
                self.transfer_done(now, call);
                return Some(Fate::Keep);
            }
            Step::Divert { device, extension, busy, no_answer, unreachable } => {
                let device = Forwarding { device, extension, busy, no_answer, unreachable };
                self.forward_by_device(now, call, device);
            }
            Step::Echo => {
                call.stage = Stage::Echo;
                if !self.answer_caller(now, call, None) {
                    return Some(Fate::End(CallCause::NotAnswered, 488));
                }
                self.wire(call);
                self.transfer_done(now, call);
                return Some(Fate::Keep);
            }
            Step::Set { changes } => self.set_by_code(now, call, &changes),
            Step::Menu { menu, spec } => return Some(self.start_menu(now, call, menu, spec)),
            Step::Park { slot, spec } => {
                if let Some(fate) = self.park_step(now, call, slot, spec) {
                    return Some(fate);
                }
            }
            Step::Feature { feature, argument } => {
                return self.start_feature(now, call, feature, argument);
            }
            Step::Release(release) => {
                call.steps.clear();
                call.failures.clear();
                call.release = release;
            }
            Step::Voicemail { .. } | Step::VoicemailMenu { .. } | Step::Module { .. } => {
                self.start_application_step(now, call, &step);
                return Some(Fate::Keep);
            }
            Step::Conference { room, spec } => {
                return self.start_conference(now, call, room, spec);
            }
            Step::Page { targets, talk } => return self.start_page(now, call, targets, talk),
            Step::Queue { queue, spec } => return self.start_queue(now, call, queue, spec),
            Step::Fax { mailbox, spec } => return self.start_fax(now, call, mailbox, spec),
            Step::Guarded { .. } => {
                self.explain(call.id, "this step is not supported by this version");
            }
        }
        None
    }

    /// Begins what a feature code stands for; `None` when the next step has its turn.
    fn start_feature(
        &mut self,
        now: Now,
        call: &mut Call,
        feature: FeatureCode,
        argument: Arc<str>,
    ) -> Option<Fate> {
        match feature {
            FeatureCode::Park => return self.park_by_code(now, call, argument),
            FeatureCode::ThreeWay => return self.three_way(now, call),
            FeatureCode::Record => return self.record_by_code(now, call),
            FeatureCode::Pickup => self.refuse_step(call, 480, "nobody-rings"),
            FeatureCode::Monitor | FeatureCode::Whisper | FeatureCode::Barge => {
                self.refuse_step(call, 480, "room-refused");
            }
            FeatureCode::Intercom
            | FeatureCode::Night
            | FeatureCode::ForwardOn
            | FeatureCode::ForwardOff
            | FeatureCode::Divert(_)
            | FeatureCode::Dnd
            | FeatureCode::Agent
            | FeatureCode::ShowNumber
            | FeatureCode::Voicemail => {
                self.explain(call.id, "this step is not supported by this version");
            }
        }
        None
    }

    /// Releases the caller: after the refusal's announcement when there is one.
    pub(crate) fn release(&mut self, now: Now, call: &mut Call) -> Fate {
        let status = final_status(call);
        if self.guest_lost(call) || call.sending.is_some() {
            return Fate::End(CallCause::NotAnswered, status);
        }
        if self.transfer_failed(now, call, status) {
            return Fate::Keep;
        }
        if self.nobody_answered(now, call, status) {
            return Fate::Keep;
        }
        if let Some(parked) = call.returning.take() {
            return self.park_again(now, call, *parked);
        }
        if let Some(fate) = self.ring_back(now, call) {
            return fate;
        }
        self.in_the_networks_words(call, status);
        match call.release.prompt.take() {
            Some(prompt) => {
                let release = Release { prompt: None, status, ..call.release.clone() };
                self.start_announcement(call, &[prompt], false, Some(release));
                Fate::Keep
            }
            None if call.failures.is_empty() => Fate::End(CallCause::Plan, status),
            None => Fate::End(CallCause::NotAnswered, status),
        }
    }

    /// What a caller is told when the network beyond a trunk has refused: nothing to whoever hears
    /// a busy tone anyway, or heard the network itself before.
    fn in_the_networks_words(&self, call: &mut Call, status: u16) {
        if call.release.prompt.is_none() || &*call.release.cause != TRUNK_FAILED {
            return;
        }
        let heard = call.leg(0).is_some_and(|leg| leg.answer.is_some() || leg.offered_early);
        let name = match status {
            _ if heard => None,
            404 | 410 | 484 | 604 => Some("unallocated"),
            480 => Some("not-reachable"),
            486 | 488 | 600..=699 => None,
            _ => return,
        };
        let language = self.directory.plans.language(&call.tenant).into();
        call.release.prompt = name.map(|name| PromptRef { language, name: name.into() });
    }

    /// The caller is released with this status and a prompt that says why.
    pub(crate) fn refuse_step(&mut self, call: &mut Call, status: u16, prompt: &str) {
        let language = self.directory.plans.language(&call.tenant).into();
        let prompt = Some(PromptRef { language, name: prompt.into() });
        call.steps.clear();
        call.failures.clear();
        call.release = Release { status, prompt, cause: "refused".into() };
    }

    /// Has the announcements' module play prompts to the caller.
    pub(crate) fn start_announcement(
        &mut self,
        call: &mut Call,
        prompts: &[PromptRef],
        answered: bool,
        release: Option<Release>,
    ) {
        let prompt = |prompt: &PromptRef| serde_json::json!({ "language": &*prompt.language, "name": &*prompt.name });
        let prompts: Vec<_> = prompts.iter().map(prompt).collect();
        let arguments =
            serde_json::json!({ "answered": answered, "times": 1, "prompts": prompts }).to_string();
        let role: Arc<str> = "announcements".into();
        self.start_module(call, role, arguments.into(), release);
    }
}

/// The cause of the release after all trunks of a call.
const TRUNK_FAILED: &str = "trunk-failed";

/// What the caller is told: the dialplan's status, unless the phones or the carrier know better.
fn final_status(call: &Call) -> u16 {
    let given = call.release.status;
    let failures = &call.failures;
    if failures.is_empty() || !matches!(given, 480 | 503) {
        return given;
    }
    let all = |wanted: &[u16]| failures.iter().all(|status| wanted.contains(status));
    if all(&[486, 600]) {
        return 486;
    }
    if all(&[603]) {
        return 603;
    }
    match failures.as_slice() {
        // A redirection, a challenge or a timeout between us and the callee tells the caller
        // nothing.
        [300..=399 | 401 | 407 | 408 | 487] => given,
        [only] => *only,
        _ => given,
    }
}

/// A step in one word, for the explain log.
const fn name(step: &Step) -> &'static str {
    match step {
        Step::Ring { .. } => "ring",
        Step::Announce { .. } => "announce",
        Step::Voicemail { .. } => "voicemail",
        Step::VoicemailMenu { .. } => "voicemail menu",
        Step::Forward(_) => "forward",
        Step::Trunk(_) => "trunk",
        Step::Divert { .. } => "divert",
        Step::Echo => "echo",
        Step::Fax { .. } => "fax",
        Step::Page { .. } => "page",
        Step::Conference { .. } => "conference",
        Step::Menu { .. } => "menu",
        Step::Queue { .. } => "queue",
        Step::Park { .. } => "park",
        Step::Set { .. } => "set",
        Step::Feature { .. } => "feature",
        Step::Module { .. } => "module",
        Step::Guarded { .. } => "guarded",
        Step::Release(_) => "release",
    }
}
