//! Calls that are recorded because their number has the option (S-70 to S-75): both directions in
//! one stereo file from the answer on, an entry of the index that is written before the file is
//! begun, and the notice that tells the parties. By a code a party has its call recorded that is
//! not by itself, stops that for a while and goes on: each stretch is a file of its own. What
//! cannot be recorded is said loudly and never harms the call.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use koukan_base::{CallId, OpId, StreamId, WorkerId};
use koukan_dialplan::{Notice, PromptRef, Step};
use koukan_media::{
    Command, LONGEST_RECORDING, RecordEnd, RecordFormat, RecordReport, Recorded, Recording,
};
use serde::{Deserialize, Serialize};

use crate::action::{Action, Now};
use crate::call::{Call, Stage};
use crate::conference::RoomKey;
use crate::leg::{Leg, Party};
use crate::record::{Note, Record};
use crate::switch::{Fate, Switch};

/// The owner of the notes that are the index of recordings.
pub const RECORDINGS: &str = "kk:recording";

/// An entry of the index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRecording {
    /// The call, as printed everywhere.
    pub call: String,
    /// The number (its name in the plan) whose option it is; empty for a room.
    pub number: String,
    /// `inbound`, `outbound`; `conference` for what was said in a room.
    pub direction: String,
    /// Who called.
    pub caller: String,
    /// What was called; a room's name in the plan.
    pub called: String,
    /// When it began.
    pub started: Timestamp,
    /// How long it is, in ms; none while it runs.
    pub length_ms: Option<u64>,
    /// From when on it may be seen.
    pub visible: Timestamp,
    /// When it is deleted.
    pub expires: Timestamp,
}

/// That a call is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tape {
    notice: Notice,
    /// It waits until a party asks for it.
    on_demand: bool,
    /// Whether it is to run now: asked for, and not stopped for a while.
    wanted: bool,
    /// Its recording under way.
    op: Option<OpId>,
    /// How many there were: a leg that takes another's place begins a new one.
    parts: u32,
    told: bool,
}

impl Tape {
    pub(crate) const fn new(recording: koukan_dialplan::Recording) -> Self {
        let koukan_dialplan::Recording { notice, on_demand } = recording;
        Self { notice, on_demand, wanted: !on_demand, op: None, parts: 0, told: false }
    }

    /// Whether the parties are to be told now that it runs; once.
    fn tells(&mut self) -> bool {
        // Who asks for it in the middle of a call has nothing to say on arrival.
        let at_start =
            self.notice == Notice::Answer || (self.on_demand && self.notice == Notice::Arrival);
        at_start && !std::mem::replace(&mut self.told, true)
    }
}

/// A recording under way, by its media operation.
#[derive(Clone, Debug)]
pub(crate) struct Running {
    call: CallId,
    tenant: Arc<str>,
    /// What is recorded; its one tap.
    stream: StreamId,
    key: String,
    entry: CallRecording,
    /// It is what is said in this room.
    room: Option<RoomKey>,
}

/// The prompt of the notice.
const NOTICE: &str = "recording-notice";
/// What who dials the code hears: once when the recording runs, twice when it does not any more.
const BEEP: &str = "beep";

impl Switch {
    /// The notice of a call that tells it on arrival goes before everything else.
    pub(crate) fn notice_on_arrival(&mut self, call: &mut Call) {
        let Some(tape) = &mut call.tape else { return };
        let rings = matches!(call.steps.front(), Some(Step::Ring { .. } | Step::Trunk(_)));
        let is_told = tape.notice == Notice::Arrival && !tape.on_demand;
        if is_told && rings && !std::mem::replace(&mut tape.told, true) {
            let language = self.directory.plans.language(&call.tenant).into();
            let prompt = PromptRef { language, name: NOTICE.into() };
            call.steps.push_front(Step::Announce { name: NOTICE.into(), prompt, answered: false });
        }
    }

