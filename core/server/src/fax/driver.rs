//! The thread of the faxes: processes started, supervised and reaped, orders and sockets handed on,
//! what they report turned into sentences and kept pages.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use koukan_base::{CallId, Time};
use koukan_engine::Lent;
use koukan_fax::protocol::{End, Event, Media, Order, Report, SessionId, Station, Task};
use koukan_fax::queue::Rate;
use koukan_fax::{Cause, Supervisor, supervise};
use koukan_sip::sdp::AgreedImage;
use koukan_switch::{Carried, FaxId, FaxNews, FaxOrder, FaxReport, Reception};
use mio::{Events, Interest, Poll, Token};

use super::entry::Fax;
use super::inbox::Inbox;
use super::process::Process;
use super::running::{Progress, Running, What, between, likely, media, t38};
use super::sending::Queue;
use super::{Deed, FaxConfig, FaxWord, Ways};
use crate::clock::Clock;

/// The token of the thread's waker; those of the processes are the numbers from 0.
pub(super) const WAKER: Token = Token(usize::MAX);

/// Lines of one fax in its call's log; a line that trains for ever tells no more than these.
const LINES: u32 = 400;

/// How often what the disk has refused is tried again.
const AGAIN: Duration = Duration::from_secs(30);

/// While no machine is called, attempts that nobody tells the end of are looked for so often.
const HELD: Duration = Duration::from_secs(1);

/// How long the processes have to end their sessions when the server ends.
const ENDING: Duration = Duration::from_secs(2);

/// One place for a process.
#[derive(Debug)]
struct Place {
    supervisor: Supervisor,
    process: Option<Process>,
    /// Orders that wait until it is ready.
    waiting: Vec<(Order, Vec<OwnedFd>)>,
}

/// The thread.
#[derive(Debug)]
pub(super) struct Driver {
    config: FaxConfig,
    poll: Poll,
    deeds: Receiver<Deed>,
    ways: Ways,
    inbox: Inbox,
    queue: Queue,
    clock: Clock,
    places: Vec<Place>,
    running: HashMap<SessionId, Running>,
    /// Faxes whose pages the disk has refused: tenant, id, entry, whether a machine was heard.
    unkept: Vec<(Arc<str>, String, Fax, bool)>,
    next_try: Time,
    /// No machine is called.
    held: bool,
}

