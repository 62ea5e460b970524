//! End-to-end tests: the real server binary against SIP clients that no one here wrote.
//!
//! Where a test wants more calls than other people's programs can make, `stations` stands in: user
//! agents of this project by the hundred, on one thread.
//!
//! This library starts a server on a directory of its own, drives Debian's baresip over its control
//! port and sipp by scenario files, makes the tones they send and measures what they heard. The
//! tests themselves stand in `tests/`. Everything stays on loopback.
//!
//! Clients are awaited by polling with a deadline: they are other people's processes and know no
//! virtual clock.
#![forbid(unsafe_code)]
#![expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "test tooling: JSON is indexed by name, samples are rounded, a panic is a failed test"
)]

pub mod api;
pub mod audio;
pub mod baresip;
pub mod caller;
pub mod capture;
pub mod certificate;
pub mod client;
pub mod desk;
pub mod ear;
pub mod fax;
pub mod garbage;
pub mod kamailio;
pub mod killing;
pub mod lamp;
pub mod linphone;
pub mod matrix;
pub mod nat;
pub mod office;
pub mod party;
pub mod pjsua;
pub mod ports;
pub mod server;
pub mod sipp;
pub mod smtp;
pub mod soak;
pub mod stations;
pub mod trace;
pub mod wait;
pub mod wire;
