//! Named objects of one kind, in the order of the files, found by name.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;

use crate::read::{Item, Table};
use crate::source::Place;

/// An object with its name and the place that defines it.
#[derive(Debug)]
pub(crate) struct Object<T> {
    pub(crate) name: Arc<str>,
    pub(crate) place: Place,
    /// A key of it was wrong and is missing here: what others lack because of it is no news.
    pub(crate) faulty: bool,
    pub(crate) value: T,
}

impl<T> Deref for Object<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// The objects of one kind.
#[derive(Debug)]
pub(crate) struct Objects<T> {
    list: Vec<Object<T>>,
    /// Places by name, where the list is too long to be gone through.
    index: HashMap<Arc<str>, usize>,
}

/// So many names are gone through faster than they are hashed.
const FEW: usize = 12;

impl<T> Default for Objects<T> {
    fn default() -> Self {
        Self { list: Vec::new(), index: HashMap::new() }
    }
}

impl<T> Objects<T> {
    /// Reads every object of the table `key`; those with errors are left out.
    pub(crate) fn read(
        root: &Table<'_>,
        key: &'static str,
        read: impl Fn(&mut Table<'_>) -> Option<T>,
    ) -> Self {
        Self::read_items(root, key, |item, place| item.table_at(key, place, &read))
    }

    /// The same for objects that need not be tables.
    pub(crate) fn read_items(
        root: &Table<'_>,
        key: &'static str,
        read: impl Fn(Item<'_>, Place) -> Option<T>,
    ) -> Self {
        let mut objects = Self::default();
        let found = root.objects(key);
        objects.list.reserve_exact(found.len());
        for (name, place, item) in found {
            let before = root.reader.faults();
            if let Some(value) = read(item, place) {
                let faulty = root.reader.faults() > before;
                objects.list.push(Object { name, place, faulty, value });
            }
        }
        if objects.list.len() > FEW {
            let names = objects.list.iter().enumerate();
            objects.index = names.map(|(at, object)| (Arc::clone(&object.name), at)).collect();
        }
        objects
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Object<T>> {
        self.list.get(self.position(name)?)
    }

    /// Its place in the order of [`iter`](Self::iter).
    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        if self.index.is_empty() {
            return self.list.iter().position(|object| &*object.name == name);
        }
        self.index.get(name).copied()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Object<T>> {
        self.list.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Object<T>> {
        self.list.iter_mut()
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}
