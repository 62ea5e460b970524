//! The sound of a capture: which RTP the server sent to whom, call by call, and whether each of
//! these streams is one stream to whoever hears it (RFC 3550, 5.1).
//!
//! Which port belongs to which call is read from the SDP on the same wire, never from what a test
//! knows: an SSRC may change where a port was announced anew in another call, and nowhere else.

use std::collections::BTreeMap;
use std::io;

use crate::audio::{Sound, g711};
use crate::capture::Wire;

/// A description of media that the server sent or got.
#[derive(Clone, Debug)]
struct Announced {
    at: f64,
    call_id: String,
    /// The port of SIP that it came from.
    from: u16,
    media: u16,
}

/// A packet of RTP.
#[derive(Clone, Debug)]
pub struct Packet {
    /// When it was on the wire, in seconds since 1970.
    pub at: f64,
    source: u16,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
}

/// What the server sent from one of its ports during one call.
#[derive(Clone, Debug)]
pub struct Stream {
    /// The call that the port was announced in.
    pub call_id: String,
    /// The server's port.
    pub port: u16,
    /// In the order of the wire.
    pub packets: Vec<Packet>,
}

/// What all streams of a capture come to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Summary {
    /// Streams of the server that were long enough to be judged.
    pub streams: usize,
    /// Their packets.
    pub packets: usize,
}

/// A stream of fewer packets says nothing.
const JUDGED: usize = 10;
/// Samples a second of the RTP clock of the codecs in these captures (RFC 3551: G.722 too).
const CLOCK: f64 = 8_000.0;
/// A timestamp may be ahead of the time that has passed by so much. It may be behind by any: what a
/// phone sends late, or not at all for a while, goes on with the phone's own timestamps.
const AHEAD_S: f64 = 0.5;

/// The RTP and the descriptions of a capture.
#[derive(Debug)]
pub struct Sounds {
    announced: Vec<Announced>,
    packets: Vec<Packet>,
    /// The server's SIP port and media ports.
    sip: u16,
    media: (u16, u16),
}

impl Sounds {
    /// Reads a capture of a server that has these media ports.
    ///
    /// # Errors
    /// tshark cannot read it, or says something else than it was asked.
    pub fn read(wire: &Wire, media: (u16, u16)) -> io::Result<Self> {
        let fields = ["frame.time_epoch", "sip.Call-ID", "udp.srcport", "sdp.media.port"];
        let announced = wire.packets("sip && sdp.media.port", &fields)?;
        let announced = announced.iter().map(|line| announced_in(line)).collect::<Option<_>>();
        let fields = ["frame.time_epoch", "udp.srcport", "rtp.ssrc", "rtp.seq", "rtp.timestamp"];
        let packets = wire.packets("rtp.version == 2 && rtp.ssrc", &fields)?;
        let packets = packets.iter().map(|line| packet_in(line)).collect::<Option<_>>();
        let wrong = || io::Error::other("tshark's fields are not as they were asked for");
        Ok(Self {
            announced: announced.ok_or_else(wrong)?,
            packets: packets.ok_or_else(wrong)?,
            sip: wire.port(),
            media,
        })
    }

    /// Whether the server sends sound from this port; its reports come from the odd ones.
    fn is_servers(&self, port: u16) -> bool {
        (self.media.0..=self.media.1).contains(&port) && port.is_multiple_of(2)
    }

    /// The call that a port of the server was announced in last before a moment.
    fn call_of(&self, port: u16, at: f64) -> Option<&str> {
        let own = self.announced.iter().filter(|known| known.from == self.sip);
        let mut before = own.filter(|known| known.media == port && known.at <= at);
        before.next_back().map(|known| known.call_id.as_str())
    }

    /// What the server sent, one stream a call and port.
    #[must_use]
    pub fn streams(&self) -> Vec<Stream> {
        let mut streams: BTreeMap<(&str, u16), Vec<Packet>> = BTreeMap::new();
        for packet in self.packets.iter().filter(|packet| self.is_servers(packet.source)) {
            let call = self.call_of(packet.source, packet.at).unwrap_or("no call");
            streams.entry((call, packet.source)).or_default().push(packet.clone());
        }
        let stream = |((call, port), packets): ((&str, u16), Vec<Packet>)| Stream {
            call_id: call.to_owned(),
            port,
            packets,
        };
        streams.into_iter().map(stream).collect()
    }

    /// Every stream of the server is one: of one SSRC, numbered without a gap, its timestamps never
    /// back and never ahead of the clock.
    ///
    /// # Errors
    /// The first stream that is not, and where.
    pub fn are_whole(&self) -> Result<Summary, String> {
        let mut summary = Summary::default();
        for stream in self.streams() {
            if stream.call_id == "no call" {
                return Err(format!("port {} sends sound of no call", stream.port));
            }
            if stream.packets.len() < JUDGED {
                continue;
            }
            summary.streams += 1;
            summary.packets += stream.packets.len();
            stream.is_whole()?;
        }
        Ok(summary)
    }

