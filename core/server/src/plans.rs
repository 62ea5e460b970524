//! The dialplan as the server holds it: texts read from the disk, checked by the dialplan crate,
//! and the secrets and addresses that the switch needs beside it. Used by start, reload and
//! `check`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use jiff::Timestamp;
use koukan_dialplan::{
    Aside, Capabilities, DeviceInfo, Entry, KeyPlaces, Loaded, Plans, Report, RoomSecrets,
    TenantSource, TrunkInfo,
};
use koukan_sip::Credentials;
use koukan_sip::digest::Ha1;
use koukan_switch::{Directory, RoomPins, TrunkRoute};

use crate::api::CheckReport;
use crate::config::{Finding, SecretError, SecretSource, Sources, read_office, read_sources};
use crate::{limits, os};

/// What a load brought.
#[derive(Debug)]
pub struct Outcome {
    /// The plans of the tenants without errors.
    pub directory: Directory,
    /// What was found; with errors a reload takes nothing, and a start takes what is good.
    pub report: CheckReport,
    /// What was found in the dialplan's texts, with its places.
    pub found: Report,
}

/// Reads and checks a configuration directory's dialplan; `now` is the date of expectations that
/// name none.
#[must_use]
pub fn load(conf: &Path, realm: &str, now: Timestamp) -> Outcome {
    let sources = read_sources(conf);
    let Loaded { plans, report: mut found, .. } = check(&sources, now);
    let mut findings: Vec<String> = sources.findings.iter().map(Finding::to_string).collect();
    let wrong = Wrong::new(&sources, &mut findings, &mut found);
    let mut reader = Reader { conf, realm, plans: &plans, wrong };
    let secrets = reader.secrets(plans.devices());
    let trunks = reader.trunks(plans.trunks());
    let homes = homes(conf, &plans);
    let pins = reader.pins(plans.voicemail_pins());
    let room_pins = reader.room_pins(plans.room_pins());
    let plans = Arc::new(plans);
    let sounds = HashMap::new();
    let directory = Directory { plans, secrets, homes, sounds, pins, room_pins, trunks };
    outcome(directory, findings, found)
}

/// Reads and checks one office again, by its id or its directory; every other stands as it is in
/// `current`. One whose directory is gone is taken out. `None`: it is neither there nor here.
#[must_use]
pub fn load_tenant(
    conf: &Path,
    realm: &str,
    now: Timestamp,
    current: &Directory,
    tenant: &str,
) -> Option<Outcome> {
    let known = current.plans.directory_of(tenant).map_or(tenant, |directory| directory);
    let before = current.plans.id_in(known);
    let sources = read_office(conf, known);
    if sources.tenants.is_empty() && before.is_none() {
        return None;
    }
    let (plans, mut found) = if sources.tenants.is_empty() {
        (current.plans.without(known), Report::default())
    } else {
        let texts = texts(&sources);
        let loaded = current.plans.reload(&texts, &Capabilities::this_version(), now);
        (loaded.plans, loaded.report)
    };
    let mut findings: Vec<String> = sources.findings.iter().map(Finding::to_string).collect();
    let mut secrets = current.secrets.clone();
    let mut trunks = current.trunks.clone();
    let mut pins = current.pins.clone();
    let mut room_pins = current.room_pins.clone();
    if let Some(id) = before {
        for device in current.plans.devices_of(id) {
            secrets.remove(&device.user);
        }
        trunks.retain(|(owner, _), _| owner.as_ref() != Some(id));
        pins.retain(|(owner, _), _| owner != id);
        room_pins.retain(|(owner, _), _| owner != id);
    }
    if let Some(id) = plans.id_in(known) {
        let wrong = Wrong::new(&sources, &mut findings, &mut found);
        let mut reader = Reader { conf, realm, plans: &plans, wrong };
        secrets.extend(reader.secrets(plans.devices_of(id)));
        trunks.extend(reader.trunks(plans.trunks_of(id)));
        pins.extend(reader.pins(plans.voicemail_pins().filter(|(owner, ..)| *owner == id)));
        let own = plans.room_pins().filter(|secrets| secrets.tenant == id);
        room_pins.extend(reader.room_pins(own));
    }
    let homes = homes(conf, &plans);
    let plans = Arc::new(plans);
    let sounds = current.sounds.clone();
    let directory = Directory { plans, secrets, homes, sounds, pins, room_pins, trunks };
    Some(outcome(directory, findings, found))
}

/// The directory of each tenant. A path that is no UTF-8 cannot be named in an order; the files
/// below it are then not found.
fn homes(conf: &Path, plans: &Plans) -> HashMap<Arc<str>, Arc<str>> {
    let home = |tenant: &Arc<str>| {
        let path = tenant_directory(conf, plans.directory_of(tenant)?);
        Some((Arc::clone(tenant), Arc::from(path.to_str()?)))
    };
    plans.tenants().filter_map(home).collect()
}