    /// The parties talk: from now on they are recorded.
    pub(crate) fn start_tape(&mut self, now: Now, call: &mut Call) {
        let stream = call.leg(0).and_then(|leg| leg.stream.live());
        let is_forwarded = is_forwarded(call);
        let is_taped = stream.is_some_and(|stream| self.is_taped(stream));
        let (Some(tape), Some(stream)) = (&mut call.tape, stream) else { return };
        if let Some(op) = tape.op {
            if is_forwarded {
                self.explain(call.id, "goes on outside: its recording ends");
                self.stop_tape(call.worker, &call.legs, op);
            }
            return;
        }
        // What is recorded for another call begins anew when that has ended.
        if !tape.wanted || is_taped {
            return;
        }
        if is_forwarded {
            self.explain(call.id, "goes on outside: is not recorded");
            return;
        }
        let (part, tell) = (tape.parts, tape.tells());
        let number = call.number.as_deref().unwrap_or_default().to_owned();
        let (visible, expires) = self.recording_times(now, &call.tenant);
        let entry = CallRecording {
            call: call.id.to_string(),
            number,
            direction: call.direction.as_str().to_owned(),
            caller: call.caller.clone(),
            called: call.called.clone(),
            started: now.date,
            length_ms: None,
            visible,
            expires,
        };
        let key = format!("{:013}-{}-{part}", now.date.as_millisecond(), call.id);
        let recording = self.stereo(&call.tenant, &key);
        let op = self.next_op();
        if let Some(tape) = &mut call.tape {
            tape.op = Some(op);
            tape.parts = tape.parts.saturating_add(1);
        }
        let tenant = call.tenant.clone();
        let running = Running { call: call.id, tenant, stream, key, entry, room: None };
        // The entry is in the journal before the file is begun.
        self.write_entry(&running, true);
        self.explain(call.id, "is recorded");
        let worker = call.worker;
        self.actions.push_back(Action::Media {
            worker,
            command: Command::Record { stream, op, recording },
        });
        self.tapes.insert(op, running);
        if tell {
            self.tell_notice(call, stream);
        }
    }

    /// The code that records: the call that the phone is in is recorded from now on, or not for a
    /// while. `None`: the next step has its turn.
    pub(crate) fn record_by_code(&mut self, now: Now, call: &mut Call) -> Option<Fate> {
        let Some(Party::Device { tenant, device }) = call.leg(0).map(|leg| leg.party.clone())
        else {
            return None;
        };
        // A call with a neighbour is the called office's to record, and to stop recording.
        let own = |id: &CallId| self.calls.get(id).is_some_and(|other| other.tenant == tenant);
        let key = self.calls_of(&tenant, &device).into_iter().find(|(id, _)| own(id));
        let mut runs = None;
        if let Some((id, _)) = key {
            self.with_call(now, id, |switch, other| {
                runs = switch.toggle_tape(now, other);
                Fate::Keep
            });
        }
        let Some(runs) = runs else {
            self.explain(call.id, "the call that the phone is in cannot be recorded");
            self.refuse_step(call, 403, "refused");
            return None;
        };
        let language: Arc<str> = self.directory.plans.language(&call.tenant).into();
        let beep = PromptRef { language, name: BEEP.into() };
        let beeps = vec![beep; if runs { 1 } else { 2 }];
        self.start_announcement(call, &beeps, true, None);
        Some(Fate::Keep)
    }

    /// Begins or goes on with a call's recording, or stops it for a while: whether it runs now.
    /// `None`: the call may not be recorded.
    fn toggle_tape(&mut self, now: Now, call: &mut Call) -> Option<bool> {
        if is_forwarded(call) {
            return None;
        }
        let tape = call.tape.as_mut()?;
        tape.wanted = !tape.wanted;
        let (wanted, op) = (tape.wanted, tape.op);
        if wanted {
            self.explain(call.id, "a party wants it recorded");
            // One that is being stopped begins anew when it has ended.
            self.start_tape(now, call);
            return Some(true);
        }
        self.explain(call.id, "a party stops its recording for a while");
        if let Some(op) = op {
            self.stop_tape(call.worker, &call.legs, op);
        }
        Some(false)
    }

