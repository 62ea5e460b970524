//! What people know: whom they can call.

use crate::dice::Dice;

/// One office as the others know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Office {
    pub(crate) tenant: String,
    /// SIP users.
    pub(crate) users: Vec<String>,
    pub(crate) extensions: Vec<String>,
    pub(crate) numbers: Vec<String>,
}

/// All offices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Book {
    pub(crate) offices: Vec<Office>,
}

/// What is dialled that rings nobody: announcements, echo, what does not exist or is not allowed.
const OTHERS: [&str; 8] = ["600", "601", "601", "999", "119", "*99", "0990123456", "12ab"];

/// Numbers of outside.
const OUTSIDE: [&str; 4] = ["0455550001", "09012345678", "0312345678", "0120123456"];

impl Book {
    /// What somebody of this office dials.
    pub(crate) fn dialled(&self, office: usize, dice: &mut Dice) -> String {
        let own = self.offices.get(office);
        let neighbour = self.offices.iter().flat_map(|office| &office.numbers).cloned();
        let found = match dice.below(100) {
            0..=44 => own.and_then(|own| dice.pick(&own.extensions)).cloned(),
            45..=69 => Some(self.outside(dice)),
            70..=79 => dice.pick(&neighbour.collect::<Vec<String>>()).cloned(),
            _ => dice.pick(&OTHERS).map(|number| (*number).to_owned()),
        };
        found.unwrap_or_default()
    }

    pub(crate) fn outside(&self, dice: &mut Dice) -> String {
        dice.pick(&OUTSIDE).copied().unwrap_or_default().to_owned()
    }
}
