//! A call: its legs, what the dialplan wants done with it, and where it stands.

mod answered;
mod calling;
pub(crate) mod channels;
mod deadline;
pub(crate) mod diverted;
pub(crate) mod forwarding;
pub(crate) mod lookup;
pub(crate) mod menu;
pub(crate) mod page;
mod redirect;
pub(crate) mod request;
mod ring;
mod steps;
pub(crate) mod supervise;
mod trunk;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use jiff::Timestamp;
use koukan_base::{CallId, OpId, Time, WorkerId};
use koukan_dialplan::{Direction, FaxRule, Plans, Release, RingTarget, Step, TrunkCall, Way};

use crate::call::channels::Channel;
use crate::call::diverted::{Diverted, Why};
use crate::call::menu::MenuRun;
use crate::call::page::Paging;
use crate::call::supervise::Supervision;
use crate::conference::{Attendance, Guest};
use crate::config::TrunkKey;
use crate::fax::{Carriage, FaxRun, Sending};
use crate::leg::{Leg, LegState};
use crate::module::InstanceId;
use crate::module::bridge::Aside;
use crate::park::{Held, Parked};
use crate::queue::Waiting;
use crate::record::tape::Tape;
use crate::transfer::Transfer;
use crate::transfer::ring_back::RingBack;

/// What a call does at this moment.
#[derive(Debug)]
pub(crate) enum Stage {
    /// The caller's stream is being opened; the first step follows.
    Opening { until: Time },
    /// Phones ring.
    Ringing(Ringing),
    /// An outside line is called.
    Trunk(TrunkAttempt),
    /// A module's application has the caller; `then_release` when it speaks for a refusal.
    Module(ModuleRun),
    /// The caller is answered as a fax machine, or a machine that was called takes a fax.
    Fax(FaxRun),
    /// The caller hears itself.
    Echo,
    /// The caller is asked for a key.
    Menu(MenuRun),
    /// Phones that have answered by themselves hear the caller.
    Paging(Paging),
    /// The caller is at a conference room, or in it.
    Conference(Attendance),
    /// The caller waits in a queue.
    Queue(Waiting),
    /// The caller waits in a park slot.
    Parked(Parked),
    /// The caller and this leg talk.
    Bridged { leg: u16 },
}

/// A ring step under way.
#[derive(Debug)]
pub(crate) struct Ringing {
    /// Targets that have not begun.
    pub(crate) waiting: Vec<RingTarget>,
    pub(crate) began: Time,
    pub(crate) until: Time,
    pub(crate) called_name: Option<Arc<str>>,
}

/// A trunk step under way.
#[derive(Debug)]
pub(crate) struct TrunkAttempt {
    pub(crate) call: TrunkCall,
    /// Trunks that are still to be tried.
    pub(crate) left: VecDeque<(Option<Arc<str>>, Arc<str>)>,
    /// The trunk that is being tried, and the hosts of it that were.
    pub(crate) trunk: Option<TrunkKey>,
    pub(crate) tried: Vec<SocketAddr>,
    /// When the trunk that is being tried has taken too long.
    pub(crate) until: Time,
    /// By then it must have said anything at all, since others can be tried.
    pub(crate) first: bool,
}

/// A module's application under way.
#[derive(Debug)]
pub(crate) struct ModuleRun {
    pub(crate) instance: InstanceId,
    pub(crate) module: Arc<str>,
    /// The media operation of a play, and the module's.
    pub(crate) plays: Vec<(OpId, OpId)>,
    /// A digit collection under way.
    pub(crate) collect: Option<Collect>,
    /// The media operation of a recording under way.
    pub(crate) recording: Option<OpId>,
    /// Sleeps by their end.
    pub(crate) sleeps: Vec<(Time, OpId)>,
    /// The refusal that follows when it speaks for one.
    pub(crate) release: Option<Release>,
}

/// Digits being collected.
#[derive(Debug)]
pub(crate) struct Collect {
    pub(crate) op: OpId,
    pub(crate) min: u8,
    pub(crate) max: u8,
    pub(crate) gap_ms: u32,
    pub(crate) until: Time,
    pub(crate) digits: String,
}

