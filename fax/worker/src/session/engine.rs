//! The engines behind one face: T.30 over audio, a T.38 terminal, a T.38 gateway, and T.38 passed
//! on.

use std::net::SocketAddr;
use std::path::{Component, Path};

use koukan_base::Time;
use koukan_fax::protocol::{Media, Station, T38, Task};
use thiserror::Error;

use super::relay::Relay;
use super::{Line, RtpLine, TICK_SAMPLES, UdptlLine, udptl};
use crate::spandsp::{
    Agreed, AudioFax, Duty, Gateway, Machine, Seen, SetupError, Terminal, Totals,
};

/// Why a session cannot begin, or go on over another medium: the server's fault, but for `Setup`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The engine cannot be made.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The file lies outside of the worker's directory.
    #[error("the file {0:?} is none of the worker's directory")]
    File(String),
    /// A gateway needs both media, a terminal one.
    #[error("this task does not go over this medium")]
    Media,
}

#[derive(Debug)]
pub(super) enum Engine {
    Audio { fax: AudioFax, line: Box<RtpLine> },
    T38 { terminal: Terminal, line: Box<UdptlLine> },
    Gateway { gateway: Gateway, audio: Box<RtpLine>, t38: Box<UdptlLine> },
    Relay(Box<Relay>),
}

impl Engine {
    pub(super) fn new(task: &Task, media: Media, directory: &Path) -> Result<Self, SessionError> {
        let (duty, station) = duty(task, directory)?;
        let Station { ident, rate, ecm, calling } = station;
        let (rate, ecm, calling) = (*rate, *ecm, *calling);
        match (duty, media) {
            (Some(duty), Media::Audio(audio)) => {
                let fax = AudioFax::new(calling, &duty, ident, rate, ecm)?;
                Ok(Self::Audio { fax, line: Box::new(RtpLine::new(audio)) })
            }
            (Some(duty), Media::T38(t38)) => {
                let agreed = (calling, agreed(&t38));
                let terminal = Terminal::new(agreed, &duty, ident, rate, ecm)?;
                Ok(Self::T38 { terminal, line: Box::new(UdptlLine::new(&t38)) })
            }
            (None, Media::Gateway { audio, t38 }) => Ok(Self::Gateway {
                gateway: Gateway::new(agreed(&t38), rate, ecm)?,
                audio: Box::new(RtpLine::new(audio)),
                t38: Box::new(UdptlLine::new(&t38)),
            }),
            (None, Media::Relay { near, far }) => {
                Ok(Self::Relay(Box::new(Relay::new(&near, &far))))
            }
            (None | Some(_), _) => Err(SessionError::Media),
        }
    }

    /// A datagram came; says whether it was one of the stream's.
    pub(super) fn receive(
        &mut self,
        now: Time,
        line: Line,
        from: SocketAddr,
        datagram: &[u8],
    ) -> bool {
        match (self, line) {
            (Self::Audio { line, .. }, Line::Audio)
            | (Self::Gateway { audio: line, .. }, Line::Audio) => line.receive(now, from, datagram),
            (Self::T38 { terminal, line }, Line::T38) => {
                line.receive(now, from, datagram, |number, ifp| terminal.receive(number, ifp))
            }
            (Self::Gateway { gateway, t38, .. }, Line::T38) => {
                t38.receive(now, from, datagram, |number, ifp| gateway.receive(number, ifp))
            }
            (Self::Relay(relay), line) => relay.receive(now, line, from, datagram),
            (Self::Audio { .. } | Self::T38 { .. } | Self::Gateway { .. }, _) => false,
        }
    }

