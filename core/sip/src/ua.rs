//! The user agent core of one shard: transactions and dialogs behind one set of verbs.
//! CONTRACT: signatures that the switch is written against.

use std::net::SocketAddr;
use koukan_base::{Rng, Time};
use crate::{Flow, ListenerId, Transport};

/// An INVITE, non-INVITE ... server transaction that waits for our response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerTx(pub u64);
/// A client transaction (or the whole set of tries of one request, when digest repeats it).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientTx(pub u64);
/// A dialog, early or confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DialogId(pub u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method { Invite, Ack, Bye, Cancel, Register, Options, Info, Update, Prack, Subscribe, Notify, Refer, Message, Publish, Other }

/// A whole received message: owned bytes and the ranges that the scan found. Accessors never allocate.
#[derive(Clone, Debug)]
pub struct Message { _p: () }
impl Message {
    pub fn method(&self) -> Option<Method> { unimplemented!() }          // None for a response
    pub fn status(&self) -> Option<u16> { unimplemented!() }             // None for a request
    pub fn reason_phrase(&self) -> &[u8] { unimplemented!() }
    pub fn request_uri(&self) -> &[u8] { unimplemented!() }              // empty for a response
    pub fn header(&self, _name: Header) -> Option<&[u8]> { unimplemented!() } // first value line, trimmed
    pub fn headers(&self, _name: Header) -> impl Iterator<Item = &[u8]> { std::iter::empty() }
    /// A header by its name on the wire, any case.
    pub fn header_named(&self, _name: &str) -> Option<&[u8]> { unimplemented!() }
    pub fn call_id(&self) -> &[u8] { unimplemented!() }
    pub fn body(&self) -> &[u8] { unimplemented!() }
    /// Whether the body is `application/sdp` (or has no Content-Type and is not empty).
    pub fn sdp(&self) -> Option<&[u8]> { unimplemented!() }
    /// User part of the Request-URI / From / To / P-Asserted-Identity URI, unescaped; and display names, as bytes.
    pub fn request_user(&self) -> Option<Vec<u8>> { unimplemented!() }
    pub fn from_user(&self) -> Option<Vec<u8>> { unimplemented!() }
    pub fn to_user(&self) -> Option<Vec<u8>> { unimplemented!() }
}

