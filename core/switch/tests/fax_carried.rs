//! A fax between two parties, as the switch sees it (S-17): the one that offers T.38 is answered on
//! its own leg, the other one is asked; a gateway or a relay carries, and audio comes back.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod office;

use std::time::Duration;

use koukan_media::Command;
use koukan_sip::sdp::Direction;
use koukan_switch::{CallCause, Carried, FaxNews, FaxOrder};
use office::{Does, Office, TRUNK, ending, only};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A call from outside that the adapter `E` has taken.
fn bridged(prepare: impl FnOnce(&mut Office)) -> Office {
    let mut office = Office::open();
    office.all(Does::Rings);
    prepare(&mut office);
    office.phone('E').does = Does::AnswersAtOnce;
    office.call(TRUNK, "0312340003");
    office.run(secs(2));
    assert_eq!(office.switch.calls()[0].stage, "bridged");
    office
}

fn offers_t38(office: &mut Office, who: char) {
    let now = office.now;
    office.phone(who).offer_t38(now);
    office.run(secs(2));
}

/// What is to be carried, in order.
fn carried(office: &Office) -> Vec<Carried> {
    let carried = |order: &FaxOrder| match order {
        FaxOrder::Carry(carried) => Some((**carried).clone()),
        _ => None,
    };
    office.faxes.iter().filter_map(carried).collect()
}

/// Which sides of the last order speak T.38.
fn by_t38(office: &Office) -> [bool; 2] {
    carried(office).last().unwrap().sides.map(|(_, image)| image.is_some())
}

fn hear_each_other(office: &mut Office) -> bool {
    let (trunk, phone) = (office.phone(TRUNK).media, office.phone('E').media);
    office.media.joined(trunk, phone)
}

#[test]
fn a_party_that_offers_t38_is_answered_and_one_that_refuses_it_stays_in_audio() {
    for (who, other, expected) in [(TRUNK, 'E', [true, false]), ('E', TRUNK, [false, true])] {
        let mut office = bridged(|_| {});
        offers_t38(&mut office, who);
        assert!(office.phone(who).heard("answered"), "{:?}", office.phone(who).log);
        let asked = office.phone(other).requests.len();
        assert_eq!((asked, office.faxes.len()), (1, 1), "{:?}", office.faxes);
        assert_eq!(by_t38(&office), expected);
        let [first, second] = carried(&office)[0].sides.map(|(stream, _)| stream);
        assert_ne!(first, second);
        for stream in [first, second] {
            assert!(office.media.orders.contains(&Command::Lend { stream }));
        }
        assert!(office.explained("a gateway carries the fax"), "{:?}", office.explained);
        assert_eq!((office.switch.tables().faxes, office.switch.audit()), (1, Ok(())));
        // A refresh of what stands changes nothing.
        offers_t38(&mut office, who);
        assert_eq!(office.faxes.len(), 1);
        office.hang_up(TRUNK);
        office.run(secs(1));
        assert!(matches!(office.faxes[..], [_, FaxOrder::Stop { .. }]), "{:?}", office.faxes);
        assert_eq!(ending(&only(office.finish())), (CallCause::CallerHungUp, 200));
    }
}

#[test]
fn t38_passes_between_parties_that_both_take_it() {
    for (who, other) in [(TRUNK, 'E'), ('E', TRUNK)] {
        let mut office = bridged(|office| office.phone(other).takes_t38 = true);
        offers_t38(&mut office, who);
        assert_eq!(carried(&office).len(), 1, "{:?}", office.faxes);
        assert_eq!(by_t38(&office), [true, true]);
        assert!(office.explained("T.38 passes between both"));
        office.hang_up(TRUNK);
        office.finish();
    }
}

#[test]
fn a_party_that_offers_t38_later_than_the_other_changes_how_it_is_carried() {
    let mut office = bridged(|_| {});
    offers_t38(&mut office, TRUNK);
    assert_eq!(by_t38(&office), [true, false]);
    offers_t38(&mut office, 'E');
    assert_eq!((carried(&office).len(), by_t38(&office)), (2, [true, true]));
    let [first, second] = [0, 1].map(|at| carried(&office)[at].fax);
    assert_eq!(first, second, "it is the same fax");
    office.hang_up(TRUNK);
    office.finish();
}

#[test]
fn offers_of_both_at_once_meet_in_t38() {
    let mut office = bridged(|_| {});
    let now = office.now;
    office.phone(TRUNK).offer_t38(now);
    office.phone('E').offer_t38(now);
    office.run(secs(3));
    assert_eq!(by_t38(&office), [true, true], "{:?}", office.faxes);
    office.hang_up(TRUNK);
    office.finish();
}

