//! What spandsp's callbacks write into: a log of what they saw. The one that sees frames also makes
//! those harmless that name a rate that is none (in DCS and CTC): spandsp would take it for index
//! -1 of its table. Such a frame becomes the other side's disconnect.

use std::cell::RefCell;
use std::ffi::{c_int, c_void};

use super::constants::{CTC, CTR, DCN, DCS, EOM, FTT, MCF, MPS, NO_RATE_BIT, PPS, RTN, RTP, X_BIT};

/// What a callback saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A capability or a setting frame was read: the other side has a name, or a rate is set.
    Negotiated,
    /// Training failed, or a page asked for it anew.
    Retrain,
    /// A frame was made harmless; its type.
    Refused(u8),
    /// We confirm a page after which the other side has more.
    ConfirmedWithMore,
    /// It is over, with this code.
    Over(i32),
}

/// The log, at a place in memory that does not change while C knows it.
#[derive(Default)]
pub(super) struct Context {
    inner: RefCell<Inner>,
}

#[derive(Default)]
struct Inner {
    seen: Vec<Seen>,
    more: bool,
    /// A page has ended whose confirmation was not queued yet.
    fresh: bool,
    /// Nothing is to be said until the page that ended is on the disk.
    held: bool,
    packets: Vec<(Vec<u8>, u8)>,
}

/// Packets that are kept until they are taken; a tick makes one or two.
const MOST_PACKETS: usize = 256;
/// Things seen that are kept; a tick brings one or two.
const MOST_SEEN: usize = 256;

impl Context {
    /// What is handed to C as its user data.
    pub(super) fn user_data(&self) -> *mut c_void {
        std::ptr::from_ref(self).cast_mut().cast()
    }

    pub(super) fn take_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.inner.borrow_mut().seen)
    }

    /// IFP packets to be sent, each with how often.
    pub(super) fn take_packets(&self) -> Vec<(Vec<u8>, u8)> {
        std::mem::take(&mut self.inner.borrow_mut().packets)
    }

    /// Whether a page waits for its confirmation, which is queued and not said yet.
    pub(super) fn is_held(&self) -> bool {
        self.inner.borrow().held
    }

    /// The page that waited is safe: it may be confirmed.
    pub(super) fn release(&self) {
        self.inner.borrow_mut().held = false;
    }

    /// Notes what follows a page that has ended: MCF, or RTP, which confirms it too. A refused one
    /// (RTN) and the repetition of what was said wait for nothing.
    fn answers(&self, kind: u8) {
        let mut inner = self.inner.borrow_mut();
        if matches!(kind, MCF | RTP | RTN) {
            inner.held |= std::mem::take(&mut inner.fresh) && kind != RTN;
        }
    }

    fn push(&self, seen: Seen) {
        let mut inner = self.inner.borrow_mut();
        if inner.seen.len() < MOST_SEEN || matches!(seen, Seen::Over(_)) {
            inner.seen.push(seen);
        }
    }

    fn frame(&self, incoming: bool, frame: &[u8]) -> Option<Seen> {
        let kind = *frame.get(2)? & !X_BIT;
        if !incoming {
            self.answers(kind);
        }
        match (incoming, kind) {
            (true, DCS | CTC) => {
                let rate = frame.get(4).copied();
                // A frame that ends before its rate would be read beyond its end.
                rate.is_none_or(|rate| rate & NO_RATE_BIT != 0).then_some(Seen::Refused(kind))
            }
            (true, MPS | EOM) => self.set_more(true),
            (true, PPS) => {
                let then = frame.get(3).map(|then| then & !X_BIT);
                self.set_more(matches!(then, Some(MPS | EOM)))
            }
            (true, super::constants::EOP) => self.set_more(false),
            (false, MCF) if self.inner.borrow().more => Some(Seen::ConfirmedWithMore),
            (_, FTT | RTN | RTP | CTR) => Some(Seen::Retrain),
            _ => None,
        }
    }

    fn set_more(&self, more: bool) -> Option<Seen> {
        self.inner.borrow_mut().more = more;
        None
    }
}

/// The context behind C's user data.
///
/// # Safety
/// `user` is what [`Context::user_data`] gave, and that context lives.
unsafe fn context<'c>(user: *mut c_void) -> &'c Context {
    // SAFETY: by the function's contract; only shared references to a context are ever made.
    unsafe { &*user.cast_const().cast::<Context>() }
}

/// # Safety
/// Called by spandsp with the user data of a living [`Context`].
pub(super) unsafe extern "C" fn on_phase_b(user: *mut c_void, _: c_int) -> c_int {
    // SAFETY: the library hands back what it was given, and is freed before the context.
    unsafe { context(user) }.push(Seen::Negotiated);
    0
}

/// A page that came has ended and lies in the file.
///
/// # Safety
/// Called by spandsp with the user data of a living [`Context`].
pub(super) unsafe extern "C" fn on_phase_d(user: *mut c_void, _: c_int) -> c_int {
    // SAFETY: the library hands back what it was given, and is freed before the context.
    unsafe { context(user) }.inner.borrow_mut().fresh = true;
    0
}

/// # Safety
/// Called by spandsp with the user data of a living [`Context`].
pub(super) unsafe extern "C" fn on_phase_e(user: *mut c_void, code: c_int) {
    // SAFETY: the library hands back what it was given, and is freed before the context.
    unsafe { context(user) }.push(Seen::Over(code));
}

