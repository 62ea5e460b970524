//! What a decision comes to, in the words of expectations, `sim` and the explain log.

use std::fmt::Write as _;
use std::sync::Arc;

use crate::decide::TrunkCall;
use crate::decision::{Decision, Notice, Release, RingTarget, Start, Step};
use crate::live::Change;

/// The plain result of a decision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The devices that ring, in the order of their beginning.
    pub rings: Vec<Arc<str>>,
    /// The announcement that is heard first.
    pub announces: Option<Arc<str>>,
    /// What follows the first step: `voicemail:main`, `announce:closed`, `hangup`.
    pub then: Option<String>,
    /// The outside number that the call is sent on to, as the trunk gets it.
    pub forwards: Option<Arc<str>>,
    /// The outside number that a device reaches, as the trunk gets it.
    pub calls: Option<Arc<str>>,
    /// The caller number that the outside is shown.
    pub shown_caller: Option<Arc<str>>,
    /// Why the call is refused, when no step is taken at all.
    pub refused: Option<Arc<str>>,
}

impl Decision {
    /// The plain result.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let mut outcome = Outcome::default();
        let Some(first) = self.steps.first().map(Step::unguarded) else {
            outcome.refused = Some(Arc::clone(&self.release.cause));
            return outcome;
        };
        match first {
            Step::Ring { targets, .. } => {
                outcome.rings = targets.iter().map(|target| Arc::clone(&target.device)).collect();
            }
            Step::Announce { name, .. } => outcome.announces = Some(Arc::clone(name)),
            Step::Forward(leg) => {
                outcome.forwards = Some(Arc::clone(&leg.number));
                outcome.shown_caller = shown(leg);
            }
            Step::Trunk(leg) => {
                outcome.calls = Some(Arc::clone(&leg.number));
                outcome.shown_caller = shown(leg);
            }
            Step::Voicemail { .. }
            | Step::VoicemailMenu { .. }
            | Step::Echo
            | Step::Divert { .. }
            | Step::Fax { .. }
            | Step::Page { .. }
            | Step::Conference { .. }
            | Step::Menu { .. }
            | Step::Queue { .. }
            | Step::Park { .. }
            | Step::Set { .. }
            | Step::Feature { .. }
            | Step::Module { .. }
            | Step::Guarded { .. }
            | Step::Release(_) => {}
        }
        // A first step that is itself a service is what the caller comes to.
        let next = match first {
            Step::Ring { .. } | Step::Announce { .. } | Step::Forward(_) | Step::Trunk(_) => {
                self.steps.get(1)
            }
            _ => Some(first),
        };
        outcome.then = Some(next.map_or_else(|| String::from("hangup"), Step::word));
        outcome
    }

    /// The decision as the explain log and `sim` print it: one line a rule, one a step, then how
    /// the caller is released.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let reasons = self.reasons.iter().map(ToString::to_string);
        let steps = self.steps.iter().map(|step| format!("-> {}", step.sentence()));
        let mut lines: Vec<String> = reasons.chain(steps).collect();
        lines.push(format!("-> {}", self.release.sentence(self.steps.is_empty())));
        lines.extend(self.besides());
        lines
    }

    /// What holds beside the steps: recording, fax, an alert.
    fn besides(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(recording) = self.record {
            let notice = match recording.notice {
                Notice::Arrival => ", told on arrival",
                Notice::Answer => ", told at answer",
                Notice::Off => "",
            };
            lines.push(format!("recorded{notice}"));
        }
        if let Some(fax) = &self.fax {
            let target = match (&fax.device, &fax.mailbox) {
                (Some(device), Some(mailbox)) => format!("device {device}, then box {mailbox}"),
                (Some(device), None) => format!("device {device}"),
                (None, Some(mailbox)) => format!("box {mailbox}"),
                (None, None) => String::from("nobody"),
            };
            let early = if fax.answer_early { "after an early answer" } else { "after any answer" };
            let mut line = format!("a fax within {} s {early} goes to ", fax.listen.as_secs());
            line.push_str(&target);
            if let Some(device) = &fax.deliver_to {
                let _ = write!(line, ", sent on to {device}");
            }
            lines.push(line);
        }
        if let Some(alert) = &self.alert {
            lines.push(format!("alert {} to {}", alert.cap, alert.receivers.join(", ")));
        }
        lines
    }
}

impl Step {
    /// The step itself, without the way on from an error.
    #[must_use]
    pub fn unguarded(&self) -> &Self {
        match self {
            Self::Guarded { step, .. } => step,
            other => other,
        }
    }

