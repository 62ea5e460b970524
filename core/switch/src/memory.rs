//! Memory that a burst of calls leaves behind in the tables.

use crate::switch::Switch;

impl Switch {
    /// Gives back the room that the tables have taken and do not use any more; for quiet times
    /// behind a burst.
    pub fn shrink(&mut self) {
        self.ua.shrink();
        self.calls.shrink_to_fit();
        self.closing.shrink_to_fit();
        self.by_server.shrink_to_fit();
        self.by_client.shrink_to_fit();
        self.by_dialog.shrink_to_fit();
        self.by_stream.shrink_to_fit();
        self.by_instance.shrink_to_fit();
        self.actions.shrink_to_fit();
    }
}