    /// Whether a stream's one tap is taken.
    pub(crate) fn is_taped(&self, stream: StreamId) -> bool {
        self.tapes.values().any(|running| running.stream == stream)
    }

    /// The parties talk no longer, and the first one goes back to an application.
    pub(crate) fn end_tape(&mut self, call: &Call) {
        if let Some(op) = call.tape.as_ref().and_then(|tape| tape.op) {
            self.stop_tape(call.worker, &call.legs, op);
        }
    }

    /// Ends a recording of one of these legs; that of a stream whose end is ordered ends by itself.
    fn stop_tape(&mut self, worker: WorkerId, legs: &[Leg], op: OpId) {
        let stream = self.tapes.get(&op).map(|running| running.stream);
        let stands = |stream: &StreamId| legs.iter().any(|l| l.stream.live() == Some(*stream));
        if let Some(stream) = stream.filter(stands) {
            self.media(worker, Command::StopRecord { stream, op });
        }
    }

    /// A leg has gone from one call to a place in another, with its stream and what is recorded of
    /// that: it goes on as the other call's, unless that has a recording of its own or goes on
    /// outside. Its stream has not been moved to another worker yet.
    pub(crate) fn tape_moved(&mut self, from: &mut Call, into: &mut Call, stream: StreamId) {
        let op = from.tape.as_ref().and_then(|tape| tape.op);
        let Some(op) = op.filter(|op| self.tapes.get(op).is_some_and(|of| of.stream == stream))
        else {
            return;
        };
        if into.tape.is_some() || is_forwarded(into) {
            return self.stop_tape(from.worker, &into.legs, op);
        }
        into.tape = from.tape.take();
        if let Some(running) = self.tapes.get_mut(&op) {
            running.call = into.id;
        }
    }

    /// Records a room by what one of its members says and hears; the operation.
    pub(crate) fn tape_member(
        &mut self,
        now: Now,
        call: &Call,
        stream: StreamId,
        room: &RoomKey,
    ) -> OpId {
        let (visible, expires) = self.recording_times(now, &room.0);
        let entry = CallRecording {
            call: call.id.to_string(),
            number: String::new(),
            direction: "conference".to_owned(),
            caller: call.caller.clone(),
            called: room.1.to_string(),
            started: now.date,
            length_ms: None,
            visible,
            expires,
        };
        let op = self.next_op();
        let key = format!("{:013}-{}-room{}", now.date.as_millisecond(), call.id, op.0);
        let recording = self.stereo(&room.0, &key);
        let (tenant, of) = (room.0.clone(), Some(room.clone()));
        let running = Running { call: call.id, tenant, stream, key, entry, room: of };
        self.write_entry(&running, true);
        self.explain(call.id, format!("room {} is recorded with this member", room.1));
        self.media(call.worker, Command::Record { stream, op, recording });
        self.tapes.insert(op, running);
        op
    }

    /// The order to record both directions of a stream in the file of a key.
    fn stereo(&self, tenant: &str, key: &str) -> Box<Recording> {
        let kind = if self.config.seals_recordings { "sealed" } else { "wav" };
        let path = self.config.recordings.join(tenant).join(format!("{key}.{kind}"));
        Box::new(Recording {
            path: Arc::<Path>::from(path),
            seal: self.config.seals_recordings,
            what: Recorded::Stereo,
            format: RecordFormat::Ulaw,
            longest: LONGEST_RECORDING,
            silence: None,
            stop_digits: None,
        })
    }

    /// Plays the notice to the caller at the answer; the other party hears what the caller says.
    fn tell_notice(&mut self, call: &Call, stream: StreamId) {
        let language = self.directory.plans.language(&call.tenant).to_owned();
        let prompt = self.prompt(&call.tenant, &language, NOTICE);
        let op = self.next_op();
        self.play(call.worker, stream, op, vec![prompt], 1);
    }

