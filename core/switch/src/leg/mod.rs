//! One leg of a call: its dialog, its stream and what both agreed on.

mod connected;
mod description;
pub(crate) mod dtmf;
mod elsewhere;
pub(crate) mod identity;
mod in_dialog;
mod media;
pub(crate) mod music;
mod refresh;
mod sound;
pub(crate) mod srtp;

use std::net::SocketAddr;
use std::sync::Arc;

use jiff::Timestamp;
use koukan_base::{StreamId, Time};
use koukan_media::StreamStats;
use koukan_sip::registrar::Way;
use koukan_sip::sdp::{Agreed, LocalAudio, LocalSession, Session};
use koukan_sip::{ClientTx, DialogId, Flow, Header, Message, ServerTx};

use crate::call::Call;
use crate::charge::Paying;
use crate::config::TrunkKey;
use crate::leg::identity::Identity;
use crate::leg::music::Music;
use crate::leg::srtp::OwnKeys;

/// Who is at the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Party {
    Device {
        tenant: Arc<str>,
        device: Arc<str>,
    },
    Trunk(TrunkKey),
    /// Nobody: a fax box that calls out. Its leg is over from the beginning.
    FaxBox {
        tenant: Arc<str>,
        mailbox: Arc<str>,
    },
}

impl Party {
    /// Whether it is this device.
    pub(crate) fn is_device(&self, tenant: &str, device: &str) -> bool {
        match self {
            Self::Device { tenant: of, device: name } => **of == *tenant && **name == *device,
            Self::Trunk(_) | Self::FaxBox { .. } => false,
        }
    }

    /// The name in records and explain lines.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Device { device, .. } => format!("device {device}"),
            Self::Trunk((_, name)) => format!("trunk {name}"),
            Self::FaxBox { mailbox, .. } => format!("fax box {mailbox}"),
        }
    }
}

/// Where a leg's signalling stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LegState {
    /// It waits for its stream before it is called.
    Opening,
    /// The peer's INVITE waits for our final response.
    Incoming { tx: ServerTx, dialog: DialogId },
    /// Our INVITE waits for its final response; `rang` after the first 18x.
    Calling { tx: ClientTx, rang: bool },
    /// Answered.
    Up { dialog: DialogId },
    /// Over.
    Ended,
}

/// The stream of a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LegStream {
    /// None yet, or none any more.
    None,
    /// Ordered from the worker.
    Opening(StreamId),
    /// It has its port.
    Open(StreamId, SocketAddr),
    /// On its way to another worker, whose orders it takes when it is there.
    Moving(StreamId, SocketAddr),
    /// Its end is ordered; its counts are to come.
    Closing(StreamId),
}

impl LegStream {
    pub(crate) const fn id(self) -> Option<StreamId> {
        match self {
            Self::None => None,
            Self::Opening(id) | Self::Open(id, _) | Self::Moving(id, _) | Self::Closing(id) => {
                Some(id)
            }
        }
    }

    /// The stream, unless its end is ordered or it moves: what may be given orders.
    pub(crate) const fn live(self) -> Option<StreamId> {
        match self {
            Self::None | Self::Moving(..) | Self::Closing(_) => None,
            Self::Opening(id) | Self::Open(id, _) => Some(id),
        }
    }
}

