//! What a handler owes to its caller.

use std::sync::Arc;

use super::guard::Locked;
use super::link::{Reply, let_go};
use crate::adapter::trace;
use crate::{ExchangeId, Status};

/// An answer that is owed: given when the handler is done, or when it is dropped or panics.
pub(crate) struct Owed<C: Locked> {
    core: Arc<C>,
    pub(crate) id: ExchangeId,
    answered: bool,
}

impl<C: Locked> Owed<C> {
    pub(crate) fn new(core: Arc<C>, id: ExchangeId) -> Self {
        Self { core, id, answered: false }
    }

    pub(crate) fn pay(&mut self, reply: Reply) {
        self.answered = true;
        let_go(self.core.end_handler(self.id, |link, _| link.respond(self.id, reply)));
    }
}

impl<C: Locked> Drop for Owed<C> {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        let failed = self.core.end_handler(self.id, |link, stopped| {
            let status = if stopped { Status::CANCELLED } else { Status::FAILED };
            // A status has no bytes.
            let _none = link.respond(self.id, Err(status.into()));
            (!stopped).then(|| link.connection.peer())
        });
        if let Some(peer) = failed {
            trace::handler_failed(peer);
        }
    }
}
