//! Queues: the order of callers, the choice among agents, places, rests, and the ways on.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod office;

use std::time::Duration;

use koukan_switch::CallCause;
use office::{Does, OFFICE, Office, SERVER, TRUNK, directory_of, ending, only};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn planned(keys: &str) -> Office {
    Office::planned(|plan| with_queue(plan, keys))
}

fn with_queue(plan: &str, keys: &str) -> String {
    let more = format!(
        "[queue.help]\nagents = [\"B\", \"C\", \"D\"]\n{keys}\n\
             [extension.help]\ndial = \"680\"\ndo = {{ queue = \"help\" }}\n\
             [feature_codes]\ndnd = \"*78\"\n[extension.echo]"
    );
    let morning = "{ from = \"09:00\", to = \"12:00\", do = ";
    plan.replace("[extension.echo]", &more)
        .replace(&format!("{morning}\"ring\" }}"), &format!("{morning}{{ queue = \"help\" }} }}"))
}

/// Whose phones ring now.
fn ringing(office: &Office) -> String {
    let calls = office.switch.calls();
    let legs = calls.iter().flat_map(|call| &call.legs);
    let rung = legs.filter(|leg| leg.state == "ringing");
    let mut names: Vec<String> =
        rung.map(|leg| leg.party.trim_start_matches("device ").to_owned()).collect();
    names.sort();
    names.concat()
}

fn answer(office: &mut Office, name: char) {
    let dialog = office.phone(name).ringing.take().unwrap();
    office.answer(name, dialog);
    office.run(secs(1));
}

fn hang_up(office: &mut Office, name: char) {
    office.hang_up(name);
    office.run(secs(1));
}

fn joined(office: &mut Office, a: char, b: char) -> bool {
    let (a, b) = (office.phone(a).media, office.phone(b).media);
    office.media.joined(a, b)
}

fn dial(office: &mut Office, name: char) {
    office.call(name, if name == TRUNK { "0312340001" } else { "680" });
    office.run(secs(1));
}

fn stages(office: &Office) -> Vec<String> {
    office.switch.calls().into_iter().map(|call| call.stage).collect()
}

#[test]
fn callers_wait_with_music_and_are_served_in_their_order() {
    let mut office = planned("strategy = \"round_robin\"");
    dial(&mut office, TRUNK);
    let media = office.phone(TRUNK).media;
    assert_eq!(office.media.playing(media).unwrap(), ["Music"]);
    assert_eq!(ringing(&office), "B", "{:?}", office.explained);
    let invite = office.phone('B').invite.clone().unwrap();
    let from = String::from_utf8_lossy(invite.header(koukan_sip::Header::From).unwrap());
    assert!(from.starts_with("\"0455550001 (help)\" <sip:0455550001@"), "{from}");
    dial(&mut office, 'A');
    assert_eq!(ringing(&office), "BC", "the next caller rings the next agent");
    answer(&mut office, 'C');
    assert!(joined(&mut office, 'A', 'C'), "{:?}", office.explained);
    assert_eq!(office.switch.tables().queued, 1);
    answer(&mut office, 'B');
    assert!(joined(&mut office, TRUNK, 'B'));
    assert!(office.media.playing(media).is_none());
    hang_up(&mut office, TRUNK);
    hang_up(&mut office, 'A');
    let cdrs = office.finish();
    assert_eq!(cdrs.len(), 2);
    for cdr in &cdrs {
        assert_eq!(ending(cdr), (CallCause::CallerHungUp, 200));
    }
}

#[test]
fn the_agent_who_has_been_free_for_the_longest_time_is_called() {
    let mut office = planned("");
    // Of those who had no call at all the first; then who had one last comes last.
    for expected in ["B", "C", "D", "B"] {
        dial(&mut office, 'A');
        assert_eq!(ringing(&office), expected, "{:?}", office.explained);
        let agent = expected.chars().next().unwrap();
        answer(&mut office, agent);
        office.run(secs(5));
        hang_up(&mut office, 'A');
        office.run(secs(5));
    }
    // Calls outside the queue count too: C talks with E, so D is free for longer.
    office.phone('C').does = Does::Answers(200);
    office.call('E', "803");
    office.run(secs(2));
    hang_up(&mut office, 'E');
    office.phone('C').does = Does::Rings;
    dial(&mut office, 'A');
    assert_eq!(ringing(&office), "D");
    hang_up(&mut office, 'A');
    office.finish();
}

