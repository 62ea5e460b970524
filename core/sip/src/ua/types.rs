//! What crosses the border between the user agent core and its user.

use std::net::SocketAddr;

use koukan_base::Rng;

use crate::message::{Message, Method};
use crate::{Flow, ListenerId, Transport};

/// A server transaction that waits for our response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerTx(pub(crate) u64);

/// A request of ours, with its repetition for digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientTx(pub(crate) u64);

/// A dialog, early or confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DialogId(pub(crate) u64);

/// A body with its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// Content-Type.
    pub content_type: &'static str,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl Body {
    /// A session description.
    #[must_use]
    pub const fn sdp(bytes: Vec<u8>) -> Self {
        Self { content_type: "application/sdp", bytes }
    }
}

/// Further headers of a message that we send: the name as it shall stand on the wire, and the
/// value.
pub type ExtraHeaders = Vec<(&'static str, Vec<u8>)>;

/// A response of ours. Via, From, To with our tag, Call-ID, CSeq, Contact, Record-Route, Allow,
/// Supported and Content-Length are written by the user agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// 101–699.
    pub status: u16,
    /// The reason phrase; the usual one of the status when `None`.
    pub reason: Option<&'static str>,
    /// Further headers.
    pub headers: ExtraHeaders,
    /// The body.
    pub body: Option<Body>,
    /// Sent reliably when it is a 101–199 to an INVITE whose caller supports that (RFC 3262): sent
    /// again until its PRACK comes; later ones wait for it. A caller that requires it gets every
    /// one so.
    pub reliable: bool,
}

impl Response {
    /// A response without further headers and body.
    #[must_use]
    pub fn new(status: u16) -> Self {
        Self { status, ..Self::default() }
    }
}

/// Digest credentials (RFC 7616) for a peer that challenges us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The user name.
    pub username: String,
    /// The password.
    pub password: String,
}

/// An initial INVITE, or another request outside a dialog, of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The method; `invite` sets it to INVITE.
    pub method: Method,
    /// Where to send it.
    pub flow: Flow,
    /// The Request-URI.
    pub request_uri: Vec<u8>,
    /// From without a tag: `"Alice" <sip:0312340001@192.0.2.1>`.
    pub from: Vec<u8>,
    /// To without a tag.
    pub to: Vec<u8>,
    /// Loose routes (Path of a registration, an outbound proxy), topmost first.
    pub route: Vec<Vec<u8>>,
    /// Max-Forwards.
    pub max_forwards: u8,
    /// Further headers.
    pub headers: ExtraHeaders,
    /// The body.
    pub body: Option<Body>,
    /// Used once when the peer answers 401 or 407.
    pub credentials: Option<Credentials>,
}

/// The dialog of a request that is kept outside the user agent: a subscription's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The Call-ID.
    pub call_id: Vec<u8>,
    /// Our tag. The peer's stands in the request's `to`.
    pub local_tag: Vec<u8>,
    /// The CSeq number.
    pub cseq: u32,
}

/// Why a request of ours ended without success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureCause {
    /// The peer said so.
    Response,
    /// Nobody answered in time.
    Timeout,
    /// The transport failed.
    Transport,
}

