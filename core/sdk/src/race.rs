//! Two things at once, of which the first ends both: how a key interrupts a prompt.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use crate::{Call, Error, Prompt, Result};

/// Which of two was first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Either<A, B> {
    /// The first one.
    Left(A),
    /// The second one.
    Right(B),
}

/// Waits for the first of two; the other is dropped, which cancels an operation. When both are
/// there at once it is the left one.
pub async fn race<A: Future, B: Future>(left: A, right: B) -> Either<A::Output, B::Output> {
    let (mut left, mut right) = (pin!(left), pin!(right));
    poll_fn(|context| {
        if let Poll::Ready(left) = left.as_mut().poll(context) {
            return Poll::Ready(Either::Left(left));
        }
        right.as_mut().poll(context).map(Either::Right)
    })
    .await
}

impl Call {
    /// Plays prompts until they end or the caller presses a key, which is given then.
    ///
    /// # Errors
    /// A prompt is missing, or the call has ended.
    pub async fn play_until_key(&self, prompts: &[Prompt]) -> Result<Option<u8>> {
        match race(self.next_digit(), self.play(prompts, 1)).await {
            Either::Left(digit) => digit.map(Some),
            Either::Right(played) => played.map(|()| None),
        }
    }

    /// The next key, when one is pressed in time.
    ///
    /// # Errors
    /// The call has ended.
    pub async fn key_within(&self, time: Duration) -> Result<Option<u8>> {
        match race(self.next_digit(), self.sleep(time)).await {
            Either::Left(digit) => digit.map(Some),
            Either::Right(slept) => slept.map(|()| None),
        }
    }

    /// Asks for `min` to `max` digits: the first one interrupts the prompts. It ends at `max`, at
    /// `#`, or `timeout` after the last digit or the prompts.
    ///
    /// # Errors
    /// [`Error::TimedOut`]: they are fewer than `min`. A prompt is missing, or the call has ended.
    pub async fn ask(
        &self,
        prompts: &[Prompt],
        min: usize,
        max: usize,
        timeout: Duration,
    ) -> Result<String> {
        let mut digits = String::new();
        let mut key = self.play_until_key(prompts).await?;
        loop {
            match key {
                Some(b'#') => break,
                Some(digit) => digits.push(char::from(digit)),
                None if digits.is_empty() => {}
                None => break,
            }
            if digits.len() >= max {
                break;
            }
            let first = key.is_none();
            key = self.key_within(timeout).await?;
            if key.is_none() && first {
                break;
            }
        }
        if digits.len() < min { Err(Error::TimedOut) } else { Ok(digits) }
    }
}
