//! An application that waits for one operation after the other, for the benches of the border.

use std::time::Duration;

use koukan_sdk::{Call, Result, export_module};
use serde::Deserialize;

#[derive(Deserialize)]
struct Nothing {}

async fn loops(call: Call, _: Nothing) -> Result<()> {
    loop {
        call.sleep(Duration::from_secs(1)).await?;
    }
}

export_module! { name: "loops", version: "0.0.1", apps: { "loops": loops } }
