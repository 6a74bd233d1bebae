//! The open connections of one worker by their token.
//!
//! A queue can contain the token of a connection that was closed meanwhile. This token stays in use until it leaves the
//! queue. So a token in a queue never belongs to a later connection.

use crate::connection::{Connection, Queue};
use slab::Slab;

#[derive(Default)]
pub(crate) struct OpenConnections {
    /// `None`: the connection is closed, but a queue contains its token.
    entries: Slab<Option<Connection>>,
    /// Number of open connections.
    count: usize,
}

impl OpenConnections {
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The token of the next connection that [`OpenConnections::insert`] adds.
    pub(crate) fn next_token(&self) -> usize {
        self.entries.vacant_key()
    }

    pub(crate) fn insert(&mut self, connection: Connection) {
        self.entries.insert(Some(connection));
        self.count += 1;
    }

    pub(crate) fn get(&self, token: usize) -> Option<&Connection> {
        self.entries.get(token)?.as_ref()
    }

    pub(crate) fn connection_mut(&mut self, token: usize) -> Option<&mut Connection> {
        self.entries.get_mut(token)?.as_mut()
    }

    /// Removes a connection. If the connection is in a queue, its token stays in use until a call of
    /// [`OpenConnections::release_closed`].
    pub(crate) fn remove(&mut self, token: usize) -> Option<Connection> {
        let connection = self.entries.get_mut(token)?.take()?;
        self.count -= 1;
        if connection.queue() == Queue::None {
            self.entries.remove(token);
        }
        Some(connection)
    }

    /// Ends the use of `token` if its connection is closed. Returns whether it is closed. The caller has removed the
    /// token from its queue, or does so if the function returns true.
    pub(crate) fn release_closed(&mut self, token: usize) -> bool {
        let is_closed = self.entries.get(token).is_some_and(Option::is_none);
        if is_closed {
            self.entries.remove(token);
        }
        is_closed
    }

    /// Ends the use of the tokens of all closed connections. The caller has emptied the queues.
    pub(crate) fn release_all_closed(&mut self) {
        self.entries.retain(|_, connection| connection.is_some());
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &Connection)> {
        self.entries.iter().filter_map(|(token, connection)| Some((token, connection.as_ref()?)))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (usize, &mut Connection)> {
        let entries = self.entries.iter_mut();
        entries.filter_map(|(token, connection)| Some((token, connection.as_mut()?)))
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.count = 0;
    }

    /// Number of tokens in use. This includes tokens of closed connections.
    #[cfg(test)]
    pub(crate) fn tokens_in_use(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_of_a_closed_connection_needs_no_additional_memory() {
        assert_eq!(size_of::<Option<Connection>>(), size_of::<Connection>());
    }
}
