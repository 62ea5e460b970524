//! What many offices write alike is kept once: classes of numbers and tariffs, which are copied
//! from one office to the next. They are shared when a plan is in order; places in a text are of no
//! use from then on.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::Plan;
use crate::model::class::Classes;
use crate::model::tariff::Tariff;
use crate::read::{Entry, Value};

/// The first of each content, by the content itself.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    classes: HashMap<Vec<u8>, Arc<Classes>>,
    tariffs: HashMap<Vec<u8>, Arc<Tariff>>,
}

impl Pool {
    /// Puts what others have too in the place of the plan's own.
    pub(crate) fn share(&mut self, plan: &mut Plan, root: &[Entry]) {
        let mut content = Vec::new();
        if let Some(entry) = root.iter().find(|entry| entry.key == "class") {
            write_value(&entry.node.value, &mut content);
            plan.classes = share(&mut self.classes, &content, &plan.classes);
        }
        let Some(tariff) = &mut plan.tariff else { return };
        // A tariff speaks of classes: the same words may mean others.
        if let Some(entry) = root.iter().find(|entry| entry.key == "tariff") {
            content.push(END);
            write_value(&entry.node.value, &mut content);
            *tariff = share(&mut self.tariffs, &content, tariff);
        }
    }
}

fn share<T>(pool: &mut HashMap<Vec<u8>, Arc<T>>, content: &[u8], own: &Arc<T>) -> Arc<T> {
    if let Some(known) = pool.get(content) {
        return Arc::clone(known);
    }
    pool.insert(content.to_vec(), Arc::clone(own));
    Arc::clone(own)
}

/// Writes a value so that two values write the same only when they are the same.
fn write_value(value: &Value, into: &mut Vec<u8>) {
    match value {
        Value::Text(text) => write_text(b's', text, into),
        Value::Whole(number) => {
            into.push(b'i');
            into.extend(number.to_le_bytes());
        }
        Value::Flag(flag) => into.extend([b'f', u8::from(*flag)]),
        Value::Other(kind, text) => {
            write_text(b'o', kind, into);
            write_text(b'o', text, into);
        }
        Value::List(items) => {
            into.push(b'[');
            items.iter().for_each(|item| write_value(&item.value, into));
            into.push(END);
        }
        Value::Table(entries) => {
            into.push(b'{');
            for entry in entries {
                write_text(b'k', &entry.key, into);
                write_value(&entry.node.value, into);
            }
            into.push(END);
        }
    }
}

fn write_text(kind: u8, text: &str, into: &mut Vec<u8>) {
    into.push(kind);
    into.extend((text.len() as u64).to_le_bytes());
    into.extend(text.as_bytes());
}

const END: u8 = b']';
