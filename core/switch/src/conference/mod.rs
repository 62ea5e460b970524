//! Conference rooms (`[room.X]`): every member is a call of its own, with its own record and
//! channels; what joins them is a room of the media engine. Members are moved to the worker where
//! it began, until they are as many as one worker shall have: then it gets a part on another. The
//! room begins with its first member and ends with its last.

mod ad_hoc;
mod attend;
mod control;
mod dial_out;
mod keys;
mod pin;
mod tape;
mod tries;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;
use koukan_base::{BridgeId, CallId, OpId, StreamId, Time, WorkerId};
use koukan_dialplan::Room;

use crate::action::Now;
use crate::call::{Call, Stage};
use crate::leg::{LegState, LegStream, Party};
use crate::limits;
use crate::record::CallCause;
use crate::switch::{Fate, Switch};

pub use control::{MemberView, RoomError, RoomOrder, RoomView};
pub(crate) use dial_out::{Guest, brings_somebody};
use keys::Typed;
use pin::Asking;
use tape::RoomTape;
use tries::WrongPins;

/// A room by its tenant and its name in the plan.
pub(crate) type RoomKey = (Arc<str>, Arc<str>);

/// A caller at a room: before its door, or in it.
#[derive(Debug)]
pub(crate) struct Attendance {
    /// The room, which may be another office's than the call.
    pub(crate) key: RoomKey,
    spec: Arc<Room>,
    state: Attending,
}

#[derive(Debug)]
enum Attending {
    /// It is asked for the PIN.
    Asking(Asking),
    /// It is a member.
    Inside(Member),
}

/// A member of a room.
#[derive(Debug)]
struct Member {
    moderator: bool,
    since: Timestamp,
    /// It does not want to be heard.
    muted: bool,
    /// What it was told of that, with what the room has decided for everybody.
    told: bool,
    /// The stream that was brought into the room.
    stream: Option<StreamId>,
    /// Whether the worker lets the others hear it.
    silent: bool,
    talking: bool,
    /// What is played to it alone.
    words: Option<OpId>,
    /// Keys of an order that is being pressed.
    typed: Option<Typed>,
}

impl Member {
    const fn new(moderator: bool, since: Timestamp) -> Self {
        Self {
            moderator,
            since,
            muted: false,
            told: false,
            stream: None,
            silent: false,
            talking: false,
            words: None,
            typed: None,
        }
    }
}

impl Attendance {
    /// When a caller at a room has taken too long.
    pub(crate) fn until(&self) -> Option<Time> {
        match &self.state {
            Attending::Asking(asking) => asking.until,
            Attending::Inside(member) => member.typed.as_ref().map(|typed| typed.until),
        }
    }

    /// Whether it is asked for keys.
    pub(crate) const fn is_asked(&self) -> bool {
        matches!(self.state, Attending::Asking(_))
    }
}

/// A room that somebody is in.
#[derive(Debug)]
pub(crate) struct OpenRoom {
    bridge: BridgeId,
    worker: WorkerId,
    spec: Arc<Room>,
    /// In the order of their coming.
    members: Vec<CallId>,
    /// Calls that are to bring somebody.
    guests: Vec<CallId>,
    locked: bool,
    /// It ends when one member alone is left.
    ad_hoc: bool,
    /// Nobody but moderators is heard.
    hushed: bool,
    /// Its recording under way.
    tape: Option<RoomTape>,
    /// It was told that nobody's stream can be recorded for it.
    is_untaped: bool,
    /// What is played to everybody, and what follows.
    saying: Option<OpId>,
    to_say: VecDeque<&'static str>,
}

/// Why somebody is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NotIn {
    Full,
    Locked,
}

impl NotIn {
    const fn prompt(self) -> &'static str {
        match self {
            Self::Full => "room-full",
            Self::Locked => "room-locked",
        }
    }
}

/// Whom a change of a room concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Concerns {
    /// Who is or was alone in it.
    Few,
    /// All of its members.
    Everybody,
}

/// Every room of the shard that somebody is in.
#[derive(Debug, Default)]
pub(crate) struct Rooms {
    open: HashMap<RoomKey, OpenRoom>,
    by_bridge: HashMap<BridgeId, RoomKey>,
    /// Rooms whose members have to be looked at.
    changed: BTreeMap<RoomKey, Concerns>,
    /// Members that are put out.
    put_out: Vec<CallId>,
    /// Members that are told something.
    told: Vec<(CallId, &'static str)>,
    /// Wrong PINs that were pressed lately.
    wrong: WrongPins,
}

impl Rooms {
    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    fn change(&mut self, key: RoomKey, concerns: Concerns) {
        let known = self.changed.entry(key).or_insert(concerns);
        *known = (*known).max(concerns);
    }

