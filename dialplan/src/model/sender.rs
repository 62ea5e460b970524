//! Who sends a fax: a number of the office that has a fax box, whose rules hold (S-35 to S-37).

use std::sync::Arc;

use super::Plan;
use super::boxes::FaxBox;
use super::device::DeviceKind;
use super::number::Number;
use super::objects::Object;
use crate::plans::Plans;

/// A number that sends faxes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaxSender {
    /// Its name in the plan.
    pub number: Arc<str>,
    /// Its digits.
    pub did: Arc<str>,
    /// What it is called, for the line at the top of each page; may be empty.
    pub title: Arc<str>,
    /// Its box, by its name in the plan.
    pub mailbox: Arc<str>,
    /// The box's rules.
    pub spec: Arc<FaxBox>,
}

/// Why nobody sends: the asker's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FaxSenderError {
    /// There is no such office.
    #[error("there is no tenant {tenant}")]
    Tenant {
        /// Which.
        tenant: Arc<str>,
    },
    /// There is no such number.
    #[error("{from} is no number of {tenant}")]
    Number {
        /// Which.
        from: Arc<str>,
        /// Of whom.
        tenant: Arc<str>,
    },
    /// There is no such app.
    #[error("{app} is no app of {tenant}")]
    App {
        /// Which.
        app: Arc<str>,
        /// Of whom.
        tenant: Arc<str>,
    },
    /// It has no fax box.
    #[error("number.{number} has no fax box: it sends no faxes")]
    NoBox {
        /// Which.
        number: Arc<str>,
    },
    /// None has one.
    #[error("no number of {tenant} has a fax box")]
    NoneHasABox {
        /// Whose.
        tenant: Arc<str>,
    },
}

impl Plans {
    /// A fax box of an office.
    #[must_use]
    pub fn fax_box(&self, tenant: &str, name: &str) -> Option<&Arc<FaxBox>> {
        self.plan(tenant)?.fax_boxes.find(name).map(|found| &**found)
    }

    /// The machine that a stored fax of a number is sent on to (S-40), by its name in the plan.
    #[must_use]
    pub fn fax_delivery(&self, tenant: &str, number: &str) -> Option<&Arc<str>> {
        let number = self.plan(tenant)?.numbers.find(number)?;
        Some(&number.fax.as_ref()?.value.deliver_to.as_ref()?.value)
    }

    /// Whether a device of an office is an app, for which pages may be free (S-43).
    #[must_use]
    pub fn is_app(&self, tenant: &str, device: &str) -> bool {
        let device = self.plan(tenant).and_then(|plan| plan.devices.find(device));
        device.is_some_and(|device| device.kind == DeviceKind::App)
    }

    /// The number of an office that sends a fax, and the rules of its box; `from` names it by its
    /// name in the plan or by its digits.
    ///
    /// # Errors
    /// Why nobody sends.
    pub fn fax_sender(
        &self,
        tenant: &str,
        from: Option<&str>,
    ) -> Result<FaxSender, FaxSenderError> {
        let unknown = || FaxSenderError::Tenant { tenant: Arc::from(tenant) };
        sender(self.plan(tenant).ok_or_else(unknown)?, from)
    }
}

/// The number that sends: the one that is named by its name or its digits, else the contract
/// number when it has a box, else the first that has one.
fn sender(plan: &Plan, from: Option<&str>) -> Result<FaxSender, FaxSenderError> {
    let tenant = || Arc::clone(&plan.tenant.id.value);
    if let Some(from) = from {
        let digits = plan.tenant.country.canonical(from);
        let by_did = || plan.numbers.iter().find(|number| *plan.did(number) == *digits);
        let unknown = || FaxSenderError::Number { from: Arc::from(from), tenant: tenant() };
        let number = plan.numbers.find(from).or_else(by_did).ok_or_else(unknown)?;
        let none = || FaxSenderError::NoBox { number: Arc::clone(&number.name) };
        return with_box(plan, number).ok_or_else(none);
    }
    let main = plan.main_number().and_then(|number| with_box(plan, number));
    let any = || plan.numbers.iter().find_map(|number| with_box(plan, number));
    main.or_else(any).ok_or_else(|| FaxSenderError::NoneHasABox { tenant: tenant() })
}

fn with_box(plan: &Plan, number: &Object<Number>) -> Option<FaxSender> {
    let mailbox = number.fax.as_ref()?.value.mailbox.as_ref()?;
    let found = plan.fax_boxes.find(&mailbox.value)?;
    Some(FaxSender {
        number: Arc::clone(&number.name),
        did: plan.did(number),
        title: number.title.clone().unwrap_or_default(),
        mailbox: Arc::clone(&found.name),
        spec: Arc::clone(found),
    })
}
