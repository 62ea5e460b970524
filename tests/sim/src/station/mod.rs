//! A station: a phone, or a carrier. It speaks by a user agent of its own and does what people and
//! machines do; what that is follows from its dice.

mod called;
mod calling;
mod habits;
mod line;
mod registering;
mod sdp;
mod talk;
mod watching;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use koukan_base::Time;
use koukan_sip::{
    ClientTx, Counts, DialogId, Event, Listener, ListenerId, Message, Method, Response, ServerTx,
    UaAction, UaConfig, UserAgent,
};

use crate::agenda::Agenda;
use crate::book::Book;
use crate::dice::Dice;
use crate::tally::Tally;
use called::Ringing;
use calling::Dialing;
use habits::Habits;
pub(crate) use line::{Line, Role};
use registering::Registration;
use talk::{Move, Talk};
use watching::{Pickup, Watching};

/// What a station has planned.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Task {
    /// The next deed.
    Deed,
    Register,
    Answer(ServerTx),
    Refuse(ServerTx, u16),
    GiveUp(ClientTx),
    Talk(DialogId, Move),
    /// The watching with this number is refreshed.
    Watch(u64),
}

/// Whether it begins anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Busy,
    /// It ends what it has, refuses what comes, and keeps its registration and subscriptions.
    Resting,
    /// It gives those back too.
    Leaving,
}

/// What a station has for the world.
#[derive(Debug)]
pub(crate) enum Output {
    Send(Vec<u8>),
    /// No RTP comes from here any more.
    Silence(SocketAddr),
    /// A digit as a telephone-event.
    Press(SocketAddr, u8),
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Station {
    pub(crate) line: Line,
    habits: Habits,
    book: Arc<Book>,
    pause: Duration,
    ua: UserAgent,
    dice: Dice,
    agenda: Agenda<Task>,
    mood: Mood,
    dialing: BTreeMap<ClientTx, Dialing>,
    ringing: BTreeMap<ServerTx, Ringing>,
    talks: BTreeMap<DialogId, Talk>,
    registration: Registration,
    watching: Vec<Watching>,
    /// A colleague's call that may be picked up.
    pickup: Option<Pickup>,
    port: u16,
    count: u64,
    output: Vec<Output>,
    pub(crate) tally: Tally,
    /// The hour's share of the traffic, in percent.
    pub(crate) share: u32,
}

impl Station {
    pub(crate) fn new(line: Line, book: Arc<Book>, pause: Duration, mut dice: Dice) -> Self {
        let habits = Habits::drawn(&line, &mut dice);
        let ua = agent(&line, &habits, &mut dice);
        Self {
            line,
            habits,
            book,
            pause,
            ua,
            dice,
            agenda: Agenda::default(),
            mood: Mood::Busy,
            dialing: BTreeMap::new(),
            ringing: BTreeMap::new(),
            talks: BTreeMap::new(),
            registration: Registration::default(),
            watching: Vec::new(),
            pickup: None,
            port: 0,
            count: 0,
            output: Vec::new(),
            tally: Tally::default(),
            share: 100,
        }
    }

    /// It is plugged in, with nothing in its memory.
    pub(crate) fn boot(&mut self, now: Time) {
        self.ua = agent(&self.line, &self.habits, &mut self.dice);
        self.agenda = Agenda::default();
        self.dialing.clear();
        self.ringing.clear();
        self.talks.clear();
        self.watching.clear();
        self.pickup = None;
        self.registration = Registration::new(&mut self.dice);
        let soon = now + self.dice.ms(50, 5_000);
        if self.line.is_phone() {
            self.agenda.add(soon, Task::Register);
        }
        self.plan_deed(soon);
    }

    /// Its network is there again, and it remembers everything.
    pub(crate) fn come_back(&mut self, now: Time) {
        if self.line.is_phone() {
            self.register_soon(now);
        }
    }

    /// Its connection is gone; the user agent learns it.
    pub(crate) fn connection_lost(&mut self, now: Time) {
        self.ua.handle_flow_failed(now, self.line.flow());
    }

    pub(crate) fn set_mood(&mut self, now: Time, mood: Mood) {
        self.mood = mood;
        match mood {
            Mood::Busy => self.plan_deed(now),
            Mood::Resting => self.end_all(now),
            Mood::Leaving => {
                self.end_all(now);
                self.stop_watching(now);
                self.unregister(now, false);
            }
        }
    }

    /// Ends every call, whatever its state.
    pub(crate) fn end_all(&mut self, now: Time) {
        let calling: Vec<ClientTx> = self.dialing.keys().copied().collect();
        for tx in calling {
            self.ua.cancel(now, tx, None);
        }
        let ringing: Vec<ServerTx> = self.ringing.keys().copied().collect();
        for tx in ringing {
            self.refuse(now, tx, 480);
        }
        let talks: Vec<DialogId> = self.talks.keys().copied().collect();
        for dialog in talks {
            self.hang_up(now, dialog);
        }
    }

    pub(crate) fn next(&self) -> Option<Time> {
        self.agenda.next().into_iter().chain(self.ua.poll_timeout()).min()
    }

    pub(crate) fn handle_timeout(&mut self, now: Time) {
        self.ua.handle_timeout(now);
        self.drain(now);
        while let Some(task) = self.agenda.due(now) {
            self.task(now, task);
            self.drain(now);
        }
    }

    pub(crate) fn handle_bytes(&mut self, now: Time, bytes: &[u8]) {
        self.ua.handle_bytes(now, self.line.flow(), bytes);
        self.drain(now);
    }

    /// Moves what the user agent has into the output.
    pub(crate) fn flush(&mut self, now: Time) {
        self.drain(now);
    }

