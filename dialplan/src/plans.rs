//! All tenants' checked plans as one value: what the switch and the server ask. Look-ups are hash
//! maps built once at load.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;

use crate::decide::Decider;
use crate::plan::{Device, Number, Plan, Trunk};
use crate::schema::Capabilities;
use crate::text::{Report, SourceFile};
use crate::{Decision, Facts, Origin};

/// The files of one tenant's directory.
#[derive(Clone, Debug)]
pub struct TenantSource {
    /// The directory's name, for messages.
    pub name: Arc<str>,
    /// Its `*.toml` files.
    pub files: Vec<SourceFile>,
}

/// A device that may register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// Its tenant.
    pub tenant: Arc<str>,
    /// Its name in the plan.
    pub device: Arc<str>,
    /// The SIP user it registers as (`acme-801`).
    pub user: Arc<str>,
    /// Its extension.
    pub extension: Arc<str>,
    /// Where its secret stands, as written (`file:secrets/A`).
    pub secret: Arc<str>,
    /// How many phones may be registered on it at once (S-05).
    pub max_contacts: u32,
}

/// A trunk as the switch needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkInfo {
    /// Its tenant; `None` for a trunk of the whole server.
    pub tenant: Option<Arc<str>>,
    /// Its name in the plan.
    pub name: Arc<str>,
    /// Address and port, or a host name for the resolver.
    pub address: Arc<str>,
    /// Calls at once.
    pub channels: u32,
    /// The called number stands in To instead of the Request-URI (profile `home-gateway`).
    pub did_in_to: bool,
    /// Digest user, when the carrier challenges.
    pub user: Option<Arc<str>>,
    /// Where its secret stands.
    pub secret: Option<Arc<str>>,
}

/// Every tenant, swapped as a whole by a reload.
#[derive(Debug, Default)]
pub struct Plans {
    plans: BTreeMap<Arc<str>, Plan>,
    devices: Vec<DeviceInfo>,
    by_user: HashMap<Arc<str>, usize>,
    by_domain: HashMap<(Arc<str>, Arc<str>), usize>,
    by_name: HashMap<(Arc<str>, Arc<str>), usize>,
    dids: HashMap<Arc<str>, (Arc<str>, usize)>,
    trunks: Vec<TrunkInfo>,
    by_source: HashMap<SocketAddr, usize>,
}

impl Plans {
    /// Loads every tenant. A tenant with errors is left out and the others stand; the report has
    /// everything that was found.
    #[must_use]
    pub fn load(tenants: Vec<TenantSource>, capabilities: &Capabilities) -> (Self, Report) {
        let mut report = Report::default();
        let mut plans = Self::default();
        let mut expected = Vec::new();
        for tenant in tenants {
            let (plan, sources, mut found) = Plan::load(tenant.files, capabilities);
            if let Some(plan) = plan {
                found.errors.extend(plans.clashes(&plan, &sources));
                if found.is_clean() {
                    expected.push((plan.tenant.clone(), sources));
                    plans.add(plan);
                }
            }
            report.errors.append(&mut found.errors);
            report.warnings.append(&mut found.warnings);
        }
        plans.index();
        for (tenant, sources) in expected {
            if let Some(plan) = plans.plans.get(&tenant) {
                report.errors.extend(crate::expect::failures(&plans, plan, &sources));
            }
        }
        report.sort();
        (plans, report)
    }

    /// What a tenant wants that another has: its id, a number, a SIP user.
    fn clashes(&self, plan: &Plan, sources: &crate::text::Sources) -> Vec<crate::text::Diagnostic> {
        let place = crate::text::Place::default();
        let mut found = Vec::new();
        if self.plans.contains_key(&plan.tenant) {
            let message = format!("another directory has the tenant \"{}\" too", plan.tenant);
            found.push(sources.at(&place, message, ""));
        }
        for other in self.plans.values() {
            for number in plan.numbers.iter().filter(|own| other.number_by_did(&own.did).is_some())
            {
                let message =
                    format!("number \"{}\" belongs to the tenant \"{}\"", number.did, other.tenant);
                found.push(sources.at(&place, message, ""));
            }
            let users = || other.devices.iter().map(|device| &device.user);
            for device in plan.devices.iter().filter(|own| users().any(|user| *user == own.user)) {
                let message = format!(
                    "SIP user \"{}\" belongs to the tenant \"{}\"",
                    device.user, other.tenant
                );
                found.push(sources.at(&place, message, ""));
            }
        }
        found
    }

    fn add(&mut self, plan: Plan) {
        self.plans.insert(plan.tenant.clone(), plan);
    }

