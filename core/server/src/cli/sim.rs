//! `koukan sim`: what would happen to a call, with the same reasons that a real one logs; by the
//! files alone, or on the running server with what is true there at the moment.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use hyper::Method;
use jiff::Timestamp;
use koukan_dialplan::{Idle, Loaded, Plans};

use super::{Failed, Reach, client, ctl, table};
use crate::config::read_sources;
use crate::plans;
use crate::simulation::{self, Question, QuestionError, Simulated, SimulatedCharge, SimulatedStep};

#[derive(Debug, Args)]
pub(super) struct SimArguments {
    /// The configuration directory
    #[arg(default_value = "conf")]
    conf: PathBuf,
    /// The caller's number, for a call that comes in by a trunk; `anonymous` hides it
    #[arg(
        long,
        conflicts_with = "device",
        required_unless_present_any = ["device", "timeline"]
    )]
    from: Option<String>,
    /// The device that calls (its name in the plan, or its SIP user)
    #[arg(long)]
    device: Option<String>,
    /// What is dialled, or the number that is called; a timeline is of every number without it
    #[arg(long, required_unless_present = "timeline")]
    to: Option<String>,
    /// What calls come to over a day or a week from `--at` on, and when it changes
    #[arg(long, value_name = "SPAN", conflicts_with_all = ["talk", "running", "json"])]
    timeline: Option<Span>,
    /// When: 2026-07-01T12:30 (in the office's time zone), or with an offset [default: now]
    #[arg(long)]
    at: Option<String>,
    /// Seconds of talk to be priced
    #[arg(long, value_name = "SECONDS")]
    talk: Option<u64>,
    /// The tenant; needed when more than one has such a device
    #[arg(long)]
    tenant: Option<String>,
    /// The trunk that the call comes in by [default: one that brings the number]
    #[arg(long)]
    trunk: Option<String>,
    /// Ask the running server: its plans, and the phones, channels and settings of the moment
    #[arg(long)]
    running: bool,
    #[command(flatten)]
    reach: Reach,
}

pub(super) fn sim(arguments: &SimArguments) -> Result<(), Failed> {
    let question = arguments.question();
    let simulated = if arguments.running || arguments.reach.socket.is_some() {
        let body = serde_json::to_value(&question)?;
        let socket = arguments.reach.socket();
        let answer = client::ask(&socket, Method::POST, "/v1/sim", Some(&body))?;
        if !answer.status.is_success() {
            return Err(ctl::refusal(&answer));
        }
        serde_json::from_slice(&answer.body)?
    } else {
        let plans = plans_of(arguments);
        if arguments.timeline.is_some() {
            return timelines(arguments, &plans);
        }
        simulation::answer(&plans, &question, &Idle, Timestamp::now())?
    };
    if arguments.reach.json {
        table::print(&format!("{}\n", serde_json::to_string(&simulated)?));
    } else {
        table::print(&shown(&simulated));
    }
    Ok(())
}

impl SimArguments {
    fn question(&self) -> Question {
        Question {
            from: self.from.clone(),
            device: self.device.clone(),
            to: self.to.clone().unwrap_or_default(),
            at: self.at.clone(),
            talk: self.talk,
            tenant: self.tenant.clone(),
            trunk: self.trunk.clone(),
        }
    }
}

/// The plans of the tenants without errors; what is left out is said.
fn plans_of(arguments: &SimArguments) -> Plans {
    let sources = read_sources(&arguments.conf);
    let Loaded { plans, report, .. } = plans::check(&sources, Timestamp::now());
    if !report.is_ok() {
        let (count, conf) = (report.errors().count(), arguments.conf.display());
        table::complain(&format!(
            "{count} errors: tenants that have them are left out (koukan check {conf})"
        ));
    }
    plans
}

/// The lines, the outcome, and what the talk costs.
fn shown(simulated: &Simulated) -> String {
    let mut text = String::new();
    for line in &simulated.lines {
        text.push_str(&format!("{line}\n"));
    }
    for step in &simulated.steps {
        let SimulatedStep::Ring { devices, .. } = step else { continue };
        let away = devices.iter().filter(|target| !target.registered);
        let away: Vec<&str> = away.map(|target| target.device.as_str()).collect();
        if !away.is_empty() {
            text.push_str(&format!("not registered now: {}\n", away.join(", ")));
        }
    }
    text.push_str(&format!("outcome: {}\n", simulated.outcome));
    let Some(charges) = &simulated.charges else { return text };
    if charges.is_empty() {
        text.push_str("charge: 0\n");
    }
    for charge in charges {
        text.push_str(&format!("charge: {}\n", price(charge)));
    }
    for step in simulated.steps.iter().skip(1) {
        let (SimulatedStep::Forward(leg) | SimulatedStep::Call(leg)) = step else { continue };
        if let Some(charge) = &leg.charge {
            text.push_str(&format!("charge when {} takes it: {}\n", leg.number, price(charge)));
        }
    }
    text
}

fn price(SimulatedCharge { payer, amount, text }: &SimulatedCharge) -> String {
    match amount {
        Some(amount) => format!("{amount} ({text}) to {payer}"),
        None => format!("unknown, {text}"),
    }
}

/// How long a timeline is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Span {
    Day,
    Week,
}

/// The timeline of one number, or of every number.
fn timelines(arguments: &SimArguments, plans: &Plans) -> Result<(), Failed> {
    let days = match arguments.timeline {
        Some(Span::Week) => 7,
        Some(Span::Day) | None => 1,
    };
    let wanted = |tenant: &str| arguments.tenant.as_deref().is_none_or(|wanted| wanted == tenant);
    let called: Vec<(String, String)> = match &arguments.to {
        Some(to) => vec![(to.clone(), to.clone())],
        None => plans
            .numbers()
            .filter(|number| wanted(&number.tenant))
            .map(|number| {
                let title = number.title.map(|title| format!(" {title}")).unwrap_or_default();
                let head = format!("{} {} {}{title}", number.tenant, number.name, number.did);
                (number.did.to_string(), head)
            })
            .collect(),
    };
    if called.is_empty() {
        return Err(Failed("there is no such number in the plans".to_owned()));
    }
    for (did, head) in called {
        let mut question = Question { to: did, ..arguments.question() };
        if arguments.trunk.is_none() {
            // Of several tenants' numbers each comes in by a trunk of its own.
            question.tenant = question.tenant.filter(|_| question.device.is_some());
        }
        let origin = question.origin(plans)?;
        let caller = match question.caller() {
            Err(QuestionError::Caller) => koukan_dialplan::Caller::default(),
            other => other?,
        };
        let zone = plans.zone_of(&origin, &question.to);
        let moment = question.moment(plans, &origin, Timestamp::now())?;
        let first = zone.to_datetime(moment).date();
        let timeline = plans.timeline((&origin, &caller, &question.to), (first, days), &Idle);
        let zone = zone.iana_name().unwrap_or("UTC");
        table::print(&format!("{} ({zone})\n", table::strong(&head)));
        table::print(&format!("{}\n", timeline.text(&table::shade)));
    }
    Ok(())
}
