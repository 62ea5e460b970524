//! Fax machines on numbers that serve voice too (S-39, S-63): a calling tone, or an offer of T.38,
//! within the number's time after any answer moves the caller to the fax box. Whoever talked with
//! it, or played to it, is let go.

use std::time::Duration;

use koukan_base::StreamId;
use koukan_media::tone::FaxTone;
use koukan_sip::sdp::Session;

use super::receive::speaks_g711;
use crate::action::Now;
use crate::call::channels::Channel;
use crate::call::{Call, Stage};
use crate::leg::Party;
use crate::module::{AppEvent, ModuleOrder};
use crate::record::CallCause;
use crate::switch::{Fate, Switch};

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
    pub(crate) fn t38_is_fax(&mut self, now: Now, call: &mut Call, index: u16, offer: &Session) {
        let free = index == 0 && !matches!(call.stage, Stage::Fax(_));
        if free && offer.image().is_some() && offer.audio().is_none() {
            let _kept = self.caller_is_fax(now, call, "an offer of T.38");
        }
    }

    /// The caller is a fax machine, by this sign.
    fn caller_is_fax(&mut self, now: Now, call: &mut Call, sign: &str) -> Fate {
        let Some((mailbox, listen)) =
            call.fax.as_ref().and_then(|rule| Some((rule.mailbox.clone()?, rule.listen)))
        else {
            return Fate::Keep;
        };
        let since = call.answered.map(|at| now.date.duration_since(at).unsigned_abs());
        let in_time = since.is_some_and(|since| since <= listen + TOLD_AFTER);
        let movable =
            matches!(call.stage, Stage::Bridged { .. } | Stage::Module(_) | Stage::Menu(_));
        let Some(spec) = call.plans.fax_box(&call.tenant, &mailbox).cloned() else {
            return Fate::Keep;
        };
        if !in_time || !movable || call.transfer.is_some() || !speaks_g711(call) {
            return Fate::Keep;
        }
        self.explain(call.id, format!("the caller is a fax machine: {sign}"));
        call.fax = None;
        self.let_go(now, call);
        call.steps.clear();
        let begun = self.start_fax(now, call, mailbox, spec);
        begun.unwrap_or(Fate::End(CallCause::Internal, 488))
    }

    /// Ends whatever the caller talks with or listens to.
    fn let_go(&mut self, now: Now, call: &mut Call) {
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
            _ => {}
        }
    }
}
