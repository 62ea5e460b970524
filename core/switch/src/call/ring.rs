//! Ringing phones: tiers begin in time, the first answer wins, the others are told so (S-02, S-12).

use std::sync::Arc;
use std::time::Duration;

use koukan_base::Time;
use koukan_dialplan::{RingTarget, Start};
use koukan_sip::{ClientTx, FailureCause, Message};

use crate::action::Now;
use crate::call::{Call, Ringing, Stage};
use crate::leg::{Leg, LegState, Party};
use crate::limits;
use crate::switch::{Fate, Switch};

/// Flow Failed (RFC 5626, 11.5).
const FLOW_FAILED: u16 = 430;

/// A phone that gives no 18x for so long counts as not reachable.
const SHOWS_LIFE: Duration = Duration::from_secs(3);

impl Switch {
    /// Begins a ring step; false when there is nobody to ring.
    pub(crate) fn start_ringing(
        &mut self,
        now: Now,
        call: &mut Call,
        targets: Vec<RingTarget>,
        timeout: Duration,
        called_name: Option<Arc<str>>,
    ) -> bool {
        call.rang_out = None;
        if self.is_too_broad(call) {
            return false;
        }
        self.answer_early(now, call);
        call.stage = Stage::Ringing(Ringing {
            waiting: targets,
            began: now.time,
            until: now.time + timeout,
            called_name,
        });
        self.begin_tiers(now, call);
        let begun = call.rung().next().is_some();
        let later = matches!(&call.stage, Stage::Ringing(ringing) if !ringing.waiting.is_empty());
        if !begun && !later {
            self.explain(call.id, "nobody is registered");
        }
        begun || later
    }

    /// RFC 5393, 5.3.3: a call that may be passed on to nobody is refused with 440.
    pub(crate) fn is_too_broad(&mut self, call: &mut Call) -> bool {
        let refused = call.max_breadth == Some(0);
        if refused {
            self.explain(call.id, "Max-Breadth is used up");
            call.release = koukan_dialplan::Release { status: 440, ..call.release.clone() };
        }
        refused
    }

    /// Begins every target whose time has come; those that stand in for unreachable ones begin when
    /// none of the others can be reached.
    fn begin_tiers(&mut self, now: Now, call: &mut Call) {
        let Stage::Ringing(ringing) = &mut call.stage else { return };
        let began = ringing.began;
        let ready = |target: &mut RingTarget| match target.start {
            Start::After(delay) => began + delay <= now.time,
            Start::WhenUnreachable => false,
        };
        let due: Vec<RingTarget> = ringing.waiting.extract_if(.., ready).collect();
        for target in due {
            self.ring_target(now, call, &target);
        }
        let alive = call.rung().any(|(_, leg)| reachable(now.time, leg));
        let Stage::Ringing(ringing) = &mut call.stage else { return };
        if alive {
            return;
        }
        let reserve = |target: &mut RingTarget| matches!(target.start, Start::WhenUnreachable);
        let due: Vec<RingTarget> = ringing.waiting.extract_if(.., reserve).collect();
        for target in due {
            self.ring_target(now, call, &target);
        }
    }

    pub(crate) fn ring_target(&mut self, now: Now, call: &mut Call, target: &RingTarget) {
        let phones = self.registrar.targets(&target.user);
        if phones.is_empty() {
            let bound = self.registrar.is_bound(&target.user);
            let why = if bound { "has lost its connection" } else { "is not registered" };
            self.explain(call.id, format!("device {} {why}", target.device));
        }
        // A call with a neighbour comes back to the office that parked it.
        let info = self.directory.plans.device_by_user(&target.user, "");
        let tenant = info.map_or(&call.tenant, |info| &info.tenant).clone();
        let most = usize::try_from(limits::RING_LEGS.default).unwrap_or(usize::MAX);
        for ways in phones {
            let mut ways = ways.into_iter();
            let Some(way) = ways.next() else { continue };
            let wide = call.max_breadth.is_some_and(|most| at_once(call) >= most);
            if call.legs.len() > most || wide {
                self.explain(call.id, "no more phones can ring at once");
                return;
            }
            let party = Party::Device { tenant: tenant.clone(), device: target.device.clone() };
            let number = self.next_number();
            self.ua.know_long_way(now.time, way.flow, way.long);
            let mut leg = Leg::new(party, way.flow, LegState::Opening, number, now.date);
            leg.contact = Some(way);
            leg.other_ways = ways.collect();
            leg.identity = self.called_identity(&leg.party, &target.user);
            leg.speaks_fax = call.sending.is_some();
            self.add_leg(now, call, leg);
        }
    }

    /// Adds a leg that is called as soon as its stream is open.
    pub(crate) fn add_leg(&mut self, now: Now, call: &mut Call, leg: Leg) {
        let index = u16::try_from(call.legs.len()).unwrap_or(u16::MAX);
        call.legs.push(leg);
        if !self.open_stream(call, index)
            && let Some(leg) = call.leg_mut(index)
        {
            leg.state = LegState::Ended;
            leg.ended = Some(now.date);
            leg.status = 488;
            self.explain(call.id, "no media address of the phone's family");
        }
    }

