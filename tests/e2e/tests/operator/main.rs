//! What an operator relies on: the server seen from outside, offices that do not see each other,
//! full disks and clocks that jump, and `kill -9` in the middle of everything.

mod disk_and_clock;
mod killing;
mod seeing;
mod tenants;
