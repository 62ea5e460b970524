//! A fax machine that no one here wrote, at the other end of a real call: Debian's libspandsp2
//! behind `fax/worker/tests/agent.c`, with as much SIP and RTP around it as a carrier's gateway
//! needs. It calls from the address of the sample's carrier.

use std::collections::VecDeque;
use std::fs;
use std::io::{self, BufReader, Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use koukan_codecs::g711;
use koukan_fax::{Bitmap, EncodedPage, Resolution, tiff};
use koukan_media::RtpHeader;
use koukan_media::udptl::{Correction, Receiver, Sender};

use crate::server::{Server, source_root, target};

const TICK: Duration = Duration::from_millis(20);
const SAMPLES: usize = 160;
/// Packets that wait before the first is heard: the machine that tests run on has other work too.
const DEPTH: usize = 10;
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

/// Builds the machine once; `None` where its library is not installed.
fn program() -> Option<&'static Path> {
    static PROGRAM: OnceLock<Option<PathBuf>> = OnceLock::new();
    let built = PROGRAM.get_or_init(|| {
        if !Path::new("/usr/include/spandsp/t38_core.h").is_file() {
            println!("libspandsp-dev is not installed: no fax machine calls");
            return None;
        }
        let name = format!("fax-machine-{}", std::process::id());
        let program = target().expect("built by cargo").join(name);
        let source = source_root().join("fax/worker/tests/agent.c");
        let mut command = Command::new("cc");
        command.args(["-O1", "-o"]).arg(&program).arg(source).arg("-lspandsp");
        let done = command.output().expect("a C compiler is there");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        Some(program)
    });
    built.as_deref()
}

/// Whether there is a machine.
#[must_use]
pub fn is_there() -> bool {
    program().is_some()
}

/// A page with lines that look like words.
#[must_use]
pub fn page(seed: u32, height: u32) -> Bitmap {
    let mut page = Bitmap::white(1_728, height);
    for y in 0..height {
        for x in 100..1_600 {
            let letter = ((x + 31 * seed) / 9).wrapping_mul(7) ^ (y / 22).wrapping_mul(13);
            if y % 22 < 13 && x % 9 < 6 && (letter >> (x % 3)) & 1 == 1 {
                page.set_black(x, y);
            }
        }
    }
    page
}

/// Writes pages as what a machine sends.
///
/// # Errors
/// The file cannot be written.
pub fn document(path: &Path, pages: &[Bitmap]) -> io::Result<()> {
    let dpi = Resolution::Standard.dpi();
    let coded: Vec<EncodedPage> = pages.iter().map(|page| EncodedPage::t6(page, dpi)).collect();
    fs::write(path, tiff::write(&coded))
}

/// The pages of a PDF, taken out by poppler's pdfimages.
///
/// # Errors
/// pdfimages is missing or refuses the file.
pub fn pages_of_pdf(pdf: &Path) -> io::Result<Vec<Bitmap>> {
    let prefix = pdf.with_extension("page");
    let done = Command::new("pdfimages").arg(pdf).arg(&prefix).output()?;
    if !done.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&done.stderr).into_owned()));
    }
    let mut pages = Vec::new();
    for number in 0.. {
        let file = PathBuf::from(format!("{}-{number:03}.pbm", prefix.display()));
        let Ok(bytes) = fs::read(&file) else { break };
        fs::remove_file(&file)?;
        pages.push(pbm(&bytes).ok_or_else(|| io::Error::other("no PBM"))?);
    }
    Ok(pages)
}

/// A raw PBM: `P4 WIDTH HEIGHT` and packed lines, 1 is black.
fn pbm(bytes: &[u8]) -> Option<Bitmap> {
    let mut rest = bytes.strip_prefix(b"P4\n")?;
    let mut numbers = Vec::new();
    while numbers.len() < 2 {
        let end = rest.iter().position(u8::is_ascii_whitespace)?;
        let word = std::str::from_utf8(rest.get(..end)?).ok()?;
        numbers.push(word.parse::<u32>().ok()?);
        rest = rest.get(end + 1..)?;
    }
    let width = *numbers.first()?;
    let mut page = Bitmap::new(width);
    for row in rest.chunks_exact(width.div_ceil(8) as usize) {
        page.push_row(row);
    }
    Some(page)
}

