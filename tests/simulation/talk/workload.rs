//! What an application does by itself, at random.

use symbolon::Status;

use super::{Context, Talk};
use crate::counts::Kind;
use crate::invariants::Terms;

impl Talk {
    /// One action.
    pub(super) fn act(&mut self, context: &mut Context<'_>, terms: Terms) {
        self.next_action = context.now + self.habits.pace * context.rng.between(1, 200) / 100;
        if !self.connection.is_open() {
            return;
        }
        if context.rng.percent(self.habits.fickle) {
            return self.end(context);
        }
        match context.rng.below(100) {
            0..=24 if !self.going => {
                let method = context.rng.of(&["plain", "plain", "plain", "plain", "denied", "nothing"]);
                self.ask(context, method, false);
            }
            25..=39 if !self.going => {
                let method = context.rng.of(&["chunks", "chunks", "chunks", "plain"]);
                self.ask(context, method, true);
            }
            40..=51 if !self.going => self.subscribe(context),
            52..=54 => self.cancel_some(context),
            55..=56 => self.unsubscribe_some(context),
            57..=58 => self.end_some_feed(context),
            59..=78 if !terms.stranger => {
                let most = if context.rng.percent(20) { 20 } else { 2 };
                for _ in 0..=context.rng.below(most) {
                    context.device.publish(context.ledger, context.rng);
                }
            }
            79..=90 => {
                self.write_bodies(context, true);
                for _ in 0..context.rng.below(20) {
                    self.take_one();
                }
            }
            91..=92 => self.stop_some(context),
            93 => self.reset_some(context),
            94 => {
                context.ledger.count(Kind::Paused);
                let most = if context.ledger.peaceful { 900_000 } else { 20_000_000 };
                self.paused_until = context.now + context.rng.between(1, most);
            }
            95 if !terms.stranger => context.device.declare_next(context.rng),
            _ => {}
        }
    }

    /// Leaves in one way or another.
    fn end(&mut self, context: &mut Context<'_>) {
        let status = context.rng.of(&[Status::OK, Status::SHUTTING_DOWN, Status::new(300)]);
        match context.rng.below(4) {
            0 => self.connection.close(context.local(), status),
            1 => {
                // It stays, and takes nothing more.
                self.going |= self.connection.goaway().is_ok();
            }
            _ => self.leave(context, status),
        }
    }
}
