//! Debian's baresip as a receiver: processes of it that each take a call, hear the packets of a
//! trace in real time, and send back what they play (its `aubridge`, which joins the loudspeaker
//! with the microphone). What comes back is what was heard, G.711 sample for sample, G.722 encoded
//! once more.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use koukan_codecs::{Decoder, sample_rate};
use koukan_media::jitter::Decode;
use koukan_media::{Codec, HEADER_BYTES, RtpHeader};

const MODULES: &str = "/usr/lib/baresip/modules";

/// It is started and its call answered within these.
const PATIENCE: Duration = Duration::from_secs(10);

/// Silence that it hears before the first packet of a trace, so that its clocks run.
const BEFORE: Duration = Duration::from_millis(500);

/// What it plays comes back within so much of when it was sent.
const BEHIND: Duration = Duration::from_millis(900);

/// A packet of the trace of one receiver.
pub(crate) struct Trace<'t> {
    pub(crate) packets: &'t [Vec<u8>],
    pub(crate) delays: &'t [Option<Duration>],
}

/// One running receiver.
pub(crate) struct Receiver {
    child: Child,
    directory: PathBuf,
    sip: SocketAddr,
    calls: u32,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// A call under way.
struct Call {
    signalling: UdpSocket,
    media: UdpSocket,
    target: SocketAddr,
    head: String,
    to: String,
}

impl Receiver {
    /// Its version, when it is installed.
    pub(crate) fn version() -> Option<String> {
        let output = Command::new("baresip").arg("-h").output().ok()?;
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        let words = text.split_whitespace();
        Some(words.take(2).collect::<Vec<_>>().join(" ")).filter(|words| words.contains("baresip"))
    }

    /// Starts one with the settings that it comes with.
    pub(crate) fn start(directory: &Path, number: u16) -> io::Result<Self> {
        let directory = directory.join(format!("baresip-{number}"));
        std::fs::create_dir_all(&directory)?;
        let sip = free_address()?;
        let rtp = 40_000 + number * 20;
        let config = format!(
            "poll_method epoll\nsip_listen {sip}\nnet_interface 127.0.0.1\ncall_max_calls 4\n\
             audio_player aubridge,loop\naudio_source aubridge,loop\naudio_alert nil,nil\n\
             ausrc_format s16\nauplay_format s16\nauenc_format s16\naudec_format s16\n\
             audio_buffer 20-160\nrtp_ports {rtp}-{}\njitter_buffer_delay 5-10\n\
             module_path {MODULES}\nstatmode_default off\nringback_disabled yes\n\
             module g711.so\nmodule g722.so\nmodule aubridge.so\nmodule_tmp account.so\n\
             module_app menu.so\n",
            rtp + 18,
        );
        let account = format!(
            "<sip:ear@{sip}>;regint=0;answermode=auto;audio_codecs=PCMA/8000/1,G722/16000/1\n"
        );
        std::fs::write(directory.join("config"), config)?;
        std::fs::write(directory.join("accounts"), account)?;
        std::fs::write(directory.join("contacts"), "")?;
        let child = Command::new("baresip")
            .arg("-f")
            .arg(&directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self { child, directory, sip, calls: 0 })
    }

