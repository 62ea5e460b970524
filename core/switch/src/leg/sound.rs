//! What a party's sound is like (E-model, ITU-T G.107), in the words of the call's log.

use std::time::Duration;

use koukan_base::StreamId;
use koukan_media::quality::{Cause, Verdict};

use crate::action::Now;
use crate::leg::Leg;
use crate::switch::{Fate, Switch};

impl Switch {
    /// Something is wrong with what a party sends, or is not any more.
    pub(crate) fn sound_changed(
        &mut self,
        now: Now,
        stream: StreamId,
        fault: Option<(Cause, Duration)>,
    ) {
        self.with_stream(now, stream, |switch, call, index| {
            let party = call.leg(index).map(|leg| leg.party.name()).unwrap_or_default();
            let line = match fault {
                Some((cause, lasted)) => {
                    format!("sound of {party}: {cause}, for {} s already", lasted.as_secs())
                }
                None => format!("sound of {party}: as it should be again"),
            };
            switch.explain(call.id, line);
            Fate::Keep
        });
    }
}

/// What a leg's sound was like, in words.
pub(crate) fn quality_line(leg: &Leg, verdict: Verdict) -> String {
    let (party, mos) = (leg.party.name(), verdict.mos_hundredths());
    let (mean, worst) = (verdict.mean_r / 10, verdict.worst_r / 10);
    let cause = verdict.cause.map(|cause| format!(", when {cause}")).unwrap_or_default();
    format!(
        "sound of {party}: R {mean} (MOS {}.{:02}) on the mean, {worst} at worst{cause}",
        mos / 100,
        mos % 100
    )
}
