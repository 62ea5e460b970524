//! The loop: sockets read, sessions ticked, what happens in them reported.

use std::io;
use std::net::{SocketAddr, UdpSocket as StdSocket};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use koukan_base::Time;
use koukan_fax::limits;
use koukan_fax::protocol::{Media, Order, Report, SessionId, Task, Walls};
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token, Waker};

use super::link::Link;
use super::sync::{Synced, Syncer};
use super::{ProcessError, system};
use crate::session::{Line, Session, TICK};

/// Faxes at once in one process.
const SESSIONS: usize = 1_000;

/// Datagrams that one socket gives at a time: nobody's flood holds up the others' ticks.
const BATCH: usize = 32;

/// Ticks that were missed by more than this are let go.
const LATEST: Duration = Duration::from_millis(500);

/// How soon reports are tried again that the server did not take.
const AGAIN: Duration = Duration::from_millis(20);

const LINK: Token = Token(usize::MAX);
const SYNCED: Token = Token(usize::MAX - 1);

/// One session with its sockets.
#[derive(Debug)]
struct Carried {
    id: SessionId,
    task: Task,
    session: Session,
    sockets: Vec<(Line, UdpSocket)>,
    next_tick: Time,
    until: Time,
}

impl Carried {
    /// What is left to be done: a document goes on behind the pages that were confirmed.
    fn rest(&self) -> Task {
        match self.task.clone() {
            Task::Send { file, first_page, station } => {
                let first_page = first_page.saturating_add(self.session.confirmed());
                Task::Send { file, first_page, station }
            }
            task @ (Task::Receive { .. } | Task::Gateway { .. }) => task,
        }
    }
}

/// Every session.
#[derive(Debug)]
pub(super) struct Carrier {
    directory: PathBuf,
    poll: Poll,
    link: Link,
    syncer: Syncer,
    sessions: Vec<Option<Carried>>,
    next_tick: Time,
    started: Instant,
}

impl Carrier {
    pub(super) fn new(directory: PathBuf) -> Result<Self, ProcessError> {
        let poll = Poll::new().map_err(system("a poll"))?;
        let mut link = Link::from_input().map_err(system("the socket to the server"))?;
        poll.registry()
            .register(&mut link.stream, LINK, Interest::READABLE)
            .map_err(system("the socket to the server"))?;
        let waker = Waker::new(poll.registry(), SYNCED).map_err(system("a waker"))?;
        let syncer = Syncer::start(&directory, waker).map_err(system("a thread"))?;
        let (sessions, started) = (Vec::new(), Instant::now());
        Ok(Self { directory, poll, link, syncer, sessions, next_tick: Time::MAX, started })
    }

    fn now(&self) -> Time {
        // Sessions begin behind zero, so that what was before can be told.
        Time::from_millis(1) + self.started.elapsed()
    }