    /// Calls it: an INVITE until it answers.
    fn call(&mut self, codec: Codec) -> io::Result<Call> {
        self.calls += 1;
        let signalling = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let media = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let (own, port) = (signalling.local_addr()?, media.local_addr()?.port());
        let number = codec.offered_payload_type();
        let rtpmap = if codec == Codec::G722 { "G722/8000" } else { "PCMA/8000" };
        let body = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio {port} RTP/AVP {number}\r\na=rtpmap:{number} {rtpmap}\r\na=ptime:20\r\n"
        );
        let sip = self.sip;
        let head = format!(
            "Via: SIP/2.0/UDP {own};branch=z9hG4bK{port}-{{cseq}}\r\nMax-Forwards: 70\r\n\
             From: <sip:bench@{own}>;tag=b{port}\r\nCall-ID: {port}-{}@{own}\r\n\
             Contact: <sip:bench@{own}>\r\n",
            self.calls
        );
        let invite = format!(
            "INVITE sip:ear@{sip} SIP/2.0\r\n{}To: <sip:ear@{sip}>\r\nCSeq: 1 INVITE\r\n\
             Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
            head.replace("{cseq}", "1"),
            body.len()
        );
        signalling.set_read_timeout(Some(Duration::from_millis(500)))?;
        let end = Instant::now() + PATIENCE;
        let mut buffer = [0; 4_096];
        while Instant::now() < end {
            signalling.send_to(invite.as_bytes(), sip)?;
            while let Ok((length, _)) = signalling.recv_from(&mut buffer) {
                let answer = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default());
                if !answer.starts_with("SIP/2.0 200") {
                    continue;
                }
                let line = |name: &str| answer.lines().find(|line| line.starts_with(name));
                let to = line("To:").unwrap_or_default().trim_end().to_owned();
                let port = line("m=audio ").and_then(|line| line.split(' ').nth(1)?.parse().ok());
                let port: u16 =
                    port.ok_or_else(|| io::Error::other("baresip's answer has no audio"))?;
                let ack = format!(
                    "ACK sip:ear@{sip} SIP/2.0\r\n{}{to}\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n",
                    head.replace("{cseq}", "2")
                );
                signalling.send_to(ack.as_bytes(), sip)?;
                let target = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
                media.set_nonblocking(true)?;
                return Ok(Call { signalling, media, target, head, to });
            }
        }
        Err(io::Error::other("baresip does not answer"))
    }

    fn hang_up(&self, call: &Call) -> io::Result<()> {
        let sip = self.sip;
        let bye = format!(
            "BYE sip:ear@{sip} SIP/2.0\r\n{}{}\r\nCSeq: 2 BYE\r\nContent-Length: 0\r\n\r\n",
            call.head.replace("{cseq}", "3"),
            call.to
        );
        call.signalling.send_to(bye.as_bytes(), sip)?;
        // The answer, or not: the next call is another one.
        let _ = call.signalling.recv_from(&mut [0; 4_096]);
        Ok(())
    }
}