    /// Whether the plan's rules and the room as it stands let one more in.
    fn has_place(&self, key: &RoomKey, spec: &Room, invited: bool) -> Result<(), NotIn> {
        let Some(room) = self.open.get(key) else { return Ok(()) };
        let count = u32::try_from(room.members.len()).unwrap_or(u32::MAX);
        if count >= spec.max_members {
            return Err(NotIn::Full);
        }
        if room.locked && !invited { Err(NotIn::Locked) } else { Ok(()) }
    }

    /// A room from which somebody has gone: true when it ends, with the last member, or with the
    /// last but one of a room that a phone has made of its calls.
    fn close_empty(&mut self, key: &RoomKey) -> bool {
        let Some(room) = self.open.get_mut(key) else { return true };
        if room.members.is_empty() {
            let bridge = room.bridge;
            let guests = std::mem::take(&mut room.guests);
            self.put_out.extend(guests);
            self.open.remove(key);
            self.by_bridge.remove(&bridge);
            self.changed.remove(key);
            return true;
        }
        let ends = room.ad_hoc && room.members.len() == 1 && room.guests.is_empty();
        if ends {
            self.put_out.extend(room.members.iter().copied());
        }
        ends
    }

    /// Calls that are lost are in no room, and bring nobody.
    pub(crate) fn retain(&mut self, is_kept: impl Fn(CallId) -> bool) {
        let keys: Vec<RoomKey> = self.open.keys().cloned().collect();
        for key in keys {
            let Some(room) = self.open.get_mut(&key) else { continue };
            let before = room.members.len().saturating_add(room.guests.len());
            room.members.retain(|call| is_kept(*call));
            room.guests.retain(|call| is_kept(*call));
            let after = room.members.len().saturating_add(room.guests.len());
            if before != after && !self.close_empty(&key) {
                self.change(key, Concerns::Everybody);
            }
        }
    }

    /// Has everybody in a room hear something, behind what is said already.
    fn say(&mut self, key: &RoomKey, prompt: &'static str) {
        if let Some(room) = self.open.get_mut(key)
            && room.to_say.len() < limits::ROOM_WORDS
        {
            room.to_say.push_back(prompt);
            self.change(key.clone(), Concerns::Few);
        }
    }
}

impl Switch {
    /// A caller comes to a room: it is asked for the PIN, or let in; `None` when the next step has
    /// its turn.
    pub(crate) fn start_conference(
        &mut self,
        now: Now,
        call: &mut Call,
        room: Arc<str>,
        spec: Arc<Room>,
    ) -> Option<Fate> {
        let key = (call.tenant.clone(), room.clone());
        let asks = spec.pin.is_some() || spec.moderator_pin.is_some();
        if asks && !self.directory.room_pins.contains_key(&key) {
            self.explain(call.id, format!("the PINs of room {room} cannot be read"));
            return None;
        }
        // Who knows the moderator's PIN comes into a locked room too.
        let invited = spec.moderator_pin.is_some();
        if let Err(why) = self.rooms.has_place(&key, &spec, invited) {
            self.explain(call.id, format!("room {room}: {}", why.prompt()));
            self.refuse_step(call, 486, why.prompt());
            return None;
        }
        if !self.answer_caller(now, call, None) {
            return Some(Fate::End(CallCause::NotAnswered, 488));
        }
        self.transfer_done(now, call);
        if asks {
            self.ask_for_pin(call, key, spec);
            return Some(Fate::Keep);
        }
        let moderator = leads_by_itself(call, &key, &spec);
        Some(self.enter_room(now, call, (key, spec), (moderator, false)))
    }

    /// Lets a caller that has been answered into a room.
    fn enter_room(
        &mut self,
        now: Now,
        call: &mut Call,
        (key, spec): (RoomKey, Arc<Room>),
        (moderator, invited): (bool, bool),
    ) -> Fate {
        let name = key.1.clone();
        if let Err(why) = self.rooms.has_place(&key, &spec, moderator || invited) {
            self.explain(call.id, format!("room {name}: {}", why.prompt()));
            self.listen(call, false);
            self.refuse_step(call, 486, why.prompt());
            return self.next_step(now, call);
        }
        let line = if moderator { " as a moderator" } else { "" };
        self.explain(call.id, format!("comes into room {name}{line}"));
        let (bridge, worker) = (BridgeId(self.next_number()), call.worker);
        self.rooms.open.entry(key.clone()).or_insert_with(|| OpenRoom {
            bridge,
            worker,
            spec: spec.clone(),
            members: Vec::new(),
            guests: Vec::new(),
            locked: false,
            ad_hoc: false,
            hushed: false,
            tape: None,
            is_untaped: false,
            saying: None,
            to_say: VecDeque::new(),
        });
        let worker = self.part_for(&key, call.worker);
        if let Some(room) = self.rooms.open.get_mut(&key) {
            room.members.push(call.id);
            let bridge = room.bridge;
            self.rooms.by_bridge.insert(bridge, key.clone());
        }
        self.rooms.change(key.clone(), Concerns::Few);
        call.failures.clear();
        let state = Attending::Inside(Member::new(moderator, now.date));
        call.stage = Stage::Conference(Attendance { key, spec, state });
        self.listen(call, false);
        self.start_tape(now, call);
        self.come_to_worker(now, call, worker);
        self.attend(call);
        self.write_record(now, call);
        Fate::Keep
    }

