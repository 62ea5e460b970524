//! Menus (`[menu.X]`): a prompt, and where the caller's keys lead. Keys come as telephone-events,
//! by INFO or in the sound. A closed list of extensions may be dialled at once; everything else is
//! a way of the plan, decided as such.

use std::sync::Arc;
use std::time::Duration;

use koukan_base::{OpId, Time};
use koukan_dialplan::{Caller, Decision, Facts, Menu, PromptRef, Resumed, Step, Way};
use koukan_media::{Command, Source};

use crate::action::Now;
use crate::call::channels::Channel;
use crate::call::{Call, Stage};
use crate::limits;
use crate::record::CallCause;
use crate::switch::{Fate, Switch};

/// How long the next digit of an extension is waited for.
const BETWEEN_DIGITS: Duration = Duration::from_secs(2);
/// Digits of an extension are not longer.
const MOST_DIGITS: usize = 12;

/// A menu under way.
#[derive(Debug)]
pub(crate) struct MenuRun {
    pub(crate) name: Arc<str>,
    spec: Arc<Menu>,
    /// The prompt that plays.
    play: Option<OpId>,
    digits: String,
    /// When the caller has taken too long; none while the prompt plays.
    pub(crate) until: Option<Time>,
    /// How often the prompt may be played again.
    left: u32,
}

impl Switch {
    /// Begins a menu.
    pub(crate) fn start_menu(
        &mut self,
        now: Now,
        call: &mut Call,
        name: Arc<str>,
        spec: Arc<Menu>,
    ) -> Fate {
        call.menus = call.menus.saturating_add(1);
        if call.menus > limits::MENUS {
            self.explain(call.id, "the caller has been through menus too often");
            return Fate::End(CallCause::Plan, 480);
        }
        if !self.answer_caller(now, call, None) {
            return Fate::End(CallCause::NotAnswered, 488);
        }
        let (play, digits, left) = (None, String::new(), spec.retries);
        call.stage = Stage::Menu(MenuRun { name, spec, play, digits, until: None, left });
        self.transfer_done(now, call);
        self.feed(call, 0, Source::Silence);
        self.stop_music(call, 0);
        self.listen(call, true);
        self.say(call, false);
        Fate::Keep
    }

    /// Keys are listened for in the caller's sound too: not every carrier passes them as events
    /// that it has agreed on.
    pub(crate) fn listen(&mut self, call: &Call, menu: bool) {
        let Some(leg) = call.leg(0) else { return };
        let events = leg.agreed.as_ref().is_some_and(|agreed| agreed.telephone_event.is_some());
        if let Some(stream) = leg.stream.live() {
            let fax = call.fax.is_some();
            let detect = Command::Detect { stream, dtmf: menu || !events, fax };
            self.media(call.worker, detect);
        }
    }

    /// Plays the prompt, after what is played for a key that leads nowhere.
    fn say(&mut self, call: &mut Call, wrong: bool) {
        let op = self.next_op();
        let Stage::Menu(run) = &mut call.stage else { return };
        (run.play, run.until) = (Some(op), None);
        run.digits.clear();
        let invalid = run.spec.invalid.clone().filter(|_| wrong);
        let prompts: Vec<PromptRef> =
            invalid.into_iter().chain([run.spec.prompt.clone()]).collect();
        let prompt = |prompt: &PromptRef| self.prompt(&call.tenant, &prompt.language, &prompt.name);
        let prompts = prompts.iter().map(prompt).collect();
        if let Some(stream) = call.leg(0).and_then(|leg| leg.stream.live()) {
            self.play(call.worker, stream, op, prompts, 1);
        }
    }

    /// Words to the caller of a menu, a room or a queue have ended; false when these were none.
    pub(crate) fn words_ended(&mut self, now: Now, call: &mut Call, op: OpId) -> bool {
        self.menu_said(now, call, op)
            || self.conference_said(now, call, op)
            || self.queue_said(call, op)
    }

    /// The prompt has ended; false when this was none.
    pub(crate) fn menu_said(&mut self, now: Now, call: &mut Call, op: OpId) -> bool {
        let Stage::Menu(run) = &mut call.stage else { return false };
        if run.play.take_if(|play| *play == op).is_none() {
            return false;
        }
        let wait = run.spec.timeout;
        run.until = Some(now.time + wait);
        true
    }

