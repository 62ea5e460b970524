//! From texts to plans: every tenant read and checked, the good ones joined.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::capability::Capabilities;
use crate::check;
use crate::country::Countries;
use crate::diagnostic::{Diagnostic, Report};
use crate::live;
use crate::model::Plan;
use crate::model::module::Catalog;
use crate::model::objects::Objects;
use crate::model::outside::Trunk;
use crate::model::rules;
use crate::plans::{Loaded, Plans};
use crate::pool::Pool;
use crate::read::{Document, Entry, Kind, Library, Names, Reader, Table, Texts, Value};
use crate::source::{Files, Place, Sources, TenantSource, is_calendar};

/// A tenant that has been read: its findings so far, and its plan.
struct Checked<'a> {
    directory: Arc<str>,
    reader: Reader<'a>,
    plan: Option<Arc<Plan>>,
    /// Its text is no TOML: half of the plan may be missing, and what follows from that is noise.
    broken: bool,
}

/// Does a job for each number below a count, in any order, on as many threads as it likes.
pub type Each<'e> = dyn Fn(usize, &(dyn Fn(usize) + Sync)) + 'e;

/// One after the other.
pub(crate) fn in_turn(count: usize, job: &(dyn Fn(usize) + Sync)) {
    (0..count).for_each(job);
}

/// A fault in one office's job has lost that job alone.
fn lock<T>(slot: &Mutex<T>) -> MutexGuard<'_, T> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Checked<'_> {
    /// Takes what is unique in the whole server.
    fn take(&self, taken: &mut Taken<'_>) {
        if let Some(plan) = self.plan.as_ref().filter(|_| !self.broken) {
            check::identity::check(&self.reader, plan, taken);
        }
    }

    fn good(&self) -> Option<&Arc<Plan>> {
        self.plan.as_ref().filter(|_| !self.reader.has_errors())
    }
}

/// With `prove`, a tenant whose expectations fail is refused.
pub(crate) fn load(
    sources: &Sources,
    capabilities: &Capabilities,
    now: Timestamp,
    prove: bool,
    each: &Each<'_>,
) -> Loaded {
    let mut report = Report::default();
    let library = Library::read(sources, capabilities, &mut report);
    let trunks = read_server_trunks(&sources.trunks, capabilities, &mut report);
    let pool = Mutex::default();
    let asked = Asked { library: &library, trunks: &trunks, capabilities, now, pool };
    let slots: Vec<Mutex<Option<Checked<'_>>>> =
        sources.tenants.iter().map(|_| Mutex::new(None)).collect();
    each(slots.len(), &|at| {
        if let (Some(source), Some(slot)) = (sources.tenants.get(at), slots.get(at)) {
            *lock(slot) = Some(asked.read_tenant(source));
        }
    });
    let read =
        slots.into_iter().map(|slot| slot.into_inner().unwrap_or_else(PoisonError::into_inner));
    let checked: Vec<Checked<'_>> = read.flatten().collect();
    let mut taken = Taken::default();
    checked.iter().for_each(|tenant| tenant.take(&mut taken));
    // Expectations are proved against all tenants together: calls between them stay on the server.
    let empty = || Plans::of(*capabilities, shared(sources));
    let mut plans = join(&trunks, &checked, empty());
    let slots: Vec<Mutex<Checked<'_>>> = checked.into_iter().map(Mutex::new).collect();
    each(if prove { slots.len() } else { 0 }, &|at| {
        let Some(tenant) = slots.get(at).map(lock) else { return };
        if let Some(plan) = tenant.good() {
            check::expectations::check(&tenant.reader, plan, &plans, now);
        }
    });
    let proven =
        slots.into_iter().map(|slot| slot.into_inner().unwrap_or_else(PoisonError::into_inner));
    let checked: Vec<Checked<'_>> = proven.collect();
    if checked.iter().filter_map(Checked::good).count() < plans.tenants().count() {
        plans = join(&trunks, &checked, empty());
    }
    let bad = checked.iter().filter(|tenant| tenant.good().is_none());
    let refused = bad.map(|tenant| Arc::clone(&tenant.directory)).collect();
    for tenant in checked {
        report.diagnostics.extend(tenant.reader.into_diagnostics(&tenant.directory));
    }
    Loaded { plans, report, refused }
}

