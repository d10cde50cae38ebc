//! What a board offers, and what it hears of others.  SPEC §22

use std::cell::RefCell;

use symbolon::embassy::{CallError, Device};
use symbolon::tokio::CallError as HostError;
use symbolon::{
    Admission, BadBody, Config, Connection, Description, DescriptionError, ExchangeId, Kind, Limits,
    MethodDescription, Status, TopicLimits, Topics,
};

use crate::{
    Board, beside, board, board_with, host_builder, host_device, identity, meet, peer_id, run, run_with, seed,
};

/// In the order of their names.
const METHODS: [MethodDescription<'_>; 2] = [
    MethodDescription::new("echo").with_text("Says the same again."),
    MethodDescription::new("photo").with_chunks(false, true),
];

/// What a program does with the question.
fn tell(board: &Board, connection: &mut Connection, id: ExchangeId, body: &[u8]) {
    let mut memory = [0; 300];
    let peer = connection.peer();
    let answered = match board.device.description(peer, Some("Board"), &METHODS, &mut memory) {
        _ if !body.is_empty() => connection.respond(id, Status::BAD_REQUEST, &[]),
        Ok(told) => connection.respond(id, Status::OK, told.as_bytes()),
        Err(_) => connection.respond(id, Status::TOO_LARGE, &[]),
    };
    answered.unwrap();
}

/// DSC-1
#[tokio::test]
async fn a_board_tells_what_it_offers() {
    let mut board = board();
    board.device = board.device.with_allow_subscribe(|_, filter| filter != "tick");
    let host = host_device();
    let (connection, stream, handle) = meet(&board, &host, true);
    let running = run_with(&board, connection, stream, |connection, id, method, body| {
        assert_eq!(method, Description::METHOD);
        tell(&board, connection, id, body);
    });
    let asking = async {
        handle.connected().await.unwrap();
        let told = handle.describe().await.unwrap();
        assert_eq!(told.name(), Some("Board"));
        assert!(told.methods().eq(METHODS));
        // The other one is not for this peer.
        assert!(told.topics().map(|topic| (topic.name, topic.is_event)).eq([("lamp/state", false)]));
        let asked = handle.call_raw(Description::METHOD, b"x", None).await;
        assert!(matches!(asked, Err(HostError::Status(Status::BAD_REQUEST, _))), "{asked:?}");
    };
    tokio::select! {
        reason = running => panic!("the connection has ended: {reason:?}"),
        () = asking => {}
    }
    let mut short = [0; 20];
    let refused = board.device.description(Some(peer_id(2)), None, &METHODS, &mut short);
    assert!(matches!(refused, Err(DescriptionError::NoRoom(21..))), "{refused:?}");
}

#[tokio::test]
async fn a_board_that_does_not_tell_is_one_without_the_method() {
    let board = board();
    let (connection, stream, handle) = meet(&board, &host_device(), true);
    let asking = async {
        handle.connected().await.unwrap();
        handle.describe().await
    };
    let asked = beside(&board, (connection, stream), asking).await;
    assert!(matches!(asked, Err(HostError::Status(Status::NOT_FOUND, _))), "{asked:?}");
}

#[tokio::test]
async fn a_board_hears_what_the_host_offers() {
    let board = board();
    let host = host_builder().name("Host").describe_method("echo", "Says the same again.").build().unwrap();
    let (connection, stream, _handle) = meet(&board, &host, true);
    let handle = board.link.handle();
    beside(&board, (connection, stream), async {
        handle.connected().await;
        let mut memory = [0; 128];
        let told = handle.describe(&mut memory).await.unwrap();
        assert_eq!(told.name(), Some("Host"));
        assert!(
            told.methods()
                .map(|method| (method.name, method.text))
                .eq([("echo", Some("Says the same again."))])
        );
        assert!(told.topics().map(|topic| (topic.name, topic.is_event)).eq([("weather", true)]));
        let len = told.as_bytes().len();
        for room in [0, 1, len - 1] {
            assert_eq!(
                handle.describe(&mut vec![0; room]).await,
                Err(CallError::NoRoom(len)),
                "{room} bytes"
            );
        }
        assert!(handle.describe(&mut vec![0; len]).await.is_ok());
    })
    .await;
}

/// One that is longer than a frame comes in chunks; where there is no room, so much is said.
#[tokio::test]
async fn a_board_hears_of_many_topics() {
    let board = board_with(1, Limits::small());
    let topics = |number: usize| format!("a/topic/with/the/number/{number:03}");
    let host = (0..100)
        .fold(host_builder(), |host, number| host.topic_raw(&topics(number), Kind::State))
        .build()
        .unwrap();
    let (connection, stream, _handle) = meet(&board, &host, true);
    let handle = board.link.handle();
    beside(&board, (connection, stream), async {
        handle.connected().await;
        let mut memory = [0; 4_096];
        let told = handle.describe(&mut memory).await.unwrap();
        assert_eq!(told.topics().count(), 101);
        let len = told.as_bytes().len();
        assert!(len > 3_000);
        for room in [0, 100, len - 1] {
            let mut memory = vec![0; room];
            let asked = handle.describe(&mut memory).await;
            assert!(
                matches!(asked, Err(CallError::NoRoom(least)) if least > room && least <= len),
                "{asked:?}"
            );
        }
        assert!(handle.describe(&mut vec![0; len]).await.is_ok());
    })
    .await;
}

/// DSC-4: what is no description is a bad reply, and the connection goes on; and so it does where the peer does not tell.
#[tokio::test]
async fn what_is_no_description_is_a_bad_reply() {
    let (asker, mut liar) = (board(), board());
    let config = Config::new(identity(3)).with_limits(Limits::small()).unwrap();
    liar.device = Device::new(config, Topics::new(7, TopicLimits::default()));
    let (ours, theirs) = tokio::io::duplex(300);
    let replies =
        RefCell::new(vec![(Status::NOT_FOUND, vec![]), (Status::OK, vec![]), (Status::OK, b"Lamp".to_vec())]);
    let lying = run_with(
        &liar,
        liar.device.accept(Admission::Only(vec![peer_id(1)]), seed()),
        theirs,
        |connection, id, _, _| {
            let (status, body) = replies.borrow_mut().pop().unwrap();
            connection.respond(id, status, &body).unwrap();
        },
    );
    let handle = asker.link.handle();
    let asking = async {
        handle.connected().await;
        let mut memory = [0; 128];
        for _ in 0..2 {
            assert_eq!(handle.describe(&mut memory).await, Err(CallError::BadBody(BadBody)));
        }
        assert_eq!(handle.describe(&mut memory).await, Err(CallError::Status(Status::NOT_FOUND)));
    };
    tokio::select! {
        reason = run(&asker, asker.device.dial(peer_id(3), seed()), ours) => panic!("it has ended: {reason:?}"),
        reason = lying => panic!("it has ended: {reason:?}"),
        () = asking => {}
    }
}
