//! The process is killed and another one starts on what the journal has: calls, streams and
//! applications are gone, connections are broken, registrations and subscriptions are there.

use std::time::Duration;

use koukan_sip::Transport;
use koukan_switch::{Record, Switch, SwitchConfig};

use crate::offices;
use crate::world::World;

/// The calls and legs of a life have numbers beyond those of the last one.
const NUMBERS: u64 = 10_000_000;

/// How long nobody listens.
const DOWN: Duration = Duration::from_secs(2);

impl World {
    pub(crate) fn restart(&mut self, seed: u64) {
        self.tally.count("restarts");
        self.restarts = self.restarts.saturating_add(1);
        self.store.crash();
        self.ledger.crash();
        let config = SwitchConfig {
            first_number: self.restarts.saturating_mul(NUMBERS),
            ..offices::config()
        };
        let directory = self.switch.directory().clone();
        let mut switch = Switch::new(config, directory, koukan_base::Rng::from_number(seed));
        let now = self.now();
        for contact in self.store.contacts(now.date) {
            switch.restore_contact(now, contact);
        }
        for watch in self.store.watches(now.date) {
            switch.restore_watch(now, watch);
        }
        switch.dismiss_unknown(now);
        self.switch = switch;
        self.media.crash();
        self.modules.crash();
        self.deaf_until = self.time + DOWN;
        for at in 0..self.stations.len() {
            let Some(station) = self.stations.get_mut(at) else { continue };
            if station.line.transport == Transport::Udp || self.gone.contains(&at) {
                continue;
            }
            station.connection_lost(self.time);
            station.line.connection = self.network.connect(station.line.address);
            station.come_back(self.time);
            self.collect(at);
        }
        self.check_restored();
        self.drain();
    }

    /// Whoever was told that it is registered is, and nobody else.
    fn check_restored(&mut self) {
        let now = self.now();
        let known = self.directory_users();
        let mut wanted: Vec<(String, String)> = self
            .store
            .contacts(now.date)
            .filter(|contact| known.contains(contact.user.as_str()))
            .map(|contact| (contact.user.clone(), contact.uri.clone()))
            .collect();
        let views = self.switch.registrations(now).into_iter();
        let mut found: Vec<(String, String)> =
            views.map(|view| (view.user, view.contact)).collect();
        wanted.sort();
        found.sort();
        if wanted != found {
            self.wrong = Some(format!("restored are {found:?}, kept were {wanted:?}"));
        }
        let has = |(user, contact): (&str, &str)| {
            found.iter().any(|(known, bound)| known == user && bound == contact)
        };
        let mut standing = self.promises.standing(now.date);
        let lost = standing.find(|told| known.contains(told.0) && !has(*told));
        if let Some((user, contact)) = lost {
            let words = format!("{user} was told that {contact} is registered, and it is not");
            self.wrong = Some(words);
        }
    }

    fn directory_users(&self) -> std::collections::BTreeSet<String> {
        let plans = &self.switch.directory().plans;
        plans.devices().map(|device| device.user.to_string()).collect()
    }

    /// A record leaves; whether what is said of it may be.
    pub(crate) fn keep(&mut self, record: Record) -> bool {
        if let Record::Call(cdr) = &record
            && let Err(words) = self.ledger.enter(cdr)
        {
            self.wrong = Some(words);
        }
        self.promises.note_record(&record);
        self.store.append(record)
    }
}
