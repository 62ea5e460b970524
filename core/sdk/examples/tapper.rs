//! A tap with every fault that the border must hold, as its options say.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use koukan_sdk::{Batch, Encoding, Error, Result, Tap, TapEnd, Tape, Tapped, export_module};
use serde::Deserialize;

#[derive(Deserialize)]
struct Options {
    /// What goes wrong, if anything.
    #[serde(default)]
    wrong: String,
    /// While this file is there, `hang` and `slow` go wrong.
    gate: Option<PathBuf>,
}

/// Its destructor may panic.
struct Grenade(bool);

impl Drop for Grenade {
    fn drop(&mut self) {
        if self.0 && !thread::panicking() {
            panic!("a destructor");
        }
    }
}

struct Tapper {
    options: Options,
    tape: Tape,
    _grenade: Grenade,
}

impl Tapper {
    fn is_gated(&self) -> bool {
        self.options.gate.as_ref().is_some_and(|gate| gate.exists())
    }
}

impl Tap for Tapper {
    type Options = Options;

    fn open(options: Options, _: &Tapped<'_>, tape: Tape) -> Result<Self> {
        match &*options.wrong {
            "open" => panic!("on opening"),
            "refuse" => return Err(Error::Failed("not today".into())),
            "mute" => {}
            "foreign" => {
                tape.begin(Encoding::Alaw)?;
                tape.begin(Encoding::Linear16)?;
            }
            _ => tape.begin(Encoding::Linear16)?,
        }
        let grenade = Grenade(options.wrong == "destructor");
        Ok(Self { options, tape, _grenade: grenade })
    }

    fn batch(&mut self, batch: &Batch<'_>) -> Result<()> {
        match &*self.options.wrong {
            "batch" => panic!("a batch"),
            "payload" => std::panic::panic_any(Grenade(true)),
            "fail" => return Err(Error::Failed("no more".into())),
            "mute" => return Ok(()),
            "torn" => return self.tape.write(&[0]),
            "slow" if self.is_gated() => thread::sleep(Duration::from_millis(1_500)),
            "hang" => {
                while self.is_gated() {
                    thread::sleep(Duration::from_millis(10));
                }
            }
            _ => {}
        }
        let bytes: Vec<u8> = batch.samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        self.tape.write(&bytes)
    }

    fn close(self, end: TapEnd) {
        if self.options.wrong == "close" {
            panic!("on closing: {end:?}");
        }
    }
}

export_module! {
    name: "tapper",
    version: "0.0.1",
    requires: ["kk.tape/1"],
    tap: Tapper,
    schema: "[\"kk.config/1\"]\nwrong = { type = \"text\" }\ngate = { type = \"text\" }\n",
}