    /// 20 ms have passed. A machine that is held hears and says nothing.
    pub(super) fn tick(&mut self, now: Time, send: &mut impl FnMut(Line, SocketAddr, &[u8])) {
        let mut samples = [0; TICK_SAMPLES];
        match self {
            Self::Audio { fax, line } => {
                line.pull(now, &mut samples);
                fax.hear(&mut samples);
                if fax.machine().is_held() {
                    samples.fill(0);
                } else {
                    fax.speak(&mut samples);
                }
                line.send(&samples, |to, datagram| send(Line::Audio, to, datagram));
            }
            Self::T38 { terminal, line } => {
                if terminal.machine().is_held() {
                    return;
                }
                terminal.tick(160);
                for packet in terminal.take_packets() {
                    line.send(&packet, |to, datagram| send(Line::T38, to, datagram));
                }
            }
            Self::Gateway { gateway, audio, t38 } => {
                audio.pull(now, &mut samples);
                gateway.hear(&mut samples);
                gateway.speak(&mut samples);
                audio.send(&samples, |to, datagram| send(Line::Audio, to, datagram));
                for packet in gateway.take_packets() {
                    t38.send(&packet, |to, datagram| send(Line::T38, to, datagram));
                }
            }
            Self::Relay(relay) => relay.tick(send),
        }
    }

    pub(super) fn totals(&self) -> Totals {
        match self {
            Self::Audio { fax, .. } => fax.totals(),
            Self::T38 { terminal, .. } => terminal.totals(),
            Self::Gateway { gateway, .. } => gateway.totals(),
            Self::Relay(_) => Totals::default(),
        }
    }

    pub(super) fn take_seen(&mut self) -> Vec<Seen> {
        match self {
            Self::Audio { fax, .. } => fax.machine().take_seen(),
            Self::T38 { terminal, .. } => terminal.machine().take_seen(),
            Self::Gateway { gateway, .. } => gateway.take_seen(),
            Self::Relay(_) => Vec::new(),
        }
    }

    /// Whether it passes on what comes and says nothing of its own.
    pub(super) const fn relays(&self) -> bool {
        matches!(self, Self::Relay(_))
    }

    /// The T.30 machine; a gateway has none.
    pub(super) fn machine(&mut self) -> Option<&mut Machine> {
        match self {
            Self::Audio { fax, .. } => Some(fax.machine()),
            Self::T38 { terminal, .. } => Some(terminal.machine()),
            Self::Gateway { .. } | Self::Relay(_) => None,
        }
    }
}

fn agreed(t38: &T38) -> Agreed {
    Agreed {
        local_tcf: t38.local_tcf,
        max_ifp: udptl::max_ifp(t38.max_datagram),
        max_bit_rate: t38.max_bit_rate,
    }
}

/// What the engine is told, with the file's whole path; nothing for a gateway.
fn duty<'t>(task: &'t Task, directory: &Path) -> Result<(Option<Duty>, &'t Station), SessionError> {
    match task {
        Task::Send { file, first_page, station } => {
            let (file, first_page) = (inside(directory, file)?, first_page.saturating_sub(1));
            Ok((Some(Duty::Send { file, first_page }), station))
        }
        Task::Receive { file, station, .. } => {
            Ok((Some(Duty::Receive { file: inside(directory, file)? }), station))
        }
        Task::Gateway { station } => Ok((None, station)),
    }
}

/// The file's path below the directory; names that lead out of it are refused.
fn inside(directory: &Path, file: &str) -> Result<String, SessionError> {
    let refused = || SessionError::File(file.to_owned());
    let parts = Path::new(file).components();
    let plain = parts.clone().all(|part| matches!(part, Component::Normal(_)));
    if !plain || parts.count() == 0 {
        return Err(refused());
    }
    directory.join(file).into_os_string().into_string().map_err(|_| refused())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_lie_below_the_directory_or_nowhere() {
        let directory = Path::new("/spool");
        assert_eq!(inside(directory, "in/1.tif"), Ok("/spool/in/1.tif".to_owned()));
        for name in ["", "/etc/passwd", "../x", "a/../../x", "."] {
            assert!(inside(directory, name).is_err(), "{name}");
        }
    }
}
