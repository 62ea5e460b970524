//! After a fault of ours: the call whose event it was is hung up with 500 where it can be, and
//! whatever still points to a call that is lost is put right, so that a fault costs one call and
//! neither its channels nor a place in a room, a queue or a slot.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use koukan_base::{CallId, WorkerId};
use koukan_media::Command;
use koukan_sip::{Response, ServerTx};

use crate::action::{Action, Now};
use crate::call::Call;
use crate::fax::FaxOrder;
use crate::module::{AppEvent, ModuleOrder};
use crate::record::CallCause;
use crate::switch::{LegKey, Switch};

/// What the other side of a dialog is told (RFC 3326).
const FAULT: &str = "SIP;cause=500;text=\"Server Internal Error\"";

impl Switch {
    /// Handling a call has panicked: the call ends as well as it can, and the panic goes on to
    /// whoever counts it.
    pub(crate) fn end_by_fault(&mut self, now: Now, call: Box<Call>, fault: Box<dyn Any + Send>) {
        self.explain(call.id, "a fault of ours ends the call");
        // What is half done may fail once more; then `recover` finds what is left.
        let end = || self.end(now, call, CallCause::Internal, 500);
        let _ = catch_unwind(AssertUnwindSafe(end));
        resume_unwind(fault)
    }

    /// Handles a request: a fault meanwhile leaves it to `recover`.
    pub(crate) fn holding(&mut self, tx: ServerTx, handler: impl FnOnce(&mut Self)) {
        let before = self.in_hand.replace(tx);
        handler(self);
        self.in_hand = before;
    }

    /// Puts the tables right behind a panic that was caught: to be called before anything else is
    /// handed in. What belonged to calls that are lost is refused, hung up and given back.
    pub fn recover(&mut self, now: Now) {
        // Of a request that is of no call nobody else knows; one that was answered stays so.
        let in_hand = self.in_hand.take();
        let unknown = |tx: &ServerTx| !self.by_server.contains_key(tx) && !self.lookups.holds(*tx);
        if let Some(tx) = in_hand.filter(unknown) {
            self.ua.respond(now.time, tx, Response::new(500));
        }
        let mut gone = Vec::new();
        let mut find = |id: CallId, known: &Self| {
            let is_lost = !known.knows(id);
            if is_lost && !gone.contains(&id) {
                gone.push(id);
            }
            is_lost
        };
        let servers: Vec<_> = self.by_server.iter().map(|(tx, key)| (*tx, *key)).collect();
        for (tx, (id, _)) in servers {
            if find(id, self) {
                self.by_server.remove(&tx);
                self.ua.respond(now.time, tx, Response::new(500));
            }
        }
        // Where an INVITE of ours is under way, its early dialogs end with it.
        let mut rings: Vec<LegKey> = Vec::new();
        let clients: Vec<_> = self.by_client.iter().map(|(tx, key)| (*tx, *key)).collect();
        for (tx, key) in clients {
            if find(key.0, self) {
                self.by_client.remove(&tx);
                self.ua.cancel(now.time, tx, Some(FAULT));
                rings.push(key);
            }
        }
        let dialogs: Vec<_> = self.by_dialog.iter().map(|(dialog, key)| (*dialog, *key)).collect();
        for (dialog, key) in dialogs {
            if find(key.0, self) {
                self.by_dialog.remove(&dialog);
                if !rings.contains(&key) {
                    self.ua.bye(now.time, dialog, Some(FAULT));
                }
            }
        }
        let streams: Vec<_> = self.by_stream.iter().map(|(stream, key)| (*stream, *key)).collect();
        for (stream, (id, _)) in streams {
            if find(id, self) {
                self.by_stream.remove(&stream);
                // Which worker it went to is lost with the call; the others do not know it.
                for worker in (0..self.config.workers).map(WorkerId) {
                    self.media(worker, Command::Close { stream });
                }
            }
        }
        for id in gone {
            self.explain(id, "lost by a fault of ours");
        }
        self.recover_places();
        self.drain(now);
    }

