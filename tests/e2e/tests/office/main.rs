//! The sample office with real phones. One program, so that its tests wait for the timers of the
//! protocol side by side.

mod callers;
mod calls;
mod inbound;
mod limits;
mod lines;
mod recording;
mod restart;
mod settings;
mod voicemail;
