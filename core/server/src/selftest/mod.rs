//! The health check with sound (N-18): a phone of the office calls its echo through this server's
//! own listener, speaks a tone, hears it come back and hangs up; each hop on the way is told with
//! what it took, and the one that failed by its name.

mod phone;
mod sound;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use koukan_sip::Credentials;
use koukan_switch::Cdr;
use serde::{Deserialize, Serialize};

pub use phone::Account;
use phone::{Answered, Phone};

/// How long each hop may take.
const LIMIT: Duration = Duration::from_secs(5);
/// How long the tone is spoken.
const TALK: Duration = Duration::from_secs(2);
/// How far the tone's level may be off when it comes back, in dB.
const OFF_DB: f64 = 3.0;

/// What is to be tried.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// The tenant's id.
    pub tenant: String,
    /// The device that calls, by its name in the plan; the first of the office otherwise.
    pub device: Option<String>,
    /// What it dials: an extension that is an echo; the office's first one otherwise.
    pub number: Option<String>,
}

/// How far a call came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// Every hop is well.
    pub ok: bool,
    /// The hop that failed.
    pub failed: Option<&'static str>,
    /// The hops in their order, up to the one that failed.
    pub hops: Vec<Hop>,
}

/// One hop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hop {
    /// `listener`, `account`, `plan`, `media to the server`, `media from the server`, `sound`,
    /// `hang-up`, `record`.
    pub hop: &'static str,
    /// It is well.
    pub ok: bool,
    /// How long it took, in ms.
    pub ms: u64,
    /// What was seen.
    pub seen: String,
}

/// The hops of a call under way.
#[derive(Debug)]
pub(crate) struct Trial {
    hops: Vec<Hop>,
    since: Instant,
    /// The SIP Call-ID, once the call stood.
    pub(crate) call_id: Option<String>,
    /// Nothing came back: whether anything arrived says the record.
    unheard: Option<String>,
}

impl Trial {
    fn new() -> Self {
        Self { hops: Vec::new(), since: Instant::now(), call_id: None, unheard: None }
    }

    /// Notes a hop; `None` when it failed.
    fn hop(&mut self, hop: &'static str, seen: Result<String, String>) -> Option<()> {
        let ms = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.since = Instant::now();
        let ok = seen.is_ok();
        let seen = seen.unwrap_or_else(|words| words);
        self.hops.push(Hop { hop, ok, ms, seen });
        ok.then_some(())
    }

    /// The last hops, by the record of the call: whether it was kept, and which way the sound was
    /// lost.
    pub(crate) fn judged(mut self, record: Result<Option<Cdr>, String>) -> Outcome {
        let received = match &record {
            Ok(Some(cdr)) => cdr.legs.first().map(|leg| leg.rtp_received),
            Ok(None) | Err(_) => None,
        };
        if let Some(words) = self.unheard.take() {
            let (hop, words) = match received {
                Some(0) => ("media to the server", "no packet of the tone arrived".to_owned()),
                Some(count) => {
                    ("media from the server", format!("{count} packets arrived, {words}"))
                }
                None => ("media from the server", words),
            };
            self.hop(hop, Err(words));
        } else if self.call_id.is_some() && self.hops.iter().all(|hop| hop.ok) {
            let seen = match record {
                Ok(Some(cdr)) => {
                    let arrived = received.unwrap_or_default();
                    Ok(format!("call {}, {:?}, {arrived} packets arrived", cdr.call, cdr.cause))
                }
                Ok(None) => Err("the call has no final record".to_owned()),
                Err(words) => Err(words),
            };
            self.hop("record", seen);
        }
        let failed = self.hops.iter().find(|hop| !hop.ok).map(|hop| hop.hop);
        Outcome { ok: failed.is_none(), failed, hops: self.hops }
    }
}

/// Where a listener is reached from this machine: `udp:0.0.0.0:5060` by the loopback.
#[must_use]
pub fn reached(listener: &str) -> Option<SocketAddr> {
    let mut address: SocketAddr = listener.strip_prefix("udp:")?.parse().ok()?;
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    Some(address)
}

/// Makes the call, on a thread of its own: it takes some seconds.
pub(crate) fn call(server: SocketAddr, account: &Account, number: &str, seed: [u8; 32]) -> Trial {
    let mut trial = Trial::new();
    let outcome = Phone::new(server, account.clone(), seed);
    match outcome {
        Ok(mut phone) => drop(through_the_hops(&mut trial, &mut phone, number)),
        Err(error) => drop(trial.hop("listener", Err(format!("no socket for a phone: {error}")))),
    }
    trial
}

