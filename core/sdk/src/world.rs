//! What a fake host keeps for a module beside its calls: shared by runs, as the server's is.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::rc::Rc;

use koukan_abi::{Status, status};
use serde::Serialize;

use crate::Mail;
use crate::job::Job;
use crate::services::Services;

/// Records, objects, mails and lamps of a fake host; clones are the same world.
#[derive(Clone, Debug, Default)]
pub struct World {
    inner: Rc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    date_ms: Cell<i64>,
    /// Whether everything is refused that would be written.
    is_full: Cell<bool>,
    records: RefCell<BTreeMap<(String, String), String>>,
    objects: RefCell<BTreeMap<(String, String), u64>>,
    mails: RefCell<Vec<(String, Mail)>>,
    lamps: RefCell<BTreeMap<(String, String), (u32, u32)>>,
    options: RefCell<String>,
    metrics: RefCell<Vec<(String, bool, i64)>>,
}

impl World {
    /// An empty world at a date, in ms since 1970.
    #[must_use]
    pub fn at(date_ms: i64) -> Self {
        let world = Self::default();
        world.set_date(date_ms);
        world
    }

    /// Sets the date.
    pub fn set_date(&self, date_ms: i64) {
        self.inner.date_ms.set(date_ms);
    }

    /// The date, in ms since 1970.
    #[must_use]
    pub fn date_ms(&self) -> i64 {
        self.inner.date_ms.get()
    }

    /// From now on nothing can be written, or again everything.
    pub fn set_full(&self, is_full: bool) {
        self.inner.is_full.set(is_full);
    }

    /// Sets the module's options.
    ///
    /// # Panics
    /// They cannot be written as JSON: the test's fault.
    pub fn set_options(&self, options: &impl Serialize) {
        let text = serde_json::to_string(options).expect("options that JSON can hold");
        *self.inner.options.borrow_mut() = text;
    }

    /// Puts an object there, as a recording does.
    pub fn make_object(&self, tenant: &str, name: &str, bytes: u64) {
        self.inner.objects.borrow_mut().insert((tenant.to_owned(), name.to_owned()), bytes);
    }

    /// The names of a tenant's objects.
    #[must_use]
    pub fn objects(&self, tenant: &str) -> Vec<String> {
        let objects = self.inner.objects.borrow();
        let own = objects.keys().filter(|(of, _)| of == tenant);
        own.map(|(_, name)| name.clone()).collect()
    }

    /// A tenant's records, as keys and JSON.
    #[must_use]
    pub fn records(&self, tenant: &str) -> Vec<(String, String)> {
        let records = self.inner.records.borrow();
        let own = records.iter().filter(|((of, _), _)| of == tenant);
        own.map(|((_, key), value)| (key.clone(), value.clone())).collect()
    }

    /// The mails that were queued, with their tenants.
    #[must_use]
    pub fn mails(&self) -> Vec<(String, Mail)> {
        self.inner.mails.borrow().clone()
    }

    /// A counter or gauge of the module, when it has one of this name.
    #[must_use]
    pub fn counted(&self, name: &str) -> Option<i64> {
        let metrics = self.inner.metrics.borrow();
        metrics.iter().find(|(known, ..)| known == name).map(|(.., value)| *value)
    }

    fn change(&self, number: u32, counts: bool, change: impl FnOnce(&mut i64)) {
        let mut metrics = self.inner.metrics.borrow_mut();
        let metric = usize::try_from(number).ok().and_then(|number| metrics.get_mut(number));
        if let Some((_, _, value)) = metric.filter(|(_, kind, _)| *kind == counts) {
            change(value);
        }
    }

    /// New and old messages that a mailbox shows, when it was told.
    #[must_use]
    pub fn lamp(&self, tenant: &str, mailbox: &str) -> Option<(u32, u32)> {
        self.inner.lamps.borrow().get(&(tenant.to_owned(), mailbox.to_owned())).copied()
    }
}