    /// The caller pressed a key; what plays stops.
    pub(crate) fn menu_key(&mut self, now: Now, call: &mut Call, key: u8) -> Fate {
        let stream = call.leg(0).and_then(|leg| leg.stream.live());
        let worker = call.worker;
        let Stage::Menu(run) = &mut call.stage else { return Fate::Keep };
        let play = run.play.take();
        run.digits.push(char::from(key));
        let spec = run.spec.clone();
        let longer = |extension: &str| {
            extension.len() > run.digits.len() && extension.starts_with(&run.digits)
        };
        let more = spec.direct.iter().any(|(extension, _)| longer(extension));
        run.until = Some(now.time + BETWEEN_DIGITS.min(spec.timeout));
        let waits = more && run.digits.len() < MOST_DIGITS;
        if let (Some(op), Some(stream)) = (play, stream) {
            self.stop_play(worker, stream, op);
        }
        if waits { Fate::Keep } else { self.choose(now, call) }
    }

    /// No key came in time.
    pub(crate) fn menu_timeout(&mut self, now: Now, call: &mut Call) -> Fate {
        let Stage::Menu(run) = &mut call.stage else { return Fate::Keep };
        if !run.digits.is_empty() {
            return self.choose(now, call);
        }
        self.again(now, call, false)
    }

    /// The prompt once more, as often as the plan says; then the way on.
    fn again(&mut self, now: Now, call: &mut Call, wrong: bool) -> Fate {
        let Stage::Menu(run) = &mut call.stage else { return Fate::Keep };
        if let Some(left) = run.left.checked_sub(1) {
            run.left = left;
            self.say(call, wrong);
            return Fate::Keep;
        }
        let on_timeout = run.spec.on_timeout.clone();
        self.explain(call.id, "no key of the menu was pressed");
        match on_timeout {
            Some(way) => self.menu_way(now, call, &way),
            None => {
                self.listen(call, false);
                Fate::End(CallCause::Plan, 480)
            }
        }
    }

    /// Goes where the digits lead.
    fn choose(&mut self, now: Now, call: &mut Call) -> Fate {
        let Stage::Menu(run) = &mut call.stage else { return Fate::Keep };
        let digits = std::mem::take(&mut run.digits);
        let spec = run.spec.clone();
        self.explain(call.id, format!("the caller pressed {digits}"));
        let direct = spec.direct.iter().find(|(extension, _)| **extension == *digits);
        if let Some((_, device)) = direct {
            let (origin, caller, resumed) = self.resumed(call);
            let facts = Facts {
                at: now.date,
                origin: &origin,
                caller: &caller,
                called: &digits,
                state: self,
            };
            let decision = call.plans.ring_device(&facts, &resumed, device);
            return self.menu_goes_on(now, call, decision);
        }
        let mut chars = digits.chars();
        let key = chars.next().filter(|_| chars.next().is_none());
        let way = key.and_then(|key| spec.keys.iter().find(|(known, _)| *known == key));
        match way {
            Some((_, way)) => self.menu_way(now, call, way),
            None => self.again(now, call, true),
        }
    }

    fn menu_way(&mut self, now: Now, call: &mut Call, way: &Way) -> Fate {
        let decision = self.way_on(now, call, way);
        self.menu_goes_on(now, call, decision)
    }

    /// What the menu led to; behind announcements alone the menu begins again.
    fn menu_goes_on(&mut self, now: Now, call: &mut Call, decision: Decision) -> Fate {
        let Stage::Menu(run) = &mut call.stage else { return Fate::Keep };
        let again = Step::Menu { menu: run.name.clone(), spec: run.spec.clone() };
        self.listen(call, false);
        call.release = decision.release.clone();
        let mut steps = self.further_steps(call, decision).unwrap_or_default();
        let told = |step: &Step| matches!(step, Step::Announce { .. });
        if !steps.is_empty() && steps.iter().all(told) {
            steps.push(again);
        }
        call.steps = steps.into();
        self.next_step(now, call)
    }

    /// Who goes on by a way of the plan.
    pub(crate) fn resumed(&self, call: &Call) -> (koukan_dialplan::Origin, Caller, Resumed) {
        let origin = self.origin_of(call);
        let number = call.leg(0).and_then(|leg| leg.identity.number.clone());
        let caller = Caller { anonymous: number.is_none(), number, ..Caller::default() };
        let resumed = Resumed {
            tenant: call.tenant.clone(),
            number: call.number.clone(),
            holds_channel: call.channels.contains(&Channel::Tenant(call.tenant.clone())),
        };
        (origin, caller, resumed)
    }
}
