//! Credit, as the side that spends it sees it and as the side that gives it does.  SPEC §11

/// What a message of this length costs; frames are shorter than 64 KiB.
pub(crate) fn cost_of(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

/// The credit of a direction in which this side sends: the peer gives it, and this side spends it.
#[derive(Debug)]
pub(crate) struct SendCredit {
    /// What there was at first, which a peer that keeps CRD-4 gives again once its application has taken all.
    first: u64,
    limit: u64,
    spent: u64,
}

impl SendCredit {
    pub(crate) const fn new(limit: u64) -> Self {
        Self { first: limit, limit, spent: 0 }
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

    /// Whether a message of this cost would wait for ever, for all that CRD-4 promises.  Nothing is promised where
    /// there was nothing at first.
    pub(crate) fn never_affords(&self, cost: u64) -> bool {
        self.first > 0 && cost > self.first.max(self.left())
    }

    /// How much of a message that can be cut shorter may be sent now, if it costs `whole`.  `None` where it is worth
    /// waiting for more: what is left is less than `enough` and than half of what there was at first.  A peer that
    /// keeps CRD-4 gives that much again, so nobody waits for ever.  SPEC §14.5
    pub(crate) fn part(&self, whole: u64, enough: u64) -> Option<u64> {
        let left = self.left();
        let worth_it = left >= whole || left >= enough.min(self.first.div_ceil(2));
        worth_it.then_some(left.min(whole))
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

/// The credit of a direction in which the peer sends: this side gives it as the application takes what came, and the peer
/// spends it.
#[derive(Debug)]
pub(crate) struct ReceiveCredit {
    /// How much credit the peer has when nothing waits for the application.
    window: u64,
    /// The credit announced so far.
    limit: u64,
    spent: u64,
    released: u64,
    /// What came so far of a publication that goes on.  Its application cannot take half of one, so this counts as
    /// taken until the rest is here.  PUB-8
    lent: u64,
    /// New credit waits to be announced.
    due: bool,
}

impl ReceiveCredit {
    pub(crate) fn new(window: u32) -> Self {
        let window = u64::from(window);
        Self { window, limit: window, spent: 0, released: 0, lent: 0, due: false }
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
    #[cfg_attr(target_os = "none", inline(never))]
    pub(crate) fn release(&mut self, cost: u32) {
        self.released = self.released.saturating_add(cost.into()).min(self.spent);
    }

    /// Notes that a message of this cost was a part of a publication that goes on.  PUB-8
    ///
    /// At most the window and one publication is held: credit lent for one is not lent again until the next outgrows it,
    /// or the application has taken it.
    pub(crate) fn lend(&mut self, cost: u32) {
        self.lent = self.lent.saturating_add(cost.into());
    }

    /// The last part came: from now on the application can take it, and has not.
    pub(crate) fn complete(&mut self) {
        self.lent = 0;
    }

    /// The rest will never come: what came of it is given back.
    pub(crate) fn give_back(&mut self) {
        self.released = self.taken();
        self.lent = 0;
    }

    /// What counts as taken.
    #[cfg_attr(target_os = "none", inline(never))]
    fn taken(&self) -> u64 {
        self.released.saturating_add(self.lent).min(self.spent)
    }

    /// Whether new credit is to be announced that is not on its way yet: half the window is free again, or all was
    /// taken and what is left might not do for one message.  Says so once, until it is announced.  CRD-4
    pub(crate) fn falls_due(&mut self, one_message: u64) -> bool {
        let falls_due = self.would_fall_due(one_message);
        self.due |= falls_due;
        falls_due
    }

    /// The same, without saying so.
    pub(crate) fn would_fall_due(&self, one_message: u64) -> bool {
        let owed = (self.window.saturating_add(self.taken())).saturating_sub(self.limit);
        let left = self.limit - self.spent;
        let starved = owed > 0 && self.taken() == self.spent && left < one_message;
        let half = (self.window / 2).max(1);
        !self.due && (owed >= half || starved)
    }

    /// Whether new credit waits to be announced.
    pub(crate) const fn is_due(&self) -> bool {
        self.due
    }

    /// The limit to announce now.
    pub(crate) fn next_limit(&self) -> u64 {
        self.window.saturating_add(self.taken()).max(self.limit)
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
    fn send_credit_rises_and_is_never_overspent() {
        let mut send_credit = SendCredit::new(10);
        assert!(!send_credit.spend(11));
        assert!(send_credit.spend(10));
        assert!(!send_credit.raise(9) && !send_credit.raise(10));
        assert_eq!(send_credit.left(), 0);
        assert!(send_credit.raise(u64::MAX));
        assert!(send_credit.spend(u64::MAX - 10));
        assert!(!send_credit.spend(1));
    }

    /// CRD-3, CRD-4: what was taken comes back, half a window at a time, or all of it to who is starved.
    #[test]
    fn receive_credit_grows_as_it_is_taken() {
        let mut receive_credit = ReceiveCredit::new(100);
        assert!(!receive_credit.spend(101));
        assert!(receive_credit.spend(90));
        receive_credit.release(49);
        assert!(!receive_credit.falls_due(5));
        receive_credit.release(1);
        assert!(receive_credit.falls_due(5));
        assert!(!receive_credit.falls_due(5), "once");
        let limit = receive_credit.next_limit();
        assert_eq!(limit, 150);
        receive_credit.announce(limit);
        receive_credit.release(u32::MAX);
        assert_eq!(receive_credit.next_limit(), 190, "no more than came");
        assert!(!receive_credit.falls_due(60));
        assert!(receive_credit.falls_due(61), "all taken, and less than one message left");
    }

    /// Spends all that was announced, as parts of one publication, until so much has come; how much that was.
    fn fill(receive_credit: &mut ReceiveCredit, most: u32) -> u32 {
        let mut came = 0;
        while came < most {
            let cost =
                u32::try_from(receive_credit.limit - receive_credit.spent).unwrap().min(most - came).min(30);
            if cost == 0 {
                break;
            }
            assert!(receive_credit.spend(cost));
            receive_credit.lend(cost);
            came += cost;
            if receive_credit.falls_due(40) {
                receive_credit.announce(receive_credit.next_limit());
            }
        }
        came
    }

    /// PUB-8: whatever the window, a publication arrives whole; and no more than it and the window is ever here.
    #[test]
    fn one_that_goes_on_arrives_whole_beside_the_window() {
        for unread in [0, 40, 100] {
            let mut receive_credit = ReceiveCredit::new(100);
            assert!(receive_credit.spend(unread));
            let came = fill(&mut receive_credit, 1_000);
            assert_eq!(came, if unread == 100 { 0 } else { 1_000 }, "only what is complete is waited for");
            receive_credit.release(unread);
            if receive_credit.falls_due(40) {
                receive_credit.announce(receive_credit.next_limit());
            }
            assert_eq!(came + fill(&mut receive_credit, 1_000 - came), 1_000);
            receive_credit.complete();
            assert!(!receive_credit.falls_due(u64::MAX), "nobody has taken it yet");
            // Another as long gets no further than the window beyond the first.
            let next = fill(&mut receive_credit, 1_000);
            assert!(next <= 100, "{next}");
            receive_credit.release(1_000);
            assert!(receive_credit.falls_due(40));
            receive_credit.announce(receive_credit.next_limit());
            assert_eq!(next + fill(&mut receive_credit, 1_000 - next), 1_000);
        }
    }

    /// SPEC §14.5: what came of one that is given up counts as taken, and nothing of it twice.
    #[test]
    fn one_that_is_given_up_gives_its_credit_back() {
        let mut receive_credit = ReceiveCredit::new(100);
        assert!(receive_credit.spend(20));
        assert_eq!(fill(&mut receive_credit, 500), 500);
        receive_credit.give_back();
        assert_eq!(receive_credit.next_limit(), 600, "20 are still unread");
        // Who says of parts that they were taken gains nothing by it.
        assert_eq!(fill(&mut receive_credit, 70), 70);
        receive_credit.release(u32::MAX);
        receive_credit.give_back();
        assert_eq!((receive_credit.next_limit(), receive_credit.spent), (690, 590));
    }

    /// CRD-2: a part is as long as the credit lets it, and not sent where little is left of much.
    #[test]
    fn a_part_waits_for_credit_that_is_worth_it() {
        let mut send_credit = SendCredit::new(100);
        assert!(!send_credit.never_affords(100) && send_credit.never_affords(101));
        assert_eq!(send_credit.part(1_000, 80), Some(100));
        assert_eq!(send_credit.part(60, 60), Some(60));
        assert!(send_credit.spend(50));
        assert_eq!(send_credit.part(1_000, 80), Some(50), "half of what there was");
        assert!(send_credit.spend(1));
        assert_eq!(send_credit.part(1_000, 80), None);
        assert_eq!(send_credit.part(1_000, 49), Some(49), "a frame's worth");
        assert_eq!(send_credit.part(49, 80), Some(49), "all of it");
        let mut nothing = SendCredit::new(0);
        assert_eq!((nothing.never_affords(1), nothing.part(5, 5)), (false, Some(0)));
        assert!(nothing.raise(3));
        assert_eq!(nothing.part(5, 5), Some(3));
    }
}
