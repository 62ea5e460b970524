//! Everything that an office has flipped: what is in force, and what is kept aside because the plan
//! of today has no place for it (its number is gone, its option was cancelled).

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::{Asker, Change, ChangeError, Entry, Live};
use crate::model::Plan;
use crate::plans::Plans;

/// The live settings of one office as the store has them, fitted to its plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Everything that is stored, by key.
    stored: BTreeMap<Arc<str>, Entry>,
    live: Live,
    aside: Vec<Aside>,
}

/// A setting that is not in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aside {
    /// As it is stored.
    pub entry: Entry,
    /// Why not.
    pub why: ChangeError,
}

impl Settings {
    /// The settings out of the store; none is in force until they are [fitted](Self::fit).
    #[must_use]
    pub fn restore(entries: impl IntoIterator<Item = Entry>) -> Self {
        let set = |entry: Entry| entry.value.is_some().then(|| (Arc::clone(&entry.key), entry));
        let stored = entries.into_iter().filter_map(set).collect();
        Self { stored, live: Live::default(), aside: Vec::new() }
    }

    /// Fits them to the plan of the office as it is now: each is asked for again, as if the
    /// customer set it today. What is refused is kept, and comes into force again with a plan that
    /// has a place for it.
    pub fn fit(&mut self, plans: &Plans, tenant: &str) {
        self.live = Live::default();
        self.aside.clear();
        let plan = plans.plan(tenant);
        // A mode may need the target that was set beside it.
        let modes = |entry: &&Entry| entry.key.ends_with(".mode");
        let (last, first): (Vec<&Entry>, Vec<&Entry>) = self.stored.values().partition(modes);
        for entry in first.into_iter().chain(last) {
            let fits = match plan {
                Some(plan) => take(&mut self.live, plan, entry, plans),
                None => Err(ChangeError::Unknown { kind: "tenant", name: Arc::from(tenant) }),
            };
            if let Err(why) = fits {
                self.aside.push(Aside { entry: entry.clone(), why });
            }
        }
    }

    /// What is in force.
    #[must_use]
    pub const fn live(&self) -> &Live {
        &self.live
    }

    /// What is kept aside.
    #[must_use]
    pub fn aside(&self) -> &[Aside] {
        &self.aside
    }

    /// Everything that is stored, in the order of the keys.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.stored.values()
    }

    /// Whether nothing was flipped.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.stored.is_empty()
    }
}

fn take(live: &mut Live, plan: &Plan, entry: &Entry, plans: &Plans) -> Result<(), ChangeError> {
    let change = Change::parse(&entry.key, entry.value.as_deref())?;
    let asker = Asker { by: &entry.by, at: entry.at, capabilities: plans.capabilities() };
    live.take_change(plan, &change, &asker)
}

impl Plans {
    /// Takes a change of a live setting, when the plan allows it: what the store has to write (an
    /// entry without a value: to delete).
    ///
    /// # Errors
    /// Why it is not taken; nothing has changed then.
    pub fn set(
        &self,
        tenant: &str,
        settings: &mut Settings,
        change: &Change,
        by: &Arc<str>,
        at: Timestamp,
    ) -> Result<Vec<Entry>, ChangeError> {
        let mut gone: Vec<Entry> = Vec::new();
        for key in change.given_back() {
            // What is kept aside can be given back although its number is gone.
            if let Some(old) = settings.stored.remove(key.as_str()) {
                gone.push(Entry { value: None, by: Arc::clone(by), at, ..old });
            }
        }
        if !gone.is_empty() {
            settings.fit(self, tenant);
            return Ok(gone);
        }
        let changed = self.change(tenant, &mut settings.live, change, by, at)?;
        for entry in &changed {
            settings.aside.retain(|aside| aside.entry.key != entry.key);
            match &entry.value {
                Some(_) => settings.stored.insert(Arc::clone(&entry.key), entry.clone()),
                None => settings.stored.remove(&entry.key),
            };
        }
        Ok(changed)
    }
}
