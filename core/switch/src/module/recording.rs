//! An application records its caller. The file is whole a moment after the stream's end, so that an
//! application whose caller hangs up in the middle of a message lives until it is: then it hears
//! how long the message is, that the call is over, and is destroyed.

use std::path::Path;
use std::time::Duration;

use koukan_base::{CallId, OpId};
use koukan_media::{
    Command, Digits, LONGEST_RECORDING, RecordEnd, RecordFormat, RecordReport, Recorded, Recording,
};

use crate::action::Action;
use crate::call::{Call, Stage};
use crate::module::{AppEvent, InstanceId, ModuleOrder, OpStatus};
use crate::switch::Switch;

/// What an application asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) path: &'a str,
    pub(crate) max_ms: u32,
    pub(crate) silence_ms: u32,
    pub(crate) keys: &'a str,
}

/// A recording of an application, by its media operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taping {
    instance: InstanceId,
    op: OpId,
    call: CallId,
    /// The application has cancelled it.
    is_cancelled: bool,
    /// The call is over: the application waits for nothing but this.
    is_last: bool,
}

impl Switch {
    /// Begins a recording of the caller.
    pub(crate) fn start_recording(
        &mut self,
        call: &mut Call,
        (instance, op): (InstanceId, OpId),
        wanted: Wanted<'_>,
    ) {
        let stream = call.leg(0).and_then(|leg| leg.stream.live());
        let Stage::Module(run) = &mut call.stage else { return };
        let Some(stream) = stream.filter(|_| run.recording.is_none()) else {
            self.op_done(instance, op, OpStatus::Failed, "the caller cannot be recorded now");
            return;
        };
        let ms = |ms: u32| (ms > 0).then(|| Duration::from_millis(u64::from(ms)));
        let recording = Recording {
            path: Path::new(wanted.path).into(),
            seal: false,
            what: Recorded::Peer,
            format: RecordFormat::Linear8k,
            longest: ms(wanted.max_ms).unwrap_or(LONGEST_RECORDING),
            silence: ms(wanted.silence_ms),
            stop_digits: Digits::new(wanted.keys.as_bytes()),
        };
        let media_op = self.next_op();
        let Stage::Module(run) = &mut call.stage else { return };
        run.recording = Some(media_op);
        let (is_cancelled, is_last) = (false, false);
        let taping = Taping { instance, op, call: call.id, is_cancelled, is_last };
        self.tapings.insert(media_op, taping);
        // Silence goes out meanwhile, so that the caller's NAT keeps its way open.
        self.feed(call, 0, koukan_media::Source::Silence);
        let command = Command::Record { stream, op: media_op, recording: Box::new(recording) };
        self.actions.push_back(Action::Media { worker: call.worker, command });
    }

    /// The application wants it no longer; its result tells how long it was all the same.
    pub(crate) fn cancel_recording(&mut self, call: &Call, op: OpId) -> bool {
        let mut tapings = self.tapings.iter_mut();
        let found = tapings.find(|(_, taping)| taping.call == call.id && taping.op == op);
        let Some((&media_op, taping)) = found else { return false };
        taping.is_cancelled = true;
        self.stop_recording(call, media_op);
        true
    }

    /// Something else of the application ends its recording.
    pub(crate) fn end_recording(&mut self, call: &Call, media_op: OpId) {
        if let Some(taping) = self.tapings.get_mut(&media_op) {
            taping.is_cancelled = true;
            self.stop_recording(call, media_op);
        }
    }

    fn stop_recording(&mut self, call: &Call, media_op: OpId) {
        let Some(stream) = call.leg(0).and_then(|leg| leg.stream.live()) else { return };
        let command = Command::StopRecord { stream, op: media_op };
        self.actions.push_back(Action::Media { worker: call.worker, command });
    }

    /// The application is gone while its recording runs: nobody waits for it.
    pub(crate) fn abandon_recording(&mut self, call: &mut Call) {
        let Stage::Module(run) = &mut call.stage else { return };
        let Some(media_op) = run.recording.take() else { return };
        self.tapings.remove(&media_op);
        self.stop_recording(call, media_op);
    }

    /// The call is over while its application records: true when the application stays until the
    /// recording is whole.
    pub(crate) fn leave_to_recording(&mut self, call: &mut Call) -> bool {
        let Stage::Module(run) = &mut call.stage else { return false };
        let Some(media_op) = run.recording.take() else { return false };
        let Some(taping) = self.tapings.get_mut(&media_op) else { return false };
        taping.is_last = true;
        true
    }

    /// A recording is whole, or will never be.
    pub(crate) fn recorded(&mut self, media_op: OpId, report: RecordReport) {
        let Some(taping) = self.tapings.remove(&media_op) else { return };
        let Taping { instance, op, call, is_cancelled, is_last } = taping;
        if let Some(run) = self.calls.get_mut(&call).and_then(|call| call.module_run())
            && run.recording == Some(media_op)
        {
            run.recording = None;
        }
        let rate = u64::from(report.sample_rate.max(1));
        let ms = report.samples.saturating_mul(1_000) / rate;
        self.explain(call, format!("recorded {ms} ms: {:?}", report.end));
        let status = match report.end {
            RecordEnd::DiskError | RecordEnd::Refused => OpStatus::Failed,
            _ if is_cancelled => OpStatus::Cancelled,
            _ if is_last => OpStatus::HangUp,
            _ => OpStatus::Ok,
        };
        let text = match report.end {
            RecordEnd::DiskError => "the disk does not take it".to_owned(),
            RecordEnd::Refused => "too many recordings run".to_owned(),
            _ => ms.to_string(),
        };
        self.op_done(instance, op, status, &text);
        if is_last {
            self.order(ModuleOrder::Event { instance, event: AppEvent::HangUp });
            self.order(ModuleOrder::Destroy { instance });
        }
    }

    /// The worker of a call that is over does not answer: its application waits no longer.
    pub(crate) fn give_up_recording(&mut self, call: CallId) {
        let lost = self.tapings.extract_if(|_, taping| taping.call == call && taping.is_last);
        let lost: Vec<Taping> = lost.map(|(_, taping)| taping).collect();
        for Taping { instance, op, .. } in lost {
            self.op_done(instance, op, OpStatus::Failed, "the media worker does not answer");
            self.order(ModuleOrder::Event { instance, event: AppEvent::HangUp });
            self.order(ModuleOrder::Destroy { instance });
        }
    }
}
