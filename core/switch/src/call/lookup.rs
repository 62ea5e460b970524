//! Callers that an office asks a module about (`[lookup]`): the name that its phones show, and
//! whether it is refused. The call waits unanswered meanwhile, and never longer than the plan says:
//! without an answer by then it is decided as if nobody had been asked.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use koukan_base::Time;
use koukan_dialplan::Facts;
use koukan_sip::{DialogId, Response, ServerTx};

use super::request::Asking;
use crate::action::Now;
use crate::leg::identity::quoted;
use crate::leg::{Leg, LegState};
use crate::limits;
use crate::module::{Found, LookupId, ModuleOrder};
use crate::record::CallCause;
use crate::switch::Switch;

/// A call that waits for what is known of its caller.
#[derive(Debug)]
struct Waiting {
    tx: ServerTx,
    dialog: DialogId,
    leg: Leg,
    asking: Asking,
    asked: Asked,
}

/// What was asked, and since when and until when the call waits.
#[derive(Debug)]
struct Asked {
    module: Arc<str>,
    began: Time,
    until: Time,
}

/// The calls that wait.
#[derive(Debug, Default)]
pub(crate) struct Lookups {
    waiting: HashMap<LookupId, Box<Waiting>>,
    due: BTreeSet<(Time, LookupId)>,
}

impl Lookups {
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Whether the call of this request waits.
    pub(crate) fn holds(&self, tx: ServerTx) -> bool {
        self.waiting.values().any(|waiting| waiting.tx == tx)
    }

    fn put(&mut self, id: LookupId, waiting: Box<Waiting>) {
        self.due.insert((waiting.asked.until, id));
        self.waiting.insert(id, waiting);
    }

    fn take(&mut self, id: LookupId) -> Option<Box<Waiting>> {
        let waiting = self.waiting.remove(&id)?;
        self.due.remove(&(waiting.asked.until, id));
        Some(waiting)
    }

    fn take_due(&mut self, now: Time) -> Option<Box<Waiting>> {
        let (_, id) = self.due.first().copied().filter(|(at, _)| *at <= now)?;
        self.take(id)
    }
}

impl Switch {
    /// Decides a call, after what its office wants to know of the caller is asked.
    pub(super) fn considered_call(
        &mut self,
        now: Now,
        (tx, dialog): (ServerTx, DialogId),
        leg: Leg,
        asking: Asking,
    ) {
        let question = self.directory.plans.lookup(&Facts {
            at: now.date,
            origin: &asking.origin,
            caller: &asking.caller,
            called: &asking.called,
            state: self,
        });
        let Some(question) = question else {
            return self.decided_call(now, (tx, dialog), leg, asking, None);
        };
        let lookup = LookupId(self.next_number());
        let module = question.module.clone();
        let asked = Asked { module, began: now.time, until: now.time + question.within };
        self.lookups.put(lookup, Box::new(Waiting { tx, dialog, leg, asking, asked }));
        self.order(ModuleOrder::Ask { lookup, question: Box::new(question) });
    }

    /// A module has answered, or cannot. What comes too late is of no use to anybody.
    pub(crate) fn looked_up(
        &mut self,
        now: Now,
        lookup: LookupId,
        answer: Result<Option<Found>, Arc<str>>,
    ) {
        let Some(waiting) = self.lookups.take(lookup) else { return };
        let Waiting { tx, dialog, leg, mut asking, asked } = *waiting;
        let (module, ms) = (&asked.module, now.time.since(asked.began).as_millis());
        let said = match answer {
            Ok(Some(Found { name, refuse })) => {
                let shown = name.as_deref().map(quoted);
                let shown = shown.filter(|name| name.len() <= limits::IDENTITY_BYTES);
                let text = match &shown {
                    Some(_) => format!(": {}", name.as_deref().unwrap_or_default()),
                    None => String::new(),
                };
                if let Some(shown) = shown {
                    asking.display = shown.into();
                }
                asking.caller.refused = refuse;
                format!("{module} knows the caller{text} ({ms} ms)")
            }
            Ok(None) => format!("{module} does not know the caller ({ms} ms)"),
            Err(why) => format!("{module} cannot say who calls: {why}; the call goes on"),
        };
        self.holding(tx, |switch| {
            switch.decided_call(now, (tx, dialog), leg, asking, Some(said));
        });
    }

    /// Calls that have waited long enough go on.
    pub(crate) fn lookups_due(&mut self, now: Now) {
        while let Some(waiting) = self.lookups.take_due(now.time) {
            let Waiting { tx, dialog, leg, asking, asked } = *waiting;
            let ms = now.time.since(asked.began).as_millis();
            let said = format!("{} has not answered in {ms} ms; the call goes on", asked.module);
            self.holding(tx, |switch| {
                switch.decided_call(now, (tx, dialog), leg, asking, Some(said));
            });
        }
    }

    /// The caller has given up; it was refused with 487 by that.
    pub(crate) fn lookup_given_up(&mut self, now: Now, tx: ServerTx) {
        let mut waiting = self.lookups.waiting.iter();
        let found = waiting.find(|(_, waiting)| waiting.tx == tx).map(|(id, _)| *id);
        if let Some(waiting) = found.and_then(|id| self.lookups.take(id)) {
            self.end_undecided(now, *waiting, CallCause::CallerGaveUp, 487);
        }
    }

    /// The record of a call that has ended, and was refused, while it waited.
    fn end_undecided(&mut self, now: Now, waiting: Waiting, cause: CallCause, status: u16) {
        let Waiting { mut leg, asking, asked, .. } = waiting;
        // Whose call it is, and of which number, is what it would have come to.
        let decision = self.directory.plans.decide(&Facts {
            at: now.date,
            origin: &asking.origin,
            caller: &asking.caller,
            called: &asking.called,
            state: self,
        });
        leg.identity = asking.identity(&decision);
        (leg.state, leg.status, leg.ended) = (LegState::Ended, status, Some(now.date));
        let started = leg.started;
        let (caller, called) = (asking.shown.clone(), asking.called.clone());
        let mut call = self.opened_call(now, &asking.party, (caller, called), decision);
        call.started = started;
        call.legs.push(leg);
        let ms = now.time.since(asked.began).as_millis();
        self.explain(call.id, format!("call from {} to {}", call.caller, call.called));
        self.explain(call.id, format!("{} has not answered in {ms} ms", asked.module));
        self.end(now, Box::new(call), cause, status);
    }

    /// Nothing new is taken any more.
    pub(crate) fn stop_lookups(&mut self, now: Now) {
        let mut ids: Vec<LookupId> = self.lookups.waiting.keys().copied().collect();
        ids.sort_unstable();
        for id in ids {
            let Some(waiting) = self.lookups.take(id) else { continue };
            self.ua.respond(now.time, waiting.tx, Response::new(503));
            self.end_undecided(now, *waiting, CallCause::ServerStopped, 503);
        }
    }
}
