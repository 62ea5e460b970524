//! All tenants' checked plans as one value: what the switch and the server ask.

mod neighbours;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::capability::Capabilities;
use crate::country::{self, Country};
use crate::decide::{self, Ask, Resumed};
use crate::decision::Way;
use crate::diagnostic::Report;
use crate::diff::{self, Difference};
use crate::live::{Asker, Change, ChangeError, Effective, Entry, Live};
use crate::load::Each;
use crate::model::number::Number;
use crate::model::objects::Object;
use crate::model::outside::{Account, Network, NumberFormat, Trunk, TrunkHostName};
use crate::model::services::{FeatureCode, Park};
use crate::model::signalling::{DeviceSignalling, TrunkSignalling};
use crate::model::{Plan, Target};
use crate::shards::Shards;
use crate::source::{Sources, TenantSource};
use crate::{Decision, Facts, load};

pub use self::neighbours::{NEIGHBOURS, NEIGHBOURS_AT};

/// Every tenant and the trunks of the whole server, checked; swapped as a whole by a reload.
#[derive(Clone, Debug, Default)]
pub struct Plans {
    tenants: Vec<Arc<Plan>>,
    by_id: Shards<Arc<str>, usize>,
    by_did: Dids,
    /// Tenant and device by SIP user.
    by_user: Shards<Arc<str>, (usize, usize)>,
    by_domain: Shards<Arc<str>, usize>,
    /// Every DID of the server, where these are some of its tenants.
    everywhere: Option<Dids>,
    server_trunks: Vec<TrunkInfo>,
    nobody: Option<Arc<str>>,
    capabilities: Capabilities,
    /// Fingerprint of what the tenants share: plan files, numbering plans, trunks of the server.
    shared: u64,
}

/// Tenant and number by DID.
type Dids = Shards<Arc<str>, (usize, Arc<str>)>;

/// A device that may register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// The tenant's id.
    pub tenant: Arc<str>,
    /// The device's name in the plan (`A`).
    pub device: Arc<str>,
    /// `acme-801`
    pub user: Arc<str>,
    /// `801`
    pub extension: Arc<str>,
    /// `file:secrets/A` as written, resolved by the server below the tenant's directory.
    pub secret: Arc<str>,
    /// How many contacts it may have at once (one, S-05).
    pub max_contacts: u32,
    /// How its signalling is treated.
    pub signalling: DeviceSignalling,
}

/// A trunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkInfo {
    /// The tenant that owns it; `None` for a trunk of the whole server.
    pub tenant: Option<Arc<str>>,
    /// Its name in the plan.
    pub name: Arc<str>,
    /// Where it is: one host at least.
    pub hosts: Arc<[TrunkHostName]>,
    /// Calls at once; `u32::MAX` when the plan sets no bound.
    pub channels: u32,
    /// Whether the called DID stands in To instead of the Request-URI (profile `home-gateway`).
    pub did_in_to: bool,
    /// Who we are there, when it wants to know.
    pub account: Option<Arc<Account>>,
    /// Where its calls come from besides its hosts.
    pub sources: Arc<[Network]>,
    /// Calls to it that may begin in a second.
    pub pace: Option<u32>,
    /// How often its hosts are asked whether they are there (OPTIONS); never without it.
    pub probe: Option<Duration>,
    /// Over TCP instead of UDP.
    pub over_tcp: bool,
    /// How its signalling is treated.
    pub signalling: TrunkSignalling,
    pub(crate) format: NumberFormat,
}

/// What a load brought: the plans that can be taken, and everything found.
#[derive(Debug)]
pub struct Loaded {
    /// The plans without the tenants that have errors.
    pub plans: Plans,
    /// All findings of all tenants.
    pub report: Report,
    /// The directories that have errors and are not among the plans as they stand now.
    pub refused: Vec<Arc<str>>,
}

