//! What a stream and a room cost for each packet and each 20 ms, loop by loop; none may allocate.

mod comfort;
mod conceal;
mod counting;
mod digits;
mod jitter;
mod mixer;
mod relay;
mod rtcp;
mod srtp;
mod tones;
mod udptl;

use criterion::{criterion_group, criterion_main};

criterion_group!(
    all,
    relay::bench,
    rtcp::bench,
    srtp::bench,
    jitter::bench,
    conceal::bench,
    comfort::bench,
    digits::bench,
    tones::bench,
    mixer::bench,
    udptl::bench,
);
criterion_main!(all);
