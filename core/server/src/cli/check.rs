//! `koukan check`: everything that is wrong with a configuration, without a server.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use koukan_dialplan::{Diagnostic, Severity};
use serde_json::{Value, json};

use super::{Failed, table, watch};
use crate::config::{self, Finding};
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
        return check_once(arguments);
    }
    watch::each_change(&arguments.conf, || {
        if let Err(Failed(words)) = check_once(arguments) {
            table::complain(&words);
        }
    })
}

fn check_once(arguments: &CheckArguments) -> Result<(), Failed> {
    let conf = &arguments.conf;
    let (realm, own) = server_file(conf);
    if !conf.is_dir() {
        return Err(Failed("nothing was checked".to_owned()));
    }
    let mut outcome = plans::load(conf, &realm, Timestamp::now());
    sounds::prepare(&mut outcome, None, None);
    let own_errors = own.iter().filter(|(severity, _)| *severity == Severity::Error).count();
    let errors = outcome.report.errors.saturating_add(own_errors);
    let warnings = outcome.report.warnings.saturating_add(own.len().saturating_sub(own_errors));
    let counted = format!(
        "{}: {} tenants, {} devices, {errors} errors, {warnings} warnings",
        conf.display(),
        outcome.report.tenants,
        outcome.report.devices,
    );
    match arguments.format {
        Format::Text => {
            own.iter().for_each(|(_, found)| table::print(&format!("{found}\n")));
            for finding in &outcome.report.findings {
                table::print(&format!("{}\n", table::carets(finding.trim_end())));
            }
        }
        Format::Json => {
            let text = as_json(&own, &outcome, errors, warnings);
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

/// What is wrong with the server's own file, and its realm when it can be read.
fn server_file(conf: &Path) -> (String, Vec<(Severity, Finding)>) {
    match config::load(conf) {
        Ok(config) => {
            let warnings = config.warnings.into_iter();
            (config.sip.realm, warnings.map(|found| (Severity::Warning, found)).collect())
        }
        Err(error) => {
            let errors = error.findings.into_iter();
            (String::new(), errors.map(|found| (Severity::Error, found)).collect())
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
