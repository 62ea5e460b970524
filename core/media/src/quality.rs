//! What a call sounds like, in a number and in words: the E-model (ITU-T G.107, with the values of
//! G.113, Appendix I) over short spans, and an account of what was wrong on which way since when.

use std::fmt;
use std::time::Duration;

use koukan_base::Time;

use crate::Codec;

/// R of a call without any fault of the network's (G.107, table 3: default values).
const BASE: f32 = 93.2;

/// What a codec does to R (G.113): impairment, and robustness against loss with the concealment
/// that we have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CodecImpairment {
    /// Ie.
    pub impairment: f32,
    /// Bpl.
    pub robustness: f32,
}

impl CodecImpairment {
    /// Of a codec. G.711's are G.113's with packet-loss concealment. G.722 and Opus are on the
    /// narrow-band scale, which has no more than "as good as G.711"; their robustness is that of
    /// concealment of the same kind, our assumption.
    #[must_use]
    pub const fn of(codec: Codec) -> Self {
        match codec {
            Codec::Pcmu | Codec::Pcma => Self { impairment: 0.0, robustness: 25.1 },
            Codec::G722 | Codec::Opus | Codec::L16 => Self { impairment: 0.0, robustness: 25.1 },
        }
    }
}

/// R from loss in percent (what came too late counts), its burstiness (1 for random loss), and the
/// delay from mouth to ear.
#[must_use]
pub fn r_factor(
    codec: CodecImpairment,
    loss_percent: f32,
    burst_ratio: f32,
    delay: Duration,
) -> f32 {
    let loss = loss_percent.clamp(0.0, 100.0);
    let CodecImpairment { impairment, robustness } = codec;
    // G.107, equation 7-29.
    let effective =
        impairment + (95.0 - impairment) * loss / (loss / burst_ratio.max(1.0) + robustness);
    (BASE - delay_impairment(delay) - effective).clamp(0.0, 100.0)
}

/// Idd (G.107, equations 7-27 and 7-28): nothing up to 100 ms.
fn delay_impairment(delay: Duration) -> f32 {
    let ms = delay.as_secs_f32() * 1_000.0;
    if ms <= 100.0 {
        return 0.0;
    }
    let x = (ms / 100.0).log2();
    let part = |x: f32| (1.0 + x.powi(6)).powf(1.0 / 6.0);
    25.0 * (part(x) - 3.0 * part(x / 3.0) + 2.0)
}

/// MOS from R (G.107, annex B).
#[must_use]
pub fn mos(r: f32) -> f32 {
    if r <= 0.0 {
        1.0
    } else if r >= 100.0 {
        4.5
    } else {
        (1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6).clamp(1.0, 4.5)
    }
}

/// What one span of a way saw. Counts are of this span alone: a loss that was is no loss that is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Packets that came.
    pub received: u32,
    /// Packets that did not.
    pub lost: u32,
    /// Packets that came after their time was over.
    pub late: u32,
    /// Longest run of packets lost.
    pub longest_run: u32,
    /// Interarrival jitter.
    pub jitter: Duration,
    /// From mouth to ear as far as it is known: half the round trip and our buffer.
    pub delay: Duration,
    /// Nothing but silence was in what came.
    pub silent: bool,
    /// The other way had packets.
    pub other_way: bool,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Packets are lost; in percent.
    Loss(u32),
    /// Packets come too late for the buffer; in percent.
    Late(u32),
    /// The delay; in ms.
    Delay(u32),
    /// Packets go, none come.
    OneWay,
    /// Neither way has packets.
    NoMedia,
    /// Packets come, and nothing is in them.
    Silence,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loss(percent) => write!(f, "{percent} % of the packets are lost on the way"),
            Self::Late(percent) => write!(f, "{percent} % of the packets come too late"),
            Self::Delay(ms) => write!(f, "it is heard {ms} ms late"),
            Self::OneWay => f.write_str("no packets come, although ours go"),
            Self::NoMedia => f.write_str("no packets come and none go"),
            Self::Silence => f.write_str("packets come, but only silence is in them"),
        }
    }
}

impl Cause {
    /// Whether two are of one kind, whatever their numbers.
    const fn is_like(self, other: Self) -> bool {
        matches!(
            (self, other),
            (Self::Loss(_), Self::Loss(_))
                | (Self::Late(_), Self::Late(_))
                | (Self::Delay(_), Self::Delay(_))
                | (Self::OneWay, Self::OneWay)
                | (Self::NoMedia, Self::NoMedia)
                | (Self::Silence, Self::Silence)
        )
    }
}

impl Cause {
    /// One word, for labels and columns.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Loss(_) => "loss",
            Self::Late(_) => "late",
            Self::Delay(_) => "delay",
            Self::OneWay => "one-way",
            Self::NoMedia => "no-media",
            Self::Silence => "silence",
        }
    }
}

/// What a way was like over its whole call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Mean R, in tenths.
    pub mean_r: u16,
    /// R of the worst span, in tenths.
    pub worst_r: u16,
    /// What was wrong in the worst span that had a fault.
    pub cause: Option<Cause>,
}

