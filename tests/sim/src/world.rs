//! Everything together: the switch, its peers and what is between them, on one clock.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use jiff::Timestamp;
use koukan_base::Time;
use koukan_sip::Transport;
use koukan_switch::{Action, Directory, Now, Record, Switch};

use crate::agenda::Agenda;
use crate::dice::Dice;
use crate::fault::Fault;
use crate::fingerprint::Fingerprint;
use crate::ledger::Ledger;
use crate::media::Media;
use crate::modules::Modules;
use crate::network::{Network, Parcel};
use crate::offices;
use crate::promises::Promises;
use crate::settings::Settings;
use crate::station::{Line, Mood, Output, Role, Station};
use crate::store::Store;
use crate::tally::Tally;
use crate::trace::Trace;

/// The first moment: a Wednesday.
const BEGIN: &str = "2026-07-01T08:30:00+09:00";

/// The whole.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) settings: Settings,
    pub(crate) time: Time,
    pub(crate) date: Timestamp,
    begin: Timestamp,
    pub(crate) switch: Switch,
    pub(crate) stations: Vec<Station>,
    at_address: BTreeMap<SocketAddr, usize>,
    /// When each station wants to be looked at.
    wakes: BTreeSet<(Time, usize)>,
    wake_of: Vec<Option<Time>>,
    pub(crate) network: Network,
    pub(crate) media: Media,
    pub(crate) modules: Modules,
    /// The plans of before, by the device that they do without.
    pub(crate) directories: BTreeMap<Option<(u8, &'static str)>, Arc<Directory>>,
    pub(crate) faults: Agenda<Fault>,
    /// Faults that were drawn.
    pub(crate) drawn: u32,
    pub(crate) store: Store,
    pub(crate) promises: Promises,
    pub(crate) restarts: u64,
    /// Until then nobody listens at the exchange.
    pub(crate) deaf_until: Time,
    /// Stations that have vanished.
    pub(crate) gone: BTreeSet<usize>,
    /// Things may go wrong.
    pub(crate) restless: bool,
    pub(crate) dice: Dice,
    pub(crate) ledger: Ledger,
    pub(crate) tally: Tally,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) trace: Trace,
    pub(crate) wrong: Option<String>,
    pub(crate) steps: u64,
}

impl World {
    /// Everybody is plugged in and about to register.
    ///
    /// # Errors
    /// The sample plan cannot be loaded.
    pub(crate) fn new(settings: Settings) -> Result<Self, String> {
        let mut dice = Dice::new(settings.seed);
        let begin: Timestamp = BEGIN.parse().map_err(|error| format!("{error}"))?;
        let directory = Arc::new(offices::directory(settings.offices, begin, None)?);
        let switch = Switch::new(offices::config(), Arc::clone(&directory), dice.rng());
        let planted = settings.planted;
        let mut world = Self {
            settings,
            time: Time::from_millis(1),
            date: begin,
            begin,
            switch,
            stations: Vec::new(),
            at_address: BTreeMap::new(),
            wakes: BTreeSet::new(),
            wake_of: Vec::new(),
            network: Network::new(dice.split()),
            media: Media::default(),
            modules: Modules::default(),
            directories: BTreeMap::from([(None, Arc::clone(&directory))]),
            faults: Agenda::default(),
            drawn: 0,
            store: Store::new(planted),
            promises: Promises::default(),
            restarts: 0,
            deaf_until: Time::ZERO,
            gone: BTreeSet::new(),
            restless: true,
            dice,
            ledger: Ledger::default(),
            tally: Tally::default(),
            fingerprint: Fingerprint::default(),
            trace: Trace::default(),
            wrong: None,
            steps: 0,
        };
        world.settle();
        world.plan_fault();
        Ok(world)
    }

    /// Six phones and a carrier for every office.
    fn settle(&mut self) {
        let book = Arc::new(offices::book(self.settings.offices));
        for (office, known) in (0u8..).zip(&book.offices) {
            let home = usize::from(office);
            for (host, user) in (11u8..).zip(&known.users) {
                let address = SocketAddr::from(([10, 0, office, host], 5060));
                let transport = if self.dice.chance(300) { Transport::Tcp } else { Transport::Udp };
                let role = Role::Phone { user: user.clone() };
                self.add(Line { role, office: home, address, transport, connection: 0 }, &book);
            }
            let (address, transport) = (offices::carrier(office), Transport::Udp);
            let role = Role::Carrier;
            self.add(Line { role, office: home, address, transport, connection: 0 }, &book);
        }
    }

    fn add(&mut self, mut line: Line, book: &Arc<crate::book::Book>) {
        if line.transport != Transport::Udp {
            line.connection = self.network.connect(line.address);
        }
        let at = self.stations.len();
        self.at_address.insert(line.address, at);
        let dice = self.dice.split();
        let mut station = Station::new(line, Arc::clone(book), self.settings.pause, dice);
        station.boot(self.time);
        self.stations.push(station);
        self.wake_of.push(None);
        self.collect(at);
    }

    pub(crate) fn now(&self) -> Now {
        Now { time: self.time, date: self.date }
    }

    /// Sets the clock; it never goes back.
    pub(crate) fn set_time(&mut self, time: Time) {
        self.time = self.time.max(time);
        let passed = self.time.since(Time::from_millis(1));
        self.date = self.begin.checked_add(passed).unwrap_or(self.begin);
    }

    pub(crate) fn tenant_at(&self, address: SocketAddr) -> Option<&str> {
        let station = self.stations.get(*self.at_address.get(&address)?)?;
        let office = self.settings.offices;
        (station.line.office < usize::from(office)).then(|| station.tenant())
    }