    /// Another party has taken the place of a leg: the rights of a member are of who got them, not
    /// of the place. The leg that left stands at the second index.
    pub(crate) fn member_replaced(&mut self, now: Now, call: &mut Call, (at, left): (u16, u16)) {
        let same = call.leg(at).map(|leg| &leg.party) == call.leg(left).map(|leg| &leg.party);
        let Stage::Conference(attendance) = &call.stage else { return };
        if at != 0 || same {
            return;
        }
        let (key, spec) = (attendance.key.clone(), attendance.spec.clone());
        let made = self.rooms.open.get(&key).is_some_and(|room| room.ad_hoc);
        let leads = !made && leads_by_itself(call, &key, &spec);
        if let Some(member) = member_of(call) {
            // What an operator has ordered for this place stays.
            let muted = member.muted;
            *member = Member { muted, ..Member::new(leads, now.date) };
        }
    }

    /// The worker on which somebody comes into a room: where it began while there is place; else
    /// one that has a part of it with places, its own before others; else one that has none, and
    /// at last the one with fewest members.
    fn part_for(&self, key: &RoomKey, own: WorkerId) -> WorkerId {
        let Some(room) = self.rooms.open.get(key) else { return own };
        let most = usize::try_from(self.config.room_part).unwrap_or(usize::MAX);
        if room.members.len() < most {
            return room.worker;
        }
        let mut counts = vec![0usize; self.config.workers.max(1).into()];
        for call in room.members.iter().filter_map(|id| self.calls.get(id)) {
            if let Some(count) = counts.get_mut(usize::from(call.worker.0)) {
                *count = count.saturating_add(1);
            }
        }
        let workers = (0..).zip(&counts).map(|(number, count)| (WorkerId(number), *count));
        let rank = |(worker, count): &(WorkerId, usize)| {
            let has_place = *count < most;
            // Few parts, since each adds a little to all the others' work.
            let kind = match (*worker == room.worker, *count > 0) {
                (true, _) if has_place => 0,
                (_, true) if has_place => 1,
                (_, false) => 2,
                _ => 3,
            };
            let fill = if kind == 3 { *count } else { 0 };
            (kind, fill, *worker != own, *worker)
        };
        workers.min_by_key(rank).map_or(own, |(worker, _)| worker)
    }

    /// Brings a caller's stream to the worker of its part of a room.
    fn come_to_worker(&mut self, now: Now, call: &mut Call, worker: WorkerId) {
        if call.worker == worker {
            return;
        }
        // Whoever else has a stream here (a phone that wants to take the call over) stays behind.
        for index in (1u16..).take(call.legs.len().saturating_sub(1)) {
            if call.leg(index).is_some_and(|leg| leg.stream.live().is_some()) {
                self.end_leg(now, call, index, 480, None);
            }
        }
        let from = std::mem::replace(&mut call.worker, worker);
        let Some(leg) = call.leg_mut(0) else { return };
        if let LegStream::Open(stream, address) = leg.stream {
            leg.stream = LegStream::Moving(stream, address);
            // What it plays stops on the way.
            leg.music = None;
            self.move_stream(from, stream, worker);
        }
    }

    /// A call that is over, or goes on elsewhere, leaves its room.
    pub(crate) fn leave_room(&mut self, call: &Call) {
        let Stage::Conference(attendance) = &call.stage else { return };
        let key = attendance.key.clone();
        let Some(room) = self.rooms.open.get_mut(&key) else { return };
        let before = room.members.len();
        room.members.retain(|member| *member != call.id);
        if room.members.len() == before {
            return;
        }
        if self.rooms.close_empty(&key) {
            return;
        }
        let Some(room) = self.rooms.open.get_mut(&key) else { return };
        let tells = room.spec.announce && room.members.len() > 1;
        if tells {
            self.rooms.say(&key, "room-left");
        }
        self.rooms.change(key, Concerns::Few);
    }

