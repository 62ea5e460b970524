//! What would become of a call, as data: the same question is asked of the files alone
//! (`koukan sim`) and of the running server (`koukan sim --running`, `POST /v1/sim`), where the
//! phones, channels, trunks and settings of the moment decide.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use koukan_dialplan::{
    Account, Caller, Charge, Charged, Decision, Facts, FinishedLeg, Origin, Plans, PromptRef,
    RateError, Start, State, Step, TrunkCall, TrunkInfo,
};
use serde::{Deserialize, Serialize};

/// A call that is only thought: who calls, what, and when.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Question {
    /// The caller's number, of a call that comes in by a trunk; `anonymous` hides it.
    pub from: Option<String>,
    /// The device that calls: its name in the plan, or its SIP user.
    pub device: Option<String>,
    /// What is dialled, or the number that is called.
    pub to: String,
    /// When: local to the office, or with an offset; now without it.
    pub at: Option<String>,
    /// Seconds of talk to be priced.
    pub talk: Option<u64>,
    /// The tenant, when more than one has such a device or trunk.
    pub tenant: Option<String>,
    /// The trunk that the call comes in by.
    pub trunk: Option<String>,
}

/// The question is at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QuestionError {
    /// Neither a number nor a device calls, or both do.
    #[error("a call has a caller: either a number (from) or a device")]
    Caller,
    /// A caller's number that is none.
    #[error("\"{from}\" is no number of a caller; \"anonymous\" hides it")]
    From {
        /// As it was given.
        from: String,
    },
    /// No such device.
    #[error("no device \"{device}\" in the plans")]
    NoDevice {
        /// As it was named.
        device: String,
    },
    /// More tenants than one have the device.
    #[error("tenants {a} and {b} both have it: add --tenant {a}")]
    Ambiguous {
        /// One.
        a: Arc<str>,
        /// Another.
        b: Arc<str>,
    },
    /// No trunk by which the call could come.
    #[error("no such trunk in the plans: a call from outside has no way in")]
    NoTrunk,
    /// Not a moment.
    #[error("\"{at}\" is no date and time such as 2026-07-01T12:30")]
    At {
        /// As it was given.
        at: String,
    },
}

/// What would become of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Simulated {
    /// The moment that it was decided for.
    pub at: Timestamp,
    /// The tenant whose call it is; empty when nobody's.
    pub tenant: String,
    /// `inbound`, `outbound`, `internal`.
    pub direction: String,
    /// The number, by its name in the plan.
    pub number: Option<String>,
    /// Whom the rung phones are shown.
    pub caller: Option<String>,
    /// Whether it takes a channel of the office.
    pub uses_channel: bool,
    /// The rules that were applied, the steps and the release, as a real call logs them.
    pub lines: Vec<String>,
    /// The plain result in one line.
    pub outcome: String,
    /// Why it is refused, when no step is taken at all.
    pub refused: Option<String>,
    /// What is done, one step after the other.
    pub steps: Vec<SimulatedStep>,
    /// How the caller is released when the steps are used up.
    pub release: SimulatedRelease,
    /// What the talk costs when the first step takes the call; asked for with `talk` alone.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub charges: Option<Vec<SimulatedCharge>>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum SimulatedStep {
    /// Phones ring.
    Ring {
        /// Which, and when each begins.
        devices: Vec<SimulatedTarget>,
        /// How long at most, in seconds.
        timeout_s: u64,
    },
    /// An announcement is played.
    Announce {
        /// Its name in the plan.
        name: String,
        /// The prompt that is heard.
        prompt: String,
        /// Its language; empty for a file of the office.
        language: String,
        /// The caller is answered first, and pays.
        answered: bool,
    },
    /// A number forwards the call to outside.
    Forward(SimulatedLeg),
    /// A device calls outside.
    Call(SimulatedLeg),
    /// Anything else, in a sentence.
    Other {
        /// The step in a word (`voicemail:main`, `echo`).
        word: String,
    },
}

