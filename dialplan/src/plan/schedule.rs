//! A schedule: 48 half hours for each of weekday, Saturday, Sunday and holiday (S-20 to S-22).

use jiff::civil::{Date, DateTime, Weekday};

use super::holiday::Holidays;
use crate::schema::Action;

/// The class of a day; a holiday beats the day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DayClass {
    /// Monday to Friday.
    Weekday,
    /// Saturday.
    Saturday,
    /// Sunday.
    Sunday,
    /// A holiday of the schedule.
    Holiday,
}

impl DayClass {
    /// Every class with the key that it has in a schedule.
    pub const ALL: [(Self, &'static str); 4] = [
        (Self::Weekday, "weekday"),
        (Self::Saturday, "saturday"),
        (Self::Sunday, "sunday"),
        (Self::Holiday, "holiday"),
    ];

    /// The key in a schedule.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Weekday => "weekday",
            Self::Saturday => "saturday",
            Self::Sunday => "sunday",
            Self::Holiday => "holiday",
        }
    }

    const fn index(self) -> usize {
        match self {
            Self::Weekday => 0,
            Self::Saturday => 1,
            Self::Sunday => 2,
            Self::Holiday => 3,
        }
    }
}

/// A schedule with every cell filled.
#[derive(Clone, Debug)]
pub struct Schedule {
    actions: Vec<Action>,
    grid: [[u8; 48]; 4],
    holidays: Vec<Holidays>,
}

impl Schedule {
    /// A schedule whose every cell is `default`.
    #[must_use]
    pub fn new(default: Action, holidays: Vec<Holidays>) -> Self {
        Self { actions: vec![default], grid: [[0; 48]; 4], holidays }
    }

    /// Sets the cells from `from` to before `to`. False when one of them was set before.
    pub fn set(&mut self, class: DayClass, from: u8, to: u8, action: Action) -> bool {
        let Ok(index) = u8::try_from(self.actions.len()) else { return false };
        self.actions.push(action);
        let Some(row) = self.grid.get_mut(class.index()) else { return false };
        let mut free = true;
        for cell in row.iter_mut().take(usize::from(to)).skip(usize::from(from)) {
            free &= *cell == 0;
            *cell = index;
        }
        free
    }

    /// The class of a day, and the holiday's name.
    #[must_use]
    pub fn class_of(&self, day: Date) -> (DayClass, Option<&'static str>) {
        if let Some(name) = self.holidays.iter().find_map(|source| source.name_of(day)) {
            return (DayClass::Holiday, Some(name));
        }
        let class = match day.weekday() {
            Weekday::Saturday => DayClass::Saturday,
            Weekday::Sunday => DayClass::Sunday,
            _ => DayClass::Weekday,
        };
        (class, None)
    }

    /// The action of a local date and time.
    #[must_use]
    pub fn at(&self, when: DateTime) -> &Action {
        let (class, _) = self.class_of(when.date());
        let half = usize::from(when.minute() >= 30);
        let hour = usize::try_from(when.hour()).unwrap_or(0);
        self.cell(class, hour.saturating_mul(2).saturating_add(half))
    }

    /// The action of a cell.
    #[must_use]
    pub fn cell(&self, class: DayClass, cell: usize) -> &Action {
        let index =
            self.grid.get(class.index()).and_then(|row| row.get(cell)).copied().unwrap_or(0);
        self.actions.get(usize::from(index)).unwrap_or(&Action::Ring)
    }

    /// Every action that some cell has.
    pub fn actions(&self) -> impl Iterator<Item = &Action> {
        self.actions.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_begins_on_its_half_hour_and_not_before() {
        let mut schedule = Schedule::new(Action::Echo, vec![Holidays::Japan]);
        assert!(schedule.set(DayClass::Weekday, 18, 24, Action::Ring));
        assert!(!schedule.set(DayClass::Weekday, 23, 25, Action::Park));
        let at = |text: &str| schedule.at(text.parse().unwrap()).clone();
        assert_eq!(at("2026-07-01T08:59:59"), Action::Echo);
        assert_eq!(at("2026-07-01T09:00:00"), Action::Ring);
        assert_eq!(at("2026-07-01T11:29:59"), Action::Ring);
        assert_eq!(at("2026-07-01T11:30:00"), Action::Park);
        assert_eq!(at("2026-07-20T10:00:00"), Action::Echo, "a holiday on a Monday");
    }
}