impl Verdict {
    /// MOS of the mean R (G.107, annex B), in hundredths.
    #[must_use]
    pub fn mos_hundredths(self) -> u16 {
        tenths(mos(f32::from(self.mean_r) / 10.0) * 10.0)
    }
}

/// A number of at most 6553 in tenths.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
fn tenths(value: f32) -> u16 {
    (value * 10.0).round() as u16
}

/// A fault that lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What it is, with the numbers of the last span.
    pub cause: Cause,
    /// When the span began that it was first seen in.
    pub since: Time,
}

/// From how many percent of loss or lateness on it is a fault.
const FAULT_PERCENT: u32 = 2;

/// From which delay on it is one: G.114's bound of what users do not mind, and our two legs.
const FAULT_DELAY: Duration = Duration::from_millis(300);

/// Spans of silence before it is a fault: people pause, but not for so long.
const SILENT_SPANS: u32 = 4;

/// The account of one way: what a leg sends to us.
#[derive(Clone, Copy, Debug)]
pub struct QualityAccount {
    codec: CodecImpairment,
    span_began: Time,
    silent_spans: u32,
    silent_since: Time,
    fault: Option<Fault>,
    spans: u32,
    sum: f32,
    worst: f32,
    /// R of the worst span with a fault, and the fault.
    worst_fault: Option<(f32, Cause)>,
}

impl QualityAccount {
    /// An account that begins `now`.
    #[must_use]
    pub const fn new(now: Time, codec: CodecImpairment) -> Self {
        Self {
            codec,
            span_began: now,
            silent_spans: 0,
            silent_since: now,
            fault: None,
            spans: 0,
            sum: 0.0,
            worst: 100.0,
            worst_fault: None,
        }
    }

    /// Books a span that ends `now`; R of it. The fault is told when it is new or over.
    pub fn book(&mut self, now: Time, span: Span) -> (f32, Option<Option<Fault>>) {
        let began = std::mem::replace(&mut self.span_began, now);
        let all = span.received.saturating_add(span.lost);
        let percent = |count: u32| u32::try_from(u64::from(count) * 100 / u64::from(all.max(1)));
        let (lost, late) = (percent(span.lost).unwrap_or(100), percent(span.late).unwrap_or(100));
        let r = self.r(span, all);
        self.spans += 1;
        self.sum += r;
        self.worst = self.worst.min(r);
        if span.silent && all > 0 {
            if self.silent_spans == 0 {
                self.silent_since = began;
            }
            self.silent_spans += 1;
        } else {
            self.silent_spans = 0;
        }
        let cause = match all {
            0 if span.other_way => Some(Cause::OneWay),
            0 => Some(Cause::NoMedia),
            _ if span.received == 0 => Some(Cause::Loss(100)),
            _ if lost >= FAULT_PERCENT && lost >= late => Some(Cause::Loss(lost)),
            _ if late >= FAULT_PERCENT => Some(Cause::Late(late)),
            _ if span.delay >= FAULT_DELAY => {
                Some(Cause::Delay(u32::try_from(span.delay.as_millis()).unwrap_or(u32::MAX)))
            }
            _ if self.silent_spans >= SILENT_SPANS => Some(Cause::Silence),
            _ => None,
        };
        if let Some(cause) = cause
            && self.worst_fault.is_none_or(|(worst, _)| r < worst)
        {
            self.worst_fault = Some((r, cause));
        }
        let since = if cause == Some(Cause::Silence) { self.silent_since } else { began };
        let before = self.fault;
        self.fault = cause.map(|cause| match before {
            Some(old) if old.cause.is_like(cause) => Fault { cause, since: old.since },
            _ => Fault { cause, since },
        });
        let changed = match (before, self.fault) {
            (Some(old), Some(new)) => !old.cause.is_like(new.cause),
            (None, None) => false,
            _ => true,
        };
        (r, changed.then_some(self.fault))
    }

    #[expect(clippy::cast_precision_loss, reason = "percent need three digits")]
    fn r(&self, span: Span, all: u32) -> f32 {
        if all == 0 {
            return 0.0;
        }
        let gone = span.lost.saturating_add(span.late) as f32;
        let percent = gone * 100.0 / all as f32;
        // Random loss of this share has runs of 1 / (1 - share) on the mean.
        let random = 1.0 / (1.0 - (percent / 100.0).min(0.95));
        let ratio = (span.longest_run as f32 / 2.0 / random).max(1.0);
        r_factor(self.codec, percent, ratio, span.delay)
    }

    /// What lay between the last span and `now` does not count: the way was on hold.
    pub const fn resume(&mut self, now: Time) {
        self.span_began = now;
        self.silent_spans = 0;
    }

    /// When the span under way began.
    #[must_use]
    pub const fn span_began(&self) -> Time {
        self.span_began
    }

    /// What the way was like so far; `None` before the first span.
    #[must_use]
    pub fn verdict(&self) -> Option<Verdict> {
        let (mean, worst) = self.score()?;
        let cause = self.worst_fault.map(|(_, cause)| cause);
        Some(Verdict { mean_r: tenths(mean), worst_r: tenths(worst), cause })
    }

