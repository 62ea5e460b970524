//! `koukan diff OLD NEW`: which calls come to something else, for every DID x half hour x kind of
//! caller and every device x what it can dial.

use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;
use koukan_dialplan::{Loaded, Plans};

use super::{Failed, table};
use crate::config::read_sources;
use crate::plans;

#[derive(Debug, Args)]
pub(super) struct DiffArguments {
    /// The configuration directory as it was
    old: PathBuf,
    /// The configuration directory as it is to be
    new: PathBuf,
    /// End with 1 when an outcome differs
    #[arg(long)]
    exit_code: bool,
}

pub(super) fn diff(arguments: &DiffArguments) -> Result<(), Failed> {
    let now = Timestamp::now();
    let (old, new) = (plans_of(&arguments.old, now)?, plans_of(&arguments.new, now)?);
    let differences = old.diff(&new, now);
    for difference in &differences {
        table::print(&format!("{difference}\n"));
    }
    let counted = format!("{} outcomes differ", differences.len());
    if arguments.exit_code && !differences.is_empty() {
        return Err(Failed(counted));
    }
    table::print(&format!("{counted}\n"));
    Ok(())
}

/// The plans of a directory. What has errors has no outcomes to compare.
fn plans_of(conf: &Path, now: Timestamp) -> Result<Plans, Failed> {
    if !conf.is_dir() {
        return Err(Failed(format!("{} is no directory", conf.display())));
    }
    let Loaded { plans, report, .. } = plans::unproven(&read_sources(conf), now);
    let count = report.errors().count();
    if count > 0 {
        let conf = conf.display();
        return Err(Failed(format!("{conf} has {count} errors (koukan check {conf})")));
    }
    Ok(plans)
}