/// Names of headers that we know; compact forms are folded in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Header { Via, From, To, CallId, CSeq, Contact, MaxForwards, Route, RecordRoute, ContentType, ContentLength,
    Authorization, ProxyAuthorization, WwwAuthenticate, ProxyAuthenticate, Expires, MinExpires, Allow, Supported, Require,
    Unsupported, Reason, RetryAfter, UserAgent, Server, PAssertedIdentity, PPreferredIdentity, Privacy, PCalledPartyId, Diversion,
    HistoryInfo, ReferTo, ReferredBy, Replaces, Event, SubscriptionState, AlertInfo, Warning, Date, Other }

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body { pub content_type: &'static str, pub bytes: Vec<u8> }

/// Further headers of a message that we send: name as it shall stand on the wire, value bytes without CR LF.
pub type ExtraHeaders = Vec<(&'static str, Vec<u8>)>;

/// A response of ours. Via, From, To (+ our tag), Call-ID, CSeq, Contact, Record-Route, Allow, Supported and
/// Content-Length are written by the user agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response { pub status: u16, pub reason: Option<&'static str>, pub headers: ExtraHeaders, pub body: Option<Body> }

/// Digest credentials (RFC 7616) for a peer that challenges us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials { pub username: String, pub password: String }

/// An initial INVITE of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InviteRequest {
    pub flow: Flow,
    pub request_uri: Vec<u8>,
    /// name-addr without tag, e.g. `"Alice" <sip:0312340001@192.0.2.1>`
    pub from: Vec<u8>,
    pub to: Vec<u8>,
    /// Loose routes (Path of a registration, outbound proxy), topmost first.
    pub route: Vec<Vec<u8>>,
    pub max_forwards: u8,
    pub headers: ExtraHeaders,
    pub body: Option<Body>,
    /// Used once when the peer answers 401 or 407.
    pub credentials: Option<Credentials>,
}

/// A request of ours outside any dialog that is no INVITE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub method: Method, pub flow: Flow, pub request_uri: Vec<u8>, pub from: Vec<u8>, pub to: Vec<u8>,
    pub headers: ExtraHeaders, pub body: Option<Body>, pub credentials: Option<Credentials>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureCause { Response, Timeout, Transport }

#[derive(Debug)]
pub enum Event {
    /// A request outside any dialog that is no INVITE (REGISTER, OPTIONS, SUBSCRIBE, MESSAGE ...); answer with `respond`.
    Request { tx: ServerTx, flow: Flow, message: Message },
    /// An initial INVITE; 100 Trying has been sent. Answer with `respond(tx)`.
    Invite { tx: ServerTx, dialog: DialogId, flow: Flow, message: Message },
    /// The caller gave up: CANCEL got its 200, the INVITE its 487. The transaction and the dialog are gone for the owner.
    Cancelled { tx: ServerTx, dialog: DialogId, reason: Option<Vec<u8>> },
    /// The ACK for our 2xx came (with the answer of a late offer as its body, or empty).
    Acked { dialog: DialogId, message: Message },
    /// No ACK in 64*T1; the dialog still stands: end it with `bye`.
    AckMissing { dialog: DialogId },
    /// A request inside a dialog: re-INVITE, UPDATE, INFO, OPTIONS, REFER, NOTIFY ... (never ACK, BYE, CANCEL, PRACK). Answer it.
    InDialog { tx: ServerTx, dialog: DialogId, message: Message },
    /// The peer hung up; BYE has got its 200; the dialog is gone.
    Bye { dialog: DialogId, message: Message },
    /// 101–199 to our INVITE. `dialog` is the early dialog when it had a To tag.
    Progress { tx: ClientTx, dialog: Option<DialogId>, status: u16, message: Message },
    /// 2xx to our INVITE (initial or within a dialog): call `ack(dialog)` now. A fork's second 2xx comes as another
    /// `Answered` of the same `tx` with another dialog: ack and bye it.
    Answered { tx: ClientTx, dialog: DialogId, message: Message },
    /// Our INVITE ended without a dialog: 300–699, or nothing came (status 408), or the transport failed (503).
    Failed { tx: ClientTx, status: u16, cause: FailureCause, message: Option<Message> },
    /// The final answer to a non-INVITE request of ours (in or out of dialog); 408/503 when made up here.
    Response { tx: ClientTx, dialog: Option<DialogId>, status: u16, cause: FailureCause, message: Option<Message> },
}

#[derive(Debug)]
pub enum UaAction { Send { flow: Flow, bytes: Vec<u8> }, Event(Event) }

/// One listener as the messages show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener { pub id: ListenerId, pub transport: Transport, pub advertised: SocketAddr }

#[derive(Clone, Debug)]
pub struct UaConfig { pub listeners: Vec<Listener>, pub server_name: String, pub max_transactions: usize, pub max_dialogs: usize }

/// Sizes of the tables; all zero when nothing is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts { pub client_transactions: usize, pub server_transactions: usize, pub dialogs: usize }

pub struct UserAgent { _p: () }
impl UserAgent {
    pub fn new(_config: UaConfig, _rng: Rng) -> Self { unimplemented!() }
    pub fn handle_message(&mut self, _now: Time, _flow: Flow, _bytes: &[u8]) { unimplemented!() }
    /// The driver could not send on, or lost, this flow.
    pub fn handle_flow_failed(&mut self, _now: Time, _flow: Flow) { unimplemented!() }
    pub fn handle_timeout(&mut self, _now: Time) { unimplemented!() }
    pub fn poll_timeout(&self) -> Option<Time> { unimplemented!() }
    pub fn poll_action(&mut self) -> Option<UaAction> { unimplemented!() }
    pub fn counts(&self) -> Counts { unimplemented!() }

    pub fn respond(&mut self, _now: Time, _tx: ServerTx, _response: Response) { unimplemented!() }
    pub fn invite(&mut self, _now: Time, _request: InviteRequest) -> ClientTx { unimplemented!() }
    /// CANCEL, at once or as soon as a provisional answer allows it; a 2xx that crosses it still comes as `Answered`.
    pub fn cancel(&mut self, _now: Time, _tx: ClientTx, _reason: Option<&str>) { unimplemented!() }
    pub fn ack(&mut self, _now: Time, _dialog: DialogId, _body: Option<Body>) { unimplemented!() }
    /// BYE; the dialog is gone for the owner at once (the transaction ends by itself, no event).
    pub fn bye(&mut self, _now: Time, _dialog: DialogId, _reason: Option<&str>) { unimplemented!() }
    /// Any other request within the dialog (re-INVITE: answered by `Answered`/`Failed`).
    pub fn request_in_dialog(&mut self, _now: Time, _dialog: DialogId, _method: Method, _headers: ExtraHeaders, _body: Option<Body>) -> ClientTx { unimplemented!() }
    pub fn request(&mut self, _now: Time, _request: Request) -> ClientTx { unimplemented!() }
}