    fn index(&mut self) {
        for plan in self.plans.values() {
            for device in &plan.devices {
                let index = self.devices.len();
                self.by_user.insert(device.user.clone(), index);
                self.by_name.insert((plan.tenant.clone(), device.name.clone()), index);
                for domain in &plan.domains {
                    self.by_domain.insert((domain.clone(), device.extension.clone()), index);
                }
                self.devices.push(device_info(plan, device));
            }
            for (index, number) in plan.numbers.iter().enumerate() {
                self.dids.insert(number.did.clone(), (plan.tenant.clone(), index));
            }
            for trunk in &plan.trunks {
                if let Ok(address) = trunk.address.parse() {
                    self.by_source.insert(address, self.trunks.len());
                }
                self.trunks.push(trunk_info(plan, trunk));
            }
        }
    }

    /// What is to be done with a call.
    #[must_use]
    pub fn decide(&self, facts: &Facts<'_>) -> Decision {
        Decider::new(self, facts).decide()
    }

    /// The device that registers as `user`; the bare extension is good in a domain of its tenant's.
    #[must_use]
    pub fn device_by_user(&self, user: &str, domain: &str) -> Option<&DeviceInfo> {
        let index = self
            .by_user
            .get(user)
            .copied()
            .or_else(|| self.by_domain.get(&(Arc::from(domain), Arc::from(user))).copied());
        self.devices.get(index?)
    }

    /// A device by its tenant and its name in the plan.
    #[must_use]
    pub fn device(&self, tenant: &str, device: &str) -> Option<&DeviceInfo> {
        let index = self.by_name.get(&(Arc::from(tenant), Arc::from(device)))?;
        self.devices.get(*index)
    }

    /// Every device.
    pub fn devices(&self) -> impl Iterator<Item = &DeviceInfo> {
        self.devices.iter()
    }

    /// Every trunk.
    pub fn trunks(&self) -> impl Iterator<Item = &TrunkInfo> {
        self.trunks.iter()
    }

    /// A trunk by its tenant and name.
    #[must_use]
    pub fn trunk(&self, tenant: Option<&str>, name: &str) -> Option<&TrunkInfo> {
        self.trunks.iter().find(|trunk| *trunk.name == *name && trunk.tenant.as_deref() == tenant)
    }

    /// The trunk whose peer sends from exactly this address and port.
    #[must_use]
    pub fn trunk_by_source(&self, source: SocketAddr) -> Option<&TrunkInfo> {
        self.trunks.get(*self.by_source.get(&source)?)
    }

    /// The generation of a tenant's plan, for the call's record.
    #[must_use]
    pub fn generation(&self, tenant: &str) -> u64 {
        self.plans.get(tenant).map_or(0, |plan| plan.generation)
    }

    /// The language of a tenant's prompts.
    #[must_use]
    pub fn language(&self, tenant: &str) -> &str {
        self.plans.get(tenant).map_or("en", |plan| &plan.language)
    }

    /// Every plan by its tenant's id.
    pub fn plans(&self) -> impl Iterator<Item = &Plan> {
        self.plans.values()
    }

    /// A tenant's plan.
    #[must_use]
    pub fn plan(&self, tenant: &str) -> Option<&Plan> {
        self.plans.get(tenant)
    }

    /// Numbers the tenants' generations after those of `before`: a tenant that was loaded again
    /// counts one up.
    pub fn follow(&mut self, before: &Self) {
        for (tenant, plan) in &mut self.plans {
            plan.generation = before.generation(tenant).saturating_add(1);
        }
    }

    /// The number with these digits, of whichever tenant.
    pub(crate) fn number(&self, did: &str) -> Option<(&Plan, &Number)> {
        let (tenant, index) = self.dids.get(did)?;
        let plan = self.plans.get(tenant)?;
        Some((plan, plan.numbers.get(*index)?))
    }

    /// The plan of whoever asks, when it has one.
    pub(crate) fn plan_of(&self, origin: &Origin) -> Option<&Plan> {
        match origin {
            Origin::Device { tenant, .. } => self.plans.get(tenant),
            Origin::Trunk { tenant, .. } => self.plans.get(tenant.as_ref()?),
        }
    }
}

fn device_info(plan: &Plan, device: &Device) -> DeviceInfo {
    DeviceInfo {
        tenant: plan.tenant.clone(),
        device: device.name.clone(),
        user: device.user.clone(),
        extension: device.extension.clone(),
        secret: device.secret.clone(),
        max_contacts: device.contacts,
    }
}

fn trunk_info(plan: &Plan, trunk: &Trunk) -> TrunkInfo {
    TrunkInfo {
        tenant: Some(plan.tenant.clone()),
        name: trunk.name.clone(),
        address: trunk.address.clone(),
        channels: trunk.channels,
        did_in_to: &*trunk.profile == "home-gateway",
        user: trunk.register.as_ref().map(|(user, _)| user.clone()),
        secret: trunk.register.as_ref().map(|(_, secret)| secret.clone()),
    }
}
