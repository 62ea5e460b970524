//! Applications against the fake host: operations, their results, cancelling, keys and wakers.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use koukan_sdk::fake::{Request, Run};
use koukan_sdk::{Call, Error, Level, Operation, Prompt, Result, status};

const SECOND: Duration = Duration::from_secs(1);

async fn menu(call: Call, _: ()) -> Result<()> {
    call.answer().await?;
    // A key interrupts the prompt: the loser of the two is dropped, which cancels it.
    let digits = {
        let mut play = pin!(call.play(&[Prompt::new("ja", "menu")], 0));
        let mut collect = pin!(call.collect_digits(1, 1, 5 * SECOND));
        poll_fn(|context| {
            if let Poll::Ready(digits) = collect.as_mut().poll(context) {
                return Poll::Ready(digits);
            }
            play.as_mut().poll(context).map(|played| played.map(|()| String::new()))
        })
        .await?
    };
    call.log(Level::Info, &digits);
    call.hangup(480).await
}

#[test]
fn a_key_interrupts_a_prompt_and_the_prompt_is_cancelled_once() {
    let mut run = Run::start(menu, &());
    let (answer, operation) = run.next_operation().unwrap();
    assert_eq!(operation, Operation::Answer);
    run.done(answer, status::OK, "");
    let (collect, _) = run.next_operation().unwrap();
    let (play, operation) = run.next_operation().unwrap();
    let prompts = vec![Prompt::new("ja", "menu")];
    assert_eq!(operation, Operation::Play { prompts, times: 0 });
    assert_eq!(run.owed(), [collect, play]);
    run.digit(b'7');
    assert_eq!(run.next_request(), Some(Request::Cancel { op: play }));
    let (hang_up, operation) = run.next_operation().unwrap();
    assert_eq!(operation, Operation::HangUp { sip_status: 480 });
    assert_eq!(run.owed(), [hang_up]);
    run.done(hang_up, status::OK, "");
    assert!(matches!(run.outcome(), Some(Ok(()))));
    assert_eq!(run.log(), [(Level::Info, "7".to_owned())]);
    assert!(run.next_request().is_none() && run.owed().is_empty());
}

#[test]
fn too_few_digits_in_time_are_a_time_out() {
    let mut run = Run::start(menu, &());
    let (answer, _) = run.next_operation().unwrap();
    run.done(answer, status::OK, "");
    run.advance(4 * SECOND);
    assert!(run.outcome().is_none());
    run.advance(SECOND);
    assert!(matches!(run.outcome(), Some(Err(Error::TimedOut))));
    assert!(run.owed().is_empty());
}

#[test]
fn a_hang_up_ends_every_operation_and_the_application() {
    let mut run = Run::start(menu, &());
    let (answer, _) = run.next_operation().unwrap();
    run.done(answer, status::OK, "");
    run.hang_up();
    assert!(matches!(run.outcome(), Some(Err(Error::HangUp))));
    assert!(run.owed().is_empty());
}

async fn digits(call: Call, count: usize) -> Result<()> {
    for _ in 0..count {
        let digit = call.next_digit().await?;
        call.log(Level::Debug, &char::from(digit).to_string());
    }
    Ok(())
}

#[test]
fn keys_that_no_operation_consumes_reach_the_application() {
    let mut run = Run::start(digits, &2);
    run.digit(b'1');
    assert!(run.outcome().is_none());
    run.digit(b'*');
    assert!(matches!(run.outcome(), Some(Ok(()))));
    let lines: Vec<String> = run.log().into_iter().map(|(_, text)| text).collect();
    assert_eq!(lines, ["1", "*"]);
}

#[test]
fn waiting_for_a_key_ends_with_the_call() {
    let mut run = Run::start(digits, &1);
    run.hang_up();
    assert!(matches!(run.outcome(), Some(Err(Error::HangUp))));
}

async fn nap(call: Call, seconds: u64) -> Result<()> {
    let began = call.now();
    call.sleep(Duration::from_secs(seconds)).await?;
    let slept = call.now() - began;
    call.log(Level::Info, &format!("{slept:?}"));
    Ok(())
}

#[test]
fn a_sleep_takes_its_time_and_no_less() {
    let mut run = Run::start(nap, &3);
    run.advance(SECOND * 3 - Duration::from_nanos(1));
    assert!(run.outcome().is_none());
    run.advance(Duration::from_nanos(1));
    assert!(matches!(run.outcome(), Some(Ok(()))));
    assert_eq!(run.log(), [(Level::Info, "3s".to_owned())]);
}

#[test]
fn wrong_arguments_are_named_and_nothing_runs() {
    let mut run = Run::start(nap, &"soon");
    assert!(run.next_request().is_none());
    let Some(Err(error)) = run.outcome() else { panic!("it ran") };
    assert!(error.to_string().contains("invalid type: string \"soon\""), "{error}");
}

async fn waking(_call: Call, times: u32) -> Result<()> {
    let mut left = times;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
    Ok(())
}

#[test]
fn a_future_that_wakes_itself_is_polled_again() {
    let run = Run::start(waking, &5);
    assert!(matches!(run.outcome(), Some(Ok(()))));
}

async fn failing(call: Call, _: ()) -> Result<()> {
    call.play(&[Prompt::new("ja", "closed"), Prompt::new("en", "closed")], 1).await
}

#[test]
fn a_missing_prompt_is_named_by_the_host_or_by_every_candidate() {
    let mut run = Run::start(failing, &());
    let (op, _) = run.next_operation().unwrap();
    run.done(op, status::NOT_FOUND, "");
    let Some(Err(error)) = run.outcome() else { panic!("it went on") };
    assert_eq!(error.to_string(), "one of the prompts ja/closed, en/closed was not found");
    let mut run = Run::start(failing, &());
    let (op, _) = run.next_operation().unwrap();
    run.done(op, status::NOT_FOUND, "en/closed");
    let Some(Err(error)) = run.outcome() else { panic!("it went on") };
    assert_eq!(error.to_string(), "prompt en/closed was not found");
}

async fn until_drained(call: Call, _: ()) -> Result<()> {
    call.answer().await?;
    call.drained().await;
    call.hangup(480).await
}

#[test]
fn an_application_may_wait_for_its_builds_replacement() {
    let mut run = Run::start(until_drained, &());
    let (op, _) = run.next_operation().unwrap();
    run.done(op, status::OK, "");
    assert_eq!(run.next_operation(), None);
    run.drain();
    assert_eq!(run.next_operation().unwrap().1, Operation::HangUp { sip_status: 480 });
}
