//! RTCP of one stream (RFC 3550, section 6): reports out by the clock, the peer's in.

use std::net::SocketAddr;

use koukan_base::Time;
use koukan_media::rtcp::Sent;

use crate::stream::Stream;

/// Bytes of the longest compound packet of ours, protected.
const REPORT: usize = 400;

/// Sends the report that is due, or the last one with its good-bye.
pub(crate) fn report(now: Time, stream: &mut Stream, bye: bool) {
    if now < stream.session.poll_timeout() && !bye {
        return;
    }
    let Some(target) = target(stream) else { return };
    let clock_rate = stream.clock_rate();
    let sent = Sent {
        ssrc: stream.sender.ssrc(),
        packets: stream.sender.sent(),
        octets: stream.octets,
        timestamp: stream.sender.timestamp_at(now, clock_rate),
    };
    let mut buffer = [0; REPORT];
    let plain = stream.session.report(now, sent, &mut stream.reception, bye, &mut buffer);
    let length = match &mut stream.secure {
        Some(secure) if plain > 0 => secure.sender.protect_rtcp(&mut buffer, plain).unwrap_or(0),
        _ => plain,
    };
    if let Some(packet) = buffer.get(..length).filter(|packet| !packet.is_empty()) {
        // A report that the system would not send is followed by another.
        let _ = stream.rtcp.send_to(packet, target);
    }
}

/// Where the peer's RTCP is: where its description says, unless its RTP comes from elsewhere.
fn target(stream: &Stream) -> Option<SocketAddr> {
    let config = stream.config.as_ref()?;
    let rtp = stream.latch.target(config.remote);
    let above = SocketAddr::new(rtp.ip(), rtp.port().checked_add(1)?);
    let announced = config.remote_rtcp.filter(|_| rtp == config.remote);
    let target = announced.unwrap_or(above);
    (!target.ip().is_unspecified() && rtp.port() != 0).then_some(target)
}

/// Reads a datagram that came to the RTCP port.
pub(crate) fn receive(now: Time, stream: &mut Stream, from: SocketAddr, datagram: &mut [u8]) {
    // Reports of strangers would spoil our figures: they come from where RTP does.
    let known = stream.config.as_ref().map(|config| stream.latch.target(config.remote).ip());
    if known != Some(from.ip()) {
        stream.dropped = stream.dropped.saturating_add(1);
        return;
    }
    let length = match &mut stream.secure {
        Some(secure) => secure.receiver.unprotect_rtcp(datagram).unwrap_or(0),
        None => datagram.len(),
    };
    let packet = datagram.get(..length).unwrap_or_default();
    match stream.session.handle(now, stream.sender.ssrc(), packet) {
        Ok(heard) => {
            if let Some(block) = heard.block {
                stream.peer_lost = u32::try_from(block.lost).unwrap_or(0);
                if let Some(speaker) = &mut stream.speaker {
                    speaker.reported(block.fraction_lost);
                }
            }
        }
        Err(_) => stream.dropped = stream.dropped.saturating_add(1),
    }
}
