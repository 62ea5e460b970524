//! What a stream sends: packets of its own by the clock, and the socket under both kinds.

use std::net::SocketAddr;

use koukan_base::Time;
use koukan_codecs::g711;
use koukan_media::jitter::Payload;
use koukan_media::{Codec, HEADER_BYTES, RtpHeader};

use crate::net::Way;
use crate::stream::{Stream, fill};
use crate::voice::{NARROW_FRAME, WIDE_FRAME};

/// Bytes of the longest packet that a speaker makes: 60 ms of linear samples.
const SPOKEN: usize = 1_920;

/// 20 ms of what a stream says, through its speaker; true when its play has ended with it. A
/// `tone` takes the place of everything else.
pub(crate) fn speak(
    now: Time,
    stream: &mut Stream,
    tone: Option<&[i16; NARROW_FRAME]>,
    buffer: &mut [u8],
    way: &mut Way,
) -> bool {
    let mut heard = [0i16; WIDE_FRAME];
    // What is heard goes on while a prompt plays, so that it is no later behind it.
    let heard_samples = stream.hearing.as_mut().map(|hearing| hearing.pull(now, &mut heard));
    let Some(speaker) = &mut stream.speaker else { return false };
    let mut finished = false;
    match (tone, heard_samples.filter(|_| stream.play.is_none())) {
        (Some(tone), _) => speaker.say_narrow(tone),
        (None, Some(count)) => speaker.say(heard.get(..count).unwrap_or_default()),
        (None, None) => {
            let (mut law, mut samples) = ([0u8; NARROW_FRAME], [0i16; NARROW_FRAME]);
            finished = fill(&mut stream.play, Codec::Pcma, &mut law);
            if law.iter().any(|byte| *byte != g711::ALAW_SILENCE) {
                g711::decode_alaw(&law, &mut samples);
            }
            speaker.say_narrow(&samples);
        }
    }
    let key_pressed = stream.hearing.as_ref().is_some_and(|hearing| hearing.is_in_event(now));
    send_spoken(now, stream, key_pressed, buffer, way);
    finished
}

/// Sends the whole packets of what a stream's speaker was given, or drops them.
pub(crate) fn send_spoken(
    now: Time,
    stream: &mut Stream,
    dropped: bool,
    buffer: &mut [u8],
    way: &mut Way,
) {
    loop {
        let Some(speaker) = &mut stream.speaker else { return };
        let (ticks, params) = (speaker.ticks(), speaker.params());
        let Some((head, rest)) = buffer.split_first_chunk_mut::<HEADER_BYTES>() else { break };
        let Some(length) = speaker.packet(rest.get_mut(..SPOKEN).unwrap_or_default()) else {
            break;
        };
        let Some(target) = stream.target().filter(|_| length > 0 && !dropped) else { continue };
        let clock_rate = params.codec.clock_rate();
        *head = stream.sender.own(now, params.payload_type, ticks, clock_rate).bytes();
        send(now, stream, buffer.get(..HEADER_BYTES + length).unwrap_or_default(), target, way);
    }
}

/// What goes to the peer is part of a recording of both directions.
fn record_sent(now: Time, stream: &mut Stream, packet: &[u8]) {
    let (Some(tap), Some(config)) = (&mut stream.tap, &stream.config) else { return };
    let Some(header) = RtpHeader::parse(packet) else { return };
    let bytes = packet.get(header.payload_start..header.payload_end).unwrap_or_default();
    let payload = match header.payload_type {
        number if number == config.codec.payload_type => Payload::Audio(bytes),
        13 => Payload::Noise(bytes),
        _ => Payload::Event,
    };
    tap.say(now, &header, config.codec.codec, payload);
}

/// Sends a packet, under SRTP when that was agreed. The packet stays as it is for others.
pub(crate) fn send(
    now: Time,
    stream: &mut Stream,
    packet: &[u8],
    target: SocketAddr,
    way: &mut Way,
) {
    record_sent(now, stream, packet);
    let payload = packet.len().saturating_sub(HEADER_BYTES);
    stream.octets = stream.octets.saturating_add(u64::try_from(payload).unwrap_or(0));
    way.send(stream, packet, target);
}
