//! A source with every fault that the border must hold, by the caller's number, beside good
//! answers.

use std::thread;
use std::time::Duration;

use koukan_sdk::{Caller, Error, Kept, Opened, Question, Result, Source, export_module};
use serde::Deserialize;

#[derive(Deserialize)]
struct Options {
    /// What goes wrong on opening or closing, if anything.
    #[serde(default)]
    wrong: String,
}

struct Oracle {
    grenade: Grenade,
    asked: u32,
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

impl Source for Oracle {
    type Options = Options;

    fn open(options: Options, _: &Opened<'_>) -> Result<Self> {
        match &*options.wrong {
            "open" => panic!("on opening"),
            "refuse" => return Err(Error::Failed("not today".into())),
            _ => {}
        }
        Ok(Self { grenade: Grenade(options.wrong == "close"), asked: 0 })
    }

    fn caller(&mut self, question: &Question<'_>) -> Result<Kept<Caller>> {
        self.asked += 1;
        let named = |name: String| Some(Caller { name: Some(name), refuse: None });
        let mut keep = Duration::ZERO;
        let answer = match question.national {
            "0100000001" => panic!("a question"),
            "0100000002" => std::panic::panic_any(Grenade(true)),
            "0100000003" => return Err(Error::Failed("the disk is gone".into())),
            "0100000004" => named("x".repeat(100_000)),
            "0100000005" => {
                thread::sleep(Duration::from_millis(700));
                named("late".into())
            }
            "0100000006" => {
                thread::sleep(Duration::from_secs(3));
                None
            }
            "0100000007" => Some(Caller { name: None, refuse: Some("unwanted".into()) }),
            "0100000008" => {
                keep = Duration::from_secs(60);
                named(format!("asked {} times", self.asked))
            }
            "0100000009" => None,
            other => named(format!("who dials {other}, of {}", question.tenant)),
        };
        let _ = &self.grenade;
        Ok(Kept { answer, keep })
    }
}

export_module! {
    name: "oracle",
    version: "0.0.1",
    source: Oracle,
    schema: "[\"kk.source/1\"]\n[\"kk.config/1\"]\nwrong = { type = \"text\" }\n",
}
