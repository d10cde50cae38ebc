//! The name of a topic, as deliveries carry it.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;

use smol_str::SmolStr;

/// The name of a topic, cheap to clone: one of up to 23 bytes lies in the value itself, a longer one is shared.  SPEC §13
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TopicName(SmolStr);

impl TopicName {
    pub(crate) fn new(name: &str) -> Self {
        Self(name.into())
    }
}

impl Deref for TopicName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for TopicName {
    fn as_ref(&self) -> &str {
        self
    }
}

impl Borrow<str> for TopicName {
    fn borrow(&self) -> &str {
        self
    }
}

impl PartialEq<str> for TopicName {
    fn eq(&self, other: &str) -> bool {
        **self == *other
    }
}

impl PartialEq<&str> for TopicName {
    fn eq(&self, other: &&str) -> bool {
        **self == **other
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}

impl fmt::Debug for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