fn through_the_hops(trial: &mut Trial, phone: &mut Phone, number: &str) -> Option<()> {
    let listener = match phone.options(LIMIT) {
        Some(status) => Ok(format!("{status} to OPTIONS at {}", phone.server())),
        None => Err(format!("no answer to OPTIONS at {}", phone.server())),
    };
    trial.hop("listener", listener)?;
    let user = phone.user().to_owned();
    let dialog = match phone.dial(number, LIMIT) {
        Answered::Up(dialog) => dialog,
        Answered::Refused(status @ (401 | 403 | 407)) => {
            trial.hop("account", Err(format!("{status} to the call of {user}")))?;
            return None;
        }
        Answered::Refused(status) => {
            trial.hop("account", Ok(format!("{user} is known")))?;
            trial.hop("plan", Err(format!("{status} to {number}")))?;
            return None;
        }
        Answered::Nothing => {
            trial.hop("plan", Err(format!("{number} does not answer")))?;
            return None;
        }
    };
    trial.hop("account", Ok(format!("{user} is known")))?;
    trial.call_id = phone.call_id(dialog);
    trial.hop("plan", Ok(format!("{number} answers")))?;
    let talked = phone.talk(dialog, TALK);
    let left = phone.hang_up(dialog, LIMIT);
    match talked {
        Err(words) => {
            trial.hop("plan", Err(words))?;
        }
        Ok(talk) if talk.packets == 0 => {
            trial.unheard = Some(format!("none of {} came back", talk.sent));
            return None;
        }
        Ok(talk) => {
            let back = format!("{} of {} packets came back", talk.packets, talk.sent);
            trial.hop("media from the server", Ok(back))?;
            let off = (talk.level_db - sound::LEVEL_DB).abs();
            let words = format!("the tone comes back at {:.1} dBFS", talk.level_db);
            let seen = if off <= OFF_DB { Ok(words) } else { Err(words) };
            trial.hop("sound", seen)?;
        }
    }
    let seen = match left {
        Some(200) => Ok("200 to BYE".to_owned()),
        Some(status) => Err(format!("{status} to BYE")),
        None => Err("no answer to BYE".to_owned()),
    };
    trial.hop("hang-up", seen)
}

/// Credentials of a device for its own server.
#[must_use]
pub fn credentials(user: &str, password: &[u8]) -> Credentials {
    let password = String::from_utf8_lossy(password).into_owned();
    Credentials { username: user.to_owned(), password }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_every_address_is_reached_by_the_loopback() {
        assert_eq!(reached("udp:0.0.0.0:5060"), "127.0.0.1:5060".parse().ok());
        assert_eq!(reached("udp:[::]:5060"), "[::1]:5060".parse().ok());
        assert_eq!(reached("udp:192.0.2.1:5070"), "192.0.2.1:5070".parse().ok());
        assert_eq!((reached("tcp:127.0.0.1:5060"), reached("udp:nowhere")), (None, None));
    }

    #[test]
    fn nobody_at_the_listener_is_the_listeners_fault_and_no_other_hop_is_tried() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let deaf = socket.local_addr().unwrap();
        let account = Account { credentials: credentials("acme-801", b"secret") };
        let mut trial = Trial::new();
        let mut phone = Phone::new(deaf, account, [1; 32]).unwrap();
        assert_eq!(phone.options(Duration::from_millis(300)), None);
        assert_eq!(trial.hop("listener", Err("no answer".to_owned())), None);
        let outcome = trial.judged(Ok(None));
        assert_eq!((outcome.failed, outcome.hops.len()), (Some("listener"), 1));
    }

    #[test]
    fn a_number_that_rings_on_is_given_up_and_left_to_nobody() {
        let server = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        server.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let address = server.local_addr().unwrap();
        let heard = std::thread::spawn(move || {
            let mut methods = Vec::new();
            let mut buffer = [0; 4_096];
            while let Ok((length, from)) = server.recv_from(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                let method = text.split(' ').next().unwrap().to_owned();
                let kept = ["Via:", "From:", "Call-ID:", "CSeq:"];
                let lines: String = text
                    .lines()
                    .filter(|line| kept.iter().any(|name| line.starts_with(name)))
                    .map(|line| format!("{line}\r\n"))
                    .collect();
                let to = text.lines().find(|line| line.starts_with("To:")).unwrap();
                let to = if to.contains("tag=") { to.to_owned() } else { format!("{to};tag=s") };
                let answer = |status: &str, lines: &str| {
                    format!("SIP/2.0 {status}\r\n{lines}{to}\r\nContent-Length: 0\r\n\r\n")
                };
                let send = |text: String| server.send_to(text.as_bytes(), from).unwrap();
                match method.as_str() {
                    "INVITE" => drop(send(answer("180 Ringing", &lines))),
                    "CANCEL" => {
                        send(answer("200 OK", &lines));
                        let of_invite = lines.replace("CANCEL", "INVITE");
                        send(answer("487 Request Terminated", &of_invite));
                    }
                    _ => {}
                }
                let over = method == "ACK";
                methods.push(method);
                if over {
                    break;
                }
            }
            methods
        });
        let account = Account { credentials: credentials("acme-801", b"secret") };
        let mut phone = Phone::new(address, account, [2; 32]).unwrap();
        assert_eq!(phone.dial("600", Duration::from_millis(300)), Answered::Nothing);
        assert_eq!(heard.join().unwrap(), ["INVITE", "CANCEL", "ACK"]);
    }

    #[test]
    fn the_record_says_which_way_the_sound_was_lost() {
        let trial = || Trial { unheard: Some("none came back".to_owned()), ..Trial::new() };
        let outcome = trial().judged(Ok(None));
        assert_eq!(outcome.failed, Some("media from the server"));
    }
}
