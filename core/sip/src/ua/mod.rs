//! The user agent core of one shard (RFC 3261, 8, 12–15): transactions and dialogs behind
//! one set of verbs. Feed it messages and time, drain `poll_action`, answer what it hands up.

mod client;
mod dialog;
mod glare;
mod long_request;
mod mark;
mod memory;
mod negotiation;
mod prack;
mod provisional;
mod refresh;
mod refuse;
mod respond;
mod response;
mod server;
mod session;
#[cfg(test)]
mod tests;
mod types;

use std::collections::{HashMap, VecDeque};

use koukan_base::{Rng, ShardId, Time};

pub use mark::{shard_of_branch, shard_of_tag};
pub use refuse::refuse_unserved;
pub use types::{
    Body, ClientTx, Counts, Credentials, DialogId, Event, ExtraHeaders, FailureCause, Identity,
    Listener, Request, Response, ServerTx, SessionConfig, UaAction, UaConfig,
};

use crate::header::Replaces;
use crate::message::{Message, ScanError, Scanner};
use crate::registrar::LongWay;
use crate::timer::TimerQueue;
use crate::{Flow, ListenerId};
use client::{Client, Outgoing};
use dialog::Dialog;
use long_request::LongRequests;
use negotiation::Negotiation;
use server::Server;
use session::SessionTick;

/// Whose timer it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Owner {
    Client(u64),
    Server(u64),
    Dialog(u64),
}

/// What was dropped without an answer, by cause; each is the peer's fault or a late arrival.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Datagrams that are no SIP message.
    pub unreadable: u64,
    /// Responses that belong to no request of ours.
    pub stray_responses: u64,
    /// ACKs that belong to nothing.
    pub stray_acks: u64,
}

/// Transactions and dialogs of one shard.
#[derive(Debug)]
pub struct UserAgent {
    config: UaConfig,
    rng: Rng,
    /// The shard whose mark tags, branches and Call-IDs bear, where there are several.
    mark: Option<ShardId>,
    scanner: Scanner,
    next_id: u64,
    // Boxed, all four: a table of large values is half empty, and stays so behind a burst.
    clients: HashMap<u64, Box<Client>>,
    clients_by_branch: HashMap<Vec<u8>, u64>,
    outgoing: HashMap<ClientTx, Box<Outgoing>>,
    servers: HashMap<u64, Box<Server>>,
    servers_by_key: HashMap<Vec<u8>, u64>,
    /// Initial requests by Call-ID, From tag and CSeq: a second one is merged (8.2.2.2).
    initial: HashMap<Vec<u8>, u64>,
    dialogs: HashMap<u64, Box<Dialog>>,
    dialogs_by_key: HashMap<Vec<u8>, u64>,
    long_requests: LongRequests,
    timers: TimerQueue<Owner>,
    actions: VecDeque<UaAction>,
    dropped: Dropped,
    overloaded: bool,
    shed: u64,
}

impl UserAgent {
    /// A user agent with empty tables.
    #[must_use]
    pub fn new(config: UaConfig, rng: Rng) -> Self {
        Self {
            config,
            rng,
            mark: None,
            scanner: Scanner::new(),
            next_id: 0,
            clients: HashMap::new(),
            clients_by_branch: HashMap::new(),
            outgoing: HashMap::new(),
            servers: HashMap::new(),
            servers_by_key: HashMap::new(),
            initial: HashMap::new(),
            dialogs: HashMap::new(),
            dialogs_by_key: HashMap::new(),
            long_requests: LongRequests::default(),
            timers: TimerQueue::new(),
            actions: VecDeque::new(),
            dropped: Dropped::default(),
            overloaded: false,
            shed: 0,
        }
    }

    /// More comes than can be served: until it is over new calls are refused with 503, before they
    /// cost anything; what belongs to calls that are up is served.
    pub const fn set_overloaded(&mut self, overloaded: bool) {
        self.overloaded = overloaded;
    }

    /// New calls that were refused so.
    #[must_use]
    pub const fn shed(&self) -> u64 {
        self.shed
    }

