//! Placeholder for the wire's modules, until they are merged.

pub(crate) mod message;
