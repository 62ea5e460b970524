//! 20 ms of a room: everybody's frame in, the sum, what each hears out; and the way between two
//! parts of one.

use std::hint::black_box;

use criterion::Criterion;
use koukan_media::mixer::{Distant, Mixer, MixerConfig, Share};

use crate::counting::{measure, voice};

/// Those who are summed in a big room.
const TALKERS: usize = 8;

fn room(members: usize, part: u16) -> Mixer {
    let config = MixerConfig { rate: 8_000, frame: 160, members, talkers: TALKERS, part };
    let mut mixer = Mixer::new(config);
    let base = u64::from(part) << 32;
    for name in (base..).take(members) {
        mixer.join(name);
    }
    mixer
}

/// Everybody speaks in a small room, a tenth of a big one.
fn says(members: usize, place: usize) -> bool {
    members <= TALKERS || place.is_multiple_of(10)
}

fn speak(mixer: &mut Mixer, members: usize, sound: &[i16]) {
    for place in (0..members).filter(|place| says(members, *place)) {
        if let Some(input) = mixer.input(place) {
            input.copy_from_slice(sound);
        }
    }
}

fn listen(mixer: &Mixer, members: usize, others: &[Distant], out: &mut [i16]) {
    for place in (0..members).filter(|place| mixer.hears_own(*place, others)) {
        mixer.output(place, others, out);
        black_box(&out);
    }
    black_box(mixer.common());
}

pub(crate) fn bench(criterion: &mut Criterion) {
    let (sound, mut out) = (voice(160, 8_000), [0i16; 160]);
    for members in [3, 8, 32, 100, 500, 2_000] {
        let mut mixer = room(members, 0);
        measure(criterion, &format!("room of {members}"), || {
            speak(&mut mixer, members, &sound);
            mixer.mix(&[], |event| {
                black_box(event);
            });
            listen(&mixer, members, &[], &mut out);
            mixer.finish();
        });
    }
    // Half of a room of 2,000 on one worker, with the other half beside it.
    let (mut here, mut there) = (room(1_000, 0), room(1_000, 1));
    let mut others = [Distant::new(Box::new(Share::new(160)))];
    let (mut ways, mut free, mut number) = (Vec::with_capacity(4), Vec::with_capacity(4), 1);
    free.extend((0..3).map(|_| Box::new(Share::new(160))));
    measure(criterion, "both parts of a room of 2,000, and the way from one to the other", || {
        number += 1;
        others[0].turn(number, || ways.pop(), |share| free.push(share));
        for (mixer, others) in [(&mut there, &[][..]), (&mut here, &others)] {
            speak(mixer, 1_000, &sound);
            mixer.mix(others, |event| {
                black_box(event);
            });
            listen(mixer, 1_000, others, &mut out);
        }
        if let Some(mut share) = free.pop() {
            there.share(number, &mut share);
            ways.push(share);
        }
        there.finish();
        here.finish();
    });
}
