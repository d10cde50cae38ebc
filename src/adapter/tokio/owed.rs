//! What a handler owes to its caller.

use std::sync::Arc;

use super::core::Core;
use crate::adapter::host::link::{Reply, let_go};
use crate::adapter::trace;
use crate::{ExchangeId, Status};

/// An answer that is owed: given when the handler is done, or when it is dropped or panics.
pub(super) struct Owed {
    core: Arc<Core>,
    pub(super) id: ExchangeId,
    answered: bool,
}

impl Owed {
    pub(super) fn new(core: Arc<Core>, id: ExchangeId) -> Self {
        Self { core, id, answered: false }
    }

    pub(super) fn pay(&mut self, reply: Reply) {
        self.answered = true;
        let id = self.id;
        let spent = self.core.with(|state, _| {
            state.running.remove(&id);
            state.link.respond(id, reply)
        });
        let_go(spent);
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        let id = self.id;
        let failed = self.core.with(|state, _| {
            let stopped = state.running.remove(&id).is_some_and(|running| running.stopping);
            let status = if stopped { Status::CANCELLED } else { Status::FAILED };
            // A status has no bytes.
            let _none = state.link.respond(id, Err(status.into()));
            // With the connection, handlers end that have done nothing wrong.
            !stopped && state.link.closed.is_none()
        });
        if failed {
            trace::handler_failed(self.core.look(|state| state.link.connection.peer()));
        }
    }
}
