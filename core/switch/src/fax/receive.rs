//! Receiving: answered, lent, reported, hung up.

use std::sync::Arc;
use std::time::Duration;

use koukan_base::StreamId;
use koukan_dialplan::{FaxBox, Release};
use koukan_media::Command;

use super::{Duty, FaxId, FaxNews, FaxOrder, FaxReport, FaxRun, NotSent, Reception};
use crate::action::{Action, Now};
use crate::call::request::is_image_alone;
use crate::call::{Call, Stage};
use crate::leg::{Leg, LegStream};
use crate::record::CallCause;
use crate::switch::{Fate, Switch};

/// How long after the answer T.38 is asked for: by then a machine that asks by itself has done so,
/// and nothing but our answer tone was said.
const ASK_AFTER: Duration = Duration::from_millis(1_500);

impl Switch {
    /// Answers the caller as a fax machine; `None` when the next step has its turn.
    pub(crate) fn start_fax(
        &mut self,
        now: Now,
        call: &mut Call,
        mailbox: Arc<str>,
        spec: Arc<FaxBox>,
    ) -> Option<Fate> {
        // Whoever did not answer has no say any more in how this call ends.
        call.failures.clear();
        let alone = call.leg(0).and_then(|leg| leg.offer.as_ref()).is_some_and(is_image_alone);
        if let Some(leg) = call.leg_mut(0) {
            leg.speaks_fax = true;
        }
        let image = self.answer_with_image(now, call);
        let taken = image.is_some() || (self.answer_caller(now, call, None) && speaks_g711(call));
        if !taken {
            self.no_fax(call, alone);
            return None;
        }
        self.stop_music(call, 0);
        let fax = FaxId(self.next_number());
        self.explain(call.id, format!("answered as a fax machine, for box {mailbox}"));
        if let Some(image) = &image {
            self.explain_image(call, image);
        }
        let t38 = self.may_use_t38(call, 0);
        let ask_after = self.ask_after(call, 0, ASK_AFTER);
        let ask_at = (t38 && image.is_none()).then(|| now.time + ask_after);
        let (lent, asked) = (false, None);
        let duty = Duty::Receive(spec);
        call.stage = Stage::Fax(FaxRun { fax, mailbox, duty, t38, lent, image, ask_at, asked });
        self.by_fax.insert(fax, call.id);
        self.lend_first(call);
        self.transfer_done(now, call);
        Some(Fate::Keep)
    }

    /// The caller cannot be answered as a fax machine. One that speaks T.38 alone is refused: there
    /// is nothing else that it could hear.
    fn no_fax(&mut self, call: &mut Call, alone: bool) {
        if let Some(leg) = call.leg_mut(0) {
            leg.speaks_fax = false;
        }
        if alone {
            call.steps.clear();
            call.release = Release { status: 488, prompt: None, cause: "no-codec".into() };
        }
        let speaks = if alone { "T.38 that we can take" } else { "G.711 in the clear" };
        self.explain(call.id, format!("no fax: the caller speaks no {speaks}"));
    }

    /// The first leg's stream leaves its worker.
    pub(super) fn lend_first(&mut self, call: &mut Call) {
        self.lend(call, 0);
    }

    /// A leg's stream leaves its worker.
    pub(super) fn lend(&mut self, call: &mut Call, index: u16) {
        let worker = call.worker;
        if let Some(leg) = call.leg_mut(index)
            && let LegStream::Open(stream, address) = leg.stream
        {
            leg.stream = LegStream::Moving(stream, address);
            self.media(worker, Command::Lend { stream });
        }
    }

    /// The stream has left its worker: whoever speaks T.30 may take it.
    pub(crate) fn stream_lent(&mut self, now: Now, call: &mut Call) {
        let Stage::Fax(run) = &mut call.stage else { return };
        run.lent = true;
        let Stage::Fax(FaxRun { fax, mailbox, duty, image, .. }) = &call.stage else { return };
        let Some(stream) = call.leg(0).and_then(|leg| leg.stream.live()) else { return };
        let (fax, image) = (*fax, *image);
        let order = match duty {
            Duty::Send => FaxOrder::Send { fax, call: call.id, stream },
            Duty::Receive(spec) => {
                let reception = self.reception(now, call, (fax, stream), (mailbox, spec));
                FaxOrder::Receive(Box::new(reception))
            }
        };
        self.actions.push_back(Action::Fax(order));
        if let Some(image) = image {
            self.actions.push_back(Action::Fax(FaxOrder::Switch { fax, image }));
        }
    }

