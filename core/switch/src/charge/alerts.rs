//! Caps of `[limits]` that an office comes near to or has reached: each is told once a day at four
//! fifths and once when it is reached, to the log and to the addresses that the plan names. Those
//! of the night and of a number's forwards have no one figure for an office and a day: they are
//! told when they refuse.
//! Nothing is ended by a cap: the gate refuses what is new, calls that are up stay.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::civil::Date;
use koukan_base::Time;
use koukan_dialplan::{Cap, CapLevel, Decision};
use serde::{Deserialize, Serialize};

use crate::action::{Action, Mail, Now};
use crate::call::Call;
use crate::record::{Note, Record};
use crate::switch::Switch;

/// Whose notes in the journal say what was told of caps; no module is called so.
pub const CAPS_OWNER: &str = "kk:caps";

/// What an office was told of a cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    day: Date,
    /// In percent: one of [`LEVELS`].
    level: u32,
}

/// How often a cap was reached, and how many legs it refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CapCount {
    /// Offices that reached it, each once a day.
    pub reached: u64,
    /// Legs that it refused.
    pub refused: u64,
}

/// What every office was told.
#[derive(Debug, Default)]
pub(crate) struct Alerts {
    told: HashMap<(Arc<str>, Cap), Told>,
    counts: BTreeMap<Cap, CapCount>,
    /// When an office was looked at last.
    looked: HashMap<Arc<str>, Time>,
}

/// Percents of a cap that are told.
const LEVELS: [u32; 2] = [80, 100];

/// An office whose calls change is looked at no more often: what its calls cost is worked out anew.
const LOOK: Duration = Duration::from_secs(1);

impl Alerts {
    /// Whether it is time to look at an office.
    fn is_due(&mut self, now: Time, tenant: &Arc<str>) -> bool {
        let due = self.looked.get(tenant).is_none_or(|at| now.since(*at) >= LOOK);
        if due {
            self.looked.insert(Arc::clone(tenant), now);
        }
        due
    }

    /// A cap stands at so many percent; the level that is to be told now.
    fn note(&mut self, tenant: &Arc<str>, day: Date, cap: Cap, percent: u32) -> Option<u32> {
        let level = LEVELS.into_iter().rfind(|level| percent >= *level)?;
        let known = self.told.get(&(Arc::clone(tenant), cap)).filter(|told| told.day == day);
        if known.is_some_and(|told| told.level >= level) {
            return None;
        }
        self.told.insert((Arc::clone(tenant), cap), Told { day, level });
        if level >= 100 {
            let count = self.counts.entry(cap).or_default();
            count.reached = count.reached.saturating_add(1);
        }
        Some(level)
    }
}

impl Switch {
    /// Looks at the caps of everybody who pays for legs of a call; of one that goes on sometimes.
    pub(crate) fn look_at_caps(&mut self, call: &Call, is_over: bool) {
        let Some(now) = self.latest else { return };
        let mut payers: Vec<Arc<str>> = Vec::new();
        for paying in call.legs.iter().filter_map(|leg| leg.paying.as_ref()) {
            if !payers.contains(paying.payer()) {
                payers.push(Arc::clone(paying.payer()));
            }
        }
        for payer in payers {
            let due = self.alerts.is_due(now.time, &payer) || is_over;
            if due && self.directory.plans.has_caps(&payer) {
                self.tell_caps(now, &payer, None);
            }
        }
    }

    /// A decision may have been refused by a cap: that is told at once.
    pub(crate) fn note_refusal(&mut self, now: Now, decision: &Decision) {
        let Some(alert) = &decision.alert else { return };
        let count = self.alerts.counts.entry(alert.cap).or_default();
        count.refused = count.refused.saturating_add(1);
        let tenant = Arc::clone(&decision.tenant);
        self.tell_caps(now, &tenant, Some(alert.cap));
    }

    fn tell_caps(&mut self, now: Now, tenant: &Arc<str>, refused: Option<Cap>) {
        let plans = Arc::clone(&self.directory.plans);
        let day = plans.local_date(tenant, now.date);
        let usage = self.usages.of(tenant, day, now.date);
        let mut levels = plans.cap_levels(tenant, &usage);
        if let Some(cap) = refused
            && !levels.iter().any(|level| level.cap == cap && level.percent >= 100)
        {
            levels.retain(|level| level.cap != cap);
            levels.push(CapLevel { cap, percent: 100, used: String::new(), most: String::new() });
        }
        for CapLevel { cap, percent, used, most } in levels {
            let Some(level) = self.alerts.note(tenant, day, cap, percent) else { continue };
            let value = serde_json::to_string(&Told { day, level }).ok();
            let note = Note {
                module: CAPS_OWNER.to_owned(),
                tenant: tenant.to_string(),
                key: cap.to_string(),
                value,
            };
            self.actions.push_back(Action::Record(Record::Note(note)));
            let of = if most.is_empty() { String::new() } else { format!(" ({used} of {most})") };
            let what = if level >= 100 { "is reached: no more" } else { "is four fifths used" };
            let text = format!("the cap {cap} of {tenant} {what}{of}");
            self.actions.push_back(Action::Notice { grave: true, text });
            let to = plans.alert_receivers(tenant);
            if !to.is_empty() {
                let (subject, text) = words(plans.language(tenant), cap, level, (&used, &most));
                let to = to.iter().map(ToString::to_string).collect();
                let id = format!("cap-{cap}-{level}-{}", day.strftime("%Y%m%d"));
                let mail = Mail { tenant: tenant.to_string(), id, to, subject, text };
                self.actions.push_back(Action::Mail(mail));
            }
        }
    }

