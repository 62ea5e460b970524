//! The way to the control loops: which of them answers a question, and what their answers are
//! together.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Sender, TrySendError};
use koukan_base::{COMMON_SHARD, CallId, ShardId, Shards};
use koukan_dialplan::Aside;
use koukan_switch::{Directory, ResolvedHosts};
use mio::Waker;
use tokio::sync::oneshot;

use super::door::{Measured, Order};
use super::hosted;
use super::joined::{Joined, joined};
use super::request::{Reply, Request, Unavailable};
use crate::api::Status;
use crate::metrics::Snapshot;
use crate::transport::Tls;

/// Whoever does not answer for so long is given up.
pub(super) const TIMEOUT: Duration = Duration::from_secs(2);

/// A queue and who is woken for it.
#[derive(Debug)]
pub(crate) struct Line<T> {
    pub(crate) queue: Sender<T>,
    pub(crate) waker: Arc<Waker>,
}

impl<T> Clone for Line<T> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone(), waker: Arc::clone(&self.waker) }
    }
}

impl<T> Line<T> {
    fn send(&self, what: T) -> Result<(), Unavailable> {
        self.queue.try_send(what).map_err(|error| match error {
            TrySendError::Full(_) => Unavailable::Busy,
            TrySendError::Disconnected(_) => Unavailable::Ended,
        })?;
        self.waker.wake().map_err(|_| Unavailable::Ended)
    }
}

/// What stands beside several shards.
#[derive(Debug)]
pub(crate) struct Beside {
    pub(crate) door: Line<Order>,
    pub(crate) apps: Line<hosted::Order>,
}

/// The way to the control loops.
#[derive(Clone, Debug)]
pub struct ControlHandle {
    homes: Shards,
    shards: Arc<[Line<Request>]>,
    beside: Option<Arc<Beside>>,
}

async fn answered<T>(answer: oneshot::Receiver<T>) -> Result<T, Unavailable> {
    match tokio::time::timeout(TIMEOUT, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) => Err(Unavailable::Ended),
        Err(_) => Err(Unavailable::TimedOut),
    }
}

impl ControlHandle {
    /// The way to shards, in the order of their numbers, and to what stands beside several.
    pub(crate) fn new(homes: Shards, shards: Vec<Line<Request>>, beside: Option<Beside>) -> Self {
        Self { homes, shards: shards.into(), beside: beside.map(Arc::new) }
    }

    fn send_to(&self, shard: ShardId, request: Request) -> Result<(), Unavailable> {
        let line = self.shards.get(usize::from(shard.0)).ok_or(Unavailable::Ended)?;
        line.send(request)
    }

    async fn ask_shard<T>(
        &self,
        shard: ShardId,
        request: impl FnOnce(Reply<T>) -> Request,
    ) -> Result<T, Unavailable> {
        let (reply, answer) = oneshot::channel();
        self.send_to(shard, request(reply))?;
        answered(answer).await
    }

    /// Asks the shard of what is no tenant's.
    ///
    /// # Errors
    /// The loop is overloaded, hangs, or has ended.
    pub async fn ask<T>(
        &self,
        request: impl FnOnce(Reply<T>) -> Request,
    ) -> Result<T, Unavailable> {
        self.ask_shard(COMMON_SHARD, request).await
    }

    /// Asks a tenant's home.
    ///
    /// # Errors
    /// As for [`Self::ask`].
    pub async fn ask_home<T>(
        &self,
        tenant: &str,
        request: impl FnOnce(Reply<T>) -> Request,
    ) -> Result<T, Unavailable> {
        self.ask_shard(self.homes.home(tenant), request).await
    }

    /// Asks the shard whose call it is; one that there never was is asked for anywhere.
    ///
    /// # Errors
    /// As for [`Self::ask`].
    pub async fn ask_call<T>(
        &self,
        call: CallId,
        request: impl FnOnce(Reply<T>) -> Request,
    ) -> Result<T, Unavailable> {
        let shard = self.homes.shard(call.shard().0).unwrap_or(COMMON_SHARD);
        self.ask_shard(shard, request).await
    }

    /// Asks every shard, all at once; the common shard's answer is the first.
    ///
    /// # Errors
    /// One of the loops is overloaded, hangs, or has ended.
    pub async fn ask_each<T>(
        &self,
        request: impl Fn(Reply<T>) -> Request,
    ) -> Result<Vec<T>, Unavailable> {
        let mut waiting = Vec::with_capacity(self.shards.len());
        for shard in self.homes.all() {
            let (reply, answer) = oneshot::channel();
            self.send_to(shard, request(reply))?;
            waiting.push(answer);
        }
        let mut answers = Vec::with_capacity(waiting.len());
        for answer in waiting {
            answers.push(answered(answer).await?);
        }
        Ok(answers)
    }

