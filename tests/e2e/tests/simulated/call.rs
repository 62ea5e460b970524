//! One generated call: what its simulation said, and how far the wire has followed it.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use koukan_e2e::ear::Ear;
use koukan_e2e::stations::{Invited, Place, Saw, Stations};
use koukan_sip::{ClientTx, DialogId, ServerTx};
use serde_json::Value;

use crate::office::Office;
use crate::story::{Beat, Manner, Story};

/// How long anything of a call may take, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(20);

/// A phone that rings, or the carrier that is called.
#[derive(Clone, Copy, Debug)]
struct Rung {
    place: Place,
    device: char,
    tx: ServerTx,
    dialog: DialogId,
    /// It has refused, answered or been given up.
    over: bool,
}

/// The carrier's place among the devices that ring.
const CARRIER: char = '=';

/// A call under way.
#[derive(Debug)]
pub(crate) struct Call {
    /// In words, for whoever reads of a mismatch.
    pub(crate) title: String,
    pub(crate) manner: Manner,
    pub(crate) simulated: Value,
    /// Whom the rung phones are to be shown.
    shown: Option<String>,
    /// The same with the price of each half minute of talk.
    pub(crate) priced: Vec<Value>,
    pub(crate) kind: &'static str,
    /// The step that takes it.
    pub(crate) taken_by: Option<usize>,
    beats: Vec<Beat>,
    beat: usize,
    pub(crate) caller: Place,
    tx: ClientTx,
    ear: Ear,
    /// Of what was heard, what a beat has taken.
    taken: usize,
    early: bool,
    dialog: Option<DialogId>,
    media: Option<SocketAddr>,
    pub(crate) call_id: Option<String>,
    rung: Vec<Rung>,
    since: Instant,
    /// Nothing more is to come before somebody hangs up, or it is over.
    pub(crate) settled: bool,
    /// It is up until somebody hangs up.
    pub(crate) stands: bool,
    pub(crate) ended: bool,
    pub(crate) wrong: Option<String>,
}

impl Call {
    pub(crate) fn new(
        title: String,
        (manner, simulated, priced, shown): (Manner, Value, Vec<Value>, Option<String>),
        Story { beats, kind, taken_by }: Story,
        (caller, tx, ear): (Place, ClientTx, Ear),
    ) -> Self {
        Self {
            title,
            manner,
            simulated,
            shown,
            priced,
            kind,
            taken_by,
            beats,
            beat: 0,
            caller,
            tx,
            ear,
            taken: 0,
            early: false,
            dialog: None,
            media: None,
            call_id: None,
            rung: Vec::new(),
            since: Instant::now(),
            settled: false,
            stands: false,
            ended: false,
            wrong: None,
        }
    }

    /// The caller was answered.
    pub(crate) const fn is_answered(&self) -> bool {
        self.call_id.is_some()
    }

    fn fail(&mut self, why: &str) {
        let heard = &self.ear.heard;
        let words = format!("{why}; beat {} of {:?}, heard {heard:?}", self.beat, self.beats);
        self.wrong.get_or_insert(words);
        self.settled = true;
    }

    /// What one of its stations has seen; false when it is not this call's.
    pub(crate) fn see(
        &mut self,
        office: Option<&Office>,
        stations: &mut Stations,
        (place, saw): (Place, &Saw),
    ) -> io::Result<bool> {
        match saw {
            Saw::Invited(invited) => {
                let device = office.and_then(|office| office.device_at(place));
                self.invited(stations, place, device.unwrap_or(CARRIER), invited)?;
            }
            Saw::Cancelled(tx) => {
                let mut rung = self.rung.iter_mut();
                let Some(rung) = rung.find(|rung| rung.place == place && rung.tx == *tx) else {
                    return Ok(false);
                };
                rung.over = true;
            }
            Saw::Progress(tx, status) if place == self.caller && *tx == self.tx => {
                self.early |= *status == 183;
            }
            Saw::Answered(tx, dialog, media) if place == self.caller && *tx == self.tx => {
                (self.dialog, self.media) = (Some(*dialog), *media);
                self.call_id = stations.call_id(place, *dialog);
            }
            Saw::Failed(tx, status) if place == self.caller && *tx == self.tx => {
                self.ended = true;
                self.ear.listen();
                self.advance(stations)?;
                let spoken = self.beats.iter().any(|beat| matches!(beat, Beat::Hear(..)));
                match self.beats.get(self.beat) {
                    Some(Beat::Refused(_)) if spoken && !self.early => {
                        self.fail("a prompt was played without a 183");
                    }
                    Some(Beat::Refused(wanted)) if wanted == status => self.beat += 1,
                    _ if self.wrong.is_some() => {}
                    _ => self.fail(&format!("ends with {status}")),
                }
            }
            Saw::Bye(dialog) if place == self.caller && Some(*dialog) == self.dialog => {
                self.ended = true;
                self.ear.listen();
                self.advance(stations)?;
                match self.beats.get(self.beat) {
                    Some(Beat::Over) => self.beat += 1,
                    None => {}
                    Some(_) => self.fail("the server hangs up"),
                }
            }
            // The callee's side of a call that the caller ends.
            Saw::Bye(dialog) => {
                let here = |rung: &Rung| rung.place == place && rung.dialog == *dialog;
                return Ok(self.rung.iter().any(here));
            }
            _ => return Ok(false),
        }
        self.advance(stations)?;
        Ok(true)
    }

