//! What the receiver answers: one call, and one stream.

use std::sync::Arc;
use std::sync::mpsc::Sender;

use symbolon::blocking::{BodyReader, Builder, Context, Exchange, Handle, Refusal};

use crate::inbox::{Inbox, Part, Trouble};
use crate::messages::{Digest, Found, Offer, SOURCE_CHANGED, Send, Stored, WRONG_DIGEST, WRONG_LENGTH};
use crate::progress::{Progress, percent, say, size};

/// Serves both; for each file that is there, `whole` is told on which link it came.
pub fn serve(builder: Builder, inbox: Inbox, whole: Sender<Handle>) -> Builder {
    let inbox = Arc::new(inbox);
    let (asked, done) = (inbox.clone(), whole.clone());
    builder
        .on(move |context, offer: Offer| {
            let found = asked.claim(&offer).and_then(|claim| claim.found());
            let found = found.map_err(|trouble| regret(&context, &offer, &trouble))?;
            if let Found::Whole(name) = &found {
                say(format_args!("{name} is here already"));
                let _told = done.send(context.handle().clone());
            }
            Ok(found)
        })
        .on_stream(move |context, send, exchange| {
            receive(&inbox, &context, send, exchange)?;
            let _told = whole.send(context.handle().clone());
            Ok(())
        })
}

fn receive(inbox: &Inbox, context: &Context, send: Send, exchange: Exchange<Stored>) -> Result<(), Refusal> {
    let Send { offer, from, before } = send;
    let part = inbox.claim(&offer).and_then(|claim| claim.resume(from, before));
    let mut part = part.map_err(|trouble| regret(context, &offer, &trouble))?;
    let (name, who, total) = (&offer.name, context.peer(), size(offer.length));
    match from {
        0 => say(format_args!("{name} from {}, {total}", who.short())),
        _ => say(format_args!("{name} from {} goes on at {} of {total}", who.short(), size(from))),
    }
    let Exchange { body, reply, .. } = exchange;
    let mut progress = Progress::new(name, from, offer.length);
    let kept = fill(&mut part, body, &mut progress);
    let summary = progress.summary();
    drop(progress);
    match kept {
        Ok((name, digest)) => {
            say(format_args!("{name} is here, {summary}"));
            // A sender who does not get it asks again, and finds the whole.
            let _sent = reply.send(&Stored { name, digest });
            Ok(())
        }
        Err(trouble) => {
            let stop = percent(part.length(), offer.length);
            // What was cut is good as far as it goes; what the sender was wrong about is not.
            if let Trouble::Refused(SOURCE_CHANGED | WRONG_DIGEST | WRONG_LENGTH) = trouble {
                part.discard();
            }
            say(format_args!("{name} from {} stops at {stop} %: {trouble}", who.short()));
            Err((&trouble).into())
        }
    }
}

/// Moves the body into the part; what is not read yet holds the sender back, so nothing piles up however slow the disk
/// is.
fn fill(part: &mut Part, mut body: BodyReader, progress: &mut Progress) -> Result<(String, Digest), Trouble> {
    while let Some(chunk) = body.chunk()? {
        part.write(&chunk)?;
        progress.at(part.length());
    }
    // Only here the sender has said that it was all; a link that was cut is an error above.
    part.keep()
}

/// Says why nothing of a file has come, and what the sender is told.  A name that was refused might do anything to a
/// terminal, so it is quoted.
fn regret(context: &Context, offer: &Offer, trouble: &Trouble) -> Refusal {
    say(format_args!("{:?} from {}: {trouble}", offer.name, context.peer().short()));
    trouble.into()
}
