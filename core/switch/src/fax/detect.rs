//! Fax machines on numbers that serve voice too (S-39, S-63): a calling tone, or an offer of T.38,
//! within the number's time after any answer moves the caller to the fax box. Whoever talked with
//! it, or played to it, is let go.

use std::time::Duration;

use koukan_base::StreamId;
use koukan_dialplan::{Decision, FaxRule, Release, RingTarget, Start, Step};
use koukan_media::tone::FaxTone;
use koukan_sip::sdp::Session;

use super::receive::speaks_g711;
use crate::action::Now;
use crate::call::channels::Channel;
use crate::call::{Call, Stage};
use crate::leg::{LegState, Party};
use crate::module::{AppEvent, ModuleOrder};
use crate::switch::{Fate, Switch};

/// How long the machine of a number rings before its box takes over.
const MACHINE_RINGS: Duration = Duration::from_secs(60);

/// How long after its beginning a tone is told.
const TOLD_AFTER: Duration = Duration::from_secs(1);

impl Switch {
    /// A peer sent a tone of a machine.
    pub(crate) fn fax_tone(&mut self, now: Now, stream: StreamId, tone: FaxTone) {
        self.with_stream(now, stream, |switch, call, index| match tone {
            FaxTone::Cng if index == 0 => switch.caller_is_fax(now, call, "a calling tone"),
            FaxTone::Cng | FaxTone::Ced | FaxTone::Kind(_) => Fate::Keep,
        });
    }

    /// The caller offers T.38 where nobody has asked for it: the offer is refused, and asked for
    /// again by us once the fax has begun.
    pub(crate) fn t38_is_fax(
        &mut self,
        now: Now,
        call: &mut Call,
        index: u16,
        offer: &Session,
    ) -> Fate {
        let free = index == 0 && !matches!(call.stage, Stage::Fax(_));
        if free && offer.image().is_some() && offer.audio().is_none() {
            return self.caller_is_fax(now, call, "an offer of T.38");
        }
        Fate::Keep
    }

    /// Whether a call that offers T.38 alone is taken: its number is one for faxes, or serves them
    /// too, and then nobody else is asked.
    pub(crate) fn takes_image(&self, decision: &mut Decision) -> bool {
        let is_fax = |step: &Step| matches!(step.unguarded(), Step::Fax { .. });
        if let Some(at) = decision.steps.iter().position(is_fax) {
            // A machine on an adapter that is rung before the box speaks no T.38 in a first offer.
            decision.steps.drain(..at);
            return true;
        }
        let rule = decision.fax.take().and_then(|rule| rule.mailbox);
        let spec = rule
            .as_ref()
            .and_then(|mailbox| self.directory.plans.fax_box(&decision.tenant, mailbox).cloned());
        let (Some(mailbox), Some(spec)) = (rule, spec) else { return false };
        decision.steps = vec![Step::Fax { mailbox, spec }];
        (decision.record, decision.release.prompt) = (None, None);
        true
    }

    /// The caller is a fax machine, by this sign.
    fn caller_is_fax(&mut self, now: Now, call: &mut Call, sign: &str) -> Fate {
        let Some(rule) = call.fax.clone() else { return Fate::Keep };
        let in_time = self.is_awaited(now, call);
        let movable = matches!(
            call.stage,
            Stage::Bridged { .. }
                | Stage::Module(_)
                | Stage::Menu(_)
                | Stage::Queue(_)
                | Stage::Ringing(_)
        );
        let steps = self.fax_steps(call, &rule);
        if steps.is_empty() || !in_time || !movable || call.transfer.is_some() || !speaks_g711(call)
        {
            return Fate::Keep;
        }
        self.explain(call.id, format!("the caller is a fax machine: {sign}"));
        call.fax = None;
        self.let_go(now, call);
        call.failures.clear();
        call.steps = steps.into();
        call.release = Release { status: 488, prompt: None, cause: "no-fax".into() };
        self.next_step(now, call)
    }

    /// Whether the caller may still turn out to be a fax machine by the rule of its number.
    pub(super) fn is_awaited(&self, now: Now, call: &Call) -> bool {
        let Some(rule) = &call.fax else { return false };
        // Any answer counts: ours, and that of a device behind it.
        let device = match &call.stage {
            Stage::Bridged { leg } => call.leg(*leg).and_then(|leg| leg.answered),
            _ => None,
        };
        let since = call.answered.max(device).map(|at| now.date.duration_since(at).unsigned_abs());
        since.is_some_and(|since| since <= rule.listen + TOLD_AFTER)
    }

    /// What takes the faxes of a number: a machine on an adapter, live, before the box.
    fn fax_steps(&self, call: &Call, rule: &FaxRule) -> Vec<Step> {
        let plans = &call.plans;
        let device = rule.device.as_ref().and_then(|name| plans.device(&call.tenant, name));
        let ring = device.map(|device| Step::Ring {
            targets: vec![RingTarget {
                device: device.device.clone(),
                user: device.user.clone(),
                start: Start::After(Duration::ZERO),
            }],
            timeout: MACHINE_RINGS,
            called_name: None,
        });
        let mailbox = rule.mailbox.as_ref().and_then(|mailbox| {
            let spec = plans.fax_box(&call.tenant, mailbox)?.clone();
            Some(Step::Fax { mailbox: mailbox.clone(), spec })
        });
        ring.into_iter().chain(mailbox).collect()
    }

    /// Ends whatever the caller talks with or listens to.
    fn let_go(&mut self, now: Now, call: &mut Call) {
        self.release_supervisors(now, call);
        self.leave_aside(call);
        match &call.stage {
            Stage::Bridged { leg } => {
                let leg = *leg;
                if matches!(call.leg(leg).map(|leg| &leg.party), Some(Party::Trunk(_)))
                    && let Some(at) =
                        call.channels.iter().rposition(|held| matches!(held, Channel::Trunk(_)))
                {
                    let channel = call.channels.remove(at);
                    self.channels.give_back(&channel);
                }
                self.end_leg(now, call, leg, 487, None);
            }
            Stage::Module(run) => {
                let instance = run.instance;
                self.by_instance.remove(&instance);
                self.forget_operations(call);
                self.abandon_recording(call);
                self.order(ModuleOrder::Event { instance, event: AppEvent::HangUp });
                self.order(ModuleOrder::Destroy { instance });
            }
            Stage::Ringing(_) | Stage::Queue(_) => {
                // The number answers early, or its agents have not picked up yet.
                self.leave_queue(call);
                let rung: Vec<u16> = call.rung().map(|(index, _)| index).collect();
                for index in rung {
                    self.end_leg(now, call, index, 487, None);
                }
            }
            _ => {}
        }
        self.stop_music(call, 0);
    }

    /// A number that answers early (`fax.answer_early`) has its caller answered before anybody is
    /// rung, so that a calling tone is heard; the caller hears the tone of ringing.
    pub(crate) fn answer_early(&mut self, now: Now, call: &mut Call) {
        let early = call.fax.as_ref().is_some_and(|rule| rule.answer_early);
        let waits = matches!(call.leg(0).map(|leg| leg.state), Some(LegState::Incoming { .. }));
        if early && waits && self.answer_caller(now, call, None) {
            self.explain(call.id, "answered early, to hear whether a fax machine calls");
            self.start_ringback(call);
        }
    }
}
