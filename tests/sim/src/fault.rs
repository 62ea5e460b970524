//! What goes wrong by itself: phones and carriers that vanish, bad weather in the network, media
//! ports that run out, plans that are loaded again, calls that an operator ends, modules that
//! panic, a store that refuses, and a server that is killed and starts again.
//!
//! Each fault has dice of its own, by the seed and its number: one that is left out changes nothing
//! of the others, so that a failing run can be made smaller.

use std::sync::Arc;

use koukan_base::{CallId, Time};
use koukan_sip::Transport;
use koukan_switch::{MessageCount, MessageSummary};

use crate::dice::Dice;
use crate::network::Weather;
use crate::offices;
use crate::station::Role;
use crate::world::World;

/// What happens, and what ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The next one is drawn.
    Next,
    /// A station's network is there again; `booted`: it has lost its memory.
    Back { station: usize, booted: bool },
    /// The network is well again.
    Fair,
    /// Everybody's devices are in the plan again.
    Whole,
    /// The store takes records again.
    Stores,
}

impl World {
    pub(crate) fn plan_fault(&mut self) {
        let pause = self.fault_dice(0).about(self.settings.fault_every);
        self.faults.add(self.time + pause, Fault::Next);
    }

    pub(crate) fn fault(&mut self, fault: Fault) {
        match fault {
            Fault::Next => {
                let number = self.drawn;
                if self.restless && !self.settings.without.contains(&number) {
                    let mut dice = self.fault_dice(1);
                    self.draw_fault(&mut dice);
                }
                self.drawn = number.saturating_add(1);
                self.plan_fault();
            }
            Fault::Back { station, booted } => self.back(station, booted),
            Fault::Fair => self.network.weather = Weather::FAIR,
            Fault::Whole => self.load(None),
            Fault::Stores => self.store.refuse(false),
        }
    }

    /// The dice of the next fault, for one purpose.
    fn fault_dice(&self, purpose: u64) -> Dice {
        let number = u64::from(self.drawn).wrapping_mul(2).wrapping_add(purpose);
        Dice::new(self.settings.seed.wrapping_mul(1_000_003) ^ number.wrapping_mul(0x9E37_79B9))
    }

    fn draw_fault(&mut self, dice: &mut Dice) {
        match dice.below(100) {
            0..=34 => self.vanish(dice),
            35..=37 => {
                let seed = u64::from(dice.below(u32::MAX));
                self.restart(seed);
            }
            38..=41 => {
                self.tally.count("store failures");
                self.store.refuse(true);
                let end = self.time + dice.ms(500, 30_000);
                self.faults.add(end, Fault::Stores);
            }
            42..=44 => {
                self.tally.count("module panics");
                self.modules.panics = dice.below(3).saturating_add(1);
            }
            45..=59 => {
                self.tally.count("storms");
                self.network.weather = Weather::STORM;
                let end = self.time + dice.ms(2_000, 120_000);
                self.faults.add(end, Fault::Fair);
            }
            60..=69 => self.media.refuse = dice.below(3).saturating_add(1),
            70..=77 => self.load(None),
            78..=82 => self.dismiss(dice),
            83..=89 => self.kill_one(dice),
            _ => self.leave_message(dice),
        }
    }

    fn vanish(&mut self, dice: &mut Dice) {
        let count = u32::try_from(self.stations.len()).unwrap_or(1);
        let at = usize::try_from(dice.below(count)).unwrap_or(0);
        let Some(station) = self.stations.get(at) else { return };
        let flow = station.line.flow_of_exchange();
        if !self.gone.insert(at) {
            return;
        }
        let phone = station.line.is_phone();
        self.tally.count(if phone { "phones vanished" } else { "carriers vanished" });
        self.network.cut(self.time, flow);
        self.media.darken(self.time, flow.remote.ip(), true);
        let booted = dice.chance(600);
        let most = if phone { 900_000 } else { 180_000 };
        let back = self.time + dice.ms(3_000, most);
        self.faults.add(back, Fault::Back { station: at, booted });
    }

    /// A station is there again.
    fn back(&mut self, at: usize, booted: bool) {
        if !self.gone.remove(&at) {
            return;
        }
        let Some(station) = self.stations.get_mut(at) else { return };
        let address = station.line.address;
        self.network.join(address.ip());
        self.media.darken(self.time, address.ip(), false);
        if station.line.transport != Transport::Udp {
            station.connection_lost(self.time);
            station.line.connection = self.network.connect(address);
        }
        if booted {
            station.boot(self.time);
        } else {
            station.come_back(self.time);
        }
        self.collect(at);
    }

    /// Everybody who has vanished comes back at once.
    pub(crate) fn all_back(&mut self) {
        self.network.weather = Weather::FAIR;
        self.store.refuse(false);
        self.modules.panics = 0;
        for at in self.gone.clone() {
            self.back(at, true);
        }
        self.load(None);
    }

    fn load(&mut self, without: Option<(u8, &'static str)>) {
        self.tally.count("plans loaded");
        let known = self.directories.get(&without).cloned();
        let loaded = known.map_or_else(
            || offices::directory(self.settings.offices, self.date, without).map(Arc::new),
            Ok,
        );
        match loaded {
            Ok(directory) => {
                self.directories.insert(without, Arc::clone(&directory));
                self.switch.set_directory(self.now(), directory);
            }
            Err(words) => self.wrong = Some(words),
        }
    }

    /// A device is taken out of the plan for some minutes.
    fn dismiss(&mut self, dice: &mut Dice) {
        let office = dice.below(u32::from(self.settings.offices));
        let office = u8::try_from(office).unwrap_or(0);
        let device = dice.pick(&["B", "C", "D", "E"]).copied().unwrap_or("B");
        self.load(Some((office, device)));
        let whole = self.time + dice.ms(5_000, 240_000);
        self.faults.add(whole, Fault::Whole);
    }

    fn kill_one(&mut self, dice: &mut Dice) {
        let calls = self.switch.calls();
        let Some(call) = dice.pick(&calls).and_then(|view| CallId::parse(&view.call)) else {
            return;
        };
        self.tally.count("calls killed");
        self.switch.kill(self.now(), call);
        self.drain();
    }

    fn leave_message(&mut self, dice: &mut Dice) {
        let phones = self.stations.iter().filter_map(|station| match &station.line.role {
            Role::Phone { user } => Some(user.clone()),
            Role::Carrier => None,
        });
        let phones: Vec<String> = phones.collect();
        let Some(user) = dice.pick(&phones).cloned() else { return };
        let new = dice.below(4);
        let voice = MessageCount { new, old: 1, ..MessageCount::default() };
        let summary = MessageSummary { voice, ..MessageSummary::default() };
        self.tally.count("messages left");
        self.switch.set_messages(self.now(), &user, summary);
        self.drain();
    }

    pub(crate) fn fault_time(&self) -> Option<Time> {
        self.faults.next()
    }
}
