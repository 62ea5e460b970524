//! Records of calls into their two tables. Of all records these are the most: their rows are bound
//! many to a statement, since a statement is a message to SQLite's thread and back, and SQLite
//! reads a bound value at a fraction of what it takes for the same in JSON.

use koukan_switch::{CallCause, Cdr, CdrLeg};
use sqlx::query_builder::{QueryBuilder, Separated};
use sqlx::sqlite::{Sqlite, SqliteConnection};

use crate::rows::{self, integer, ms};

const INSERT_CALLS: &str = "INSERT INTO calls (call, tenant, generation, direction, caller, called, \
     number, started, answered, ended, last_seen, cause, status, price) ";

const INSERT_LEGS: &str = "INSERT INTO legs (call, position, party, call_id, started, answered, \
     ended, status, rtp_received, rtp_sent, quality_mean, quality_worst, quality_cause, charge) ";

/// Rows of a statement. Few sizes make few statements, which stay prepared.
const SIZES: [usize; 3] = [32, 4, 1];

/// Puts these calls in the place of what stood there of them.
pub(crate) async fn replace(connection: &mut SqliteConnection, calls: &[&Cdr]) -> sqlx::Result<()> {
    if calls.is_empty() {
        return Ok(());
    }
    let keys: Vec<&str> = calls.iter().map(|cdr| cdr.call.as_str()).collect();
    let keys = serde_json::to_string(&keys).unwrap_or_default();
    sqlx::query(rows::DELETE_CALLS).bind(keys).execute(&mut *connection).await?;
    insert(connection, INSERT_CALLS, calls, |row, cdr| bind_call(row, cdr)).await?;
    let legs = calls.iter().flat_map(|cdr| {
        (0_i64..).zip(&cdr.legs).map(|(position, leg)| (cdr.call.as_str(), position, leg))
    });
    let legs: Vec<_> = legs.collect();
    insert(connection, INSERT_LEGS, &legs, |row, (call, position, leg)| {
        bind_leg(row, call, *position, leg);
    })
    .await
}

async fn insert<T>(
    connection: &mut SqliteConnection,
    statement: &'static str,
    mut rows: &[T],
    mut bind: impl FnMut(&mut Separated<'_, Sqlite, &'static str>, &T),
) -> sqlx::Result<()> {
    for size in SIZES {
        while let Some((some, rest)) = rows.split_at_checked(size) {
            let mut query = QueryBuilder::<Sqlite>::new(statement);
            query.push_values(some, |mut row, item| bind(&mut row, item));
            query.build().execute(&mut *connection).await?;
            rows = rest;
        }
    }
    Ok(())
}

fn bind_call(row: &mut Separated<'_, Sqlite, &'static str>, cdr: &Cdr) {
    row.push_bind(cdr.call.as_str())
        .push_bind(cdr.tenant.as_str())
        .push_bind(integer(cdr.generation))
        .push_bind(cdr.direction.as_str())
        .push_bind(cdr.caller.as_str())
        .push_bind(cdr.called.as_str())
        .push_bind(cdr.number.as_deref())
        .push_bind(ms(cdr.started))
        .push_bind(cdr.answered.map(ms))
        .push_bind(cdr.ended.map(ms))
        .push_bind(ms(cdr.last_seen))
        .push_bind(cdr.cause.and_then(word))
        .push_bind(i64::from(cdr.status))
        .push_bind(cdr.price.as_deref());
}

fn bind_leg(
    row: &mut Separated<'_, Sqlite, &'static str>,
    call: &str,
    position: i64,
    leg: &CdrLeg,
) {
    // Kept as one text: who needs it needs all of it.
    let charge = leg.charge.as_ref().and_then(|charge| serde_json::to_string(charge).ok());
    row.push_bind(call)
        .push_bind(position)
        .push_bind(leg.party.as_str())
        .push_bind(leg.call_id.as_str())
        .push_bind(ms(leg.started))
        .push_bind(leg.answered.map(ms))
        .push_bind(leg.ended.map(ms))
        .push_bind(i64::from(leg.status))
        .push_bind(integer(leg.rtp_received))
        .push_bind(integer(leg.rtp_sent))
        .push_bind(leg.quality_mean.map(i64::from))
        .push_bind(leg.quality_worst.map(i64::from))
        .push_bind(leg.quality_cause.as_deref())
        .push_bind(charge);
}

/// The cause as records have it in JSON.
fn word(cause: CallCause) -> Option<String> {
    serde_json::to_value(cause).ok()?.as_str().map(str::to_owned)
}
