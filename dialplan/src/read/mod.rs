//! The schema layer: a typed reader over the merged, spanned documents of one tenant.
//!
//! A [`Table`] is asked for its keys one by one; what it was asked for is what it knows, so that
//! the schema stands in one place, the reading code, and cannot differ from it. When a table is
//! dropped it reports the keys that nobody asked for. Every error is collected; nothing stops at
//! the first.

mod action;
mod document;
mod ics;
mod item;
mod names;
mod schema;
mod table;
mod texts;
mod units;

use std::cell::RefCell;
use std::sync::Arc;

pub(crate) use action::{Action, Context, Do};
pub(crate) use document::{Document, Entry, Node, TextError, Value};
pub(crate) use item::Item;
pub(crate) use names::{Kind, Names};
pub(crate) use schema::{Definitions, noted};
pub(crate) use table::Table;
pub(crate) use texts::Texts;
pub use units::Money;
pub(crate) use units::{Cell, DayRule, Digits, Secret, cell_of, cell_time, local_time};

use crate::capability::{Capabilities, Feature};
use crate::country::{self, Countries, Country};
use crate::diagnostic::{Diagnostic, Severity};
use crate::limits;
use crate::model::module::Catalog;
use crate::model::rules::{RuleBook, Rules};
use crate::source::{Files, Place};

/// The JSON Schema (draft 2020-12) of a tenant's files, for editors.
#[must_use]
pub fn json_schema() -> String {
    schema::json_schema()
}

/// What made a finding.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// The text is no TOML.
    Syntax,
    /// A value is wrong.
    Value,
    /// Understood, only not executed: the value is there.
    Unsupported,
}

struct Finding {
    severity: Severity,
    origin: Origin,
    place: Place,
    message: String,
    hint: String,
    picture: String,
}

/// What the server brings beside the tenants' files: plans, numbering plans and modules.
#[derive(Clone, Debug)]
pub(crate) struct Library {
    pub(crate) plans: RuleBook,
    pub(crate) countries: Countries,
    pub(crate) modules: Catalog,
}

