//! What must be seen on the wire when a call does what its simulation says.

use serde_json::Value;

/// What the phones and the carrier do with this call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Whoever is called last of those who are called answers.
    Answers,
    /// Everybody who is called is busy.
    Refuses,
    /// Phones ring and nobody comes; the carrier answers.
    Waits,
}

/// One thing that must be seen before the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Beat {
    /// These devices ring and no other, in waves: each begins together.
    Ring(Vec<Vec<char>>),
    /// The caller hears a prompt, answered or before an answer.
    Hear(String, bool),
    /// The carrier is called: the number, and who is shown.
    Outside(String, Option<String>),
    /// The caller is answered and hears the greeting of a mailbox.
    Voicemail,
    /// The caller is answered and hears itself.
    Echo,
    /// It is refused with this status.
    Refused(u16),
    /// The server hangs up on a caller that it has answered.
    Over,
}

/// How a call goes.
#[derive(Debug)]
pub(crate) struct Story {
    pub(crate) beats: Vec<Beat>,
    /// The kind of outcome that they are.
    pub(crate) kind: &'static str,
    /// The step that takes the call, by its place; none when no phone and no carrier does.
    pub(crate) taken_by: Option<usize>,
}

/// How a call goes that does what its simulation says.
pub(crate) fn of(simulated: &Value, manner: Manner) -> Story {
    let mut beats = Vec::new();
    let (mut answered, mut failures) = (false, Vec::new());
    let mut kind = None;
    let story = |beats, kind, taken_by| Story { beats, kind, taken_by };
    for (at, step) in simulated["steps"].as_array().into_iter().flatten().enumerate() {
        let word = step["do"].as_str().unwrap_or_default();
        match word {
            "ring" => {
                let waves = waves(step, manner);
                let rung = waves.iter().flatten().count();
                beats.push(Beat::Ring(waves));
                kind = kind.or(Some("rings"));
                match manner {
                    Manner::Answers => return story(beats, kind.unwrap_or_default(), Some(at)),
                    Manner::Refuses => failures.extend(std::iter::repeat_n(486, rung)),
                    Manner::Waits => failures.push(408),
                }
            }
            "forward" | "call" => {
                let text = |key: &str| step[key].as_str().map(str::to_owned);
                beats.push(Beat::Outside(text("number").unwrap_or_default(), text("shown")));
                kind = kind.or(Some(if word == "call" { "calls" } else { "forwards" }));
                if manner != Manner::Refuses {
                    return story(beats, kind.unwrap_or_default(), Some(at));
                }
                failures.push(486);
            }
            "announce" => {
                let early = step["answered"] == false;
                beats.push(Beat::Hear(prompt(&step["prompt"]), !early));
                answered |= !early;
                kind = kind.or(Some("announces"));
            }
            _ => match step["word"].as_str().unwrap_or_default() {
                "echo" => {
                    beats.push(Beat::Echo);
                    return story(beats, "echo", None);
                }
                word if word.starts_with("voicemail:") => {
                    beats.push(Beat::Voicemail);
                    return story(beats, kind.unwrap_or("voicemail"), None);
                }
                // What it sets is looked at when the call is over.
                word if word.starts_with("set:") => kind = Some("sets"),
                // Of a phone that forwards when it cannot be reached, and was.
                word if word.starts_with("divert:") => {}
                other => panic!("no office here has {other}: {step}"),
            },
        }
    }
    let release = &simulated["release"];
    let status = status(release["status"].as_u64().unwrap_or(0), &failures);
    // Whom the network has told that the callee is busy hears nothing else.
    let network_said = release["cause"] == "trunk-failed" && status == 486;
    if release["prompt"].is_string() && !network_said {
        beats.push(Beat::Hear(prompt(&release["prompt"]), answered));
    }
    beats.push(if answered { Beat::Over } else { Beat::Refused(status) });
    story(beats, kind.unwrap_or("refused"), None)
}

/// A prompt by the name that its tone has.
fn prompt(name: &Value) -> String {
    let name = name.as_str().unwrap_or_default();
    if name.ends_with("ours.wav") { "own".to_owned() } else { name.to_owned() }
}

/// Who rings together, in the order of the waves.
fn waves(step: &Value, manner: Manner) -> Vec<Vec<char>> {
    let mut timed: Vec<(u64, char)> = Vec::new();
    let mut reserve = Vec::new();
    for target in step["devices"].as_array().into_iter().flatten() {
        if target["registered"] == false {
            continue;
        }
        let device = target["device"].as_str().and_then(|name| name.chars().next());
        let device = device.unwrap_or('?');
        match target["after_s"].as_u64() {
            Some(after) => timed.push((after, device)),
            None => reserve.push(device),
        }
    }
    timed.sort_by_key(|(after, _)| *after);
    let mut waves: Vec<(u64, Vec<char>)> = Vec::new();
    for (after, device) in timed {
        match waves.last_mut().filter(|(begins, _)| *begins == after) {
            Some((_, wave)) => wave.push(device),
            None => waves.push((after, vec![device])),
        }
    }
    let mut waves: Vec<Vec<char>> = waves.into_iter().map(|(_, wave)| wave).collect();
    // Who stands in rings when nobody else can be reached, or everybody else has refused.
    if !reserve.is_empty() && (waves.is_empty() || manner == Manner::Refuses) {
        waves.push(reserve);
    }
    waves
}

/// What a caller is told of whom nobody took: the plan's status, unless all were busy.
fn status(given: u64, failures: &[u16]) -> u16 {
    let busy = !failures.is_empty() && failures.iter().all(|status| *status == 486);
    if busy && matches!(given, 480 | 503) { 486 } else { u16::try_from(given).unwrap_or(0) }
}
