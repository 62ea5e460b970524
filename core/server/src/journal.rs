//! What must survive the process, on its way to the store.
