//! Session timers between the messages (RFC 4028): what our requests ask, what we grant, 422 both
//! ways, and what becomes of a refresh.

use std::time::Duration;

use koukan_base::Time;

use super::client::{Outgoing, in_dialog};
use super::session::SessionTimer;
use super::types::{DialogId, Event, Response, ServerTx};
use super::{Negotiation, UserAgent, glare};
use crate::header::{Refresher, SessionExpires};
use crate::message::{Header, Message, Method};

/// The header in which a user asks for an interval of its own, for one INVITE.
pub(super) const WISH: &str = "Session-Expires";
/// The option tag of session timers.
pub(super) const TAG: &[u8] = b"timer";
/// RFC 4028, 5: no interval is shorter.
const SHORTEST: u32 = 90;
/// A peer that wants more between two refreshes than a day wants none.
const LONGEST: u32 = 86_400;
/// How often a request is repeated with a longer interval: each proxy on the way may want its own.
const RETRIES: u8 = 3;

/// The interval that the user asks for with an initial INVITE.
fn own_wish(outgoing: &Outgoing) -> Option<u32> {
    if outgoing.dialog.is_some() {
        return None;
    }
    let headers = &outgoing.request.headers;
    let (_, value) = headers.iter().find(|(name, _)| *name == WISH)?;
    SessionExpires::parse(value).map(|wish| wish.seconds)
}

impl Outgoing {
    /// Whether the user's own Session-Expires goes out as it is.
    pub(super) fn states_interval(&self) -> bool {
        let raised = self.dialog.is_none() && self.session.min_se.is_some();
        !raised && self.request.headers.iter().any(|(name, _)| *name == WISH)
    }
}

/// What a request of ours asks of the session timer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SessionWish {
    /// The Min-SE that a 422 brought, in seconds.
    min_se: Option<u32>,
    /// How many 422 there were.
    refused: u8,
}

impl UserAgent {
    fn own_min_se(&self) -> u32 {
        self.config.session.min_se_s.max(SHORTEST)
    }

    pub(super) fn min_se(&self) -> (&'static str, Vec<u8>) {
        ("Min-SE", self.own_min_se().to_string().into_bytes())
    }

    /// RFC 4028, 9: whether a request is to be refused with 422; only who knows the timer can mend
    /// that.
    pub(super) fn is_session_too_small(&self, request: &Message) -> bool {
        let asks = matches!(request.method(), Some(Method::Invite | Method::Update));
        asks && request.supports(TAG)
            && request
                .header(Header::SessionExpires)
                .and_then(SessionExpires::parse)
                .is_some_and(|wish| wish.seconds < self.own_min_se())
    }

    /// Session-Expires and Min-SE of an INVITE or UPDATE of ours.
    pub(super) fn session_wish(&self, outgoing: &Outgoing) -> Vec<(&'static str, Vec<u8>)> {
        let running = outgoing
            .dialog
            .and_then(|id| self.dialogs.get(&id))
            .and_then(|dialog| dialog.session)
            .filter(|timer| !timer.alone);
        let wish = match running {
            Some(timer) => {
                Some((timer.seconds, if timer.ours { ";refresher=uac" } else { ";refresher=uas" }))
            }
            None => own_wish(outgoing).or(self.config.session.expires_s).map(|s| (s, "")),
        };
        let Some((seconds, refresher)) = wish else { return Vec::new() };
        let min_se = outgoing.session.min_se.unwrap_or(0).max(self.own_min_se());
        let seconds = seconds.max(min_se);
        let mut lines = vec![("Session-Expires", format!("{seconds}{refresher}").into_bytes())];
        if min_se > SHORTEST {
            lines.push(("Min-SE", min_se.to_string().into_bytes()));
        }
        lines
    }

    /// After a 422: whether the request is to be repeated with the longer interval that it names.
    pub(super) fn take_min_se(outgoing: &mut Outgoing, status: u16, message: &Message) -> bool {
        if !matches!(outgoing.request.method, Method::Invite | Method::Update) {
            return false;
        }
        let wanted = message.header(Header::MinSe).and_then(SessionExpires::parse);
        let Some(wanted) = wanted.filter(|_| status == 422) else { return false };
        let known = outgoing.session.min_se.unwrap_or(0);
        if outgoing.session.refused >= RETRIES || wanted.seconds <= known {
            return false;
        }
        outgoing.session.refused = outgoing.session.refused.saturating_add(1);
        outgoing.session.min_se = Some(wanted.seconds);
        wanted.seconds <= LONGEST
    }

    /// Our 2xx to an INVITE or UPDATE: the interval that we grant, and the timer that it starts
    /// (RFC 4028, section 9).
    pub(super) fn grant_session(&mut self, now: Time, tx: ServerTx, response: &mut Response) {
        let Some(server) = self.servers.get(&tx.0) else { return };
        let (Some(request), id) = (&server.request, server.dialog) else { return };
        if !matches!(request.method(), Some(Method::Invite | Method::Update)) {
            return;
        }
        let Some(running) = id.and_then(|id| self.dialogs.get(&id)).map(|dialog| dialog.session)
        else {
            return;
        };
        let (timer, line) = self.granted(now, request, running);
        if let Some(timer) = timer.filter(|timer| !timer.alone) {
            let who = if timer.ours { "uas" } else { "uac" };
            if line {
                // RFC 4028, 9: the caller that has to refresh is told so by Require.
                if !timer.ours {
                    response.headers.push(("Require", TAG.to_vec()));
                }
                let value = format!("{};refresher={who}", timer.seconds).into_bytes();
                response.headers.push(("Session-Expires", value));
            }
        }
        if let Some(id) = id {
            self.change_dialog(id, |dialog| dialog.session = timer);
        }
    }

