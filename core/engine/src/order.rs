//! What goes from the control side to a worker, and back to be freed.

use koukan_base::{BridgeId, OpId, StreamId};
use koukan_media::{KeyOrder, Source, StreamConfig};

use crate::ear::Ear;
use crate::neighbour::Neighbour;
use crate::record::{Tap, Tracks};
use crate::room::{Room, Seat};
use crate::secure::{Change, Secure};
use crate::stream::{Play, Stream};
use crate::voice::{Hearing, Speaker};

/// What the control side orders.
#[derive(Debug)]
pub(crate) enum Order {
    Open(Box<Stream>),
    /// Give the stream up; the control side brings it to the worker of this number.
    Release(StreamId, usize),
    /// Take a stream that another worker has given up.
    Adopt(Box<Stream>),
    Configure(StreamId, Box<Setup>),
    /// What the stream hears its source with from now on.
    Hear(StreamId, Option<Box<Hearing>>),
    Feed(StreamId, Source),
    Play(StreamId, Play),
    StopPlay(StreamId, OpId),
    Keys(StreamId, KeyOrder),
    /// What the peer's sound is listened to with from now on.
    Listen(StreamId, Option<Box<Ear>>),
    Record(StreamId, Box<Tap>),
    StopRecord(StreamId, OpId),
    /// What is recorded is of another codec from now on.
    Tracks(StreamId, Option<Box<Tracks>>),
    /// A room begins, or takes the place of the smaller or narrower one of its number.
    OpenRoom(Box<Room>),
    /// The room has another part, on another worker.
    Meet(BridgeId, Neighbour),
    /// Its last member has left.
    CloseRoom(BridgeId),
    /// A stream takes a seat; whether that is to be told.
    Sit(StreamId, Box<Seat>, bool),
    Mute(StreamId, bool),
    /// Only this other member of its room hears it.
    Whisper(StreamId, Option<StreamId>),
    Announce(BridgeId, Play),
    StopAnnounce(BridgeId, OpId),
    Close(StreamId),
}

/// What was agreed, with what the control side has made for it.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) config: StreamConfig,
    /// When the codec is another than before.
    pub(crate) speaker: Option<Box<Speaker>>,
    pub(crate) secure: Change,
}

/// What goes back to the control side to be freed.
#[derive(Debug)]
pub(crate) enum Returned {
    Stream(#[expect(dead_code, reason = "only freed")] Box<Stream>),
    Speaker(#[expect(dead_code, reason = "only freed")] Box<Speaker>),
    Ear(#[expect(dead_code, reason = "only freed")] Box<Ear>),
    Hearing(#[expect(dead_code, reason = "only freed")] Box<Hearing>),
    Tap(#[expect(dead_code, reason = "only freed")] Box<Tap>),
    Tracks(#[expect(dead_code, reason = "only freed")] Box<Tracks>),
    Room(#[expect(dead_code, reason = "only freed")] Box<Room>),
    Seat(#[expect(dead_code, reason = "only freed")] Box<Seat>),
    Neighbour(#[expect(dead_code, reason = "only freed")] Neighbour),
    Secure(#[expect(dead_code, reason = "only freed")] Box<Secure>),
}
