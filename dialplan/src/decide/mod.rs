//! The fixed order of evaluation: facts in, steps with reasons out (the whole semantics of the
//! language). Nothing here depends on the order of files or tables.

mod act;
mod forwarded;
mod gate;
mod inbound;
mod later;
mod lookup;
pub(crate) mod mailboxes;
mod outbound;
mod paging;
mod ringing;
mod settings;

use std::sync::Arc;

use jiff::civil::DateTime;

pub use gate::{Asker, OutsideLeg, TrunkCall};
pub use later::{Ask, Resumed};
pub use lookup::CallerQuestion;
pub use mailboxes::RoomSecrets;

use crate::country::Country;
use crate::decision::{
    Alert, Decision, Direction, Diversion, DiversionCause, Facts, FaxRule, Origin, PromptRef,
    Reason, Recording, Release, Step,
};
use crate::limits;
use crate::live::Live;
use crate::model::Plan;
use crate::model::number::Number;
use crate::model::objects::Object;
use crate::plans::Plans;

/// Decides a call.
pub(crate) fn decide(plans: &Plans, facts: &Facts<'_>, asker: Asker) -> Decision {
    let mut call = Call::new(plans, facts);
    let release = match facts.origin {
        Origin::Trunk { tenant, trunk } => inbound::from_trunk(&mut call, tenant.as_deref(), trunk),
        Origin::Device { tenant, device } => {
            outbound::from_device(&mut call, (tenant, device), asker)
        }
    };
    call.finish(release)
}

/// Goes on with a call by a way that its plan named.
pub(crate) fn go_on(
    plans: &Plans,
    facts: &Facts<'_>,
    resumed: &Resumed,
    way: &crate::decision::Way,
) -> Decision {
    later::go_on(plans, facts, resumed, way)
}

/// Rings a device for a caller who dialled its extension in a menu.
pub(crate) fn ring_device(
    plans: &Plans,
    facts: &Facts<'_>,
    resumed: &Resumed,
    device: &str,
) -> Decision {
    later::ring_device(plans, facts, resumed, device)
}

/// Decides a leg to outside that somebody asks for in the middle of a call, or without one.
pub(crate) fn ask(plans: &Plans, facts: &Facts<'_>, ask: &Ask) -> Decision {
    later::ask(plans, facts, ask)
}

/// A decision in the making.
struct Call<'p, 'f> {
    plans: &'p Plans,
    facts: &'f Facts<'f>,
    tenant: Arc<str>,
    direction: Direction,
    /// The number whose rules hold, with its plan.
    number: Option<(&'p Plan, &'p Object<Number>)>,
    live: Option<&'f Live>,
    caller: Option<Arc<str>>,
    uses_channel: bool,
    toll_free: Option<Arc<str>>,
    record: Option<Recording>,
    fax: Option<FaxRule>,
    alert: Option<Alert>,
    diverted: Vec<Diversion>,
    steps: Vec<Step>,
    reasons: Vec<Reason>,
    /// How often the call has passed from one object to the next.
    hops: u64,
}

impl<'p, 'f> Call<'p, 'f> {
    fn new(plans: &'p Plans, facts: &'f Facts<'f>) -> Self {
        Self {
            plans,
            facts,
            tenant: plans.nobody(),
            direction: Direction::Inbound,
            number: None,
            live: None,
            caller: None,
            uses_channel: false,
            toll_free: None,
            record: None,
            fax: None,
            alert: None,
            diverted: Vec::new(),
            steps: Vec::with_capacity(2),
            reasons: Vec::with_capacity(8),
            hops: 0,
        }
    }

    fn finish(self, release: Release) -> Decision {
        let Self { tenant, direction, number, caller, uses_channel, steps, reasons, .. } = self;
        // Who is released at once holds nothing, and is neither recorded nor taken for a fax.
        let begun = !steps.is_empty();
        Decision {
            tenant,
            direction,
            number: number.map(|(_, number)| Arc::clone(&number.name)),
            caller,
            uses_channel: uses_channel && begun,
            diverted: self.diverted,
            steps,
            release,
            toll_free: self.toll_free,
            record: self.record.filter(|_| begun),
            fax: self.fax.filter(|_| begun),
            alert: self.alert,
            reasons,
        }
    }

    /// Goes into an office: its id, its live settings.
    fn enter(&mut self, plan: &'p Plan) {
        self.tenant = Arc::clone(&plan.tenant.id.value);
        let state = self.facts.state;
        self.live = state.live(&plan.tenant.id.value);
    }

    /// Writes down a rule that was applied.
    fn because(&mut self, rule: impl Into<Arc<str>>, text: impl Into<String>) {
        self.reasons.push(Reason { rule: rule.into(), text: text.into() });
    }

    /// Writes down who passes the call on.
    fn divert(&mut self, number: Arc<str>, cause: DiversionCause) {
        self.diverted.push(Diversion { number, cause });
    }

    /// Counts a passage from one object to the next; an error when there were too many.
    fn hop(&mut self) -> Result<(), Release> {
        self.hops += 1;
        if self.hops <= limits::HOPS.default {
            return Ok(());
        }
        self.because("limits.plan_hops", "the call went in a circle and is released");
        Err(plain_release(482, "loop"))
    }

    /// The tenant's own date and time of the call.
    fn local(&self, plan: &Plan) -> DateTime {
        plan.tenant.timezone.to_datetime(self.facts.at)
    }

    /// A standard prompt in the tenant's language.
    fn prompt(&self, plan: &Plan, name: &str) -> PromptRef {
        PromptRef { language: Arc::clone(&plan.tenant.language), name: Arc::from(name) }
    }
}

fn plain_release(status: u16, cause: &str) -> Release {
    Release { status, prompt: None, cause: Arc::from(cause) }
}

/// What a phone or a trunk is shown as the caller: a number in the plan's own national form.
fn shown_number(country: &Country, number: &Arc<str>) -> Arc<str> {
    match country.canonical(number) {
        std::borrow::Cow::Borrowed(_) => Arc::clone(number),
        std::borrow::Cow::Owned(number) => Arc::from(number),
    }
}
