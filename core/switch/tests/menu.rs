//! Menus: keys as events and by INFO, extensions of a closed list, silence, wrong keys, circles.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod office;

use std::time::Duration;

use koukan_sip::{Body, Method};
use koukan_switch::CallCause;
use office::{Does, Office, TRUNK, ending};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Number 3 has a menu in the place of its phones.
fn menu(keys: &str) -> Office {
    let mut office = Office::planned(|plan| {
        let more = format!(
            "[menu.front]\nprompt = \"front\"\n{keys}\n[extension.front]\ndial = \"620\"\n\
             do = {{ menu = \"front\" }}\n[group.sales]\nmembers = [\"B\", \"C\"]\n\
             [extension.echo]"
        );
        let lunch = "lunch = { prompt = \"lunch\" }";
        let prompts =
            format!("{lunch}\nfront = {{ prompt = \"front\" }}\nwrong = {{ prompt = \"wrong\" }}");
        let morning = "{ from = \"09:00\", to = \"12:00\", do = ";
        plan.replace("[extension.echo]", &more).replace(lunch, &prompts).replace(
            &format!("{morning}\"ring\" }}"),
            &format!("{morning}{{ menu = \"front\" }} }}"),
        )
    });
    office.call(TRUNK, "0312340001");
    office.run(secs(1));
    office
}

const KEYS: &str = "digits = { 1 = { group = \"sales\" }, 2 = { announce = \"lunch\" }, 3 = \"echo\" }\n\
                    direct_extensions = [\"A\", \"D\"]\ntimeout = \"4s\"\nretries = 1\n\
                    invalid = \"wrong\"";

fn press(office: &mut Office, keys: &str) {
    for key in keys.bytes() {
        let (now, media) = (office.now, office.phone(TRUNK).media);
        office.media.press(now, media, key);
        office.run(Duration::from_millis(300));
    }
}

fn stage(office: &Office) -> String {
    office.switch.calls().first().map(|call| call.stage.clone()).unwrap_or_default()
}

fn rung(office: &Office) -> String {
    ('A'..='F').filter(|name| office.phones[name].heard("invite")).collect()
}

#[test]
fn a_key_leads_where_the_plan_says_and_stops_the_prompt() {
    let mut office = menu(KEYS);
    assert!(office.phone(TRUNK).heard("answered"), "{:?}", office.explained);
    assert_eq!(
        (stage(&office), office.media.played.clone()),
        ("menu front".into(), vec!["ja/front".into()])
    );
    office.phone('C').does = Does::Answers(500);
    press(&mut office, "1");
    assert_eq!(rung(&office), "BC");
    let media = office.phone(TRUNK).media;
    assert_eq!(office.media.playing(media).unwrap(), ["Music"], "who waits hears music");
    office.run(secs(1));
    let c = office.phone('C').media;
    assert!(office.media.joined(media, c));
    office.hang_up(TRUNK);
    let cdrs = office.finish();
    assert_eq!(ending(&cdrs[0]), (CallCause::CallerHungUp, 200));
}

#[test]
fn a_key_by_info_is_a_key() {
    let mut office = menu(KEYS);
    let now = office.now;
    let body = Body {
        content_type: "application/dtmf-relay",
        bytes: b"Signal=3\r\nDuration=160\r\n".to_vec(),
    };
    office.phone(TRUNK).in_dialog(now, Method::Info, Some(body));
    office.run(secs(1));
    assert_eq!(stage(&office), "echo");
    office.hang_up(TRUNK);
    office.finish();
}

#[test]
fn an_extension_of_the_list_is_reached_and_no_other() {
    let mut office = menu(KEYS);
    press(&mut office, "804");
    office.run(secs(1));
    assert_eq!(rung(&office), "D");
    office.hang_up(TRUNK);
    office.finish();

    let mut office = menu(KEYS);
    press(&mut office, "802");
    office.run(secs(1));
    assert_eq!(rung(&office), "");
    assert_eq!(office.media.played, ["ja/front", "ja/wrong", "ja/front"]);
    office.hang_up(TRUNK);
    office.finish();

    // Half an extension is no key.
    let mut office = menu(KEYS);
    press(&mut office, "80");
    office.run(secs(3));
    assert_eq!(office.media.played, ["ja/front", "ja/wrong", "ja/front"]);
    office.hang_up(TRUNK);
    office.finish();
}

#[test]
fn behind_an_announcement_the_menu_begins_again() {
    let mut office = menu(KEYS);
    press(&mut office, "2");
    office.run(secs(5));
    assert_eq!(office.media.played, ["ja/front", "ja/lunch", "ja/front"]);
    press(&mut office, "3");
    assert_eq!(stage(&office), "echo");
    office.hang_up(TRUNK);
    office.finish();
}

#[test]
fn silence_has_the_prompt_again_and_then_the_way_on_or_the_end() {
    // The prompt takes three seconds, then four are waited.
    let mut office = menu(KEYS);
    office.run(secs(5));
    assert_eq!(office.media.played.len(), 1);
    office.run(secs(2));
    assert_eq!(office.media.played, ["ja/front", "ja/front"]);
    office.run(secs(7));
    assert!(office.phone(TRUNK).heard("bye "), "{:?}", office.explained);
    office.finish();

    let mut office = menu(&format!("{KEYS}\non_timeout = {{ group = \"sales\" }}"));
    office.run(secs(14));
    assert_eq!(rung(&office), "BC");
    office.hang_up(TRUNK);
    office.finish();
}

#[test]
fn menus_that_lead_to_each_other_end() {
    let keys = "digits = { 1 = { menu = \"front\" } }\ntimeout = \"1s\"\nretries = 0\n\
                on_timeout = { menu = \"front\" }";
    let mut office = menu(keys);
    office.run(secs(400));
    assert!(office.phone(TRUNK).heard("bye "), "{:?}", office.explained.last());
    office.finish();
}

#[test]
fn a_caller_may_be_transferred_into_a_menu_and_hangs_up_in_it() {
    let mut office = menu(KEYS);
    office.hang_up(TRUNK);
    office.run(secs(1));
    office.phone('D').does = Does::Answers(200);
    office.call(TRUNK, "0312340003");
    office.run(secs(1));
    let now = office.now;
    office.phone('D').refer(now, &format!("<sip:620@{}>", office::SERVER), &[]);
    office.run(secs(1));
    assert_eq!(stage(&office), "menu front");
    assert_eq!(office.phone('D').told().last(), Some(&200));
    office.hang_up(TRUNK);
    office.finish();
}
