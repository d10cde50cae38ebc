//! The same conversations over TCP, whichever adapter is at either end.

mod bodies;
#[path = "../common/bytes.rs"]
mod bytes;
mod calls;
mod connections;
mod descriptions;
mod peers;
mod proxy;
mod publications;
mod streams;

use std::time::{Duration, Instant};

use minicbor::{Decode, Encode};
use peers::{Adapter, Device, Handle, PATIENCE, Plan};
use symbolon::{Kind, Overflow, Request, Topic};

/// A request with a type, and its reply.
#[derive(Clone, Copy, Debug, Decode, Encode, Eq, PartialEq)]
pub struct Double(#[n(0)] pub u32);

#[derive(Clone, Copy, Debug, Decode, Encode, Eq, PartialEq)]
pub struct Doubled(#[n(0)] pub u32);

impl Request for Double {
    const METHOD: &'static str = "math/double";
    type Reply = Doubled;
}

/// A request that is served to friends only.
#[derive(Clone, Copy, Debug, Decode, Encode, Eq, PartialEq)]
pub struct Secret(#[n(0)] pub u32);

impl Request for Secret {
    const METHOD: &'static str = "secret";
    type Reply = Doubled;
}

/// A topic with a type.
#[derive(Clone, Copy, Debug, Decode, Encode, Eq, PartialEq)]
pub struct Count(#[n(0)] pub u32);

impl Topic for Count {
    const TOPIC: &'static str = "count";
    const KIND: Kind = Kind::Event { depth: 4, overflow: Overflow::DropOldest };
}

/// Which adapters meet: who dials, and who is dialled.
#[derive(Clone, Copy, Debug)]
pub struct Pair {
    dialler: Adapter,
    dialled: Adapter,
}

impl Pair {
    /// Two devices that have met, and the two ends of their connection.
    fn meet(self, dialler: Plan, dialled: Plan) -> Meeting {
        let (a, b) = (self.dialler.build(dialler), self.dialled.build(dialled));
        let address = b.listen();
        let near = a.connect(address, b.peer_id()).unwrap();
        let far = b.link(a.peer_id()).expect("who was let in is found");
        Meeting { a, b, near, far }
    }
}

/// Device `a` has dialled device `b`.
struct Meeting {
    a: Box<dyn Device>,
    b: Box<dyn Device>,
    near: Box<dyn Handle>,
    far: Box<dyn Handle>,
}

impl Meeting {
    /// Both ends, for what holds in either direction.
    fn ends(&self) -> [&dyn Handle; 2] {
        [&*self.near, &*self.far]
    }
}

/// Waits until a condition holds that others bring about.
fn until(mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "it hangs");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// That a conversation goes as it should between these two.
fn assert_holds(conversation: fn(Pair), dialler: Adapter, dialled: Adapter) {
    conversation(Pair { dialler, dialled });
}

/// A test of each conversation for each pair, named dialler first.
macro_rules! over_all_pairs {
    ($($file:ident: $($conversation:ident),+;)*) => {
        $(mod $file { $(mod $conversation {
            use crate::{Adapter, $file};

            #[test]
            fn tokio_dials_tokio() {
                crate::assert_holds($file::$conversation, Adapter::Tokio, Adapter::Tokio);
            }

            #[test]
            fn std_dials_std() {
                crate::assert_holds($file::$conversation, Adapter::Std, Adapter::Std);
            }

            #[test]
            fn tokio_dials_std() {
                crate::assert_holds($file::$conversation, Adapter::Tokio, Adapter::Std);
            }

            #[test]
            fn std_dials_tokio() {
                crate::assert_holds($file::$conversation, Adapter::Std, Adapter::Tokio);
            }
        })+ })*
    };
}

mod conversations {
    over_all_pairs! {
        calls:
            calls_go_both_ways,
            eight_threads_call_at_once_both_ways,
            refusals_arrive_as_they_were_given,
            a_deadline_is_told_at_both_ends,
            handlers_call_back_and_forth,
            bodies_are_as_long_as_a_frame_allows;
        publications:
            a_state_is_there_on_subscribing,
            a_state_that_waits_is_replaced,
            a_long_state_reaches_the_fast_and_the_slow,
            a_long_publication_is_taken_or_counted,
            the_oldest_or_the_newest_is_dropped,
            a_publisher_that_refuses_waits,
            wildcards_match_levels,
            a_subscriber_goes_on_where_it_was,
            a_typed_subscriber_goes_on_where_it_was,
            a_publisher_that_restarted_cannot_tell,
            a_subscription_is_dropped_and_opened_again,
            subscribing_is_refused;
        streams:
            bodies_go_up_whole,
            bodies_come_down_whole,
            an_echo_is_read_while_it_is_written,
            heads_travel_apart_from_bodies,
            ten_at_once_each_way,
            an_answer_may_come_before_the_body_was_read,
            a_reader_of_a_request_stops_it,
            a_reader_of_a_reply_stops_it,
            a_writer_gives_its_body_up,
            a_handler_fails_before_and_behind_its_head,
            a_caller_goes_away,
            halves_may_outlive_their_handler,
            a_cut_connection_is_no_end_of_file,
            a_close_lets_open_bodies_end_in_time,
            a_total_deadline_passes_in_the_middle_of_a_body,
            bodies_that_stand_still_are_given_up,
            a_live_body_may_pause,
            who_takes_no_chunks_says_so,
            requests_beyond_the_limit_wait_for_their_turn,
            single_bytes_are_joined,
            a_reader_that_sleeps_delays_nobody,
            a_call_overtakes_bodies,
            nothing_is_lost_however_it_races;
        descriptions:
            a_device_tells_what_it_offers,
            who_may_less_is_told_less,
            a_question_with_a_body_is_a_bad_request,
            a_device_that_does_not_tell_is_one_without_the_method,
            a_description_longer_than_a_frame_comes_in_chunks,
            a_device_with_too_much_to_tell_says_so;
        connections:
            a_stranger_is_refused,
            a_wrong_key_is_not_taken,
            a_close_lets_open_calls_end,
            whoever_closes_is_seen_by_both,
            the_newer_of_two_connections_stays,
            who_subscribed_on_the_older_is_told_of_the_newer,
            of_several_that_stand_the_last_is_asked_on,
            a_connection_that_ended_gives_its_place_back,
            both_ends_share_a_binding;
    }
}