impl Plans {
    /// Checks every tenant and the trunks of the server. A tenant with an error is left out, the
    /// others stand. `now` is the moment for expectations that name none.
    #[must_use]
    pub fn load(
        tenants: &[TenantSource],
        server_trunks: &[(String, String)],
        capabilities: &Capabilities,
        now: Timestamp,
    ) -> Loaded {
        let tenants = tenants.to_vec();
        let trunks = server_trunks.to_vec();
        let sources = Sources { tenants, trunks, ..Sources::default() };
        load::load(&sources, capabilities, now, true, &load::in_turn)
    }

    /// The same with plan files and numbering plans of the server.
    #[must_use]
    pub fn load_all(sources: &Sources, capabilities: &Capabilities, now: Timestamp) -> Loaded {
        load::load(sources, capabilities, now, true, &load::in_turn)
    }

    /// The same with the offices read on the threads of `each`.
    #[must_use]
    pub fn load_on(
        sources: &Sources,
        capabilities: &Capabilities,
        now: Timestamp,
        each: &Each<'_>,
    ) -> Loaded {
        load::load(sources, capabilities, now, true, each)
    }

    /// The same without the expectations, for tools that show what fails them.
    #[must_use]
    pub fn load_unproven(sources: &Sources, capabilities: &Capabilities, now: Timestamp) -> Loaded {
        load::load(sources, capabilities, now, false, &load::in_turn)
    }

    /// Reads the tenants of `sources` again; every other tenant stands as it is. A tenant with an
    /// error keeps the plan that it has.
    #[must_use]
    pub fn reload(&self, sources: &Sources, capabilities: &Capabilities, now: Timestamp) -> Loaded {
        load::reload(self, sources, capabilities, now)
    }

    /// Decides a call.
    #[must_use]
    pub fn decide(&self, facts: &Facts<'_>) -> Decision {
        self.decide_for(facts, decide::Asker::Phone)
    }

    /// Decides what a device dials otherwise than on its keys: by REFER, or by a redirection.
    #[must_use]
    pub fn decide_for(&self, facts: &Facts<'_>, asker: decide::Asker) -> Decision {
        decide::decide(self, facts, asker)
    }

    /// What calls come to otherwise under `new`: every DID x half hour x kind of caller of the next
    /// year, every device x what it can dial.
    #[must_use]
    pub fn diff(&self, new: &Self, now: Timestamp) -> Vec<Difference> {
        diff::diff(self, new, now)
    }

    /// The tenants whose calls may come to something else under `new`: those whose texts are
    /// others, all of them when what they share is another.
    #[must_use]
    pub fn changed(&self, new: &Self) -> Vec<Arc<str>> {
        let shared = self.shared == new.shared;
        let ids: BTreeSet<&Arc<str>> = self.tenants().chain(new.tenants()).collect();
        let same = |id: &&Arc<str>| shared && self.generation(id) == new.generation(id);
        ids.into_iter().filter(|id| !same(id)).cloned().collect()
    }

    /// What calls of one tenant come to otherwise under `new`.
    #[must_use]
    pub fn diff_of(&self, new: &Self, tenant: &Arc<str>, now: Timestamp) -> Vec<Difference> {
        diff::diff_of(self, new, tenant, now)
    }

    /// Goes on with a running call by a way that its plan named: the key of a menu, the overflow of
    /// a queue, the return of a parked call, the way on from an error.
    #[must_use]
    pub fn go_on(&self, facts: &Facts<'_>, resumed: &Resumed, way: &Way) -> Decision {
        decide::go_on(self, facts, resumed, way)
    }

    /// Goes on with a running call by ringing a device of the closed list of a menu, as who dials
    /// its extension does.
    #[must_use]
    pub fn ring_device(&self, facts: &Facts<'_>, resumed: &Resumed, device: &str) -> Decision {
        decide::ring_device(self, facts, resumed, device)
    }