fn key(tenant: &str, key: &str) -> (String, String) {
    (tenant.to_owned(), key.to_owned())
}

impl Services for World {
    fn put(&self, tenant: &str, name: &str, value: &str) -> Result<(), Status> {
        if self.inner.is_full.get() {
            return Err(status::LIMIT);
        }
        self.inner.records.borrow_mut().insert(key(tenant, name), value.to_owned());
        Ok(())
    }

    fn get(&self, tenant: &str, name: &str) -> Result<String, Status> {
        self.inner.records.borrow().get(&key(tenant, name)).cloned().ok_or(status::NOT_FOUND)
    }

    fn remove(&self, tenant: &str, name: &str) -> Result<(), Status> {
        self.inner.records.borrow_mut().remove(&key(tenant, name));
        Ok(())
    }

    fn next(&self, tenant: &str, prefix: &str, after: &str) -> Result<String, Status> {
        let records = self.inner.records.borrow();
        let from = if after < prefix {
            Bound::Included(key(tenant, prefix))
        } else {
            Bound::Excluded(key(tenant, after))
        };
        let mut keys = records.range((from, Bound::Unbounded)).map(|(key, _)| key);
        let found = keys.next().filter(|(of, name)| of == tenant && name.starts_with(prefix));
        found.map(|(_, name)| name.clone()).ok_or(status::NOT_FOUND)
    }

    fn next_tenant(&self, after: &str) -> Result<String, Status> {
        let records = self.inner.records.borrow();
        let mut tenants = records.keys().map(|(tenant, _)| tenant);
        tenants.find(|tenant| tenant.as_str() > after).cloned().ok_or(status::NOT_FOUND)
    }

    fn object_size(&self, tenant: &str, name: &str) -> Result<u64, Status> {
        self.inner.objects.borrow().get(&key(tenant, name)).copied().ok_or(status::NOT_FOUND)
    }

    fn object_remove(&self, tenant: &str, name: &str) -> Result<(), Status> {
        self.inner.objects.borrow_mut().remove(&key(tenant, name));
        Ok(())
    }

    fn set_messages(&self, tenant: &str, mailbox: &str, new: u32, old: u32) -> Result<(), Status> {
        self.inner.lamps.borrow_mut().insert(key(tenant, mailbox), (new, old));
        Ok(())
    }

    fn send_mail(&self, tenant: &str, mail: &Mail) -> Result<(), Status> {
        let mut mails = self.inner.mails.borrow_mut();
        if !mails.iter().any(|(_, known)| known.id == mail.id) {
            mails.push((tenant.to_owned(), mail.clone()));
        }
        Ok(())
    }

    fn options(&self) -> Result<String, Status> {
        let options = self.inner.options.borrow();
        Ok(if options.is_empty() { "{}".to_owned() } else { options.clone() })
    }

    fn metric(&self, counts: bool, name: &str, _: &str) -> Result<u32, Status> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let is_name = name.bytes().all(plain) && name.starts_with(|c: char| c.is_ascii_lowercase());
        if !is_name || name.len() > 48 {
            return Err(status::ARGUMENT);
        }
        let mut metrics = self.inner.metrics.borrow_mut();
        let at = metrics.iter().position(|(known, ..)| known == name);
        let index = at.unwrap_or(metrics.len());
        match metrics.get(index) {
            Some((_, kind, _)) if *kind != counts => return Err(status::ARGUMENT),
            Some(_) => {}
            None if index >= 64 => return Err(status::LIMIT),
            None => metrics.push((name.to_owned(), counts, 0)),
        }
        u32::try_from(index).map_err(|_| status::LIMIT)
    }

    fn add_metric(&self, number: u32, by: u32) {
        self.change(number, true, |value| *value = value.saturating_add(i64::from(by)));
    }

    fn set_metric(&self, number: u32, set: i64) {
        self.change(number, false, |value| *value = set);
    }

    /// At once: virtual time stands still meanwhile.
    fn run(&self, job: Job) -> Result<(), Status> {
        job();
        Ok(())
    }
}
