//! Actions: the values of `do`, of a cell, of a menu's key, of an overflow.

use std::sync::Arc;

use super::{Call, gate, inbound, plain_release};
use crate::decision::{Release, Step, Way};
use crate::model::Plan;
use crate::read::{Action, Do};

impl<'p> Call<'p, '_> {
    /// Does an action; how the caller is released when its steps are used up.
    pub(super) fn perform(&mut self, plan: &'p Plan, action: &Action) -> Release {
        if let Err(release) = self.hop() {
            return release;
        }
        let before = self.steps.len();
        let release = self.do_it(plan, action);
        if let (Some(on_error), Some(first)) = (&action.on_error, self.steps.get_mut(before))
            && first.may_fail()
        {
            let on_error = Way { action: Arc::clone(on_error) };
            let step = Box::new(std::mem::replace(first, Step::Echo));
            *first = Step::Guarded { step, on_error };
        }
        release
    }

    fn do_it(&mut self, plan: &'p Plan, action: &Action) -> Release {
        let step = match &action.what {
            Do::Ring => match self.number {
                Some((plan, number)) => return inbound::ring(self, plan, number),
                None => return plain_release(480, "no-answer"),
            },
            Do::Forward(None) => match self.number {
                Some((plan, number)) => return inbound::forward(self, plan, number),
                None => return plain_release(480, "no-answer"),
            },
            Do::Forward(Some(to)) => {
                let number = self.number.map(|(_, number)| number);
                let shown = number.filter(|number| number.can_be_shown());
                let shown = shown.or_else(|| plan.main_number());
                return gate::forward(self, plan, shown, to, "action.forward");
            }
            Do::Reject(status) => {
                self.because("action.reject", format!("released with {status}"));
                return plain_release(*status, "rejected");
            }
            Do::Announce(name) => return self.announce(plan, &name.value),
            Do::Voicemail(name) => return self.voicemail(plan, &name.value, "action.voicemail"),
            Do::Group(name) => match plan.groups.find(&name.value) {
                Some(group) => return self.ring_group(plan, &group.name, group),
                None => return plain_release(480, "no-answer"),
            },
            Do::Page(name) => match plan.groups.find(&name.value) {
                Some(group) => return self.page_group(plan, &group.name, group),
                None => return plain_release(480, "unknown-object"),
            },
            Do::VoicemailMenu => Some(Step::VoicemailMenu { mailboxes: self.mailboxes(plan) }),
            Do::Menu(menu) => plan
                .menus
                .find(&menu.value)
                .map(|found| Step::Menu { menu: Arc::clone(&found.name), spec: Arc::clone(found) }),
            Do::Queue(queue) => plan.queues.find(&queue.value).map(|found| Step::Queue {
                queue: Arc::clone(&found.name),
                spec: Arc::clone(found),
            }),
            Do::Conference(room) => plan.rooms.find(&room.value).map(|found| Step::Conference {
                room: Arc::clone(&found.name),
                spec: Arc::clone(found),
            }),
            Do::Fax(mailbox) => plan.fax_boxes.find(&mailbox.value).map(|found| Step::Fax {
                mailbox: Arc::clone(&found.name),
                spec: Arc::clone(found),
            }),
            Do::Park => {
                plan.park.as_ref().map(|park| Step::Park { slot: None, spec: Arc::clone(park) })
            }
            Do::Echo => Some(Step::Echo),
            Do::Module { module, application, arguments } => Some(Step::Module {
                module: Arc::clone(module),
                application: Arc::clone(application),
                arguments: Arc::clone(arguments),
            }),
        };
        // A way of an older generation may name what is gone.
        let Some(step) = step else { return plain_release(480, "unknown-object") };
        self.steps.push(step);
        plain_release(480, "finished")
    }

    /// Plays an announcement of the plan.
    pub(super) fn announce(&mut self, plan: &Plan, name: &Arc<str>) -> Release {
        if self.pool_is_full(plan) {
            return plain_release(486, "pool");
        }
        if let Some(announcement) = plan.announcements.find(name) {
            let prompt = announcement.prompt(&plan.tenant.language);
            self.steps.push(Step::Announce { name: Arc::clone(name), prompt, answered: true });
            self.because(format!("announcement.{name}"), "the caller hears it");
        }
        plain_release(480, "announced")
    }

    /// Takes a message.
    pub(super) fn voicemail(&mut self, plan: &Plan, name: &Arc<str>, rule: &str) -> Release {
        if self.pool_is_full(plan) {
            return plain_release(486, "pool");
        }
        let Some(found) = plan.voicemail_boxes.find(name) else {
            return plain_release(480, "unknown-object");
        };
        self.because(rule, format!("then box {name}"));
        let (mailbox, spec) = (Arc::clone(&found.name), Arc::clone(found));
        self.steps.push(Step::Voicemail { mailbox, spec });
        plain_release(480, "voicemail")
    }

    /// Announcements and voicemail run in a capped pool of their own.
    fn pool_is_full(&mut self, plan: &Plan) -> bool {
        let full = self.facts.state.pool_is_full(&plan.tenant.id.value);
        if full {
            self.because("limits.announcements", "the pool of announcements is used up");
        }
        full
    }

    /// The boxes of the calling device: its own number's first, then those that it rings for.
    fn mailboxes(&self, plan: &Plan) -> Vec<Arc<str>> {
        let crate::decision::Origin::Device { device, .. } = self.facts.origin else {
            return Vec::new();
        };
        super::mailboxes::of_device(plan, device)
    }
}

impl Step {
    /// Whether a module drives it, which can fail.
    const fn may_fail(&self) -> bool {
        match self {
            Self::Announce { .. }
            | Self::Voicemail { .. }
            | Self::VoicemailMenu { .. }
            | Self::Forward(_)
            | Self::Fax { .. }
            | Self::Conference { .. }
            | Self::Menu { .. }
            | Self::Queue { .. }
            | Self::Park { .. }
            | Self::Module { .. } => true,
            Self::Ring { .. }
            | Self::Trunk(_)
            | Self::Divert { .. }
            | Self::Page { .. }
            | Self::Echo
            | Self::Set { .. }
            | Self::Feature { .. }
            | Self::Guarded { .. }
            | Self::Release(_) => false,
        }
    }
}
