//! Who watches at all (RFC 6665, section 4.2.1): for who takes a user away.

use super::Notifier;

impl Notifier {
    /// Every user who watches something, in no order.
    pub fn users(&self) -> impl Iterator<Item = &str> {
        self.by_user.keys().map(|user| &**user)
    }
}
