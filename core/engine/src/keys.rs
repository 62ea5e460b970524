//! What one packet says of its sender's keys, and what a listener's peer gets of it: telephone-
//! events as they are where both have them at one clock rate, else pressed anew in the form that
//! the listener's peer takes, and the sound of a key kept from a peer that is told otherwise.

use koukan_media::StreamConfig;

use crate::packet::PacketKind;

/// A key goes down or up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Down(u8),
    /// It was down for so many ms.
    Up(u8, u32),
}

/// What a packet says of keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Keys {
    /// What changes with it: the end of one key and the beginning of the next.
    pub(crate) changes: [Option<Change>; 4],
    /// The clock rate of the telephone-event that it is; none when it is sound.
    pub(crate) event_rate: Option<u32>,
    /// It is sound, and a key is down in it.
    pub(crate) sounds: bool,
}

impl Keys {
    pub(crate) fn push(&mut self, change: Change) {
        if let Some(place) = self.changes.iter_mut().find(|place| place.is_none()) {
            *place = Some(change);
        }
    }

    /// Whether the packet is an event that the peer of `to` takes as it is.
    pub(crate) fn passes_on(&self, kind: PacketKind, to: Option<&StreamConfig>) -> bool {
        let PacketKind::Event { clock_rate } = kind else { return false };
        let event = to.and_then(|config| config.telephone_event);
        event.is_some_and(|event| event.clock_rate == clock_rate)
    }

    /// Whether the peer of `to` gets the changes by being pressed anew.
    pub(crate) fn are_pressed_at(&self, to: &StreamConfig) -> bool {
        match (self.event_rate, to.telephone_event) {
            (Some(rate), Some(event)) => rate != event.clock_rate,
            (None, Some(_)) => true,
            (Some(_), None) => to.digit_tones,
            // It hears the tone itself, or is told by others.
            (None, None) => false,
        }
    }

    /// Whether the packet's sound is a key that the peer of `to` is told otherwise.
    pub(crate) fn is_kept_from(&self, to: Option<&StreamConfig>) -> bool {
        let told = |config: &StreamConfig| config.telephone_event.is_some() || !config.digit_tones;
        self.sounds && to.is_some_and(told)
    }
}
