//! What the tables keep beyond what is in them: a hash table that was large stays large until it is
//! told otherwise, and the transactions of a burst stay for timers H and J (RFC 3261, 17.2).

use super::UserAgent;

impl UserAgent {
    /// Gives back the room that the tables have taken and do not use any more. Costs a rehash of
    /// what is in them: for quiet times behind a burst.
    pub fn shrink(&mut self) {
        self.clients.shrink_to_fit();
        self.clients_by_branch.shrink_to_fit();
        self.outgoing.shrink_to_fit();
        self.servers.shrink_to_fit();
        self.servers_by_key.shrink_to_fit();
        self.initial.shrink_to_fit();
        self.dialogs.shrink_to_fit();
        self.dialogs_by_key.shrink_to_fit();
        self.actions.shrink_to_fit();
    }
}
