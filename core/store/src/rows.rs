//! Records as rows and back.

use jiff::Timestamp;
use koukan_switch::{CallCause, Cdr, CdrLeg, Contact};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::Error as WordError;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Row, Sqlite};

/// A statement under construction.
pub(crate) type Query<'q> = sqlx::query::Query<'q, Sqlite, SqliteArguments>;

pub(crate) const INSERT_CONTACT: &str = "INSERT OR REPLACE INTO contacts (user, uri, transport, \
     listener, source, q, call_id, cseq, expires, user_agent, path) \
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

pub(crate) const INSERT_CALL: &str = "INSERT INTO calls (call, tenant, generation, direction, \
     caller, called, number, started, answered, ended, last_seen, cause, status) \
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

pub(crate) const INSERT_LEG: &str = "INSERT INTO legs (call, position, party, call_id, started, \
     answered, ended, status, rtp_received, rtp_sent) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

fn ms(time: Timestamp) -> i64 {
    time.as_millisecond()
}

/// SQLite's integers have a sign; counters of ours never come near it.
fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(crate) fn bind_contact<'q>(query: Query<'q>, contact: &Contact) -> Query<'q> {
    let path = serde_json::to_string(&contact.path).unwrap_or_default();
    query
        .bind(contact.user.clone())
        .bind(contact.uri.clone())
        .bind(contact.transport.clone())
        .bind(i64::from(contact.listener))
        .bind(contact.source.to_string())
        .bind(i64::from(contact.q))
        .bind(contact.call_id.clone())
        .bind(i64::from(contact.cseq))
        .bind(ms(contact.expires))
        .bind(contact.user_agent.clone())
        .bind(path)
}

pub(crate) fn bind_call<'q>(query: Query<'q>, cdr: &Cdr) -> Query<'q> {
    let cause = cdr.cause.and_then(|cause| serde_json::to_value(cause).ok());
    let cause = cause.as_ref().and_then(|cause| cause.as_str()).map(str::to_owned);
    query
        .bind(cdr.call.clone())
        .bind(cdr.tenant.clone())
        .bind(integer(cdr.generation))
        .bind(cdr.direction.clone())
        .bind(cdr.caller.clone())
        .bind(cdr.called.clone())
        .bind(cdr.number.clone())
        .bind(ms(cdr.started))
        .bind(cdr.answered.map(ms))
        .bind(cdr.ended.map(ms))
        .bind(ms(cdr.last_seen))
        .bind(cause)
        .bind(i64::from(cdr.status))
}

pub(crate) fn bind_leg<'q>(
    query: Query<'q>,
    call: &str,
    position: usize,
    leg: &CdrLeg,
) -> Query<'q> {
    query
        .bind(call.to_owned())
        .bind(integer(position as u64))
        .bind(leg.party.clone())
        .bind(leg.call_id.clone())
        .bind(ms(leg.started))
        .bind(leg.answered.map(ms))
        .bind(leg.ended.map(ms))
        .bind(i64::from(leg.status))
        .bind(integer(leg.rtp_received))
        .bind(integer(leg.rtp_sent))
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

fn number<T: TryFrom<i64>>(row: &SqliteRow, column: &str) -> sqlx::Result<T> {
    T::try_from(row.try_get(column)?).map_err(|_| odd(column))
}

pub(crate) fn contact(row: &SqliteRow) -> sqlx::Result<Contact> {
    let source: String = row.try_get("source")?;
    let path: String = row.try_get("path")?;
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
        legs: Vec::new(),
    })
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
    };
    Ok((row.try_get("call")?, leg))
}
