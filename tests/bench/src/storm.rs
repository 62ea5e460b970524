//! Everybody at once: 20,000 phones register in the same second, and calls come three times as fast
//! as the server can serve them. Calls that are taken are set up in time, the others hear 503 with
//! a time to come again, nobody hears nothing, and the memory comes back.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use koukan_sip::{Credentials, Header, Message, Method, Scanner};

use crate::Figure;
use crate::load::quantile;
use crate::office::{Office, PASSWORD, extension};
use crate::proc;
use crate::signalling::{MEMORY_GIVEN_BACK, TRANSACTIONS_GONE, slope};

/// Phones of the office.
const PHONES: usize = 20_000;
/// Sockets that they share, as offices behind one address do.
const SOCKETS: usize = 64;
/// Calls at once while it is found out how many a second the server serves.
const TOGETHER: usize = 600;
const SERVED: Duration = Duration::from_secs(5);
const STORM: Duration = Duration::from_secs(10);
/// T1 and 64 times that (RFC 3261, 17.1): when a request is repeated, and when it has failed.
const T1: Duration = Duration::from_millis(500);
const FAILED: Duration = Duration::from_secs(32);
/// How long a call is up.
const TALK: Duration = Duration::from_millis(200);

pub(crate) fn bench() -> io::Result<Vec<Figure>> {
    let office = Office::generate_of("storm", PHONES, "overload_ms = 100")?;
    let server = office.start()?;
    let before = proc::rss_kb(server.pid())?;
    let mut crowd = Crowd::new(office.sip)?;

    let begun = Instant::now();
    let mut served = Vec::new();
    while begun.elapsed() < SERVED {
        let up = crowd.open();
        (up..TOGETHER).for_each(|_| crowd.begin(What::Call));
        crowd.turn(Duration::from_millis(1), &mut served)?;
    }
    crowd.settle(&mut served)?;
    let rate = f64::from(u32::try_from(served.len()).unwrap_or(0)) / SERVED.as_secs_f64();
    println!("storm: {rate:.0} calls a second are served, {TOGETHER} at a time");

    let begun = Instant::now();
    (0..PHONES).for_each(|_| crowd.begin(What::Register));
    let (mut calls, mut ended) = (0.0, Vec::new());
    while begun.elapsed() < STORM {
        let due = begun.elapsed().as_secs_f64() * rate * 3.0;
        while calls < due {
            crowd.begin(What::Call);
            calls += 1.0;
        }
        crowd.turn(Duration::from_millis(1), &mut ended)?;
    }
    let peak = proc::rss_kb(server.pid())?;
    crowd.settle(&mut ended)?;
    let mut account = Account::of(&ended);
    let put_off = crowd.again;
    println!(
        "storm: {calls:.0} calls in {} s: {}; registrations were put off {put_off} times",
        STORM.as_secs(),
        account.text()
    );
    std::thread::sleep(TRANSACTIONS_GONE + MEMORY_GIVEN_BACK);
    let after = proc::rss_kb(server.pid())?;
    println!("storm: {before} kB before, {peak} kB at the end of it, {after} kB behind it");
    let contacts = slope(before, after, PHONES);
    let silent = f64::from(u32::try_from(account.silent).unwrap_or(u32::MAX));
    let unregistered = PHONES.saturating_sub(account.registered);
    let unregistered = f64::from(u32::try_from(unregistered).unwrap_or(u32::MAX));
    let figure = |name, unit, value, floor, goal| Figure { name, unit, value, floor, goal };
    Ok(vec![
        figure("p99 of the set-up of calls that are taken", "ms", account.p99(), 300.0, 100.0),
        figure("requests that nobody answered", "requests", silent, 0.0, 0.0),
        figure("phones that are not registered", "phones", unregistered, 0.0, 0.0),
        figure("RSS behind it for each registered contact", "kB", contacts, 6.0, 2.0),
    ])
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Register,
    Call,
}

/// How a phone's wish ended.
#[derive(Clone, Copy, Debug)]
struct End {
    what: What,
    /// 0: nobody answered.
    status: u16,
    again: bool,
    after: Duration,
}

/// What came of all of them.
struct Account {
    registered: usize,
    slowest: Duration,
    setups: Vec<Duration>,
    refused: usize,
    without_time: usize,
    others: usize,
    silent: usize,
}

