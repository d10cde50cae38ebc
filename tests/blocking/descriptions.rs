//! A peer that tells of itself what it should not.

use std::net::TcpListener;
use std::thread;

use symbolon::blocking::CallError;
use symbolon::{BadBody, Description, Event, Role, SendError};

use super::by_hand::ByHand;
use super::{device, identity};

/// DSC-2, DSC-4: what is no description, or a longer one, is a bad reply, and the connection goes on.
#[test]
fn what_is_no_description_is_a_bad_reply() {
    let (asker, listener) = (device(1), TcpListener::bind("127.0.0.1:0").unwrap());
    let address = listener.local_addr().unwrap();
    let peer_id = identity(2).peer_id();
    let asked = thread::spawn({
        let asker = asker.clone();
        move || {
            let handle = asker.connect(address, peer_id).unwrap();
            [(); 4].map(|()| handle.describe().map(|told| told.as_bytes().len()))
        }
    });
    let socket = listener.accept().unwrap().0;
    let mut peer = ByHand::new(2, socket, Role::Responder, asker.peer_id()).connected();
    let nothing = Description::encode(None, std::iter::empty(), std::iter::empty()).unwrap();
    let replies = [
        b"Lamp".to_vec(),
        nothing.as_bytes().to_vec(),
        vec![0xa0; 2 * Description::MAX_LEN],
        nothing.as_bytes().to_vec(),
    ];
    for reply in &replies {
        let asked = |event: Event<'_>| if let Event::Request { id, .. } = event { Some(id) } else { None };
        let id = peer.wait_for(asked);
        let now = peer.now();
        peer.connection.respond_more(now, id, b"").unwrap();
        let mut rest = &reply[..];
        // All of it has credit, and leaves as far as it is taken.
        while !rest.is_empty() {
            match peer.connection.write(id, rest) {
                Ok(taken) => rest = &rest[taken..],
                Err(SendError::Full) => {}
                Err(error) => panic!("{error}"),
            }
            peer.write();
        }
        peer.connection.finish(id).unwrap();
        peer.write();
    }
    let bad = Err(CallError::BadBody(BadBody));
    let good = Ok(nothing.as_bytes().len());
    assert_eq!(asked.join().unwrap(), [bad.clone(), good.clone(), bad, good]);
}
