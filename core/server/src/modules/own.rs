//! What the host does itself beside the switch: mails, and operations whose results come from
//! threads of its own.

use koukan_switch::Now;

use super::Modules;

impl Modules {
    /// Sends a mail of the switch's own; without a mail server the log has what it said.
    pub fn send_mail(&self, mail: koukan_switch::Mail) {
        self.shelf.queue_own_mail(mail);
    }

    /// Gives applications the results of what other threads have done for them.
    pub(super) fn finish_own(&mut self, now: Now) {
        for (instance, event) in self.desk.take_finished() {
            self.event(now, instance, event);
        }
    }
}