    fn reception(
        &self,
        now: Now,
        call: &Call,
        (fax, stream): (FaxId, StreamId),
        (mailbox, spec): (&Arc<str>, &Arc<FaxBox>),
    ) -> Reception {
        Reception {
            fax,
            call: call.id,
            stream,
            tenant: call.tenant.clone(),
            mailbox: mailbox.clone(),
            spec: spec.clone(),
            caller: call.caller.clone(),
            called: call.called.clone(),
            did: call.did.clone(),
            deliver_to: call.number.as_ref().and_then(|number| {
                let machine = call.plans.fax_delivery(&call.tenant, number)?;
                Some((number.clone(), machine.clone()))
            }),
            language: self.directory.plans.language(&call.tenant).into(),
            utc_offset_s: self.utc_offset_s(now, call),
        }
    }

    /// A report of whoever speaks T.30.
    pub fn handle_fax(&mut self, now: Now, report: FaxReport) {
        let FaxReport { fax, news } = report;
        if let Some(&id) = self.by_fax.get(&fax) {
            self.with_call(now, id, |switch, call| match news {
                FaxNews::Told(words) => {
                    switch.explain(call.id, format!("fax: {words}"));
                    Fate::Keep
                }
                FaxNews::Confirmed(pages) => {
                    Self::pages_confirmed(call, pages);
                    Fate::Keep
                }
                FaxNews::Over(words) if call.carries_fax() => {
                    switch.explain(call.id, format!("fax: {words}"));
                    switch.by_fax.remove(&fax);
                    switch.end_carriage(now, call, None);
                    Fate::Keep
                }
                FaxNews::Over(words) => {
                    switch.by_fax.remove(&fax);
                    switch.explain(call.id, format!("fax: {words}"));
                    match call.answered {
                        Some(_) => Fate::End(CallCause::Plan, 200),
                        // A fax that was to be sent is not wanted any more.
                        None => Fate::End(CallCause::CallerGaveUp, 487),
                    }
                }
            });
        }
        self.drain(now);
    }

    /// The call of a fax is over.
    pub(crate) fn stop_fax(&mut self, call: &mut Call, status: u16) {
        if let Some(sending) = call.sending.take() {
            // The box has no dialog: its part of the record says what came of it.
            if let Some(leg) = call.leg_mut(0) {
                leg.status = status;
            }
            return self.not_sent(call, sending.fax, NotSent::Failed { status });
        }
        self.stop_carriage(call);
        let Stage::Fax(run) = &call.stage else { return };
        let (fax, lent) = (run.fax, run.lent);
        if let Some((tx, _)) = &run.asked {
            self.fax_asks.remove(tx);
        }
        if matches!(run.duty, Duty::Send) && !lent {
            return self.not_sent(call, fax, NotSent::Dropped);
        }
        if self.by_fax.remove(&fax).is_some() {
            self.actions.push_back(Action::Fax(FaxOrder::Stop { fax }));
        }
    }
}

/// Whether the caller speaks G.711 in the clear over a stream that can be lent.
pub(super) fn speaks_g711(call: &Call) -> bool {
    leg_speaks_g711(call.leg(0))
}

/// Whether a party speaks G.711 in the clear over a stream that can be lent.
pub(super) fn leg_speaks_g711(leg: Option<&Leg>) -> bool {
    leg.is_some_and(|leg| {
        let plain = |agreed: &koukan_sip::sdp::Agreed| {
            agreed.crypto.is_none() && matches!(&*agreed.format.name, "PCMU" | "PCMA")
        };
        leg.agreed.as_ref().is_some_and(plain) && matches!(leg.stream, LegStream::Open(..))
    })
}
