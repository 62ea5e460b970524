//! Where the bindings lie. A storm of registrations puts each of them between the transactions of
//! the storm; when those are gone, every page that they had is held by the few bytes of a binding.

use std::collections::HashMap;

use super::{Registrar, User};

impl Registrar {
    /// Lays everything that is kept side by side, and gives back what the tables have taken and do
    /// not use; for quiet times behind a storm. Takes about a microsecond a binding, and for that
    /// long the memory of both.
    pub fn shrink(&mut self) {
        // All new ones first: one that takes the place that another has just left is no better off.
        let users: HashMap<Box<str>, User> = self
            .users
            .iter()
            .map(|(name, User { number, bindings })| {
                (name.clone(), User { number: *number, bindings: bindings.clone() })
            })
            .collect();
        let numbers = self.numbers.clone();
        let timers = self.timers.relaid();
        let (connections, sources) = (self.connections.clone(), self.sources.clone());
        self.users = users;
        self.numbers = numbers;
        self.timers = timers;
        (self.connections, self.sources) = (connections, sources);
        self.keepalives.shrink_to_fit();
    }
}
