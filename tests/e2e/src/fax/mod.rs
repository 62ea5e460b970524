//! A fax machine that no one here wrote, at the other end of a real call: Debian's libspandsp2
//! behind `fax/worker/tests/agent.c`, with as much SIP and RTP around it as a carrier's gateway
//! needs. It calls from the address of the sample's carrier, and is called there.

mod call;
mod machine;
mod paper;

use std::io;
use std::net::UdpSocket;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use call::{Call, Said, header, receive};
use machine::{Duty, Machine};

pub use paper::{document, page, pages_of_pdf, received, written};

use crate::server::Server;

const TICK: Duration = Duration::from_millis(20);
const SAMPLES: usize = 160;
/// Longer than any fax of a test.
const LONGEST: Duration = Duration::from_secs(240);

/// What a call of the machine is to be.
#[derive(Clone, Debug)]
pub struct Sending<'a> {
    /// Whom it calls.
    pub number: &'a str,
    /// What it sends.
    pub file: &'a Path,
    /// What it makes of T.38.
    pub t38: T38,
    /// It hangs up when so many pages are confirmed and this much of the next is sent.
    pub hangs_up: Option<(u8, Duration)>,
    /// Called once when so many pages are confirmed.
    pub after: Option<(u8, Deed)>,
}

/// What a machine makes of T.38.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum T38 {
    /// 488 to whoever asks for it.
    Refuses,
    /// It is taken when it is asked for.
    Takes,
    /// It asks for it, as soon as it is answered.
    Asks,
    /// It offers nothing else, from the first INVITE on.
    Alone,
}

/// Something that is done to a server in the middle of a fax.
pub type Deed = fn(&Server);

/// How a call went.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// The machine's completion code; 0 is success.
    pub code: u8,
    /// Pages that were confirmed to it.
    pub pages: u8,
    /// Whether the server hung up.
    pub hung_up: bool,
    /// Whether it went by T.38 in the end.
    pub by_t38: bool,
    /// From the answer to the end.
    pub seconds: f64,
}

/// What a machine makes of a call that it is to take a fax by.
#[derive(Clone, Debug)]
pub struct Taking<'a> {
    /// Where what comes is written.
    pub file: &'a Path,
    /// What it makes of T.38.
    pub t38: T38,
    /// It hangs up when so many pages are confirmed and this much of the next has come.
    pub hangs_up: Option<(u8, Duration)>,
    /// Called once when so many pages have come and this much time has passed: a page that has come
    /// is confirmed a moment later.
    pub after: Option<(u8, Duration, Deed)>,
}

/// Whether there is a machine.
#[must_use]
pub fn is_there() -> bool {
    machine::program().is_some()
}

/// How a machine behaves in a call.
#[derive(Clone, Copy)]
struct How {
    t38: T38,
    hangs_up: Option<(u8, Duration)>,
    after: Option<(u8, Duration, Deed)>,
}

/// Calls and sends a document; returns when the call is over.
///
/// # Errors
/// The call is not answered, or the machine does not start.
pub fn send(server: &Server, sending: &Sending<'_>) -> io::Result<Outcome> {
    let call = Call::dial(server, sending.number, sending.t38 == T38::Alone)?;
    let Sending { file, t38, hangs_up, after, .. } = sending.clone();
    let after = after.map(|(pages, act)| (pages, Duration::ZERO, act));
    conduct(server, call, Duty::Send(file), How { t38, hangs_up, after })
}

/// The line of the carrier, where a server calls.
#[derive(Debug)]
pub struct Line {
    sip: UdpSocket,
}

impl Line {
    /// The carrier of a server.
    ///
    /// # Errors
    /// Its port is taken.
    pub fn open(server: &Server) -> io::Result<Self> {
        Ok(Self { sip: UdpSocket::bind(("127.0.0.1", server.trunk_port))? })
    }

