//! What happens without a call (S-47): messages that are too old are deleted by the server's date,
//! those that a killed process left half recorded become messages, and lamps are lit at a start.

use std::collections::BTreeSet;
use std::time::Duration;

use koukan_sdk::{Background, Level, Result};

use crate::mailbox::{MESSAGES, Mailbox, Message, State, name_of};

/// How often old messages are looked for.
const EVERY: Duration = Duration::from_secs(60);
/// The head of a recording, and its bytes a millisecond: 16 bits at 8 kHz.
const HEAD: u64 = 58;
const BYTES_A_MS: u64 = 16;
/// What is shorter was no message.
const SHORTEST_MS: u64 = 1_000;

/// The task.
///
/// # Errors
/// The host does not keep records for this module.
pub async fn retention(host: Background) -> Result<()> {
    let mut is_start = true;
    loop {
        for tenant in host.tenants()? {
            sweep(&host, &tenant, is_start)?;
        }
        is_start = false;
        host.sleep(EVERY).await?;
    }
}

fn sweep(host: &Background, tenant: &str, is_start: bool) -> Result<()> {
    let store = host.store(tenant);
    let mut changed: BTreeSet<String> = BTreeSet::new();
    for key in store.keys(MESSAGES)? {
        let Some(name) = name_of(&key) else { continue };
        let mailbox = Mailbox::new(store.clone(), name);
        let mut message: Message = match store.get(&key) {
            Ok(Some(message)) => message,
            Ok(None) => continue,
            Err(error) => {
                host.log(Level::Error, &format!("{tenant}: {error}"));
                continue;
            }
        };
        if is_start {
            changed.insert(name.to_owned());
        }
        // No call has come yet when a task starts: what is being recorded now was being recorded
        // when the process ended.
        if is_start && message.state == State::Recording {
            let bytes = store.object_size(&message.object)?.unwrap_or(0);
            message.length_ms = bytes.saturating_sub(HEAD) / BYTES_A_MS;
            if message.length_ms < SHORTEST_MS {
                mailbox.delete(&(key, message))?;
                continue;
            }
            message.state = State::New;
            mailbox.put(&key, &message)?;
        }
        if message.expires_ms <= host.date_ms() && message.state != State::Recording {
            changed.insert(name.to_owned());
            mailbox.delete(&(key, message))?;
        }
    }
    for name in changed {
        Mailbox::new(store.clone(), &name).show()?;
    }
    Ok(())
}
