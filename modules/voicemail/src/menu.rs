//! Messages played by phone (S-49): the new ones first, each with its time and caller; keys go on,
//! back, delete, keep and call back.

use std::time::Duration;

use koukan_sdk::say::WallTime;
use koukan_sdk::{BridgeLimits, Bridged, Call, Error, Level, Prompt, Result};
use serde::Deserialize;

use crate::leave::TAIL;
use crate::mailbox::{Entry, Mailbox, State, name_of};
use crate::pin;
use crate::words::{head, prompt, summary};

/// Which boxes are to be heard.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Menu {
    /// The office's language.
    pub language: String,
    /// The boxes of the calling phone.
    pub mailboxes: Vec<BoxOfPhone>,
    /// How far the office's clocks are ahead of UTC.
    pub utc_offset_s: i32,
}

/// A box, and its PIN when it has one.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoxOfPhone {
    /// Its name.
    pub name: String,
    /// Its PIN.
    pub pin: Option<String>,
}

impl std::fmt::Debug for BoxOfPhone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BoxOfPhone").field("name", &self.name).finish_non_exhaustive()
    }
}

/// How long a key is waited for before the keys are said again.
const PATIENCE: Duration = Duration::from_secs(6);
/// The key that brings who calls back into the menu again.
const BACK: &str = "*";
/// How often they are said to nobody.
const REMINDERS: u32 = 3;

/// The application.
///
/// # Errors
/// A prompt is missing, or the messages cannot be read.
pub async fn menu(call: Call, plan: Menu) -> Result<()> {
    match play(&call, &plan).await {
        Err(Error::HangUp) => Ok(()),
        other => other,
    }
}

async fn play(call: &Call, plan: &Menu) -> Result<()> {
    let say = |name| prompt(&plan.language, name);
    call.answer().await?;
    let mut messages = Vec::new();
    if plan.mailboxes.is_empty() {
        call.play(&[say("vm/no-box")], 1).await?;
        return call.sleep(TAIL).await;
    }
    for of_phone in &plan.mailboxes {
        if let Some(pin) = &of_phone.pin
            && !pin::check(call, &plan.language, &of_phone.name, pin).await?
        {
            return call.sleep(TAIL).await;
        }
        messages.extend(Mailbox::new(call.store(), &of_phone.name).entries()?);
    }
    let now = call.date_ms();
    messages.retain(|(_, m)| m.state != State::Recording && m.expires_ms > now);
    messages.sort_by_key(|(_, message)| (message.state != State::New, message.date_ms));
    if messages.is_empty() {
        call.play(&[say("vm/none")], 1).await?;
    } else {
        Player { call, plan, messages, at: 0 }.run().await?;
    }
    call.play(&[say("vm/goodbye")], 1).await?;
    call.sleep(TAIL).await
}

/// A caller who listens.
struct Player<'a> {
    call: &'a Call,
    plan: &'a Menu,
    messages: Vec<Entry>,
    at: usize,
}

