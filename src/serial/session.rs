//! What a line drives.

use alloc::boxed::Box;

use crate::connection::Connection;

/// A [`Connection`], or something that holds one: an adapter's connection that lies behind a lock, say.
pub trait Session {
    /// Runs this on the connection.
    ///
    /// A [`Line`](super::Line) never calls it from within another call of its own.
    fn with<R>(&mut self, run: impl FnOnce(&mut Connection) -> R) -> R;
}

impl Session for Connection {
    fn with<R>(&mut self, run: impl FnOnce(&mut Self) -> R) -> R {
        run(self)
    }
}

/// Where a session should not be moved about: on a small stack.
impl Session for Box<Connection> {
    fn with<R>(&mut self, run: impl FnOnce(&mut Connection) -> R) -> R {
        run(self)
    }
}
