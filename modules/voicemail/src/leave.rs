//! A caller leaves a message (S-46, S-47).

use std::time::Duration;

use koukan_sdk::{Call, Error, Level, Result};
use serde::Deserialize;

use crate::mail;
use crate::mailbox::{Mailbox, Message, State};
use crate::words::prompt;

/// What the plan says of the box, and who calls.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leave {
    /// The box's name.
    pub mailbox: String,
    /// The office's language.
    pub language: String,
    /// The longest message.
    pub max_message_ms: u32,
    /// How many messages it holds.
    pub max_messages: u32,
    /// How long a message is kept.
    pub keep_ms: i64,
    /// Who gets a mail.
    pub notify: Vec<String>,
    /// Who calls.
    pub caller: String,
    /// What was called.
    pub called: String,
    /// How far the office's clocks are ahead of UTC.
    pub utc_offset_s: i32,
}

/// What is shorter was the caller's hanging up.
const SHORTEST: Duration = Duration::from_secs(1);
/// So much silence ends a message: its caller has forgotten to hang up.
const SILENCE: Duration = Duration::from_secs(10);
/// The last word stands in the jitter buffer of the caller's phone.
pub(crate) const TAIL: Duration = Duration::from_millis(300);

/// The application.
///
/// # Errors
/// The message cannot be kept, or a prompt is missing.
#[expect(clippy::manual_async_fn, reason = "an async function would hold its arguments twice")]
pub fn leave(call: Call, plan: Leave) -> impl Future<Output = Result<()>> {
    async move {
        match take(&call, &plan).await {
            // Who hangs up while the greeting plays leaves no message, which is no fault.
            Err(Error::HangUp) => Ok(()),
            other => other,
        }
    }
}

async fn take(call: &Call, plan: &Leave) -> Result<()> {
    let say = |name| prompt(&plan.language, name);
    let mailbox = Mailbox::new(call.store(), &plan.mailbox);
    call.answer().await?;
    let now = call.date_ms();
    let held = mailbox.entries()?.iter().filter(|(_, m)| m.expires_ms > now).count();
    if u32::try_from(held).unwrap_or(u32::MAX) >= plan.max_messages {
        call.counter("boxes_full", "Callers who found their box full.").increment();
        call.play(&[say("vm/full")], 1).await?;
        return call.sleep(TAIL).await;
    }
    call.play(&[say("vm/greeting"), say("beep")], 1).await?;

    let (key, object) = mailbox.number()?;
    let date_ms = call.date_ms();
    let caller: String = plan.caller.chars().filter(char::is_ascii_digit).collect();
    let mut message = Message {
        object,
        caller,
        date_ms,
        utc_offset_s: plan.utc_offset_s,
        length_ms: 0,
        state: State::Recording,
        expires_ms: date_ms.saturating_add(plan.keep_ms),
    };
    mailbox.put(&key, &message)?;
    let most = Duration::from_millis(u64::from(plan.max_message_ms));
    let recorded = call.record(&message.object, most, SILENCE, "#").await;
    let recorded = match recorded {
        Ok(recorded) if recorded.length >= SHORTEST => recorded,
        Ok(_) => return mailbox.delete(&(key, message)),
        Err(error) => {
            call.log(Level::Error, &format!("a message for {} is lost: {error}", plan.mailbox));
            mailbox.delete(&(key, message))?;
            return Err(error);
        }
    };
    message.length_ms = u64::try_from(recorded.length.as_millis()).unwrap_or(u64::MAX);
    message.state = State::New;
    mailbox.put(&key, &message)?;
    call.counter("messages_left", "Messages that were left.").increment();
    mailbox.show()?;
    if let Err(error) = mail::send(&call.store(), plan, &message) {
        call.log(Level::Warn, &format!("no mail for a message of {}: {error}", plan.mailbox));
    }
    if recorded.hung_up {
        return Ok(());
    }
    call.play(&[say("vm/taken")], 1).await?;
    call.sleep(TAIL).await
}
