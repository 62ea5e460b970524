//! Which subscriptions watch which resource, and what is known of it.

use std::collections::HashMap;
use std::sync::Arc;

use super::state::{Package, State};

/// A resource that somebody watches.
#[derive(Debug, Default)]
struct Watched {
    state: Option<Arc<State>>,
    /// Subscriptions, each with the resource's place in its list (0 for a single one).
    watchers: Vec<(u64, u16)>,
}

/// Every watched resource; one that nobody watches takes no room.
#[derive(Debug, Default)]
pub(super) struct Watch {
    resources: HashMap<(Package, Box<str>), Watched>,
}

impl Watch {
    /// Adds a watcher; true when the resource was not watched before, so that its state is wanted.
    pub(super) fn add(&mut self, package: Package, resource: &str, watcher: (u64, u16)) -> bool {
        let watched = self.resources.entry((package, resource.into())).or_default();
        watched.watchers.push(watcher);
        watched.watchers.len() == 1
    }

    pub(super) fn remove(&mut self, package: Package, resource: &str, subscription: u64) {
        let key = (package, Box::from(resource));
        let Some(watched) = self.resources.get_mut(&key) else { return };
        watched.watchers.retain(|(known, _)| *known != subscription);
        if watched.watchers.is_empty() {
            self.resources.remove(&key);
        }
    }

    /// Sets a state; the watchers that it is new for.
    pub(super) fn set(&mut self, resource: &str, state: State) -> Vec<(u64, u16)> {
        let key = (state.package(), Box::from(resource));
        let Some(watched) = self.resources.get_mut(&key) else { return Vec::new() };
        if watched.state.as_deref() == Some(&state) {
            return Vec::new();
        }
        watched.state = Some(Arc::new(state));
        watched.watchers.clone()
    }

    pub(super) fn state(&self, package: Package, resource: &str) -> Option<&Arc<State>> {
        self.resources.get(&(package, Box::from(resource)))?.state.as_ref()
    }

    pub(super) fn watchers(&self, package: Package, resource: &str) -> Vec<(u64, u16)> {
        let watched = self.resources.get(&(package, Box::from(resource)));
        watched.map(|watched| watched.watchers.clone()).unwrap_or_default()
    }

    pub(super) fn is_watched(&self, package: Package, resource: &str) -> bool {
        self.resources.contains_key(&(package, Box::from(resource)))
    }

    pub(super) fn len(&self) -> usize {
        self.resources.len()
    }
}
