//! What the tables keep beyond what is in them: a hash table that was large stays large until it is
//! told otherwise, and the transactions of a burst stay for timers H and J (RFC 3261, 17.2).

use super::UserAgent;

impl UserAgent {
    /// Entries of all tables, and how many fit into them without growing.
    #[must_use]
    pub fn room(&self) -> (usize, usize) {
        let tables = [
            (self.clients.len(), self.clients.capacity()),
            (self.clients_by_branch.len(), self.clients_by_branch.capacity()),
            (self.outgoing.len(), self.outgoing.capacity()),
            (self.servers.len(), self.servers.capacity()),
            (self.servers_by_key.len(), self.servers_by_key.capacity()),
            (self.initial.len(), self.initial.capacity()),
            (self.dialogs.len(), self.dialogs.capacity()),
            (self.dialogs_by_key.len(), self.dialogs_by_key.capacity()),
            (self.actions.len(), self.actions.capacity()),
        ];
        let sum = |(a, b): (usize, usize), (x, y)| (a.saturating_add(x), b.saturating_add(y));
        tables.into_iter().fold((0, 0), sum)
    }

    /// The requests of ours that have no outcome yet, one line each: for who looks into a table
    /// that does not become empty.
    #[must_use]
    pub fn under_way(&self) -> Vec<String> {
        let mut lines: Vec<(u64, String)> = Vec::new();
        for (id, client) in &self.clients {
            let known = self.outgoing.get(&client.tx);
            let call_id = known.map(|known| String::from_utf8_lossy(&known.call_id).into_owned());
            let (method, flow, state) = (client.method, client.flow, &client.machine);
            lines.push((*id, format!("{method:?} {call_id:?} at {flow}: {state:?}")));
        }
        lines.sort();
        lines.into_iter().map(|(_, line)| line).collect()
    }

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