/// A phone that rings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SimulatedTarget {
    /// The device.
    pub device: String,
    /// Seconds after the step began; none: when none of the others can be reached.
    pub after_s: Option<u64>,
    /// Whether a phone is registered as it. Without a running server each is.
    pub registered: bool,
}

/// A leg to outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SimulatedLeg {
    /// The number, as the trunk gets it.
    pub number: String,
    /// Its class.
    pub class: String,
    /// The trunks that are tried, in order.
    pub trunks: Vec<String>,
    /// The caller's number that is shown there; none when it is hidden.
    pub shown: Option<String>,
    /// What the talk costs when it is this step that takes the call, besides what a toll-free
    /// number costs; asked for with `talk` alone.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub charge: Option<SimulatedCharge>,
}

/// How a caller is released.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SimulatedRelease {
    /// The SIP status of a caller who was not answered.
    pub status: u16,
    /// Why, in a word.
    pub cause: String,
    /// The announcement before it.
    pub prompt: Option<String>,
}

/// What a leg would cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SimulatedCharge {
    /// Who pays.
    pub payer: String,
    /// An exact decimal; none when it has no price.
    pub amount: Option<String>,
    /// How it came about, or why there is none.
    pub text: String,
}

/// Answers a question on these plans, with what is true in `state`.
///
/// # Errors
/// The question names nobody who could call, or no moment.
pub fn answer(
    plans: &Plans,
    question: &Question,
    state: &dyn State,
    now: Timestamp,
) -> Result<Simulated, QuestionError> {
    let (origin, caller) = (question.origin(plans)?, question.caller()?);
    let at = question.moment(plans, &origin, now)?;
    let facts = Facts { at, origin: &origin, caller: &caller, called: &question.to, state };
    let decision = plans.decide(&facts);
    let talk = question.talk.map(Duration::from_secs);
    let charge = |(payer, leg): (Arc<str>, FinishedLeg)| {
        charge(&payer, plans.rate(&payer, &leg, &Account::default()))
    };
    let charges = talk
        .map(|talk| plans.charged_legs(&decision, &facts, talk).into_iter().map(charge).collect());
    let outside = |call: &TrunkCall| {
        let charged = Charged::outside(call);
        talk.map(|talk| charge((Arc::clone(&charged.payer), charged.finished(at, talk))))
    };
    let text = |name: &Option<Arc<str>>| name.as_ref().map(ToString::to_string);
    let outcome = decision.outcome();
    let tenant = &*decision.tenant;
    Ok(Simulated {
        at,
        tenant: tenant.to_owned(),
        direction: decision.direction.as_str().to_owned(),
        number: text(&decision.number),
        caller: text(&decision.caller),
        uses_channel: decision.uses_channel,
        lines: decision.lines(),
        outcome: outcome.to_string(),
        refused: text(&outcome.refused),
        steps: decision.steps.iter().map(|given| step(given, tenant, state, &outside)).collect(),
        release: release(&decision),
        charges,
    })
}

impl Question {
    /// Who asks for the call.
    ///
    /// # Errors
    /// Nobody of the plans.
    pub fn origin(&self, plans: &Plans) -> Result<Origin, QuestionError> {
        let wanted = |tenant: &str| self.tenant.as_deref().is_none_or(|wanted| wanted == tenant);
        if let Some(device) = &self.device {
            if self.from.is_some() {
                return Err(QuestionError::Caller);
            }
            let mut found = plans.devices().filter(|known| {
                wanted(&known.tenant) && (*known.device == **device || *known.user == **device)
            });
            let none = || QuestionError::NoDevice { device: device.clone() };
            let first = found.next().ok_or_else(none)?;
            if let Some(second) = found.next() {
                let (a, b) = (Arc::clone(&first.tenant), Arc::clone(&second.tenant));
                return Err(QuestionError::Ambiguous { a, b });
            }
            let (tenant, device) = (Arc::clone(&first.tenant), Arc::clone(&first.device));
            return Ok(Origin::Device { tenant, device });
        }
        if self.trunk.is_none() {
            let brings = plans.bringing_trunk(&self.to);
            let fits = |origin: &Origin| match origin {
                Origin::Trunk { tenant: Some(tenant), .. } => wanted(tenant),
                Origin::Trunk { tenant: None, .. } | Origin::Device { .. } => true,
            };
            if let Some(origin) = brings.filter(fits) {
                return Ok(origin);
            }
        }
        let fits = |trunk: &&TrunkInfo| {
            let named = self.trunk.as_deref().is_none_or(|name| name == &*trunk.name);
            named && trunk.tenant.as_deref().is_none_or(wanted)
        };
        let found = plans.trunks().find(fits).ok_or(QuestionError::NoTrunk)?;
        Ok(Origin::Trunk { tenant: found.tenant.clone(), trunk: Arc::clone(&found.name) })
    }

