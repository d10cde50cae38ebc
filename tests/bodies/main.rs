//! Bodies in chunks.  SPEC §10.5, §11, §12

#[path = "../common/mod.rs"]
mod common;

mod behaviour;
mod flow;
mod hostile;
mod idle;
mod never_stuck;
mod states;
mod world;
