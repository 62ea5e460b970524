//! The call around a machine: as much SIP, RTP and UDPTL as a carrier's gateway needs.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, UdpSocket};

use koukan_codecs::g711;
use koukan_media::RtpHeader;
use koukan_media::udptl::{Correction, Receiver, Sender};

use super::dial::{Dial, Invitation};
use super::machine::Machine;
use super::wire::{Hub, Wire};
use super::{SAMPLES, T38};
use crate::server::Server;

/// Packets that wait before the first is heard: the machine that tests run on has other work too.
const DEPTH: usize = 10;

/// What the signalling brings.
pub(super) enum Said {
    Nothing,
    Over,
    /// T.38 takes the place of the audio.
    Image,
}

/// The call around it.
pub(super) struct Call {
    sip: Wire,
    server: SocketAddr,
    rtp: UdpSocket,
    peer: SocketAddr,
    /// From, To with its tag, Call-ID: what every request within the call has.
    dialog: [String; 3],
    target: String,
    waiting: VecDeque<[i16; SAMPLES]>,
    began: bool,
    sequence: u16,
    pub(super) hung_up: bool,
    asked: bool,
    /// T.38 in the place of the audio.
    pub(super) udptl: Option<(Receiver, Sender)>,
}

impl Call {
    pub(super) fn dial(hub: &Hub, server: &Server, dial: &Dial<'_>) -> io::Result<Self> {
        let rtp = UdpSocket::bind("127.0.0.1:0")?;
        rtp.set_nonblocking(true)?;
        let port = rtp.local_addr()?.port();
        let invitation = Invitation::new(hub, server, dial, port)?;
        let sip = hub.wire(&invitation.call_id);
        let (answer, number) = invitation.answered(&sip, server, dial.credentials)?;
        let missing = || io::Error::other("the answer lacks something");
        let to = header(&answer, "To").ok_or_else(missing)?;
        let contact = header(&answer, "Contact").ok_or_else(missing)?;
        let inside = contact.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
        let target = inside.map_or(contact.clone(), |(uri, _)| uri.to_owned());
        let kind = if dial.by_t38 { "m=image " } else { "m=audio " };
        let media = answer.lines().find_map(|line| line.strip_prefix(kind));
        let port = media.and_then(|media| media.split(' ').next()?.parse().ok());
        let peer = SocketAddr::from(([127, 0, 0, 1], port.ok_or_else(missing)?));
        let call = Self {
            sip,
            server: server.sip,
            rtp,
            peer,
            dialog: [invitation.from, to, invitation.call_id],
            target,
            waiting: VecDeque::new(),
            began: false,
            sequence: 0,
            hung_up: false,
            asked: false,
            udptl: dial.by_t38.then(udptl),
        };
        call.request("ACK", number, "")?;
        Ok(call)
    }

    /// Answers an INVITE that has come to the carrier or the adapter.
    pub(super) fn accept(hub: &Hub, server: SocketAddr, invite: &str) -> io::Result<Self> {
        let rtp = UdpSocket::bind("127.0.0.1:0")?;
        rtp.set_nonblocking(true)?;
        let port = rtp.local_addr()?.port();
        let missing = || io::Error::other("the INVITE lacks something");
        let to = header(invite, "To").ok_or_else(missing)?;
        let from = header(invite, "From").ok_or_else(missing)?;
        let call_id = header(invite, "Call-ID").ok_or_else(missing)?;
        let sip = hub.wire(&call_id);
        let contact = header(invite, "Contact").ok_or_else(missing)?;
        let inside = contact.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
        let target = inside.map_or(contact.clone(), |(uri, _)| uri.to_owned());
        let media = invite.lines().find_map(|line| line.strip_prefix("m=audio "));
        let peer = media.and_then(|media| media.split(' ').next()?.parse().ok());
        let peer = SocketAddr::from(([127, 0, 0, 1], peer.ok_or_else(missing)?));
        let tagged = format!("{to};tag=machine{port}");
        let body = format!(
            "v=0\r\no=machine 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=ptime:20\r\n"
        );
        let call = Self {
            sip,
            server,
            rtp,
            peer,
            dialog: [tagged.clone(), from, call_id],
            target,
            waiting: VecDeque::new(),
            began: false,
            sequence: 0,
            hung_up: false,
            asked: false,
            udptl: None,
        };
        let answered = invite.replace(&format!("To: {to}"), &format!("To: {tagged}"));
        call.answer(&answered, "200 OK", &body)?;
        Ok(call)
    }

    pub(super) fn request(&self, method: &str, number: u32, body: &str) -> io::Result<()> {
        let (own, port) = (self.sip.address()?, self.rtp.local_addr()?.port());
        let [from, to, call_id] = &self.dialog;
        let text = format!(
            "{method} {} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK{method}{}\r\n\
             Max-Forwards: 70\r\nFrom: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\n\
             CSeq: {number} {method}\r\nContact: <sip:machine@{own}>\r\n{}\
             Content-Length: {}\r\n\r\n{body}",
            self.target,
            // A socket of SIP may have many calls, one of media has one.
            format_args!("{port}x{number}"),
            if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" },
            body.len(),
        );
        self.sip.send(&text, self.server)
    }

