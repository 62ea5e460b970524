//! The schema layer: a typed reader over the merged, spanned documents of one tenant.
//!
//! A [`Table`] is asked for its keys one by one; what it was asked for is what it knows, so that the
//! schema stands in one place, the reading code, and cannot differ from it. When a table is dropped
//! it reports the keys that nobody asked for. Every error is collected; nothing stops at the first.

mod action;
mod document;
mod item;
mod names;
mod table;
mod units;

use std::cell::RefCell;
use std::sync::Arc;

pub(crate) use action::{Action, Context, Do};
pub(crate) use document::{Document, Entry, Node, TextError, Value};
pub(crate) use item::Item;
pub(crate) use names::{Kind, Names};
pub(crate) use table::Table;
pub use units::Money;
pub(crate) use units::{Cell, DayRule, Digits, Secret, local_time};

use crate::capability::{Capabilities, Feature};
use crate::diagnostic::{Diagnostic, Severity};
use crate::limits;
use crate::source::{Files, Place};

struct Finding {
    severity: Severity,
    place: Place,
    message: String,
    hint: String,
}

/// What every reader of one tenant's documents shares.
pub(crate) struct Reader<'a> {
    pub(crate) files: Files<'a>,
    pub(crate) names: Names,
    pub(crate) capabilities: &'a Capabilities,
    findings: RefCell<Vec<Finding>>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(files: Files<'a>, names: Names, capabilities: &'a Capabilities) -> Self {
        Self { files, names, capabilities, findings: RefCell::default() }
    }

    /// Collects an error.
    pub(crate) fn error(&self, place: Place, message: impl Into<String>, hint: impl Into<String>) {
        self.add(Severity::Error, place, message.into(), hint.into());
    }

    /// Collects a warning.
    pub(crate) fn warn(&self, place: Place, message: impl Into<String>, hint: impl Into<String>) {
        self.add(Severity::Warning, place, message.into(), hint.into());
    }

    /// Refuses what is understood but not executed by this server.
    pub(crate) fn require(&self, feature: Feature, place: Place, what: &str) {
        if !self.capabilities.has(feature) {
            self.error(
                place,
                format!("{what} is not supported by this version"),
                format!("{} is understood and checked, but not executed yet", feature.title()),
            );
        }
    }

    /// Whether an error has been collected.
    pub(crate) fn has_errors(&self) -> bool {
        self.findings.borrow().iter().any(|found| found.severity == Severity::Error)
    }

    /// The findings in the order of files and lines.
    pub(crate) fn into_diagnostics(self, tenant: &Arc<str>) -> Vec<Diagnostic> {
        let mut findings = self.findings.into_inner();
        findings.sort_by(|a, b| a.place.cmp(&b.place));
        findings.dedup_by(|a, b| a.place == b.place && a.message == b.message);
        let finish = |found: Finding| {
            let position = self.files.position(found.place);
            let Finding { severity, message, hint, .. } = found;
            Diagnostic::new(severity, Arc::clone(tenant), position, message, hint)
        };
        findings.into_iter().map(finish).collect()
    }

    fn add(&self, severity: Severity, place: Place, message: String, hint: String) {
        let mut findings = self.findings.borrow_mut();
        if (findings.len() as u64) < limits::FINDINGS.default {
            findings.push(Finding { severity, place, message, hint });
        }
    }
}
