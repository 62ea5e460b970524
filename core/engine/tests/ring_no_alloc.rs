//! On io_uring, too, a worker allocates nothing once its streams are up.

#[path = "no_alloc.rs"]
mod no_alloc;
