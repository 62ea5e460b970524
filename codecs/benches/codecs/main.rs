//! What 20 ms cost in each codec and converter; none may allocate. What libopus allocates in C is
//! not seen: it does so when a coder is made.

#[path = "../../../core/media/benches/frames/counting.rs"]
mod counting;
mod g711;
mod g722;
mod l16;
mod opus;
mod resample;

use criterion::{criterion_group, criterion_main};

criterion_group!(all, g711::bench, l16::bench, g722::bench, opus::bench, resample::bench);
criterion_main!(all);
