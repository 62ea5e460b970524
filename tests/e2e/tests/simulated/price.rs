//! What calls cost, by their records, beside what their simulation said.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use koukan_e2e::api::Api;
use koukan_e2e::wait::wait_for;
use serde_json::Value;

use crate::call::Call;

/// What was compared.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Prices {
    /// Calls that cost something.
    pub(crate) paid: usize,
    /// Calls that were answered and cost nothing.
    pub(crate) free: usize,
    /// Calls that nobody answered.
    pub(crate) unanswered: usize,
    /// Calls that went outside by a later step than the first, which has a price of its own.
    pub(crate) later: usize,
    /// Calls whose explain log was read beside the lines of the simulation: one of ten.
    pub(crate) explained: usize,
}

/// Compares every call with its record, and says so in the call where they differ.
pub(crate) fn compare(api: &Api, calls: &mut [Call]) -> io::Result<Prices> {
    let wanted = calls.iter().filter(|call| call.is_answered()).count();
    let mut records = BTreeMap::new();
    // The store follows the journal.
    let all = wait_for(Duration::from_secs(20), || {
        records = read(api).ok()?;
        let here = |call: &&Call| call.call_id.as_ref().is_some_and(|id| records.contains_key(id));
        (calls.iter().filter(here).count() == wanted).then_some(())
    });
    all.ok_or_else(|| io::Error::other(format!("{} records of {wanted}", records.len())))?;
    let mut prices = Prices::default();
    for call in calls.iter_mut().filter(|call| call.wrong.is_none()) {
        let Some(record) = call.call_id.as_ref().and_then(|id| records.get(id)) else {
            prices.unanswered += 1;
            continue;
        };
        if prices.explained * 10 <= prices.paid + prices.free {
            let why = api.done("GET", &format!("/v1/why/{}", text(&record["call"])), None)?;
            explained(call, &why);
            prices.explained += 1;
        }
        let legs = record["legs"].as_array().into_iter().flatten();
        let legs = legs.filter(|leg| !leg["charge"].is_null());
        let talked = legs.clone().find_map(talked).unwrap_or_default();
        let said = charges(said(call, talked).into_iter());
        let charged = charges(legs.map(|leg| &leg["charge"]));
        prices.later += usize::from(outside_later(call));
        let sum: i64 = said.iter().map(|(_, amount)| amount).sum();
        let total = thousandths(&record["price"]);
        if said != charged || total != Some(sum) {
            let words = format!("costs {charged:?} ({total:?}), not {said:?}: {record}");
            call.wrong = Some(words);
        }
        if sum > 0 {
            prices.paid += 1;
        } else {
            prices.free += 1;
        }
    }
    Ok(prices)
}

/// The log of a call gives the reasons and steps that its simulation gave, behind its first line.
fn explained(call: &mut Call, why: &Value) {
    let said = call.simulated["lines"].as_array().into_iter().flatten();
    let logged = why["lines"].as_array().into_iter().flatten().skip(1).map(|line| &line["text"]);
    let differs = said.clone().zip(logged).find(|(said, logged)| said != logged);
    let long_enough = why["lines"].as_array().is_some_and(|lines| lines.len() > said.count());
    if differs.is_some() || !long_enough {
        call.wrong = Some(format!("its log says otherwise: {differs:?} in {why}"));
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The records of calls that are over, by the Call-ID of the caller's leg.
fn read(api: &Api) -> io::Result<BTreeMap<String, Value>> {
    let records = api.done("GET", "/v1/cdrs?limit=10000", None)?;
    let records = records.as_array().cloned().unwrap_or_default();
    let over = records.into_iter().filter(|record| !record["ended"].is_null());
    let named = |record: Value| Some((record["legs"][0]["call_id"].as_str()?.to_owned(), record));
    Ok(over.filter_map(named).collect())
}

/// Who pays what, in thousandths.
fn charges<'c>(charges: impl Iterator<Item = &'c Value>) -> Vec<(String, i64)> {
    let mut all: Vec<(String, i64)> = charges
        .map(|charge| {
            let payer = text(&charge["payer"]).to_owned();
            (payer, thousandths(&charge["amount"]).unwrap_or(i64::MIN))
        })
        .collect();
    all.sort();
    all
}

fn thousandths(amount: &Value) -> Option<i64> {
    let text = amount.as_str()?;
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let part: i64 = format!("{part:0<3}").parse().ok()?;
    Some(whole.parse::<i64>().ok()? * 1_000 + part)
}

/// How long a leg was up.
fn talked(leg: &Value) -> Option<SignedDuration> {
    let at = |key: &str| text(&leg[key]).parse::<Timestamp>().ok();
    Some(at("ended")?.duration_since(at("answered")?))
}

/// What the simulation says that so much talk costs: of a toll-free number, and of the step that
/// took the call.
fn said(call: &Call, talked: SignedDuration) -> Vec<&Value> {
    let half_minutes = usize::try_from(talked.as_millis().max(1) - 1).unwrap_or(0) / 30_000;
    let said = call.priced.get(half_minutes).expect("no call is up for so long");
    let mut all: Vec<&Value> = said["charges"].as_array().into_iter().flatten().collect();
    let of_step = |at: usize| Some(&said["steps"][at]["charge"]).filter(|charge| !charge.is_null());
    if call.taken_by != Some(0) {
        if let Some(first) = of_step(0) {
            let at = all.iter().position(|charge| *charge == first);
            all.remove(at.expect("the first step's charge is among all"));
        }
        all.extend(call.taken_by.and_then(of_step));
    }
    all
}

/// Whether the call has gone outside behind another step.
fn outside_later(call: &Call) -> bool {
    let word = |at: usize| call.simulated["steps"][at]["do"].as_str();
    call.taken_by.is_some_and(|at| at > 0 && matches!(word(at), Some("forward" | "call")))
}
