//! A sink with every fault that the border must hold, as its options say.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::thread;

use koukan_sdk::{Error, Opened, Record, Result, Sink, export_module};
use serde::Deserialize;

#[derive(Deserialize)]
struct Options {
    /// What goes wrong, if anything.
    #[serde(default)]
    wrong: String,
    /// Where its records go.
    file: PathBuf,
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

struct Ledger {
    options: Options,
    _grenade: Grenade,
}

impl Sink for Ledger {
    type Options = Options;

    fn open(options: Options, _: &Opened<'_>) -> Result<Self> {
        match &*options.wrong {
            "open" => panic!("on opening"),
            "refuse" => return Err(Error::Failed("not today".into())),
            _ => {}
        }
        let grenade = Grenade(options.wrong == "close");
        Ok(Self { options, _grenade: grenade })
    }

    fn deliver(&mut self, records: &[Record<'_>], safe: &mut u64) -> Result<()> {
        match &*self.options.wrong {
            "deliver" => panic!("a delivery"),
            "payload" => std::panic::panic_any(Grenade(true)),
            "fail" => return Err(Error::Failed("the disk is gone".into())),
            _ => {}
        }
        let failed = |error: std::io::Error| Error::Failed(error.to_string());
        let mut file = OpenOptions::new();
        let mut file = file.create(true).append(true).open(&self.options.file).map_err(failed)?;
        for record in records {
            writeln!(file, "{}", record.text).map_err(failed)?;
        }
        *safe = records.last().map_or(*safe, |last| last.sequence);
        Ok(())
    }
}

export_module! {
    name: "ledger",
    version: "0.0.1",
    sink: Ledger,
    schema: "[\"kk.config/1\"]\nwrong = { type = \"text\" }\n\
             file = { type = \"text\", required = true }\n",
}
