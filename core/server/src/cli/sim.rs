//! `koukan sim`: what would happen to a call, with the same reasons that a real one logs.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use koukan_dialplan::{Account, Caller, Facts, Idle, Loaded, Origin, Plans, TrunkInfo};

use super::{Failed, table};
use crate::config::read_sources;
use crate::plans;

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
    /// The device that calls (its name in the plan)
    #[arg(long)]
    device: Option<String>,
    /// What is dialled, or the number that is called; a timeline is of every number without it
    #[arg(long, required_unless_present = "timeline")]
    to: Option<String>,
    /// What calls come to over a day or a week from `--at` on, and when it changes
    #[arg(long, value_name = "SPAN", conflicts_with = "talk")]
    timeline: Option<Span>,
    /// When: 2026-07-01T12:30 (in the tenant's time zone), or with an offset [default: now]
    #[arg(long)]
    at: Option<String>,
    /// Seconds of talk to be priced
    #[arg(long, value_name = "SECONDS")]
    talk: Option<u64>,
    /// The tenant; needed when more than one has such a device
    #[arg(long)]
    tenant: Option<String>,
    /// The trunk that the call comes in by [default: the tenant's first, else the server's first]
    #[arg(long)]
    trunk: Option<String>,
}

pub(super) fn sim(arguments: &SimArguments) -> Result<(), Failed> {
    let sources = read_sources(&arguments.conf);
    let Loaded { plans, report, .. } = plans::check(&sources, Timestamp::now());
    if !report.is_ok() {
        let (count, conf) = (report.errors().count(), arguments.conf.display());
        table::complain(&format!(
            "{count} errors: tenants that have them are left out (koukan check {conf})"
        ));
    }
    let Some(called) = arguments.to.as_deref().filter(|_| arguments.timeline.is_none()) else {
        return timelines(arguments, &plans);
    };
    let origin = origin(arguments, &plans)?;
    let at = at(arguments, &origin, &plans)?;
    let caller = caller(arguments);
    let facts = Facts { at, origin: &origin, caller: &caller, called, state: &Idle };
    let decision = plans.decide(&facts);
    for line in decision.lines() {
        table::print(&format!("{line}\n"));
    }
    table::print(&format!("outcome: {}\n", decision.outcome()));
    if let Some(seconds) = arguments.talk {
        let legs = plans.charged_legs(&decision, &facts, Duration::from_secs(seconds));
        if legs.is_empty() {
            table::print("charge: 0\n");
        }
        for (payer, leg) in legs {
            match plans.rate(&payer, &leg, &Account::default()) {
                Ok(charge) => {
                    let (amount, text) = (charge.amount, charge.text);
                    table::print(&format!("charge: {amount} ({text}) to {payer}\n"));
                }
                Err(error) => table::print(&format!("charge: unknown, {error}\n")),
            }
        }
    }
    Ok(())
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
    let caller = caller(arguments);
    for (did, head) in called {
        let origin = match (&arguments.device, &arguments.trunk) {
            (None, None) => plans.bringing_trunk(&did).ok_or_else(no_trunk)?,
            _ => origin(arguments, plans)?,
        };
        let zone = plans.zone_of(&origin, &did);
        let first = zone.to_datetime(at(arguments, &origin, plans)?).date();
        let timeline = plans.timeline((&origin, &caller, &did), (first, days), &Idle);
        let zone = zone.iana_name().unwrap_or("UTC");
        table::print(&format!("{} ({zone})\n", table::strong(&head)));
        table::print(&format!("{}\n", timeline.text(&table::shade)));
    }
    Ok(())
}

fn no_trunk() -> Failed {
    Failed("no such trunk in the plans: a call from outside has no way in".into())
}

fn caller(arguments: &SimArguments) -> Caller {
    let anonymous = arguments.from.as_deref() == Some("anonymous");
    let number = arguments.from.as_deref().filter(|_| !anonymous).map(Arc::from);
    Caller { number, anonymous, ..Caller::default() }
}

fn origin(arguments: &SimArguments, plans: &Plans) -> Result<Origin, Failed> {
    let wanted = |tenant: &str| arguments.tenant.as_deref().is_none_or(|wanted| wanted == tenant);
    if let Some(device) = &arguments.device {
        let mut found = plans.devices().filter(|known| {
            wanted(&known.tenant) && (*known.device == **device || *known.user == **device)
        });
        let Some(first) = found.next() else {
            return Err(Failed(format!("no device \"{device}\" in the plans")));
        };
        if let Some(second) = found.next() {
            let (a, b) = (&first.tenant, &second.tenant);
            return Err(Failed(format!("tenants {a} and {b} both have it: add --tenant {a}")));
        }
        let (tenant, device) = (Arc::clone(&first.tenant), Arc::clone(&first.device));
        return Ok(Origin::Device { tenant, device });
    }
    let fits = |trunk: &&TrunkInfo| {
        let named = arguments.trunk.as_deref().is_none_or(|name| name == &*trunk.name);
        named && trunk.tenant.as_deref().is_none_or(wanted)
    };
    let found = plans.trunks().find(fits);
    let trunk = found.ok_or_else(no_trunk)?;
    Ok(Origin::Trunk { tenant: trunk.tenant.clone(), trunk: Arc::clone(&trunk.name) })
}

fn at(arguments: &SimArguments, origin: &Origin, plans: &Plans) -> Result<Timestamp, Failed> {
    let Some(text) = arguments.at.as_deref() else { return Ok(Timestamp::now()) };
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let tenant = match origin {
        Origin::Device { tenant, .. } => Some(tenant),
        Origin::Trunk { tenant, .. } => tenant.as_ref(),
    };
    let tenant = tenant.or_else(|| plans.tenants().next());
    let zone = tenant.and_then(|tenant| plans.time_zone(tenant)).cloned().unwrap_or(TimeZone::UTC);
    let local: DateTime = text.parse().map_err(|_| {
        Failed(format!("--at \"{text}\" is no date and time such as 2026-07-01T12:30"))
    })?;
    Ok(zone.to_timestamp(local)?)
}