fn outcome(directory: Directory, mut findings: Vec<String>, found: Report) -> Outcome {
    let errors = findings.len().saturating_add(found.errors().count());
    findings.extend(found.diagnostics.iter().map(ToString::to_string));
    let report = CheckReport {
        errors,
        warnings: found.warnings().count(),
        findings,
        tenants: directory.plans.tenants().count(),
        devices: directory.plans.devices().count(),
        ..CheckReport::default()
    };
    Outcome { directory, report, found }
}

/// What calls come to otherwise, in the offices whose plan is another, as `koukan diff` says it.
#[must_use]
pub fn changes(old: &Plans, new: &Plans, now: Timestamp) -> Vec<String> {
    let offices = old.changed(new);
    let mut told = Vec::new();
    for id in offices.iter().take(limits::OFFICES_COMPARED) {
        told.extend(old.diff_of(new, id, now).iter().map(ToString::to_string));
    }
    let more = told.len().saturating_sub(limits::CHANGES_TOLD);
    told.truncate(limits::CHANGES_TOLD);
    if more > 0 {
        told.push(format!("and {more} more outcomes"));
    }
    let more = offices.len().saturating_sub(limits::OFFICES_COMPARED);
    if more > 0 {
        told.push(format!("and {more} more offices with other plans (koukan diff compares all)"));
    }
    told
}

/// A setting that is kept aside, in a sentence.
#[must_use]
pub fn aside_words(tenant: &str, aside: &Aside) -> String {
    let Entry { key, value, by, at } = &aside.entry;
    let value = value.as_deref().unwrap_or_default();
    let why = &aside.why;
    format!("{tenant}: {key} = {value}, set by {by} at {at}, is kept aside: {why}")
}

/// The plans of texts that were read, held against what this version executes.
#[must_use]
pub fn check(sources: &Sources, now: Timestamp) -> Loaded {
    Plans::load_on(&texts(sources), &Capabilities::this_version(), now, &on_all_cores)
}

/// Does a job for each number below a count on every core: offices are read side by side.
fn on_all_cores(count: usize, job: &(dyn Fn(usize) + Sync)) {
    let next = AtomicUsize::new(0);
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= count {
                break;
            }
            job(at);
        }
    };
    let threads = usize::from(os::cores()).min(count / OFFICES_A_THREAD);
    thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
}

/// So few offices are read faster than a thread is started.
const OFFICES_A_THREAD: usize = 16;

/// The same without the expectations, for tools that show what fails them.
#[must_use]
pub fn unproven(sources: &Sources, now: Timestamp) -> Loaded {
    Plans::load_unproven(&texts(sources), &Capabilities::this_version(), now)
}

fn texts(sources: &Sources) -> koukan_dialplan::Sources {
    let tenants: Vec<TenantSource> = sources
        .tenants
        .iter()
        .map(|tenant| TenantSource { name: tenant.name.clone(), files: tenant.files.clone() })
        .collect();
    koukan_dialplan::Sources {
        tenants,
        trunks: sources.trunks.iter().cloned().collect(),
        plans: sources.plans.clone(),
        countries: sources.countries.clone(),
        modules: sources.modules.clone(),
    }
}

/// Where the secret of a device stands, for the start's list of accounts.
#[must_use]
pub fn secret_place(conf: &Path, plans: &Plans, device: &DeviceInfo) -> Option<PathBuf> {
    match SecretSource::parse(&device.secret, &own_directory(conf, plans, &device.tenant)) {
        Ok(SecretSource::File(path)) => Some(path),
        Ok(SecretSource::Environment(_)) | Err(_) => None,
    }
}

/// The secret of a device, for calls that the server makes in its name.
///
/// # Errors
/// It cannot be read: configuration.
pub fn device_secret(
    conf: &Path,
    plans: &Plans,
    device: &DeviceInfo,
) -> Result<Vec<u8>, SecretError> {
    SecretSource::parse(&device.secret, &own_directory(conf, plans, &device.tenant))?.read()
}

fn tenant_directory(conf: &Path, tenant: &str) -> PathBuf {
    conf.join("tenants").join(tenant)
}

/// Where a tenant's files are: a directory may be called otherwise than the tenant in it.
fn own_directory(conf: &Path, plans: &Plans, tenant: &str) -> PathBuf {
    tenant_directory(conf, plans.directory_of(tenant).unwrap_or(tenant))
}

struct Reader<'r> {
    conf: &'r Path,
    realm: &'r str,
    plans: &'r Plans,
    wrong: Wrong<'r>,
}

