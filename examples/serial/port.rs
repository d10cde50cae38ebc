//! Serial ports as this protocol wants them.

use std::os::fd::AsFd;
use std::time::Duration;

use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use symbolon::Timeouts;

/// No echo, no line ends, no signals: bytes as they are.
pub fn make_raw(port: impl AsFd) -> rustix::io::Result<()> {
    let mut settings = tcgetattr(&port)?;
    settings.make_raw();
    tcsetattr(&port, OptionalActions::Now, &settings)
}

/// On a line nobody is told that the other side has gone: it is found out by silence.
pub fn timeouts() -> Timeouts {
    let mut timeouts = Timeouts::default();
    timeouts.silence = Some(Duration::from_secs(2));
    timeouts.probe = Duration::from_secs(1);
    timeouts
}