    /// Channels, slots, rooms, queues and applications that lost calls had.
    fn recover_places(&mut self) {
        let calls = &self.calls;
        let runs = |id: CallId| calls.contains_key(&id);
        self.lots.retain(runs);
        self.rooms.retain(runs);
        self.queues.retain(runs);
        self.usages.retain(runs);
        self.lamps.retain(runs);
        self.channels = self.held_channels();
        let closing = &self.closing;
        let calls = &self.calls;
        self.deadlines.retain(|(_, id)| calls.contains_key(id) || closing.contains_key(id));
        self.fax_asks.retain(|_, id| calls.contains_key(id));
        let lost = |calls: &std::collections::HashMap<CallId, Box<Call>>, id: &CallId| {
            !calls.contains_key(id)
        };
        let faxes: Vec<_> = self.by_fax.extract_if(|_, id| lost(calls, id)).collect();
        let instances: Vec<_> = self.by_instance.extract_if(|_, id| lost(calls, id)).collect();
        for (fax, _) in faxes {
            self.actions.push_back(Action::Fax(FaxOrder::Stop { fax }));
        }
        for (instance, _) in instances {
            self.order(ModuleOrder::Event { instance, event: AppEvent::HangUp });
            self.order(ModuleOrder::Destroy { instance });
        }
    }
}