/// What is found wrong with secrets, at their places in the texts.
struct Wrong<'r> {
    sources: &'r Sources,
    /// What has no place there.
    findings: &'r mut Vec<String>,
    found: &'r mut Report,
    /// The keys of the office that was wrong last: what is wrong comes office by office.
    last: Option<(Option<String>, KeyPlaces<'r>)>,
}

impl<'r> Wrong<'r> {
    const fn new(
        sources: &'r Sources,
        findings: &'r mut Vec<String>,
        found: &'r mut Report,
    ) -> Self {
        Self { sources, findings, found, last: None }
    }

    /// At a key of an office's files, by its directory, or of the server's trunks.
    fn at(&mut self, directory: Option<&str>, way: &[&str], message: String) {
        let is_last = |(last, _): &(Option<String>, _)| last.as_deref() == directory;
        if !self.last.as_ref().is_some_and(is_last) {
            let pair = |(path, text): &'r (String, String)| (path.as_str(), text.as_str());
            let places = match directory {
                Some(name) => {
                    let here = self.sources.tenants.iter().find(|source| source.name == name);
                    let files = here.into_iter().flat_map(|source| &source.files);
                    KeyPlaces::read(name, files.map(pair))
                }
                None => KeyPlaces::read("", self.sources.trunks.iter().map(pair)),
            };
            self.last = Some((directory.map(str::to_owned), places));
        }
        let placed = self.last.as_ref().and_then(|(_, places)| places.error(way, message.clone()));
        match placed {
            Some(found) => self.found.diagnostics.push(found),
            None => {
                let owner = directory.map_or("the server".to_owned(), |d| format!("tenant {d}"));
                self.findings.push(format!("{owner}, {}  {message}", way.join(".")));
            }
        }
    }
}

impl Reader<'_> {
    /// Something is wrong with a secret of a tenant, or of the server.
    fn wrong(&mut self, tenant: Option<&str>, way: &[&str], message: String) {
        let directory = |tenant| self.plans.directory_of(tenant).unwrap_or(tenant);
        let directory = tenant.map(directory);
        self.wrong.at(directory, way, message);
    }

    /// Every device's hash; a device whose secret cannot be read is found wrong.
    fn secrets<'d>(
        &mut self,
        devices: impl Iterator<Item = &'d DeviceInfo>,
    ) -> HashMap<Arc<str>, Ha1> {
        let mut secrets = HashMap::new();
        for device in devices {
            match self.read(Some(&device.tenant), &device.secret) {
                Ok(password) => {
                    let user = device.user.as_bytes();
                    let ha1 = Ha1::new(user, self.realm.as_bytes(), &password);
                    secrets.insert(Arc::clone(&device.user), ha1);
                }
                Err(error) => {
                    let way = ["device", &device.device, "secret"];
                    self.wrong(Some(&device.tenant), &way, error.to_string());
                }
            }
        }
        secrets
    }

    /// The PINs of voicemail boxes; a box whose PIN cannot be read is found wrong.
    fn pins<'p>(
        &mut self,
        secrets: impl Iterator<Item = (&'p Arc<str>, &'p Arc<str>, &'p Arc<str>)>,
    ) -> HashMap<(Arc<str>, Arc<str>), Arc<str>> {
        let mut pins = HashMap::new();
        for (tenant, mailbox, secret) in secrets {
            match self.pin(tenant, secret) {
                Ok(pin) => {
                    pins.insert((Arc::clone(tenant), Arc::clone(mailbox)), pin);
                }
                Err(error) => self.wrong(Some(tenant), &["voicemail_box", mailbox, "pin"], error),
            }
        }
        pins
    }

    /// The PINs of conference rooms; a room one of whose PINs cannot be read is found wrong, and
    /// nobody comes into it.
    fn room_pins<'p>(
        &mut self,
        rooms: impl Iterator<Item = RoomSecrets<'p>>,
    ) -> HashMap<(Arc<str>, Arc<str>), RoomPins> {
        let mut pins = HashMap::new();
        for RoomSecrets { tenant, room, pin, moderator_pin } in rooms {
            let read = |key, secret: Option<&Arc<str>>| {
                let pin = secret.map(|secret| self.pin(tenant, secret)).transpose();
                pin.map_err(|error| (key, error))
            };
            let both = read("pin", pin).and_then(|member| {
                let moderator = read("moderator_pin", moderator_pin)?;
                if member.is_some() && member == moderator {
                    let same = "`pin` and `moderator_pin` are the same PIN".to_owned();
                    return Err(("moderator_pin", same));
                }
                Ok(RoomPins { member, moderator })
            });
            match both {
                Ok(found) => {
                    pins.insert((Arc::clone(tenant), Arc::clone(room)), found);
                }
                Err((key, error)) => self.wrong(Some(tenant), &["room", room, key], error),
            }
        }
        pins
    }

    /// The digits of a PIN.
    fn pin(&self, tenant: &str, secret: &str) -> Result<Arc<str>, String> {
        let pin = self.read(Some(tenant), secret).map_err(|error| error.to_string())?;
        match String::from_utf8(pin) {
            Ok(pin) if is_pin(&pin) => Ok(pin.into()),
            Ok(_) | Err(_) => Err("a PIN has 4 to 12 digits and nothing else".to_owned()),
        }
    }

    fn read(&self, tenant: Option<&str>, secret: &str) -> Result<Vec<u8>, SecretError> {
        let own = |tenant| own_directory(self.conf, self.plans, tenant);
        let directory = tenant.map_or_else(|| self.conf.to_owned(), own);
        SecretSource::parse(secret, &directory)?.read()
    }

    /// Where each trunk is, and how it is answered when it challenges. Names are looked up by the
    /// resolver while the server runs.
    fn trunks<'t>(
        &mut self,
        trunks: impl Iterator<Item = &'t TrunkInfo>,
    ) -> HashMap<(Option<Arc<str>>, Arc<str>), TrunkRoute> {
        let mut routes = HashMap::new();
        for trunk in trunks {
            let credentials = trunk.account.as_ref().and_then(|account| {
                match self.read(trunk.tenant.as_deref(), &account.secret) {
                    Ok(password) => Some(Credentials {
                        username: account.auth_user.to_string(),
                        password: String::from_utf8_lossy(&password).into_owned(),
                    }),
                    Err(error) => {
                        let key = if account.register.is_some() { "register" } else { "auth" };
                        let way = ["trunk", &trunk.name, key, "secret"];
                        self.wrong(trunk.tenant.as_deref(), &way, error.to_string());
                        None
                    }
                }
            });
            let key = (trunk.tenant.clone(), Arc::clone(&trunk.name));
            routes.insert(key, TrunkRoute::of(trunk, credentials));
        }
        routes
    }
}

