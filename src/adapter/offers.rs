//! What topics hold for a connection, handed to it.

use crate::{Connection, LinkId, Offer, SendError, Topics, Verdict};

/// Moves what topics hold for a link into its connection, as far as there is room and credit; whether something found
/// no room.
pub(super) fn pump(topics: &mut Topics, link: LinkId, connection: &mut Connection) -> bool {
    while let Some(id) = connection.poll_credited() {
        topics.credited(link, id);
    }
    let mut crowded = false;
    topics.pump(link, |offer| {
        let verdict = send(connection, &offer);
        crowded |= verdict == Verdict::Full;
        verdict
    });
    crowded
}

fn send(connection: &mut Connection, offer: &Offer<'_>) -> Verdict {
    let sent = match offer {
        Offer::Abort { subscription } => connection.publish_abort(*subscription).map(|()| Verdict::Sent),
        Offer::Missed { subscription, missed } => {
            connection.publish_missed(*subscription, *missed).map(|()| Verdict::Sent)
        }
        Offer::Publication { subscription, publication } => {
            connection.publish_first(*subscription, publication).map(Verdict::Part)
        }
        Offer::Rest { subscription, rest } => connection.publish_next(*subscription, rest).map(Verdict::Part),
    };
    match sent {
        Ok(verdict) => verdict,
        // Not accepted yet: the acceptance is owed, goes first, and counts as credit.
        Err(SendError::NoCredit | SendError::UnknownExchange) => Verdict::NoCredit,
        Err(SendError::TooLarge { .. }) => Verdict::TooLarge,
        Err(_) => Verdict::Full,
    }
}