    /// Asks every shard; their answers in one.
    ///
    /// # Errors
    /// As for [`Self::ask_each`].
    pub async fn ask_all<T: Joined>(
        &self,
        request: impl Fn(Reply<T>) -> Request,
    ) -> Result<T, Unavailable> {
        joined(self.ask_each(request).await?).ok_or(Unavailable::Ended)
    }

    /// Asks every shard for a list; the lists behind each other, in the order of a key.
    ///
    /// # Errors
    /// As for [`Self::ask_each`].
    pub async fn list<T, K: Ord>(
        &self,
        request: impl Fn(Reply<Vec<T>>) -> Request,
        key: impl Fn(&T) -> K,
    ) -> Result<Vec<T>, Unavailable> {
        let mut answers = self.ask_each(request).await?;
        if answers.len() == 1 {
            // In the order that it has.
            return Ok(answers.pop().unwrap_or_default());
        }
        let mut all: Vec<T> = answers.into_iter().flatten().collect();
        all.sort_by_key(key);
        Ok(all)
    }

    /// Asks whoever has the modules, and what they write down.
    ///
    /// # Errors
    /// As for [`Self::ask`].
    pub async fn ask_apps<T>(
        &self,
        request: impl FnOnce(Reply<T>) -> Request,
    ) -> Result<T, Unavailable> {
        let Some(beside) = &self.beside else { return self.ask(request).await };
        let (reply, answer) = oneshot::channel();
        beside.apps.send(hosted::Order::Answer(request(reply)))?;
        answered(answer).await
    }

    /// Puts plans and certificates in force everywhere; the settings that have no place in them.
    /// The door hears of them first, so that nobody is sent to a shard that does not know it.
    ///
    /// # Errors
    /// As for [`Self::ask_each`]; shards that answered have the new plans.
    pub async fn install(
        &self,
        directory: &Arc<Directory>,
        tls: Option<Tls>,
    ) -> Result<Vec<(Arc<str>, Aside)>, Unavailable> {
        let Some(beside) = &self.beside else {
            let directory = Arc::clone(directory);
            return self.ask(|reply| Request::Install(directory, tls, reply)).await;
        };
        let mut aside = Vec::new();
        for shard in self.homes.all() {
            let own = directory.of_shard(self.homes, shard);
            let install = |reply| Request::Install(own, None, reply);
            aside.extend(self.ask_shard(shard, install).await?);
        }
        beside.door.send(Order::Install(Arc::clone(directory), tls))?;
        Ok(aside)
    }

    /// Tells everybody what the names of trunks stand for.
    ///
    /// # Errors
    /// As for [`Self::ask_each`].
    pub async fn set_trunk_hosts(&self, found: &[ResolvedHosts]) -> Result<(), Unavailable> {
        if let Some(beside) = &self.beside {
            beside.door.send(Order::TrunkHosts(found.to_vec()))?;
        }
        let order = |reply| Request::TrunkHosts(found.to_vec(), reply);
        self.ask_each(order).await.map(drop)
    }

    async fn door(&self) -> Result<Option<Measured>, Unavailable> {
        let Some(beside) = &self.beside else { return Ok(None) };
        let (reply, answer) = oneshot::channel();
        beside.door.send(Order::Measure(reply))?;
        answered(answer).await.map(Some)
    }

    /// How the server is.
    ///
    /// # Errors
    /// As for [`Self::ask_each`].
    pub async fn status(&self) -> Result<Status, Unavailable> {
        let mut status: Status = self.ask_all(Request::Status).await?;
        if let Some(door) = self.door().await? {
            status.connections = door.connections;
        }
        Ok(status)
    }

    /// What was measured.
    ///
    /// # Errors
    /// As for [`Self::ask_each`].
    pub async fn metrics(&self) -> Result<Box<Snapshot>, Unavailable> {
        let mut all: Box<Snapshot> = self.ask_all(Request::Metrics).await?;
        if let Some(door) = self.door().await? {
            all.connections = door.connections;
            all.transports.add(&door.counters);
            all.shed = all.shed.saturating_add(door.refused);
            all.slowest_turn_s = all.slowest_turn_s.max(door.slowest_turn.as_secs_f64());
        }
        Ok(all)
    }

    /// Ends every loop; calls get their BYE. A loop that has ended already hears nothing.
    pub fn shut_down(&self) {
        for shard in self.homes.all() {
            let _ = self.send_to(shard, Request::Shutdown);
        }
    }

    /// Ends what stands beside the shards, when they have ended.
    pub(crate) fn end_beside(&self) {
        if let Some(beside) = &self.beside {
            let _ = beside.apps.send(hosted::Order::End);
            let _ = beside.door.send(Order::End);
        }
    }
}
