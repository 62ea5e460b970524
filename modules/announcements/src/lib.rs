//! The module that fills the role `announcements`: plays prompts to a caller, after answering or as
//! early media, and returns. What comes after it is the dialplan's.

#![forbid(unsafe_code)]

use std::time::Duration;

use koukan_sdk::{Call, Error, Prompt, Result, export_module};
use serde::Deserialize;

/// What to play, and how.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// Whether the caller is answered first; an announcement before the answer costs nothing.
    pub answered: bool,
    /// How often the prompts are played; 0 is until the caller hangs up.
    #[serde(default = "once")]
    pub times: u32,
    /// The prompts, in order.
    pub prompts: Vec<Prompt>,
}

const fn once() -> u32 {
    1
}

/// The application.
///
/// # Errors
/// A prompt does not exist (it is named), or the call ended first.
pub async fn announcements(call: Call, arguments: Arguments) -> Result<()> {
    let Arguments { answered, times, prompts } = arguments;
    if prompts.is_empty() {
        return Err(Error::Failed("an announcement without prompts".to_owned()));
    }
    if answered {
        call.answer().await?;
    } else {
        call.early_media().await?;
    }
    call.play(&prompts, times).await?;
    call.sleep(TAIL).await
}

/// The last frames have been sent, but stand in the jitter buffer of the caller's phone: the BYE of
/// a release would cut the last syllable.
const TAIL: Duration = Duration::from_millis(200);

export_module! {
    name: "announcements",
    version: env!("CARGO_PKG_VERSION"),
    apps: { "announcements": announcements }
}

#[cfg(test)]
mod tests {
    use koukan_sdk::fake::Run;
    use koukan_sdk::{Operation, status};
    use serde_json::{Value, json};

    use super::*;

    fn closed(answered: bool, times: u32) -> Value {
        let prompts = json!([
            { "language": "ja", "name": "closed" },
            { "language": "en", "name": "closed" },
        ]);
        json!({ "answered": answered, "times": times, "prompts": prompts })
    }

    fn play(times: u32) -> Operation {
        let prompts = vec![Prompt::new("ja", "closed"), Prompt::new("en", "closed")];
        Operation::Play { prompts, times }
    }

    #[test]
    fn an_answered_announcement_answers_and_then_plays() {
        let mut run = Run::start(announcements, &closed(true, 3));
        let (op, operation) = run.next_operation().unwrap();
        assert_eq!(operation, Operation::Answer);
        assert!(run.next_operation().is_none(), "it plays before the answer is sent");
        run.done(op, status::OK, "");
        let (op, operation) = run.next_operation().unwrap();
        assert_eq!(operation, play(3));
        run.done(op, status::OK, "");
        assert!(run.outcome().is_none(), "the last syllable would be cut");
        run.advance(TAIL);
        assert!(matches!(run.outcome(), Some(Ok(()))));
        assert!(run.owed().is_empty());
    }

    #[test]
    fn an_announcement_before_the_answer_is_early_media() {
        let mut run = Run::start(announcements, &closed(false, 1));
        let (op, operation) = run.next_operation().unwrap();
        assert_eq!(operation, Operation::EarlyMedia);
        run.done(op, status::OK, "");
        let (op, operation) = run.next_operation().unwrap();
        assert_eq!(operation, play(1));
        run.done(op, status::OK, "");
        run.advance(TAIL);
        assert!(matches!(run.outcome(), Some(Ok(()))));
    }

    #[test]
    fn a_caller_who_hangs_up_while_it_plays_ends_it() {
        let mut run = Run::start(announcements, &closed(false, 0));
        let (op, _) = run.next_operation().unwrap();
        run.done(op, status::OK, "");
        run.next_operation().unwrap();
        run.hang_up();
        assert!(matches!(run.outcome(), Some(Err(Error::HangUp))));
        assert!(run.next_request().is_none() && run.owed().is_empty());
    }

    #[test]
    fn a_missing_prompt_is_named() {
        let one = json!({ "answered": true, "prompts": [{ "language": "ja", "name": "lunhc" }] });
        let mut run = Run::start(announcements, &one);
        let (op, _) = run.next_operation().unwrap();
        run.done(op, status::OK, "");
        let (op, operation) = run.next_operation().unwrap();
        assert!(matches!(operation, Operation::Play { times: 1, .. }));
        run.done(op, status::NOT_FOUND, "");
        let Some(Err(error)) = run.outcome() else { panic!("it went on") };
        assert_eq!(error.to_string(), "prompt ja/lunhc was not found");
    }

    #[test]
    fn an_answer_that_fails_plays_nothing() {
        let mut run = Run::start(announcements, &closed(true, 1));
        let (op, _) = run.next_operation().unwrap();
        run.done(op, status::FAILED, "no codec in common");
        let Some(Err(error)) = run.outcome() else { panic!("it went on") };
        assert_eq!(error.to_string(), "the call could not answer: no codec in common");
        assert!(run.next_request().is_none());
    }

    #[test]
    fn arguments_without_prompts_are_refused_before_anything_is_asked() {
        let none = json!({ "answered": true, "prompts": [] });
        for wrong in [none, json!({ "answered": true }), json!({ "answerd": true, "prompts": [] })]
        {
            let mut run = Run::start(announcements, &wrong);
            assert!(matches!(run.outcome(), Some(Err(_))), "{wrong}");
            assert!(run.next_request().is_none());
        }
    }
}
