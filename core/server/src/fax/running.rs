//! A fax under way in a process: what is noted of it, and how streams and ends are told.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use koukan_base::Time;
use koukan_engine::Lent;
use koukan_fax::Cause;
use koukan_fax::protocol::{Audio, End, Event, FEC, Law, Media, REDUNDANCY, T38};
use koukan_media::Codec;
use koukan_sip::sdp::{AgreedImage, ErrorCorrection};

use super::entry::Fax;

/// A fax under way.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) tenant: Arc<str>,
    pub(super) id: String,
    pub(super) what: What,
    pub(super) place: usize,
    /// A descriptor of its socket, for another medium on the same port.
    pub(super) socket: Option<OwnedFd>,
    /// A machine was heard.
    pub(super) heard: bool,
    /// The call is over: nobody wants reports.
    pub(super) stopped: bool,
    /// It was stopped for this reason; its call is hung up when it has ended, and by then.
    pub(super) unwanted: Option<(String, Time)>,
    pub(super) lines: u32,
    pub(super) retrains: u32,
}

/// Which way it goes, with what is known of it.
#[derive(Debug)]
pub(super) enum What {
    /// It comes.
    Receives(Box<Fax>),
    /// It goes.
    Sends(Progress),
    /// It passes between two parties.
    Carries,
}

/// An attempt to send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// The first page of this attempt, counted from 1.
    pub(super) first_page: u32,
    /// Pages that were confirmed in this attempt.
    pub(super) confirmed: u32,
    /// What the other machine calls itself (CSI).
    pub(super) station: String,
    /// bit/s.
    pub(super) bit_rate: u32,
    /// With error correction.
    pub(super) ecm: bool,
    /// By T.38.
    pub(super) by_t38: bool,
}

impl Running {
    pub(super) fn new(
        (tenant, id): (Arc<str>, String),
        what: What,
        place: usize,
        socket: Option<OwnedFd>,
    ) -> Self {
        let (heard, stopped, unwanted, lines, retrains) = (false, false, None, 0, 0);
        Self { tenant, id, what, place, socket, heard, stopped, unwanted, lines, retrains }
    }

    /// It goes on over T.38.
    pub(super) fn turns_to_t38(&mut self) {
        match &mut self.what {
            What::Receives(fax) => fax.medium = "t38".to_owned(),
            What::Sends(progress) => progress.by_t38 = true,
            What::Carries => {}
        }
    }

    /// Notes what happened, and says it.
    pub(super) fn note(&mut self, event: &Event) -> String {
        self.heard |= matches!(event, Event::Remote { .. } | Event::Rate { .. } | Event::Page(_));
        match event {
            Event::Remote { ident } if ident.trim().is_empty() => {
                "a fax machine that gives no name is on the line".to_owned()
            }
            Event::Remote { ident } => {
                let ident: String = ident.trim().chars().take(20).collect();
                let words = format!("a fax machine is on the line and calls itself {ident}");
                match &mut self.what {
                    What::Receives(fax) => fax.station = ident,
                    What::Sends(progress) => progress.station = ident,
                    What::Carries => {}
                }
                words
            }
            Event::Rate { bit_rate, ecm } => {
                match &mut self.what {
                    What::Receives(fax) => (fax.bit_rate, fax.ecm) = (*bit_rate, *ecm),
                    What::Sends(progress) => {
                        (progress.bit_rate, progress.ecm) = (*bit_rate, *ecm);
                    }
                    What::Carries => {}
                }
                let how = if *ecm { "with" } else { "without" };
                format!("agreed on {bit_rate} bit/s {how} error correction")
            }
            Event::Retrain => {
                self.retrains += 1;
                "the line is trained anew".to_owned()
            }
            Event::Page(page) => {
                let size = format!("{} by {}, {} bytes", page.width, page.length, page.bytes);
                match &mut self.what {
                    What::Receives(fax) => {
                        fax.pages = page.number;
                        let bad = page.bad_rows;
                        let number = page.number;
                        let ms = page.stored_us.div_ceil(1_000);
                        format!(
                            "page {number} is here, on the disk after {ms} ms and confirmed: \
                             {size}, {bad} lines with errors"
                        )
                    }
                    What::Sends(progress) => {
                        progress.confirmed += 1;
                        let number = progress.first_page + progress.confirmed - 1;
                        format!("page {number} is there, the other machine confirms it: {size}")
                    }
                    What::Carries => format!("page {} has gone over", page.number),
                }
            }
            Event::RefusedFrame { kind } => {
                format!("a frame of type {kind:#04x} that no machine sends was refused")
            }
            Event::End(_) => String::new(),
        }
    }
}

