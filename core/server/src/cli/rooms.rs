//! `koukan ctl rooms` and `koukan ctl room`: who is in the conference rooms, and orders in them;
//! `koukan ctl queues`: who waits.

use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::{Value, json};

use super::ctl::{Column, escaped};
use super::table;

#[derive(Debug, Args)]
pub(super) struct RoomArguments {
    /// The tenant's id
    tenant: String,
    /// The room's name in the plan
    room: String,
    #[command(subcommand)]
    order: RoomOrder,
}

#[derive(Debug, Subcommand)]
enum RoomOrder {
    /// Let nobody in but moderators
    Lock,
    /// Let everybody in again
    Open,
    /// Let nobody be heard but moderators
    Hush,
    /// Let everybody be heard again
    Unhush,
    /// Let the others not hear a member
    Mute {
        /// The member's call, as `rooms` prints it
        call: String,
    },
    /// Let them hear it again
    Unmute {
        /// The member's call
        call: String,
    },
    /// Put a member out
    PutOut {
        /// The member's call
        call: String,
    },
    /// Call a number into the room, as a call of the moderator's phone that came first
    Dial {
        /// The number
        number: String,
    },
}

impl RoomArguments {
    pub(super) fn request(&self) -> (Method, String, Option<Value>) {
        let order = match &self.order {
            RoomOrder::Lock => json!({ "lock": true }),
            RoomOrder::Open => json!({ "lock": false }),
            RoomOrder::Hush => json!({ "hush": true }),
            RoomOrder::Unhush => json!({ "hush": false }),
            RoomOrder::Mute { call } => json!({ "mute": call }),
            RoomOrder::Unmute { call } => json!({ "unmute": call }),
            RoomOrder::PutOut { call } => json!({ "put_out": call }),
            RoomOrder::Dial { number } => json!({ "dial": number }),
        };
        let path = format!("/v1/tenants/{}/rooms/{}", escaped(&self.tenant), escaped(&self.room));
        (Method::POST, path, Some(order))
    }
}

const MEMBERS: &[Column] = &[
    ("TENANT", "/tenant"),
    ("ROOM", "/room"),
    ("LOCKED", "/locked"),
    ("MEMBER", "/member/party"),
    ("NUMBER", "/member/number"),
    ("LEADS", "/member/moderator"),
    ("MUTED", "/member/muted"),
    ("TALKS", "/member/talking"),
    ("SINCE", "/member/since"),
    ("CALL", "/member/call"),
];

const QUEUES: &[Column] = &[
    ("TENANT", "/tenant"),
    ("QUEUE", "/queue"),
    ("WAITING", "/waiting"),
    ("CALLERS", "/names"),
    ("SINCE", "/since"),
    ("AGENTS", "/states"),
];

/// Every queue, a line each.
pub(super) fn queues(queues: &Value) -> String {
    let queues = queues.as_array().map(Vec::as_slice).unwrap_or_default();
    let rows = queues.iter().map(|queue| {
        let list = |key: &str| queue.get(key).and_then(Value::as_array).cloned();
        let callers = list("callers").unwrap_or_default();
        let text = |value: &Value, key: &str| {
            value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let names: Vec<String> = callers.iter().map(|caller| text(caller, "caller")).collect();
        let agents = list("agents").unwrap_or_default();
        let states = agents.iter().map(|a| format!("{} {}", text(a, "device"), text(a, "state")));
        json!({
            "tenant": queue.get("tenant"), "queue": queue.get("queue"), "waiting": callers.len(),
            "names": names.join(", "), "since": callers.first().and_then(|c| c.get("since")),
            "states": states.collect::<Vec<String>>().join(", "),
        })
    });
    table::columns(&rows.collect(), QUEUES, "no office has a queue")
}

/// The members of every room, a line each.
pub(super) fn shown(rooms: &Value) -> String {
    let rooms = rooms.as_array().map(Vec::as_slice).unwrap_or_default();
    let rows = rooms.iter().flat_map(|room| {
        let members = room.get("members").and_then(Value::as_array);
        members.into_iter().flatten().map(move |member| {
            let mut row = room.clone();
            if let Some(row) = row.as_object_mut() {
                row.insert("member".to_owned(), member.clone());
            }
            row
        })
    });
    table::columns(&rows.collect(), MEMBERS, "nobody is in a room")
}
