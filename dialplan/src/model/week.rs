//! The picture of a schedule's week in text: a line a kind of day, a character a half hour.

use std::fmt::Write as _;

use super::schedule::{DayClass, Schedule};
use crate::read::{Cell, Do};

/// Draws the week; `hole` is a run of half hours of a day to point at.
pub(crate) fn draw(schedule: &Schedule, hole: Option<(Cell, Cell, &str)>) -> String {
    let mut legend: Vec<(char, String)> =
        vec![('.', format!("default, {}", schedule.default.what))];
    let mut picture =
        String::from("          00    03    06    09    12    15    18    21    24\n");
    for class in DayClass::ALL {
        let _ = write!(picture, "{:<10}", class.as_str());
        for cell in 0..48 {
            let here = |span: &&super::schedule::Span| span.from <= cell && cell < span.to;
            let found = schedule.spans(class).iter().find(here);
            let in_hole = hole
                .is_some_and(|(from, to, day)| day == class.as_str() && from <= cell && cell < to);
            picture.push(match found {
                _ if in_hole => '?',
                Some(span) => letter(&mut legend, &span.action.what),
                None => '.',
            });
        }
        picture.push('\n');
    }
    if hole.is_some() {
        legend.push(('?', String::from("named by no cell")));
    }
    let names: Vec<String> = legend.iter().map(|(c, name)| format!("{c} {name}")).collect();
    let _ = write!(picture, "          {}", names.join("; "));
    picture
}

/// The letter of an action: R, F, then a to z for the rest in the order of their coming.
fn letter(legend: &mut Vec<(char, String)>, what: &Do) -> char {
    let name = what.to_string();
    if let Some((letter, _)) = legend.iter().skip(1).find(|(_, known)| *known == name) {
        return *letter;
    }
    let letter = match what {
        Do::Ring => 'R',
        Do::Forward(None) => 'F',
        _ => {
            let used = legend.iter().filter(|(c, _)| c.is_ascii_lowercase()).count();
            u8::try_from(used)
                .ok()
                .and_then(|used| b'a'.checked_add(used))
                .map_or('*', |letter| if letter <= b'z' { char::from(letter) } else { '*' })
        }
    };
    legend.push((letter, name));
    letter
}
