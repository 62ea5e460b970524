//! The pure half of the media engine: what a stream is told, what it reports, RTP, RTCP and SRTP,
//! jitter and concealment, digits, tones, mixing and quality. No socket, no clock, no thread.
//!
//! The switch speaks to a media worker in [`Command`]s and hears [`Event`]s; nothing else crosses.
#![forbid(unsafe_code)]

mod codec;
pub mod comfort;
mod command;
mod conceal;
mod digits;
mod event;
pub mod jitter;
mod keys;
mod latch;
pub mod mixer;
mod overload;
mod pace;
mod pitch;
pub mod quality;
mod receive;
mod recording;
mod redundancy;
pub mod rtcp;
mod rtp;
pub mod sealed;
mod send;
mod share;
pub mod srtp;
pub mod tone;
pub mod udptl;

pub use codec::{Codec, CodecParams};
pub use command::{Command, Direction, Prompt, Source, SrtpKeys, StreamConfig, TelephoneEvent};
pub use conceal::Concealer;
pub use digits::{Digit, DigitReceiver, DigitSender, EventPacket};
pub use event::{Event, OpenError, PlayEnd, StreamStats};
pub use keys::{
    Digits, KeyFrame, KeyMode, KeyOrder, KeySender, MOST_DIGITS, MOST_WAITING, TONE_FRAME,
};
pub use latch::{Latch, Verdict};
pub use overload::{Overload, Shed, Workload};
pub use pace::Pace;
pub use receive::ReceiveStats;
pub use recording::{
    LONGEST_RECORDING, RecordEnd, RecordFormat, RecordReport, RecordRules, Recorded, RecordedCall,
    Recording,
};
pub use redundancy::Redundancy;
pub use rtp::{HEADER_BYTES, RtpHeader};
pub use send::Sender;
pub use share::Shares;