#[cfg(test)]
#[path = "../tests/office/mod.rs"]
mod office;

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::time::Duration;

    use koukan_base::CallId;
    use koukan_dialplan::State as _;
    use koukan_sip::{Event, UaAction};

    use super::office::{Does, Office, SERVER, TRUNK};
    use crate::record::CallCause;
    use crate::switch::Fate;

    /// The ways into every place that a call can have, and who dials what.
    const PLACES: [(&str, char, &str); 8] = [
        ("ringing", 'A', "803"),
        ("bridged", 'A', "802"),
        ("conference main", 'A', "670"),
        ("queue help", 'A', "680"),
        ("menu front", 'A', "620"),
        ("paging", 'A', "690"),
        ("module announcements", 'A', "999"),
        ("bridged", 'A', "0455550001"),
    ];

    fn office() -> Office {
        let mut office = Office::planned(|text| {
            let more = "[room.main]\n[extension.meeting]\ndial = \"670\"\n\
                        do = { conference = \"main\" }\n\
                        [queue.help]\nagents = [\"C\"]\n[extension.help]\ndial = \"680\"\n\
                        do = { queue = \"help\" }\n[extension.front]\ndial = \"620\"\n\
                        do = { menu = \"front\" }\n[menu.front]\nprompt = \"lunch\"\n\
                        digits = { 1 = \"echo\" }\n\
                        [extension.page]\ndial = \"690\"\ndo = { page = \"desk\" }\n\
                        [group.desk]\nmembers = [\"C\", \"E\"]\n\
                        [park]\nslots = { first = \"8101\", count = 3 }\n[extension.echo]";
            text.replace("[extension.echo]", more)
        });
        office.phone('B').does = Does::Answers(200);
        office.phone('D').does = Does::Answers(200);
        office.phone(TRUNK).does = Does::Answers(200);
        office
    }

    fn stages(office: &Office) -> Vec<String> {
        office.switch.calls().into_iter().map(|call| call.stage).collect()
    }

    fn only_call(office: &Office) -> CallId {
        let calls = office.switch.calls();
        CallId::parse(&calls.last().unwrap().call).unwrap()
    }

    /// A fault in the handling of the newest call, as the server catches it.
    fn fault(office: &mut Office) {
        let (now, id) = (office.now(), only_call(office));
        let switch = &mut office.switch;
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            switch.with_call(now, id, |_, _| -> Fate { std::panic::panic_any("a fault") });
        }));
        assert!(outcome.is_err(), "whoever counts faults hears of it");
        office.switch.recover(now);
    }

    /// The newest call is gone as after a fault in its very end.
    fn lose(office: &mut Office) {
        let (now, id) = (office.now(), only_call(office));
        office.modules.settles = true;
        office.switch.calls.remove(&id).unwrap();
        office.switch.recover(now);
    }

    #[test]
    fn a_fault_ends_its_call_with_500_wherever_it_stands_and_nothing_is_left() {
        for (stage, who, number) in PLACES {
            let mut office = office();
            office.call(who, number);
            office.run(Duration::from_secs(1));
            assert_eq!(stages(&office), [stage], "{:?}", office.explained);
            fault(&mut office);
            assert_eq!(office.switch.audit(), Ok(()), "{stage}");
            assert!(office.switch.tables().channels == 0);
            let cdrs = office.finish();
            assert_eq!(cdrs[0].cause, Some(CallCause::Internal), "{stage}");
        }
    }

    #[test]
    fn a_fault_before_a_request_is_of_a_call_refuses_it() {
        for (method, to_tag) in [("INVITE", ""), ("OPTIONS", "")] {
            let mut office = office();
            let (now, from) = (office.now(), "127.0.0.1:5070");
            let text = format!(
                "{method} sip:0312340001@{SERVER} SIP/2.0\r\n\
                 Via: SIP/2.0/UDP {from};branch=z9hG4bKfault\r\nMax-Forwards: 70\r\n\
                 From: <sip:0455550001@{SERVER}>;tag=a\r\nTo: <sip:0312340001@{SERVER}>{to_tag}\r\n\
                 Call-ID: fault\r\nCSeq: 1 {method}\r\nContact: <sip:x@{from}>\r\n\
                 Content-Length: 0\r\n\r\n"
            );
            let way = super::office::flow(from.parse().unwrap());
            office.switch.ua.handle_bytes(now.time, way, text.as_bytes());
            let tx = loop {
                let action = office.switch.ua.poll_action().expect("an event");
                let UaAction::Event(event) = action else { continue };
                if let Event::Invite { tx, .. } | Event::Request { tx, .. } = event {
                    break tx;
                }
            };
            let switch = &mut office.switch;
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                switch.holding(tx, |_| std::panic::panic_any("a fault"));
            }));
            assert!(outcome.is_err());
            office.switch.recover(now);
            office.run(Duration::from_secs(1));
            assert!(office.sent("SIP/2.0 500") >= 1, "{method}: {:?}", office.did.last());
            assert_eq!(office.finish(), []);
        }
    }

    #[test]
    fn a_call_that_is_lost_even_so_keeps_no_place_and_its_parties_are_hung_up() {
        for (stage, who, number) in PLACES {
            let mut office = office();
            office.call(who, number);
            office.run(Duration::from_secs(1));
            assert_eq!(stages(&office), [stage]);
            lose(&mut office);
            assert_eq!(office.switch.audit(), Ok(()), "{stage}");
            office.run(Duration::from_secs(70));
            office.assert_empty();
            assert_eq!(office.switch.usage("acme", office.now().date).outside_legs, 0);
            assert!(!office.switch.in_call("acme", "A") && !office.switch.in_call("acme", "B"));
        }
    }

    #[test]
    fn who_shares_a_room_a_queue_or_a_lot_with_a_lost_call_goes_on() {
        let mut office = office();
        for (who, number) in [('A', "670"), ('F', "670"), (TRUNK, "0312340003")] {
            office.call(who, number);
            office.run(Duration::from_secs(1));
        }
        let now = office.now;
        office.phone('D').refer(now, &format!("<sip:8101@{SERVER}>"), &[]);
        office.run(Duration::from_secs(1));
        assert_eq!(stages(&office).last().unwrap(), "parked 8101");
        lose(&mut office);
        assert_eq!(office.switch.tables().parked, 0, "the slot is free");
        assert_eq!(stages(&office), ["conference main"; 2]);
        lose(&mut office);
        let views = office.switch.rooms();
        assert_eq!((views.len(), views[0].members.len()), (1, 1));
        office.run(Duration::from_secs(1));
        let media = office.phone('A').media;
        assert!(office.media.playing(media).is_some(), "who is alone now hears music");

        office.call('E', "680");
        office.run(Duration::from_secs(1));
        office.call('F', "680");
        office.run(Duration::from_secs(1));
        lose(&mut office);
        assert_eq!(office.switch.tables().queued, 1);
        office.phone('A').up.clear();
        office.run(Duration::from_secs(1));
        assert_eq!(office.switch.audit(), Ok(()));
        office.stop();
        office.run(Duration::from_secs(40));
        assert_eq!(office.switch.tables().calls, 0);
    }
}
