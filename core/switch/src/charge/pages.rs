//! Pages that the apps of an office have sent in a billing month (S-43), for the options that make
//! some of them free: counted when a fax's leg is over, and kept by a note in the journal beside
//! the record that they belong to.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use koukan_dialplan::Plans;

use super::price;
use crate::action::Action;
use crate::call::Call;
use crate::leg::Leg;
use crate::record::{Note, Record};
use crate::switch::Switch;

/// Whose notes in the journal count the pages; no module is called so.
pub const FAX_PAGES_OWNER: &str = "kk:fax-pages";

/// Months that are kept of an app: a fax that was answered in one may end in the next.
const MONTHS: usize = 2;

/// Tenant and device.
type App = (Arc<str>, Arc<str>);

/// The pages of every app, by month (`2026-07`).
#[derive(Debug, Default)]
pub(crate) struct FaxPages(HashMap<App, BTreeMap<String, u32>>);

impl FaxPages {
    fn of(&self, app: &App, month: &str) -> u32 {
        self.0.get(app).and_then(|months| months.get(month)).copied().unwrap_or(0)
    }

    /// Counts pages; what the journal is to know of the app.
    fn add(&mut self, app: &App, month: &str, pages: u32) -> Note {
        let months = self.0.entry(app.clone()).or_default();
        let count = months.entry(month.to_owned()).or_default();
        *count = count.saturating_add(pages);
        while months.len() > MONTHS {
            months.pop_first();
        }
        Note {
            module: FAX_PAGES_OWNER.to_owned(),
            tenant: app.0.to_string(),
            key: app.1.to_string(),
            value: serde_json::to_string(months).ok(),
        }
    }
}

/// What makes the leg of a fax free: who sends, and how many pages were sent before.
#[derive(Debug)]
pub(super) struct AppPages {
    /// Pages that were confirmed on this leg.
    pub(super) confirmed: u32,
    /// Pages of the app in the month, before those.
    pub(super) before: u32,
}

impl Switch {
    /// The first leg, of a machine that has answered, is paid by an app of the office.
    pub(crate) fn paid_by_app(&mut self, call: &mut Call, app: &Arc<str>) {
        let plans = Arc::clone(&call.plans);
        let Some(leg) = call.leg_mut(0) else { return };
        let Some(paying) = leg.paying.as_mut() else { return };
        paying.charged.device = Some(Arc::clone(app));
        paying.app = Some(AppPages { confirmed: 0, before: 0 });
        if let Some((app, month)) = app_and_month(&plans, leg) {
            let before = self.fax_pages.of(&app, &month);
            set_before(leg, before);
        }
    }

    /// So many pages of the fax that a call sends are confirmed.
    pub(crate) fn pages_confirmed(call: &mut Call, pages: u32) {
        let paying = call.leg_mut(0).and_then(|leg| leg.paying.as_mut());
        if let Some(app) = paying.and_then(|paying| paying.app.as_mut()) {
            app.confirmed = pages;
        }
    }

    /// A leg is over: its pages are counted, and what was sent before them is what counts now. The
    /// words about it, when an app has sent any.
    pub(super) fn count_pages(&mut self, plans: &Plans, leg: &mut Leg) -> Option<String> {
        let (app, month) = app_and_month(plans, leg)?;
        let before = self.fax_pages.of(&app, &month);
        let pages = set_before(leg, before);
        if pages == 0 {
            return None;
        }
        let note = self.fax_pages.add(&app, &month, pages);
        self.actions.push_back(Action::Record(Record::Note(note)));
        let all = before.saturating_add(pages);
        Some(format!("pages of the app {} in {month}: {pages} more, {all} with those", app.1))
    }

    /// Takes over from the journal what the apps have sent; before anything else comes in.
    pub fn restore_fax_pages<'n>(&mut self, notes: impl IntoIterator<Item = &'n Note>) {
        for note in notes.into_iter().filter(|note| note.module == FAX_PAGES_OWNER) {
            let months = note.value.as_deref().and_then(|text| serde_json::from_str(text).ok());
            let app = (Arc::from(note.tenant.as_str()), Arc::from(note.key.as_str()));
            self.fax_pages.0.extend(months.map(|months| (app, months)));
        }
    }
}

/// The app that pays for a leg, and the month that the leg belongs to.
fn app_and_month(plans: &Plans, leg: &Leg) -> Option<(App, String)> {
    let paying = leg.paying.as_ref()?;
    paying.app.as_ref()?;
    let app = (Arc::clone(paying.payer()), paying.charged.device.clone()?);
    let charge = price(plans, leg, leg.answered?)?.ok()?;
    Some((app, charge.month.to_string()))
}

/// Notes what was sent before; how many pages this leg has.
fn set_before(leg: &mut Leg, before: u32) -> u32 {
    let app = leg.paying.as_mut().and_then(|paying| paying.app.as_mut());
    app.map_or(0, |app| {
        app.before = before;
        app.confirmed
    })
}