    /// The tenant whose shard answers: the asker's, or whose number is called; empty for nobody.
    ///
    /// # Errors
    /// Nobody of the plans asks.
    pub fn home(&self, plans: &Plans) -> Result<Arc<str>, QuestionError> {
        let tenant = match self.origin(plans)? {
            Origin::Device { tenant, .. } | Origin::Trunk { tenant: Some(tenant), .. } => tenant,
            Origin::Trunk { tenant: None, .. } => {
                plans.owner_of_did(&self.to).cloned().unwrap_or_else(|| Arc::from(""))
            }
        };
        Ok(tenant)
    }

    /// The calling party.
    ///
    /// # Errors
    /// Neither a device nor a number calls.
    pub fn caller(&self) -> Result<Caller, QuestionError> {
        let Some(from) = &self.from else {
            let called_for = self.device.is_some();
            return called_for.then(Caller::default).ok_or(QuestionError::Caller);
        };
        if from == "anonymous" {
            return Ok(Caller { anonymous: true, ..Caller::default() });
        }
        let digits = from.strip_prefix('+').unwrap_or(from);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(QuestionError::From { from: from.clone() });
        }
        Ok(Caller { number: Some(Arc::from(from.as_str())), ..Caller::default() })
    }

    /// The moment that it is about.
    ///
    /// # Errors
    /// `at` is none.
    pub fn moment(
        &self,
        plans: &Plans,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Timestamp, QuestionError> {
        let Some(text) = self.at.as_deref() else { return Ok(now) };
        if let Ok(at) = text.parse::<Timestamp>() {
            return Ok(at);
        }
        let wrong = || QuestionError::At { at: text.to_owned() };
        let local: DateTime = text.parse().map_err(|_| wrong())?;
        let zone = match origin {
            Origin::Device { tenant, .. } => plans.time_zone(tenant).cloned(),
            Origin::Trunk { .. } => Some(plans.zone_of(origin, &self.to)),
        };
        zone.unwrap_or(TimeZone::UTC).to_timestamp(local).map_err(|_| wrong())
    }
}

/// One step; `price` says what a leg to outside costs.
fn step(
    step: &Step,
    tenant: &str,
    state: &dyn State,
    price: &dyn Fn(&TrunkCall) -> Option<SimulatedCharge>,
) -> SimulatedStep {
    match step.unguarded() {
        Step::Ring { targets, timeout, .. } => SimulatedStep::Ring {
            devices: targets
                .iter()
                .map(|target| SimulatedTarget {
                    device: target.device.to_string(),
                    after_s: match target.start {
                        Start::After(delay) => Some(delay.as_secs()),
                        Start::WhenUnreachable => None,
                    },
                    registered: state.reachable(tenant, &target.device),
                })
                .collect(),
            timeout_s: timeout.as_secs(),
        },
        Step::Announce { name, prompt: PromptRef { language, name: prompt }, answered } => {
            SimulatedStep::Announce {
                name: name.to_string(),
                prompt: prompt.to_string(),
                language: language.to_string(),
                answered: *answered,
            }
        }
        Step::Forward(call) => SimulatedStep::Forward(leg(call, price(call))),
        Step::Trunk(call) => SimulatedStep::Call(leg(call, price(call))),
        other => SimulatedStep::Other { word: other.word() },
    }
}

