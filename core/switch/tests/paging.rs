//! Paging and intercom: what phones are asked, who hears whom, and who is never called so.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod office;

use std::time::Duration;

use koukan_sip::sdp::Direction;
use koukan_switch::CallCause;
use office::{Does, Office, SERVER, TRUNK, ending, only};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn planned() -> Office {
    Office::planned(|plan| {
        let more = "[group.all]\ndial = \"650\"\nmembers = [\"A\", \"B\", \"C\", \"D\"]\n\
                    [extension.page]\ndial = \"690\"\ndo = { page = \"all\" }\n\
                    [feature_codes]\nintercom = \"*80\"\ndnd = \"*78\"\n[extension.echo]";
        plan.replace("[extension.echo]", more)
    })
}

fn header(office: &mut Office, name: char, header: &str) -> String {
    let invite = office.phone(name).invite.clone().unwrap();
    let value = invite.header_named(header).unwrap_or_default();
    String::from_utf8_lossy(value).into_owned()
}

/// Who is in the room of the page; in small letters who is not heard.
fn room(office: &Office) -> String {
    let rooms = office.media.rooms();
    let members = rooms.first().cloned().unwrap_or_default();
    let mut names: Vec<char> = members
        .into_iter()
        .map(|(address, muted)| {
            let phone = office.phones.values().find(|phone| phone.media == address).unwrap();
            if muted { phone.name.to_ascii_lowercase() } else { phone.name }
        })
        .collect();
    names.sort_by_key(char::to_ascii_uppercase);
    names.into_iter().collect()
}

#[test]
fn phones_of_a_group_hear_the_caller_and_nobody_hears_them() {
    for dialled in ["690", "*80650"] {
        let mut office = planned();
        office.phone('B').does = Does::Answers(200);
        office.phone('C').does = Does::Answers(400);
        office.phone('D').does = Does::Refuses(486);
        office.call('A', dialled);
        office.run(secs(2));
        assert!(office.phone('A').heard("answered"), "{:?}", office.explained);
        assert_eq!(room(&office), "Abc", "{:?}", office.explained);
        assert_eq!(header(&mut office, 'B', "Answer-Mode"), "Auto");
        assert!(header(&mut office, 'B', "Call-Info").ends_with(";answer-after=0"));
        assert!(header(&mut office, 'B', "Alert-Info").contains(";info=alert-autoanswer"));
        assert_eq!(office.media.played, ["ja/beep"], "the caller is told to speak, once");
        let now = office.now;
        office.phone('A').offer_again(now, Direction::SendOnly);
        office.run(secs(1));
        assert_eq!(room(&office), "abc");
        let now = office.now;
        office.phone('A').offer_again(now, Direction::SendRecv);
        office.run(secs(1));
        office.hang_up('C');
        office.run(secs(1));
        assert_eq!(room(&office), "Ab");
        office.hang_up('A');
        let cdr = only(office.finish());
        assert_eq!(ending(&cdr), (CallCause::CallerHungUp, 200));
        assert_eq!(cdr.legs.len(), 4);
    }
}

#[test]
fn a_page_is_over_with_its_last_phone_or_when_nobody_answers_by_itself() {
    let mut office = planned();
    office.phone('B').does = Does::Answers(200);
    office.call('A', "690");
    office.run(secs(2));
    assert_eq!(room(&office), "Ab");
    assert!(office.phone('C').ringing.is_some());
    office.run(secs(15));
    assert!(office.phone('C').heard("cancelled "), "{:?}", office.phone('C').log);
    office.hang_up('B');
    office.run(secs(1));
    assert!(office.phone('A').heard("bye "), "{:?}", office.phone('A').log);
    assert_eq!(ending(&only(office.finish())), (CallCause::CalleeHungUp, 200));

    let mut office = planned();
    office.call('A', "690");
    office.run(secs(20));
    assert!(office.phone('A').heard("bye "), "{:?}", office.explained);
    office.finish();

    let mut office = planned();
    office.all(Does::Refuses(480));
    office.call('A', "690");
    office.run(secs(2));
    assert!(office.phone('A').heard("bye "), "{:?}", office.explained);
    office.finish();
}

#[test]
fn the_intercom_is_a_call_of_both_that_the_phone_answers_by_itself() {
    let mut office = planned();
    office.phone('B').does = Does::Answers(200);
    office.call('A', "*80802");
    office.run(secs(2));
    let (a, b) = (office.phone('A').media, office.phone('B').media);
    assert!(office.media.joined(a, b), "{:?}", office.explained);
    assert_eq!(header(&mut office, 'B', "Answer-Mode"), "Auto");
    // What follows is a call like any other.
    office.phone('C').does = Does::Answers(200);
    let now = office.now;
    office.phone('B').refer(now, &format!("<sip:803@{SERVER}>"), &[]);
    office.run(secs(2));
    let c = office.phone('C').media;
    assert!(office.media.joined(a, c), "{:?}", office.explained);
    assert_eq!(header(&mut office, 'C', "Answer-Mode"), "", "who is called next rings");
    office.hang_up('A');
    only(office.finish());
}

#[test]
fn who_talks_or_is_not_to_be_disturbed_is_not_called_by_itself() {
    let mut office = planned();
    office.call('C', "*78");
    office.run(secs(6));
    office.phone('B').does = Does::Answers(200);
    office.call(TRUNK, "0312340002");
    office.run(secs(2));
    for name in ['B', 'C'] {
        office.phone(name).log.clear();
    }
    for number in ["*80802", "*80803"] {
        office.phone('D').log.clear();
        office.call('D', number);
        office.run(secs(5));
        assert!(office.phone('D').heard("failed 486"), "{:?}", office.phone('D').log);
    }
    office.phone('A').does = Does::Answers(200);
    office.call('D', "690");
    office.run(secs(2));
    assert_eq!(room(&office), "aD", "{:?}", office.explained);
    assert!(!office.phone('B').heard("invite") && !office.phone('C').heard("invite"));
    office.hang_up('D');
    for wrong in ["*80", "*80804", "*80999", "*80600"] {
        office.phone('D').log.clear();
        office.call('D', wrong);
        office.run(secs(5));
        assert!(office.phone('D').heard("failed 404"), "{wrong}: {:?}", office.phone('D').log);
    }
    office.hang_up(TRUNK);
    office.finish();
}
