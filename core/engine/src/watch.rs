//! The account of a stream's quality, kept by the sweep: what came in each five seconds while the
//! peer owed RTP, turned into the E-model's R and into faults with their cause.

use std::time::Duration;

use koukan_base::Time;
use koukan_media::quality::{CodecImpairment, Fault, QualityAccount, Span, Verdict};
use koukan_media::{Codec, ReceiveStats};

/// How long a span lasts.
const SPAN: Duration = Duration::from_secs(5);

/// The shortest last span that counts.
const LEAST: Duration = Duration::from_secs(1);

/// Counts that only grow.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) received: u64,
    pub(crate) lost: u64,
    pub(crate) sent: u64,
    /// Packets that came too late for those who hear them, and the delay of their buffers.
    pub(crate) late: u64,
    pub(crate) delay: Duration,
    pub(crate) jitter_us: u32,
}

/// What a span that is over says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    pub(crate) r: f32,
    /// A fault began, or the one before is over.
    pub(crate) change: Option<Option<Fault>>,
}

/// The account of one stream.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    account: Option<QualityAccount>,
    /// The counts at the span's beginning; none while nothing is owed.
    before: Option<Counts>,
    /// Something else than silence came in this span.
    pub(crate) sounded: bool,
}

impl Watch {
    /// From now on the peer owes RTP, or it does not.
    pub(crate) fn owes(&mut self, now: Time, owes: bool, codec: Codec, counts: Counts) {
        if !owes {
            self.before = None;
            return;
        }
        if self.before.is_some() {
            return;
        }
        self.before = Some(counts);
        self.sounded = false;
        match &mut self.account {
            Some(account) => account.resume(now),
            None => self.account = Some(QualityAccount::new(now, CodecImpairment::of(codec))),
        }
    }

    /// Whether a span is over.
    pub(crate) fn is_due(&self, now: Time) -> bool {
        self.before.is_some() && self.lasted(now) >= SPAN
    }

    fn lasted(&self, now: Time) -> Duration {
        self.account.as_ref().map_or(Duration::ZERO, |account| now.since(account.span_began()))
    }

    /// Books the span that ends now.
    pub(crate) fn book(
        &mut self,
        now: Time,
        counts: Counts,
        reception: &mut ReceiveStats,
    ) -> Option<Told> {
        let before = self.before.replace(counts)?;
        let account = self.account.as_mut()?;
        let difference =
            |new: u64, old: u64| u32::try_from(new.saturating_sub(old)).unwrap_or(u32::MAX);
        let received = difference(counts.received, before.received);
        let span = Span {
            received,
            lost: difference(counts.lost, before.lost),
            late: difference(counts.late, before.late).min(received),
            longest_run: reception.take_longest_run(),
            jitter: Duration::from_micros(u64::from(counts.jitter_us)),
            delay: counts.delay,
            silent: !std::mem::take(&mut self.sounded),
            other_way: counts.sent > before.sent,
        };
        let (r, change) = account.book(now, span);
        Some(Told { r, change })
    }

    /// What the way was like; the span under way counts when it is long enough.
    pub(crate) fn verdict(
        &mut self,
        now: Time,
        counts: Counts,
        reception: &mut ReceiveStats,
    ) -> Option<Verdict> {
        if self.before.is_some() && self.lasted(now) >= LEAST {
            self.book(now, counts, reception);
        }
        self.account.as_ref()?.verdict()
    }
}

/// Whether a payload holds more than silence; of codecs whose bytes do not tell, it does.
pub(crate) fn sounds(codec: Codec, payload: &[u8]) -> bool {
    // The lowest segments of either law are below -48 dB of full scale. A part tells enough.
    let mut part = payload.iter().step_by(8);
    match codec {
        Codec::Pcmu => part.any(|byte| 0x7F - (byte & 0x7F) > 15),
        Codec::Pcma => part.any(|byte| (byte ^ 0x55) & 0x7F > 7),
        Codec::G722 | Codec::Opus | Codec::L16 => true,
    }
}
