//! Streams that leave their worker for another process, and come back to one.

use std::sync::Arc;
use std::time::Duration;

use koukan_base::StreamId;
use koukan_media::{Event, Shed};

use super::{AWAY, Engine};
use crate::order::Order;

impl Engine {
    /// A stream leaves its worker for another process.
    pub(super) fn let_go(&mut self, index: usize, stream: StreamId) {
        self.leave_room(stream);
        self.shares.close(stream);
        let changes = self.routes.close(stream);
        self.order(index, Order::Release(stream, AWAY));
        self.hear(index, changes);
    }

    /// A stream that was lent is on a worker again.
    pub(super) fn reclaim(
        &mut self,
        index: usize,
        id: StreamId,
        tenant: &Arc<str>,
        away: Duration,
    ) {
        let Some(stream) = self.lendings.take_back(id, away) else { return };
        // Its call is up: it goes before what others want to open.
        if let Err(error) = self.shares.open(id, index, tenant, Shed::of_number(0)) {
            self.opened.push_back(Event::OpenFailed { stream: id, error });
            return;
        }
        self.routes.open(id);
        self.order(index, Order::Adopt(stream));
    }
}
