//! A fax machine that no one here wrote, at the other end of a real call: Debian's libspandsp2
//! behind `fax/worker/tests/agent.c`, with as much SIP and RTP around it as a carrier's gateway
//! needs. It calls from the address of the sample's carrier, and is called there.

mod adapter;
mod call;
mod dial;
mod machine;
mod paper;
mod wire;

use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use call::{Call, Said};
use dial::Dial;
use machine::{Duty, Machine};
use wire::Hub;

pub use adapter::Adapter;
pub use paper::{document, page, pages_of_pdf, received, written};

use koukan_sip::Credentials;

use crate::server::Server;

const TICK: Duration = Duration::from_millis(20);
const SAMPLES: usize = 160;
/// Longer than any fax of a test.
const LONGEST: Duration = Duration::from_secs(240);

/// What a call of the machine is to be.
#[derive(Clone, Debug)]
pub struct Sending<'a> {
    /// Who calls, for a carrier; an adapter says who it is.
    pub from: &'a str,
    /// Whom it calls.
    pub number: &'a str,
    /// What it sends.
    pub file: &'a Path,
    /// What it makes of T.38.
    pub t38: T38,
    /// What it can do.
    pub modem: Modem,
    /// It hangs up when so many pages are confirmed and this much of the next is sent.
    pub hangs_up: Option<(u8, Duration)>,
    /// Called once when so many pages are confirmed.
    pub after: Option<(u8, Deed)>,
}

impl<'a> Sending<'a> {
    /// A call that goes to its end, over whatever is wanted.
    #[must_use]
    pub const fn new(number: &'a str, file: &'a Path, t38: T38) -> Self {
        let modem = Modem::FASTEST;
        Self { from: CALLER, number, file, t38, modem, hangs_up: None, after: None }
    }
}

/// The number that a machine outside calls from.
const CALLER: &str = "0455550001";

/// What a machine can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Modem {
    /// The modems: 1 is V.27ter, 2 is V.29, 4 is V.17; their sum.
    pub kinds: &'static str,
    /// Error correction.
    pub ecm: bool,
}

impl Modem {
    /// Everything.
    pub const FASTEST: Self = Self { kinds: "7", ecm: true };
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
    /// It offers it beside the audio in the first INVITE, and takes it when it is asked for.
    Beside,
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
    /// What it can do.
    pub modem: Modem,
    /// It hangs up when so many pages are confirmed and this much of the next has come.
    pub hangs_up: Option<(u8, Duration)>,
    /// Called once when so many pages have come and this much time has passed: a page that has come
    /// is confirmed a moment later.
    pub after: Option<(u8, Duration, Deed)>,
}

impl<'a> Taking<'a> {
    /// A call that is taken to its end.
    #[must_use]
    pub const fn new(file: &'a Path, t38: T38) -> Self {
        Self { file, t38, modem: Modem::FASTEST, hangs_up: None, after: None }
    }
}

/// How a machine behaves in a call.
#[derive(Clone, Copy)]
struct How {
    t38: T38,
    modem: Modem,
    hangs_up: Option<(u8, Duration)>,
    after: Option<(u8, Duration, Deed)>,
}

/// Calls and sends a document as the carrier; returns when the call is over.
///
/// # Errors
/// The call is not answered, or the machine does not start.
pub fn send(server: &Server, sending: &Sending<'_>) -> io::Result<Outcome> {
    Line::open(server)?.send(server, sending)
}

/// The line of the carrier, where a server calls, and where it is called from.
#[derive(Debug)]
pub struct Line {
    hub: Hub,
}

impl Line {
    /// The carrier of a server.
    ///
    /// # Errors
    /// Its port is taken.
    pub fn open(server: &Server) -> io::Result<Self> {
        Ok(Self { hub: Hub::open(server.trunk_port)? })
    }

    /// Whether nobody calls for so long.
    ///
    /// # Errors
    /// The socket fails.
    pub fn is_quiet(&self, limit: Duration) -> io::Result<bool> {
        match self.hub.next(None, limit) {
            Ok(_) => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Refuses the next call with this status and its words; the number that was called.
    ///
    /// # Errors
    /// Nobody calls in time.
    pub fn refuse(&self, server: &Server, status: &str, limit: Duration) -> io::Result<String> {
        let invite = self.hub.next(None, limit)?;
        call::refuse(&self.hub, server.sip, &invite, status)?;
        let called = invite.split_once("sip:").and_then(|(_, rest)| rest.split_once('@'));
        Ok(called.map(|(user, _)| user.to_owned()).unwrap_or_default())
    }

    /// Calls and sends a document; returns when the call is over.
    ///
    /// # Errors
    /// The call is not answered, or the machine does not start.
    pub fn send(&self, server: &Server, sending: &Sending<'_>) -> io::Result<Outcome> {
        sends(&self.hub, server, sending, None)
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
        takes(&self.hub, server, (None, limit), taking)
    }

    /// The same for the next call to a number.
    ///
    /// # Errors
    /// As of [`Self::take`].
    pub fn take_for(
        &self,
        server: &Server,
        number: &str,
        taking: &Taking<'_>,
        limit: Duration,
    ) -> io::Result<Outcome> {
        takes(&self.hub, server, (Some(number), limit), taking)
    }
}

fn sends(
    hub: &Hub,
    server: &Server,
    sending: &Sending<'_>,
    credentials: Option<&Credentials>,
) -> io::Result<Outcome> {
    let Sending { from, number, file, t38, modem, hangs_up, after } = sending.clone();
    let (by_t38, both) = (t38 == T38::Alone, t38 == T38::Beside);
    let call = Call::dial(hub, server, &Dial { from, number, by_t38, both, credentials })?;
    let after = after.map(|(pages, act)| (pages, Duration::ZERO, act));
    conduct(server, call, Duty::Send(file), How { t38, modem, hangs_up, after })
}

fn takes(
    hub: &Hub,
    server: &Server,
    (number, limit): (Option<&str>, Duration),
    taking: &Taking<'_>,
) -> io::Result<Outcome> {
    let invite = hub.next(number, limit)?;
    let call = Call::accept(hub, server.sip, &invite)?;
    let Taking { file, t38, modem, hangs_up, after } = taking.clone();
    conduct(server, call, Duty::Receive(file), How { t38, modem, hangs_up, after })
}

fn conduct(server: &Server, mut call: Call, duty: Duty<'_>, how: How) -> io::Result<Outcome> {
    let medium = if call.udptl.is_some() { "t38" } else { "audio" };
    let mut machine = Machine::start(medium, duty, how.modem)?;
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
            Said::Image => machine = Machine::start("t38", duty, how.modem)?,
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
