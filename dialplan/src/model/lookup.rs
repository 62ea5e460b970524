//! `[lookup]`: the module that an office asks about those who call it from outside.

use std::sync::Arc;
use std::time::Duration;

use crate::read::{Item, Table};
use crate::source::At;

/// Which module is asked, and how long a call waits for it.
#[derive(Clone, Debug)]
pub(crate) struct Lookup {
    pub(crate) module: Arc<str>,
    pub(crate) within: Duration,
}

/// A caller hears nothing meanwhile: more than two seconds would be taken for a dead line.
const LONGEST_MS: u32 = 2_000;
const SHORTEST_MS: u32 = 20;
const USUAL_MS: u32 = 300;

impl Lookup {
    pub(crate) fn read(item: Item<'_>) -> Option<Self> {
        item.table("lookup", Self::read_keys)
    }

    fn read_keys(table: &mut Table<'_>) -> Option<Self> {
        let module = table.req("module", |item| {
            let place = item.place();
            item.text().map(|value| At { value, place })
        });
        let within = table.or("within_ms", USUAL_MS, |item| item.whole(SHORTEST_MS, LONGEST_MS));
        let module = module?;
        let known = table.reader.modules();
        if known.is_some_and(|modules| !modules.check_source(table.reader, &module)) {
            return None;
        }
        Some(Self { module: module.value, within: Duration::from_millis(within.into()) })
    }
}