/// One tenant read again: its plan takes the old one's place, every other stands as it is. With an
/// error in it nothing changes.
pub(crate) fn reload(
    plans: &Plans,
    sources: &Sources,
    capabilities: &Capabilities,
    now: Timestamp,
) -> Loaded {
    let mut report = Report::default();
    let library = Library::read(sources, capabilities, &mut report);
    let trunks = read_server_trunks(&sources.trunks, capabilities, &mut report);
    let pool = Mutex::default();
    let asked = Asked { library: &library, trunks: &trunks, capabilities, now, pool };
    let mut next = plans.clone();
    let mut refused = Vec::new();
    for source in &sources.tenants {
        let tenant = asked.read_tenant(source);
        tenant.take(&mut Taken::of_others(&next, &source.name));
        if let Some(plan) = tenant.good() {
            let before = next.directory(&source.name).cloned();
            next.replace(Arc::clone(plan));
            check::expectations::check(&tenant.reader, plan, &next, now);
            if let (None, Some(before)) = (tenant.good(), before) {
                next.replace(before);
            } else if tenant.good().is_none() {
                next = next.without(&source.name);
            }
        }
        if tenant.good().is_none() {
            refused.push(Arc::clone(&tenant.directory));
        }
        report.diagnostics.extend(tenant.reader.into_diagnostics(&tenant.directory));
    }
    Loaded { plans: next, report, refused }
}

impl Library {
    fn read(sources: &Sources, capabilities: &Capabilities, report: &mut Report) -> Self {
        let plans = rules::read_book(&sources.plans, capabilities, report);
        let countries = Countries::read(&sources.countries, report);
        let modules = Catalog::read(sources.modules.as_deref(), capabilities, report);
        Self { plans, countries, modules }
    }
}

fn join(trunks: &Objects<Trunk>, checked: &[Checked<'_>], mut plans: Plans) -> Plans {
    for trunk in trunks.iter() {
        plans.add_server_trunk(trunk);
    }
    for plan in checked.iter().filter_map(Checked::good) {
        plans.add(Arc::clone(plan));
    }
    plans
}

/// What is unique in the whole server, and where it was taken.
#[derive(Default)]
pub(crate) struct Taken<'p> {
    taken: HashMap<(&'static str, Arc<str>), String>,
    /// The other tenants of a running server, and the directory that is read again.
    others: Option<(&'p Plans, &'p str)>,
}

impl<'p> Taken<'p> {
    /// What the tenants of a server have, but for one directory.
    fn of_others(plans: &'p Plans, directory: &'p str) -> Self {
        Self { taken: HashMap::new(), others: Some((plans, directory)) }
    }

    /// Takes a value; where it was taken before, when it was.
    pub(crate) fn take(
        &mut self,
        what: &'static str,
        value: &Arc<str>,
        at: impl FnOnce() -> String,
    ) -> Option<String> {
        use std::collections::hash_map::Entry;
        let owner = self.others.and_then(|(plans, but)| plans.owner(what, value, but));
        if let Some(owner) = owner {
            return Some(format!("tenant {}", owner.tenant.id.value));
        }
        match self.taken.entry((what, Arc::clone(value))) {
            Entry::Occupied(before) => Some(before.get().clone()),
            Entry::Vacant(free) => {
                free.insert(at());
                None
            }
        }
    }
}

/// What every tenant is read with.
struct Asked<'a> {
    library: &'a Library,
    trunks: &'a Objects<Trunk>,
    capabilities: &'a Capabilities,
    now: Timestamp,
    pool: Mutex<Pool>,
}

