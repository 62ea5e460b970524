//! Live settings: what the offices have flipped, over what their files say. A change is a record
//! before whoever asked is told; it holds from the next decision on and touches no running call.

use std::sync::Arc;

use koukan_dialplan::{Aside, Change, ChangeError, Entry, Plans, Release, Settings};

use crate::action::{Action, Now};
use crate::call::Call;
use crate::leg::Party;
use crate::record::{Record, SettingRecord};
use crate::switch::Switch;

impl Switch {
    /// Takes over the settings that the store has kept; at a start, before anything else comes in.
    pub fn restore_settings(&mut self, records: impl IntoIterator<Item = SettingRecord>) {
        let mut offices: std::collections::HashMap<String, Vec<Entry>> = Default::default();
        for SettingRecord { tenant, key, value, by, at } in records {
            let value = value.map(Arc::from);
            let entry = Entry { key: key.into(), value, by: by.into(), at };
            offices.entry(tenant).or_default().push(entry);
        }
        for (tenant, entries) in offices {
            let mut settings = Settings::restore(entries);
            settings.fit(&self.directory.plans, &tenant);
            self.settings.insert(tenant.into(), settings);
        }
    }

    /// Takes a change of an office's setting; what was written. Its records are to be safe before
    /// whoever asked hears of it.
    ///
    /// # Errors
    /// The plan does not allow it; nothing has changed then.
    pub fn set(
        &mut self,
        now: Now,
        tenant: &str,
        change: &Change,
        by: &Arc<str>,
    ) -> Result<Vec<Entry>, ChangeError> {
        let mut settings = self.settings.remove(tenant).unwrap_or_default();
        let plans = &self.directory.plans;
        let outcome = plans.set(tenant, &mut settings, change, by, now.date);
        if !settings.is_empty() {
            self.settings.insert(tenant.into(), settings);
        }
        if outcome.is_ok() {
            self.note_night(tenant, change);
        }
        for entry in outcome.iter().flatten() {
            let record = SettingRecord {
                tenant: tenant.to_owned(),
                key: entry.key.to_string(),
                value: entry.value.as_deref().map(str::to_owned),
                by: entry.by.to_string(),
                at: entry.at,
            };
            self.actions.push_back(Action::Record(Record::Setting(record)));
        }
        outcome
    }

    /// What an office has flipped; none for one that has flipped nothing.
    #[must_use]
    pub fn settings(&self, tenant: &str) -> Option<&Settings> {
        self.settings.get(tenant)
    }

    /// Settings that have no place in the plans of today, with their offices.
    #[must_use]
    pub fn settings_aside(&self) -> Vec<(Arc<str>, Aside)> {
        let aside = self.settings.iter().flat_map(|(tenant, settings)| {
            settings.aside().iter().map(move |aside| (Arc::clone(tenant), aside.clone()))
        });
        let mut aside: Vec<(Arc<str>, Aside)> = aside.collect();
        aside.sort_by(|(a, x), (b, y)| (a, &x.entry.key).cmp(&(b, &y.entry.key)));
        aside
    }

    /// New plans: the settings of offices whose plan is another are fitted to it.
    pub(crate) fn fit_settings(&mut self, before: &Plans) {
        let plans = &self.directory.plans;
        for (tenant, settings) in &mut self.settings {
            if plans.generation(tenant) != before.generation(tenant) {
                settings.fit(plans, tenant);
            }
        }
    }

    /// Takes the changes of a feature code. The decision has asked whether they are allowed; when
    /// they are not any more, the caller is refused.
    pub(crate) fn set_by_code(&mut self, now: Now, call: &mut Call, changes: &[Change]) {
        let user = call.leg(0).and_then(|leg| match &leg.party {
            Party::Device { tenant, device } => self.directory.plans.device(tenant, device),
            Party::Trunk(_) | Party::FaxBox { .. } => None,
        });
        let user = user.map_or("a call", |info| &info.user);
        let by = Arc::from(format!("{user} (feature code)"));
        for change in changes {
            match self.set(now, &call.tenant.clone(), change, &by) {
                Ok(_) => self.explain(call.id, format!("set {}", change.words())),
                Err(why) => {
                    self.explain(call.id, format!("not set: {why}"));
                    call.steps.clear();
                    call.release = Release { status: 403, prompt: None, cause: "setting".into() };
                    return;
                }
            }
        }
    }
}