fn is_pin(pin: &str) -> bool {
    (4..=12).contains(&pin.len()) && pin.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const OFFICE: &str = "schema = 1\n[tenant]\nid = \"x\"\ntimezone = \"Asia/Tokyo\"\n\
        [device.A]\next = \"801\"\nkind = \"desk\"\nsecret = \"file:secrets/gone\"\n\
        [device.B]\next = \"802\"\nkind = \"desk\"\nsecret = \"file:secrets/open\"\n\
        [device.C]\next = \"803\"\nkind = \"desk\"\nsecret = \"file:secrets/good\"\n\
        [room.one]\npin = \"file:secrets/pin\"\nmoderator_pin = \"file:secrets/pin\"\n\
        [extension.room]\ndial = \"700\"\ndo = { conference = \"one\" }\n\
        [trunk.way]\naddress = \"192.0.2.1\"\n\
        auth = { user = \"u\", secret = \"file:secrets/gone\" }\n\
        [outbound]\ndefault_trunk = \"way\"\n";

    #[test]
    fn a_secret_that_cannot_be_read_is_named_where_it_is_written() {
        let conf = std::env::temp_dir().join(format!("koukan-secrets-{}", std::process::id()));
        let secrets = conf.join("tenants/house/secrets");
        fs::create_dir_all(&secrets).unwrap();
        for (name, text, mode) in
            [("open", "opensesame", 0o644), ("good", "opensesame", 0o600), ("pin", "1234", 0o600)]
        {
            fs::write(secrets.join(name), text).unwrap();
            fs::set_permissions(secrets.join(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        fs::write(conf.join("tenants/house/office.toml"), OFFICE).unwrap();
        let now = "2026-07-01T01:00:00Z".parse().unwrap();
        let whole = load(&conf, "koukan", now);
        let again = load_tenant(&conf, "koukan", now, &whole.directory, "x").unwrap();
        for outcome in [whole, again] {
            let places: Vec<_> = outcome.found.errors().map(|at| (at.line, at.column)).collect();
            assert_eq!(places, [(8, 10), (12, 10), (25, 31), (19, 17)], "{}", outcome.found);
            assert_eq!(outcome.report.errors, 4);
            let words = outcome.found.to_string();
            assert!(words.contains("office.toml:12:10  the secret file"), "{words}");
            assert!(words.contains("secrets/open may be read by others (mode 0644)"), "{words}");
            assert!(words.contains("secret = \"file:secrets/open\"\n"), "{words}");
            assert_eq!(outcome.directory.secrets.len(), 1);
        }
        fs::remove_dir_all(&conf).unwrap();
    }
}