/// One call. Leg 0 is the caller.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) id: CallId,
    pub(crate) worker: WorkerId,
    /// Media workers that have refused a stream of it.
    pub(crate) refusals: u16,
    pub(crate) tenant: Arc<str>,
    pub(crate) generation: u64,
    /// The plans that decided it: what follows from them is decided by them too, whatever was
    /// reloaded meanwhile.
    pub(crate) plans: Arc<Plans>,
    pub(crate) direction: Direction,
    pub(crate) caller: String,
    pub(crate) called: String,
    /// The number that was called, by its digits, for the phones that ring.
    pub(crate) did: Option<Arc<str>>,
    pub(crate) number: Option<Arc<str>>,
    /// The caller was told that it rings.
    pub(crate) rings: bool,
    /// When a caller who is not answered yet has waited too long.
    pub(crate) unanswered_until: Time,
    pub(crate) max_forwards: u8,
    /// To how many targets at once it may be passed on, when the caller says so.
    pub(crate) max_breadth: Option<u32>,
    pub(crate) steps: VecDeque<Step>,
    pub(crate) release: Release,
    pub(crate) legs: Vec<Leg>,
    pub(crate) stage: Stage,
    pub(crate) channels: Vec<Channel>,
    pub(crate) started: Timestamp,
    pub(crate) answered: Option<Timestamp>,
    pub(crate) next_interim: Time,
    /// Statuses of phones or trunks that failed in this step.
    pub(crate) failures: Vec<u16>,
    /// The last ring step ended by its time: whether a phone showed that it rang.
    pub(crate) rang_out: Option<bool>,
    /// The way on when what the step at hand is done by fails.
    pub(crate) on_error: Option<Way>,
    /// How many menus it has been through.
    pub(crate) menus: u32,
    /// How many queues, one behind the other, could not take it.
    pub(crate) queues: u32,
    /// How many of its legs the lamps know.
    pub(crate) indexed: usize,
    /// The leg that ends now was a redirection that is followed.
    pub(crate) followed: bool,
    /// Who passed it on, when somebody did.
    pub(crate) diverted: Option<Box<Diverted>>,
    /// The slot that it waits in again when nobody takes it back.
    pub(crate) returning: Option<Box<Parked>>,
    /// The phones that it calls are asked to answer by themselves.
    pub(crate) auto_answer: bool,
    /// The room that who answers comes into, of a call that a moderator asked for.
    pub(crate) guest: Option<Box<Guest>>,
    /// The fax that who answers is to take, of a call that a fax box makes.
    pub(crate) sending: Option<Box<Sending>>,
    /// A fax that its parties have over T.38.
    pub(crate) carriage: Option<Box<Carriage>>,
    /// A party holds, and is to find it parked.
    pub(crate) held: Option<Held>,
    /// Who supervises it.
    pub(crate) supervision: Option<Box<Supervision>>,
    /// That it is recorded.
    pub(crate) tape: Option<Tape>,
    /// What happens when the caller turns out to be a fax machine.
    pub(crate) fax: Option<FaxRule>,
    /// The application that waits while its caller talks.
    pub(crate) aside: Option<Box<Aside>>,
    /// A transfer under way.
    pub(crate) transfer: Option<Box<Transfer>>,
    /// To whom it comes back when nobody takes whom that party has sent on.
    pub(crate) ring_back: Option<Box<RingBack>>,
    /// The switch's timer entry for this call.
    pub(crate) deadline: Option<Time>,
}

impl Call {
    pub(crate) fn leg(&self, index: u16) -> Option<&Leg> {
        self.legs.get(usize::from(index))
    }

    pub(crate) fn leg_mut(&mut self, index: u16) -> Option<&mut Leg> {
        self.legs.get_mut(usize::from(index))
    }

    /// Whether the caller is asked for keys, which may come in the sound.
    pub(crate) fn is_asked(&self) -> bool {
        match &self.stage {
            Stage::Menu(_) => true,
            Stage::Conference(attendance) => attendance.is_asked(),
            _ => false,
        }
    }

    /// The leg, by its number, that takes the caller out of its slot.
    pub(crate) fn retriever(&self) -> Option<u64> {
        match &self.stage {
            Stage::Parked(parked) => parked.taker,
            _ => None,
        }
    }

    /// A party of ours passes the call on; false when that was too often.
    pub(crate) fn divert(&mut self, number: &str, why: Why) -> bool {
        self.diverted.get_or_insert_default().push(number, why)
    }

    /// Legs that we call and that have not answered yet, with their numbers.
    pub(crate) fn rung(&self) -> impl Iterator<Item = (u16, &Leg)> {
        let rung = |leg: &Leg| matches!(leg.state, LegState::Opening | LegState::Calling { .. });
        (0u16..).zip(&self.legs).skip(1).filter(move |(_, leg)| rung(leg))
    }
}
