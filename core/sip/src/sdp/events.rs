//! The payload types of `telephone-event` (RFC 4733, 2.1 and 7.1): one for each clock rate that a
//! description's codecs have.

use super::{AudioFormat, LocalAudio, Media};

/// A payload type and its clock rate, in Hz.
pub(super) type EventType = (u8, u32);

/// What we offer: our own number at 8000 Hz, and free ones for the other rates.
pub(super) fn offered(local: &LocalAudio, formats: &[AudioFormat]) -> Vec<EventType> {
    let Some(own) = local.telephone_event else { return Vec::new() };
    let mut types: Vec<EventType> = vec![(own, 8000)];
    for format in formats {
        if types.iter().any(|(_, rate)| *rate == format.clock_rate) {
            continue;
        }
        let taken = |number: &u8| {
            types.iter().any(|(known, _)| known == number)
                || formats.iter().any(|format| format.payload_type == *number)
        };
        if let Some(number) = (96..=127).find(|number| !taken(number)) {
            types.push((number, format.clock_rate));
        }
    }
    types
}

/// What an answer to `media` lists: the peer's own numbers for the rates of the common codecs; a
/// peer that has none at a codec's rate is answered at 8000 Hz, as phones with Opus mean it.
pub(super) fn answered(
    local: &LocalAudio,
    media: &Media,
    common: &[AudioFormat],
) -> Vec<EventType> {
    let mut types: Vec<EventType> = Vec::new();
    if local.telephone_event.is_some() {
        for format in common {
            if let Some(found) = of_codec(media, format).filter(|found| !types.contains(found)) {
                types.push(found);
            }
        }
    }
    types
}

/// The peer's event type beside this codec.
pub(super) fn of_codec(media: &Media, format: &AudioFormat) -> Option<EventType> {
    [format.clock_rate, 8000]
        .into_iter()
        .find_map(|rate| media.telephone_event(rate).map(|number| (number, rate)))
}