#[test]
fn a_party_that_does_not_answer_is_not_waited_for_beyond_a_second() {
    let mut office = bridged(|_| {});
    office.deafen(Some('E'));
    let now = office.now;
    office.phone(TRUNK).offer_t38(now);
    office.run(Duration::from_millis(500));
    assert!(carried(&office).is_empty(), "its answer is waited for");
    office.run(secs(1));
    assert_eq!(by_t38(&office), [true, false]);
    office.deafen(None);
    office.run(secs(3));
    office.hang_up(TRUNK);
    office.finish();
}

#[test]
fn an_offer_of_audio_ends_the_fax_and_both_hear_each_other_again() {
    for both in [false, true] {
        let mut office = bridged(|office| office.phone('E').takes_t38 = both);
        offers_t38(&mut office, TRUNK);
        assert!(!hear_each_other(&mut office));
        let now = office.now;
        office.phone(TRUNK).offer_again(now, Direction::SendRecv);
        office.run(secs(2));
        assert!(matches!(office.faxes.last(), Some(FaxOrder::Stop { .. })), "{:?}", office.faxes);
        let back = |order: &&Command| matches!(order, Command::Reclaim { .. });
        assert_eq!(office.media.orders.iter().filter(back).count(), 2);
        assert!(hear_each_other(&mut office), "{:?}", office.explained);
        assert_eq!((office.switch.tables().faxes, office.switch.audit()), (0, Ok(())));
        let asked = office.phone('E').requests.len();
        assert_eq!(asked, 1 + usize::from(both), "who was in T.38 is asked back");
        // And once more.
        offers_t38(&mut office, 'E');
        assert_eq!(carried(&office).len(), 2);
        office.hang_up(TRUNK);
        office.finish();
    }
}

/// A process that is killed in mid-fax costs the fax and not the call.
#[test]
fn a_fax_that_cannot_be_carried_goes_back_to_audio() {
    let mut office = bridged(|_| {});
    offers_t38(&mut office, TRUNK);
    let fax = carried(&office)[0].fax;
    office.fax_says(fax, FaxNews::Told("page 1 has gone over".to_owned()));
    assert!(office.explained("fax: page 1 has gone over"));
    office.fax_says(fax, FaxNews::Over("the process has ended".to_owned()));
    office.run(secs(2));
    assert!(hear_each_other(&mut office), "{:?}", office.explained);
    assert_eq!(office.faxes.len(), 1, "what is over needs no stop");
    let asked = office.phone(TRUNK).requests.len();
    assert_eq!(asked, 1, "it is asked back into audio");
    office.hang_up(TRUNK);
    office.finish();
}

#[test]
fn a_call_that_ends_while_its_streams_are_on_their_way_leaves_nothing() {
    for ms in 0..12 {
        let mut office = bridged(|office| office.phone('E').takes_t38 = true);
        let now = office.now;
        office.phone(TRUNK).offer_t38(now);
        office.run(Duration::from_millis(ms));
        office.kill();
        office.run(secs(1));
        let begun = carried(&office).len();
        assert_eq!(office.faxes.len(), 2 * begun, "{:?}", office.faxes);
        office.finish();
    }
}

#[test]
fn nobody_takes_a_party_of_a_fax_away() {
    let mut office = bridged(|_| {});
    offers_t38(&mut office, TRUNK);
    let now = office.now;
    office.phone('E').refer(now, "<sip:801@192.0.2.1>", &[]);
    office.run(secs(1));
    assert_eq!(office.switch.calls()[0].stage, "bridged");
    assert!(!office.phone('E').log.iter().any(|line| line == "response 202"));
    office.hang_up(TRUNK);
    office.finish();
}

#[test]
fn a_trunk_without_t38_is_neither_asked_nor_taken_at_its_word() {
    let without = || {
        let profile = "profile = \"jp-ngn\"";
        let mut office = Office::changed(profile, &format!("{profile}\nt38 = false"));
        office.all(Does::Rings);
        office.phone(TRUNK).takes_t38 = true;
        office.phone('E').does = Does::AnswersAtOnce;
        office.call(TRUNK, "0312340003");
        office.run(secs(2));
        office
    };
    let mut office = without();
    offers_t38(&mut office, TRUNK);
    assert!(office.phone(TRUNK).heard("failed 488"), "{:?}", office.phone(TRUNK).log);
    assert!(office.faxes.is_empty());
    offers_t38(&mut office, 'E');
    assert_eq!(by_t38(&office), [false, true], "its sound is carried");
    assert!(office.phone(TRUNK).requests.is_empty());
    office.hang_up(TRUNK);
    office.finish();
}
