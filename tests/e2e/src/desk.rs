//! What the phone on somebody's desk does beside calling and being called: transfers, and more
//! calls than one.

use std::io;

use crate::client::Client;

/// A client with the keys of a desk phone. Who holds a call may dial another one.
pub trait Desk: Client {
    /// Has the exchange connect the other party with a number or user (blind transfer).
    ///
    /// # Errors
    /// The control link broke, or the client refuses.
    fn transfer(&mut self, number: &str) -> io::Result<()>;

    /// Connects the party that it holds with the one that it talks to (RFC 5589, section 7).
    ///
    /// # Errors
    /// The control link broke, or the client has no word for it.
    fn put_through(&mut self) -> io::Result<()>;

    /// The client's own words that show that it has no such key; `None` when it has.
    fn cannot_put_through(&mut self) -> Option<String> {
        None
    }

    /// Forgets what it has reported so far and nobody has waited for.
    fn forget(&mut self);
}
