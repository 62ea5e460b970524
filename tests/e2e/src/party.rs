//! An outside party on the line: an RTP endpoint of its own that notes each packet which comes, and
//! says whether they are one stream without a gap.

use std::io;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

/// A caller of sipp's that stays until it is released; `MEDIA_PORT` is where it listens.
pub const CALLER: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<scenario name="an outside caller that stays until it is released">
  <send retrans="500"><![CDATA[

INVITE sip:[service]@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
Max-Forwards: 70
From: <sip:0455550001@[local_ip]:[local_port]>;tag=[pid]SIPpTag[call_number]
To: <sip:[service]@[remote_ip]:[remote_port]>
Call-ID: [call_id]
CSeq: 1 INVITE
Contact: <sip:carrier@[local_ip]:[local_port]>
P-Asserted-Identity: <sip:0455550001@[local_ip]>
Content-Type: application/sdp
Content-Length: [len]

v=0
o=carrier 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [local_ip]
t=0 0
m=audio MEDIA_PORT RTP/AVP 0
a=rtpmap:0 PCMU/8000

  ]]></send>
  <recv response="100" optional="true"/>
  <recv response="180" optional="true"/>
  <recv response="183" optional="true"/>
  <recv response="200" rrs="true"/>
  <send><![CDATA[

ACK [next_url] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
[routes]
Max-Forwards: 70
From: <sip:0455550001@[local_ip]:[local_port]>;tag=[pid]SIPpTag[call_number]
To: <sip:[service]@[remote_ip]:[remote_port]>[peer_tag_param]
Call-ID: [call_id]
CSeq: 1 ACK
Content-Length: 0

  ]]></send>
  <recv request="BYE"/>
  <send><![CDATA[

SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Content-Length: 0

  ]]></send>
</scenario>
"#;

/// A packet as it came.
#[derive(Clone, Copy, Debug)]
pub struct Packet {
    /// When.
    pub at: Instant,
    /// RFC 3550, 5.1.
    pub ssrc: u32,
    /// The same.
    pub sequence: u16,
    /// The same.
    pub timestamp: u32,
}

/// Speaks silence every 20 ms to whoever speaks to it, and notes what comes.
fn endpoint(socket: &UdpSocket, ends: &AtomicBool) -> Vec<Packet> {
    let (mut packets, mut buffer) = (Vec::new(), [0; 2_048]);
    let (mut peer, mut sent, begin) = (None, 0u32, Instant::now());
    while !ends.load(Ordering::Relaxed) {
        if let Ok((length, from)) = socket.recv_from(&mut buffer)
            && let Some(&[0x80, _, s0, s1, t0, t1, t2, t3, r0, r1, r2, r3]) =
                buffer.get(..length).and_then(|packet| packet.first_chunk())
        {
            peer = Some(from);
            packets.push(Packet {
                at: Instant::now(),
                ssrc: u32::from_be_bytes([r0, r1, r2, r3]),
                sequence: u16::from_be_bytes([s0, s1]),
                timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            });
        }
        while let Some(peer) = peer
            && begin.elapsed() > Duration::from_millis(20) * sent
        {
            sent += 1;
            let mut packet = vec![0x80, 0];
            packet.extend(u16::try_from(sent & 0xFFFF).unwrap_or(0).to_be_bytes());
            packet.extend((sent * 160).to_be_bytes());
            packet.extend(7u32.to_be_bytes());
            packet.extend([0xFF; 160]);
            // What cannot be sent is lost, as on any network.
            let _ = socket.send_to(&packet, peer);
        }
    }
    packets
}

/// When the machine let nobody run for longer than 20 ms: what is late then is not the server's.
fn stalls(ends: &AtomicBool) -> Vec<(Instant, Duration)> {
    let mut stalls = Vec::new();
    while !ends.load(Ordering::Relaxed) {
        let before = Instant::now();
        sleep(Duration::from_millis(5));
        if before.elapsed() > Duration::from_millis(20) {
            stalls.push((before, before.elapsed()));
        }
    }
    stalls
}

/// Speaks silence and listens, on threads of its own.
#[derive(Debug)]
pub struct Party {
    port: u16,
    ends: Arc<AtomicBool>,
    ear: JoinHandle<Vec<Packet>>,
    watch: JoinHandle<Vec<(Instant, Duration)>>,
}

impl Party {
    /// Listens on a free port of the loopback.
    ///
    /// # Errors
    /// No port is free.
    pub fn start() -> io::Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(Duration::from_millis(5)))?;
        let port = socket.local_addr()?.port();
        let ends = Arc::new(AtomicBool::new(false));
        let (own, other) = (Arc::clone(&ends), Arc::clone(&ends));
        let ear = spawn(move || endpoint(&socket, &own));
        let watch = spawn(move || stalls(&other));
        Ok(Self { port, ends, ear, watch })
    }

    /// Where it listens.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Ends it.
    ///
    /// # Errors
    /// One of its threads has panicked.
    pub fn stop(self) -> io::Result<Heard> {
        self.ends.store(true, Ordering::Relaxed);
        let panicked = |_| io::Error::other("a thread of the party has panicked");
        let packets = self.ear.join().map_err(panicked)?;
        Ok(Heard { packets, stalls: self.watch.join().map_err(panicked)? })
    }
}

/// What came.
#[derive(Debug)]
pub struct Heard {
    /// The packets in their order.
    pub packets: Vec<Packet>,
    /// When the machine stood still, and how long.
    pub stalls: Vec<(Instant, Duration)>,
}

impl Heard {
    /// Holds what came against one stream: one SSRC, every sequence number, a timestamp that goes
    /// on, and no pause of more than 60 ms while the machine ran. In words what was seen.
    ///
    /// # Errors
    /// What is wrong with it; also fewer packets than `least`.
    pub fn checked(&self, least: usize) -> Result<String, String> {
        let Self { packets, stalls } = self;
        if packets.len() < least {
            return Err(format!("only {} packets", packets.len()));
        }
        let (mut worst, mut longest_step) = (Duration::ZERO, 0);
        for pair in packets.windows(2) {
            let [before, after] = pair else { continue };
            if before.ssrc != after.ssrc {
                return Err("another stream begins".to_owned());
            }
            if after.sequence != before.sequence.wrapping_add(1) {
                let numbers = (before.sequence, after.sequence);
                return Err(format!("a sequence number is missing or twice: {numbers:?}"));
            }
            let step = after.timestamp.wrapping_sub(before.timestamp);
            if !(1..=480).contains(&step) {
                return Err(format!("the timestamp jumps by {step}"));
            }
            longest_step = longest_step.max(step);
            let within =
                |(at, length): &&(Instant, Duration)| *at < after.at && *at + *length > before.at;
            if stalls.iter().find(within).is_none() {
                worst = worst.max(after.at - before.at);
            }
        }
        let (Some(first), Some(last)) = (packets.first(), packets.last()) else {
            return Err("nothing came".to_owned());
        };
        let told = format!(
            "{} packets in {:.1} s, the longest gap {} ms, the longest step of the timestamp {} ms",
            packets.len(),
            (last.at - first.at).as_secs_f64(),
            worst.as_millis(),
            longest_step / 8
        );
        if worst > Duration::from_millis(60) { Err(told) } else { Ok(told) }
    }
}