    /// The timer that a request of the peer gets, and whether the response says so.
    fn granted(
        &self,
        now: Time,
        request: &Message,
        running: Option<SessionTimer>,
    ) -> (Option<SessionTimer>, bool) {
        let config = self.config.session;
        let wish = request.header(Header::SessionExpires).and_then(SessionExpires::parse);
        let min_se = request.header(Header::MinSe).and_then(SessionExpires::parse);
        let least = min_se.map_or(0, |least| least.seconds).max(self.own_min_se());
        let knows = request.supports(TAG);
        // Roles that were agreed once stay (RFC 4028, 7.4), seen from this request.
        let settled = running.filter(|timer| !timer.alone).map(|timer| timer.ours);
        let seconds = match (wish, config.expires_s) {
            (Some(wish), Some(ours)) => Some(ours.max(least).min(wish.seconds)),
            (Some(wish), None) => Some(wish.seconds),
            (None, Some(ours)) if knows => Some(ours.max(least)),
            (None, ours) => {
                let alone = ours.filter(|_| config.alone);
                let timer = alone.map(|seconds| SessionTimer::new(now, seconds, true, true));
                return (timer, false);
            }
        };
        let ours = match wish.and_then(|wish| wish.refresher) {
            Some(Refresher::Uac) => false,
            Some(Refresher::Uas) => true,
            None => settled.unwrap_or(!knows),
        };
        let timer =
            seconds.map(|seconds| SessionTimer::new(now, seconds.max(SHORTEST), ours, false));
        (timer, true)
    }

    /// The 2xx to an INVITE or UPDATE of ours (RFC 4028, 7.2).
    pub(super) fn session_agreed(&mut self, now: Time, id: u64, message: &Message) {
        let config = self.config.session;
        let granted = message.header(Header::SessionExpires).and_then(SessionExpires::parse);
        let timer = match granted.filter(|granted| granted.seconds > 0) {
            Some(granted) => {
                let ours = granted.refresher != Some(Refresher::Uas);
                let seconds = granted.seconds.clamp(SHORTEST, LONGEST);
                Some(SessionTimer::new(now, seconds, ours, false))
            }
            None => config
                .expires_s
                .filter(|_| config.alone)
                .map(|seconds| SessionTimer::new(now, seconds.max(SHORTEST), true, true)),
        };
        self.change_dialog(id, |dialog| {
            dialog.learn(message);
            dialog.session = timer;
        });
    }

    /// A refresh of ours is due.
    pub(super) fn refresh_session(&mut self, now: Time, id: u64) {
        let busy = self.change_dialog(id, |dialog| {
            let busy = dialog.client_invite.is_some()
                || dialog.server_invite.is_some()
                || dialog.waiting_ack.is_some()
                || dialog.negotiation != Negotiation::Settled;
            // What is under way refreshes the session itself, or ends soon.
            if let Some(timer) = dialog.session.as_mut().filter(|_| busy) {
                timer.retry(now, Some(Duration::from_secs(2)));
            }
            busy
        });
        if busy != Some(false) {
            return;
        }
        let Some(dialog) = self.dialogs.get(&id) else { return };
        if dialog.takes_update {
            let request = in_dialog(dialog, Method::Update, Vec::new(), None);
            self.start(now, request, Some(id), true);
        } else {
            self.tell(Event::RefreshDue { dialog: DialogId(id) });
        }
    }

    /// A re-INVITE or UPDATE of ours in the dialog failed: what that means for the session, and
    /// when it is offered again.
    pub(super) fn description_failed(
        &mut self,
        now: Time,
        id: u64,
        outgoing: &Outgoing,
        status: u16,
        message: Option<&Message>,
    ) {
        let (method, silent) = (outgoing.request.method, outgoing.silent);
        let after = message.and_then(|message| message.number(Header::RetryAfter));
        let owner = self.dialogs.get(&id).is_some_and(|dialog| dialog.owns_call_id());
        let wait = match (status, after) {
            (491, _) => Some(glare::wait(&mut self.rng, owner)),
            // RFC 3261, 14.2 and RFC 3311, 5.2: 500 with a time to wait is the other half of glare.
            (500 | 503, Some(seconds @ 0..=32)) => Some(Duration::from_secs(u64::from(seconds))),
            _ => None,
        };
        let gone = self.change_dialog(id, |dialog| {
            if let Some(wait) = wait.filter(|_| !silent) {
                dialog.try_again = Some((now + wait, method));
            }
            let timer = dialog.session.as_mut().filter(|timer| timer.is_refreshing())?;
            if status == 481 {
                return Some(());
            }
            if method == Method::Update && matches!(status, 405 | 420 | 488 | 501) {
                // It does not take UPDATE after all: a re-INVITE, and soon.
                dialog.takes_update = false;
                timer.retry(now, Some(Duration::from_millis(10)));
            } else {
                // The user may try again by itself; the timer gives it the time.
                let wait = wait.map(|wait| if silent { wait } else { wait.saturating_mul(2) });
                timer.retry(now, wait);
            }
            timer.failed = true;
            None
        });
        if gone.flatten().is_some() {
            self.session_expired(now, id);
        }
    }

    /// The session is over, unless the peer never promised anything and was not found missing.
    pub(super) fn session_expired(&mut self, now: Time, id: u64) {
        let expired = self.change_dialog(id, |dialog| {
            let timer = dialog.session.take()?;
            if timer.alone && !timer.failed && timer.is_over(now) {
                dialog.session = Some(SessionTimer::new(now, timer.seconds, true, true));
                return None;
            }
            Some(())
        });
        if expired.flatten().is_some() {
            self.tell(Event::SessionExpired { dialog: DialogId(id) });
        }
    }
}
