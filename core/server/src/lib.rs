//! The server: configuration, SIP transports, the control loop, the HTTP API, metrics, logs and the
//! command line around the pure crates. A library as well, so that tests run servers in-process.

#![deny(unsafe_code)]

pub mod api;
pub mod backup;
pub mod cdr_export;
pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod explain;
pub mod fax;
pub mod generations;
pub mod http;
pub mod journal;
pub mod limits;
pub mod log;
pub mod mail;
pub mod media;
pub mod metrics;
pub mod module;
pub mod modules;
pub mod notices;
pub mod notify;
#[expect(unsafe_code, reason = "limits and memory of the process, through libc")]
pub mod os;
pub mod plans;
pub mod recordings;
mod resolver;
pub mod selftest;
pub mod server;
pub mod simulation;
pub mod sounds;
pub mod trace;
pub mod transport;
mod zip;