/// What the user hears.
#[derive(Debug)]
pub enum Event {
    /// A request outside any dialog that is no INVITE, or a SUBSCRIBE or NOTIFY in a dialog that is
    /// no call's; answer it with `respond`, the latter with 481 when it is nobody's.
    Request {
        /// Its transaction.
        tx: ServerTx,
        /// Where it came from.
        flow: Flow,
        /// The request.
        message: Message,
    },
    /// An initial INVITE. Answer it with `respond`; when that takes longer, a 100 goes out by
    /// itself (RFC 3261, 17.2.1).
    Invite {
        /// Its transaction.
        tx: ServerTx,
        /// The dialog that a 101–299 of ours creates.
        dialog: DialogId,
        /// Where it came from.
        flow: Flow,
        /// The request.
        message: Message,
    },
    /// The caller gave up: CANCEL got its 200 and the INVITE its 487. The dialog of an initial
    /// INVITE is gone, that of a re-INVITE stands as it was.
    Cancelled {
        /// The INVITE's transaction.
        tx: ServerTx,
        /// Its dialog.
        dialog: DialogId,
        /// The CANCEL's Reason header.
        reason: Option<Vec<u8>>,
    },
    /// The ACK of our 2xx came, with the answer of a late offer or without a body.
    Acked {
        /// The dialog.
        dialog: DialogId,
        /// The ACK.
        message: Message,
    },
    /// No ACK came in 64·T1; the dialog still stands: end it with `bye`.
    AckMissing {
        /// The dialog.
        dialog: DialogId,
    },
    /// A reliable provisional response of ours was acknowledged (RFC 3262).
    Pracked {
        /// The PRACK's transaction when it carries an offer: answer it with `respond`. Otherwise it
        /// has got its 200.
        tx: Option<ServerTx>,
        /// The INVITE's transaction.
        invite: ServerTx,
        /// The dialog.
        dialog: DialogId,
        /// The PRACK; its body answers the offer of our response, or is an offer.
        message: Message,
    },
    /// No PRACK came in 64·T1: the INVITE got its 504; when it was the initial one its dialog is
    /// gone.
    PrackMissing {
        /// The INVITE's transaction.
        invite: ServerTx,
        /// The dialog.
        dialog: DialogId,
    },
    /// A re-INVITE or UPDATE of ours crossed one of the peer's and ended with 491, or with 500 and
    /// a time to wait; that time is over (RFC 3261, 14.1): send it again if it is still wanted.
    TryAgain {
        /// The dialog.
        dialog: DialogId,
        /// What was refused.
        method: Method,
    },
    /// The session timer wants a refresh (RFC 4028) and the peer takes no UPDATE: send a re-INVITE
    /// with the last description unchanged.
    RefreshDue {
        /// The dialog.
        dialog: DialogId,
    },
    /// The session was not refreshed in time, or the peer does not know it any more (RFC 4028,
    /// section 10); the dialog still stands: end it with `bye`.
    SessionExpired {
        /// The dialog.
        dialog: DialogId,
    },
    /// A request inside a dialog (never ACK, BYE, CANCEL or PRACK); answer it with `respond`.
    InDialog {
        /// Its transaction.
        tx: ServerTx,
        /// The dialog.
        dialog: DialogId,
        /// The request.
        message: Message,
    },
    /// The peer hung up; BYE has got its 200 and the dialog is gone.
    Bye {
        /// The dialog.
        dialog: DialogId,
        /// The BYE.
        message: Message,
    },
    /// 101–199 to our INVITE; a reliable one has got its PRACK (RFC 3262), unless it carries an
    /// offer.
    Progress {
        /// Our request.
        tx: ClientTx,
        /// The early dialog, when the response had a To tag.
        dialog: Option<DialogId>,
        /// Its status.
        status: u16,
        /// It carries the peer's offer, since our INVITE had none: call `prack` with the answer.
        offer: bool,
        /// The response.
        message: Message,
    },
    /// 2xx to our INVITE: call `ack` now. Another fork's 2xx comes with another dialog.
    Answered {
        /// Our request.
        tx: ClientTx,
        /// The confirmed dialog.
        dialog: DialogId,
        /// The response.
        message: Message,
    },
    /// Our INVITE ended without success; its early dialogs are gone.
    Failed {
        /// Our request.
        tx: ClientTx,
        /// 300–699; 408 or 503 when made up here.
        status: u16,
        /// Who says so.
        cause: FailureCause,
        /// The response, when there was one.
        message: Option<Message>,
    },
    /// The final response to a request of ours that was no INVITE.
    Response {
        /// Our request.
        tx: ClientTx,
        /// The dialog that it was sent in.
        dialog: Option<DialogId>,
        /// 200–699; 408 or 503 when made up here.
        status: u16,
        /// Who says so.
        cause: FailureCause,
        /// The response, when there was one.
        message: Option<Message>,
    },
}

/// What the user agent wants done.
#[derive(Debug)]
pub enum UaAction {
    /// Send a message.
    Send {
        /// Where to.
        flow: Flow,
        /// The whole message.
        bytes: Vec<u8>,
    },
    /// Tell the user.
    Event(Event),
}

/// One listener as our messages show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its number.
    pub id: ListenerId,
    /// Its transport.
    pub transport: Transport,
    /// The address that peers can reach.
    pub advertised: SocketAddr,
}

/// How a user agent is set up.
#[derive(Clone, Debug)]
pub struct UaConfig {
    /// Every listener; at least one.
    pub listeners: Vec<Listener>,
    /// The Server and User-Agent header.
    pub server_name: String,
    /// The Allow header: the methods that the user answers in earnest.
    pub allow: &'static str,
    /// Reliable provisional responses to our own INVITEs are wanted (RFC 3262); they are given to
    /// peers in any case.
    pub reliable: bool,
    /// Session timers.
    pub session: SessionConfig,
    /// Transactions at once, see [`crate::limits::TRANSACTIONS`].
    pub max_transactions: usize,
    /// Dialogs at once, see [`crate::limits::DIALOGS`].
    pub max_dialogs: usize,
}

impl Default for UaConfig {
    fn default() -> Self {
        let bound =
            |limit: koukan_base::Limit| usize::try_from(limit.default).unwrap_or(usize::MAX);
        Self {
            listeners: Vec::new(),
            server_name: "koukan".to_owned(),
            allow: "INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, INFO, UPDATE, PRACK",
            reliable: true,
            session: SessionConfig::default(),
            max_transactions: bound(crate::limits::TRANSACTIONS),
            max_dialogs: bound(crate::limits::DIALOGS),
        }
    }
}

/// Session timers (RFC 4028): how a call whose peer has vanished comes to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionConfig {
    /// The interval that we ask for, in seconds; `None` asks for none and still grants the peer's.
    pub expires_s: Option<u32>,
    /// Shorter wishes get 422, in seconds; never below 90.
    pub min_se_s: u32,
    /// A peer that knows no session timers is refreshed by us alone.
    pub alone: bool,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self { expires_s: Some(1800), min_se_s: 90, alone: false }
    }
}

/// Sizes of the tables; all zero when nothing is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Client transactions.
    pub client_transactions: usize,
    /// Server transactions.
    pub server_transactions: usize,
    /// Dialogs.
    pub dialogs: usize,
}

/// The letters of [`token`].
pub(super) const ALPHABET: &[u8; 64] =
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.";

/// 96 bits of a tag or branch, as 16 characters of base 64 that a token permits.
pub(crate) fn token(rng: &mut Rng) -> Vec<u8> {
    let mut random = [0; 16];
    rng.fill(&mut random);
    random
        .iter()
        .map(|byte| ALPHABET.get(usize::from(byte & 63)).copied().unwrap_or(b'0'))
        .collect()
}
