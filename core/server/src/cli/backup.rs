//! `koukan ctl backup` beside a running server, and `koukan restore` where none runs.

#![expect(
    clippy::indexing_slicing,
    reason = "a serde_json::Value answers null for what is not there"
)]

use std::path::PathBuf;

use clap::Args;
use hyper::Method;
use serde_json::json;

use super::ctl::refusal;
use super::{Failed, Reach, client, table};
use crate::backup::{self, Places};

#[derive(Debug, Args)]
pub(super) struct BackupArguments {
    /// The directory that the backup goes into: a new one
    to: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct RestoreArguments {
    /// The backup
    backup: PathBuf,
    /// The configuration directory; the backup's is put there when nothing is
    #[arg(default_value = "conf")]
    conf: PathBuf,
}

pub(super) fn backup(reach: &Reach, arguments: &BackupArguments) -> Result<(), Failed> {
    let answer = client::ask(&reach.socket(), Method::POST, "/v1/backup", None)?;
    if !answer.status.is_success() {
        return Err(refusal(&answer));
    }
    let ready = answer.json()?;
    if ready["written"] == false {
        let words = "the server's disk refuses records: what waits in its memory is not backed up";
        return Err(Failed(words.to_owned()));
    }
    let places: Places = serde_json::from_value(ready["places"].clone())?;
    let manifest = backup::take(&places, &arguments.to, jiff::Timestamp::now())?;
    let (files, bytes) = (manifest.files.len(), manifest.bytes());
    table::print(&if reach.json {
        let to = arguments.to.display().to_string();
        format!("{}\n", json!({ "to": to, "files": files, "bytes": bytes }))
    } else {
        format!("{}: {files} files, {bytes} bytes\n", arguments.to.display())
    });
    Ok(())
}

pub(super) fn restore(arguments: &RestoreArguments) -> Result<(), Failed> {
    let restored = backup::restore(&arguments.backup, &arguments.conf)?;
    let manifest = &restored.manifest;
    let conf = arguments.conf.display();
    let whose = match restored.with_conf {
        true => format!("the backup's configuration is in {conf}"),
        false => format!("the configuration in {conf} stays as it was"),
    };
    table::print(&format!(
        "restored {} files, {} bytes of {} into {}\n{whose}\nstart it: koukan run {conf}\n",
        manifest.files.len(),
        manifest.bytes(),
        manifest.made,
        restored.places.data.display(),
    ));
    Ok(())
}