    /// The step in a word, as `then` of an expectation names it.
    #[must_use]
    pub fn word(&self) -> String {
        match self {
            Self::Ring { targets, .. } => format!("ring:{}", devices(targets, ",")),
            Self::Announce { name, .. } => format!("announce:{name}"),
            Self::Voicemail { mailbox, .. } => format!("voicemail:{mailbox}"),
            Self::VoicemailMenu { .. } => String::from("voicemail_menu"),
            Self::Forward(leg) => format!("forward:{}", leg.number),
            Self::Trunk(leg) => format!("call:{}", leg.number),
            Self::Divert { device, .. } => format!("divert:{device}"),
            Self::Echo => String::from("echo"),
            Self::Fax { mailbox, .. } => format!("fax:{mailbox}"),
            Self::Page { targets, .. } => format!("page:{}", devices(targets, ",")),
            Self::Conference { room, .. } => format!("conference:{room}"),
            Self::Menu { menu, .. } => format!("menu:{menu}"),
            Self::Queue { queue, .. } => format!("queue:{queue}"),
            Self::Park { slot: Some(slot), .. } => format!("park:{slot}"),
            Self::Park { slot: None, .. } => String::from("park"),
            Self::Set { changes } => {
                let words: Vec<String> = changes.iter().map(Change::words).collect();
                format!("set:{}", words.join(","))
            }
            Self::Feature { feature, argument } => format!("{}:{argument}", feature.as_str()),
            Self::Module { module, .. } => format!("module:{module}"),
            Self::Guarded { step, .. } => step.word(),
            Self::Release(release) => format!("release:{}", release.status),
        }
    }

    /// The step in a sentence.
    fn sentence(&self) -> String {
        match self {
            Self::Ring { targets, timeout, called_name } => {
                let mut text = format!("ring {}", devices(targets, ", "));
                let _ = write!(text, " for {} s", timeout.as_secs());
                if let Some(name) = called_name {
                    let _ = write!(text, ", called name {name}");
                }
                text
            }
            Self::Announce { name, prompt, answered } => {
                let how = if *answered { "answered" } else { "as early media" };
                let from = if prompt.language.is_empty() { "file" } else { &prompt.language };
                format!("announce {name} ({from}: {}), {how}", prompt.name)
            }
            Self::Voicemail { mailbox, .. } => format!("voicemail box {mailbox}"),
            Self::VoicemailMenu { mailboxes } if mailboxes.is_empty() => {
                String::from("voicemail menu")
            }
            Self::VoicemailMenu { mailboxes } => {
                format!("voicemail menu of {}", mailboxes.join(", "))
            }
            Self::Forward(leg) => format!("forward to {}", sentence(leg)),
            Self::Trunk(leg) => format!("call {}", sentence(leg)),
            Self::Divert { device, busy, no_answer, unreachable, .. } => {
                diversions(device, [busy, no_answer, unreachable])
            }
            Self::Echo => String::from("echo"),
            Self::Fax { mailbox, .. } => format!("fax box {mailbox}"),
            Self::Page { targets, talk: true } => {
                format!("call {}, answered by the phone itself", devices(targets, ", "))
            }
            Self::Page { targets, talk: false } => format!("page {}", devices(targets, ", ")),
            Self::Conference { room, .. } => format!("conference room {room}"),
            Self::Menu { menu, .. } => format!("menu {menu}"),
            Self::Queue { queue, .. } => format!("queue {queue}"),
            Self::Park { slot: Some(slot), .. } => format!("park slot {slot}"),
            Self::Park { slot: None, .. } => String::from("park in a free slot"),
            Self::Set { changes } => {
                let words: Vec<String> = changes.iter().map(Change::words).collect();
                format!("set {}", words.join(", "))
            }
            Self::Feature { feature, argument } => {
                format!("feature {} {argument}", feature.as_str()).trim_end().to_owned()
            }
            Self::Module { module, application, arguments } if module == application => {
                format!("module {module} {arguments}")
            }
            Self::Module { module, application, arguments } => {
                format!("module {module} {application} {arguments}")
            }
            Self::Guarded { step, on_error } => {
                format!("{}; on an error {}", step.sentence(), on_error.words())
            }
            Self::Release(release) => release.sentence(true),
        }
    }
}

impl Release {
    fn sentence(&self, refused: bool) -> String {
        let when = if refused { "release" } else { "when that is over: release" };
        let prompt = self.prompt.as_ref().map(|prompt| format!(" after prompt {}", prompt.name));
        format!("{when} {} {}{}", self.status, self.cause, prompt.unwrap_or_default())
    }
}

fn shown(leg: &TrunkCall) -> Option<Arc<str>> {
    leg.shown_caller.clone().filter(|_| !leg.anonymous)
}

fn sentence(leg: &TrunkCall) -> String {
    let mut text = format!("{} ({}) by ", leg.number, leg.class);
    for (index, (_, trunk)) in leg.trunks.iter().enumerate() {
        text.push_str(if index > 0 { ", then " } else { "" });
        text.push_str(trunk);
    }
    match &leg.shown_caller {
        _ if leg.anonymous => text.push_str(", caller hidden"),
        Some(shown) => {
            let _ = write!(text, ", shows {shown}");
        }
        None => {}
    }
    text
}

fn diversions(device: &str, targets: [&Option<Arc<str>>; 3]) -> String {
    let mut text = format!("forward of {device}");
    for (when, target) in ["busy", "not answered", "not reachable"].into_iter().zip(targets) {
        if let Some(target) = target {
            let _ = write!(text, ", when {when} to {target}");
        }
    }
    text
}

fn devices(targets: &[RingTarget], comma: &str) -> String {
    let mut text = String::new();
    for (index, target) in targets.iter().enumerate() {
        text.push_str(if index > 0 { comma } else { "" });
        text.push_str(&target.device);
        match target.start {
            Start::After(delay) if delay.is_zero() => {}
            Start::After(delay) => {
                let _ = write!(text, " (after {} s)", delay.as_secs());
            }
            Start::WhenUnreachable => text.push_str(" (when those before cannot be reached)"),
        }
    }
    text
}
