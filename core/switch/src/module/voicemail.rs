//! Calls to voicemail boxes: what the application that fills the role is told, the call back that
//! it asks for, and the lamps of the phones whose boxes they are (S-45 to S-50).

use std::sync::Arc;

use koukan_base::OpId;
use koukan_dialplan::{Step, VoicemailBox};
use koukan_sip::subscription::{MessageCount, MessageSummary};
use serde_json::json;

use crate::action::Now;
use crate::call::Call;
use crate::leg::Party;
use crate::module::{AppEvent, InstanceId, ModuleOrder, OpStatus};
use crate::switch::{Fate, Switch};

/// The role, and its application that takes messages.
pub(crate) const VOICEMAIL: &str = "voicemail";
/// Its application that plays them.
const MENU: &str = "voicemail_menu";

impl Switch {
    /// Has a module's application serve the caller: it leaves a message, hears those of its boxes,
    /// or whatever the plan names.
    pub(crate) fn start_application_step(&mut self, now: Now, call: &mut Call, step: &Step) {
        match step {
            Step::Voicemail { mailbox, spec } => self.start_voicemail(now, call, mailbox, spec),
            Step::VoicemailMenu { mailboxes } => self.start_voicemail_menu(now, call, mailboxes),
            Step::Module { module, application, arguments } => {
                let said = format!("module {module} runs its application {application}");
                self.start_application(call, (module, application), arguments.to_string(), said);
            }
            _ => return,
        }
        self.transfer_done(now, call);
    }

    /// Has the caller leave a message.
    fn start_voicemail(&mut self, now: Now, call: &mut Call, mailbox: &str, spec: &VoicemailBox) {
        // Whoever did not answer has no say any more in how this call ends.
        call.failures.clear();
        let ms = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let notify: Vec<&str> = spec.notify.iter().map(|receiver| &**receiver).collect();
        let arguments = json!({
            "mailbox": mailbox,
            "language": self.directory.plans.language(&call.tenant),
            "max_message_ms": ms(spec.max_message),
            "max_messages": spec.max_messages,
            "keep_ms": ms(spec.keep),
            "notify": notify,
            "caller": call.caller,
            "called": call.called,
            "utc_offset_s": self.utc_offset_s(now, call),
        });
        let said = format!("module {VOICEMAIL} takes a message for box {mailbox}");
        self.start_application(call, (VOICEMAIL, VOICEMAIL), arguments.to_string(), said);
    }

    /// Plays the caller the messages of its boxes.
    fn start_voicemail_menu(&mut self, now: Now, call: &mut Call, mailboxes: &[Arc<str>]) {
        let pin = |name: &Arc<str>| {
            self.directory.pins.get(&(call.tenant.clone(), name.clone())).map(|pin| &**pin)
        };
        let boxes: Vec<_> =
            mailboxes.iter().map(|name| json!({ "name": &**name, "pin": pin(name) })).collect();
        let arguments = json!({
            "language": self.directory.plans.language(&call.tenant),
            "mailboxes": boxes,
            "utc_offset_s": self.utc_offset_s(now, call),
        });
        // The arguments hold PINs, so that they are not told.
        let said = format!("module {VOICEMAIL} plays the messages of {}", mailboxes.join(", "));
        self.start_application(call, (VOICEMAIL, MENU), arguments.to_string(), said);
    }

    /// Seconds that the office's clocks are ahead of UTC.
    pub(crate) fn utc_offset_s(&self, now: Now, call: &Call) -> i32 {
        let zone = self.directory.plans.time_zone(&call.tenant);
        zone.map_or(0, |zone| zone.to_offset(now.date).seconds())
    }

    /// The application lets the call go on to a number, by the plan's rules and through its gate.
    pub(crate) fn dial(
        &mut self,
        now: Now,
        call: &mut Call,
        (instance, op): (InstanceId, OpId),
        number: &str,
    ) -> Fate {
        let is_device = matches!(call.leg(0).map(|leg| &leg.party), Some(Party::Device { .. }));
        let decision = if is_device { self.ask_for_application(now, call, number) } else { None };
        let Some(decision) = decision else {
            self.op_done(instance, op, OpStatus::Failed, "only a device may dial");
            return Fate::Keep;
        };
        if decision.steps.is_empty() {
            self.op_done(instance, op, OpStatus::Failed, &decision.release.cause);
            return Fate::Keep;
        }
        self.take_channels(call, &decision);
        self.op_done(instance, op, OpStatus::Ok, "");
        self.by_instance.remove(&instance);
        self.forget_operations(call);
        self.abandon_recording(call);
        self.order(ModuleOrder::Event { instance, event: AppEvent::HangUp });
        self.order(ModuleOrder::Destroy { instance });
        self.explain(call.id, format!("goes on to {number}"));
        call.steps = decision.steps.into();
        call.release = decision.release;
        call.failures.clear();
        self.next_step(now, call)
    }

    /// So many messages wait in a box.
    pub(crate) fn mailbox_changed(
        &mut self,
        now: Now,
        (tenant, mailbox): (Arc<str>, Arc<str>),
        count: MessageCount,
    ) {
        let plans = self.directory.plans.clone();
        self.mailboxes.insert((tenant.clone(), mailbox.clone()), count);
        for device in plans.devices().filter(|device| device.tenant == tenant) {
            if plans.mailboxes(&tenant, &device.device).contains(&mailbox) {
                self.tell_boxes(now, &device.user, (&tenant, &device.device));
            }
        }
    }

    /// Plans have changed, and with them whose box is whose.
    pub fn refresh_messages(&mut self, now: Now) {
        let plans = self.directory.plans.clone();
        let with_boxes: Vec<Arc<str>> =
            self.mailboxes.keys().map(|(tenant, _)| tenant.clone()).collect();
        for device in plans.devices().filter(|device| with_boxes.contains(&device.tenant)) {
            self.tell_boxes(now, &device.user, (&device.tenant, &device.device));
        }
    }

    /// Tells a phone what its boxes hold together.
    fn tell_boxes(&mut self, now: Now, user: &str, (tenant, device): (&Arc<str>, &str)) {
        let mut voice = MessageCount::default();
        for mailbox in self.directory.plans.mailboxes(tenant, device) {
            let Some(count) = self.mailboxes.get(&(tenant.clone(), mailbox)) else { continue };
            voice.new = voice.new.saturating_add(count.new);
            voice.old = voice.old.saturating_add(count.old);
        }
        let summary = MessageSummary { voice, ..MessageSummary::default() };
        self.set_messages(now, user, summary);
    }
}
