//! The thread of the faxes: processes started, supervised and reaped, orders and sockets handed on,
//! what they report turned into sentences and kept pages.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use koukan_base::Time;
use koukan_engine::Lent;
use koukan_fax::protocol::{
    Audio, End, Event, Law, Media, Order, Report, SessionId, Station, T38, Task,
};
use koukan_fax::queue::Rate;
use koukan_fax::{Cause, Supervisor, supervise};
use koukan_media::Codec;
use koukan_sip::sdp::{AgreedImage, ErrorCorrection};
use koukan_switch::{FaxId, FaxNews, FaxOrder, FaxReport, Reception};
use mio::{Events, Interest, Poll, Token, Waker};

use super::entry::Fax;
use super::inbox::Inbox;
use super::process::Process;
use super::{Deed, FaxConfig};
use crate::clock::Clock;

/// The token of the thread's waker; those of the processes are the numbers from 0.
pub(super) const WAKER: Token = Token(usize::MAX);

/// Lines of one fax in its call's log; a line that trains for ever tells no more than these.
const LINES: u32 = 400;

/// How often what the disk has refused is tried again.
const AGAIN: Duration = Duration::from_secs(30);

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

/// A fax under way.
#[derive(Debug)]
struct Running {
    tenant: Arc<str>,
    id: String,
    fax: Fax,
    place: usize,
    /// A descriptor of its socket, for another medium on the same port.
    socket: Option<OwnedFd>,
    /// A machine was heard.
    heard: bool,
    /// The call is over: nobody wants reports.
    stopped: bool,
    lines: u32,
    retrains: u32,
}

/// The thread.
#[derive(Debug)]
pub(super) struct Driver {
    config: FaxConfig,
    poll: Poll,
    deeds: Receiver<Deed>,
    reports: Sender<FaxReport>,
    control: Arc<Waker>,
    inbox: Inbox,
    clock: Clock,
    places: Vec<Place>,
    running: HashMap<SessionId, Running>,
    /// Faxes whose pages the disk has refused: tenant, id, entry, whether a machine was heard.
    unkept: Vec<(Arc<str>, String, Fax, bool)>,
    next_try: Time,
}

impl Driver {
    pub(super) fn new(
        config: FaxConfig,
        poll: Poll,
        (deeds, reports, control): (Receiver<Deed>, Sender<FaxReport>, Arc<Waker>),
        inbox: Inbox,
        clock: Clock,
    ) -> Self {
        Self {
            config,
            poll,
            deeds,
            reports,
            control,
            inbox,
            clock,
            places: Vec::new(),
            running: HashMap::new(),
            unkept: Vec::new(),
            next_try: Time::ZERO,
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
                    Deed::Order(FaxOrder::Receive(reception), lent) => {
                        self.receive(*reception, lent);
                    }
                    Deed::Order(FaxOrder::Switch { fax, image }, _) => {
                        self.switch(SessionId(fax.0), &image);
                    }
                    Deed::Order(FaxOrder::Stop { fax }, _) => self.stop(SessionId(fax.0)),
                    Deed::End => ends = true,
                }
            }
            if ends {
                break;
            }
            self.supervise();
            self.try_again();
        }
        self.end();
    }

    fn wait(&self) -> Option<Duration> {
        let now = self.clock.time();
        let mut next = (!self.unkept.is_empty()).then_some(self.next_try);
        for place in &self.places {
            let blocked = place.process.as_ref().is_some_and(Process::waits);
            let soon = blocked.then(|| now + Duration::from_millis(20));
            next = [next, place.supervisor.poll_timeout(), soon].into_iter().flatten().min();
        }
        next.map(|at| at.since(now) + Duration::from_millis(1))
    }

    fn tell(&self, session: SessionId, news: FaxNews) {
        let report = FaxReport { fax: FaxId(session.0), news };
        if self.reports.try_send(report).is_err() {
            tracing::error!("a report of a fax is lost: the control thread takes none");
        }
        // It fails only when its poll is gone, and the server with it.
        let _ = self.control.wake();
    }

    /// A call is to be answered as a fax.
    fn receive(&mut self, reception: Reception, lent: Option<Box<Lent>>) {
        let session = SessionId(reception.fax.0);
        let media = lent.and_then(|lent| media(*lent));
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
        let (heard, stopped, lines, retrains) = (false, false, 0, 0);
        let again = socket.try_clone().ok();
        let running =
            Running { tenant, id, fax, place, socket: again, heard, stopped, lines, retrains };
        self.running.insert(session, running);
        self.order(place, Order::Start { session, task, media }, vec![socket]);
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
        running.fax.medium = "t38".to_owned();
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
                if running.lines <= LINES && !running.stopped {
                    self.tell(session, FaxNews::Told(words));
                }
            }
        }
    }

    /// A fax has ended: kept, told.
    fn over(&mut self, session: SessionId, cause: Cause, end: &End) {
        let Some(running) = self.running.remove(&session) else { return };
        let Running { tenant, id, mut fax, heard, stopped, retrains, .. } = running;
        fax.ended = Some(self.clock.date());
        fax.cause = Some(cause);
        let why = likely(cause, end, retrains);
        let kept = self.inbox.finish(&tenant, &id, fax.clone(), heard);
        let words = match kept {
            Ok(pages) => {
                fax.pages = u32::try_from(pages).unwrap_or(u32::MAX);
                let said = fax.sentence(koukan_fax::Language::English);
                let name = if pages > 0 { format!(" It is kept as {id}.") } else { String::new() };
                format!("{said}{name} ({}; code {}){why}", end.words, end.code)
            }
            Err(error) => {
                tracing::error!(tenant = &*tenant, id, %error, "a fax cannot be kept; tried again");
                let words = format!("its pages wait, because the disk refuses them: {error}");
                self.next_try = self.clock.time() + AGAIN;
                self.unkept.push((tenant, id, fax, heard));
                words
            }
        };
        if !stopped {
            self.tell(session, FaxNews::Over(words));
        } else {
            // The call's log is closed; the server's has it.
            tracing::info!(fax = session.0, "{words}");
            let _ = self.control.wake();
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
                    tracing::info!(tenant = &*tenant, id, pages, "a fax that waited is kept")
                }
                Err(_) => self.unkept.push((tenant, id, fax, heard)),
            }
        }
        let _ = self.control.wake();
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

