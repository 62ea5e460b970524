//! Warnings: what is defined and never used.

use std::collections::HashSet;
use std::sync::Arc;

use crate::model::Plan;
use crate::read::{Do, Kind, Reader};

pub(crate) fn check(reader: &Reader<'_>, plan: &Plan) {
    let mut used: HashSet<(Kind, Arc<str>)> = HashSet::new();
    let mut mark = |kind, name: &Arc<str>| {
        used.insert((kind, Arc::clone(name)));
    };
    for action in plan.actions() {
        match &action.what {
            Do::Announce(name) => mark(Kind::Announcement, &name.value),
            Do::Voicemail(name) => mark(Kind::VoicemailBox, &name.value),
            Do::Group(name) | Do::Page(name) => mark(Kind::Group, &name.value),
            Do::Menu(name) => mark(Kind::Menu, &name.value),
            Do::Queue(name) => mark(Kind::Queue, &name.value),
            Do::Conference(name) => mark(Kind::Room, &name.value),
            Do::Fax(name) => mark(Kind::FaxBox, &name.value),
            Do::Ring
            | Do::Forward(_)
            | Do::VoicemailMenu
            | Do::Echo
            | Do::Park
            | Do::Reject(_)
            | Do::Module { .. } => {}
        }
    }
    for number in plan.numbers.iter() {
        if let Some(name) = &number.schedule {
            mark(Kind::Schedule, &name.value);
        }
        if let Some(voicemail) = &number.voicemail {
            mark(Kind::VoicemailBox, &voicemail.mailbox.value);
        }
        if let Some(name) = number.fax.as_ref().and_then(|fax| fax.value.mailbox.as_ref()) {
            mark(Kind::FaxBox, &name.value);
        }
    }
    for menu in plan.menus.iter() {
        for name in &menu.announcements {
            mark(Kind::Announcement, &name.value);
        }
    }
    let checked = [
        Kind::Schedule,
        Kind::Announcement,
        Kind::VoicemailBox,
        Kind::FaxBox,
        Kind::Menu,
        Kind::Queue,
    ];
    for kind in checked {
        for name in reader.names.of(kind) {
            let place = reader.names.place(kind, name);
            if let Some(place) = place.filter(|_| !used.contains(&(kind, Arc::from(name)))) {
                let message = format!("{} \"{name}\" is never used", kind.word());
                reader.warn(place, message, "nothing in this plan names it");
            }
        }
    }
    unbrought(reader, plan);
}

/// Numbers that no trunk of the tenant brings, where its trunks name theirs.
fn unbrought(reader: &Reader<'_>, plan: &Plan) {
    let all = plan.trunks.is_empty() || plan.trunks.iter().any(|trunk| trunk.numbers.is_empty());
    if all {
        return;
    }
    for number in plan.numbers.iter() {
        let mut brought = plan.trunks.iter().flat_map(|trunk| trunk.numbers.iter());
        if !brought.any(|name| name.value == number.name) {
            let message = format!("no trunk brings number.{}", number.name);
            reader.warn(number.place, message, "add it to a trunk's `numbers`");
        }
    }
}