/// Calls and sends a document; returns when the call is over.
///
/// # Errors
/// The call is not answered, or the machine does not start.
pub fn send(server: &Server, sending: &Sending<'_>) -> io::Result<Outcome> {
    let mut call = Call::dial(server, sending.number)?;
    let mut machine = Machine::start("audio", sending.file)?;
    let begun = Instant::now();
    let mut over_at = None;
    let mut reached = None;
    let mut called = false;
    let mut next = begun;
    loop {
        next += TICK;
        thread::sleep(next.saturating_duration_since(Instant::now()));
        match call.signalling(sending.t38)? {
            Said::Nothing => {}
            Said::Over => break,
            Said::Image => machine = Machine::start("t38", sending.file)?,
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
        if let Some((pages, act)) = sending.after
            && !called
            && machine.pages >= pages
        {
            called = true;
            act(server);
        }
        if let Some((pages, more)) = sending.hangs_up
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

/// The program behind its pipe.
struct Machine {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    over: bool,
    code: u8,
    pages: u8,
}

impl Machine {
    fn start(medium: &str, file: &Path) -> io::Result<Self> {
        let program = program().ok_or_else(|| io::Error::other("no fax machine"))?;
        let mut command = Command::new(program);
        command.args([medium, "call", "send"]).arg(file).args(["7", "1"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (to, from) = (child.stdin.take(), child.stdout.take());
        let (Some(to), Some(from)) = (to, from) else { return Err(io::Error::other("no pipe")) };
        let from = BufReader::new(from);
        Ok(Self { child, to, from, over: false, code: 0, pages: 0 })
    }

    /// 20 ms: what it hears, and what it says.
    fn tick(&mut self, heard: &[i16; SAMPLES]) -> io::Result<[i16; SAMPLES]> {
        let mut request = vec![b'A'];
        heard.iter().for_each(|sample| request.extend_from_slice(&sample.to_le_bytes()));
        self.to.write_all(&request)?;
        let mut answer = [0; 1 + 2 * SAMPLES];
        self.from.read_exact(&mut answer)?;
        let mut said = [0; SAMPLES];
        for (sample, pair) in said.iter_mut().zip(answer[1..].chunks_exact(2)) {
            *sample = i16::from_le_bytes([pair[0], pair[1]]);
        }
        let mut status = [0; 4];
        self.from.read_exact(&mut status)?;
        (self.over, self.code, self.pages) = (status[1] != 0, status[2], status[3]);
        Ok(said)
    }
}

impl Machine {
    /// 20 ms of T.38: the packets that it sends, with how often each goes.
    fn tick_t38(&mut self) -> io::Result<Vec<(u8, Vec<u8>)>> {
        self.to.write_all(b"T")?;
        let mut packets = Vec::new();
        loop {
            let mut head = [0; 4];
            self.from.read_exact(&mut head)?;
            if head[0] == b'S' {
                (self.over, self.code, self.pages) = (head[1] != 0, head[2], head[3]);
                return Ok(packets);
            }
            let mut ifp = vec![0; usize::from(u16::from_be_bytes([head[2], head[3]]))];
            self.from.read_exact(&mut ifp)?;
            packets.push((head[1].clamp(1, 3), ifp));
        }
    }

    /// A packet came.
    fn take(&mut self, number: u16, ifp: &[u8]) -> io::Result<()> {
        let length = u16::try_from(ifp.len()).unwrap_or(u16::MAX);
        let [a, b] = number.to_be_bytes();
        let [c, d] = length.to_be_bytes();
        self.to.write_all(&[b'P', a, b, c, d])?;
        self.to.write_all(ifp)
    }
}

/// What the signalling brings.
enum Said {
    Nothing,
    Over,
    /// T.38 takes the place of the audio.
    Image,
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.to.write_all(b"Q");
        let _ = self.to.flush();
        let _ = self.child.wait();
    }
}

/// The call around it.
struct Call {
    sip: UdpSocket,
    server: SocketAddr,
    rtp: UdpSocket,
    peer: SocketAddr,
    /// From, To with its tag, Call-ID: what every request within the call has.
    dialog: [String; 3],
    target: String,
    waiting: VecDeque<[i16; SAMPLES]>,
    began: bool,
    sequence: u16,
    hung_up: bool,
    asked: bool,
    /// T.38 in the place of the audio.
    udptl: Option<(Receiver, Sender)>,
}

impl Call {
    fn dial(server: &Server, number: &str) -> io::Result<Self> {
        let sip = UdpSocket::bind(("127.0.0.1", server.trunk_port))?;
        sip.set_read_timeout(Some(Duration::from_secs(10)))?;
        let rtp = UdpSocket::bind("127.0.0.1:0")?;
        rtp.set_nonblocking(true)?;
        let (own, port) = (sip.local_addr()?, rtp.local_addr()?.port());
        let from = format!("<sip:0455550001@{own}>;tag=fax{port}");
        let to = format!("<sip:{number}@{}>", server.sip);
        let call_id = format!("fax-{port}-{}@machine", std::process::id());
        let target = format!("sip:{number}@{}", server.sip);
        let body = format!(
            "v=0\r\no=machine 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio {port} RTP/AVP 0 8\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
             a=ptime:20\r\na=sendrecv\r\n"
        );
        let request = format!(
            "INVITE {target} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bKi{port}\r\n\
             Max-Forwards: 70\r\nFrom: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\n\
             CSeq: 1 INVITE\r\nContact: <sip:machine@{own}>\r\n\
             Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        sip.send_to(request.as_bytes(), server.sip)?;
        let answer = loop {
            let text = receive(&sip)?;
            if text.starts_with("SIP/2.0 2") {
                break text;
            }
            if !text.starts_with("SIP/2.0 1") {
                return Err(io::Error::other(text));
            }
        };
        let missing = || io::Error::other("the answer lacks something");
        let to = header(&answer, "To").ok_or_else(missing)?;
        let contact = header(&answer, "Contact").ok_or_else(missing)?;
        let inside = contact.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
        let target = inside.map_or(contact.clone(), |(uri, _)| uri.to_owned());
        let media = answer.lines().find_map(|line| line.strip_prefix("m=audio "));
        let port = media.and_then(|media| media.split(' ').next()?.parse().ok());
        let peer = SocketAddr::from(([127, 0, 0, 1], port.ok_or_else(missing)?));
        let call = Self {
            sip,
            server: server.sip,
            rtp,
            peer,
            dialog: [from, to, call_id],
            target,
            waiting: VecDeque::new(),
            began: false,
            sequence: 0,
            hung_up: false,
            asked: false,
            udptl: None,
        };
        call.request("ACK", 1, "")?;
        call.sip.set_nonblocking(true)?;
        Ok(call)
    }

    fn request(&self, method: &str, number: u32, body: &str) -> io::Result<()> {
        let own = self.sip.local_addr()?;
        let [from, to, call_id] = &self.dialog;
        let text = format!(
            "{method} {} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK{method}{}\r\n\
             Max-Forwards: 70\r\nFrom: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\n\
             CSeq: {number} {method}\r\nContact: <sip:machine@{own}>\r\n{}\
             Content-Length: {}\r\n\r\n{body}",
            self.target,
            format_args!("{}x{number}", own.port()),
            if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" },
            body.len(),
        );
        self.sip.send_to(text.as_bytes(), self.server).map(|_| ())
    }

    fn bye(&mut self) -> io::Result<()> {
        self.request("BYE", 9, "")
    }

    /// Takes the packets that came.
    fn hear(&mut self, machine: &mut Machine) -> io::Result<()> {
        let mut packet = [0; 2_048];
        loop {
            let (count, _) = match self.rtp.recv_from(&mut packet) {
                Ok(came) => came,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            };
            if let Some((receiver, _)) = &mut self.udptl {
                let mut came = Vec::new();
                // What is no UDPTL is RTP that was on its way.
                let _ = receiver.receive(&packet[..count], |number, ifp: &[u8]| {
                    came.push((number, ifp.to_vec()));
                });
                for (number, ifp) in came {
                    machine.take(number, &ifp)?;
                }
                continue;
            }
            let Some(head) = RtpHeader::parse(&packet[..count]) else { continue };
            let payload = &packet[head.payload_start..head.payload_end];
            if payload.len() == SAMPLES {
                let mut samples = [0; SAMPLES];
                g711::decode_ulaw(payload, &mut samples);
                self.waiting.push_back(samples);
            }
        }
        self.began |= self.waiting.len() >= DEPTH;
        Ok(())
    }

    /// Sends packets of T.38.
    fn send_packets(&mut self, packets: &[(u8, Vec<u8>)]) -> io::Result<()> {
        let Some((_, sender)) = &mut self.udptl else { return Ok(()) };
        let mut datagram = Vec::new();
        for (times, ifp) in packets {
            sender.write(ifp, &mut datagram);
            for _ in 0..*times {
                self.rtp.send_to(&datagram, self.peer)?;
            }
        }
        Ok(())
    }

    /// What is heard in this tick: silence until enough waits.
    fn take(&mut self) -> [i16; SAMPLES] {
        let next = if self.began { self.waiting.pop_front() } else { None };
        next.unwrap_or([0; SAMPLES])
    }

    /// Sends a packet.
    fn say(&mut self, samples: &[i16; SAMPLES]) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        let head = RtpHeader {
            marker: self.sequence == 1,
            payload_type: 0,
            sequence: self.sequence,
            timestamp: u32::from(self.sequence) * 160,
            ssrc: 77,
            payload_start: 12,
            payload_end: 12 + SAMPLES,
        };
        let mut packet = head.bytes().to_vec();
        packet.resize(12 + SAMPLES, 0);
        g711::encode_ulaw(samples, &mut packet[12..]);
        self.rtp.send_to(&packet, self.peer).map(|_| ())
    }

    /// Takes what the server says, and answers it.
    fn signalling(&mut self, t38: T38) -> io::Result<Said> {
        if t38 == T38::Asks && !self.asked {
            self.asked = true;
            self.request("INVITE", 2, &self.image()?)?;
        }
        let text = match receive(&self.sip) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Said::Nothing),
            Err(error) => return Err(error),
        };
        if text.starts_with("BYE ") {
            self.hung_up = true;
            self.answer(&text, "200 OK", "")?;
            return Ok(Said::Over);
        }
        if text.starts_with("INVITE ") {
            if !text.contains("m=image ") || t38 == T38::Refuses {
                self.answer(&text, "488 Not Acceptable Here", "")?;
                return Ok(Said::Nothing);
            }
            self.answer(&text, "200 OK", &self.image()?)?;
            return self.turn(&text);
        }
        let is_ours = header(&text, "CSeq").is_some_and(|cseq| cseq == "2 INVITE");
        if !is_ours || text.starts_with("SIP/2.0 1") {
            return Ok(Said::Nothing);
        }
        self.request("ACK", 2, "")?;
        if text.starts_with("SIP/2.0 200") { self.turn(&text) } else { Ok(Said::Nothing) }
    }

    /// T.38 is agreed on with this description of the server.
    fn turn(&mut self, text: &str) -> io::Result<Said> {
        let media = text.lines().find_map(|line| line.strip_prefix("m=image "));
        let port: Option<u16> = media.and_then(|media| media.split(' ').next()?.parse().ok());
        let port = port.filter(|port| *port != 0);
        self.peer.set_port(port.ok_or_else(|| io::Error::other("no port of T.38"))?);
        let correction = Correction::Redundancy { depth: 3 };
        self.udptl = Some((Receiver::default(), Sender::new(correction, 400)));
        Ok(Said::Image)
    }

    /// Its own description of T.38, in the spelling of a gateway of the market.
    fn image(&self) -> io::Result<String> {
        let port = self.rtp.local_addr()?.port();
        Ok(format!(
            "v=0\r\no=machine 1 2 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=image {port} UDPTL t38\r\na=T38FaxVersion:0\r\na=T38MaxBitRate:14400\r\n\
             a=T38FaxFillBitRemoval:0\r\na=T38FaxTranscodingMMR:0\r\n\
             a=T38FaxRateManagement:transferredTCF\r\na=T38FaxMaxBuffer:1024\r\n\
             a=T38FaxMaxDatagram:238\r\na=T38FaxUdpEC:t38UDPRedundancy\r\n"
        ))
    }

    fn answer(&self, request: &str, status: &str, body: &str) -> io::Result<()> {
        let copied = |line: &&str| {
            let names = ["via:", "from:", "to:", "call-id:", "cseq:"];
            names.iter().any(|name| line.to_ascii_lowercase().starts_with(name))
        };
        let head: Vec<&str> = request.lines().filter(copied).collect();
        let own = self.sip.local_addr()?;
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let answer = format!(
            "SIP/2.0 {status}\r\n{}\r\nContact: <sip:machine@{own}>\r\n{kind}\
             Content-Length: {}\r\n\r\n{body}",
            head.join("\r\n"),
            body.len()
        );
        self.sip.send_to(answer.as_bytes(), self.server).map(|_| ())
    }
}

fn receive(sip: &UdpSocket) -> io::Result<String> {
    let mut buffer = [0; 8_192];
    let (count, _) = sip.recv_from(&mut buffer)?;
    Ok(String::from_utf8_lossy(&buffer[..count]).into_owned())
}

fn header(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find(|line| {
        line.get(..name.len() + 1)
            .is_some_and(|head| head.eq_ignore_ascii_case(&format!("{name}:")))
    })?;
    Some(line[name.len() + 1..].trim().to_owned())
}