fn leg(call: &TrunkCall, charge: Option<SimulatedCharge>) -> SimulatedLeg {
    let shown = call.shown_caller.as_ref().filter(|_| !call.anonymous);
    SimulatedLeg {
        number: call.number.to_string(),
        class: call.class.to_string(),
        trunks: call.trunks.iter().map(|(_, trunk)| trunk.to_string()).collect(),
        shown: shown.map(ToString::to_string),
        charge,
    }
}

fn release(decision: &Decision) -> SimulatedRelease {
    let release = &decision.release;
    SimulatedRelease {
        status: release.status,
        cause: release.cause.to_string(),
        prompt: release.prompt.as_ref().map(|prompt| prompt.name.to_string()),
    }
}

fn charge(payer: &str, charge: Result<Charge, RateError>) -> SimulatedCharge {
    let payer = payer.to_owned();
    match charge {
        Ok(charge) => {
            SimulatedCharge { payer, amount: Some(charge.amount.to_string()), text: charge.text }
        }
        Err(error) => SimulatedCharge { payer, amount: None, text: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use koukan_dialplan::{Capabilities, Idle, TenantSource};

    use super::*;

    fn plans() -> Plans {
        let office = |id: &str, did: &str, zone: &str| {
            let text = format!(
                "schema = 1\n[tenant]\nid = \"{id}\"\ntimezone = \"{zone}\"\nverified = true\n\
                 [device.A]\next = \"801\"\nkind = \"desk\"\nsecret = \"file:secrets/A\"\n\
                 caller_id = \"main\"\n\
                 [number.main]\ndid = \"{did}\"\nrole = \"contract\"\nmode = \"schedule\"\n\
                 schedule = \"day\"\noptions = [\"off_hours\"]\n\
                 ring = {{ devices = [\"A\"] }}\n\
                 [schedule.day]\ndefault = {{ announce = \"closed\" }}\n\
                 weekday = [{{ from = \"09:00\", to = \"17:00\", do = \"ring\" }}]\n\
                 [announcement]\nclosed = {{ template = 1 }}\n\
                 [trunk.way]\naddress = \"127.0.0.1:5070\"\n[outbound]\ndefault_trunk = \"way\"\n"
            );
            let files = vec![(format!("{id}/office.toml"), text)];
            TenantSource { name: id.to_owned(), files }
        };
        let sources = [
            office("east", "0312340001", "Asia/Tokyo"),
            office("west", "0612340001", "America/New_York"),
        ];
        let now = "2026-07-01T00:00:00Z".parse().unwrap();
        let loaded = Plans::load(&sources, &[], &Capabilities::this_version(), now);
        assert!(loaded.report.is_ok(), "{:?}", loaded.report);
        loaded.plans
    }

    fn ask(question: &Question) -> Result<Simulated, QuestionError> {
        let now = "2026-07-01T01:00:00Z".parse().unwrap();
        answer(&plans(), question, &Idle, now)
    }

    fn called(to: &str, at: &str) -> Question {
        Question {
            from: Some("0455550001".to_owned()),
            to: to.to_owned(),
            at: Some(at.to_owned()),
            ..Question::default()
        }
    }

    #[test]
    fn the_number_says_whose_call_it_is_and_in_which_zone() {
        let east = ask(&called("0312340001", "2026-07-01T10:00")).unwrap();
        let west = ask(&called("0612340001", "2026-07-01T10:00")).unwrap();
        assert_eq!((&*east.tenant, &*west.tenant), ("east", "west"));
        assert_eq!(east.at, "2026-07-01T10:00:00+09:00".parse::<Timestamp>().unwrap());
        assert_eq!(west.at, "2026-07-01T10:00:00-04:00".parse::<Timestamp>().unwrap());
        for simulated in [&east, &west] {
            let target =
                SimulatedTarget { device: "A".to_owned(), after_s: Some(0), registered: true };
            let ring = SimulatedStep::Ring { devices: vec![target], timeout_s: 60 };
            assert_eq!(simulated.steps, [ring]);
            assert_eq!(simulated.outcome, "rings A, then hangup");
        }
    }

    #[test]
    fn it_comes_back_from_its_json_as_it_went() {
        let closed = ask(&called("0312340001", "2026-07-05T10:00")).unwrap();
        assert!(
            matches!(&*closed.steps, [SimulatedStep::Announce { prompt, answered: true, .. }]
                if prompt == "closed"),
            "{closed:?}"
        );
        let text = serde_json::to_string(&closed).unwrap();
        assert!(text.contains(r#""do":"announce""#), "{text}");
        assert_eq!(serde_json::from_str::<Simulated>(&text).unwrap(), closed);
    }

    #[test]
    fn a_later_step_to_outside_has_a_price_of_its_own() {
        let office = |no_answer: &str| {
            format!(
                "schema = 1\n[tenant]\nid = \"x\"\ntimezone = \"Asia/Tokyo\"\nverified = true\n\
                 [device.A]\next = \"801\"\nkind = \"desk\"\nsecret = \"file:secrets/A\"\n\
                 [number.main]\ndid = \"0312340001\"\nrole = \"contract\"\n\
                 ring = {{ devices = [\"A\"] }}\nno_answer = {no_answer}\n\
                 options = [\"forwarding\"]\n\
                 [trunk.way]\naddress = \"127.0.0.1:5070\"\n[outbound]\ndefault_trunk = \"way\"\n\
                 block = [\"emergency\", \"international\", \"carrier\", \"premium\", \"data\", \
                 \"service\", \"navi\", \"directory\"]\n[tariff]\ncurrency = \"JPY\"\nrate = [\n\
                 {{ leg = \"out\", price = \"8\", per = \"3m\" }},\n\
                 {{ leg = \"forward\", class = [\"mobile\", \"fixed\", \"ip050\", \"tollfree\"], \
                 price = \"17.5\", per = \"1m\" }} ]\n"
            )
        };
        let files = vec![("x.toml".to_owned(), office("{ forward = \"09012345678\" }"))];
        let sources = [TenantSource { name: "x".to_owned(), files }];
        let now = "2026-07-01T01:00:00Z".parse().unwrap();
        let loaded = Plans::load(&sources, &[], &Capabilities::this_version(), now);
        assert!(loaded.report.is_ok(), "{}", loaded.report);
        let asked = |talk| {
            let question = Question { talk, ..called("0312340001", "2026-07-01T10:00") };
            answer(&loaded.plans, &question, &Idle, now).unwrap()
        };
        let priced = asked(Some(61));
        // The phone that rings first costs nothing.
        assert_eq!(priced.charges.as_deref(), Some(&[][..]));
        let [SimulatedStep::Ring { .. }, SimulatedStep::Forward(leg)] = &*priced.steps else {
            panic!("{priced:?}")
        };
        let charge = leg.charge.as_ref().expect("it is priced");
        assert_eq!((&*charge.payer, charge.amount.as_deref()), ("x", Some("35")));
        let text = serde_json::to_string(&priced).unwrap();
        assert_eq!(serde_json::from_str::<Simulated>(&text).unwrap(), priced);
        assert!(!serde_json::to_string(&asked(None)).unwrap().contains("charge"));
    }

    #[test]
    fn a_question_that_is_none_is_told_so() {
        let asked = |question| ask(&question).unwrap_err();
        let to = || "0312340001".to_owned();
        assert_eq!(asked(Question { to: to(), ..Question::default() }), QuestionError::Caller);
        let device = |device: &str| Question {
            device: Some(device.to_owned()),
            to: to(),
            ..Question::default()
        };
        assert!(matches!(asked(device("A")), QuestionError::Ambiguous { .. }));
        assert!(matches!(asked(device("Q")), QuestionError::NoDevice { .. }));
        assert!(ask(&device("west-801")).is_ok());
        let both = Question { from: Some("1".to_owned()), ..device("east-801") };
        assert_eq!(asked(both), QuestionError::Caller);
        assert!(matches!(asked(called(&to(), "noon")), QuestionError::At { .. }));
        let letters = Question { from: Some("bob".to_owned()), to: to(), ..Question::default() };
        assert!(matches!(asked(letters), QuestionError::From { .. }));
    }
}