    fn invited(
        &mut self,
        stations: &mut Stations,
        place: Place,
        device: char,
        invited: &Invited,
    ) -> io::Result<()> {
        let Invited { tx, dialog, .. } = *invited;
        stations.ring(place, tx);
        self.rung.push(Rung { place, device, tx, dialog, over: false });
        self.ear.listen();
        match self.beats.get(self.beat) {
            Some(Beat::Ring(waves)) => {
                // Those who begin together come in any order, the waves one after the other.
                let at = self.rung.len() - 1;
                let mut ends = 0;
                let wave = waves.iter().find(|wave| {
                    ends += wave.len();
                    at < ends
                });
                if !wave.is_some_and(|wave| wave.contains(&device)) {
                    self.fail(&format!("{device} rings"));
                    return Ok(());
                }
                let shown = self.shown.as_deref();
                if invited.caller.as_deref() != shown {
                    let words = format!("{device} is shown {:?}, not {shown:?}", invited.caller);
                    self.fail(&words);
                    return Ok(());
                }
                if self.manner == Manner::Refuses {
                    self.refuse(stations, at);
                }
            }
            Some(Beat::Outside(number, shown)) if device == CARRIER => {
                let seen = (&invited.called, invited.caller.as_ref().filter(|_| !invited.hidden));
                if seen != (&number.clone(), shown.as_ref()) {
                    self.fail(&format!("the carrier sees {seen:?}"));
                    return Ok(());
                }
                let at = self.rung.len() - 1;
                match self.manner {
                    Manner::Refuses => self.refuse(stations, at),
                    Manner::Answers | Manner::Waits => {
                        stations.answer(place, tx)?;
                        self.rung[at].over = true;
                        self.beat += 1;
                    }
                }
            }
            _ => self.fail(&format!("{device} is called")),
        }
        Ok(())
    }

    fn refuse(&mut self, stations: &mut Stations, at: usize) {
        let rung = &mut self.rung[at];
        rung.over = true;
        stations.refuse(rung.place, rung.tx, 486);
    }

    /// Goes as far as what was seen permits.
    pub(crate) fn advance(&mut self, stations: &mut Stations) -> io::Result<()> {
        self.ear.listen();
        while self.wrong.is_none() && self.is_past(stations)? {
            self.beat += 1;
            self.rung.retain(|rung| !rung.over);
        }
        if self.beat >= self.beats.len() && !self.settled {
            self.settled = self.ended || self.dialog.is_some();
            self.stands = !self.ended;
        }
        if !self.settled && self.since.elapsed() > PATIENCE {
            let seen = format!("waits in vain ({:?} rang)", self.rung);
            self.fail(&seen);
        }
        Ok(())
    }

    fn is_past(&mut self, stations: &mut Stations) -> io::Result<bool> {
        let up = self.dialog.is_some();
        Ok(match self.beats.get(self.beat) {
            Some(Beat::Ring(waves)) => {
                let all = waves.iter().flatten().count();
                if self.rung.len() < all {
                    return Ok(false);
                }
                match self.manner {
                    Manner::Answers => {
                        if let Some(last) = self.rung.last_mut().filter(|rung| !rung.over) {
                            last.over = true;
                            stations.answer(last.place, last.tx)?;
                        }
                        up && self.rung.iter().all(|rung| rung.over)
                    }
                    Manner::Refuses | Manner::Waits => self.rung.iter().all(|rung| rung.over),
                }
            }
            Some(Beat::Outside(..)) => {
                self.manner == Manner::Refuses
                    && self.rung.iter().any(|rung| rung.device == CARRIER && rung.over)
            }
            Some(Beat::Hear(prompt, answered)) => {
                if self.ear.heard.get(self.taken).is_none_or(|heard| heard != prompt) {
                    // The same prompt again makes the tone longer.
                    let again = self.taken.checked_sub(1).and_then(|at| self.ear.heard.get(at));
                    return Ok(again == Some(&prompt.as_str()) && self.ear.is_again());
                }
                if *answered && !up {
                    // Its 200 is on the way.
                    return Ok(false);
                }
                if up != *answered {
                    let prompt = prompt.clone();
                    self.fail(&format!("{prompt} is heard, answered {up}"));
                    return Ok(false);
                }
                self.taken += 1;
                true
            }
            Some(Beat::Voicemail) => {
                let greeted = self.ear.heard.get(self.taken) == Some(&"vm/greeting");
                if up && greeted {
                    self.taken += 1;
                    self.hang_up(stations);
                }
                up && greeted
            }
            Some(Beat::Echo) => {
                if let Some(media) = self.media.filter(|_| up && !self.ear.echoed) {
                    self.ear.speak(media)?;
                }
                self.ear.echoed
            }
            Some(Beat::Refused(_) | Beat::Over) | None => false,
        })
    }

    /// The caller hangs up, or gives up.
    pub(crate) fn hang_up(&mut self, stations: &mut Stations) {
        if self.ended {
            return;
        }
        self.ended = true;
        match self.dialog {
            Some(dialog) => stations.hang_up(self.caller, dialog),
            None => stations.cancel(self.caller, self.tx),
        }
    }

    /// What was heard that nobody was to hear.
    pub(crate) fn check_silence(&mut self) {
        self.ear.listen();
        if self.wrong.is_none() && self.ear.heard.len() > self.taken {
            // After the greeting of a mailbox comes its beep.
            let more = self.ear.heard[self.taken..].to_vec();
            if !(self.beats.last() == Some(&Beat::Voicemail) && more == ["beep"]) {
                self.fail(&format!("{more:?} is heard besides"));
            }
        }
    }

    /// Phones that still ring when the call is settled.
    pub(crate) fn check_quiet(&mut self) {
        if self.wrong.is_none() && self.rung.iter().any(|rung| !rung.over) && !self.stands {
            self.fail("somebody still rings");
        }
    }
}
