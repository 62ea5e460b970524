//! Calls that are recorded because their number has the option (S-70 to S-75): both directions in
//! one stereo file from the answer on, an entry of the index that is written before the file is
//! begun, and the notice that tells the parties. What cannot be recorded is said loudly and never
//! harms the call.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use koukan_base::{CallId, OpId};
use koukan_dialplan::{Notice, PromptRef, Step};
use koukan_media::{
    Command, LONGEST_RECORDING, RecordEnd, RecordFormat, RecordReport, Recorded, Recording,
};
use serde::{Deserialize, Serialize};

use crate::action::{Action, Now};
use crate::call::{Call, Stage};
use crate::record::{Note, Record};
use crate::switch::{Fate, Switch};

/// The owner of the notes that are the index of recordings.
pub const RECORDINGS: &str = "kk:recording";

/// An entry of the index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRecording {
    /// The call, as printed everywhere.
    pub call: String,
    /// The number (its name in the plan) whose option it is.
    pub number: String,
    /// `inbound`, `outbound`.
    pub direction: String,
    /// Who called.
    pub caller: String,
    /// What was called.
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
    /// Its recording under way.
    op: Option<OpId>,
    /// How many there were: a leg that takes another's place begins a new one.
    parts: u32,
    told: bool,
}

impl Tape {
    pub(crate) const fn new(notice: Notice) -> Self {
        Self { notice, op: None, parts: 0, told: false }
    }
}

/// A recording under way, by its media operation.
#[derive(Clone, Debug)]
pub(crate) struct Running {
    call: CallId,
    tenant: Arc<str>,
    key: String,
    entry: CallRecording,
}

/// The prompt of the notice.
const NOTICE: &str = "recording-notice";

impl Switch {
    /// The notice of a call that tells it on arrival goes before everything else.
    pub(crate) fn notice_on_arrival(&mut self, call: &mut Call) {
        let Some(tape) = &mut call.tape else { return };
        let rings = matches!(call.steps.front(), Some(Step::Ring { .. } | Step::Trunk(_)));
        if tape.notice == Notice::Arrival && rings && !std::mem::replace(&mut tape.told, true) {
            let language = self.directory.plans.language(&call.tenant).into();
            let prompt = PromptRef { language, name: NOTICE.into() };
            call.steps.push_front(Step::Announce { name: NOTICE.into(), prompt, answered: false });
        }
    }

    /// The parties talk: from now on they are recorded.
    pub(crate) fn start_tape(&mut self, now: Now, call: &mut Call) {
        let stream = call.leg(0).and_then(|leg| leg.stream.live());
        let (Some(tape), Some(stream)) = (&mut call.tape, stream) else { return };
        if tape.op.is_some() {
            return;
        }
        let (part, notice) = (tape.parts, tape.notice);
        let tell = notice == Notice::Answer && !std::mem::replace(&mut tape.told, true);
        let number = call.number.as_deref().unwrap_or_default().to_owned();
        let (visible, expires) = self.recording_times(now, call);
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
        let path = self.config.recordings.join(&*call.tenant).join(format!("{key}.wav"));
        let recording = Recording {
            path: Arc::<Path>::from(path),
            what: Recorded::Stereo,
            format: RecordFormat::Ulaw,
            longest: LONGEST_RECORDING,
            silence: None,
            stop_digits: None,
        };
        let op = self.next_op();
        if let Some(tape) = &mut call.tape {
            tape.op = Some(op);
            tape.parts = tape.parts.saturating_add(1);
        }
        let running = Running { call: call.id, tenant: call.tenant.clone(), key, entry };
        // The entry is in the journal before the file is begun.
        self.write_entry(&running, true);
        self.explain(call.id, "is recorded");
        let recording = Box::new(recording);
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

    /// Plays the notice to the caller at the answer; the other party hears what the caller says.
    fn tell_notice(&mut self, call: &Call, stream: koukan_base::StreamId) {
        let language = self.directory.plans.language(&call.tenant).to_owned();
        let prompt = self.prompt(&call.tenant, &language, NOTICE);
        let op = self.next_op();
        self.play(call.worker, stream, op, vec![prompt], 1);
    }

    /// From when on a recording that begins now may be seen, and when it is deleted.
    fn recording_times(&self, now: Now, call: &Call) -> (Timestamp, Timestamp) {
        let plans = &self.directory.plans;
        let (keep, minutes) = plans.recording_rules(&call.tenant);
        let expires = now.date.checked_add(keep).unwrap_or(Timestamp::MAX);
        let next_day = plans.time_zone(&call.tenant).and_then(|zone| {
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
        self.explain(running.call, text);
        self.recordings_failed = self.recordings_failed.saturating_add(u64::from(failed));
        self.write_entry(&running, report.samples > 0);
        if report.end == RecordEnd::Stopped {
            // Whose stream it was recorded on may have left others to talk.
            self.with_call(now, running.call, |switch, call| {
                if matches!(call.stage, Stage::Bridged { .. }) || switch.bridge_of(call).is_some() {
                    switch.start_tape(now, call);
                }
                Fate::Keep
            });
        }
        true
    }

    /// Recordings of calls that could not be made.
    #[must_use]
    pub const fn recordings_failed(&self) -> u64 {
        self.recordings_failed
    }
}