impl<'a> Asked<'a> {
    fn read_tenant(&self, source: &'a TenantSource) -> Checked<'a> {
        let mut files = Files::default();
        let mut document = Document::default();
        let mut texts = Texts::default();
        for (path, text) in &source.files {
            let file = files.add(path, text);
            if !is_calendar(path) {
                texts.add(&mut document, file, text);
            }
        }
        let plan = word_of_tenant(&document.root, "plan");
        let country = word_of_tenant(&document.root, "country").unwrap_or("jp");
        let known = self.library.countries.find(country);
        if let Some(country) = known {
            files.set_country(&country.path, &country.text);
        }
        let mut names = Names::collect(&document.root);
        for trunk in self.trunks.iter() {
            names.add(Kind::Trunk, Arc::clone(&trunk.name), None);
        }
        if !document.root.iter().any(|entry| entry.key == Kind::Class.table()) {
            for class in known.into_iter().flat_map(|country| country.class_names()) {
                names.add(Kind::Class, Arc::clone(class), None);
            }
        }
        let mut reader = Reader::new(files, names, self.capabilities);
        reader.choose(self.library, plan, Some(country));
        let broken = texts.report(&mut reader);
        let root = Table::new(&reader, "", String::new(), Place::default(), &document.root);
        let mut plan = Plan::read(&root, &source.name, generation(source));
        drop(root);
        if let Some(plan) = &mut plan {
            plan.places = reader.files.lines(&live::places(plan).collect::<Vec<_>>());
        }
        if let Some(plan) = plan.as_ref().filter(|_| !broken) {
            let today = plan.tenant.timezone.to_datetime(self.now).date();
            check::check(&reader, plan, today);
        }
        if let Some(plan) = plan.as_mut().filter(|_| !reader.has_errors()) {
            lock(&self.pool).share(plan, &document.root);
        }
        let (directory, plan) = (Arc::from(source.name.as_str()), plan.map(Arc::new));
        Checked { directory, reader, plan, broken }
    }
}

/// A word of `[tenant]` that has to be known before anything is read.
fn word_of_tenant<'d>(root: &'d [Entry], key: &str) -> Option<&'d str> {
    let tenant = root.iter().find(|entry| entry.key == "tenant")?;
    let Value::Table(entries) = &tenant.node.value else { return None };
    match &entries.iter().find(|entry| entry.key == key)?.node.value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

fn read_server_trunks(
    sources: &[(String, String)],
    capabilities: &Capabilities,
    report: &mut Report,
) -> Objects<Trunk> {
    let mut files = Files::default();
    let mut document = Document::default();
    let mut texts = Texts::default();
    for (path, text) in sources {
        let file = files.add(path, text);
        texts.add(&mut document, file, text);
    }
    let names = Names::collect(&document.root);
    let mut reader = Reader::new(files, names, capabilities);
    texts.report(&mut reader);
    let root = Table::new(&reader, "", String::new(), Place::default(), &document.root);
    root.opt("schema", |item| item.whole(1, 1));
    let trunks = Objects::read(&root, "trunk", Trunk::read_of_server);
    drop(root);
    let found: Vec<Diagnostic> = reader.into_diagnostics(&Arc::from(""));
    report.diagnostics.extend(found);
    trunks
}

/// Of a tenant's files.
fn generation(source: &TenantSource) -> u64 {
    fingerprint(&source.files)
}

/// Of what all tenants share.
fn shared(sources: &Sources) -> u64 {
    let Sources { trunks, plans, countries, .. } = sources;
    [trunks, plans, countries]
        .into_iter()
        .fold(0, |sum, files| sum.rotate_left(8) ^ fingerprint(files))
}

/// FNV-1a over paths and texts, cut to what every database and JSON reader keeps exactly.
fn fingerprint(files: &[(String, String)]) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for (path, text) in files {
        for byte in path.bytes().chain([0]).chain(text.bytes()).chain([0]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    (hash ^ (hash >> 48)) & ((1 << 48) - 1)
}