    pub(super) fn run(&mut self, walls: Walls) -> Result<(), ProcessError> {
        self.link.say(&Report::Ready { walls });
        let mut events = Events::with_capacity(256);
        while self.link.flush() {
            let mut wait = self.next_tick.since(self.now());
            if self.link.waits() {
                wait = wait.min(AGAIN);
            }
            match self.poll.poll(&mut events, Some(wait)) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(system("a poll")(error)),
            }
            for event in &events {
                match event.token() {
                    LINK => {
                        let stands = self.link.fill();
                        if !self.orders()? || !stands {
                            self.end_all();
                            return Ok(());
                        }
                    }
                    SYNCED => self.synced(),
                    Token(token) => self.read(token),
                }
            }
            self.ticks();
        }
        self.end_all();
        Ok(())
    }

    /// Does what the server wants; false when that is to end.
    fn orders(&mut self) -> Result<bool, ProcessError> {
        while let Some(order) = self.link.poll()? {
            match order {
                Order::Start { session, task, media } => self.start(session, task, media),
                Order::Switch { session, media } => {
                    let Some(task) = self.find(session).map(|(_, carried)| carried.rest()) else {
                        let _ = self.sockets(&media);
                        continue;
                    };
                    self.drop_session(session);
                    self.start(session, task, media);
                }
                Order::Stop { session } => {
                    let now = self.now();
                    if let Some((_, carried)) = self.find(session) {
                        carried.session.stop(now);
                    }
                    self.report(session);
                }
                Order::Shutdown => return Ok(false),
            }
        }
        Ok(true)
    }

    fn find(&mut self, id: SessionId) -> Option<(usize, &mut Carried)> {
        let mut known = self.sessions.iter_mut().enumerate();
        known.find_map(|(slot, place)| {
            place.as_mut().filter(|carried| carried.id == id).map(|carried| (slot, carried))
        })
    }

    /// The sockets that lie beside an order, in its order.
    fn sockets(&mut self, media: &Media) -> Option<Vec<(Line, UdpSocket)>> {
        let lines: &[Line] = match media {
            Media::Audio(_) => &[Line::Audio],
            Media::T38(_) => &[Line::T38],
            Media::Gateway { .. } => &[Line::Audio, Line::T38],
            Media::Relay { .. } => &[Line::T38, Line::Far],
        };
        let mut sockets = Vec::new();
        for line in lines {
            let socket = StdSocket::from(self.link.take()?);
            sockets.push((*line, UdpSocket::from_std(socket)));
        }
        Some(sockets)
    }

    fn start(&mut self, id: SessionId, task: Task, media: Media) {
        let now = self.now();
        let reason = match self.sockets(&media) {
            None => "its socket is missing".to_owned(),
            Some(sockets) => match Session::new(now, &task, media, &self.directory) {
                Err(error) => error.to_string(),
                Ok(session) => {
                    let next_tick = now + TICK;
                    let until = now + limits::ATTEMPT;
                    let carried = Carried { id, task, session, sockets, next_tick, until };
                    match self.carry(carried) {
                        Ok(()) => return,
                        Err(reason) => reason,
                    }
                }
            },
        };
        self.link.say(&Report::Refused { session: id, reason });
    }

    /// Gives a session its place.
    fn carry(&mut self, mut carried: Carried) -> Result<(), String> {
        let free = self.sessions.iter().position(Option::is_none);
        let slot = match free {
            Some(slot) => slot,
            None if self.sessions.len() >= SESSIONS => return Err("too many faxes".to_owned()),
            None => {
                self.sessions.push(None);
                self.sessions.len() - 1
            }
        };
        for (which, (_, socket)) in carried.sockets.iter_mut().enumerate() {
            let token = Token(2 * slot + which);
            let registered = self.poll.registry().register(socket, token, Interest::READABLE);
            registered.map_err(|error| error.to_string())?;
        }
        self.next_tick = self.next_tick.min(carried.next_tick);
        if let Some(place) = self.sessions.get_mut(slot) {
            *place = Some(carried);
        }
        Ok(())
    }

    /// Takes what came at a socket.
    fn read(&mut self, token: usize) {
        let now = self.now();
        let Some(Some(carried)) = self.sessions.get_mut(token / 2) else { return };
        let Some((line, socket)) = carried.sockets.get(token % 2) else { return };
        let mut datagram = [0; 2_048];
        let mut left = BATCH;
        while let Ok((count, from)) = socket.recv_from(&mut datagram) {
            let datagram = datagram.get(..count).unwrap_or_default();
            carried.session.receive(now, *line, unmapped(from), datagram);
            left -= 1;
            if left == 0 {
                break;
            }
        }
        if left == 0 {
            // Readiness is told on a change alone: what is left is asked for at once.
            let socket = carried.sockets.get_mut(token % 2).map(|(_, socket)| socket);
            let again = |socket: &mut UdpSocket| {
                self.poll.registry().reregister(socket, Token(token), Interest::READABLE)
            };
            let _ = socket.map(again);
        }
    }

    /// Ticks what is due.
    fn ticks(&mut self) {
        let now = self.now();
        if now < self.next_tick {
            return;
        }
        self.next_tick = Time::MAX;
        for slot in 0..self.sessions.len() {
            let Some(Some(carried)) = self.sessions.get_mut(slot) else { continue };
            let Carried { session, sockets, next_tick, until, .. } = carried;
            if now.since(*next_tick) > LATEST {
                *next_tick = now;
            }
            let due = *next_tick <= now;
            while *next_tick <= now {
                session.tick(now, |line, to: SocketAddr, datagram| {
                    if let Some((_, socket)) = sockets.iter().find(|(own, _)| *own == line) {
                        // What the system does not send is lost as on any other way.
                        let _ = socket.send_to(datagram, to);
                    }
                });
                *next_tick = *next_tick + TICK;
            }
            if *until <= now {
                session.stop(now);
            }
            self.next_tick = self.next_tick.min(*next_tick);
            let id = carried.id;
            if due {
                self.store(id);
                self.report(id);
            }
        }
    }

    /// A page that came waits for the disk.
    fn store(&mut self, id: SessionId) {
        let now = self.now();
        let directory = self.directory.clone();
        let Some((_, carried)) = self.find(id) else { return };
        let Some(pages) = carried.session.take_store() else { return };
        let (task, first) = (carried.task.clone(), carried.session.confirmed() == 0);
        let Task::Receive { file, .. } = task else { return };
        if !self.syncer.order(id, directory.join(file), pages, first)
            && let Some((_, carried)) = self.find(id)
        {
            carried.session.stored(now, false);
        }
    }

    /// Pages are on the disk: they are confirmed.
    fn synced(&mut self) {
        while let Some(Synced { session, safe }) = self.syncer.poll() {
            let now = self.now();
            if let Some((_, carried)) = self.find(session) {
                carried.session.stored(now, safe);
            }
            self.report(session);
        }
    }

    /// Tells what has happened in a session, and forgets it when it is over.
    fn report(&mut self, id: SessionId) {
        let Some((_, carried)) = self.find(id) else { return };
        let (events, over) = (carried.session.take_events(), carried.session.is_over());
        for event in events {
            self.link.say(&Report::Event { session: id, event });
        }
        if over {
            self.drop_session(id);
        }
    }

    fn drop_session(&mut self, id: SessionId) {
        let Some((slot, _)) = self.find(id) else { return };
        let Some(mut gone) = self.sessions.get_mut(slot).and_then(Option::take) else { return };
        for (_, socket) in &mut gone.sockets {
            // The server holds the same socket, so that closing ours takes it out of no poll.
            let _ = self.poll.registry().deregister(socket);
        }
    }

    /// Ends every session, so that its file is whole.
    fn end_all(&mut self) {
        let now = self.now();
        for carried in std::mem::take(&mut self.sessions).iter_mut().flatten() {
            carried.session.stop(now);
            for event in carried.session.take_events() {
                self.link.say(&Report::Event { session: carried.id, event });
            }
        }
        // Nobody may be there any more to hear it.
        let _ = self.link.flush();
    }
}

/// An address of IPv4 as such, whatever the socket's family.
fn unmapped(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
