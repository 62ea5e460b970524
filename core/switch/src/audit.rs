//! The switch held against itself: what its tables say of each other. For simulations, which ask
//! after every step; a running server never does.

use koukan_base::{BridgeId, CallId, StreamId};

use crate::call::channels::Channels;
use crate::call::{Call, Stage};
use crate::leg::music::holds;
use crate::leg::{Leg, LegState};
use crate::switch::{LegKey, Switch};

impl Switch {
    /// What is wrong between the tables: a leg that is in no call or in two, a place that is taken
    /// by nobody, a channel that nobody holds.
    ///
    /// # Errors
    /// Something is, in a sentence: our fault.
    pub fn audit(&self) -> Result<(), String> {
        for call in self.calls.values() {
            for (index, leg) in (0u16..).zip(&call.legs) {
                self.audit_leg((call.id, index), leg)?;
            }
            self.audit_stage(call)?;
        }
        for (dialog, key) in &self.by_dialog {
            let owns = |leg: &Leg| match leg.state {
                LegState::Incoming { dialog: own, .. } | LegState::Up { dialog: own } => {
                    own == *dialog
                }
                LegState::Calling { .. } => leg.early.contains(dialog),
                LegState::Opening | LegState::Ended => false,
            };
            self.audit_entry("dialog", *key, owns)?;
        }
        for (tx, key) in &self.by_client {
            let owns =
                |leg: &Leg| matches!(leg.state, LegState::Calling { tx: own, .. } if own == *tx);
            self.audit_entry("client transaction", *key, owns)?;
        }
        for (tx, key) in &self.by_server {
            let owns =
                |leg: &Leg| matches!(leg.state, LegState::Incoming { tx: own, .. } if own == *tx);
            self.audit_entry("server transaction", *key, owns)?;
        }
        for (stream, key) in &self.by_stream {
            self.audit_entry("stream", *key, |leg| leg.stream.id() == Some(*stream))?;
        }
        self.audit_places()?;
        self.audit_channels()
    }

    /// A leg is found by everything that belongs to it.
    fn audit_leg(&self, key: LegKey, leg: &Leg) -> Result<(), String> {
        let party = leg.party.name();
        let wrong = |what: &str| Err(format!("{party}, leg {key:?}, is not found by its {what}"));
        let (dialog, server, client) = match leg.state {
            LegState::Incoming { tx, dialog } => (Some(dialog), Some(tx), None),
            LegState::Calling { tx, .. } => (None, None, Some(tx)),
            LegState::Up { dialog } => (Some(dialog), None, None),
            LegState::Opening | LegState::Ended => (None, None, None),
        };
        if dialog.is_some_and(|dialog| self.by_dialog.get(&dialog) != Some(&key)) {
            return wrong("dialog");
        }
        if server.is_some_and(|tx| self.by_server.get(&tx) != Some(&key)) {
            return wrong("server transaction");
        }
        if client.is_some_and(|tx| self.by_client.get(&tx) != Some(&key)) {
            return wrong("client transaction");
        }
        if leg.early.iter().any(|dialog| self.by_dialog.get(dialog) != Some(&key)) {
            return wrong("early dialog");
        }
        match leg.stream.id() {
            Some(stream) if self.by_stream.get(&stream) != Some(&key) => wrong("stream"),
            _ => Ok(()),
        }
    }

    /// Whatever a table points to is there and knows of it.
    fn audit_entry(
        &self,
        what: &str,
        (id, index): LegKey,
        owns: impl Fn(&Leg) -> bool,
    ) -> Result<(), String> {
        let closing = || self.closing.get(&id).map(|(call, _)| call);
        let call = self.calls.get(&id).or_else(closing);
        match call.and_then(|call| call.leg(index)) {
            None => Err(format!("a {what} is of leg {index} of call {id}, which is not there")),
            Some(leg) if !owns(leg) => {
                let (party, state) = (leg.party.name(), leg.state);
                Err(format!("a {what} is of {party} in call {id}, which is {state:?}"))
            }
            Some(_) => Ok(()),
        }
    }