impl Account {
    fn of(ends: &[End]) -> Self {
        let (calls, registers): (Vec<&End>, Vec<&End>) =
            ends.iter().partition(|end| end.what == What::Call);
        let count = |ends: &[&End], fits: &dyn Fn(&End) -> bool| {
            ends.iter().filter(|end| fits(end)).count()
        };
        let mut setups: Vec<Duration> =
            calls.iter().filter(|end| end.status == 200).map(|end| end.after).collect();
        setups.sort_unstable();
        Self {
            registered: count(&registers, &|end| end.status == 200),
            slowest: registers.iter().map(|end| end.after).max().unwrap_or_default(),
            setups,
            refused: count(&calls, &|end| end.status == 503),
            without_time: count(&calls, &|end| end.status == 503 && !end.again),
            others: count(&calls, &|end| !matches!(end.status, 0 | 200 | 503)),
            silent: ends.iter().filter(|end| end.status == 0).count(),
        }
    }

    fn p99(&mut self) -> f64 {
        quantile(&self.setups, 990)
    }

    fn text(&self) -> String {
        format!(
            "{} taken (set up in {:.0} ms p50, {:.0} ms p99), {} refused with 503 ({} of them \
             without a time), {} otherwise, {} without an answer; {} registered, the slowest \
             behind {:.1} s",
            self.setups.len(),
            quantile(&self.setups, 500),
            quantile(&self.setups, 990),
            self.refused,
            self.without_time,
            self.others,
            self.silent,
            self.registered,
            self.slowest.as_secs_f64(),
        )
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The request waits for its final response; a provisional one ends its repetition.
    Asking {
        heard: bool,
    },
    /// A registration was told to come again at that time, and does.
    Waiting,
    /// The call is up until then.
    Up,
    /// The BYE waits for its response.
    Leaving,
    Over,
}

/// What one phone wants.
struct Wish {
    what: What,
    phone: usize,
    begun: Instant,
    /// When this request was sent first.
    asked: Instant,
    cseq: u32,
    /// This request has credentials.
    proves: bool,
    step: Step,
    text: Vec<u8>,
    wait: Duration,
    next: Instant,
    to: Vec<u8>,
}

struct Crowd {
    server: SocketAddr,
    sockets: Vec<(UdpSocket, SocketAddr)>,
    wishes: Vec<Wish>,
    timers: BinaryHeap<Reverse<(Instant, usize)>>,
    scanner: Scanner,
    buffer: Vec<u8>,
    registers: Count,
    calls: Count,
    /// Registrations that were told to come again.
    again: usize,
}

/// When the caller may come again, in seconds.
fn retry_after(message: &Message) -> Option<u64> {
    std::str::from_utf8(message.header(Header::RetryAfter)?).ok()?.trim().parse().ok()
}

/// Wishes of a kind.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    begun: usize,
    open: usize,
}

impl Crowd {
    fn new(server: SocketAddr) -> io::Result<Self> {
        let mut sockets = Vec::new();
        for _ in 0..SOCKETS {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            socket.set_nonblocking(true)?;
            let address = socket.local_addr()?;
            sockets.push((socket, address));
        }
        Ok(Self {
            server,
            sockets,
            wishes: Vec::new(),
            timers: BinaryHeap::new(),
            scanner: Scanner::new(),
            buffer: vec![0; 4_096],
            registers: Count::default(),
            calls: Count::default(),
            again: 0,
        })
    }

    const fn count(&mut self, what: What) -> &mut Count {
        match what {
            What::Register => &mut self.registers,
            What::Call => &mut self.calls,
        }
    }

    /// Calls that are not over.
    fn open(&self) -> usize {
        self.calls.open
    }

    fn begin(&mut self, what: What) {
        let count = self.count(what);
        let phone = count.begun % PHONES;
        count.begun += 1;
        count.open += 1;
        let now = Instant::now();
        self.wishes.push(Wish {
            what,
            phone,
            begun: now,
            asked: now,
            cseq: 1,
            proves: false,
            step: Step::Asking { heard: false },
            text: Vec::new(),
            wait: T1,
            next: now,
            to: Vec::new(),
        });
        self.ask(self.wishes.len() - 1, "");
    }

    /// Sends the request of a wish, with the answer to a challenge behind one.
    fn ask(&mut self, at: usize, credentials: &str) {
        let server = self.server;
        let Some(wish) = self.wishes.get_mut(at) else { return };
        let Some((_, own)) = self.sockets.get(wish.phone % SOCKETS) else { return };
        let (user, cseq) = (format!("bench-{}", extension(wish.phone)), wish.cseq);
        let (method, uri, to, body) = match wish.what {
            What::Register => {
                let to = format!("<sip:{user}@{server}>");
                ("REGISTER", format!("sip:{server}"), to, String::new())
            }
            What::Call => {
                let uri = format!("sip:600@{server}");
                let body = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\n\
                            t=0 0\r\nm=audio 40000 RTP/AVP 0\r\na=inactive\r\n";
                ("INVITE", uri.clone(), format!("<{uri}>"), body.to_owned())
            }
        };
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        wish.text = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK{at}x{cseq};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{user}@{server}>;tag={at}\r\nTo: {to}\r\n\
             Call-ID: w{at}\r\nCSeq: {cseq} {method}\r\nContact: <sip:{user}@{own}>\r\n\
             Expires: 3600\r\n{credentials}{kind}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes();
        let now = Instant::now();
        (wish.asked, wish.wait, wish.step) = (now, T1, Step::Asking { heard: false });
        self.send(at);
    }