/// # Safety
/// Called by spandsp with the user data of a living [`Context`], and with a frame that lies in its
/// own, writable buffer.
pub(super) unsafe extern "C" fn on_frame(
    user: *mut c_void,
    incoming: bool,
    frame: *const u8,
    length: c_int,
) {
    let Some(length) = usize::try_from(length).ok().filter(|length| *length >= 3) else { return };
    // SAFETY: `frame` points to `length` bytes, which nobody changes during this call but us below.
    let bytes = unsafe { std::slice::from_raw_parts(frame, length) };
    // SAFETY: the library hands back what it was given, and is freed before the context.
    let context = unsafe { context(user) };
    let Some(seen) = context.frame(incoming, bytes) else { return };
    if matches!(seen, Seen::Refused(_)) {
        // SAFETY: there are at least three bytes.
        let kind = unsafe { frame.cast_mut().add(2) };
        // SAFETY: the frame lies in the receiver's buffer, an array of its state; `bytes` is not
        // used any more.
        unsafe { kind.write(DCN) };
    }
    context.push(seen);
}

/// # Safety
/// Called by spandsp with the user data of a living [`Context`].
pub(super) unsafe extern "C" fn on_packet(
    _: *mut spandsp_sys::t38_core_state_t,
    user: *mut c_void,
    packet: *const u8,
    length: c_int,
    count: c_int,
) -> c_int {
    let Ok(length) = usize::try_from(length) else { return 0 };
    if packet.is_null() || length == 0 {
        return 0;
    }
    // SAFETY: `packet` points to `length` bytes, which nobody changes during this call.
    let bytes = unsafe { std::slice::from_raw_parts(packet, length) };
    // SAFETY: the library hands back what it was given, and is freed before the context.
    let context = unsafe { context(user) };
    let mut inner = context.inner.borrow_mut();
    if inner.packets.len() < MOST_PACKETS {
        inner.packets.push((bytes.to_vec(), u8::try_from(count.clamp(1, 8)).unwrap_or(1)));
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(frame: &mut [u8], incoming: bool) -> Vec<Seen> {
        let context = Context::default();
        let length = i32::try_from(frame.len()).unwrap();
        // SAFETY: the context lives, and the frame is writable.
        unsafe { on_frame(context.user_data(), incoming, frame.as_mut_ptr(), length) };
        context.take_seen()
    }

    #[test]
    fn every_rate_that_is_none_becomes_a_disconnect_and_every_other_passes() {
        for kind in [DCS, DCS | X_BIT, CTC, CTC | X_BIT] {
            for rate in 0..=255 {
                let mut frame = [0xFF, 0x13, kind, 0, rate, 0];
                let seen = judged(&mut frame, true);
                let is_none = rate & NO_RATE_BIT != 0;
                assert_eq!(frame[2] == DCN, is_none, "{kind:#x} {rate:#x}");
                let refused = vec![Seen::Refused(kind & !X_BIT)];
                assert_eq!(seen, if is_none { refused } else { Vec::new() });
                // Our own frames are right by themselves.
                let mut own = [0xFF, 0x13, kind, 0, rate, 0];
                judged(&mut own, false);
                assert_eq!(own[2], kind);
            }
            for length in 3..5 {
                let mut short = vec![0xFF, 0x13, kind, 0];
                short.truncate(length);
                assert_eq!(judged(&mut short, true).len(), 1, "cut before the rate");
                assert_eq!(short[2], DCN);
            }
        }
    }

    #[test]
    fn a_page_that_ended_holds_its_confirmation_and_nothing_else() {
        let context = Context::default();
        let say = |kind| {
            let mut frame = [0xFF, 0x13, kind];
            // SAFETY: the context lives, and the frame is writable.
            unsafe { on_frame(context.user_data(), false, frame.as_mut_ptr(), 3) };
        };
        let ends = || {
            // SAFETY: the context lives.
            unsafe { on_phase_d(context.user_data(), 0) };
        };
        say(MCF);
        assert!(!context.is_held(), "a part of a page, or a repetition");
        for confirms in [MCF, RTP] {
            ends();
            assert!(!context.is_held(), "nothing is queued yet");
            say(confirms);
            assert!(context.is_held());
            context.release();
            say(confirms);
            assert!(!context.is_held(), "once");
        }
        ends();
        say(RTN);
        say(MCF);
        assert!(!context.is_held(), "a page that was refused waits for nothing");
    }

    #[test]
    fn a_confirmation_with_more_to_come_is_told_from_the_last() {
        let context = Context::default();
        let frame = |incoming, bytes: &mut [u8]| {
            let length = i32::try_from(bytes.len()).unwrap();
            // SAFETY: the context lives, and the frame is writable.
            unsafe { on_frame(context.user_data(), incoming, bytes.as_mut_ptr(), length) };
            context.take_seen()
        };
        assert_eq!(frame(true, &mut [0xFF, 0x13, MPS]), []);
        assert_eq!(frame(false, &mut [0xFF, 0x13, MCF]), [Seen::ConfirmedWithMore]);
        assert_eq!(frame(true, &mut [0xFF, 0x13, PPS | X_BIT, 0]), []);
        assert_eq!(frame(false, &mut [0xFF, 0x13, MCF]), [], "a part of a page");
        assert_eq!(frame(true, &mut [0xFF, 0x13, PPS, EOM, 0, 0, 0]), []);
        assert_eq!(frame(false, &mut [0xFF, 0x13, MCF]), [Seen::ConfirmedWithMore]);
        assert_eq!(frame(true, &mut [0xFF, 0x13, super::super::constants::EOP]), []);
        assert_eq!(frame(false, &mut [0xFF, 0x13, MCF]), []);
    }
}