    /// The office whose it is.
    pub(crate) fn tenant(&self) -> &str {
        self.book.offices.get(self.line.office).map_or("", |office| office.tenant.as_str())
    }

    pub(crate) fn take_output(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.output)
    }

    /// What is left of calls; `None` when nothing is.
    pub(crate) fn calls_left(&self) -> Option<String> {
        let calls = self.dialing.len() + self.ringing.len() + self.talks.len();
        let dialogs = self.ua.counts().dialogs;
        (dialogs + calls > 0).then(|| format!("{}: {calls} calls, {dialogs}", self.line.address))
    }

    /// What is left of anything.
    pub(crate) fn left_over(&self) -> Option<String> {
        let counts = self.ua.counts();
        let left =
            (counts != Counts::default()).then(|| format!("{}: {counts:?}", self.line.address));
        left.or_else(|| self.calls_left())
    }

    fn drain(&mut self, now: Time) {
        while let Some(action) = self.ua.poll_action() {
            match action {
                UaAction::Send { bytes, .. } => self.output.push(Output::Send(bytes)),
                UaAction::Event(event) => self.event(now, event),
            }
        }
    }

    fn plan_deed(&mut self, now: Time) {
        let mean = self.pause.saturating_mul(100) / self.share.max(1);
        let pause = self.dice.about(mean);
        self.agenda.retain(|task| !matches!(task, Task::Deed));
        self.agenda.add(now + pause, Task::Deed);
    }

    fn task(&mut self, now: Time, task: Task) {
        match task {
            Task::Deed => {
                if self.mood == Mood::Busy {
                    self.deed(now);
                    self.plan_deed(now);
                }
            }
            Task::Register => self.register(now),
            Task::Answer(tx) => self.answer(now, tx),
            Task::Refuse(tx, status) => self.refuse(now, tx, status),
            Task::GiveUp(tx) => {
                if self.dialing.contains_key(&tx) {
                    self.tally.count("given up");
                    self.ua.cancel(now, tx, None);
                }
            }
            Task::Talk(dialog, step) => self.talk_step(now, dialog, step),
            Task::Watch(number) => self.refresh_watching(now, number),
        }
    }

    /// Something that a person does.
    fn deed(&mut self, now: Time) {
        if !self.line.is_phone() {
            // A carrier has the traffic of many people.
            for _ in 0..2 {
                self.call_in(now);
            }
            return;
        }
        match self.dice.below(100) {
            0..=61 => {
                let number = self.book.dialled(self.line.office, &mut self.dice);
                self.call(now, &number, None, Vec::new());
            }
            62..=67 => self.pick_up(now),
            68..=79 => self.watch_something(now),
            80..=84 => self.stop_watching_one(now),
            85..=88 => self.unregister(now, true),
            89..=91 => self.register_wrongly(now),
            92..=95 => self.register_soon(now),
            _ => self.tally.count("idle"),
        }
    }

    fn event(&mut self, now: Time, event: Event) {
        match event {
            Event::Invite { tx, dialog, message, .. } => self.called(now, tx, dialog, message),
            Event::Cancelled { tx, .. } => self.caller_gave_up(tx),
            Event::Acked { .. } | Event::Pracked { tx: None, .. } => {}
            Event::Pracked { tx: Some(tx), dialog, message, .. } => {
                self.new_description(now, tx, dialog, &message);
            }
            Event::PrackMissing { invite, .. } => self.caller_gave_up(invite),
            Event::AckMissing { dialog } | Event::SessionExpired { dialog } => {
                self.tally.count("sessions lost");
                self.hang_up(now, dialog);
            }
            Event::InDialog { tx, dialog, message } => self.in_dialog(now, tx, dialog, &message),
            Event::Bye { dialog, .. } => self.talk_over(dialog),
            Event::Progress { tx, dialog, offer, message, .. } => {
                self.progress(now, tx, dialog, offer, &message);
            }
            Event::Answered { tx, dialog, message } => self.answered(now, tx, dialog, &message),
            Event::Failed { tx, status, .. } => self.call_failed(now, tx, status),
            Event::Response { tx, status, message, .. } => {
                self.response(now, tx, status, message.as_ref());
            }
            Event::Request { tx, message, .. } => self.asked(now, tx, &message),
            Event::RefreshDue { dialog } => self.repeat_description(now, dialog),
            Event::TryAgain { dialog, method } => {
                self.tally.count("tried again");
                if method == Method::Invite {
                    self.repeat_description(now, dialog);
                }
            }
        }
    }

    /// A response to a request that is no INVITE.
    fn response(&mut self, now: Time, tx: ClientTx, status: u16, message: Option<&Message>) {
        if !self.registered(now, tx, status, message) {
            self.watching_answered(now, tx, status, message);
        }
    }

    /// A request outside any call.
    fn asked(&mut self, now: Time, tx: ServerTx, message: &Message) {
        let status = match message.method() {
            Some(Method::Notify) => self.notified(now, message),
            Some(Method::Options) => 200,
            _ => 405,
        };
        self.ua.respond(now, tx, Response::new(status));
    }

    fn next_port(&mut self) -> SocketAddr {
        self.port = self.port.wrapping_add(2) % 30_000;
        SocketAddr::new(self.line.address.ip(), self.port.saturating_add(10_000))
    }
}

fn agent(line: &Line, habits: &Habits, dice: &mut Dice) -> UserAgent {
    let listener =
        Listener { id: ListenerId(0), transport: line.transport, advertised: line.address };
    let config = UaConfig {
        listeners: vec![listener],
        server_name: "station".to_owned(),
        allow: habits.allow(),
        reliable: habits.reliable,
        session: habits.session,
        max_transactions: 1_000,
        max_dialogs: 1_000,
    };
    UserAgent::new(config, dice.rng())
}
