//! `koukan sim`: what would happen, without a call. The lines are those of the explain log.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use crate::decision::{Caller, Decision, Facts, Origin};
use crate::outcome::Outcome;
use crate::plans::Plans;
use crate::read::local_time;
use crate::state::State;

/// Why a simulation cannot be run: the question is at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SimulateError {
    /// Neither a SIP user, a device, a number nor `anonymous`.
    #[error("\"{from}\" is no SIP user, no TENANT/DEVICE, no number and not \"anonymous\"")]
    From {
        /// As it was given.
        from: String,
    },
    /// Not a moment.
    #[error("\"{at}\" is no date and time such as 2026-07-01T10:00")]
    At {
        /// As it was given.
        at: String,
    },
    /// No trunk by which a call from outside could come.
    #[error("no trunk brings {to}")]
    NoTrunk {
        /// The called number.
        to: String,
    },
}

impl Plans {
    /// Decides a call as if it came now or at a moment: `from` is a SIP user (`acme-801`), a device
    /// (`acme/A`), an outside number or `anonymous`; `at` is local to the tenant, or carries its
    /// own offset.
    ///
    /// # Errors
    /// The question names nobody who could call, or no moment.
    pub fn simulate(
        &self,
        from: &str,
        to: &str,
        at: Option<&str>,
        now: Timestamp,
        state: &dyn State,
    ) -> Result<Simulation, SimulateError> {
        let (origin, caller) = self.asker(from, to)?;
        let tenant = match &origin {
            Origin::Device { tenant, .. } => Some(tenant.as_ref()),
            Origin::Trunk { tenant, .. } => tenant.as_deref().or_else(|| self.owner_of(to)),
        };
        let at = match at {
            None => now,
            Some(text) => self.moment(tenant, text)?,
        };
        let facts = Facts { at, origin: &origin, caller: &caller, called: to, state };
        Ok(Simulation { decision: self.decide(&facts) })
    }

    /// The trunk by which a call from outside to `to` comes in: one of the number's tenant that
    /// brings it, else one of the server, else any at all.
    #[must_use]
    pub fn bringing_trunk(&self, to: &str) -> Option<Origin> {
        let number = self.called_number(to);
        let own = number.and_then(|(plan, number)| {
            let brings = |names: &[crate::source::Name]| {
                names.is_empty() || names.iter().any(|name| name.value == number.name)
            };
            let trunk = plan.trunks.iter().find(|trunk| brings(&trunk.numbers))?;
            Some((Some(Arc::clone(&plan.tenant.id.value)), Arc::clone(&trunk.name)))
        });
        let server = || self.trunks().find(|trunk| trunk.tenant.is_none());
        let any = || self.trunks().next().filter(|_| number.is_none());
        let (tenant, trunk) = own.or_else(|| {
            let trunk = server().or_else(any)?;
            Some((trunk.tenant.clone(), Arc::clone(&trunk.name)))
        })?;
        Some(Origin::Trunk { tenant, trunk })
    }

    fn asker(&self, from: &str, to: &str) -> Result<(Origin, Caller), SimulateError> {
        let device = match from.split_once('/') {
            Some((tenant, device)) => self.device(tenant, device),
            None => self.device_by_user(from, ""),
        };
        if let Some(device) = device {
            let (tenant, device) = (Arc::clone(&device.tenant), Arc::clone(&device.device));
            return Ok((Origin::Device { tenant, device }, Caller::default()));
        }
        let anonymous = from == "anonymous";
        let digits = from.strip_prefix('+').unwrap_or(from);
        if !anonymous && (digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit())) {
            return Err(SimulateError::From { from: from.to_owned() });
        }
        let number = (!anonymous).then(|| Arc::from(from));
        let origin =
            self.bringing_trunk(to).ok_or_else(|| SimulateError::NoTrunk { to: to.to_owned() })?;
        Ok((origin, Caller { number, anonymous, ..Caller::default() }))
    }

    fn owner_of(&self, to: &str) -> Option<&str> {
        let (plan, _) = self.called_number(to)?;
        Some(&plan.tenant.id.value)
    }

    fn moment(&self, tenant: Option<&str>, text: &str) -> Result<Timestamp, SimulateError> {
        let wrong = || SimulateError::At { at: text.to_owned() };
        if let Ok(at) = text.parse() {
            return Ok(at);
        }
        let local = local_time(text).ok_or_else(wrong)?;
        match tenant.and_then(|tenant| self.plan(tenant)) {
            Some(plan) => plan.tenant.timezone.to_timestamp(local).map_err(|_| wrong()),
            None => jiff::tz::TimeZone::UTC.to_timestamp(local).map_err(|_| wrong()),
        }
    }
}

/// A call that was only thought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Simulation {
    /// What was decided.
    pub decision: Decision,
}

impl Simulation {
    /// The decision's lines, and last the outcome in one line.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines = self.decision.lines();
        lines.push(format!("outcome: {}", self.decision.outcome()));
        lines
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(cause) = &self.refused {
            return write!(f, "refused {cause}");
        }
        let first = if let Some(name) = &self.announces {
            format!("announces {name}, ")
        } else if let Some(number) = self.forwards.as_ref() {
            format!("forwards {number}, ")
        } else if let Some(number) = self.calls.as_ref() {
            format!("calls {number}, ")
        } else if self.rings.is_empty() {
            String::new()
        } else {
            format!("rings {}, ", self.rings.join(", "))
        };
        write!(f, "{first}then {}", self.then.as_deref().unwrap_or("hangup"))?;
        if let Some(shown) = &self.shown_caller {
            write!(f, ", shows {shown}")?;
        }
        Ok(())
    }
}