impl Player<'_> {
    fn say(&self, name: &str) -> Prompt {
        prompt(&self.plan.language, name)
    }

    async fn run(mut self) -> Result<()> {
        let is_new = |entry: &&Entry| entry.1.state == State::New;
        let new = self.messages.iter().filter(is_new).count();
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let (new, old) = (count(new), count(self.messages.len() - new));
        // A key ahead of the first message is for it.
        let mut key = self.call.play_until_key(&summary(&self.plan.language, new, old)).await?;
        loop {
            if key.is_none() {
                key = self.message().await?;
            }
            let pressed = match key.take() {
                Some(pressed) => pressed,
                None => match self.wait().await? {
                    Some(pressed) => pressed,
                    None => return Ok(()),
                },
            };
            if pressed == b'*' {
                return Ok(());
            }
            key = self.do_key(pressed).await?;
            if self.messages.is_empty() {
                return self.call.play(&[self.say("vm/no-more")], 1).await;
            }
        }
    }

    /// Plays the message at hand until it ends or a key is pressed.
    async fn message(&mut self) -> Result<Option<u8>> {
        let Some((_, message)) = self.messages.get(self.at) else { return Ok(None) };
        let now = WallTime::new(self.call.date_ms(), self.plan.utc_offset_s);
        let number = u32::try_from(self.at + 1).unwrap_or(u32::MAX);
        let words = head(&self.plan.language, number, message, now);
        let object = Prompt::object(&message.object);
        if let Some(key) = self.call.play_until_key(&words).await? {
            return Ok(Some(key));
        }
        match self.call.play_until_key(&[object]).await {
            Err(Error::NotFound(what)) => {
                self.call.log(Level::Error, &format!("a message cannot be played: {what}"));
            }
            Err(error) => return Err(error),
            Ok(key) => {
                self.heard()?;
                if key.is_some() {
                    return Ok(key);
                }
            }
        }
        self.call.play_until_key(&[self.say("vm/menu")]).await
    }

    /// Waits for a key, and says the keys again to who presses none.
    async fn wait(&self) -> Result<Option<u8>> {
        for _ in 0..REMINDERS {
            if let Some(key) = self.call.key_within(PATIENCE).await? {
                return Ok(Some(key));
            }
            if let Some(key) = self.call.play_until_key(&[self.say("vm/menu")]).await? {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }

    /// Does what a key asks for; a key that was pressed meanwhile is given back.
    async fn do_key(&mut self, key: u8) -> Result<Option<u8>> {
        match key {
            b'4' if self.at == 0 => self.tell("vm/first").await,
            b'4' => {
                self.at -= 1;
                Ok(None)
            }
            b'5' => Ok(None),
            b'6' => self.go_on().await,
            b'7' => {
                self.delete()?;
                let key = self.tell("vm/deleted").await?;
                if self.at >= self.messages.len() && !self.messages.is_empty() {
                    self.at = self.messages.len() - 1;
                    return self.end_of_list(key).await;
                }
                Ok(key)
            }
            b'8' => self.call_back().await,
            b'9' => {
                self.heard()?;
                let key = self.tell("vm/saved").await?;
                if key.is_some() { Ok(key) } else { self.go_on().await }
            }
            _ => self.call.play_until_key(&[self.say("vm/menu")]).await,
        }
    }

    async fn tell(&self, name: &str) -> Result<Option<u8>> {
        self.call.play_until_key(&[self.say(name)]).await
    }

    /// The next message; behind the last one there is none.
    async fn go_on(&mut self) -> Result<Option<u8>> {
        if self.at + 1 < self.messages.len() {
            self.at += 1;
            return Ok(None);
        }
        self.end_of_list(None).await
    }

    /// Says that there are no more, and waits for what else the caller wants.
    async fn end_of_list(&self, key: Option<u8>) -> Result<Option<u8>> {
        if key.is_some() {
            return Ok(key);
        }
        match self.tell("vm/no-more").await? {
            Some(key) => Ok(Some(key)),
            None => Ok(Some(self.call.key_within(PATIENCE).await?.unwrap_or(b'*'))),
        }
    }

    fn mailbox(&self, key: &str) -> Mailbox {
        Mailbox::new(self.call.store(), name_of(key).unwrap_or_default())
    }

    /// The message at hand was heard: it waits no longer, and is kept.
    fn heard(&mut self) -> Result<()> {
        let Some((key, message)) = self.messages.get_mut(self.at) else { return Ok(()) };
        if message.state == State::Heard {
            return Ok(());
        }
        message.state = State::Heard;
        let (key, message) = (key.clone(), message.clone());
        let mailbox = self.mailbox(&key);
        mailbox.put(&key, &message)?;
        mailbox.show()
    }

    fn delete(&mut self) -> Result<()> {
        if self.at >= self.messages.len() {
            return Ok(());
        }
        let entry = self.messages.remove(self.at);
        let mailbox = self.mailbox(&entry.0);
        mailbox.delete(&entry)?;
        mailbox.show()
    }

    async fn call_back(&mut self) -> Result<Option<u8>> {
        let caller = self.messages.get(self.at).map(|(_, m)| m.caller.clone()).unwrap_or_default();
        if caller.is_empty() {
            return self.tell("vm/cannot-call").await;
        }
        self.heard()?;
        let limits = BridgeLimits { keys: BACK.to_owned(), ..BridgeLimits::default() };
        match self.call.bridge(&caller, &limits).await {
            Ok(Bridged::Talked { .. } | Bridged::GivenUp(_)) => self.tell("vm/menu").await,
            Ok(other) => self.not_called(&caller, &format!("{other:?}")).await,
            // A server that cannot bring the caller back lets it go.
            Err(Error::Unsupported(_)) => match self.call.dial(&caller).await {
                Ok(()) => Err(Error::HangUp),
                Err(Error::Failed(why)) => self.not_called(&caller, &why).await,
                Err(error) => Err(error),
            },
            Err(Error::Failed(why)) => self.not_called(&caller, &why).await,
            Err(error) => Err(error),
        }
    }

    async fn not_called(&self, caller: &str, why: &str) -> Result<Option<u8>> {
        self.call.log(Level::Info, &format!("{caller} is not called back: {why}"));
        self.tell("vm/cannot-call").await
    }
}
