//! An outside party that is transferred from phone to phone hears one stream: its own RTP endpoint
//! sees one SSRC, every sequence number, and timestamps that go on, whatever the phones speak.

use std::fs;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use koukan_e2e::baresip::{Baresip, PhoneSpec};
use koukan_e2e::client::Client as _;
use koukan_e2e::office::{phone, phone_spec};
use koukan_e2e::pjsua::Pjsua;
use koukan_e2e::server::Server;
use koukan_e2e::sipp::{Sipp, SippSpec};
use koukan_e2e::wait::wait_for;

use super::{LIMIT, office};

const CALLER: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
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
struct Packet {
    at: Instant,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
}

/// Speaks silence every 20 ms to whoever speaks to it, and notes what comes.
fn endpoint(socket: &UdpSocket, ends: &AtomicBool) -> Vec<Packet> {
    socket.set_read_timeout(Some(Duration::from_millis(5))).expect("a socket takes a time-out");
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

/// A phone of either kind.
enum Desk {
    Baresip(Baresip),
    Pjsua(Pjsua),
}

impl Desk {
    fn client(&mut self) -> &mut dyn koukan_e2e::client::Client {
        match self {
            Self::Baresip(phone) => phone,
            Self::Pjsua(phone) => phone,
        }
    }

    fn take(&mut self) {
        let phone = self.client();
        assert!(phone.rings(LIMIT), "it does not ring");
        // What rings may be told of twice, the second time of a call that is over.
        let taken = wait_for(LIMIT, || phone.answer().ok());
        assert!(taken.is_some(), "it cannot be answered");
        assert!(phone.connects(LIMIT), "it is not connected");
    }

    fn transfer(&mut self, number: &str) {
        match self {
            Self::Baresip(phone) => phone.transfer(number),
            Self::Pjsua(phone) => phone.transfer(number),
        }
        .expect("the phone can be driven");
    }
}

/// The office with G.722 beside the others.
fn wideband(name: &str) -> Server {
    let mut server = office(name, &[]);
    let file = server.directory.join("conf/koukan.toml");
    let text = fs::read_to_string(&file).expect("there is a configuration");
    let codecs = "[media]\ncodecs = [\"pcmu\", \"pcma\", \"g722\"]\n";
    fs::write(&file, text.replace("[media]\n", codecs)).expect("it can be written");
    server.kill().expect("it runs");
    server.run().expect("it starts again");
    server
}

#[test]
fn ten_transfers_between_phones_of_unlike_codecs_are_one_stream_to_the_outside() {
    let server = wideband("continuity");
    let spec = |name, codecs| PhoneSpec { codecs, ..phone_spec(&server, name) };
    let baresip = |name: char, codecs| {
        let started = phone(&server, &format!("phone-{name}"), &spec(name, codecs));
        Desk::Baresip(started.expect("it registers"))
    };
    let mut wide = Pjsua::start(&server.directory.join("pjsua"), &spec('D', &["G722"]))
        .expect("PJSUA2 starts");
    assert!(wide.registered(Duration::from_secs(20)), "it registers");
    let mut desks = [
        ("804", Desk::Pjsua(wide)),
        ("802", baresip('B', &["PCMA"])),
        ("803", baresip('C', &["PCMU"])),
    ];
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
    let port = socket.local_addr().expect("it is bound").port();
    let ends = Arc::new(AtomicBool::new(false));
    let (own, other) = (ends.clone(), ends.clone());
    let ear = spawn(move || endpoint(&socket, &own));
    let watch = spawn(move || stalls(&other));
    let scenario = CALLER.replace("MEDIA_PORT", &port.to_string());
    let trunk = server.trunk_port;
    let caller = SippSpec {
        scenario: &scenario,
        server: server.sip,
        port: trunk,
        service: "0312340003",
        calls: 1,
    };
    let more = ["-timeout", "180s", "-trace_msg"];
    let mut sipp = Sipp::start_with(&server.directory.join("sipp"), &caller, &more)
        .expect("sipp is installed");
    desks[0].1.take();
    for transfer in 0..10 {
        sleep(Duration::from_secs(1));
        let next = (transfer + 1) % desks.len();
        let number = desks[next].0;
        desks[transfer % desks.len()].1.transfer(number);
        desks[next].1.take();
        assert!(desks[transfer % desks.len()].1.client().clears(LIMIT), "transfer {transfer}");
    }
    sleep(Duration::from_secs(1));
    desks[10 % 3].1.client().hang_up().expect("the phone can be driven");
    assert!(sipp.succeeded(Duration::from_secs(10)), "the caller is released");
    ends.store(true, Ordering::Relaxed);
    let packets = ear.join().expect("the endpoint ran");
    let stalls = watch.join().expect("the watch ran");
    assert_continuous(&packets, &stalls);
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
}

fn assert_continuous(packets: &[Packet], stalls: &[(Instant, Duration)]) {
    assert!(packets.len() > 500, "only {} packets", packets.len());
    let (mut worst, mut longest_step) = (Duration::ZERO, 0);
    for pair in packets.windows(2) {
        let [before, after] = pair else { continue };
        assert_eq!(before.ssrc, after.ssrc, "another stream");
        let next = before.sequence.wrapping_add(1);
        assert_eq!(after.sequence, next, "a sequence number is missing or twice");
        let step = after.timestamp.wrapping_sub(before.timestamp);
        assert!((1..=480).contains(&step), "the timestamp jumps by {step}");
        longest_step = longest_step.max(step);
        let gap = after.at - before.at;
        let within =
            |(at, length): &&(Instant, Duration)| *at < after.at && *at + *length > before.at;
        if stalls.iter().find(within).is_none() {
            worst = worst.max(gap);
        }
    }
    let (Some(first), Some(last)) = (packets.first(), packets.last()) else { return };
    let whole = last.at - first.at;
    println!(
        "{} packets in {:.1} s, the longest gap {} ms, the longest step of the timestamp {} ms",
        packets.len(),
        whole.as_secs_f64(),
        worst.as_millis(),
        longest_step / 8
    );
    assert!(worst <= Duration::from_millis(60), "a gap of {} ms", worst.as_millis());
}
