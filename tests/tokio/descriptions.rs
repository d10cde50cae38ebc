//! Peers that tell of themselves what they should not, or only half of it.

use std::time::Duration;

use symbolon::tokio::CallError;
use symbolon::{BadBody, Description, MethodDescription, Status};

use super::by_hand::Peer;
use super::{builder, limits, soon};

/// Of one method, with that many bytes behind it.
fn told(more: usize) -> Vec<u8> {
    let method = MethodDescription::new("m").with_text("a method");
    let told = Description::encode(Some("Lamp"), [method].into_iter(), std::iter::empty()).unwrap();
    [told.as_bytes(), &vec![0; more]].concat()
}

/// DSC-2, DSC-4: what is no description, or a longer one, is a bad reply, and the connection goes on.
#[tokio::test]
async fn what_is_no_description_is_a_bad_reply() {
    let (handle, mut peer) = Peer::of(&builder(1).build().unwrap()).await;
    let (whole, most) = (told(0), Description::MAX_LEN);
    let bad: [(&[u8], &[u8]); 8] = [
        (b"", b""),
        (b"Lamp", b""),
        (&told(1), b""),
        (&whole[..9], b""),
        (&whole[..9], &whole[9..20]),
        (&whole, &[0]),
        (b"", &vec![0xa0; most]),
        (b"", &vec![0xa0; 10 * most]),
    ];
    for (head, body) in bad {
        let asked = tokio::spawn({
            let handle = handle.clone();
            async move { handle.describe().await }
        });
        let id = peer.request().await;
        peer.answer(id, head, body).await;
        while !asked.is_finished() {
            peer.step().await;
        }
        assert_eq!(
            asked.await.unwrap(),
            Err(CallError::BadBody(BadBody)),
            "{} and {}",
            head.len(),
            body.len()
        );
    }
    // Wherever it is cut.
    for at in 0..whole.len() {
        let asked = tokio::spawn({
            let handle = handle.clone();
            async move { handle.describe().await }
        });
        let id = peer.request().await;
        peer.answer(id, &whole[..at], &whole[at..]).await;
        while !asked.is_finished() {
            peer.step().await;
        }
        assert_eq!(asked.await.unwrap().unwrap().as_bytes(), whole);
    }
}

/// What cuts a description short is told as for any call.
#[tokio::test]
async fn a_description_that_is_cut_short_says_why() {
    let hurried = builder(1).call_timeout(Duration::from_millis(200)).build().unwrap();
    let (handle, mut peer) = Peer::of(&hurried).await;
    let asking = || {
        let handle = handle.clone();
        tokio::spawn(async move { handle.describe().await })
    };
    let asked = asking();
    let id = peer.request().await;
    peer.begin(id, b"half");
    peer.connection.reset(id, Status::new(300)).unwrap();
    while !asked.is_finished() {
        peer.step().await;
    }
    assert!(matches!(asked.await.unwrap(), Err(CallError::Status(status, _)) if status == Status::new(300)));

    let asked = asking();
    let id = peer.request().await;
    peer.begin(id, b"half");
    while !asked.is_finished() {
        peer.step().await;
    }
    assert_eq!(asked.await.unwrap(), Err(CallError::DeadlinePassed));

    let asked = asking();
    let id = peer.request().await;
    peer.begin(id, b"half");
    drop(peer);
    assert_eq!(soon(asked).await.unwrap(), Err(CallError::Disconnected));
}

/// One that takes no bodies in chunks hears what fits into a frame, and of the rest that it does not take it.
#[tokio::test]
async fn whoever_takes_no_bodies_hears_of_a_longer_one() {
    let narrow = builder(1).limits(limits(|limits| limits.window = 0)).build().unwrap();
    let (handle, mut peer) = Peer::of(&narrow).await;
    for (head, body, expected) in [(told(0), vec![], Ok(())), (vec![], told(0), Err(CallError::Unsupported))]
    {
        let asked = tokio::spawn({
            let handle = handle.clone();
            async move { handle.describe().await.map(drop) }
        });
        let id = peer.request().await;
        if body.is_empty() {
            peer.answer(id, &head, &body).await
        } else {
            peer.begin(id, &head)
        }
        while !asked.is_finished() {
            peer.step().await;
        }
        assert_eq!(asked.await.unwrap(), expected);
    }
}
