//! What a device tells of itself, and what it hears of another one.  SPEC §22

use std::borrow::ToOwned;
use std::collections::BTreeMap;
use std::iter::{empty, once};
use std::string::String;
use std::vec::Vec;

use bytes::Bytes;

use super::error::{BuildError, CallError};
use super::link::{Serve, Shared, lock};
use crate::adapter::error::BodyError;
use crate::{
    BadBody, Description, DescriptionError, Failure, Kind, MethodDescription, PeerId, Status,
    TopicDescription,
};

/// What a device tells for people, beside the names that others need.
#[derive(Default)]
pub(crate) struct Words {
    pub(crate) name: Option<String>,
    /// By the name of what each is about.
    pub(crate) methods: BTreeMap<String, String>,
    pub(crate) topics: BTreeMap<String, String>,
}

impl Words {
    /// That they may be told, and are about something that there is.
    pub(crate) fn check(
        &self,
        is_served: impl Fn(&str) -> bool,
        is_declared: impl Fn(&str) -> bool,
    ) -> Result<(), BuildError> {
        let wrong = |about: &str, error| BuildError::Description { about: about.to_owned(), error };
        if let Some(name) = &self.name {
            Description::encode(Some(name), empty(), empty()).map_err(|error| wrong(name, error))?;
        }
        let of_methods = self.methods.iter().map(|(about, text)| (about, text, is_served(about)));
        let of_topics = self.topics.iter().map(|(about, text)| (about, text, is_declared(about)));
        for (about, text, is_there) in of_methods.chain(of_topics) {
            if !is_there {
                return Err(BuildError::Undeclared { about: about.clone() });
            }
            let one = once(MethodDescription::new("m").with_text(text));
            Description::encode(None, one, empty()).map_err(|error| wrong(about, error))?;
        }
        Ok(())
    }
}

impl<H: Serve> Shared<H> {
    /// What this peer is told: the methods and topics that it may use.
    pub(crate) fn describe(&self, peer: PeerId) -> Result<Bytes, Status> {
        let declared = |(name, kind): (&str, Kind)| (name.to_owned(), kind);
        let mut topics: Vec<_> = lock(&self.topics).declared().map(declared).collect();
        // The application decides, so without the lock.
        topics.retain(|(name, _)| self.may_subscribe(peer, name));
        let methods = self.router.methods(peer).map(|(name, handler)| {
            let (chunks, text) = (handler.takes_chunks(), self.words.methods.get(name));
            let method = MethodDescription::new(name).with_chunks(chunks, chunks);
            text.map_or(method, |text| method.with_text(text))
        });
        let topics = topics.iter().map(|(name, kind)| {
            let (topic, text) = (TopicDescription::new(name, *kind), self.words.topics.get(name));
            text.map_or(topic, |text| topic.with_text(text))
        });
        match Description::encode(self.words.name.as_deref(), methods, topics) {
            Ok(description) => Ok(Bytes::copy_from_slice(description.as_bytes())),
            Err(DescriptionError::TooLong | DescriptionError::TooMany) => Err(Status::TOO_LARGE), // SPEC §22
            // Names and words were checked as the device was built.
            Err(_) => Err(Status::FAILED),
        }
    }
}

/// A description on its way: a head, and chunks behind it.
pub(crate) struct Heard(Vec<u8>);

impl Heard {
    pub(crate) fn begin(head: &[u8]) -> Self {
        Self(head.to_vec())
    }

    /// DSC-2: no more is kept than a description may have.
    pub(crate) fn go_on(&mut self, chunk: &[u8]) -> Result<(), CallError> {
        if self.0.len() + chunk.len() > Description::MAX_LEN {
            return Err(BadBody.into());
        }
        self.0.extend_from_slice(chunk);
        Ok(())
    }

    /// DSC-4
    pub(crate) fn end(self) -> Result<Description<'static>, CallError> {
        Description::from_bytes(self.0).map_err(|_| BadBody.into())
    }
}

/// What a body that was cut short says of the call that it answers.
pub(crate) fn cut_short(error: BodyError) -> CallError {
    match error {
        BodyError::DeadlinePassed => CallError::DeadlinePassed,
        BodyError::Stalled => CallError::Stalled,
        BodyError::Status(status) => CallError::Status(status, Bytes::new()),
        BodyError::Unsupported => CallError::Unsupported,
        _ => CallError::failed(Failure::Disconnected),
    }
}