    /// What the server sent to a user's phone in a span of time, as sound: its G.711 payloads one
    /// behind the other.
    ///
    /// # Errors
    /// tshark cannot read the capture, or the user has never registered.
    pub fn sent_to(&self, wire: &Wire, user: &str, (from, until): (f64, f64)) -> io::Result<Sound> {
        let registers = format!("sip.Method == \"REGISTER\" && sip.from.user == \"{user}\"");
        let ports = wire.packets(&registers, &["udp.srcport"])?;
        let phone: u16 = ports
            .last()
            .and_then(|port| port.parse().ok())
            .ok_or_else(|| io::Error::other(format!("{user} has not registered")))?;
        let mut own =
            self.announced.iter().filter(|known| known.from == phone && known.at <= until);
        let Some(port) = own.next_back().map(|known| known.media) else {
            return Ok(Sound::default());
        };
        let filter = format!(
            "rtp && udp.dstport == {port} && frame.time_epoch >= {from:.6} && \
             frame.time_epoch <= {until:.6}"
        );
        let lines = wire.packets(&filter, &["rtp.p_type", "rtp.payload"])?;
        let mut sound = Sound::default();
        for line in lines {
            let Some((kind, payload)) = line.split_once('\t') else { continue };
            sound.0.extend(bytes(payload).filter_map(|byte| g711(kind, byte)));
        }
        Ok(sound)
    }
}

impl Stream {
    fn is_whole(&self) -> Result<(), String> {
        for pair in self.packets.windows(2) {
            let [before, after] = pair else { continue };
            let place = || format!("call {}, port {}, at {:.3}", self.call_id, self.port, after.at);
            if before.ssrc != after.ssrc {
                return Err(format!("another SSRC: {}: {before:?}, {after:?}", place()));
            }
            if after.sequence != before.sequence.wrapping_add(1) {
                return Err(format!("a sequence number: {}: {before:?}, {after:?}", place()));
            }
            let passed = after.at - before.at;
            let step = f64::from(after.timestamp.wrapping_sub(before.timestamp).cast_signed());
            if step < 0.0 || step / CLOCK - passed > AHEAD_S {
                return Err(format!("a timestamp: {}: {before:?}, {after:?}", place()));
            }
        }
        Ok(())
    }
}

fn announced_in(line: &str) -> Option<Announced> {
    let mut fields = line.split('\t');
    let (at, call_id) = (fields.next()?.parse().ok()?, fields.next()?.to_owned());
    let from = fields.next()?.parse().ok()?;
    // The first medium is the sound.
    let media = fields.next()?.split(',').next()?.parse().ok()?;
    Some(Announced { at, call_id, from, media })
}

fn packet_in(line: &str) -> Option<Packet> {
    let fields: Vec<&str> = line.split('\t').collect();
    let [at, source, ssrc, sequence, timestamp] = fields.as_slice() else {
        return None;
    };
    let ssrc = u32::from_str_radix(ssrc.trim_start_matches("0x"), 16).ok()?;
    Some(Packet {
        at: at.parse().ok()?,
        source: source.parse().ok()?,
        ssrc,
        sequence: sequence.parse().ok()?,
        timestamp: timestamp.parse().ok()?,
    })
}

/// Bytes in hexadecimal digits, with or without colons between them.
fn bytes(text: &str) -> impl Iterator<Item = u8> + '_ {
    let digits = || text.bytes().filter_map(|digit| char::from(digit).to_digit(16));
    let high = digits().step_by(2);
    let low = digits().skip(1).step_by(2);
    high.zip(low).filter_map(|(high, low)| u8::try_from(high * 16 + low).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(numbers: &[(u32, u16, u32)]) -> Stream {
        let packets =
            numbers.iter().zip(0u32..).map(|((ssrc, sequence, timestamp), count)| Packet {
                at: f64::from(count) * 0.02,
                source: 20_000,
                ssrc: *ssrc,
                sequence: *sequence,
                timestamp: *timestamp,
            });
        Stream { call_id: "a".to_owned(), port: 20_000, packets: packets.collect() }
    }

    #[test]
    fn a_stream_is_whole_only_with_its_numbers_in_order() {
        let whole = [(1, 65_535, u32::MAX - 100), (1, 0, 59), (1, 1, 219)];
        assert_eq!(stream(&whole).is_whole(), Ok(()));
        for broken in [
            [(1, 1, 0), (2, 2, 160)],
            [(1, 1, 0), (1, 3, 160)],
            [(1, 1, 0), (1, 1, 0)],
            [(1, 1, 320), (1, 2, 160)],
            [(1, 1, 0), (1, 2, 80_000)],
        ] {
            assert!(stream(&broken).is_whole().is_err(), "{broken:?}");
        }
    }

    #[test]
    fn a_line_of_fields_is_read_or_refused() {
        let packet = packet_in("1.5\t20000\t0xdeadbeef\t7\t160").unwrap();
        assert_eq!((packet.ssrc, packet.sequence), (0xDEAD_BEEF, 7));
        assert!(packet_in("1.5\t20000").is_none());
        let known = announced_in("1.5\tid@x\t5060\t20000,20002").unwrap();
        assert_eq!((known.from, known.media), (5_060, 20_000));
        assert_eq!(bytes("ff:00:7e").collect::<Vec<_>>(), [255, 0, 126]);
        assert_eq!(bytes("ff007e").collect::<Vec<_>>(), [255, 0, 126]);
    }
}
