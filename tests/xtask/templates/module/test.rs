//! `@name@` against the fake host: no server, no sound, virtual time.

use koukan_sdk::fake::{Request, Run};
use koukan_sdk::{Operation, Prompt, status};
use serde_json::json;

#[test]
fn a_key_ends_the_prompt_and_the_call() {
    let arguments = json!({ "prompt": { "language": "ja", "name": "closed" } });
    let mut run = Run::start(@name@::@name@, &arguments);
    let (answer, operation) = run.next_operation().expect("it answers");
    assert_eq!(operation, Operation::Answer);
    run.done(answer, status::OK, "");

    let (play, operation) = run.next_operation().expect("it plays");
    let prompts = vec![Prompt::new("ja", "closed")];
    assert_eq!(operation, Operation::Play { prompts, times: 1 });
    run.digit(b'5');
    let mut requests = std::iter::from_fn(|| run.next_request());
    assert!(requests.any(|request| request == Request::Cancel { op: play }));
}

#[test]
fn the_call_ends_after_the_prompt() {
    let arguments = json!({ "prompt": { "name": "own.wav" }, "times": 2 });
    let mut run = Run::start(@name@::@name@, &arguments);
    for _ in ["answer", "play"] {
        let (op, _) = run.next_operation().expect("an operation");
        run.done(op, status::OK, "");
    }
    let hangs_up = std::iter::from_fn(|| run.next_operation())
        .any(|(_, operation)| operation == Operation::HangUp { sip_status: 480 });
    assert!(hangs_up);
}
