//! What calls cost, by their records, beside what their simulation said.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

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
    /// Calls that a later step of the plan took: what is said of talk is of the first.
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
        let said = if call.long { &call.simulated } else { &call.short };
        let said = charges(said["charges"].as_array().into_iter().flatten());
        let legs = record["legs"].as_array().into_iter().flatten();
        let charged = charges(legs.map(|leg| &leg["charge"]).filter(|charge| !charge.is_null()));
        if said != charged && outside_later(call) {
            prices.later += 1;
            continue;
        }
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

/// Whether the call has gone outside behind another step.
fn outside_later(call: &Call) -> bool {
    let steps = call.simulated["steps"].as_array().into_iter().flatten().skip(1);
    steps.filter_map(|step| step["do"].as_str()).any(|word| matches!(word, "forward" | "call"))
}