impl Driver {
    pub(super) fn new(
        config: FaxConfig,
        poll: Poll,
        (deeds, ways): (Receiver<Deed>, Ways),
        (inbox, queue): (Inbox, Queue),
        clock: Clock,
    ) -> Self {
        Self {
            config,
            poll,
            deeds,
            ways,
            inbox,
            queue,
            clock,
            places: Vec::new(),
            running: HashMap::new(),
            unkept: Vec::new(),
            next_try: Time::ZERO,
            held: false,
        }
    }

    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(64);
        loop {
            match self.poll.poll(&mut events, self.wait()) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    tracing::error!(%error, "the fax thread cannot wait");
                    break;
                }
            }
            for event in &events {
                if event.token() != WAKER {
                    self.read(event.token().0);
                }
            }
            let mut ends = false;
            while let Ok(deed) = self.deeds.try_recv() {
                match deed {
                    Deed::Order(order, lent) => self.obey(order, lent),
                    Deed::Queue(tenant, id, entry) => {
                        self.queue.add(tenant, id, *entry, self.clock.now());
                    }
                    Deed::Cancel(id) => {
                        if let Some(fax) = self.queue.cancel(&id, self.clock.now()) {
                            self.hang_up(fax, "cancelled");
                        }
                        self.ways.kept();
                    }
                    Deed::Hold(on) => self.held = on,
                    Deed::End => ends = true,
                }
            }
            if ends {
                break;
            }
            self.supervise();
            self.try_again();
            self.call();
        }
        self.end();
    }

    /// Does what the switch wants.
    fn obey(&mut self, order: FaxOrder, mut lent: Vec<Lent>) {
        match order {
            FaxOrder::Receive(reception) => self.receive(*reception, lent.pop()),
            FaxOrder::Send { fax, call, .. } => self.send(fax, call, lent.pop()),
            FaxOrder::Carry(carried) => self.carry(&carried, lent),
            FaxOrder::NotSent { fax, call, why } => {
                self.queue.not_sent(fax, call, &why, self.clock.now());
                self.ways.kept();
            }
            FaxOrder::Switch { fax, image } => self.switch(SessionId(fax.0), &image),
            FaxOrder::Stop { fax } => self.stop(SessionId(fax.0)),
        }
    }

    /// Has calls made for the documents that are due.
    fn call(&mut self) {
        let now = self.clock.now();
        for fax in self.queue.overdue(now) {
            self.hang_up(fax, "it has taken too long");
        }
        if self.held {
            return;
        }
        for call in self.queue.due(now) {
            let fax = call.fax;
            if !self.ways.give(FaxWord::Call(call)) {
                tracing::error!("no machine is called: the control thread takes no orders");
                self.queue.ended(fax, Cause::Worker, &Progress::default(), now);
            }
            self.ways.kept();
        }
    }

    /// A call is not wanted any more, nor whoever speaks in it.
    fn hang_up(&mut self, fax: FaxId, why: &str) {
        let session = SessionId(fax.0);
        self.tell(session, FaxNews::Over(why.to_owned()));
        self.stop(session);
    }

    /// A machine has answered.
    fn send(&mut self, fax: FaxId, call: CallId, lent: Option<Lent>) {
        let (session, now) = (SessionId(fax.0), self.clock.now());
        let Some(begun) = self.queue.answered(fax, call, now) else {
            return self.hang_up(fax, "nobody wants it sent any more");
        };
        let Some((media, socket)) = lent.and_then(media) else {
            self.queue.ended(fax, Cause::Worker, &Progress::default(), now);
            return self.hang_up(fax, "the call's sound cannot be handed over");
        };
        let (first_page, easier) = (begun.how.first_page, begun.how.easier);
        let station =
            Station { ident: begun.ident, rate: easier.rate, ecm: easier.ecm, calling: true };
        let task = Task::Send { file: begun.file, first_page, station };
        let place = self.place();
        let what = What::Sends(Progress { first_page, ..Progress::default() });
        let (names, again) = ((begun.tenant, begun.id), socket.try_clone().ok());
        let words = format!(
            "sends {} from page {first_page} on, {:?} at most, error correction {}",
            names.1,
            easier.rate,
            if easier.ecm { "on" } else { "off" }
        );
        self.running.insert(session, Running::new(names, what, place, again));
        self.tell(session, FaxNews::Told(words));
        self.order(place, Order::Start { session, task, media }, vec![socket]);
    }

    fn wait(&self) -> Option<Duration> {
        let now = self.clock.time();
        let unkept = (!self.unkept.is_empty()).then_some(self.next_try);
        // What is due stays due while it is held, and would wake this thread again and again.
        let queue = self.queue.poll_timeout();
        let queue = if self.held { queue.map(|at| at.max(now + HELD)) } else { queue };
        let mut next = [unkept, queue].into_iter().flatten().min();
        for place in &self.places {
            let blocked = place.process.as_ref().is_some_and(Process::waits);
            let soon = blocked.then(|| now + Duration::from_millis(20));
            next = [next, place.supervisor.poll_timeout(), soon].into_iter().flatten().min();
        }
        next.map(|at| at.since(now) + Duration::from_millis(1))
    }

    fn tell(&self, session: SessionId, news: FaxNews) {
        let report = FaxReport { fax: FaxId(session.0), news };
        if !self.ways.give(FaxWord::Report(report)) {
            tracing::error!("a report of a fax is lost: the control thread takes none");
        }
        self.ways.kept();
    }

    /// A call is to be answered as a fax.
    fn receive(&mut self, reception: Reception, lent: Option<Lent>) {
        let session = SessionId(reception.fax.0);
        let media = lent.and_then(media);
        let Some((media, socket)) = media else {
            let words = "the call's sound cannot be handed over".to_owned();
            return self.tell(session, FaxNews::Over(words));
        };
        let now = self.clock.date();
        let Reception { call, tenant, mailbox, spec, caller, called, .. } = reception;
        let fax = Fax {
            call: call.to_string(),
            mailbox: mailbox.to_string(),
            caller,
            called,
            station: String::new(),
            medium: "g711".to_owned(),
            started: now,
            ended: None,
            pages: 0,
            bit_rate: 0,
            ecm: false,
            cause: None,
            keep: spec.keep,
            notify: spec.notify.iter().map(ToString::to_string).collect(),
            deliver_to: reception
                .deliver_to
                .map(|(number, machine)| (number.to_string(), machine.to_string())),
            language: reception.language.to_string(),
            utc_offset_s: reception.utc_offset_s,
        };
        let id = format!("{:013}-{call}", now.as_millisecond());
        let file = self.inbox.begin(&tenant, &id, &fax);
        let station = Station {
            ident: reception.did.as_deref().unwrap_or_default().to_owned(),
            rate: Rate::V17,
            ecm: true,
            calling: false,
        };
        let task = Task::Receive { file, max_pages: spec.receive_max_pages, station };
        let place = self.place();
        let again = socket.try_clone().ok();
        let running = Running::new((tenant, id), What::Receives(Box::new(fax)), place, again);
        self.running.insert(session, running);
        self.order(place, Order::Start { session, task, media }, vec![socket]);
    }

    /// A fax is to be carried between two calls' streams, or goes on in another way.
    fn carry(&mut self, carried: &Carried, lent: Vec<Lent>) {
        let session = SessionId(carried.fax.0);
        let images = carried.sides.map(|(_, image)| image);
        let Some((media, sockets)) = between(images, lent) else {
            let words = "the call's sound cannot be handed over".to_owned();
            return self.tell(session, FaxNews::Over(words));
        };
        if let Some(running) = self.running.get(&session) {
            let place = running.place;
            return self.order(place, Order::Switch { session, media }, sockets);
        }
        // What both machines can do is between them; error correction is theirs too.
        let (ident, rate) = (String::new(), Rate::V17);
        let station = Station { ident, rate, ecm: true, calling: false };
        let place = self.place();
        let names = (Arc::from(""), format!("carried-{}", session.0));
        self.running.insert(session, Running::new(names, What::Carries, place, None));
        self.order(
            place,
            Order::Start { session, task: Task::Gateway { station }, media },
            sockets,
        );
    }

    /// The place with the fewest faxes; the processes begin with the first.
    fn place(&mut self) -> usize {
        if self.places.is_empty() {
            let now = self.clock.time();
            let place =
                || Place { supervisor: Supervisor::new(now), process: None, waiting: Vec::new() };
            self.places = (0..self.config.workers.max(1)).map(|_| place()).collect();
        }
        let load = |place: &usize| self.running.values().filter(|run| run.place == *place).count();
        (0..self.places.len()).min_by_key(load).unwrap_or(0)
    }

    fn order(&mut self, place: usize, order: Order, sockets: Vec<OwnedFd>) {
        let Some(own) = self.places.get_mut(place) else { return };
        let up = own.supervisor.is_up();
        match &mut own.process {
            Some(process) if up => {
                if let Err(error) = process.order(&order, sockets) {
                    tracing::error!(%error, "a fax process takes no order");
                }
            }
            Some(_) | None => own.waiting.push((order, sockets)),
        }
    }

    /// A fax goes on over T.38, on the port that it has.
    fn switch(&mut self, session: SessionId, image: &AgreedImage) {
        let Some(running) = self.running.get_mut(&session) else { return };
        let Some(socket) = running.socket.take() else { return };
        running.turns_to_t38();
        let place = running.place;
        let order = Order::Switch { session, media: Media::T38(t38(image)) };
        self.order(place, order, vec![socket]);
    }

    /// The call of a fax is over.
    fn stop(&mut self, session: SessionId) {
        let Some(running) = self.running.get_mut(&session) else { return };
        running.stopped = true;
        let place = running.place;
        self.order(place, Order::Stop { session }, Vec::new());
    }

    /// What a process says.
    fn read(&mut self, place: usize) {
        let mut reports = Vec::new();
        let mut gone = false;
        if let Some(process) = self.places.get_mut(place).and_then(|own| own.process.as_mut()) {
            gone = !process.fill();
            loop {
                match process.poll() {
                    Ok(Some(report)) => reports.push(report),
                    Ok(None) => break,
                    Err(error) => {
                        tracing::error!(%error, "a fax process cannot be understood");
                        gone = true;
                        break;
                    }
                }
            }
        }
        for report in reports {
            self.reported(place, report);
        }
        if gone {
            self.died(place);
        }
    }

    fn reported(&mut self, place: usize, report: Report) {
        match report {
            Report::Ready { walls } => {
                let now = self.clock.time();
                let Some(own) = self.places.get_mut(place) else { return };
                own.supervisor.ready(now);
                let pid = own.process.as_ref().map(Process::id);
                tracing::info!(
                    pid,
                    files = walls.files,
                    calls = walls.calls,
                    "a fax process is up; walled off are"
                );
                for (order, sockets) in std::mem::take(&mut own.waiting) {
                    self.order(place, order, sockets);
                }
            }
            Report::Refused { session, reason } => {
                let end = End { code: u16::MAX, words: reason, ..End::default() };
                self.over(session, Cause::Storage, &end);
            }
            Report::Event { session, event: Event::End(end) } => {
                self.over(session, end.cause(), &end);
            }
            Report::Event { session, event } => {
                let Some(running) = self.running.get_mut(&session) else { return };
                let words = running.note(&event);
                running.lines += 1;
                let told = running.lines <= LINES && !running.stopped;
                if let What::Sends(progress) = &running.what {
                    self.queue.progress(FaxId(session.0), progress);
                }
                if told {
                    self.tell(session, FaxNews::Told(words));
                }
                self.ways.kept();
            }
        }
    }

    /// A fax has ended: kept, told.
    fn over(&mut self, session: SessionId, cause: Cause, end: &End) {
        let Some(running) = self.running.remove(&session) else { return };
        let Running { tenant, id, what, heard, stopped, retrains, .. } = running;
        let sends = matches!(what, What::Sends(_));
        let why = likely(cause, end, retrains, sends);
        let tail = format!(" ({}; code {}){why}", end.words, end.code);
        let words = match what {
            What::Receives(mut fax) => {
                (fax.ended, fax.cause) = (Some(self.clock.date()), Some(cause));
                self.keep((tenant, id), *fax, heard, &tail)
            }
            What::Sends(progress) => {
                let said = self.queue.ended(FaxId(session.0), cause, &progress, self.clock.now());
                let said = said.unwrap_or_else(|| "It is not wanted any more.".to_owned());
                format!("{said}{tail}")
            }
            What::Carries => format!("the fax is carried no more{tail}"),
        };
        if !stopped {
            self.tell(session, FaxNews::Over(words));
        } else {
            // The call's log is closed; the server's has it.
            tracing::info!(fax = session.0, "{words}");
            self.ways.kept();
        }
    }

    /// Keeps what came; the words about it.
    fn keep(
        &mut self,
        (tenant, id): (Arc<str>, String),
        mut fax: Fax,
        heard: bool,
        tail: &str,
    ) -> String {
        match self.inbox.finish(&tenant, &id, fax.clone(), heard) {
            Ok(pages) => {
                fax.pages = u32::try_from(pages).unwrap_or(u32::MAX);
                self.deliver(&tenant, &id, &fax);
                let said = fax.sentence(koukan_fax::Language::English);
                let name = if pages > 0 { format!(" It is kept as {id}.") } else { String::new() };
                format!("{said}{name}{tail}")
            }
            Err(error) => {
                tracing::error!(tenant = &*tenant, id, %error, "a fax cannot be kept; tried again");
                let words = format!("its pages wait, because the disk refuses them: {error}");
                self.next_try = self.clock.time() + AGAIN;
                self.unkept.push((tenant, id, fax, heard));
                words
            }
        }
    }

    /// S-40: what is kept is sent on to a machine of the office; whatever becomes of that, it is
    /// kept.
    fn deliver(&mut self, tenant: &Arc<str>, id: &str, fax: &Fax) {
        if fax.pages == 0 || fax.deliver_to.is_none() {
            return;
        }
        let kept = self.inbox.tiff(tenant, id);
        let Some(kept) = kept else { return };
        if let Err(error) = self.queue.deliver(tenant, id, fax, &kept, self.clock.now()) {
            tracing::error!(tenant = &**tenant, id, %error, "a fax cannot be sent on");
        }
    }

    /// A process is gone, and with it the faxes that it carried; their finished pages are kept.
    fn died(&mut self, place: usize) {
        let now = self.clock.time();
        let Some(own) = self.places.get_mut(place) else { return };
        let how = match own.process.take() {
            Some(mut process) => {
                let _ = self.poll.registry().deregister(&mut process.stream);
                process.end()
            }
            None => "it cannot be started".to_owned(),
        };
        own.supervisor.died(now);
        own.waiting.clear();
        tracing::error!(how, deaths = own.supervisor.deaths(), "a fax process has ended");
        let lost: Vec<SessionId> =
            self.running.iter().filter(|(_, run)| run.place == place).map(|(id, _)| *id).collect();
        for session in lost {
            let words = format!("the process has ended: {how}");
            let end = End { code: u16::MAX, words, ..End::default() };
            self.over(session, Cause::Worker, &end);
        }
    }

    /// Starts and ends processes as their supervisors say.
    fn supervise(&mut self) {
        let now = self.clock.time();
        for place in 0..self.places.len() {
            if let Some(process) = self.places.get_mut(place).and_then(|own| own.process.as_mut())
                && process.flush().is_err()
            {
                self.died(place);
            }
            let order =
                self.places.get_mut(place).and_then(|own| own.supervisor.handle_timeout(now));
            match order {
                Some(supervise::Order::Start) => self.start(place),
                Some(supervise::Order::Kill) => self.died(place),
                None => {}
            }
        }
    }

    fn start(&mut self, place: usize) {
        let FaxConfig { worker, spool, .. } = &self.config;
        let started = Process::start(worker, spool).and_then(|mut process| {
            let registry = self.poll.registry();
            registry.register(&mut process.stream, Token(place), Interest::READABLE)?;
            Ok(process)
        });
        match started {
            Ok(process) => {
                if let Some(own) = self.places.get_mut(place) {
                    own.process = Some(process);
                }
            }
            Err(error) => {
                let program = worker.display();
                tracing::error!(%program, %error, "the fax program cannot be started");
                self.died(place);
            }
        }
    }

    /// Pages that the disk has refused.
    fn try_again(&mut self) {
        let now = self.clock.time();
        if self.unkept.is_empty() || now < self.next_try {
            return;
        }
        self.next_try = now + AGAIN;
        for (tenant, id, fax, heard) in std::mem::take(&mut self.unkept) {
            match self.inbox.finish(&tenant, &id, fax.clone(), heard) {
                Ok(pages) => {
                    tracing::info!(tenant = &*tenant, id, pages, "a fax that waited is kept");
                    let pages = u32::try_from(pages).unwrap_or(u32::MAX);
                    self.deliver(&tenant, &id, &Fax { pages, ..fax });
                }
                Err(_) => self.unkept.push((tenant, id, fax, heard)),
            }
        }
        self.ways.kept();
    }

    /// The server ends: sessions are ended, so that their files are whole, and their pages kept.
    fn end(&mut self) {
        for place in 0..self.places.len() {
            self.order(place, Order::Shutdown, Vec::new());
        }
        let until = Instant::now() + ENDING;
        for place in 0..self.places.len() {
            while let Some(process) =
                self.places.get_mut(place).and_then(|own| own.process.as_mut())
            {
                if process.has_ended() || Instant::now() >= until {
                    self.read(place);
                    break;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        let left: Vec<SessionId> = self.running.keys().copied().collect();
        for session in left {
            let words = "the server has ended".to_owned();
            let end = End { code: u16::MAX, words, ..End::default() };
            self.over(session, Cause::Worker, &end);
        }
    }
}