    /// One datagram, or one message out of a stream's framer.
    pub fn handle_bytes(&mut self, now: Time, flow: Flow, bytes: &[u8]) {
        // RFC 5626, 4.4.1: datagrams of line ends only hold a binding open.
        if bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            return;
        }
        match Message::from_datagram(&mut self.scanner, bytes) {
            Ok(message) => self.handle_message(now, flow, message),
            Err(error) => self.handle_unreadable(flow, bytes, error),
        }
    }

    /// Bytes that are no message: a request that is readable up to its empty line is refused.
    fn handle_unreadable(&mut self, flow: Flow, bytes: &[u8], error: ScanError) {
        let status = match error {
            ScanError::Version => 505,
            ScanError::TooLong { .. } => 513,
            _ => 400,
        };
        let damaged = Message::damaged(&self.scanner, bytes);
        match damaged.filter(|message| message.method().is_some()) {
            Some(request) => self.refuse_statelessly(flow, &request, status, &error.to_string()),
            None => self.dropped.unreadable = self.dropped.unreadable.saturating_add(1),
        }
    }

    /// One whole message.
    pub fn handle_message(&mut self, now: Time, flow: Flow, message: Message) {
        if message.method().is_some() {
            self.handle_request(now, flow, message);
        } else {
            self.handle_response(now, message);
        }
    }

    /// The driver could not send on, or has lost, this flow.
    pub fn handle_flow_failed(&mut self, now: Time, flow: Flow) {
        let mut failed: Vec<u64> =
            self.clients.iter().filter(|(_, c)| c.flow == flow).map(|(id, _)| *id).collect();
        // In the order they were sent: a seed replays the same run.
        failed.sort_unstable();
        for id in failed {
            self.client_gone(now, id, FailureCause::Transport);
        }
    }

    /// What leads to a peer that is spoken to by datagrams when a request is too long for one.
    pub fn know_long_way(&mut self, now: Time, flow: Flow, way: LongWay) {
        self.long_requests.know(now, flow, way);
    }

    /// Everything that is due at `now`.
    pub fn handle_timeout(&mut self, now: Time) {
        while let Some(owner) = self.timers.pop_due(now) {
            match owner {
                Owner::Client(id) => self.client_timeout(now, id),
                Owner::Server(id) => self.server_timeout(now, id),
                Owner::Dialog(id) => self.dialog_timeout(now, id),
            }
        }
    }

    /// When `handle_timeout` is to be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.timers.next()
    }

    /// The next thing to do; drain after every input.
    pub fn poll_action(&mut self) -> Option<UaAction> {
        self.actions.pop_front()
    }

    /// Sizes of the tables.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            client_transactions: self.clients.len().max(self.outgoing.len()),
            server_transactions: self.servers.len(),
            dialogs: self.dialogs.len(),
        }
    }

    /// What was dropped so far.
    #[must_use]
    pub const fn dropped(&self) -> Dropped {
        self.dropped
    }

    /// The tag of our side of a dialog.
    #[must_use]
    pub fn local_tag(&self, dialog: DialogId) -> Option<&[u8]> {
        self.dialogs.get(&dialog.0).map(|dialog| dialog.local_tag.as_slice())
    }

    /// The dialog that an INVITE with Replaces means, and whether it is confirmed (RFC 3891,
    /// section 3). `None`, answered 481: there is none, or it is an early one that the peer of it
    /// began. Further: `early_only` and confirmed is 486.
    #[must_use]
    pub fn find_dialog(&self, replaces: Replaces<'_>) -> Option<(DialogId, bool)> {
        let found = |remote_tag: &[u8]| {
            let id = *self.dialogs_by_key.get(&dialog::key(replaces.to_tag, remote_tag))?;
            let dialog = self.dialogs.get(&id)?;
            let ours = dialog.confirmed || dialog.opened_by.is_some();
            let stands = dialog.call_id == replaces.call_id && dialog.ending.is_none();
            (ours && stands).then_some((DialogId(id), dialog.confirmed))
        };
        // RFC 3891, 3: the tag "0" stands for none at all, as RFC 2543 permitted.
        found(replaces.from_tag).or_else(|| found(b"").filter(|_| replaces.from_tag == b"0"))
    }

    /// The dialog with these tags, also an early one that its peer began: what the Replaces of a
    /// REFER may mean, since phones put a caller through to a colleague who still rings.
    #[must_use]
    pub fn find_own_dialog(&self, replaces: Replaces<'_>) -> Option<(DialogId, bool)> {
        let key = dialog::key(replaces.to_tag, replaces.from_tag);
        let id = *self.dialogs_by_key.get(&key)?;
        let dialog = self.dialogs.get(&id)?;
        let stands = dialog.call_id == replaces.call_id && dialog.ending.is_none();
        stands.then_some((DialogId(id), dialog.confirmed))
    }

    /// The Call-ID, our tag and the peer's tag of a dialog.
    #[must_use]
    pub fn identity(&self, dialog: DialogId) -> Option<(&[u8], &[u8], &[u8])> {
        let dialog = self.dialogs.get(&dialog.0)?;
        Some((&dialog.call_id, &dialog.local_tag, &dialog.remote_tag))
    }

    /// The URI at which the peer of a dialog is reached: its latest Contact.
    #[must_use]
    pub fn remote_target(&self, dialog: DialogId) -> Option<&[u8]> {
        self.dialogs.get(&dialog.0).map(|dialog| dialog.remote_target.as_slice())
    }

    /// Whether our INVITE has met anybody: a provisional response came, if only a 100, and no final
    /// one.
    #[must_use]
    pub fn is_proceeding(&self, tx: ClientTx) -> bool {
        let current = self.outgoing.get(&tx).map(|outgoing| outgoing.current);
        let client = current.and_then(|id| self.clients.get(&id));
        client.is_some_and(|client| match &client.machine {
            client::Machine::Invite(machine) => machine.is_proceeding(),
            client::Machine::Other(_) => false,
        })
    }

    /// Whether a new offer of ours would be taken in this dialog as far as we know (RFC 3264, 4;
    /// RFC 3261, 14.1): no other is open and no INVITE under way.
    #[must_use]
    pub fn may_offer(&self, dialog: DialogId) -> bool {
        self.dialogs.get(&dialog.0).is_some_and(|dialog| {
            dialog.negotiation == Negotiation::Settled
                && dialog.client_invite.is_none()
                && dialog.server_invite.is_none()
                && dialog.ending.is_none()
        })
    }

    /// Our To tag in the response to a request that had none.
    #[must_use]
    pub fn response_tag(&self, tx: ServerTx) -> Option<&[u8]> {
        self.servers.get(&tx.0).map(|server| server.to_tag.as_slice())
    }

    /// Where the peer of a dialog is.
    #[must_use]
    pub fn flow(&self, dialog: DialogId) -> Option<Flow> {
        self.dialogs.get(&dialog.0).map(|dialog| dialog.flow)
    }

    /// A peer that was spoken to on `old` has come back on `new`: its dialogs go on there.
    pub fn move_flow(&mut self, old: Flow, new: Flow) {
        let moved = self.dialogs.values_mut().filter(|dialog| dialog.flow == old);
        moved.for_each(|dialog| dialog.flow = new);
    }

    fn id(&mut self) -> u64 {
        self.next_id = self.next_id.wrapping_add(1);
        self.next_id
    }

    fn send(&mut self, flow: Flow, bytes: Vec<u8>) {
        self.actions.push_back(UaAction::Send { flow, bytes });
    }

    fn tell(&mut self, event: Event) {
        self.actions.push_back(UaAction::Event(event));
    }

    fn listener(&self, id: ListenerId) -> Option<&Listener> {
        self.config
            .listeners
            .iter()
            .find(|listener| listener.id == id)
            .or_else(|| self.config.listeners.first())
    }

    /// `sent-by` of our Via and the host of our Contact on this flow.
    fn own_address(&self, flow: Flow) -> String {
        self.listener(flow.listener)
            .map_or_else(String::new, |listener| listener.advertised.to_string())
    }

    /// Our Contact on this flow.
    fn contact(&self, flow: Flow) -> Vec<u8> {
        let address = self.own_address(flow);
        let parameter = match flow.transport {
            crate::Transport::Udp => String::new(),
            other => format!(";transport={}", other.param_name()),
        };
        format!("<sip:koukan@{address}{parameter}>").into_bytes()
    }

    fn insert_dialog(&mut self, dialog: Dialog) -> u64 {
        let id = self.id();
        self.dialogs_by_key.insert(dialog.key(), id);
        self.dialogs.insert(id, Box::new(dialog));
        id
    }

    fn remove_dialog(&mut self, id: u64) -> Option<Box<Dialog>> {
        let dialog = self.dialogs.remove(&id)?;
        self.dialogs_by_key.remove(&dialog.key());
        self.timers.update(Owner::Dialog(id), dialog.poll_timeout(), None);
        Some(dialog)
    }

    /// Changes a dialog and moves its deadline; `None` when it is gone.
    fn change_dialog<R>(&mut self, id: u64, change: impl FnOnce(&mut Dialog) -> R) -> Option<R> {
        let dialog = self.dialogs.get_mut(&id)?;
        let before = dialog.poll_timeout();
        let result = change(dialog);
        let after = dialog.poll_timeout();
        self.timers.update(Owner::Dialog(id), before, after);
        Some(result)
    }

    fn dialog_timeout(&mut self, now: Time, id: u64) {
        // The queue has given its entry out; whatever is due below moves it on.
        let next = self.dialogs.get(&id).and_then(|dialog| dialog.poll_timeout());
        self.timers.update(Owner::Dialog(id), None, next);
        self.ack_timeout(now, id);
        let tick = self.change_dialog(id, |dialog| {
            dialog.session.as_mut().map(|timer| timer.handle_timeout(now))
        });
        match tick.flatten() {
            Some(SessionTick::Refresh) => self.refresh_session(now, id),
            Some(SessionTick::Expired) => self.session_expired(now, id),
            Some(SessionTick::Nothing) | None => {}
        }
        let again = self
            .change_dialog(id, |dialog| dialog.try_again.take_if(|(at, _)| *at <= now))
            .flatten();
        if let Some((_, method)) = again {
            self.tell(Event::TryAgain { dialog: DialogId(id), method });
        }
    }

    /// A 2xx of ours waits for its ACK (RFC 3261, 13.3.1.4).
    fn ack_timeout(&mut self, now: Time, id: u64) {
        let tick = self
            .change_dialog(id, |dialog| {
                let waiting = dialog.waiting_ack.as_mut()?;
                let over = waiting.handle_timeout(now)?;
                if over {
                    dialog.waiting_ack = None;
                    dialog.negotiation = Negotiation::Settled;
                    return Some(Err(dialog.ending.take()));
                }
                Some(Ok((waiting.flow, waiting.bytes.clone())))
            })
            .flatten();
        match tick {
            Some(Ok((flow, bytes))) => self.send(flow, bytes),
            Some(Err(Some(reason))) => self.bye(now, DialogId(id), reason.as_deref()),
            Some(Err(None)) => self.tell(Event::AckMissing { dialog: DialogId(id) }),
            None => {}
        }
    }
}
