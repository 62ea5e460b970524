//! The heart of a server: state, plans, media and modules, and the switches over them, one for each
//! shard.

use std::sync::Arc;

use koukan_base::{COMMON_SHARD, Rng, ShardId, Shards};
use koukan_store::CdrReader;
use koukan_switch::{Directory, Note, Switch};
use mio::Waker;

use super::setup::{first_number, switch_config, trace};
use super::{Known, StartError, system};
use crate::clock::Clock;
use crate::config::Config;
use crate::control::hosted::Apps;
use crate::control::{Core, Parts};
use crate::explain::{Archive, ArchiveReader, ExplainLog};
use crate::fax::sending::Tray;
use crate::fax::{Faxes, Inbox};
use crate::journal::{Journal, Restored, SharedJournal};
use crate::mail::{MailError, Post};
use crate::media::{Media, Share};
use crate::module::Loader;
use crate::module::shelf::Shelf;
use crate::modules::Modules;
use crate::recordings::{Recordings, Sweeper};
use crate::transport::ListenAddress;
use crate::{api, limits, os, plans, sounds};

/// What the surroundings of the shards know of them, and what is there once.
pub(super) struct Common {
    journal: SharedJournal,
    cdrs: Arc<CdrReader>,
    recordings: Recordings,
    shelf: Arc<Shelf>,
    inbox: Inbox,
    tray: Tray,
    loader: Arc<Loader>,
    modules: Modules,
    sweeper: Sweeper,
    directory: Arc<Directory>,
    report: api::CheckReport,
    restored: Restored,
    faxes: Vec<Faxes>,
}

impl Common {
    /// Opens what is there once. `notes` wakes whoever writes down what modules and faxes keep,
    /// `shards` the control loops.
    pub(super) fn open(
        config: &Config,
        clock: &Clock,
        notes: &Arc<Waker>,
        shards: &[Arc<Waker>],
    ) -> Result<Self, StartError> {
        let (journal, mut restored) = Journal::open(config, clock)?;
        let cdrs = journal.cdrs();
        let mut outcome = plans::load(&config.directory, &config.sip.realm, clock.date());
        sounds::prepare(&mut outcome, Some(&config.data), None);
        sounds::clean(&outcome, &config.data);
        let report = outcome.report;
        for finding in &report.findings {
            tracing::error!("{finding}");
        }
        let post = config.mail.as_ref().map(|mail| {
            let post = Post::start(mail, clock.clone(), Arc::clone(notes))?;
            Ok::<_, MailError>((post, clock.clone()))
        });
        let own = |note: &&Note| OWN_NOTES.contains(&note.module.as_str());
        let kept = restored.notes.iter().filter(own).cloned().collect();
        let written = std::mem::replace(&mut restored.notes, kept);
        let shelf = Arc::new(Shelf::new(config.objects.clone(), written, post.transpose()?));
        let recordings = Recordings::new(Arc::clone(&shelf), config.seal_keys.clone());
        let kept = config.objects.join("fax");
        let inbox = Inbox::new(Arc::clone(&shelf), kept, config.fax.spool.clone(), clock.date());
        let kept = (inbox.clone(), Arc::clone(&shelf));
        let wakers = (Arc::clone(notes), shards);
        let faxes = Faxes::start(config.fax.clone(), kept, clock.clone(), wakers);
        let faxes = faxes.map_err(system("what faxes need"))?;
        let tray = faxes.first().map(Faxes::tray).ok_or_else(no_shard)?;
        let outbox = Some(journal.outbox());
        let modules = Modules::load(config, Arc::clone(notes), Arc::clone(&shelf), outbox)?;
        if !modules.fills_role(ANNOUNCEMENTS) {
            tracing::warn!("no module has role = \"{ANNOUNCEMENTS}\": callers hear none of them");
        }
        Ok(Self {
            journal: SharedJournal::new(journal),
            cdrs,
            sweeper: Sweeper::start(recordings.clone(), Arc::clone(notes)),
            recordings,
            shelf,
            inbox,
            tray,
            loader: modules.loader(),
            modules,
            directory: Arc::new(outcome.directory),
            report,
            restored,
            faxes,
        })
    }
}

/// Of what is there once, what a thread takes.
pub(super) struct Once {
    pub(super) journal: SharedJournal,
    pub(super) modules: Modules,
    pub(super) shelf: Arc<Shelf>,
    pub(super) sweeper: Sweeper,
}

impl Common {
    /// What a thread takes, and what the service knows.
    pub(super) fn parted(self, archive: ArchiveReader) -> (Once, Known) {
        let once = Once {
            journal: self.journal,
            modules: self.modules,
            shelf: self.shelf,
            sweeper: self.sweeper,
        };
        let known = Known {
            archive,
            recordings: self.recordings,
            loader: self.loader,
            inbox: self.inbox,
            tray: self.tray,
            cdrs: self.cdrs,
            directory: self.directory,
            report: self.report,
        };
        (once, known)
    }
}

