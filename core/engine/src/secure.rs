//! SRTP of one stream: both directions, made on the control side.

use koukan_media::SrtpKeys;
use koukan_media::srtp::{SrtpReceiver, SrtpSender};

/// Both directions.
#[derive(Debug)]
pub(crate) struct Secure {
    pub(crate) sender: SrtpSender,
    pub(crate) receiver: SrtpReceiver,
}

impl Secure {
    pub(crate) fn new(keys: &SrtpKeys) -> Self {
        Self { sender: SrtpSender::new(&keys.send), receiver: SrtpReceiver::new(&keys.receive) }
    }
}

/// What a new configuration means for a stream's security.
#[derive(Debug)]
pub(crate) enum Change {
    /// The keys are those of before, or there are none as before.
    Keep,
    /// No SRTP any more.
    Plain,
    /// New keys.
    Keys(Box<Secure>),
}