    pub(super) fn bye(&mut self) -> io::Result<()> {
        self.request("BYE", 90, "")
    }

    /// Takes the packets that came.
    pub(super) fn hear(&mut self, machine: &mut Machine) -> io::Result<()> {
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
    pub(super) fn send_packets(&mut self, packets: &[(u8, Vec<u8>)]) -> io::Result<()> {
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
    pub(super) fn take(&mut self) -> [i16; SAMPLES] {
        let next = if self.began { self.waiting.pop_front() } else { None };
        next.unwrap_or([0; SAMPLES])
    }

    /// Sends a packet.
    pub(super) fn say(&mut self, samples: &[i16; SAMPLES]) -> io::Result<()> {
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
    pub(super) fn signalling(&mut self, t38: T38) -> io::Result<Said> {
        if t38 == T38::Asks && !self.asked {
            self.asked = true;
            self.request("INVITE", 20, &self.image()?)?;
        }
        let Some(text) = self.sip.poll()? else { return Ok(Said::Nothing) };
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
        let is_ours = header(&text, "CSeq").is_some_and(|cseq| cseq == "20 INVITE");
        if !is_ours || text.starts_with("SIP/2.0 1") {
            return Ok(Said::Nothing);
        }
        self.request("ACK", 20, "")?;
        if text.starts_with("SIP/2.0 200") { self.turn(&text) } else { Ok(Said::Nothing) }
    }

    /// T.38 is agreed on with this description of the server.
    fn turn(&mut self, text: &str) -> io::Result<Said> {
        let media = text.lines().find_map(|line| line.strip_prefix("m=image "));
        let port: Option<u16> = media.and_then(|media| media.split(' ').next()?.parse().ok());
        let port = port.filter(|port| *port != 0);
        self.peer.set_port(port.ok_or_else(|| io::Error::other("no port of T.38"))?);
        self.udptl = Some(udptl());
        Ok(Said::Image)
    }

    /// Its own description of T.38, in the spelling of a gateway of the market.
    fn image(&self) -> io::Result<String> {
        Ok(image_on(self.rtp.local_addr()?.port()))
    }

    pub(super) fn answer(&self, request: &str, status: &str, body: &str) -> io::Result<()> {
        let copied = |line: &&str| {
            let names = ["via:", "from:", "to:", "call-id:", "cseq:"];
            names.iter().any(|name| line.to_ascii_lowercase().starts_with(name))
        };
        let head: Vec<&str> = request.lines().filter(copied).collect();
        let own = self.sip.address()?;
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let answer = format!(
            "SIP/2.0 {status}\r\n{}\r\nContact: <sip:machine@{own}>\r\n{kind}\
             Content-Length: {}\r\n\r\n{body}",
            head.join("\r\n"),
            body.len()
        );
        self.sip.send(&answer, self.server)
    }
}

pub(super) fn header(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find(|line| {
        line.get(..name.len() + 1)
            .is_some_and(|head| head.eq_ignore_ascii_case(&format!("{name}:")))
    })?;
    Some(line[name.len() + 1..].trim().to_owned())
}

/// Refuses an INVITE.
pub(super) fn refuse(hub: &Hub, server: SocketAddr, invite: &str, status: &str) -> io::Result<()> {
    let copied = |line: &&str| {
        let names = ["via:", "from:", "to:", "call-id:", "cseq:"];
        names.iter().any(|name| line.to_ascii_lowercase().starts_with(name))
    };
    let tagged = |line: &str| {
        if line.to_ascii_lowercase().starts_with("to:") {
            format!("{line};tag=refused")
        } else {
            line.to_owned()
        }
    };
    let head: Vec<String> = invite.lines().filter(copied).map(tagged).collect();
    let text = format!("SIP/2.0 {status}\r\n{}\r\nContent-Length: 0\r\n\r\n", head.join("\r\n"));
    hub.send(&text, server)
}

/// A description of T.38, in the spelling of a gateway of the market.
pub(super) fn image_on(port: u16) -> String {
    format!(
        "v=0\r\no=machine 1 2 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=image {port} UDPTL t38\r\na=T38FaxVersion:0\r\na=T38MaxBitRate:14400\r\n\
             a=T38FaxFillBitRemoval:0\r\na=T38FaxTranscodingMMR:0\r\n\
             a=T38FaxRateManagement:transferredTCF\r\na=T38FaxMaxBuffer:1024\r\n\
             a=T38FaxMaxDatagram:238\r\na=T38FaxUdpEC:t38UDPRedundancy\r\n"
    )
}

fn udptl() -> (Receiver, Sender) {
    (Receiver::default(), Sender::new(Correction::Redundancy { depth: 3 }, 400))
}