#[test]
fn all_free_agents_ring_and_the_first_who_answers_has_the_caller() {
    let mut office = planned("strategy = \"all\"");
    office.phone('D').does = Does::Answers(200);
    office.call('E', "804");
    office.run(secs(1));
    dial(&mut office, 'A');
    assert_eq!(ringing(&office), "BC", "who talks is not called");
    dial(&mut office, TRUNK);
    assert_eq!(ringing(&office), "BC");
    answer(&mut office, 'C');
    assert!(joined(&mut office, 'A', 'C'), "{:?}", office.explained);
    let told = &office.phone('B').log;
    assert!(told.iter().any(|line| line.starts_with("cancelled ")), "{told:?}");
    // B is free again at once, for who came second.
    assert_eq!(ringing(&office), "B", "{:?}", office.explained);
    answer(&mut office, 'B');
    assert!(joined(&mut office, TRUNK, 'B'));
    for name in ['A', 'E', TRUNK] {
        hang_up(&mut office, name);
    }
    assert_eq!(office.finish().len(), 3);
}

#[test]
fn who_does_not_answer_or_refuses_has_a_rest_and_the_next_is_called() {
    let mut office = planned("");
    office.phone('C').does = Does::Refuses(486);
    dial(&mut office, 'A');
    assert_eq!(ringing(&office), "B");
    office.run(secs(20));
    assert!(office.phone('B').heard("cancelled "), "{:?}", office.phone('B').log);
    assert_eq!(ringing(&office), "D", "C refused meanwhile: {:?}", office.explained);
    let media = office.phone('A').media;
    assert_eq!(office.media.playing(media).unwrap(), ["Music"], "without a break");
    // D does not answer either; B has had its rest.
    office.run(secs(20));
    assert_eq!(ringing(&office), "B", "{:?}", office.explained);
    answer(&mut office, 'B');
    assert!(joined(&mut office, 'A', 'B'));
    hang_up(&mut office, 'A');
    only(office.finish());
}

#[test]
fn an_agent_is_left_alone_behind_a_call_and_called_when_it_is_free_again() {
    let mut office = planned("wrap_up = \"30s\"");
    for name in ['C', 'D'] {
        office.register(name, &[("Expires", "0")]);
    }
    office.run(secs(1));
    dial(&mut office, 'A');
    answer(&mut office, 'B');
    dial(&mut office, TRUNK);
    assert_eq!(stages(&office), ["bridged", "queue help"]);
    hang_up(&mut office, 'A');
    office.run(secs(20));
    assert_eq!(ringing(&office), "", "it wraps up");
    office.run(secs(10));
    assert_eq!(ringing(&office), "B", "{:?}", office.explained);
    // Who registers meanwhile is found.
    office.phone('B').does = Does::Refuses(603);
    office.phone('B').ringing = None;
    office.run(secs(20));
    office.phone('C').does = Does::Answers(200);
    office.register('C', &[]);
    office.run(secs(12));
    assert!(joined(&mut office, TRUNK, 'C'), "{:?}", office.explained);
    hang_up(&mut office, TRUNK);
    office.finish();
}

#[test]
fn places_are_spoken_when_they_come_in_and_from_time_to_time() {
    let mut office = planned("announce_position = true");
    office.all(Does::Rings);
    for name in ['A', 'E', 'F', TRUNK] {
        dial(&mut office, name);
    }
    let told = |place: &str| ["ja/queue-position", place, "ja/queue-wait"].map(str::to_owned);
    let media = office.phone(TRUNK).media;
    assert_eq!(office.media.playing(media).unwrap(), told("ja/say/n-4"));
    office.run(secs(4));
    assert_eq!(office.media.playing(media).unwrap(), ["Music"]);
    hang_up(&mut office, 'A');
    hang_up(&mut office, 'E');
    office.run(secs(22));
    office.run(secs(3));
    let names = office.media.played.clone();
    assert!(names.ends_with(&told("ja/say/n-2")), "{names:?}");
    hang_up(&mut office, 'F');
    hang_up(&mut office, TRUNK);
    office.finish();
}