    /// Decides a leg that is asked for otherwise than by dialling: a transfer, a redirection, a
    /// member of a conference, a call back, a module, a fax. `facts.called` is the target.
    #[must_use]
    pub fn ask(&self, facts: &Facts<'_>, ask: &Ask) -> Decision {
        decide::ask(self, facts, ask)
    }

    /// Takes a change of a live setting, when the plan allows it: what the store has to write (an
    /// entry without a value: to delete).
    ///
    /// # Errors
    /// Why it is not taken; nothing has changed then.
    pub fn change(
        &self,
        tenant: &str,
        live: &mut Live,
        change: &Change,
        by: &Arc<str>,
        at: Timestamp,
    ) -> Result<Vec<Entry>, ChangeError> {
        let unknown = || ChangeError::Unknown { kind: "tenant", name: Arc::from(tenant) };
        let asker = Asker { by, at, capabilities: self.capabilities };
        live.change(self.plan(tenant).ok_or_else(unknown)?, change, &asker)
    }

    /// How many calls with outside an office may have; 0 for one that is not there.
    #[must_use]
    pub fn channels(&self, tenant: &str) -> u32 {
        self.plan(tenant).map_or(0, Plan::channels)
    }

    /// What is in force in an office (`show --effective`).
    #[must_use]
    pub fn effective(&self, tenant: &str, live: &Live) -> Vec<Effective> {
        self.plan(tenant).map(|plan| live.effective(plan)).unwrap_or_default()
    }

    /// The device that registers as `user`; the bare extension is enough where `domain` is one of
    /// the tenant's own.
    #[must_use]
    pub fn device_by_user(&self, user: &str, domain: &str) -> Option<&DeviceInfo> {
        if let Some((tenant, device)) = self.by_user.get(user) {
            return self.tenants.get(*tenant)?.device_infos.get(*device);
        }
        let lower;
        let domain = if domain.bytes().any(|b| b.is_ascii_uppercase()) {
            lower = domain.to_ascii_lowercase();
            lower.as_str()
        } else {
            domain
        };
        let plan = self.tenants.get(*self.by_domain.get(domain)?)?;
        plan.device_infos.iter().find(|device| &*device.extension == user)
    }

    /// A device by its tenant's id and its name.
    #[must_use]
    pub fn device(&self, tenant: &str, device: &str) -> Option<&DeviceInfo> {
        let plan = self.plan(tenant)?;
        plan.device_infos.get(plan.devices.position(device)?)
    }

    /// The devices of a group, by its name or by what is dialled for it.
    #[must_use]
    pub fn group_devices(&self, tenant: &str, name: &str) -> Option<Vec<&DeviceInfo>> {
        let plan = self.plan(tenant)?;
        let name = match plan.inside.find(name) {
            Some(Target::Group(group)) => group,
            _ => name,
        };
        let group = plan.groups.find(name)?;
        let devices = group.ring.devices.iter();
        Some(devices.filter_map(|device| self.device(tenant, &device.value)).collect())
    }

    /// The group that these digits, or this name, stand for, by its name in the plan.
    #[must_use]
    pub fn group_named(&self, tenant: &str, name: &str) -> Option<&Arc<str>> {
        let plan = self.plan(tenant)?;
        let name = match plan.inside.find(name) {
            Some(Target::Group(group)) => group,
            _ => name,
        };
        plan.groups.find(name).map(|group| &group.name)
    }

    /// The groups that a device is a member of, by their names in the plan.
    pub fn groups_of(&self, tenant: &str, device: &str) -> impl Iterator<Item = &Arc<str>> {
        let groups = self.plan(tenant).into_iter().flat_map(|plan| plan.groups.iter());
        let has = move |group: &&crate::model::objects::Object<crate::model::services::Group>| {
            group.ring.devices.iter().any(|name| &*name.value == device)
        };
        groups.filter(has).map(|group| &group.name)
    }

