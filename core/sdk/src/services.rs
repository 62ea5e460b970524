//! What the host does for a module beside the call: records and objects, mails, lamps; and the
//! application that runs without a call.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use koukan_abi::{Status, status};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::job::{Blocking, Job};
use crate::op::{Op, Operation};
use crate::session::{Level, Session};
use crate::{Error, Result};

/// What a session asks of its host; each is done when it returns.
pub(crate) trait Services {
    fn put(&self, tenant: &str, key: &str, value: &str) -> std::result::Result<(), Status>;
    fn get(&self, tenant: &str, key: &str) -> std::result::Result<String, Status>;
    fn remove(&self, tenant: &str, key: &str) -> std::result::Result<(), Status>;
    fn next(&self, tenant: &str, prefix: &str, after: &str) -> std::result::Result<String, Status>;
    fn next_tenant(&self, after: &str) -> std::result::Result<String, Status>;
    fn object_size(&self, tenant: &str, name: &str) -> std::result::Result<u64, Status>;
    fn object_remove(&self, tenant: &str, name: &str) -> std::result::Result<(), Status>;
    fn set_messages(
        &self,
        tenant: &str,
        mailbox: &str,
        new: u32,
        old: u32,
    ) -> std::result::Result<(), Status>;
    fn send_mail(&self, tenant: &str, mail: &Mail) -> std::result::Result<(), Status>;
    /// The module's options, as one JSON object.
    fn options(&self) -> std::result::Result<String, Status>;
    /// The number of a counter (else a gauge) of this name.
    fn metric(&self, counts: bool, name: &str, help: &str) -> std::result::Result<u32, Status>;
    /// Adds to a counter.
    fn add_metric(&self, number: u32, by: u32);
    /// Sets a gauge.
    fn set_metric(&self, number: u32, value: i64);
    /// Has a job done on another thread.
    fn run(&self, job: Job) -> std::result::Result<(), Status>;
}

/// A mail; the host sends it, and tries again until it is taken or three days old.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mail {
    /// What tells it from others: 1 to 64 of `a-z`, `0-9`, `-`. Ordered twice it is sent once.
    pub id: String,
    /// Its receivers, at most 16.
    pub to: Vec<String>,
    /// Its subject.
    pub subject: String,
    /// Its words.
    pub text: String,
    /// An object of the module's that goes with it, and what it is called there.
    pub attachment: Option<(String, String)>,
}

/// What the module keeps for one tenant: small records by key, and objects by name. What is
/// written survives the process, however that ends, before anything that is ordered after it takes
/// effect.
#[derive(Clone)]
pub struct Store {
    session: Rc<Session>,
    tenant: Rc<str>,
}

/// The module's own options, read into what it takes them for.
pub(crate) fn options<T: DeserializeOwned>(session: &Session) -> Result<T> {
    let text = session.host().options().map_err(refused("tell the options"))?;
    serde_json::from_str(&text).map_err(Error::Arguments)
}

fn refused(what: &'static str) -> impl Fn(Status) -> Error {
    move |status| match status {
        status::UNSUPPORTED => Error::Unsupported(what),
        status => Error::Refused { what, status },
    }
}

impl Store {
    pub(crate) fn new(session: Rc<Session>, tenant: &str) -> Self {
        Self { session, tenant: tenant.into() }
    }

    /// Writes a record of at most 8,192 bytes of JSON under a key of at most 200.
    ///
    /// # Errors
    /// It is larger, or the module has too many.
    pub fn put(&self, key: &str, value: &impl Serialize) -> Result<()> {
        let value = serde_json::to_string(value).map_err(|e| Error::Failed(e.to_string()))?;
        let put = self.session.host().put(&self.tenant, key, &value);
        put.map_err(refused("keep a record"))
    }