    /// Takes over from the journal what was told of caps; before anything else comes in.
    pub fn restore_alerts<'n>(&mut self, notes: impl IntoIterator<Item = &'n Note>) {
        for note in notes.into_iter().filter(|note| note.module == CAPS_OWNER) {
            let cap = Cap::ALL.into_iter().find(|cap| cap.as_str() == note.key);
            let told = note.value.as_deref().and_then(|text| serde_json::from_str(text).ok());
            if let (Some(cap), Some(told)) = (cap, told) {
                self.alerts.told.insert((Arc::from(note.tenant.as_str()), cap), told);
            }
        }
    }

    /// How often each cap was reached and has refused since the start.
    #[must_use]
    pub fn cap_counts(&self) -> Vec<(Cap, CapCount)> {
        let count = |cap| (cap, self.alerts.counts.get(&cap).copied().unwrap_or_default());
        Cap::ALL.into_iter().map(count).collect()
    }
}

/// Subject and text of the mail.
fn words(language: &str, cap: Cap, level: u32, (used, most): (&str, &str)) -> (String, String) {
    let amount = |of: &str| if most.is_empty() { String::new() } else { of.to_owned() };
    if language == "ja" {
        let what = match cap {
            Cap::Spend => "1日の発信料金",
            Cap::Minutes => "1日の発信時間",
            Cap::Concurrent => "同時発信数",
            Cap::Night => "夜間の同時発信数",
            Cap::Forwards => "同時転送数",
            Cap::TollfreeSpend => "1日のフリーダイヤル着信料金",
            Cap::TollfreeConcurrent => "フリーダイヤルの同時着信数",
        };
        let now = amount(&format!("現在 {used}、上限 {most}。\n"));
        return if level >= 100 {
            let text = format!(
                "{what}が上限に達しました。{now}新しい通話はおつなぎしません。\
                 通話中の通話はそのまま続きます。\n"
            );
            (format!("【重要】{what}が上限に達しました"), text)
        } else {
            let text = format!("{what}が上限の{level}%に達しました。{now}");
            (format!("{what}が上限の{level}%に達しました"), text)
        };
    }
    let what = match cap {
        Cap::Spend => "The day's spending on calls to outside",
        Cap::Minutes => "The day's minutes of calls to outside",
        Cap::Concurrent => "The number of calls to outside",
        Cap::Night => "The number of calls to outside at night",
        Cap::Forwards => "The number of forwarded calls",
        Cap::TollfreeSpend => "The day's spending on toll-free callers",
        Cap::TollfreeConcurrent => "The number of toll-free callers",
    };
    let now = amount(&format!(" It stands at {used} of {most}."));
    if level >= 100 {
        let text = format!(
            "{what} has reached its cap.{now} New calls of this kind are refused; calls that are \
             up go on.\n"
        );
        (format!("{what} has reached its cap"), text)
    } else {
        (format!("{what} is at {level}% of its cap"), format!("{what} is at {level}%.{now}\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_level_is_told_once_a_day_and_the_higher_one_says_the_lower_too() {
        let (mut alerts, acme) = (Alerts::default(), Arc::from("acme"));
        let day = jiff::civil::date(2026, 7, 1);
        let mut note = |day, percent| alerts.note(&acme, day, Cap::Spend, percent);
        let told: Vec<_> = [10, 79, 80, 99, 100, 120, 60, 85, 100].map(|p| note(day, p)).into();
        let (near, full) = (Some(80), Some(100));
        assert_eq!(told, [None, None, near, None, full, None, None, None, None]);
        let tomorrow = day.tomorrow().unwrap();
        assert_eq!((note(tomorrow, 130), note(tomorrow, 90)), (full, None));
        assert_eq!(alerts.counts[&Cap::Spend].reached, 2);
    }

    #[test]
    fn every_cap_has_its_words_in_both_languages() {
        for cap in Cap::ALL {
            for language in ["ja", "en"] {
                let (near, _) = words(language, cap, 80, ("16", "20"));
                let (full, text) = words(language, cap, 100, ("20", "20"));
                assert!(near != full && text.contains("20"), "{text}");
            }
        }
    }
}
