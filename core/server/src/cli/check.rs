//! `koukan check`: everything that is wrong with a configuration, without a server.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use koukan_dialplan::{Diagnostic, Severity};
use serde_json::{Value, json};

use super::watch::{self, Changed};
use super::{Failed, table};
use crate::config::{self, Finding};
use crate::module::tap::RECORDING;
use crate::modules::nobody_records;
use crate::plans::{self, Outcome};
use crate::sounds;

#[derive(Debug, Args)]
pub(super) struct CheckArguments {
    /// The configuration directory
    #[arg(default_value = "conf")]
    conf: PathBuf,
    /// How the findings are printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Stay, and check again whenever a file is written
    #[arg(long)]
    watch: bool,
}

/// How findings are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people: the offending line with carets under it
    Text,
    /// One JSON object with all findings, for editors and scripts
    Json,
}

pub(super) fn check(arguments: &CheckArguments) -> Result<(), Failed> {
    if !arguments.watch {
        return Check::of(&arguments.conf).and_then(|check| check.told(arguments));
    }
    let mut standing: Option<Check> = None;
    watch::each_change(&arguments.conf, |changed| {
        let told = match (changed, standing.as_mut()) {
            (Changed::Offices(names), Some(check)) => {
                names.iter().try_for_each(|name| check.again(arguments, name))
            }
            _ => Check::of(&arguments.conf).and_then(|check| {
                let told = check.told(arguments);
                standing = Some(check);
                told
            }),
        };
        if let Err(Failed(words)) = told {
            table::complain(&words);
        }
    })
}

/// A configuration that was checked.
struct Check {
    realm: String,
    own: Vec<(Severity, Finding)>,
    outcome: Outcome,
    /// What it is called.
    name: String,
}

impl Check {
    fn of(conf: &Path) -> Result<Self, Failed> {
        let (realm, mut own, records) = server_file(conf);
        if !conf.is_dir() {
            let mut words = String::from("nothing was checked");
            own.iter().for_each(|(_, found)| words = format!("{found}\n{words}"));
            return Err(Failed(words));
        }
        let mut outcome = plans::load(conf, &realm, Timestamp::now());
        sounds::prepare(&mut outcome, None, None);
        let missing = nobody_records(&outcome.directory.plans).filter(|_| !records);
        own.extend(missing.map(|words| (Severity::Warning, about(conf, words))));
        Ok(Self { realm, own, outcome, name: conf.display().to_string() })
    }

    /// Checks one office again, by its directory, among all others as they stand.
    fn again(&mut self, arguments: &CheckArguments, office: &str) -> Result<(), Failed> {
        let (conf, current) = (&arguments.conf, &self.outcome.directory);
        let Some(mut outcome) =
            plans::load_tenant(conf, &self.realm, Timestamp::now(), current, office)
        else {
            return Ok(());
        };
        let id = outcome.directory.plans.id_in(office).cloned();
        if let Some(id) = id {
            sounds::prepare(&mut outcome, None, Some(&id));
        }
        self.outcome = outcome;
        let own = std::mem::take(&mut self.own);
        let name = std::mem::replace(&mut self.name, format!("{office} again"));
        let told = self.told(arguments);
        (self.own, self.name) = (own, name);
        told
    }

    /// Prints what was found; an error when anything is one.
    fn told(&self, arguments: &CheckArguments) -> Result<(), Failed> {
        let Self { own, outcome, name, .. } = self;
        let own_errors = own.iter().filter(|(severity, _)| *severity == Severity::Error).count();
        let errors = outcome.report.errors.saturating_add(own_errors);
        let own_warnings = own.len().saturating_sub(own_errors);
        let warnings = outcome.report.warnings.saturating_add(own_warnings);
        let counted = format!(
            "{name}: {} tenants, {} devices, {errors} errors, {warnings} warnings",
            outcome.report.tenants, outcome.report.devices,
        );
        match arguments.format {
            Format::Text => {
                own.iter().for_each(|(_, found)| table::print(&format!("{found}\n")));
                for finding in &outcome.report.findings {
                    table::print(&format!("{}\n", table::carets(finding.trim_end())));
                }
            }
            Format::Json => {
                let text = as_json(own, outcome, errors, warnings);
                table::print(&format!("{text:#}\n"));
            }
        }
        match (errors, arguments.format) {
            (0, Format::Text) => table::print(&format!("{counted}\n")),
            (0, Format::Json) => {}
            _ => return Err(Failed(counted)),
        }
        Ok(())
    }
}

/// A finding about the server's file.
fn about(conf: &Path, words: String) -> Finding {
    let hint = "[module.recording] of the sample configuration records calls".to_owned();
    Finding::about_file(conf.join("koukan.toml").display().to_string(), words, hint)
}

/// What is wrong with the server's own file, its realm when it can be read, and whether a module of
/// it records calls.
fn server_file(conf: &Path) -> (String, Vec<(Severity, Finding)>, bool) {
    match config::load(conf) {
        Ok(config) => {
            let records = config.modules.iter().any(|module| {
                module.role.as_deref() == Some(RECORDING) && module.is_granted("taps")
            });
            let warnings = config.warnings.into_iter();
            let warnings = warnings.map(|found| (Severity::Warning, found)).collect();
            (config.sip.realm, warnings, records)
        }
        Err(error) => {
            let errors = error.findings.into_iter();
            // What its modules are cannot be said.
            (String::new(), errors.map(|found| (Severity::Error, found)).collect(), true)
        }
    }
}

/// All findings as one object. What stands in no file has a message only.
fn as_json(
    own: &[(Severity, Finding)],
    outcome: &Outcome,
    errors: usize,
    warnings: usize,
) -> Value {
    let own = own.iter().map(
        |(severity, found)| json!({ "severity": word(*severity), "message": found.to_string() }),
    );
    let placed: Vec<String> = outcome.found.diagnostics.iter().map(Diagnostic::to_string).collect();
    let elsewhere = outcome.report.findings.iter().filter(|text| !placed.contains(text));
    let elsewhere = elsewhere.map(|text| json!({ "severity": "error", "message": text }));
    let found = outcome.found.diagnostics.iter().map(|found| {
        json!({
            "severity": word(found.severity),
            "tenant": &*found.tenant,
            "path": &*found.path,
            "line": found.line,
            "column": found.column,
            "message": found.message,
            "hint": found.hint,
            "excerpt": found.excerpt(),
            "picture": found.picture,
        })
    });
    let findings: Vec<Value> = own.chain(elsewhere).chain(found).collect();
    json!({
        "tenants": outcome.report.tenants,
        "devices": outcome.report.devices,
        "errors": errors,
        "warnings": warnings,
        "findings": findings,
    })
}

const fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}