    /// Reads a record; none when there is none.
    ///
    /// # Errors
    /// It is not what the module takes it for.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        match self.session.host().get(&self.tenant, key) {
            Ok(value) => serde_json::from_str(&value)
                .map(Some)
                .map_err(|error| Error::Failed(format!("the record {key} is unreadable: {error}"))),
            Err(status::NOT_FOUND) => Ok(None),
            Err(status) => Err(refused("read a record")(status)),
        }
    }

    /// Removes a record; also when there is none.
    ///
    /// # Errors
    /// The host does not keep records for this module.
    pub fn remove(&self, key: &str) -> Result<()> {
        self.session.host().remove(&self.tenant, key).map_err(refused("remove a record"))
    }

    /// The keys that begin with a prefix, in order.
    ///
    /// # Errors
    /// The host does not keep records for this module.
    pub fn keys(&self, prefix: &str) -> Result<Vec<String>> {
        let mut keys: Vec<String> = Vec::new();
        loop {
            let after = keys.last().map_or("", String::as_str);
            match self.session.host().next(&self.tenant, prefix, after) {
                Ok(key) => keys.push(key),
                Err(status::NOT_FOUND) => return Ok(keys),
                Err(status) => return Err(refused("list records")(status)),
            }
        }
    }

    /// Bytes of an object; none when there is none.
    ///
    /// # Errors
    /// The name makes no sense, or the host keeps no objects for this module.
    pub fn object_size(&self, name: &str) -> Result<Option<u64>> {
        match self.session.host().object_size(&self.tenant, name) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(status::NOT_FOUND) => Ok(None),
            Err(status) => Err(refused("measure an object")(status)),
        }
    }

    /// Removes an object; also when there is none.
    ///
    /// # Errors
    /// As for [`Self::object_size`], or the disk refuses.
    pub fn remove_object(&self, name: &str) -> Result<()> {
        self.session.host().object_remove(&self.tenant, name).map_err(refused("remove an object"))
    }

    /// Queues a mail.
    ///
    /// # Errors
    /// The server sends no mail, or what is to go with it is not there.
    pub fn send(&self, mail: &Mail) -> Result<()> {
        self.session.host().send_mail(&self.tenant, mail).map_err(refused("send mail"))
    }

    /// Says how many messages wait in a mailbox of the plan; its phones show it.
    ///
    /// # Errors
    /// The host has no lamps for this module.
    pub fn set_messages(&self, mailbox: &str, new: u32, old: u32) -> Result<()> {
        let set = self.session.host().set_messages(&self.tenant, mailbox, new, old);
        set.map_err(refused("show waiting messages"))
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

/// The host of an application that runs without a call, from the module's loading on.
#[derive(Clone)]
pub struct Background {
    pub(crate) session: Rc<Session>,
}

impl Background {
    pub(crate) const fn new(session: Rc<Session>) -> Self {
        Self { session }
    }

    /// Waits; less when the server's date is set meanwhile.
    pub fn sleep(&self, time: Duration) -> Op<()> {
        let ms = u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        Op::new(Rc::clone(&self.session), Operation::Sleep { ms }, drop)
    }

    /// What the module keeps for a tenant.
    #[must_use]
    pub fn store(&self, tenant: &str) -> Store {
        Store::new(Rc::clone(&self.session), tenant)
    }

    /// The tenants that the module keeps anything for.
    ///
    /// # Errors
    /// The host does not keep records for this module.
    pub fn tenants(&self) -> Result<Vec<String>> {
        let mut tenants: Vec<String> = Vec::new();
        loop {
            let after = tenants.last().map_or("", String::as_str);
            match self.session.host().next_tenant(after) {
                Ok(tenant) => tenants.push(tenant),
                Err(status::NOT_FOUND) => return Ok(tenants),
                Err(status) => return Err(refused("list tenants")(status)),
            }
        }
    }

    /// Does something that may block, as [`Call::blocking`](crate::Call::blocking) does.
    pub fn blocking<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Blocking<T> {
        Blocking::new(Rc::clone(&self.session), job)
    }

    /// The module's own options.
    ///
    /// # Errors
    /// As of [`Call::options`](crate::Call::options).
    pub fn options<T: DeserializeOwned>(&self) -> Result<T> {
        options(&self.session)
    }

    /// The server's date, in ms since 1970.
    #[must_use]
    pub fn date_ms(&self) -> i64 {
        self.session.date_ms()
    }

    /// Writes a line to the server's log.
    pub fn log(&self, level: Level, text: &str) {
        self.session.host().log(level, text);
    }
}

impl fmt::Debug for Background {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Background").finish_non_exhaustive()
    }
}
