//! Credit, as the side that spends it sees it and as the side that gives it does.  SPEC §11

/// What this side may send in one direction of an exchange.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: u64,
    spent: u64,
}

impl Budget {
    pub(crate) const fn new(limit: u64) -> Self {
        Self { limit, spent: 0 }
    }

    /// Takes credit from the peer; `false` where it is no more than before.  CRD-1
    pub(crate) fn raise(&mut self, limit: u64) -> bool {
        let raised = limit > self.limit;
        self.limit = self.limit.max(limit);
        raised
    }

    pub(crate) const fn left(&self) -> u64 {
        self.limit - self.spent
    }

    /// Pays for a message; `false` where the credit does not do, and then nothing has changed.  CRD-2
    pub(crate) fn spend(&mut self, cost: u64) -> bool {
        let affordable = cost <= self.left();
        if affordable {
            self.spent += cost;
        }
        affordable
    }
}

/// What the peer may send in one direction of an exchange, and what the application has taken of it.
#[derive(Debug)]
pub(crate) struct Allowance {
    /// How much credit the peer has when nothing waits for the application.
    window: u64,
    /// The credit announced so far.
    limit: u64,
    spent: u64,
    released: u64,
    /// New credit waits to be announced.
    due: bool,
}

impl Allowance {
    pub(crate) fn new(window: u32) -> Self {
        let window = u64::from(window);
        Self { window, limit: window, spent: 0, released: 0, due: false }
    }

    /// Notes what a message cost; `false` where it had no credit.  CRD-3
    pub(crate) fn spend(&mut self, cost: u32) -> bool {
        let spent = self.spent.saturating_add(cost.into());
        let affordable = spent <= self.limit;
        if affordable {
            self.spent = spent;
        }
        affordable
    }

    /// Notes that the application has taken messages of this cost; never more than came.
    pub(crate) fn release(&mut self, cost: u32) {
        self.released = self.released.saturating_add(cost.into()).min(self.spent);
    }

    /// Whether new credit is to be announced that is not on its way yet: half the window is free again, or all was
    /// taken and what is left might not do for one message.  Says so once, until it is announced.  CRD-4
    pub(crate) fn falls_due(&mut self, one_message: u64) -> bool {
        let owed = (self.window.saturating_add(self.released)).saturating_sub(self.limit);
        let left = self.limit - self.spent;
        let starved = owed > 0 && self.released == self.spent && left < one_message;
        let half = (self.window / 2).max(1);
        let falls_due = !self.due && (owed >= half || starved);
        self.due |= falls_due;
        falls_due
    }

    /// The limit to announce now.
    pub(crate) fn next_limit(&self) -> u64 {
        self.window.saturating_add(self.released).max(self.limit)
    }

    /// Notes that this limit has left.
    pub(crate) fn announce(&mut self, limit: u64) {
        self.limit = limit;
        self.due = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CRD-1, CRD-2: credit rises only, and nothing is spent beyond it.
    #[test]
    fn a_budget_rises_and_is_never_overspent() {
        let mut budget = Budget::new(10);
        assert!(!budget.spend(11));
        assert!(budget.spend(10));
        assert!(!budget.raise(9) && !budget.raise(10));
        assert_eq!(budget.left(), 0);
        assert!(budget.raise(u64::MAX));
        assert!(budget.spend(u64::MAX - 10));
        assert!(!budget.spend(1));
    }

    /// CRD-3, CRD-4: what was taken comes back, half a window at a time, or all of it to who is starved.
    #[test]
    fn an_allowance_grows_as_it_is_taken() {
        let mut allowance = Allowance::new(100);
        assert!(!allowance.spend(101));
        assert!(allowance.spend(90));
        allowance.release(49);
        assert!(!allowance.falls_due(5));
        allowance.release(1);
        assert!(allowance.falls_due(5));
        assert!(!allowance.falls_due(5), "once");
        let limit = allowance.next_limit();
        assert_eq!(limit, 150);
        allowance.announce(limit);
        allowance.release(u32::MAX);
        assert_eq!(allowance.next_limit(), 190, "no more than came");
        assert!(!allowance.falls_due(60));
        assert!(allowance.falls_due(61), "all taken, and less than one message left");
    }
}
