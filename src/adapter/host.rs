//! What only the host adapters (tokio and blocking) share: it does not wait, and knows neither of them.
//!
//! `base` and `builder` make a device, `link` is one of its connections, `keeping` says when it dials again, with
//! `backoff`, and `resume` whether a subscription goes on then.  `body` holds the two ends of a body in chunks,
//! `defaults` what is the same for both, `delivery` what subscriptions give, `description` what a device tells and hears, `error` how things fail, `guard` what is taken
//! back when a wait is given up, `owed` what a handler owes, `socket` what is asked of TCP, `subscription` the end of a
//! subscriber, `topic_name` the name in a delivery.

mod backoff;
pub(crate) mod base;
pub(crate) mod body;
pub(crate) mod builder;
pub(crate) mod defaults;
pub(crate) mod delivery;
pub(crate) mod description;
pub(crate) mod error;
pub(crate) mod guard;
pub(crate) mod keeping;
pub(crate) mod link;
pub(crate) mod owed;
pub(crate) mod resume;
pub(crate) mod socket;
pub(crate) mod subscription;
pub(crate) mod topic_name;
