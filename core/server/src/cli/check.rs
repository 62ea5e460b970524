//! `koukan check`: everything that is wrong with a configuration, without a server.

use std::path::Path;

use jiff::Timestamp;

use super::{Failed, table};
use crate::config;
use crate::plans;

pub(super) fn check(conf: &Path) -> Result<(), Failed> {
    let mut errors: usize = 0;
    let mut warnings: usize = 0;
    let realm = match config::load(conf) {
        Ok(config) => {
            warnings = config.warnings.len();
            config.warnings.iter().for_each(|found| table::print(&format!("{found}\n")));
            config.sip.realm
        }
        Err(error) => {
            errors = error.findings.len();
            table::print(&format!("{error}\n"));
            String::new()
        }
    };
    if !conf.is_dir() {
        return Err(Failed("nothing was checked".to_owned()));
    }
    let report = plans::load(conf, &realm, Timestamp::now()).report;
    for finding in &report.findings {
        table::print(&format!("{}\n", finding.trim_end()));
    }
    errors = errors.saturating_add(report.errors);
    let counted = format!(
        "{}: {} tenants, {} devices, {errors} errors, {} warnings",
        conf.display(),
        report.tenants,
        report.devices,
        report.warnings.saturating_add(warnings)
    );
    if errors > 0 {
        return Err(Failed(counted));
    }
    table::print(&format!("{counted}\n"));
    Ok(())
}