    /// Sends, and sets the time of the repetition.
    fn send(&mut self, at: usize) {
        let server = self.server;
        let Some(wish) = self.wishes.get_mut(at) else { return };
        let Some((socket, _)) = self.sockets.get(wish.phone % SOCKETS) else { return };
        // A full buffer is a lost datagram, which is repeated.
        let _ = socket.send_to(&wish.text, server);
        wish.next = Instant::now() + wish.wait;
        wish.wait = (wish.wait * 2).min(Duration::from_secs(4));
        self.timers.push(Reverse((wish.next, at)));
    }

    /// What came, and what is due.
    fn turn(&mut self, limit: Duration, ends: &mut Vec<End>) -> io::Result<()> {
        let mut idle = true;
        for socket in 0..self.sockets.len() {
            let mut buffer = std::mem::take(&mut self.buffer);
            while let Some((socket, _)) = self.sockets.get(socket)
                && let Ok(length) = socket.recv(&mut buffer)
            {
                idle = false;
                let bytes = buffer.get(..length).unwrap_or_default();
                if let Ok(message) = Message::from_datagram(&mut self.scanner, bytes) {
                    self.heard(&message, ends);
                }
            }
            self.buffer = buffer;
        }
        let now = Instant::now();
        while let Some(Reverse((time, at))) = self.timers.peek().copied()
            && time <= now
        {
            self.timers.pop();
            self.due(at, time, now, ends);
        }
        if idle {
            std::thread::sleep(limit.min(Duration::from_micros(200)));
        }
        Ok(())
    }

    fn due(&mut self, at: usize, time: Instant, now: Instant, ends: &mut Vec<End>) {
        let Some(wish) = self.wishes.get_mut(at) else { return };
        if wish.next != time {
            return;
        }
        match wish.step {
            Step::Asking { .. } if now.duration_since(wish.asked) >= FAILED => {
                self.end(at, 0, false, ends);
            }
            Step::Asking { heard: true } => {
                wish.next = wish.asked + FAILED;
                self.timers.push(Reverse((wish.next, at)));
            }
            Step::Asking { heard: false } => self.send(at),
            Step::Waiting => self.come_again(at),
            Step::Up => self.leave(at),
            // The BYE is repeated a few times; the server ends what is silent by itself.
            Step::Leaving if now.duration_since(wish.asked) < Duration::from_secs(8) => {
                self.send(at);
            }
            Step::Leaving => self.over(at),
            Step::Over => {}
        }
    }

    fn heard(&mut self, message: &Message, ends: &mut Vec<End>) {
        let id = message.call_id().strip_prefix(b"w");
        let at = id.and_then(|id| std::str::from_utf8(id).ok()?.parse::<usize>().ok());
        let Some(at) = at else { return };
        let (Some(status), Some(cseq)) = (message.status(), message.cseq()) else { return };
        let Some(wish) = self.wishes.get_mut(at).filter(|wish| wish.cseq == cseq.number) else {
            return;
        };
        match (wish.step, status) {
            (Step::Asking { .. }, 100..=199) => wish.step = Step::Asking { heard: true },
            (Step::Asking { .. }, 401 | 407) if !wish.proves => {
                self.acknowledge(at, message);
                self.answer(at, message, status);
            }
            (Step::Asking { .. }, 503)
                if wish.what == What::Register
                    && let Some(seconds) = retry_after(message) =>
            {
                wish.step = Step::Waiting;
                wish.next = Instant::now() + Duration::from_secs(seconds);
                self.timers.push(Reverse((wish.next, at)));
                self.again += 1;
            }
            (Step::Asking { .. }, _) => {
                let again = message.header(Header::RetryAfter).is_some();
                self.acknowledge(at, message);
                self.end(at, status, again, ends);
            }
            // The ACK was lost.
            (Step::Up | Step::Leaving | Step::Over, _) if cseq.method == Method::Invite => {
                self.acknowledge(at, message);
            }
            (Step::Leaving, _) => self.over(at),
            (Step::Waiting | Step::Up | Step::Over, _) => {}
        }
    }

