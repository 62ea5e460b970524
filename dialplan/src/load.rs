//! From texts to plans: every tenant read and checked, the good ones joined.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::capability::Capabilities;
use crate::check;
use crate::diagnostic::{Diagnostic, Report};
use crate::limits;
use crate::model::Plan;
use crate::model::objects::Objects;
use crate::model::outside::Trunk;
use crate::plans::{Loaded, Plans};
use crate::read::{Document, Kind, Names, Reader, Table, TextError};
use crate::source::{Files, Place, TenantSource};

/// A tenant that has been read: its findings so far, and its plan.
struct Checked<'a> {
    directory: Arc<str>,
    reader: Reader<'a>,
    plan: Option<Arc<Plan>>,
}

impl Checked<'_> {
    fn good(&self) -> Option<&Arc<Plan>> {
        self.plan.as_ref().filter(|_| !self.reader.has_errors())
    }
}

pub(crate) fn load(
    tenants: &[TenantSource],
    server_trunks: &[(String, String)],
    capabilities: &Capabilities,
    now: Timestamp,
) -> Loaded {
    let mut report = Report::default();
    let trunks = read_server_trunks(server_trunks, capabilities, &mut report);
    let mut taken = Taken::default();
    let checked: Vec<Checked<'_>> = tenants
        .iter()
        .map(|source| read_tenant(source, &trunks, capabilities, now, &mut taken))
        .collect();
    // Expectations are proved against all tenants together: calls between them stay on the server.
    let mut plans = join(&trunks, &checked);
    let mut failed = false;
    for tenant in &checked {
        if let Some(plan) = tenant.good() {
            check::expectations::check(&tenant.reader, plan, &plans, now);
            failed |= tenant.reader.has_errors();
        }
    }
    if failed {
        plans = join(&trunks, &checked);
    }
    let bad = checked.iter().filter(|tenant| tenant.good().is_none());
    let refused = bad.map(|tenant| Arc::clone(&tenant.directory)).collect();
    for tenant in checked {
        report.diagnostics.extend(tenant.reader.into_diagnostics(&tenant.directory));
    }
    Loaded { plans, report, refused }
}

fn join(trunks: &Objects<Trunk>, checked: &[Checked<'_>]) -> Plans {
    let mut plans = Plans::default();
    for trunk in trunks.iter() {
        plans.add_trunk(None, trunk);
    }
    for plan in checked.iter().filter_map(Checked::good) {
        plans.add(Arc::clone(plan));
    }
    plans
}

/// What is unique in the whole server, and where it was taken.
#[derive(Default)]
pub(crate) struct Taken {
    taken: HashMap<(&'static str, Arc<str>), String>,
}

impl Taken {
    /// Takes a value; where it was taken before, when it was.
    pub(crate) fn take(&mut self, what: &'static str, value: &Arc<str>, at: &str) -> Option<&str> {
        use std::collections::hash_map::Entry;
        match self.taken.entry((what, Arc::clone(value))) {
            Entry::Occupied(before) => Some(before.into_mut().as_str()),
            Entry::Vacant(free) => {
                free.insert(at.to_owned());
                None
            }
        }
    }
}

fn read_tenant<'a>(
    source: &'a TenantSource,
    server_trunks: &Objects<Trunk>,
    capabilities: &'a Capabilities,
    now: Timestamp,
    taken: &mut Taken,
) -> Checked<'a> {
    let mut files = Files::default();
    let mut document = Document::default();
    let mut texts = Texts::default();
    for (path, text) in &source.files {
        let file = files.add(path, text);
        texts.add(&mut document, file, text);
    }
    let mut names = Names::collect(&document.root);
    for trunk in server_trunks.iter() {
        names.add(Kind::Trunk, Arc::clone(&trunk.name), None);
    }
    let mut reader = Reader::new(files, names, capabilities);
    let broken = texts.report(&mut reader);
    let root = Table::new(&reader, "", String::new(), Place::default(), &document.root);
    let plan = Plan::read(&root, generation(source));
    drop(root);
    // After a syntax error half of the plan may be missing: what follows would be noise.
    if let Some(plan) = plan.as_ref().filter(|_| !broken) {
        let today = plan.tenant.timezone.to_datetime(now).date();
        check::check(&reader, plan, taken, today);
    }
    Checked { directory: Arc::from(source.name.as_str()), reader, plan: plan.map(Arc::new) }
}

/// What is wrong with the texts themselves.
#[derive(Default)]
struct Texts {
    wrong: Vec<TextError>,
    broken: Vec<Place>,
}

impl Texts {
    fn add(&mut self, document: &mut Document, file: u16, text: &str) {
        let (wrong, broken) = if text.len() as u64 > limits::FILE_BYTES.default {
            refuse(file, format!("the file is longer than {} bytes", limits::FILE_BYTES.default))
        } else if u64::from(file) >= limits::FILES.default {
            refuse(file, format!("more than {} files in one directory", limits::FILES.default))
        } else {
            document.add(file, text)
        };
        self.wrong.extend(wrong);
        self.broken.extend(broken);
    }

    /// Reports it; whether one of the texts is no TOML.
    fn report(self, reader: &mut Reader<'_>) -> bool {
        let broken = !self.broken.is_empty();
        for error in self.wrong {
            match error {
                TextError::Syntax { place, message, hint } => reader.syntax(place, message, hint),
                TextError::Twice { key, first, second } => reader.error(
                    second,
                    format!("`{key}` is defined twice"),
                    format!("first at {}", reader.files.brief(first)),
                ),
            }
        }
        reader.distrust(self.broken);
        broken
    }
}

fn refuse(file: u16, message: String) -> (Vec<TextError>, Vec<Place>) {
    let start = Place { file, start: 0, end: 0 };
    (vec![TextError::Syntax { place: start, message, hint: "" }], vec![start])
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

/// FNV-1a over paths and texts, cut to what every database and JSON reader keeps exactly.
fn generation(source: &TenantSource) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for (path, text) in &source.files {
        for byte in path.bytes().chain([0]).chain(text.bytes()).chain([0]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    (hash ^ (hash >> 48)) & ((1 << 48) - 1)
}