    /// Looks at the members of rooms that have changed, outside the work on any one of them; true
    /// when there was something to do.
    pub(crate) fn settle_rooms(&mut self, now: Now) -> bool {
        let put_out = std::mem::take(&mut self.rooms.put_out);
        let told = std::mem::take(&mut self.rooms.told);
        let changed = std::mem::take(&mut self.rooms.changed);
        let did = !(put_out.is_empty() && told.is_empty() && changed.is_empty());
        for id in put_out {
            self.with_call(now, id, |switch, call| {
                switch.explain(call.id, "has no place in the room any more");
                Fate::End(CallCause::Killed, 480)
            });
        }
        for (id, words) in told {
            self.with_call(now, id, |switch, call| {
                switch.tell_member(call, words);
                Fate::Keep
            });
        }
        for (key, concerns) in changed {
            let Some(room) = self.rooms.open.get(&key) else { continue };
            let few = room.members.len() <= 2;
            let looked_at = few || concerns == Concerns::Everybody;
            let members = if looked_at { room.members.clone() } else { Vec::new() };
            for id in members {
                self.with_call(now, id, |switch, call| {
                    switch.attend(call);
                    Fate::Keep
                });
            }
            self.tape_room(now, &key);
            self.say_next(&key);
        }
        did
    }

    /// A caller at a room has taken too long over its keys.
    pub(crate) fn conference_timeout(&mut self, now: Now, call: &mut Call) -> Fate {
        let Stage::Conference(attendance) = &call.stage else { return Fate::Keep };
        match &attendance.state {
            Attending::Asking(_) => self.pin_timeout(now, call),
            Attending::Inside(_) => {
                self.order_timeout(now, call);
                Fate::Keep
            }
        }
    }

    /// A caller at a room pressed a key.
    pub(crate) fn conference_key(&mut self, now: Now, call: &mut Call, key: u8) -> Fate {
        let Stage::Conference(attendance) = &call.stage else { return Fate::Keep };
        match &attendance.state {
            Attending::Asking(_) => self.pin_key(now, call, key),
            Attending::Inside(_) => {
                self.order_key(now, call, key);
                Fate::Keep
            }
        }
    }

    /// A stream has come into its room, or could not.
    pub(crate) fn member_joined(
        &mut self,
        now: Now,
        call: &mut Call,
        stream: StreamId,
        joined: bool,
    ) -> Fate {
        let Stage::Conference(attendance) = &call.stage else { return Fate::Keep };
        let Attending::Inside(member) = &attendance.state else { return Fate::Keep };
        if member.stream != Some(stream) || !is_up(call) {
            return Fate::Keep;
        }
        let key = attendance.key.clone();
        if joined {
            let others = self.rooms.open.get(&key).is_some_and(|room| room.members.len() > 1);
            let (announce, recorded) = (attendance.spec.announce, attendance.spec.record);
            if announce && others {
                self.rooms.say(&key, "room-joined");
            }
            if recorded {
                self.tell_member(call, tape::NOTICE);
                self.rooms.change(key, Concerns::Few);
            }
            return Fate::Keep;
        }
        self.explain(call.id, "the media engine has no place in the room");
        self.stop_music(call, 0);
        self.leave_room(call);
        call.stage = Stage::Opening { until: now.time + limits::seconds(limits::STREAM_S) };
        match self.step_failed(now, call) {
            Some(fate) => fate,
            None => {
                self.refuse_step(call, 503, "room-full");
                self.next_step(now, call)
            }
        }
    }

    /// A member begins or ceases to talk.
    pub(crate) fn member_talks(&mut self, call: &mut Call, stream: StreamId, talking: bool) {
        if let Some(member) = member_of(call)
            && member.stream == Some(stream)
        {
            member.talking = talking;
        }
    }

    /// What played to one caller at a room has ended; false when this was none of it.
    pub(crate) fn conference_said(&mut self, now: Now, call: &mut Call, op: OpId) -> bool {
        let Stage::Conference(attendance) = &mut call.stage else { return false };
        match &mut attendance.state {
            Attending::Asking(asking) => asking.said(now, op),
            Attending::Inside(member) => {
                if member.words.take_if(|words| *words == op).is_none() {
                    return false;
                }
                self.attend(call);
                true
            }
        }
    }
}

/// The office's own phones lead a room that nobody leads by a PIN.
fn leads_by_itself(call: &Call, key: &RoomKey, spec: &Room) -> bool {
    let asks = spec.pin.is_some() || spec.moderator_pin.is_some();
    call.leg(0).is_some_and(|leg| match &leg.party {
        Party::Device { tenant, .. } => !asks && *tenant == key.0,
        Party::Trunk(_) | Party::FaxBox { .. } => false,
    })
}

/// The member that a call is.
fn member_of(call: &mut Call) -> Option<&mut Member> {
    match &mut call.stage {
        Stage::Conference(Attendance { state: Attending::Inside(member), .. }) => Some(member),
        _ => None,
    }
}

fn is_up(call: &Call) -> bool {
    matches!(call.leg(0).map(|leg| leg.state), Some(LegState::Up { .. }))
}