    /// The devices whose ringing calls a device may take without naming them: the members of the
    /// groups with `pickup = true` that it is in.
    pub fn pickup_devices(&self, tenant: &str, device: &str) -> impl Iterator<Item = &DeviceInfo> {
        let groups = self.plan(tenant).into_iter().flat_map(|plan| plan.groups.iter());
        let member = move |ring: &crate::model::ring::Ring| {
            ring.devices.iter().any(|name| &*name.value == device)
        };
        let shared = groups.filter(move |group| group.pickup && member(&group.ring));
        let names = shared.flat_map(|group| group.ring.devices.iter());
        names.filter_map(move |name| self.device(tenant, &name.value))
    }

    /// The number whose night key these digits are on this device: the one that the device shows.
    #[must_use]
    pub fn night_number(
        &self,
        tenant: &str,
        device: &str,
        digits: &str,
        live: Option<&Live>,
    ) -> Option<&Arc<str>> {
        let plan = self.plan(tenant)?;
        let mut codes = plan.feature_codes.codes.iter();
        codes.find(|(code, at)| *code == FeatureCode::Night && *at.value.first == *digits)?;
        let set = live.and_then(|live| live.device(device)?.caller_id.as_ref());
        let file = plan.devices.find(device).and_then(|device| device.caller_id.as_ref());
        let name = set.map(|set| &set.value).or(file.map(|name| &name.value));
        let number = name.and_then(|name| plan.numbers.find(name));
        number.or_else(|| plan.main_number()).map(|number| &number.name)
    }

    /// What parties on hold hear: a file of the tenant; none: the server's own music.
    #[must_use]
    pub fn hold_music(&self, tenant: &str) -> Option<&Arc<str>> {
        self.plan(tenant)?.tenant.hold_music.as_ref()
    }

    /// The park slots of an office.
    #[must_use]
    pub fn park(&self, tenant: &str) -> Option<&Arc<Park>> {
        self.plan(tenant)?.park.as_ref()
    }

    /// Every device of every tenant.
    pub fn devices(&self) -> impl Iterator<Item = &DeviceInfo> {
        self.tenants.iter().flat_map(|plan| plan.device_infos.iter())
    }

    /// Every trunk, of tenants and of the server.
    pub fn trunks(&self) -> impl Iterator<Item = &TrunkInfo> {
        let tenants = self.tenants.iter().flat_map(|plan| plan.trunk_infos.iter());
        tenants.chain(&self.server_trunks)
    }

    /// A trunk by its owner and its name.
    #[must_use]
    pub fn trunk(&self, tenant: Option<&str>, name: &str) -> Option<&TrunkInfo> {
        match tenant {
            Some(tenant) => {
                let plan = self.plan(tenant)?;
                plan.trunk_infos.get(plan.trunks.position(name)?)
            }
            None => self.server_trunks.iter().find(|trunk| &*trunk.name == name),
        }
    }

    /// Whether these digits are a DID of this server, as a trunk brings them.
    #[must_use]
    pub fn is_did(&self, called: &str) -> bool {
        self.called_number(called).is_some()
    }

    /// The tenant that has this DID, as a trunk brings it.
    #[must_use]
    pub fn owner_of_did(&self, called: &str) -> Option<&Arc<str>> {
        self.called_number(called).map(|(plan, _)| &plan.tenant.id.value)
    }

    /// The generation of a tenant's plan, for the CDR: the fingerprint of its texts, the same after
    /// every restart; 0 for a tenant that is not known.
    #[must_use]
    pub fn generation(&self, tenant: &str) -> u64 {
        self.plan(tenant).map_or(0, |plan| plan.generation)
    }

    /// Language of the tenant's prompts (`ja`).
    #[must_use]
    pub fn language(&self, tenant: &str) -> &str {
        self.plan(tenant).map_or(DEFAULT_LANGUAGE, |plan| &plan.tenant.language)
    }

