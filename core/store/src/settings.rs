//! Live settings as rows: each as it stands, and what was set before.

use std::collections::BTreeMap;

use jiff::Timestamp;
use koukan_switch::SettingRecord;
use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Executor, Row};

/// Made where they are missing, since the first versions knew none.
pub(crate) const CREATE: &str = "CREATE TABLE IF NOT EXISTS settings ( \
     tenant TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, set_by TEXT NOT NULL, \
     set_at INTEGER NOT NULL, PRIMARY KEY (tenant, key) ) WITHOUT ROWID; \
     CREATE TABLE IF NOT EXISTS setting_history ( id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, \
     key TEXT NOT NULL, value TEXT, set_by TEXT NOT NULL, set_at INTEGER NOT NULL ); \
     CREATE INDEX IF NOT EXISTS setting_history_tenant ON setting_history (tenant, id)";

const DELETE: &str = "DELETE FROM settings WHERE (tenant, key) IN \
     (SELECT value->>0, value->>1 FROM json_each(?))";

const INSERT: &str = "INSERT OR REPLACE INTO settings (tenant, key, value, set_by, set_at) \
     SELECT value->>'tenant', value->>'key', value->>'value', value->>'by', value->>'at' \
     FROM json_each(?)";

const APPEND: &str = "INSERT INTO setting_history (tenant, key, value, set_by, set_at) \
     SELECT value->>'tenant', value->>'key', value->>'value', value->>'by', value->>'at' \
     FROM json_each(?) ORDER BY json_each.key";

/// Changes of all offices that are kept, the latest.
const KEPT: &str = "DELETE FROM setting_history WHERE id <= \
     (SELECT max(id) - 200000 FROM setting_history)";

/// The changes of one batch.
#[derive(Debug, Default)]
pub(crate) struct Changes<'a> {
    /// Each as it stands last.
    last: BTreeMap<(&'a str, &'a str), &'a SettingRecord>,
    /// All of them in order.
    all: Vec<&'a SettingRecord>,
}

impl<'a> Changes<'a> {
    pub(crate) fn add(&mut self, setting: &'a SettingRecord) {
        self.last.insert((&setting.tenant, &setting.key), setting);
        self.all.push(setting);
    }

    /// Writes them, in the transaction of the batch.
    pub(crate) async fn apply(&self, connection: &mut SqliteConnection) -> sqlx::Result<()> {
        if self.all.is_empty() {
            return Ok(());
        }
        let gone = self.last.values().filter(|setting| setting.value.is_none());
        let gone: Value = gone.map(|setting| json!([setting.tenant, setting.key])).collect();
        let set = self.last.values().filter(|setting| setting.value.is_some());
        let set: Value = set.map(|setting| row(setting)).collect();
        let all: Value = self.all.iter().map(|setting| row(setting)).collect();
        for (statement, rows) in [(DELETE, gone), (INSERT, set), (APPEND, all)] {
            sqlx::query(statement).bind(rows.to_string()).execute(&mut *connection).await?;
        }
        connection.execute(KEPT).await.map(|_| ())
    }
}

fn row(setting: &SettingRecord) -> Value {
    json!({
        "tenant": setting.tenant,
        "key": setting.key,
        "value": setting.value,
        "by": setting.by,
        "at": setting.at.as_millisecond(),
    })
}

/// Every setting as it stands.
pub(crate) async fn stored(connection: &mut SqliteConnection) -> sqlx::Result<Vec<SettingRecord>> {
    let rows = sqlx::query("SELECT * FROM settings").fetch_all(connection).await?;
    // What a later version wrote is passed over.
    Ok(rows.iter().filter_map(|row| read(row).ok()).collect())
}

/// The latest changes of an office, newest first.
pub(crate) async fn history(
    connection: &mut SqliteConnection,
    tenant: &str,
    limit: u32,
) -> sqlx::Result<Vec<SettingRecord>> {
    let text = "SELECT * FROM setting_history WHERE tenant = ? ORDER BY id DESC LIMIT ?";
    let query = sqlx::query(text).bind(tenant).bind(i64::from(limit));
    query.fetch_all(connection).await?.iter().map(read).collect()
}

fn read(row: &SqliteRow) -> sqlx::Result<SettingRecord> {
    let at = Timestamp::from_millisecond(row.try_get("set_at")?);
    Ok(SettingRecord {
        tenant: row.try_get("tenant")?,
        key: row.try_get("key")?,
        value: row.try_get("value")?,
        by: row.try_get("set_by")?,
        at: at.map_err(|_| sqlx::Error::Decode("column set_at holds no date of ours".into()))?,
    })
}
