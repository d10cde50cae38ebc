//! What topics hold for a connection, handed to it.

use crate::{Behind, Connection, ExchangeId, LinkId, Offer, Outgoing, SendError, Topics, Verdict};

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
        Offer::Publication { subscription, publication, behind } => {
            publish(connection, *subscription, publication, *behind)
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

/// With those behind it where there are any, otherwise by itself: then perhaps in parts.
fn publish(
    connection: &mut Connection,
    subscription: ExchangeId,
    publication: &Outgoing<'_>,
    behind: Behind<'_>,
) -> Result<Verdict, SendError> {
    // Where flash is scarce, one by one.
    if cfg!(not(target_os = "none")) && !behind.is_empty() {
        match connection.publish_series(subscription, publication, behind.bodies()) {
            Ok(sent) => return Ok(Verdict::Several(sent - 1)),
            Err(SendError::NoCredit | SendError::TooLarge { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    connection.publish_first(subscription, publication).map(Verdict::Part)
}