    /// The next INVITE within this time.
    fn next(&self, limit: Duration) -> io::Result<String> {
        self.sip.set_nonblocking(false)?;
        let until = Instant::now() + limit;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            self.sip.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
            let text = receive(&self.sip)?;
            // An INVITE with a tag in To is of a call that is over.
            let inside = header(&text, "To").is_some_and(|to| to.contains(";tag="));
            if text.starts_with("INVITE ") && !inside {
                return Ok(text);
            }
        }
    }

    /// Whether nobody calls for so long.
    ///
    /// # Errors
    /// The socket fails.
    pub fn is_quiet(&self, limit: Duration) -> io::Result<bool> {
        match self.next(limit) {
            Ok(_) => Ok(false),
            Err(error)
                if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) =>
            {
                Ok(true)
            }
            Err(error) => Err(error),
        }
    }

    /// Refuses the next call with this status and its words; the number that was called.
    ///
    /// # Errors
    /// Nobody calls in time.
    pub fn refuse(&self, server: &Server, status: &str, limit: Duration) -> io::Result<String> {
        let invite = self.next(limit)?;
        call::refuse(&self.sip, server.sip, &invite, status)?;
        let called = invite.split_once("sip:").and_then(|(_, rest)| rest.split_once('@'));
        Ok(called.map(|(user, _)| user.to_owned()).unwrap_or_default())
    }

    /// Takes the next call as a fax; returns when the call is over.
    ///
    /// # Errors
    /// Nobody calls in time, or the machine does not start.
    pub fn take(
        &self,
        server: &Server,
        taking: &Taking<'_>,
        limit: Duration,
    ) -> io::Result<Outcome> {
        let invite = self.next(limit)?;
        let call = Call::accept(&self.sip, server.sip, &invite)?;
        let Taking { file, t38, hangs_up, after } = taking.clone();
        conduct(server, call, Duty::Receive(file), How { t38, hangs_up, after })
    }
}

fn conduct(server: &Server, mut call: Call, duty: Duty<'_>, how: How) -> io::Result<Outcome> {
    let medium = if call.udptl.is_some() { "t38" } else { "audio" };
    let mut machine = Machine::start(medium, duty)?;
    let begun = Instant::now();
    let mut over_at = None;
    let mut reached = None;
    let (mut called, mut due) = (false, None);
    let mut next = begun;
    loop {
        next += TICK;
        thread::sleep(next.saturating_duration_since(Instant::now()));
        match call.signalling(how.t38)? {
            Said::Nothing => {}
            Said::Over => break,
            Said::Image => machine = Machine::start("t38", duty)?,
        }
        call.hear(&mut machine)?;
        if call.udptl.is_some() {
            call.send_packets(&machine.tick_t38()?)?;
        } else {
            let heard = call.take();
            let said = machine.tick(&heard)?;
            call.say(&said)?;
        }
        let now = Instant::now();
        if machine.over {
            // The other side, which has confirmed the last page, hangs up; if not, we do.
            let since = *over_at.get_or_insert(now);
            if now - since > Duration::from_secs(5) {
                call.bye()?;
                break;
            }
        }
        if let Some((pages, more, act)) = how.after
            && !called
            && machine.pages >= pages
        {
            let since = *due.get_or_insert(now);
            if now - since >= more {
                called = true;
                act(server);
            }
        }
        if let Some((pages, more)) = how.hangs_up
            && machine.pages >= pages
        {
            let since = *reached.get_or_insert(now);
            if now - since > more {
                call.bye()?;
                break;
            }
        }
        if begun.elapsed() > LONGEST {
            return Err(io::Error::other("the fax does not end"));
        }
    }
    let Machine { code, pages, .. } = machine;
    let (hung_up, by_t38) = (call.hung_up, call.udptl.is_some());
    Ok(Outcome { code, pages, hung_up, by_t38, seconds: begun.elapsed().as_secs_f64() })
}
