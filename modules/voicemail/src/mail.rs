//! The mail that tells of a message and brings it along.

use koukan_sdk::say::WallTime;
use koukan_sdk::{Mail, Result, Store};

use crate::{Leave, Message};

/// Orders it, when anybody is to be told.
pub(crate) fn send(store: &Store, plan: &Leave, message: &Message) -> Result<()> {
    if plan.notify.is_empty() {
        return Ok(());
    }
    let at = WallTime::new(message.date_ms, message.utc_offset_s);
    let seconds = message.length_ms.div_ceil(1_000);
    let WallTime { month, day, hour, minute, .. } = at;
    let (subject, text) = if plan.language == "ja" {
        let caller = if message.caller.is_empty() { "番号非通知" } else { &message.caller };
        let subject = format!("留守番電話: {caller} ({seconds}秒)");
        let text = format!(
            "{month}月{day}日 {hour}時{minute:02}分に、{caller} から {} への伝言をお預かりしました。\n\
             長さ: {seconds}秒\n伝言の箱: {}\n",
            plan.called, plan.mailbox
        );
        (subject, text)
    } else {
        let caller = if message.caller.is_empty() { "an unknown number" } else { &message.caller };
        let subject = format!("Voice message from {caller} ({seconds} s)");
        let text = format!(
            "On {month}/{day} at {hour}:{minute:02}, {caller} left a message for {}.\n\
             Length: {seconds} s\nMailbox: {}\n",
            plan.called, plan.mailbox
        );
        (subject, text)
    };
    let file_name = format!("message-{month:02}{day:02}-{hour:02}{minute:02}.wav");
    store.send(&Mail {
        id: message.object.clone(),
        to: plan.notify.clone(),
        subject,
        text,
        attachment: Some((message.object.clone(), file_name)),
    })
}
