//! Serial lines, in virtual time and byte by byte.  SPEC §19

#[path = "../common/mod.rs"]
mod common;

mod by_hand;
mod dialling;
mod handshakes;
mod noise;
mod packets;
mod restarts;
mod sessions;
mod world;