    /// The time zone of the tenant's schedules.
    #[must_use]
    pub fn time_zone(&self, tenant: &str) -> Option<&jiff::tz::TimeZone> {
        self.plan(tenant).map(|plan| &plan.tenant.timezone)
    }

    /// The date in a tenant's time zone; UTC's for a tenant that is not known.
    #[must_use]
    pub fn local_date(&self, tenant: &str, at: Timestamp) -> jiff::civil::Date {
        let zone = self.time_zone(tenant).cloned().unwrap_or(jiff::tz::TimeZone::UTC);
        zone.to_datetime(at).date()
    }

    /// The name of the directory that a tenant was read from.
    #[must_use]
    pub fn directory_of(&self, tenant: &str) -> Option<&str> {
        self.plan(tenant).map(|plan| &*plan.directory)
    }

    /// The id of the tenant that was read from a directory.
    #[must_use]
    pub fn id_in(&self, directory: &str) -> Option<&Arc<str>> {
        self.directory(directory).map(|plan| &plan.tenant.id.value)
    }

    /// The announcements that are files of an office's own (S-25): tenant, name, file.
    pub fn own_files(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<str>, &Arc<str>)> {
        self.tenants.iter().flat_map(|plan| {
            plan.announcements.iter().filter_map(move |object| {
                Some((&plan.tenant.id.value, &object.name, object.value.file()?))
            })
        })
    }

    /// The devices of one tenant.
    pub fn devices_of(&self, tenant: &str) -> impl Iterator<Item = &DeviceInfo> {
        self.plan(tenant).into_iter().flat_map(|plan| plan.device_infos.iter())
    }

    /// The trunks of one tenant.
    pub fn trunks_of(&self, tenant: &str) -> impl Iterator<Item = &TrunkInfo> {
        self.plan(tenant).into_iter().flat_map(|plan| plan.trunk_infos.iter())
    }

    /// The ids of all tenants.
    pub fn tenants(&self) -> impl Iterator<Item = &Arc<str>> {
        self.tenants.iter().map(|plan| &plan.tenant.id.value)
    }

    /// Puts a plan in the place of the one of the same directory, else adds it.
    pub(crate) fn replace(&mut self, plan: Arc<Plan>) {
        let same = |old: &Arc<Plan>| old.directory == plan.directory;
        let Some(at) = self.tenants.iter().position(same) else { return self.add(plan) };
        if let Some(old) = self.tenants.get(at).cloned() {
            self.by_id.remove(&old.tenant.id.value);
            for number in old.numbers.iter() {
                self.by_did.remove(&old.global_did(number));
            }
            for domain in &old.tenant.domains {
                self.by_domain.remove(&domain.value);
            }
            for device in &old.device_infos {
                self.by_user.remove(&device.user);
            }
        }
        self.index(at, &plan);
        if let Some(place) = self.tenants.get_mut(at) {
            *place = plan;
        }
    }

    /// The plan of a directory.
    pub(crate) fn directory(&self, directory: &str) -> Option<&Arc<Plan>> {
        self.tenants.iter().find(|plan| &*plan.directory == directory)
    }

    /// The same without the tenant of a directory.
    #[must_use]
    pub fn without(&self, directory: &str) -> Self {
        let mut rest =
            Self { nobody: self.nobody.clone(), ..Self::of(self.capabilities, self.shared) };
        rest.server_trunks.clone_from(&self.server_trunks);
        for plan in self.tenants.iter().filter(|plan| &*plan.directory != directory) {
            rest.add(Arc::clone(plan));
        }
        rest
    }

    /// Who has something that is unique in the server; the directory is left out of account.
    pub(crate) fn owner(&self, what: &str, value: &str, but: &str) -> Option<&Arc<Plan>> {
        let at = match what {
            "tenant id" => self.by_id.get(value).copied(),
            "domain" => self.by_domain.get(value).copied(),
            "DID" => self.by_did.get(value).map(|(tenant, _)| *tenant),
            _ => self.by_user.get(value).map(|(tenant, _)| *tenant),
        };
        self.tenants.get(at?).filter(|plan| &*plan.directory != but)
    }