/// Nobody asks for a server without a shard.
fn no_shard() -> StartError {
    system("a shard")(std::io::ErrorKind::InvalidInput.into())
}

/// What the shards are made of, one after the other.
pub(super) struct Builder<'b> {
    config: &'b Config,
    clock: &'b Clock,
    listeners: &'b [ListenAddress],
    journal: SharedJournal,
    directory: Arc<Directory>,
    restored: Restored,
    archive: Archive,
    faxes: std::vec::IntoIter<Faxes>,
    first_number: u64,
}

impl<'b> Builder<'b> {
    /// A builder, and where the explain lines of calls that are over are asked for.
    pub(super) fn new(
        (config, clock): (&'b Config, &'b Clock),
        listeners: &'b [ListenAddress],
        common: &mut Common,
    ) -> Result<(Self, ArchiveReader), StartError> {
        let room = config.limits.value(limits::EXPLAIN_BYTES);
        let (archive, reader) = Archive::open(&config.data.join("explain"), room)
            .map_err(system("the archive of explain lines"))?;
        let builder = Self {
            config,
            clock,
            listeners,
            journal: common.journal.clone(),
            directory: Arc::clone(&common.directory),
            restored: std::mem::take(&mut common.restored),
            archive,
            faxes: std::mem::take(&mut common.faxes).into_iter(),
            first_number: first_number(clock.date()),
        };
        Ok((builder, reader))
    }

    /// What is to end behind the last shard.
    pub(super) fn into_archive(self) -> Archive {
        self.archive
    }

    /// Builds the next shard; `waker` wakes its loop.
    pub(super) fn build(
        &mut self,
        shard: ShardId,
        waker: &Arc<Waker>,
        (apps, sweeper): (Apps, Option<Sweeper>),
    ) -> Result<Core, StartError> {
        let (config, shards) = (self.config, self.config.shards);
        let media = Media::start(config, &Share::of(config, shards, shard), Arc::clone(waker))?;
        let switch = self.switch(shard, media.workers())?;
        // The archive's thread ends with whoever has it: the only shard, or behind the last one.
        let mut archive = self.archive.way();
        if shards.is_one() {
            std::mem::swap(&mut archive, &mut self.archive);
        }
        Ok(Core::new(Parts {
            switch,
            media,
            modules: apps,
            journal: self.journal.clone(),
            explain: ExplainLog::new(archive, config.limits.count(limits::EXPLAIN_LINES)),
            sweeper,
            faxes: self.faxes.next().ok_or_else(no_shard)?,
            blocked: config.defence.blocked.clone(),
            trace: trace(config, self.listeners, shards)?,
        }))
    }

    /// The switch, with what the last run has left to the tenants that are at home there. How many
    /// shards there were then does not matter.
    fn switch(&self, shard: ShardId, workers: u16) -> Result<Switch, StartError> {
        let shards = self.config.shards;
        let seed = os::random_seed().map_err(system("randomness"))?;
        let which = (shard, shards);
        let setup = switch_config(self.config, self.listeners, workers, which, self.first_number);
        let directory = self.directory.of_shard(shards, shard);
        let mut switch = Switch::new(setup, directory, Rng::from_seed(seed));
        if !shards.is_one() {
            switch.set_among_others();
        }
        let is_here = |tenant: &str| shards.home(tenant) == shard;
        let users = Users { directory: &self.directory, shards };
        let restored = &self.restored;
        let settings = restored.settings.iter().filter(|setting| is_here(&setting.tenant));
        switch.restore_settings(settings.cloned());
        let charges = restored.charges.iter().filter(|past| is_here(&past.charge.payer));
        switch.restore_charges(charges.cloned());
        switch.restore_maintenance(&restored.notes);
        let alerts = restored.notes.iter().filter(|note| is_here(&note.tenant));
        switch.restore_alerts(alerts);
        for (tenant, aside) in switch.settings_aside() {
            tracing::warn!("{}", plans::aside_words(&tenant, &aside));
        }
        let now = self.clock.now();
        for contact in restored.contacts.iter().filter(|one| users.home(&one.user) == shard) {
            switch.restore_contact(now, contact);
        }
        for watch in restored.watches.iter().filter(|one| users.home(&one.user) == shard) {
            switch.restore_watch(now, watch);
        }
        Ok(switch)
    }
}

/// Where users are at home; those whom the plans do not have any more where strangers are.
struct Users<'u> {
    directory: &'u Directory,
    shards: Shards,
}

impl Users<'_> {
    fn home(&self, user: &str) -> ShardId {
        let device = self.directory.plans.device_by_user(user, "");
        device.map_or(COMMON_SHARD, |device| self.shards.home(&device.tenant))
    }
}

/// Whose notes the switch itself reads.
const OWN_NOTES: [&str; 2] = [koukan_switch::MAINTENANCE_OWNER, koukan_switch::CAPS_OWNER];

/// The role that the switch has announcements played by.
const ANNOUNCEMENTS: &str = "announcements";