    /// A registration that was put off begins anew.
    fn come_again(&mut self, at: usize) {
        let Some(wish) = self.wishes.get_mut(at) else { return };
        wish.cseq += 1;
        wish.proves = false;
        self.ask(at, "");
    }

    /// The ACK of a final response to an INVITE; none to a REGISTER's.
    fn acknowledge(&mut self, at: usize, message: &Message) {
        let server = self.server;
        let Some(wish) = self.wishes.get_mut(at).filter(|wish| wish.what == What::Call) else {
            return;
        };
        let Some((socket, own)) = self.sockets.get(wish.phone % SOCKETS) else { return };
        let to = message.header(Header::To).unwrap_or_default().to_vec();
        let success = message.status() == Some(200);
        // RFC 3261, 13.2.2.4 and 17.1.1.3: the ACK of a 2xx is a transaction of its own.
        let branch = format!("{at}x{}{}", wish.cseq, if success { "ack" } else { "" });
        let user = format!("bench-{}", extension(wish.phone));
        let text = format!(
            "ACK sip:600@{server} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK{branch};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{user}@{server}>;tag={at}\r\nTo: {}\r\n\
             Call-ID: w{at}\r\nCSeq: {} ACK\r\nContent-Length: 0\r\n\r\n",
            String::from_utf8_lossy(&to),
            wish.cseq
        );
        wish.to = to;
        let _ = socket.send_to(text.as_bytes(), server);
    }

    fn answer(&mut self, at: usize, message: &Message, status: u16) {
        let server = self.server;
        let Some(wish) = self.wishes.get_mut(at) else { return };
        let (header, name) = match status {
            401 => (Header::WwwAuthenticate, "Authorization"),
            _ => (Header::ProxyAuthenticate, "Proxy-Authorization"),
        };
        let (method, uri) = match wish.what {
            What::Register => ("REGISTER", format!("sip:{server}")),
            What::Call => ("INVITE", format!("sip:600@{server}")),
        };
        let username = format!("bench-{}", extension(wish.phone));
        let credentials = Credentials { username, password: PASSWORD.to_owned() };
        let value = koukan_sip::digest::answer(
            message.header(header).unwrap_or_default(),
            &credentials,
            method.as_bytes(),
            uri.as_bytes(),
            b"storm",
        );
        wish.cseq += 1;
        wish.proves = true;
        let value = String::from_utf8(value.unwrap_or_default()).unwrap_or_default();
        self.ask(at, &format!("{name}: {value}\r\n"));
    }

    /// The request has its final response, or none.
    fn end(&mut self, at: usize, status: u16, again: bool, ends: &mut Vec<End>) {
        let Some(wish) = self.wishes.get_mut(at) else { return };
        let after = wish.begun.elapsed();
        ends.push(End { what: wish.what, status, again, after });
        if wish.what == What::Call && status == 200 {
            wish.step = Step::Up;
            wish.next = Instant::now() + TALK;
            self.timers.push(Reverse((wish.next, at)));
        } else {
            self.over(at);
        }
    }

    fn leave(&mut self, at: usize) {
        let server = self.server;
        let Some(wish) = self.wishes.get_mut(at) else { return };
        let Some((_, own)) = self.sockets.get(wish.phone % SOCKETS) else { return };
        wish.cseq += 1;
        let (user, cseq) = (format!("bench-{}", extension(wish.phone)), wish.cseq);
        wish.text = format!(
            "BYE sip:600@{server} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK{at}x{cseq};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{user}@{server}>;tag={at}\r\nTo: {}\r\n\
             Call-ID: w{at}\r\nCSeq: {cseq} BYE\r\nContent-Length: 0\r\n\r\n",
            String::from_utf8_lossy(&wish.to)
        )
        .into_bytes();
        (wish.step, wish.asked, wish.wait) = (Step::Leaving, Instant::now(), T1);
        self.send(at);
    }

    fn over(&mut self, at: usize) {
        let Some(wish) = self.wishes.get_mut(at) else { return };
        if wish.step != Step::Over {
            wish.step = Step::Over;
            wish.text = Vec::new();
            let what = wish.what;
            self.count(what).open -= 1;
        }
    }

    /// Waits until everything is over.
    fn settle(&mut self, ends: &mut Vec<End>) -> io::Result<()> {
        let begun = Instant::now();
        while self.registers.open + self.calls.open > 0 {
            self.turn(Duration::from_millis(1), ends)?;
            if begun.elapsed() > FAILED * 3 {
                return Err(io::Error::other("some of them do not come to an end"));
            }
        }
        Ok(())
    }
}