    /// What the server that loaded them executes.
    pub(crate) const fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    /// No tenants yet, for a server that executes so much.
    pub(crate) fn of(capabilities: Capabilities, shared: u64) -> Self {
        Self { capabilities, shared, ..Self::default() }
    }

    pub(crate) fn plan(&self, tenant: &str) -> Option<&Plan> {
        self.tenants.get(*self.by_id.get(tenant)?).map(|plan| &**plan)
    }

    /// The number of a DID, given in the national form of a country.
    pub(crate) fn number_by_did(
        &self,
        country: &Country,
        did: &str,
    ) -> Option<(&Plan, &Object<Number>)> {
        let (tenant, name) = self.by_did.get(&country.e164(did))?;
        let plan = self.tenants.get(*tenant)?;
        plan.numbers.find(name).map(|number| (&**plan, number))
    }

    pub(crate) fn language_of(&self, tenant: Option<&str>) -> Arc<str> {
        let plan = tenant.and_then(|tenant| self.plan(tenant));
        plan.map_or_else(|| Arc::from(DEFAULT_LANGUAGE), |plan| Arc::clone(&plan.tenant.language))
    }

    /// The number of a DID as a trunk of the server brings it.
    pub(crate) fn called_number(&self, called: &str) -> Option<(&Plan, &Object<Number>)> {
        let country = self.home();
        self.number_by_did(&country, &country.canonical(called))
    }

    /// The numbering plan of trunks that are nobody's.
    #[expect(clippy::unused_self, reason = "the day a server has a country of its own, it is here")]
    pub(crate) fn home(&self) -> Arc<Country> {
        country::japan()
    }

    pub(crate) fn nobody(&self) -> Arc<str> {
        self.nobody.as_ref().map_or_else(|| Arc::from(""), Arc::clone)
    }

    /// Adds a checked tenant and everything it is found by.
    pub(crate) fn add(&mut self, plan: Arc<Plan>) {
        self.nobody.get_or_insert_with(|| Arc::from(""));
        self.index(self.tenants.len(), &plan);
        self.tenants.push(plan);
    }

    /// Puts down what the tenant at a place is found by.
    fn index(&mut self, at: usize, plan: &Plan) {
        self.by_id.insert(Arc::clone(&plan.tenant.id.value), at);
        for number in plan.numbers.iter() {
            self.by_did.insert(plan.global_did(number), (at, Arc::clone(&number.name)));
        }
        for domain in &plan.tenant.domains {
            self.by_domain.insert(Arc::clone(&domain.value), at);
        }
        for (index, device) in plan.device_infos.iter().enumerate() {
            self.by_user.insert(Arc::clone(&device.user), (at, index));
        }
    }

    /// Adds a trunk of the server.
    pub(crate) fn add_server_trunk(&mut self, trunk: &Object<Trunk>) {
        self.server_trunks.push(TrunkInfo::new(None, trunk));
    }
}

impl TrunkInfo {
    pub(crate) fn new(tenant: Option<&Arc<str>>, trunk: &Object<Trunk>) -> Self {
        Self {
            tenant: tenant.cloned(),
            name: Arc::clone(&trunk.name),
            hosts: Arc::clone(&trunk.hosts),
            channels: trunk.channels,
            did_in_to: trunk.did_in_to,
            account: trunk.account.clone(),
            sources: Arc::clone(&trunk.sources),
            pace: trunk.pace,
            probe: trunk.probe,
            over_tcp: trunk.over_tcp,
            signalling: trunk.signalling,
            format: trunk.format,
        }
    }
}

/// The language of callers who are nobody's.
const DEFAULT_LANGUAGE: &str = "ja";
