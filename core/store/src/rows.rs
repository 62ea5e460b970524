//! Records as rows and back.

use jiff::Timestamp;
use koukan_switch::{CallCause, Cdr, CdrCharge, CdrLeg, Contact, Note, PastCharge, Watch};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::Error as WordError;
use serde_json::{Value, json};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

/// The statements take a whole batch as one JSON array: a statement is a message to SQLite's thread
/// and back, which costs more than the rows. (Calls, the most of all, have a way of their own.)
pub(crate) const DELETE_CONTACTS: &str = "DELETE FROM contacts WHERE (user, uri, reg_id) IN \
     (SELECT value->>0, value->>1, value->>2 FROM json_each(?))";

pub(crate) const INSERT_CONTACTS: &str = "INSERT OR REPLACE INTO contacts (user, uri, transport, \
     listener, source, q, call_id, cseq, expires, user_agent, path, instance, reg_id) \
     SELECT value->>'user', value->>'uri', value->>'transport', value->>'listener', \
     value->>'source', value->>'q', value->>'call_id', value->>'cseq', value->>'expires', \
     value->>'user_agent', value->'path', value->>'instance', value->>'reg_id' FROM json_each(?)";

pub(crate) const DELETE_OLD_CONTACTS: &str = "DELETE FROM contacts WHERE expires < ?";

pub(crate) const DELETE_OLD_WATCHES: &str = "DELETE FROM subscriptions WHERE expires < ?";

/// Subscriptions of phones; made where it is missing, since the first version knew none.
pub(crate) const CREATE_WATCHES: &str = "CREATE TABLE IF NOT EXISTS subscriptions ( \
     key TEXT PRIMARY KEY, expires INTEGER NOT NULL, subscription TEXT NOT NULL ) WITHOUT ROWID";

pub(crate) const DELETE_WATCHES: &str =
    "DELETE FROM subscriptions WHERE key IN (SELECT value FROM json_each(?))";

pub(crate) const INSERT_WATCHES: &str = "INSERT OR REPLACE INTO subscriptions \
     (key, expires, subscription) SELECT value->>'key', value->>'expires', value->>'subscription' \
     FROM json_each(?)";

/// What modules wrote down; made where it is missing, as the subscriptions are.
pub(crate) const CREATE_NOTES: &str = "CREATE TABLE IF NOT EXISTS notes ( module TEXT NOT NULL, \
     tenant TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, \
     PRIMARY KEY (module, tenant, key) ) WITHOUT ROWID";

pub(crate) const DELETE_NOTES: &str = "DELETE FROM notes WHERE (module, tenant, key) IN \
     (SELECT value->>0, value->>1, value->>2 FROM json_each(?))";

pub(crate) const INSERT_NOTES: &str = "INSERT OR REPLACE INTO notes (module, tenant, key, value) \
     SELECT value->>0, value->>1, value->>2, value->>3 FROM json_each(?)";

/// Their legs go with them.
pub(crate) const DELETE_CALLS: &str =
    "DELETE FROM calls WHERE call IN (SELECT value FROM json_each(?))";

pub(crate) fn ms(time: Timestamp) -> i64 {
    time.as_millisecond()
}

/// SQLite's integers have a sign; counters of ours never come near it.
pub(crate) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(crate) fn note(row: &SqliteRow) -> sqlx::Result<Note> {
    Ok(Note {
        module: row.try_get("module")?,
        tenant: row.try_get("tenant")?,
        key: row.try_get("key")?,
        value: Some(row.try_get("value")?),
    })
}

pub(crate) fn contact_json(contact: &Contact) -> Value {
    json!({
        "user": contact.user,
        "uri": contact.uri,
        "transport": contact.transport,
        "listener": contact.listener,
        "source": contact.source,
        "q": contact.q,
        "call_id": contact.call_id,
        "cseq": contact.cseq,
        "expires": ms(contact.expires),
        "user_agent": contact.user_agent,
        "path": contact.path,
        "instance": contact.instance,
        "reg_id": contact.reg_id.unwrap_or(0),
    })
}

/// The whole of it as one text: nobody asks for its parts.
pub(crate) fn watch_json(watch: &Watch) -> Value {
    let text = serde_json::to_string(watch).unwrap_or_default();
    json!({ "key": watch.key, "expires": ms(watch.expires), "subscription": text })
}

pub(crate) fn watch(row: &SqliteRow) -> sqlx::Result<Watch> {
    let text: String = row.try_get("subscription")?;
    serde_json::from_str(&text).map_err(|_| odd("subscription"))
}

