//! Messages as a capture that Wireshark reads (pcapng, draft-ietf-opsawg-pcapng: section header,
//! interface description, enhanced packets), with the IP and UDP headers that they may have had.
//! What came by TCP or TLS is shown as datagrams too, with a comment: what is kept is whole
//! messages, in the clear, without the segments that they came in.

use etherparse::PacketBuilder;
use koukan_sip::Transport;

use super::Traced;
use super::hep::same_family;

/// LINKTYPE_RAW: packets begin with their IP header.
const RAW: u16 = 101;
const HOPS: u8 = 64;

const SECTION: u32 = 0x0A0D_0D0A;
const INTERFACE: u32 = 1;
const PACKET: u32 = 6;

const OPTION_END: u16 = 0;
const OPTION_COMMENT: u16 = 1;
const OPTION_APPLICATION: u16 = 4;

/// The greatest datagram.
const LARGEST: usize = 65_000;

/// The capture file.
pub(crate) fn pcapng(messages: &[Traced]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut section = Vec::new();
    section.extend_from_slice(&0x1A2B_3C4D_u32.to_le_bytes());
    section.extend_from_slice(&1_u16.to_le_bytes());
    section.extend_from_slice(&0_u16.to_le_bytes());
    // The section's length is not told.
    section.extend_from_slice(&u64::MAX.to_le_bytes());
    let application = concat!("koukan ", env!("CARGO_PKG_VERSION"));
    option(&mut section, OPTION_APPLICATION, application.as_bytes());
    option(&mut section, OPTION_END, &[]);
    block(&mut file, SECTION, &section);
    let mut interface = Vec::new();
    interface.extend_from_slice(&RAW.to_le_bytes());
    interface.extend_from_slice(&0_u16.to_le_bytes());
    interface.extend_from_slice(&0_u32.to_le_bytes());
    block(&mut file, INTERFACE, &interface);
    for message in messages {
        packet(&mut file, message);
    }
    file
}

fn packet(file: &mut Vec<u8>, message: &Traced) {
    let (source, target) = match message.sent {
        true => (message.local, message.remote),
        false => (message.remote, message.local),
    };
    let payload = message.bytes.get(..LARGEST).unwrap_or(&message.bytes);
    let builder = match same_family(source.ip(), target.ip()) {
        (std::net::IpAddr::V4(source), std::net::IpAddr::V4(target)) => {
            PacketBuilder::ipv4(source.octets(), target.octets(), HOPS)
        }
        (source, target) => PacketBuilder::ipv6(octets(source), octets(target), HOPS),
    };
    let builder = builder.udp(source.port(), target.port());
    let mut data = Vec::with_capacity(builder.size(payload.len()));
    // Fails for a payload longer than a datagram alone, which this is not.
    if builder.write(&mut data, payload).is_err() {
        return;
    }
    let mut body = Vec::with_capacity(data.len() + 64);
    body.extend_from_slice(&0_u32.to_le_bytes());
    let micros = message.at.as_microsecond().max(0).unsigned_abs();
    let [a, b, c, d, high @ ..] = micros.to_le_bytes();
    body.extend_from_slice(&high);
    body.extend_from_slice(&[a, b, c, d]);
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
    body.extend_from_slice(&length.to_le_bytes());
    body.extend_from_slice(&length.to_le_bytes());
    body.extend_from_slice(&data);
    pad(&mut body);
    let mut comments = Vec::new();
    if message.transport != Transport::Udp {
        comments.push(format!("by {}", message.transport.via_name()));
    }
    if message.bytes.len() < message.length {
        comments.push(format!("cut: it had {} bytes", message.length));
    }
    if !comments.is_empty() {
        option(&mut body, OPTION_COMMENT, comments.join("; ").as_bytes());
        option(&mut body, OPTION_END, &[]);
    }
    block(file, PACKET, &body);
}

fn octets(address: std::net::IpAddr) -> [u8; 16] {
    match address {
        std::net::IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        std::net::IpAddr::V6(address) => address.octets(),
    }
}

fn option(body: &mut Vec<u8>, kind: u16, value: &[u8]) {
    body.extend_from_slice(&kind.to_le_bytes());
    body.extend_from_slice(&u16::try_from(value.len()).unwrap_or(0).to_le_bytes());
    body.extend_from_slice(value);
    pad(body);
}

/// To a multiple of four bytes.
fn pad(body: &mut Vec<u8>) {
    body.resize(body.len().next_multiple_of(4), 0);
}

/// A block with its length at both ends.
fn block(file: &mut Vec<u8>, kind: u32, body: &[u8]) {
    let length = u32::try_from(body.len() + 12).unwrap_or(u32::MAX).to_le_bytes();
    file.extend_from_slice(&kind.to_le_bytes());
    file.extend_from_slice(&length);
    file.extend_from_slice(body);
    file.extend_from_slice(&length);
}