    /// From when on a recording that begins now may be seen, and when it is deleted.
    fn recording_times(&self, now: Now, tenant: &str) -> (Timestamp, Timestamp) {
        let plans = &self.directory.plans;
        let (keep, minutes) = plans.recording_rules(tenant);
        let expires = now.date.checked_add(keep).unwrap_or(Timestamp::MAX);
        let next_day = plans.time_zone(tenant).and_then(|zone| {
            let day = zone.to_datetime(now.date).date().tomorrow().ok()?;
            let hour = i8::try_from(minutes / 60).ok()?;
            let minute = i8::try_from(minutes % 60).ok()?;
            zone.to_timestamp(day.at(hour, minute, 0, 0)).ok()
        });
        (next_day.unwrap_or(expires), expires)
    }

    fn write_entry(&mut self, running: &Running, is_kept: bool) {
        let value = is_kept.then(|| serde_json::to_string(&running.entry).unwrap_or_default());
        self.actions.push_back(Action::Record(Record::Note(Note {
            module: RECORDINGS.to_owned(),
            tenant: running.tenant.to_string(),
            key: running.key.clone(),
            value,
        })));
    }

    /// A recording has ended; false when it was none of a call.
    pub(crate) fn tape_ended(&mut self, now: Now, op: OpId, report: RecordReport) -> bool {
        let Some(mut running) = self.tapes.remove(&op) else { return false };
        if let Some(tape) = self.calls.get_mut(&running.call).and_then(|call| call.tape.as_mut())
            && tape.op == Some(op)
        {
            tape.op = None;
        }
        let ms = report.samples.saturating_mul(1_000) / u64::from(report.sample_rate.max(1));
        running.entry.length_ms = Some(ms);
        let failed = matches!(report.end, RecordEnd::DiskError | RecordEnd::Refused);
        let text = match report.end {
            RecordEnd::DiskError => {
                format!("ALARM: the disk takes no recording; the call goes on, {ms} ms are kept")
            }
            RecordEnd::Refused => "ALARM: no more calls can be recorded at once".to_owned(),
            _ => format!("recorded {ms} ms, of which {} samples are lost", report.dropped),
        };
        if failed {
            let words = format!("call {}: {text}", running.call);
            self.actions.push_back(Action::Notice { grave: true, text: words });
        }
        self.explain(running.call, text);
        self.recordings_failed = self.recordings_failed.saturating_add(u64::from(failed));
        self.write_entry(&running, report.samples > 0);
        if let Some(room) = &running.room {
            self.room_tape_ended(op, room, failed);
        } else if report.end == RecordEnd::Stopped {
            // Whose stream it was recorded on may have left others to talk, or have gone to where
            // it is to be recorded too.
            let there = self.by_stream.get(&running.stream).map(|(id, _)| *id);
            let there = there.filter(|id| *id != running.call);
            for id in std::iter::once(running.call).chain(there) {
                self.with_call(now, id, |switch, call| {
                    let talks = matches!(call.stage, Stage::Bridged { .. });
                    if talks || switch.bridge_of(call).is_some() {
                        switch.start_tape(now, call);
                    }
                    Fate::Keep
                });
            }
        }
        true
    }

    /// Recordings of calls that could not be made.
    #[must_use]
    pub const fn recordings_failed(&self) -> u64 {
        self.recordings_failed
    }
}

/// Whether somebody who called from outside talks to somebody outside: such calls never are
/// recorded (S-75). A party that was put through may be in a call that began as another one.
fn is_forwarded(call: &Call) -> bool {
    let Stage::Bridged { leg } = call.stage else { return false };
    let parties = [call.leg(0), call.leg(leg)];
    let is_outside = |leg: Option<&Leg>| leg.is_some_and(|l| matches!(l.party, Party::Trunk(_)));
    parties.into_iter().all(is_outside) && parties.into_iter().flatten().any(|leg| leg.came_in)
}