    /// The fault at the moment.
    #[must_use]
    pub const fn fault(&self) -> Option<Fault> {
        self.fault
    }

    /// Mean R of the call so far, and the worst span's; `None` before the first span.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a mean needs three digits")]
    pub fn score(&self) -> Option<(f32, f32)> {
        (self.spans > 0).then(|| (self.sum / self.spans as f32, self.worst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const G711: CodecImpairment = CodecImpairment::of(Codec::Pcmu);

    fn near(one: f32, other: f32, within: f32) -> bool {
        (one - other).abs() <= within
    }

    #[test]
    fn the_model_gives_the_recommendations_values() {
        let clean = r_factor(G711, 0.0, 1.0, Duration::ZERO);
        assert!(near(clean, 93.2, 0.01) && near(mos(clean), 4.41, 0.01));
        // G.113 with concealment: 1 % of random loss costs 95 / 26.1.
        assert!(near(r_factor(G711, 1.0, 1.0, Duration::ZERO), 93.2 - 3.64, 0.01));
        let bare = CodecImpairment { impairment: 0.0, robustness: 4.3 };
        assert!(near(r_factor(bare, 1.0, 1.0, Duration::ZERO), 93.2 - 17.92, 0.01));
        let g729 = CodecImpairment { impairment: 11.0, robustness: 19.0 };
        assert!(near(r_factor(g729, 0.0, 1.0, Duration::ZERO), 82.2, 0.01));
        // G.107: 150 ms cost almost nothing, 400 ms a class.
        assert!(near(delay_impairment(Duration::from_millis(150)), 0.1, 0.2));
        assert!(near(delay_impairment(Duration::from_millis(400)), 23.3, 1.0));
        assert!(near(mos(50.0), 2.58, 0.01) && near(mos(70.0), 3.6, 0.01));
        assert!(near(mos(0.0), 1.0, 0.0) && near(mos(100.0), 4.5, 0.0));
    }

    fn good() -> Span {
        Span { received: 250, other_way: true, ..Span::default() }
    }

    /// Books spans of five seconds; the faults that were told, with their second.
    fn told(spans: &[Span]) -> Vec<(u64, Option<(String, u64)>)> {
        let mut account = QualityAccount::new(Time::ZERO, G711);
        let mut all = Vec::new();
        for (number, span) in (1u64..).zip(spans) {
            let (_, told) = account.book(Time::from_millis(number * 5_000), *span);
            if let Some(fault) = told {
                let words = fault.map(|f| (f.cause.to_string(), f.since.as_millis() / 1_000));
                all.push((number * 5, words));
            }
        }
        all
    }

    #[test]
    fn each_fault_is_told_once_with_its_cause_and_since_when() {
        let sentence = |text: &str, since| Some((text.to_owned(), since));
        let lossy = Span { received: 230, lost: 20, longest_run: 2, ..good() };
        assert_eq!(
            told(&[good(), lossy, lossy, good()]),
            [(10, sentence("8 % of the packets are lost on the way", 5)), (20, None)]
        );
        let late = Span { late: 25, ..good() };
        assert_eq!(told(&[late])[0].1, sentence("10 % of the packets come too late", 0));
        let slow = Span { delay: Duration::from_millis(450), ..good() };
        assert_eq!(told(&[good(), slow])[0].1, sentence("it is heard 450 ms late", 5));
        let none = Span { received: 0, ..good() };
        assert_eq!(told(&[none])[0].1, sentence("no packets come, although ours go", 0));
        let dead = Span { other_way: false, ..none };
        assert_eq!(told(&[none, dead])[1].1, sentence("no packets come and none go", 5));
        let silent = Span { silent: true, ..good() };
        let only = "packets come, but only silence is in them";
        assert_eq!(told(&[good(), silent, silent, silent]), []);
        assert_eq!(told(&[good(), silent, silent, silent, silent]), [(25, sentence(only, 5))]);
    }

    #[test]
    fn an_old_loss_does_not_count_for_ever() {
        let mut account = QualityAccount::new(Time::ZERO, G711);
        let lossy = Span { received: 125, lost: 125, longest_run: 50, ..good() };
        let (bad, _) = account.book(Time::from_millis(5_000), lossy);
        let (well, _) = account.book(Time::from_millis(10_000), good());
        assert!(bad < 25.0 && near(well, 93.2, 0.1), "{bad} {well}");
        let (mean, worst) = account.score().unwrap();
        assert!(near(worst, bad, 0.01) && mean > worst && mean < well);
        assert_eq!(account.fault(), None);
        let verdict = account.verdict().unwrap();
        assert_eq!((verdict.worst_r, verdict.cause), (tenths(worst), Some(Cause::Loss(50))));
        assert!((230..250).contains(&verdict.mos_hundredths()), "{verdict:?}");
        account.resume(Time::from_millis(60_000));
        assert_eq!(account.span_began(), Time::from_millis(60_000));
    }
}