#[test]
fn who_waits_too_long_finds_it_full_or_without_an_agent_goes_the_way_on() {
    let way = "max_wait = \"50s\"\nmax_callers = 2\noverflow = \"echo\"";
    let mut office = planned(way);
    dial(&mut office, 'A');
    office.run(secs(25));
    assert_eq!(stages(&office), ["queue help"]);
    office.run(secs(26));
    assert_eq!(stages(&office), ["echo"], "{:?}", office.explained);
    assert_eq!(ringing(&office).len(), 0);
    dial(&mut office, 'E');
    dial(&mut office, 'F');
    dial(&mut office, TRUNK);
    assert_eq!(stages(&office), ["echo", "queue help", "queue help", "echo"]);
    for name in ['A', 'E', 'F', TRUNK] {
        hang_up(&mut office, name);
    }
    for name in ['B', 'C'] {
        office.register(name, &[("Expires", "0")]);
    }
    office.call('D', "*78");
    office.run(secs(6));
    dial(&mut office, 'A');
    assert_eq!(stages(&office), ["echo"], "the only one there does not want to be disturbed");
    hang_up(&mut office, 'A');
    office.finish();

    let mut office = planned("max_callers = 1");
    dial(&mut office, 'A');
    dial(&mut office, 'E');
    assert_eq!(office.media.played.last().unwrap(), "ja/lines-busy");
    office.run(secs(4));
    assert!(office.phone('E').heard("failed 480"), "{:?}", office.phone('E').log);
    hang_up(&mut office, 'A');
    office.finish();
}

#[test]
fn a_caller_who_gives_up_or_is_transferred_in_leaves_nothing_behind() {
    let mut office = planned("strategy = \"all\"");
    dial(&mut office, TRUNK);
    assert_eq!(ringing(&office), "BCD");
    hang_up(&mut office, TRUNK);
    assert_eq!(office.switch.tables().queued, 0);
    office.phone('A').does = Does::Answers(200);
    office.call('E', "801");
    office.run(secs(1));
    let now = office.now;
    office.phone('A').refer(now, &format!("<sip:680@{SERVER}>"), &[]);
    office.run(secs(1));
    assert_eq!(stages(&office), ["queue help"], "{:?}", office.explained);
    assert_eq!(office.phone('A').told().last(), Some(&200));
    // An agent who was called is taken by a colleague.
    hang_up(&mut office, 'E');
    office.finish();
}

#[test]
fn a_caller_who_waits_for_an_hour_costs_no_more_memory_than_one_who_waits_for_ten_minutes() {
    let mut office = planned("strategy = \"all\"");
    dial(&mut office, TRUNK);
    office.run(secs(600));
    office.run(secs(3_000));
    let call = office.switch.calls().remove(0);
    assert_eq!(call.stage, "queue help");
    assert!(call.legs.len() <= 44, "{} legs", call.legs.len());
    hang_up(&mut office, TRUNK);
    let cdr = only(office.finish());
    assert!(cdr.legs.len() <= 44);
}

#[test]
fn whoever_comes_while_others_wait_is_served_by_the_plan_in_force() {
    let mut office = planned("");
    dial(&mut office, TRUNK);
    assert_eq!(ringing(&office).len(), 1);
    let agents = "agents = [\"B\", \"C\", \"D\"]";
    let plan = with_queue(OFFICE, "").replace(agents, "agents = [\"E\"]");
    office.install(directory_of(&[("acme", plan)], office.now().date));
    dial(&mut office, 'A');
    office.run(secs(30));
    assert_eq!(ringing(&office), "E", "{:?}", office.explained);
}

#[test]
fn queues_that_lead_to_each_other_end_when_none_of_them_has_an_agent() {
    let mut office = Office::planned(|plan| {
        let more = "[queue.help]\nagents = [\"B\"]\noverflow = { queue = \"sales\" }\n\
                    [queue.sales]\nagents = [\"C\"]\noverflow = { queue = \"help\" }\n\
                    [extension.help]\ndial = \"680\"\ndo = { queue = \"help\" }\n\
                    [extension.echo]";
        plan.replace("[extension.echo]", more)
    });
    for name in ['B', 'C'] {
        office.register(name, &[("Expires", "0")]);
    }
    office.run(secs(1));
    dial(&mut office, 'A');
    office.run(secs(4));
    assert!(office.phone('A').heard("failed 480"), "{:?}", office.phone('A').log);
    // Waiting in one of them is no circle.
    office.register('B', &[]);
    office.run(secs(1));
    dial(&mut office, 'A');
    assert_eq!(stages(&office), ["queue help"]);
    hang_up(&mut office, 'A');
    office.finish();
}