/// A column's value does not mean what this version thinks; someone else wrote it.
fn odd(column: &str) -> sqlx::Error {
    sqlx::Error::Decode(format!("column {column} holds a value that was not written by us").into())
}

fn time(row: &SqliteRow, column: &str) -> sqlx::Result<Timestamp> {
    Timestamp::from_millisecond(row.try_get(column)?).map_err(|_| odd(column))
}

fn time_if(row: &SqliteRow, column: &str) -> sqlx::Result<Option<Timestamp>> {
    let ms: Option<i64> = row.try_get(column)?;
    ms.map(|ms| Timestamp::from_millisecond(ms).map_err(|_| odd(column))).transpose()
}

fn number_if<T: TryFrom<i64>>(row: &SqliteRow, column: &str) -> sqlx::Result<Option<T>> {
    let number: Option<i64> = row.try_get(column)?;
    number.map(|number| T::try_from(number).map_err(|_| odd(column))).transpose()
}

fn number<T: TryFrom<i64>>(row: &SqliteRow, column: &str) -> sqlx::Result<T> {
    T::try_from(row.try_get(column)?).map_err(|_| odd(column))
}

pub(crate) fn contact(row: &SqliteRow) -> sqlx::Result<Contact> {
    let source: String = row.try_get("source")?;
    let path: String = row.try_get("path")?;
    let reg_id: u32 = number(row, "reg_id")?;
    Ok(Contact {
        user: row.try_get("user")?,
        uri: row.try_get("uri")?,
        transport: row.try_get("transport")?,
        listener: number(row, "listener")?,
        source: source.parse().map_err(|_| odd("source"))?,
        q: number(row, "q")?,
        call_id: row.try_get("call_id")?,
        cseq: number(row, "cseq")?,
        expires: time(row, "expires")?,
        user_agent: row.try_get("user_agent")?,
        path: serde_json::from_str(&path).map_err(|_| odd("path"))?,
        instance: row.try_get("instance")?,
        reg_id: (reg_id != 0).then_some(reg_id),
    })
}

/// A call without its legs.
pub(crate) fn call(row: &SqliteRow) -> sqlx::Result<Cdr> {
    let cause: Option<String> = row.try_get("cause")?;
    let cause = cause
        .map(|word| {
            let words: serde::de::value::StringDeserializer<WordError> = word.into_deserializer();
            CallCause::deserialize(words).map_err(|_| odd("cause"))
        })
        .transpose()?;
    Ok(Cdr {
        call: row.try_get("call")?,
        tenant: row.try_get("tenant")?,
        generation: number(row, "generation")?,
        direction: row.try_get("direction")?,
        caller: row.try_get("caller")?,
        called: row.try_get("called")?,
        number: row.try_get("number")?,
        started: time(row, "started")?,
        answered: time_if(row, "answered")?,
        ended: time_if(row, "ended")?,
        last_seen: time(row, "last_seen")?,
        cause,
        status: number(row, "status")?,
        price: row.try_get("price")?,
        legs: Vec::new(),
    })
}

fn charge(row: &SqliteRow) -> sqlx::Result<Option<CdrCharge>> {
    let text: Option<String> = row.try_get("charge")?;
    text.map(|text| serde_json::from_str(&text).map_err(|_| odd("charge"))).transpose()
}

/// Legs that cost something and ended since a moment.
pub(crate) const RECENT_CHARGES: &str = "SELECT call, answered, ended, charge FROM legs \
     WHERE charge IS NOT NULL AND ended >= ?";

/// A leg of [`RECENT_CHARGES`] with the call that it belongs to.
pub(crate) fn past_charge(row: &SqliteRow) -> sqlx::Result<(String, PastCharge)> {
    let charge = charge(row)?.ok_or_else(|| odd("charge"))?;
    let (answered, ended) = (time(row, "answered")?, time(row, "ended")?);
    Ok((row.try_get("call")?, PastCharge { charge, answered, ended }))
}

/// A leg with the call that it belongs to.
pub(crate) fn leg(row: &SqliteRow) -> sqlx::Result<(String, CdrLeg)> {
    let leg = CdrLeg {
        party: row.try_get("party")?,
        call_id: row.try_get("call_id")?,
        started: time(row, "started")?,
        answered: time_if(row, "answered")?,
        ended: time_if(row, "ended")?,
        status: number(row, "status")?,
        rtp_received: number(row, "rtp_received")?,
        rtp_sent: number(row, "rtp_sent")?,
        quality_mean: number_if(row, "quality_mean")?,
        quality_worst: number_if(row, "quality_worst")?,
        quality_cause: row.try_get("quality_cause")?,
        charge: charge(row)?,
    };
    Ok((row.try_get("call")?, leg))
}
