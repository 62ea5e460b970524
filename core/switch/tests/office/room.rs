//! An office with a conference room that is dialled by 670, and outside by number 1 in the morning.

use std::time::Duration;

use super::{Office, TRUNK};

pub(crate) fn plan(text: &str, keys: &str) -> String {
    let room = format!(
        "[room.main]\n{keys}\n[extension.meeting]\ndial = \"670\"\n\
         do = {{ conference = \"main\" }}\n[extension.echo]"
    );
    // Callers of number 1 come into the room in the morning.
    let morning = "{ from = \"09:00\", to = \"12:00\", do = ";
    text.replace("[extension.echo]", &room).replace(
        &format!("{morning}\"ring\" }}"),
        &format!("{morning}{{ conference = \"main\" }} }}"),
    )
}

pub(crate) fn planned(keys: &str) -> Office {
    Office::planned(|text| plan(text, keys))
}

pub(crate) fn dial(office: &mut Office, name: char) {
    let number = if name == TRUNK { "0312340001" } else { "670" };
    office.call(name, number);
    office.run(Duration::from_secs(1));
}

pub(crate) fn press(office: &mut Office, name: char, keys: &str) {
    for key in keys.bytes() {
        let (now, media) = (office.now, office.phone(name).media);
        office.media.press(now, media, key);
        office.run(Duration::from_millis(300));
    }
}

/// Who is in the rooms, in order; in small letters who is not heard.
pub(crate) fn rooms(office: &Office) -> Vec<String> {
    let name_of = |address| {
        let phone = office.phones.values().find(|phone| phone.media == address);
        phone.map_or('?', |phone| phone.name)
    };
    let rooms = office.media.rooms();
    let mut named: Vec<String> = rooms
        .into_iter()
        .map(|members| {
            let mut names: Vec<char> = members
                .into_iter()
                .map(|(address, muted)| {
                    let name: char = name_of(address);
                    if muted { name.to_ascii_lowercase() } else { name }
                })
                .collect();
            names.sort_by_key(char::to_ascii_uppercase);
            names.into_iter().collect()
        })
        .collect();
    named.sort();
    named
}

pub(crate) fn playing(office: &mut Office, name: char) -> Vec<String> {
    let media = office.phone(name).media;
    office.media.playing(media).unwrap_or_default()
}

/// Everybody who is up hangs up; nothing is left.
pub(crate) fn end(mut office: Office) -> Vec<koukan_switch::Cdr> {
    for name in "ABCDEFT".chars() {
        if !office.phone(name).up.is_empty() {
            office.hang_up(name);
        }
    }
    office.finish()
}
