//! How often everything happened: a simulation in which something never does proves nothing about it.

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident,)*) => {
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum Kind { $($(#[$doc])* $kind,)* }

        pub const KINDS: &[Kind] = &[$(Kind::$kind,)*];
    };
}

kinds! {
    // Requests and their bodies.
    Asked,
    Replied,
    RepliedWithStatus,
    Busy,
    Cancelled,
    CancelledAtServer,
    DeadlinePassed,
    DeadlinePassedAtServer,
    Denied,
    Disconnected,
    NotExecuted,
    NotFound,
    Stalled,
    StalledAtServer,
    Unsupported,
    /// Our own crash.
    Forgotten,
    WholeBody,
    AbortedBody,
    StoppedBody,
    RefusedCommand,
    // Publications.
    Subscribed,
    SubscriptionRefused,
    Unsubscribed,
    Resumed,
    ResumedUnknown,
    Published,
    Received,
    Retained,
    LongPublication,
    AbortedPublication,
    TooLongPublication,
    Missed,
    UnknownMissed,
    Accounted,
    // Connections.
    Connected,
    ClosedHere,
    ClosedThere,
    CloseTimedOut,
    FrameTimedOut,
    HandshakeTimedOut,
    SilenceTimedOut,
    Truncated,
    Corrupted,
    GoingAway,
    TurnedAway,
    FramesLost,
    ReplacedOnLine,
    ReplacedOnStream,
    StrangerRefused,
    StrangerNotDialled,
    // Faults.
    Blackhole,
    ClockBack,
    ClockForward,
    Corruption,
    Cut,
    HalfCut,
    Noise,
    Paused,
    Reboot,
    RebootUnseen,
    Stall,
    // What a seed was.
    Lines,
    Peaceful,
    Stars,
    LargeStars,
}

#[derive(Clone)]
pub struct Counts(Vec<u64>);

impl Default for Counts {
    fn default() -> Self {
        Self(vec![0; KINDS.len()])
    }
}

impl Counts {
    pub fn add(&mut self, kind: Kind) {
        self.0[kind as usize] += 1;
    }

    pub fn of(&self, kind: Kind) -> u64 {
        self.0[kind as usize]
    }

    pub fn merge(&mut self, other: &Self) {
        for (sum, more) in self.0.iter_mut().zip(&other.0) {
            *sum += more;
        }
    }
}
