//! What must hold, whatever happens:
//!
//! - no panic, and no timer that fires without end;
//! - every call has exactly one final record, and a sound one;
//! - media orders name streams that are there, module orders applications that are there, and every
//!   operation has one result;
//! - nobody hears a party that talks to somebody else, and no call has a leg of another office;
//! - in a rest no call, leg, stream, application, dialog or channel is left anywhere;
//! - after a restart whoever was told that it is registered is, and nobody else;
//! - the tables of the switch agree with each other (in brief runs, after every step);
//! - when the phones have left, every table of the switch and of every station is empty.

use std::fmt;
use std::net::SocketAddr;

use koukan_base::Time;
use koukan_switch::Tables;

use crate::trace::seconds;
use crate::world::World;

/// What did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// When, in virtual time.
    pub at: Time,
    /// What.
    pub words: String,
    /// The last things that happened before it.
    pub trace: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {} s: {}", seconds(self.at), self.words)
    }
}

impl World {
    /// What is looked at after every step; it costs next to nothing.
    pub(crate) fn check_step(&mut self) -> Result<(), String> {
        let wrong = self.wrong.take().or(self.media.wrong.take()).or(self.modules.wrong.take());
        if let Some(words) = wrong {
            return Err(words);
        }
        if self.settings.audits { self.switch.audit() } else { Ok(()) }
    }

    /// What is looked at now and then.
    pub(crate) fn check_often(&self) -> Result<(), String> {
        if let Some(crossed) = self.media.crossed() {
            return Err(crossed);
        }
        for call in self.switch.calls() {
            for leg in &call.legs {
                let address: Option<SocketAddr> = self.address_of(&leg.flow);
                let tenant = address.and_then(|address| self.tenant_at(address));
                if tenant.is_some_and(|tenant| tenant != call.tenant) {
                    return Err(format!("a leg of another office: {call:?}"));
                }
            }
        }
        Ok(())
    }

    /// What must hold when everybody has rested: registrations and subscriptions go on, and with
    /// them some transactions, but of calls nothing is left.
    pub(crate) fn check_rest(&self) -> Result<(), String> {
        let tables = self.switch.tables();
        let (server_transactions, client_transactions) =
            (tables.server_transactions, tables.client_transactions);
        let allowed = Tables { server_transactions, client_transactions, ..Tables::default() };
        if tables != allowed {
            return Err(format!("{tables:?}: {:#?}", self.switch.calls()));
        }
        let left = [
            (self.media.len(), "streams"),
            (self.modules.len(), "applications"),
            (self.ledger.open(), "calls without a final record"),
        ];
        if let Some((count, what)) = left.into_iter().find(|(count, _)| *count > 0) {
            return Err(format!("{count} {what}"));
        }
        let left = self.stations.iter().find_map(|station| station.calls_left());
        left.map_or(Ok(()), |words| Err(format!("left at a station: {words}")))
    }

    /// What must hold when everybody has left: nothing at all is there.
    pub(crate) fn check_end(&self) -> Result<(), String> {
        let registered = self.switch.registrations(self.now()).len();
        let watched = self.switch.subscriptions();
        if registered + watched > 0 {
            return Err(format!("{registered} registrations and {watched} subscriptions are left"));
        }
        let (tables, waiting) = (self.switch.tables(), self.switch.waiting());
        if tables != Tables::default() || waiting > 0 {
            let lines = self.switch.under_way();
            return Err(format!("{tables:?}, {waiting} questions without an answer, {lines:#?}"));
        }
        let left = self.stations.iter().find_map(|station| station.left_over());
        left.map_or(Ok(()), |words| Err(format!("left at a station: {words}")))
    }
}
