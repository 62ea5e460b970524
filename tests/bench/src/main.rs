//! The figures that this project promises, measured in one run each and held against their floors:
//! `koukan-bench [NAME…]` with the names of [`BENCHES`], everything when nothing is named. Ends
//! with 1 when a floor is missed.
#![deny(unsafe_code)]

#[expect(unsafe_code, reason = "the counting allocator")]
mod allocations;
mod beside;
mod calls;
mod dtmf;
mod faxes;
mod forwarder;
mod kamailio;
mod lamps;
mod late;
mod load;
mod media;
mod memory;
mod office;
mod overload;
mod phases;
mod phones;
mod proc;
mod quality;
mod recordings;
mod relay;
mod rooms;
mod rtpengine;
mod signalling;
mod speech;
mod start;
mod steady;
mod storm;
mod transcode;

use std::io;
use std::process::ExitCode;

/// One figure with its bounds; less is better in all of them.
struct Figure {
    name: &'static str,
    unit: &'static str,
    value: f64,
    floor: f64,
    goal: f64,
}

impl Figure {
    /// Prints the figure; whether its floor holds.
    fn report(&self) -> bool {
        let Self { name, unit, value, floor, goal } = self;
        let verdict = match () {
            () if value <= goal => "goal reached",
            () if value <= floor => "floor holds",
            () => "FLOOR MISSED",
        };
        println!("{name}: {value:.2} {unit} (floor {floor}, goal {goal}): {verdict}");
        value <= floor
    }
}

const BENCHES: &[&str] = &[
    "quality",
    "receivers",
    "dtmf",
    "relay",
    "beside",
    "transcode",
    "rooms",
    "recordings",
    "steady",
    "overload",
    "start",
    "memory",
    "calls",
    "signalling",
    "storm",
    "lamps",
    "faxes",
];

fn main() -> ExitCode {
    let named: Vec<String> = std::env::args().skip(1).collect();
    if let Some(unknown) = named.iter().find(|name| !BENCHES.contains(&name.as_str())) {
        eprintln!("unknown bench {unknown}; there are {}", BENCHES.join(", "));
        return ExitCode::FAILURE;
    }
    let wanted = |name: &str| named.is_empty() || named.iter().any(|known| known == name);
    let mut good = true;
    let mut run = |name: &str, bench: fn() -> io::Result<Vec<Figure>>| {
        if !wanted(name) {
            return;
        }
        match bench() {
            Ok(figures) => figures.iter().for_each(|figure| good &= figure.report()),
            Err(error) => {
                eprintln!("{name}: {error}");
                good = false;
            }
        }
    };
    run("quality", quality::bench);
    run("receivers", quality::live::bench);
    run("dtmf", dtmf::bench);
    run("relay", relay::bench);
    run("beside", beside::bench);
    run("transcode", transcode::bench);
    run("rooms", rooms::bench);
    run("recordings", recordings::bench);
    run("steady", steady::bench);
    run("overload", overload::bench);
    run("start", start::bench);
    run("memory", memory::bench);
    run("calls", calls::bench);
    run("signalling", signalling::bench);
    run("storm", storm::bench);
    run("lamps", lamps::bench);
    run("faxes", faxes::bench);
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