    /// A leg that we called has refused, or nobody answered its INVITE.
    pub(crate) fn leg_failed(
        &mut self,
        now: Now,
        tx: ClientTx,
        status: u16,
        cause: FailureCause,
        message: Option<&Message>,
    ) {
        let Some((id, index)) = self.by_client.remove(&tx) else { return };
        self.with_call(now, id, |switch, call| {
            if switch.try_other_way(call, index, status, cause) {
                return switch.call_leg(now, call, index);
            }
            switch.note_trunk_answer(call, index, status, cause, message);
            let redirection = message.filter(|_| (300..400).contains(&status));
            call.followed = redirection.is_some_and(|m| switch.redirected(now, call, index, m));
            switch.callee_over(now, call, index, status)
        });
    }

    /// RFC 5626, 7: a phone whose flow is broken is called over its next one.
    fn try_other_way(
        &mut self,
        call: &mut Call,
        index: u16,
        status: u16,
        cause: FailureCause,
    ) -> bool {
        let broken = status == FLOW_FAILED || cause == FailureCause::Transport;
        let Some(leg) = call.leg_mut(index).filter(|leg| broken && !leg.is_over()) else {
            return false;
        };
        let family = leg.flow.remote.is_ipv4();
        let next = leg.other_ways.iter().position(|way| way.flow.remote.is_ipv4() == family);
        let Some(next) = next else { return false };
        let way = leg.other_ways.remove(next);
        leg.flow = way.flow;
        leg.contact = Some(way);
        let party = leg.party.name();
        self.explain(call.id, format!("{party}: {status}, its other flow is tried"));
        true
    }

    /// A callee's leg is over before it was answered; what follows depends on what is left.
    pub(crate) fn callee_over(
        &mut self,
        now: Now,
        call: &mut Call,
        index: u16,
        status: u16,
    ) -> Fate {
        let Some(leg) = call.leg_mut(index) else { return Fate::Keep };
        leg.state = LegState::Ended;
        for dialog in std::mem::take(&mut leg.early) {
            self.by_dialog.remove(&dialog);
        }
        leg.ended = Some(now.date);
        leg.answered = None;
        leg.status = status;
        let party = leg.party.name();
        self.close_stream(call, index);
        self.explain(call.id, format!("{party}: {status}"));
        if !std::mem::take(&mut call.followed) {
            call.failures.push(status);
        }
        match call.stage {
            Stage::Ringing(_) => self.ring_on(now, call),
            Stage::Trunk(_) => self.next_trunk(now, call, status),
            Stage::Paging(_) => self.page_over(now, call),
            Stage::Queue(_) => self.agent_gone(now, call),
            Stage::Opening { .. }
            | Stage::Module(_)
            | Stage::Echo
            | Stage::Fax(_)
            | Stage::Menu(_)
            | Stage::Conference(_)
            | Stage::Parked(_)
            | Stage::Bridged { .. } => Fate::Keep,
        }
    }

    /// Begins what is due; the next step follows when nobody is left to wait for.
    pub(crate) fn ring_on(&mut self, now: Now, call: &mut Call) -> Fate {
        let over = match &call.stage {
            Stage::Ringing(ringing) => ringing.until <= now.time,
            _ => return Fate::Keep,
        };
        if over {
            self.explain(call.id, "nobody answered in time");
            let rang = |leg: &Leg| matches!(leg.state, LegState::Calling { rang: true, .. });
            let rang_out = call.rung().any(|(_, leg)| rang(leg));
            call.rang_out = Some(rang_out);
            let ringing: Vec<u16> = call.rung().map(|(index, _)| index).collect();
            for index in ringing {
                self.end_leg(now, call, index, 487, None);
            }
            call.failures.push(408);
            return self.next_step(now, call);
        }
        self.begin_tiers(now, call);
        let waiting = matches!(&call.stage, Stage::Ringing(ringing) if !ringing.waiting.is_empty());
        let ringing = call.rung().next().is_some();
        if waiting || ringing { Fate::Keep } else { self.next_step(now, call) }
    }

    /// When a ring step wants to be looked at next.
    pub(crate) fn ring_deadline(ringing: &Ringing, call: &Call) -> Time {
        let mut next = ringing.until;
        for target in &ringing.waiting {
            match target.start {
                Start::After(delay) => next = next.min(ringing.began + delay),
                // As long as one rings, its end is what to wait for.
                Start::WhenUnreachable => {
                    let lives = call.rung().map(|(_, leg)| {
                        let silent = matches!(leg.state, LegState::Calling { rang: false, .. });
                        leg.called_at.filter(|_| silent).map(|at| at + SHOWS_LIFE)
                    });
                    let last = lives.map(|at| at.unwrap_or(next)).max();
                    next = next.min(last.unwrap_or(next));
                }
            }
        }
        next
    }
}

/// Phones that ring at this moment.
fn at_once(call: &Call) -> u32 {
    u32::try_from(call.rung().count()).unwrap_or(u32::MAX)
}

/// Whether a leg may still be answered by somebody.
fn reachable(now: Time, leg: &Leg) -> bool {
    match leg.state {
        LegState::Opening | LegState::Calling { rang: true, .. } => true,
        LegState::Calling { rang: false, .. } => {
            leg.called_at.is_none_or(|at| now < at + SHOWS_LIFE)
        }
        LegState::Incoming { .. } | LegState::Up { .. } => true,
        LegState::Ended => false,
    }
}