    /// The address in a flow's text.
    pub(crate) fn address_of(&self, flow: &str) -> Option<SocketAddr> {
        flow.split(|c: char| c.is_whitespace() || matches!(c, '/' | '#' | '@'))
            .find_map(|word| word.parse().ok())
    }

    /// When something happens next.
    pub(crate) fn next(&self) -> Option<Time> {
        let wake = self.wakes.first().map(|(at, _)| *at);
        let all = [
            wake,
            self.network.next(),
            self.switch.poll_timeout(),
            self.media.next(),
            self.modules.next(),
            self.fault_time(),
        ];
        all.into_iter().flatten().min()
    }

    /// Everything that happens at `next`.
    ///
    /// # Errors
    /// What did not hold.
    pub(crate) fn step(&mut self, next: Time) -> Result<(), String> {
        self.set_time(next);
        self.steps = self.steps.wrapping_add(1);
        while let Some(parcel) = self.network.due(self.time) {
            self.arrive(parcel);
        }
        while let Some((_, at)) = self.wakes.first().copied().filter(|(at, _)| *at <= self.time) {
            if let Some(station) = self.stations.get_mut(at) {
                station.handle_timeout(self.time);
            }
            self.collect(at);
        }
        if self.switch.poll_timeout().is_some_and(|at| at <= self.time) {
            self.switch.handle_timeout(self.now());
            if self.switch.poll_timeout().is_some_and(|at| at <= self.time) {
                return Err("a timer of the switch fires without end".to_owned());
            }
            self.drain();
        }
        while let Some(event) = self.media.due(self.time) {
            self.switch.handle_media(self.now(), event);
            self.drain();
        }
        while let Some(request) = self.modules.due(self.time) {
            self.switch.handle_module(self.now(), request);
            self.drain();
        }
        while let Some(fault) = self.faults.due(self.time) {
            self.trace.words(self.time, format!("{fault:?}"));
            self.fault(fault);
            self.drain();
        }
        self.check_step()
    }

    fn arrive(&mut self, parcel: Parcel) {
        match parcel {
            Parcel::Broken { flow } => self.switch.handle_flow_failed(self.now(), flow),
            Parcel::Message { to_exchange: true, .. } if self.time < self.deaf_until => return,
            Parcel::Message { flow, to_exchange: true, bytes } => {
                self.fingerprint.add(self.time, &bytes);
                self.switch.handle_bytes(self.now(), flow, &bytes);
            }
            Parcel::Message { flow, to_exchange: false, bytes } => {
                self.fingerprint.add(self.time, &bytes);
                let Some(&at) = self.at_address.get(&flow.remote) else { return };
                if let Some(station) = self.stations.get_mut(at) {
                    station.handle_bytes(self.time, &bytes);
                }
                self.collect(at);
                return;
            }
        }
        self.drain();
    }

    /// Does what the switch wants.
    pub(crate) fn drain(&mut self) {
        // A registration that is not kept is not promised: its 200 becomes a 500.
        let mut broken = false;
        while let Some(action) = self.switch.poll_action() {
            match action {
                Action::Send { flow, mut bytes } => {
                    if std::mem::take(&mut broken) {
                        refuse(&mut bytes);
                    }
                    self.promises.note_sent(self.date, &bytes);
                    self.trace.message(self.time, offices::address(), flow.remote, &bytes);
                    self.network.send(self.time, flow, false, bytes);
                }
                Action::Record(record) => {
                    let promises = !matches!(record, Record::Call(_) | Record::Setting(_));
                    broken |= !self.keep(record) && promises;
                }
                Action::Media { worker, command } => self.media.order(self.time, worker, command),
                Action::Module(order) => self.modules.order(self.time, order),
                Action::Fax(order) => {
                    self.wrong = Some(format!("no office of this day has a fax box: {order:?}"));
                }
                Action::Notice { .. } | Action::Mail(_) => {}
                Action::Explain { call, text } => {
                    self.trace.words(self.time, format!("{call}: {text}"));
                }
            }
        }
    }

    /// Takes what a station has for the world, and notes when it wants to be looked at again.
    pub(crate) fn collect(&mut self, at: usize) {
        let Some(station) = self.stations.get_mut(at) else { return };
        let (flow, output, next) =
            (station.line.flow_of_exchange(), station.take_output(), station.next());
        let gone = self.gone.contains(&at);
        for thing in output {
            match thing {
                Output::Send(bytes) => {
                    self.trace.message(self.time, flow.remote, offices::address(), &bytes);
                    self.network.send(self.time, flow, true, bytes);
                }
                Output::Silence(address) => self.media.mute(self.time, address),
                Output::Press(address, digit) if !gone => {
                    self.media.press(self.time, address, digit);
                }
                Output::Press(..) => {}
            }
        }
        let Some(wake) = self.wake_of.get_mut(at).filter(|known| **known != next) else { return };
        if let Some(old) = wake.take() {
            self.wakes.remove(&(old, at));
        }
        if let Some(new) = next {
            self.wakes.insert((new, at));
        }
        *wake = next;
    }

    pub(crate) fn set_mood(&mut self, mood: Mood) {
        for at in 0..self.stations.len() {
            if let Some(station) = self.stations.get_mut(at) {
                station.set_mood(self.time, mood);
                station.flush(self.time);
            }
            self.collect(at);
        }
    }

    /// The hour of the day decides how much is going on.
    pub(crate) fn set_share(&mut self, share: u32) {
        for station in &mut self.stations {
            station.share = share;
        }
    }
}

/// Makes a 500 of a 200, as the server does when its journal refuses.
fn refuse(response: &mut Vec<u8>) {
    const OK: &[u8] = b"SIP/2.0 200 OK";
    if response.starts_with(OK) {
        response.splice(..OK.len(), b"SIP/2.0 500 Not Stored".iter().copied());
    }
}