/// Lets each receiver hear its trace, all of them at once; what each played, moved back by its own
/// delay.
pub(crate) fn heard(
    receivers: &mut [Receiver],
    codec: Codec,
    traces: &[Trace<'_>],
    said: &[Vec<i16>],
) -> io::Result<Vec<Vec<i16>>> {
    let mut calls = Vec::new();
    for receiver in receivers.iter_mut() {
        calls.push(receiver.call(codec)?);
    }
    let mut due = Vec::new();
    for (number, trace) in traces.iter().enumerate() {
        for (packet, delay) in trace.delays.iter().enumerate() {
            let sent = Duration::from_millis(20) * u32::try_from(packet).unwrap_or(0);
            due.extend(delay.map(|delay| (BEFORE + sent + delay, number, packet)));
        }
    }
    due.sort_unstable();
    let length = traces.iter().map(|trace| trace.packets.len()).max().unwrap_or(0);
    let length = Duration::from_millis(20) * u32::try_from(length).unwrap_or(0);
    let (begun, mut due) = (Instant::now(), due.into_iter().peekable());
    let mut back: Vec<Vec<(Duration, Vec<u8>)>> = calls.iter().map(|_| Vec::new()).collect();
    while begun.elapsed() < BEFORE + length + BEHIND {
        while let Some((_, number, packet)) = due.next_if(|(at, ..)| *at <= begun.elapsed()) {
            let (Some(call), Some(trace)) = (calls.get(number), traces.get(number)) else {
                continue;
            };
            let payload = trace.packets.get(packet).map(Vec::as_slice).unwrap_or_default();
            let out = datagram(codec, packet, payload);
            // What a full socket does not take is lost, as on any network.
            let _ = call.media.send_to(&out, call.target);
        }
        let mut buffer = [0; 2_048];
        for (call, back) in calls.iter().zip(&mut back) {
            while let Ok((length, _)) = call.media.recv_from(&mut buffer) {
                let datagram = buffer.get(..length).unwrap_or_default();
                back.push((begun.elapsed(), datagram.to_vec()));
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    for (receiver, call) in receivers.iter().zip(&calls) {
        receiver.hang_up(call)?;
    }
    back.iter().zip(said).map(|(back, said)| played(codec, back, said)).collect()
}

fn datagram(codec: Codec, number: usize, payload: &[u8]) -> Vec<u8> {
    let number = u32::try_from(number).unwrap_or(0);
    let [.., high, low] = number.to_be_bytes();
    let header = RtpHeader {
        marker: number == 0,
        payload_type: codec.offered_payload_type(),
        sequence: u16::from_be_bytes([high, low]),
        timestamp: number.wrapping_mul(codec.clock_rate() / 50),
        ssrc: 7,
        payload_start: HEADER_BYTES,
        payload_end: HEADER_BYTES,
    };
    [header.bytes().as_slice(), payload].concat()
}

/// The sound that came back, from the moment at which the first packet was sent, moved back by how
/// much later it was played.
fn played(codec: Codec, back: &[(Duration, Vec<u8>)], said: &[i16]) -> io::Result<Vec<i16>> {
    let (mut decoder, rate) = Decoder::new(codec, sample_rate(codec)).map_err(io::Error::other)?;
    let second = usize::try_from(rate).unwrap_or(8_000);
    let mut sound = vec![0i16; said.len() + second * 2];
    let mut first: Option<(usize, u32)> = None;
    let mut out = [0; 960];
    for (at, datagram) in back {
        let Some(header) = RtpHeader::parse(datagram) else { continue };
        let payload = datagram.get(header.payload_start..header.payload_end).unwrap_or_default();
        let count = decoder.decode(payload, &mut out);
        let at = at.as_micros() * u128::from(rate) / 1_000_000;
        let at = usize::try_from(at).unwrap_or(0);
        let (place, timestamp) = *first.get_or_insert((at, header.timestamp));
        let moved = header.timestamp.wrapping_sub(timestamp) / (codec.clock_rate() / 50);
        let place = place + usize::try_from(moved).unwrap_or(0) * (second / 50);
        for (to, from) in sound.iter_mut().skip(place).zip(out.iter().take(count)) {
            *to = *from;
        }
    }
    let before = usize::try_from(BEFORE.as_millis()).unwrap_or(0) * second / 1_000;
    let sound = sound.get(before..).unwrap_or_default();
    let late = shift(said, sound, second);
    let mut heard = sound.get(late..).unwrap_or_default().to_vec();
    heard.resize(said.len(), 0);
    Ok(heard)
}

/// By how many samples what was heard lies behind what was said: where their envelopes of 5 ms fit
/// best.
fn shift(said: &[i16], heard: &[i16], second: usize) -> usize {
    let step = second / 200;
    let envelope = |sound: &[i16]| -> Vec<f64> {
        let strength = |part: &[i16]| {
            let sum: f64 = part.iter().map(|sample| f64::from(*sample).powi(2)).sum();
            sum.sqrt().ln_1p()
        };
        sound.chunks_exact(step).map(strength).collect()
    };
    let (said, heard) = (envelope(said), envelope(heard));
    let fits = |late: usize| -> f64 {
        said.iter().zip(heard.iter().skip(late)).map(|(said, heard)| said * heard).sum()
    };
    let best = (0..160).max_by(|one, other| fits(*one).total_cmp(&fits(*other)));
    best.unwrap_or(0) * step
}

fn free_address() -> io::Result<SocketAddr> {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}