    /// What a call does at this moment is possible.
    fn audit_stage(&self, call: &Call) -> Result<(), String> {
        let id = call.id;
        let up = |index: u16| {
            call.leg(index).is_some_and(|leg| matches!(leg.state, LegState::Up { .. }))
        };
        let waits = || up(0) && call.leg(0).is_some_and(|leg| leg.stream.id().is_some());
        let fine = match &call.stage {
            Stage::Bridged { leg } => *leg != 0 && waits() && up(*leg),
            Stage::Parked(parked) => {
                waits() && self.lots.get(&parked.tenant, &parked.slot) == Some(id)
            }
            Stage::Conference(_) => waits() && self.room_knows(call),
            Stage::Queue(_) => waits() && self.queue_knows(call),
            Stage::Fax(run) => waits() && self.by_fax.get(&run.fax) == Some(&id),
            Stage::Echo | Stage::Menu(_) | Stage::Paging(_) => waits(),
            Stage::Opening { .. } | Stage::Ringing(_) | Stage::Trunk(_) | Stage::Module(_) => true,
        };
        let aside = call.aside.as_ref().map(|aside| aside.run.instance);
        let waits_aside = match &call.stage {
            Stage::Bridged { .. } | Stage::Ringing(_) | Stage::Trunk(_) => true,
            _ => aside.is_none(),
        };
        let run = match &call.stage {
            Stage::Module(run) => Some(run.instance),
            _ => aside,
        };
        let known = run.is_none_or(|instance| self.by_instance.get(&instance) == Some(&id));
        let fine = fine && waits_aside && known;
        let alive = call.legs.iter().any(|leg| !leg.is_over());
        if !fine || !alive {
            let states: Vec<_> = call.legs.iter().map(|leg| leg.state).collect();
            return Err(format!("call {id} cannot be so: {:?}, {states:?}", call.stage));
        }
        Ok(())
    }

    /// Slots, rooms and queues hold calls that are there, and that know of it.
    fn audit_places(&self) -> Result<(), String> {
        let parked = |call: &Call| matches!(call.stage, Stage::Parked(_));
        let count = self.calls.values().filter(|call| parked(call)).count();
        if count != self.lots.len() {
            return Err(format!("{count} calls are parked, {} slots are taken", self.lots.len()));
        }
        let stages = |id: &CallId| self.calls.get(id).map(|call| &call.stage);
        for id in self.room_members() {
            if !matches!(stages(&id), Some(Stage::Conference(_))) {
                return Err(format!("call {id} is in a room and does not know: {:?}", stages(&id)));
            }
        }
        for id in self.queued() {
            if !matches!(stages(&id), Some(Stage::Queue(_))) {
                return Err(format!(
                    "call {id} is in a queue and does not know: {:?}",
                    stages(&id)
                ));
            }
        }
        Ok(())
    }

    /// The channels that the calls hold.
    pub(crate) fn held_channels(&self) -> Channels {
        let mut held = Channels::default();
        for channel in self.calls.values().flat_map(|call| &call.channels) {
            held.take(channel);
        }
        held
    }

    /// Every channel is held by a call, and every call's channels are counted.
    fn audit_channels(&self) -> Result<(), String> {
        let held = self.held_channels();
        if held != self.channels {
            return Err(format!("calls hold {held:?}, counted are {:?}", self.channels));
        }
        Ok(())
    }

    /// The pairs of streams that must hear each other now: both parties are there, neither holds.
    #[must_use]
    pub fn bridges(&self) -> Vec<(StreamId, StreamId)> {
        let bridge = |call: &Call| {
            let Stage::Bridged { leg } = call.stage else { return None };
            if holds(call.leg(0))
                || holds(call.leg(leg))
                || call.is_supervised()
                || call.carries_fax()
            {
                return None;
            }
            let (one, other) = (call.leg(0)?, call.leg(leg)?);
            let both = one.agreed.is_some() && other.agreed.is_some();
            both.then_some((one.stream.live()?, other.stream.live()?))
        };
        self.calls.values().filter_map(|call| bridge(call)).collect()
    }

    /// The streams that must be in a room now, and which.
    #[must_use]
    pub fn attending(&self) -> Vec<(StreamId, BridgeId)> {
        let member = |call: &Call| {
            let room = self.bridge_of(call)?;
            Some((call.leg(0)?.stream.live()?, room))
        };
        self.calls.values().filter_map(|call| member(call)).collect()
    }
}