#[test]
fn agents_who_never_answer_are_called_for_as_long_as_somebody_waits() {
    let mut office = planned("strategy = \"all\"");
    dial(&mut office, TRUNK);
    let mut rounds = 0;
    for _ in 0..60 {
        if ringing(&office) == "BCD" {
            rounds += 1;
        }
        office.run(secs(20));
        assert_eq!(ringing(&office), "", "{:?}", office.explained.last());
        office.run(secs(10));
    }
    assert_eq!(rounds, 60, "no round was left out");
    hang_up(&mut office, TRUNK);
    office.finish();
}

#[test]
fn a_caller_that_may_be_passed_on_to_nobody_rests_no_agent() {
    for (breadth, called) in [("0", ""), ("1", "B")] {
        let mut office = planned("strategy = \"all\"");
        office.phone(TRUNK).headers = vec![("Max-Breadth", breadth.as_bytes().to_vec())];
        dial(&mut office, TRUNK);
        assert_eq!(ringing(&office), called, "{:?}", office.explained);
        if breadth == "0" {
            assert!(office.phone(TRUNK).heard("failed 440"), "{:?}", office.phone(TRUNK).log);
        } else {
            // Nobody answers; those who were not called have no rest.
            office.run(secs(20));
            assert_eq!(ringing(&office), "C", "{:?}", office.explained);
            office.hang_up(TRUNK);
            office.run(secs(1));
        }
        dial(&mut office, 'A');
        let rung = ringing(&office);
        assert!(rung.contains("CD") || rung.contains('D'), "{rung} {:?}", office.explained);
        hang_up(&mut office, 'A');
        office.finish();
    }
}

#[test]
fn an_agent_who_logs_out_is_called_no_more_until_it_comes_back() {
    let mut office = Office::planned(|plan| {
        let more = "[queue.help]\nagents = [\"B\", \"C\"]\n[extension.help]\ndial = \"680\"\n\
                    do = { queue = \"help\" }\n[feature_codes]\nagent = \"*45\"\n[extension.echo]";
        plan.replace("[extension.echo]", more)
    });
    let states = |office: &Office| -> Vec<String> {
        let queues = office.switch.queues(office.now());
        assert_eq!((queues.len(), queues[0].queue.as_str()), (1, "help"));
        queues[0].agents.iter().map(|agent| format!("{} {}", agent.device, agent.state)).collect()
    };
    assert_eq!(states(&office), ["B free", "C free"]);
    office.call('B', "*45");
    office.run(secs(6));
    assert!(office.media.played.ends_with(&["ja/beep".to_owned(), "ja/beep".to_owned()]));
    assert_eq!(states(&office), ["B away", "C free"], "{:?}", office.explained);
    dial(&mut office, 'A');
    assert_eq!(ringing(&office), "C");
    let caller = office.switch.queues(office.now())[0].callers.remove(0);
    assert_eq!((caller.caller.as_str(), caller.rings), ("801", vec!["C".to_owned()]));
    assert_eq!(states(&office), ["B away", "C busy"]);
    office.phone('C').does = Does::Refuses(486);
    let dialog = office.phone('C').ringing.take();
    assert!(dialog.is_some());
    office.run(secs(21));
    assert_eq!(
        (ringing(&office), states(&office)),
        (String::new(), vec!["B away".to_owned(), "C rests".to_owned()])
    );
    office.call('B', "*45");
    office.run(secs(12));
    assert!(ringing(&office).contains('B'), "{:?}", office.explained);
    // Who is no agent has nothing to log in to.
    office.call('D', "*45");
    office.run(secs(5));
    assert_eq!(office.media.played.last().unwrap(), "ja/refused");
    hang_up(&mut office, 'A');
    office.finish();
}
