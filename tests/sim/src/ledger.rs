//! The records of the calls: each one has interim records while it lasts and exactly one final one.

use std::collections::BTreeMap;

use koukan_base::CallId;
use koukan_switch::Cdr;

/// Calls whose final record is to come.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    open: BTreeMap<u64, usize>,
    /// The newest call: an older one that is not open has had its end.
    newest: u64,
    pub(crate) finals: u64,
    pub(crate) answered: u64,
    pub(crate) legs: u64,
    /// Of all calls, in seconds.
    pub(crate) talked: u64,
    pub(crate) most: usize,
}

impl Ledger {
    pub(crate) fn open(&self) -> usize {
        self.open.len()
    }

    /// The process was killed: the next start closes what was open.
    pub(crate) fn crash(&mut self) {
        let open = u64::try_from(std::mem::take(&mut self.open).len()).unwrap_or(0);
        self.finals = self.finals.saturating_add(open);
    }

    /// Enters a record.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn enter(&mut self, cdr: &Cdr) -> Result<(), String> {
        let id = CallId::parse(&cdr.call).ok_or_else(|| format!("no call id: {}", cdr.call))?;
        let number = id.as_u64();
        if !self.open.contains_key(&number) {
            if number <= self.newest {
                return Err(format!("a record of a call that is over: {cdr:?}"));
            }
            self.newest = number;
            self.open.insert(number, 0);
            self.most = self.most.max(self.open.len());
        }
        let records = self.open.entry(number).or_default();
        *records = records.saturating_add(1);
        if cdr.cause.is_some() != cdr.ended.is_some() {
            return Err(format!("a cause without an end: {cdr:?}"));
        }
        if cdr.cause.is_some() {
            self.open.remove(&number);
            self.close(cdr)?;
        }
        Ok(())
    }

    fn close(&mut self, cdr: &Cdr) -> Result<(), String> {
        self.finals = self.finals.saturating_add(1);
        self.legs = self.legs.saturating_add(u64::try_from(cdr.legs.len()).unwrap_or(0));
        let ended = cdr.ended.unwrap_or(cdr.started);
        if let Some(answered) = cdr.answered {
            self.answered = self.answered.saturating_add(1);
            let seconds = ended.duration_since(answered).as_secs();
            self.talked = self.talked.saturating_add(u64::try_from(seconds).unwrap_or(0));
        }
        let sound = cdr.started <= ended
            && cdr.status >= 200
            && cdr.answered.is_none_or(|answered| cdr.started <= answered && answered <= ended)
            && cdr.answered.is_some() == (cdr.status == 200)
            && cdr.legs.iter().all(|leg| leg.ended.is_some());
        if sound { Ok(()) } else { Err(format!("a record that cannot be: {cdr:?}")) }
    }
}