impl Running {
    /// Notes what happened, and says it.
    fn note(&mut self, event: &Event) -> String {
        self.heard |= matches!(event, Event::Remote { .. } | Event::Rate { .. } | Event::Page(_));
        match event {
            Event::Remote { ident } if ident.trim().is_empty() => {
                "a fax machine that gives no name is on the line".to_owned()
            }
            Event::Remote { ident } => {
                self.fax.station = ident.trim().chars().take(20).collect();
                format!("a fax machine is on the line and calls itself {}", self.fax.station)
            }
            Event::Rate { bit_rate, ecm } => {
                (self.fax.bit_rate, self.fax.ecm) = (*bit_rate, *ecm);
                let how = if *ecm { "with" } else { "without" };
                format!("agreed on {bit_rate} bit/s {how} error correction")
            }
            Event::Retrain => {
                self.retrains += 1;
                "the line is trained anew".to_owned()
            }
            Event::Page(page) => {
                self.fax.pages = page.number;
                format!(
                    "page {} is here and confirmed: {} by {}, {} bytes, {} lines with errors",
                    page.number, page.width, page.length, page.bytes, page.bad_rows
                )
            }
            Event::RefusedFrame { kind } => {
                format!("a frame of type {kind:#04x} that no machine sends was refused")
            }
            Event::End(_) => String::new(),
        }
    }
}

/// What probably was wrong (N-12), for people who did not read T.30.
fn likely(cause: Cause, end: &End, retrains: u32) -> String {
    let worn = end.ecm_retries > 20 || retrains > 2;
    let guess = match cause {
        Cause::Done if worn => "the line loses or repeats packets: ask the carrier for T.38",
        Cause::NoFax => "a person or a voice machine called",
        Cause::CannotTrain | Cause::BadPages => {
            "the sound is changed on its way: a jitter buffer, echo canceller or another codec"
        }
        Cause::Timeout => "packets were lost for seconds, or the machine was switched off",
        Cause::Dropped => "the caller, or a carrier in between, hung up",
        Cause::PageLimit => "the box takes no more pages of one fax",
        _ => return String::new(),
    };
    format!("; retrains: {retrains}, frames sent again: {}; likely: {guess}", end.ecm_retries)
}

/// Copies of the packets before in each datagram, and parities where those are agreed on.
const REDUNDANCY: u8 = 3;
const FEC: (u8, u8) = (3, 3);

/// How T.38 is told to the process.
const fn t38(image: &AgreedImage) -> T38 {
    let (redundancy, fec) = match image.correction {
        ErrorCorrection::Redundancy => (REDUNDANCY, None),
        ErrorCorrection::Fec => (0, Some(FEC)),
        ErrorCorrection::None => (0, None),
    };
    T38 {
        remote: image.remote,
        max_datagram: image.max_datagram,
        redundancy,
        fec,
        local_tcf: image.local_tcf,
        max_bit_rate: image.max_bit_rate,
    }
}

/// How a lent stream is told to the process, with its socket.
fn media(lent: Lent) -> Option<(Media, OwnedFd)> {
    let law = match lent.config.codec.codec {
        Codec::Pcmu => Law::Mu,
        Codec::Pcma => Law::A,
        _ => return None,
    };
    let audio = Audio {
        remote: lent.remote,
        law,
        payload_type: lent.config.codec.payload_type,
        ssrc: lent.ssrc,
        sequence: lent.sequence,
        timestamp: lent.timestamp,
    };
    Some((Media::Audio(audio), lent.socket))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(ecm_retries: u32) -> End {
        End { ecm_retries, ..End::default() }
    }

    #[test]
    fn an_end_names_its_likely_cause_and_a_clean_one_none() {
        assert_eq!(likely(Cause::Done, &end(0), 0), "");
        assert!(likely(Cause::Done, &end(40), 0).contains("T.38"));
        assert!(likely(Cause::CannotTrain, &end(0), 5).contains("retrains: 5"));
    }
}
