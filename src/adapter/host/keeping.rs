//! What a device that keeps a connection does next: it dials, or waits.

use std::mem;
use std::string::String;
use std::sync::Arc;
use std::time::Duration;
use std::vec::Vec;

use super::backoff::Backoff;
use super::error::ConnectError;
use crate::Instant;

/// Where a peer is looked for, and what has come of it.
#[derive(Debug, Default)]
pub(crate) struct Keeping {
    addresses: Vec<String>,
    /// They have not been tried.
    fresh: bool,
    backoff: Backoff,
    failed: Option<Arc<ConnectError>>,
}

/// What its keeper does, until something changes: a connection with the peer stands, or ends, or there are other addresses.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Next {
    /// Dials one of these.
    Dial(Vec<String>),
    /// Waits this long, and asks again.
    Sleep(Duration),
    /// Waits.
    Wait,
}

impl Keeping {
    /// What is to be done now, where a connection with the peer `stands` or does not; counts on it that it is done.
    pub(crate) fn next(&mut self, now: Instant, stands: bool) -> Next {
        if stands {
            self.backoff.on_connected(now);
            return Next::Wait;
        }
        if self.addresses.is_empty() {
            // The peer may dial.
            return Next::Wait;
        }
        if mem::take(&mut self.fresh) {
            self.backoff.on_new_addresses();
        }
        let left = self.backoff.left(now);
        if !left.is_zero() {
            return Next::Sleep(left);
        }
        self.backoff.on_try(now);
        Next::Dial(self.addresses.clone())
    }

    /// What has come of dialling.
    pub(crate) fn on_dialled(&mut self, outcome: Result<(), ConnectError>) {
        self.failed = outcome.err().map(Arc::new);
    }

    /// Says whether they are others than before.
    pub(crate) fn set_addresses(&mut self, addresses: Vec<String>) -> bool {
        let others = self.addresses != addresses;
        if others {
            (self.addresses, self.fresh) = (addresses, true);
        }
        others
    }

    /// Why the last try has failed.
    pub(crate) fn failed(&self) -> Option<Arc<ConnectError>> {
        self.failed.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::string::ToString;
    use std::vec;

    use super::*;

    const START: Instant = Instant::from_millis(1_000_000);
    const SECOND: Duration = Duration::from_secs(1);

    fn addresses(port: u16) -> Vec<String> {
        vec![std::format!("lamp:{port}")]
    }

    #[test]
    fn it_dials_while_nothing_stands_and_only_where_there_is_an_address() {
        let mut keeping = Keeping::default();
        assert_eq!(keeping.next(START, false), Next::Wait);
        assert!(keeping.set_addresses(addresses(1)));
        assert_eq!(keeping.next(START, true), Next::Wait);
        assert_eq!(keeping.next(START, false), Next::Dial(addresses(1)), "they have not been tried");
        assert!(matches!(keeping.next(START, false), Next::Sleep(left) if left <= SECOND));
        assert_eq!(keeping.next(START + SECOND, false), Next::Dial(addresses(1)));
    }

    #[test]
    fn other_addresses_are_tried_at_once_and_the_same_are_not() {
        let mut keeping = Keeping::default();
        keeping.set_addresses(addresses(1));
        assert_eq!(keeping.next(START, false), Next::Dial(addresses(1)));
        assert!(!keeping.set_addresses(addresses(1)));
        assert!(matches!(keeping.next(START, false), Next::Sleep(_)));
        assert!(keeping.set_addresses(addresses(2)));
        assert_eq!(keeping.next(START, false), Next::Dial(addresses(2)));
    }

    #[test]
    fn what_failed_is_told_until_a_try_succeeds() {
        let mut keeping = Keeping::default();
        assert!(keeping.failed().is_none());
        keeping.on_dialled(Err(io::Error::other("nobody there").into()));
        assert_eq!(keeping.failed().map(|error| error.to_string()).as_deref(), Some("nobody there"));
        keeping.on_dialled(Ok(()));
        assert!(keeping.failed().is_none());
    }
}