/// What probably was wrong (N-12), for people who did not read T.30.
pub(super) fn likely(cause: Cause, end: &End, retrains: u32, sends: bool) -> String {
    let worn = end.ecm_retries > 20 || retrains > 2;
    let guess = match cause {
        Cause::Done if worn => "the line loses or repeats packets: ask the carrier for T.38",
        Cause::NoFax if sends => "a person or a voice machine answered",
        Cause::NoFax => "a person or a voice machine called",
        Cause::CannotTrain | Cause::BadPages => {
            "the sound is changed on its way: a jitter buffer, echo canceller or another codec"
        }
        Cause::Timeout => "packets were lost for seconds, or the machine was switched off",
        Cause::Dropped if sends => "the other side, or a carrier in between, hung up",
        Cause::Dropped => "the caller, or a carrier in between, hung up",
        Cause::PageLimit => "the box takes no more pages of one fax",
        _ => return String::new(),
    };
    format!("; retrains: {retrains}, frames sent again: {}; likely: {guess}", end.ecm_retries)
}

/// How T.38 is told to the process.
pub(super) const fn t38(image: &AgreedImage) -> T38 {
    let (redundancy, fec) = match image.correction {
        ErrorCorrection::Redundancy => (REDUNDANCY, None),
        ErrorCorrection::Fec => (0, Some(FEC)),
        ErrorCorrection::None => (0, None),
    };
    T38 {
        remote: image.remote,
        max_datagram: image.max_datagram,
        redundancy,
        fec,
        local_tcf: image.local_tcf,
        max_bit_rate: image.max_bit_rate,
    }
}

/// How the streams of two parties are told to the process, with their sockets in its order; those
/// with T.38 beside them speak that.
pub(super) fn between(
    images: [Option<AgreedImage>; 2],
    lent: Vec<Lent>,
) -> Option<(Media, Vec<OwnedFd>)> {
    let [first, second] = <[Lent; 2]>::try_from(lent).ok()?;
    let (media, sockets) = match images {
        [Some(near), Some(far)] => {
            let media = Media::Relay { near: t38(&near), far: t38(&far) };
            (media, [first.socket, second.socket])
        }
        [Some(image), None] => gateway(second, first, &image)?,
        [None, Some(image)] => gateway(first, second, &image)?,
        [None, None] => return None,
    };
    Some((media, sockets.into()))
}

fn gateway(audio: Lent, by_t38: Lent, image: &AgreedImage) -> Option<(Media, [OwnedFd; 2])> {
    let (audio, socket) = sound(audio)?;
    Some((Media::Gateway { audio, t38: t38(image) }, [socket, by_t38.socket]))
}

/// How a lent stream is told to the process, with its socket.
pub(super) fn media(lent: Lent) -> Option<(Media, OwnedFd)> {
    sound(lent).map(|(audio, socket)| (Media::Audio(audio), socket))
}

fn sound(lent: Lent) -> Option<(Audio, OwnedFd)> {
    let law = match lent.config.codec.codec {
        Codec::Pcmu => Law::Mu,
        Codec::Pcma => Law::A,
        _ => return None,
    };
    let audio = Audio {
        remote: lent.remote,
        law,
        payload_type: lent.config.codec.payload_type,
        ssrc: lent.ssrc,
        sequence: lent.sequence,
        timestamp: lent.timestamp,
    };
    Some((audio, lent.socket))
}

#[cfg(test)]
mod tests {
    use koukan_fax::protocol::Page;

    use super::*;

    fn end(ecm_retries: u32) -> End {
        End { ecm_retries, ..End::default() }
    }

    #[test]
    fn an_end_names_its_likely_cause_and_a_clean_one_none() {
        assert_eq!(likely(Cause::Done, &end(0), 0, false), "");
        assert!(likely(Cause::Done, &end(40), 0, false).contains("T.38"));
        assert!(likely(Cause::CannotTrain, &end(0), 5, true).contains("retrains: 5"));
        assert!(likely(Cause::NoFax, &end(0), 0, true).ends_with("answered"));
    }

    #[test]
    fn pages_of_an_attempt_are_counted_on_from_those_before() {
        let progress = Progress { first_page: 4, ..Progress::default() };
        let mut run =
            Running::new(("acme".into(), "s1".to_owned()), What::Sends(progress), 0, None);
        run.note(&Event::Rate { bit_rate: 9_600, ecm: true });
        let page = |number| Event::Page(Page { number, ..Page::default() });
        assert!(run.note(&page(1)).starts_with("page 4 is there"));
        // T.38 has begun the session anew, which counts from 1 again.
        run.turns_to_t38();
        assert!(run.note(&page(1)).starts_with("page 5 is there"));
        let What::Sends(progress) = run.what else { panic!("it sends") };
        assert_eq!((progress.confirmed, progress.bit_rate, progress.by_t38), (2, 9_600, true));
    }
}