/// What every reader of one tenant's documents shares.
pub(crate) struct Reader<'a> {
    pub(crate) files: Files<'a>,
    pub(crate) names: Names,
    pub(crate) capabilities: &'a Capabilities,
    findings: RefCell<Vec<Finding>>,
    /// Parts of the texts that are no TOML: what seems wrong in them follows from that.
    distrusted: Vec<Place>,
    /// What a probe of the schema has read once already.
    pub(crate) definitions: Definitions,
    library: Option<&'a Library>,
    rules: Option<Arc<Rules>>,
    country: Option<Arc<Country>>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(files: Files<'a>, names: Names, capabilities: &'a Capabilities) -> Self {
        Self {
            files,
            names,
            capabilities,
            findings: RefCell::default(),
            distrusted: Vec::new(),
            definitions: Definitions::default(),
            library: None,
            rules: None,
            country: None,
        }
    }

    /// Reads as a tenant of a plan and of a country, by their names.
    pub(crate) fn choose(
        &mut self,
        library: &'a Library,
        plan: Option<&str>,
        country: Option<&str>,
    ) {
        self.rules = plan.and_then(|plan| library.plans.get(plan)).cloned();
        self.country = country.and_then(|country| library.countries.find(country)).cloned();
        self.library = Some(library);
    }

    /// What the tenant's plan allows.
    pub(crate) fn rules(&self) -> Arc<Rules> {
        self.rules.clone().unwrap_or_else(Rules::standard)
    }

    /// The numbering plan of the tenant's country.
    pub(crate) fn country(&self) -> Arc<Country> {
        self.country.clone().unwrap_or_else(country::japan)
    }

    /// The modules that actions may name.
    pub(crate) fn modules(&self) -> Option<&'a Catalog> {
        self.library.map(|library| &library.modules)
    }

    pub(crate) fn plan_names(&self) -> Vec<&'a str> {
        let plans = self.library.into_iter().flat_map(|library| library.plans.keys());
        plans.map(|name| &**name).collect()
    }

    pub(crate) fn country_names(&self) -> Vec<&'a str> {
        self.library.into_iter().flat_map(|library| library.countries.names()).collect()
    }

    /// Collects an error.
    pub(crate) fn error(&self, place: Place, message: impl Into<String>, hint: impl Into<String>) {
        let (message, hint) = (message.into(), hint.into());
        let (severity, origin, picture) = (Severity::Error, Origin::Value, String::new());
        self.add(Finding { severity, origin, place, message, hint, picture });
    }

    /// Collects an error of the text itself.
    pub(crate) fn syntax(&self, place: Place, message: String, hint: &str) {
        let (severity, origin, hint) = (Severity::Error, Origin::Syntax, hint.to_owned());
        self.add(Finding { severity, origin, place, message, hint, picture: String::new() });
    }

    /// Says in which parts of the texts only errors of the text itself count.
    pub(crate) fn distrust(&mut self, parts: Vec<Place>) {
        self.distrusted = parts;
    }

    /// Collects a warning.
    pub(crate) fn warn(&self, place: Place, message: impl Into<String>, hint: impl Into<String>) {
        let (message, hint) = (message.into(), hint.into());
        let (severity, origin, picture) = (Severity::Warning, Origin::Value, String::new());
        self.add(Finding { severity, origin, place, message, hint, picture });
    }

    /// Collects a warning with a picture in text under it.
    pub(crate) fn picture(&self, place: Place, message: String, hint: String, picture: String) {
        let (severity, origin) = (Severity::Warning, Origin::Value);
        self.add(Finding { severity, origin, place, message, hint, picture });
    }

    /// Refuses what is understood but not executed by this server.
    pub(crate) fn require(&self, feature: Feature, place: Place, what: &str) {
        if !self.capabilities.has(feature) {
            self.add(Finding {
                severity: Severity::Error,
                origin: Origin::Unsupported,
                place,
                message: format!("{what} is not supported by this version"),
                hint: format!("understood, but not executed yet: {}", feature.title()),
                picture: String::new(),
            });
        }
    }

    /// Whether an error has been collected.
    pub(crate) fn has_errors(&self) -> bool {
        self.findings.borrow().iter().any(|found| found.severity == Severity::Error)
    }

    /// How many values were wrong so far.
    pub(crate) fn faults(&self) -> usize {
        let wrong = |found: &&Finding| {
            found.severity == Severity::Error && found.origin != Origin::Unsupported
        };
        self.findings.borrow().iter().filter(wrong).count()
    }

    /// The findings in the order of files and lines.
    pub(crate) fn into_diagnostics(self, tenant: &Arc<str>) -> Vec<Diagnostic> {
        let mut findings = self.findings.into_inner();
        findings.sort_by_key(|found| found.place);
        findings.dedup_by(|a, b| a.place == b.place && a.message == b.message);
        let finish = |found: Finding| {
            let position = self.files.position(found.place);
            let Finding { severity, message, hint, picture, .. } = found;
            let found = Diagnostic::new(severity, Arc::clone(tenant), position, message, hint);
            found.with_picture(picture)
        };
        findings.into_iter().map(finish).collect()
    }

    fn add(&self, finding: Finding) {
        let Place { file, start, .. } = finding.place;
        let inside = |part: &Place| {
            part.file == file && ((part.start <= start && start < part.end) || part.end == 0)
        };
        let recovered = !self.distrusted.is_empty() && finding.place == Place::default();
        if finding.origin != Origin::Syntax && (recovered || self.distrusted.iter().any(inside)) {
            return;
        }
        let mut findings = self.findings.borrow_mut();
        if (findings.len() as u64) < limits::FINDINGS.default {
            findings.push(finding);
        }
    }
}