/// One leg.
#[derive(Debug)]
pub(crate) struct Leg {
    /// Counts the legs in the order of their beginning.
    pub(crate) number: u64,
    pub(crate) party: Party,
    /// The party has called us.
    pub(crate) came_in: bool,
    /// Whom the other legs are shown.
    pub(crate) identity: Identity,
    pub(crate) state: LegState,
    pub(crate) flow: Flow,
    pub(crate) stream: LegStream,
    pub(crate) session: LocalSession,
    /// The contact that is called, with the Path to it; none for a trunk.
    pub(crate) contact: Option<Way>,
    /// Further flows of the same phone.
    pub(crate) other_ways: Vec<Way>,
    /// The peer's offer that is not answered yet.
    pub(crate) offer: Option<Session>,
    /// Our description that waits for the peer's answer (a late offer).
    pub(crate) offered: Option<LocalAudio>,
    /// The answer that we gave in a provisional response, to be repeated in the final one.
    pub(crate) answer: Option<Vec<u8>>,
    pub(crate) agreed: Option<Agreed>,
    /// Our keys of SRTP, made with its stream.
    pub(crate) own_keys: Option<Box<OwnKeys>>,
    pub(crate) sip_call_id: String,
    pub(crate) started: Timestamp,
    pub(crate) answered: Option<Timestamp>,
    pub(crate) ended: Option<Timestamp>,
    pub(crate) status: u16,
    pub(crate) stats: StreamStats,
    /// Early dialogs that responses to our INVITE opened.
    pub(crate) early: Vec<DialogId>,
    /// The number of the leg whose place it wants to take.
    pub(crate) replaces: Option<u64>,
    /// The question whether the peer is still there, under way.
    pub(crate) probe: Option<ClientTx>,
    /// The caller takes reliable provisional responses (RFC 3262).
    pub(crate) takes_reliable: bool,
    /// Our offer left in a reliable provisional response: its PRACK answers it, the 200 has none.
    pub(crate) offered_early: bool,
    /// The peer takes UPDATE (RFC 3311).
    pub(crate) takes_update: bool,
    /// The peer takes INFO (RFC 6086), or does not say what it takes.
    pub(crate) takes_info: bool,
    /// It is a fax: G.711 in the clear and nothing beside it.
    pub(crate) speaks_fax: bool,
    /// The music that its party hears.
    pub(crate) music: Option<Music>,
    /// It took the place of who had called: where a phone rings, its party hears so.
    pub(crate) put_through: bool,
    /// What it is charged as, when somebody pays for it.
    pub(crate) paying: Option<Box<Paying>>,
    /// When the INVITE was sent, for the time within which a phone must show life.
    pub(crate) called_at: Option<Time>,
}

impl Leg {
    pub(crate) fn new(party: Party, flow: Flow, state: LegState, id: u64, now: Timestamp) -> Self {
        Self {
            number: id,
            party,
            came_in: matches!(state, LegState::Incoming { .. }),
            identity: Identity::default(),
            state,
            flow,
            stream: LegStream::None,
            session: LocalSession::new(id),
            contact: None,
            other_ways: Vec::new(),
            offer: None,
            offered: None,
            answer: None,
            agreed: None,
            own_keys: None,
            sip_call_id: String::new(),
            started: now,
            answered: None,
            ended: None,
            status: 0,
            stats: StreamStats::default(),
            early: Vec::new(),
            replaces: None,
            probe: None,
            takes_reliable: false,
            offered_early: false,
            takes_update: false,
            takes_info: true,
            speaks_fax: false,
            music: None,
            put_through: false,
            paying: None,
            called_at: None,
        }
    }

    pub(crate) const fn is_over(&self) -> bool {
        matches!(self.state, LegState::Ended)
    }

    /// What is left of a leg that goes on in another call: its part of the record.
    pub(crate) fn gone(&self, now: Timestamp) -> Self {
        let party = self.party.clone();
        let mut gone = Self::new(party, self.flow, LegState::Ended, self.number, now);
        gone.sip_call_id.clone_from(&self.sip_call_id);
        (gone.started, gone.answered) = (self.started, self.answered);
        (gone.ended, gone.status) = (Some(now), self.status);
        gone
    }

    /// The codec that was agreed.
    pub(crate) fn codec(&self) -> Option<String> {
        self.agreed.as_ref().map(|agreed| agreed.format.name.clone())
    }

    /// Notes which methods the peer says that it takes.
    pub(crate) fn learn_methods(&mut self, message: &Message) {
        let mut methods = message.list(Header::Allow).peekable();
        if methods.peek().is_none() {
            return;
        }
        (self.takes_update, self.takes_info) = (false, false);
        for method in methods {
            self.takes_update |= method == b"UPDATE";
            self.takes_info |= method == b"INFO";
        }
    }

    /// Whether the call began with this leg.
    pub(crate) fn is_caller(&self, call: &Call) -> bool {
        call.legs.iter().all(|other| other.number >= self.number)
    }
}
