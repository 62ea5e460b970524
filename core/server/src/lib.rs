//! The server: configuration, SIP transports, the control loop, the HTTP API, metrics, logs and the
//! command line around the pure crates. A library as well, so that tests run servers in-process.

pub mod api;
pub mod clock;
pub mod config;
pub mod limits;
pub mod log;
pub mod metrics;
pub mod os;
pub mod transport;
