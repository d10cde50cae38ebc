//! The filters of a device, found by a topic that they match, without looking at all of them.  SPEC §13
//!
//! They lie in one map, ordered level by level, so that the map is a trie that nobody has to build: all filters below
//! the same levels are neighbours. What a filter costs is its text and one entry, however many levels it has; a trie
//! of nodes would cost a peer 128 bytes and this side 64 nodes.
//!
//! A walk looks at a filter, and then at the least one behind it that can still match. At each level that is `#`, `+`
//! or the topic's own, and only behind levels that match; whatever lies between is skipped by one look-up.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::sorted::Sorted;
use crate::name;

/// Stands between two levels instead of `/`: less than all that levels hold (SPEC §13 allows no control characters),
/// so that the order of bytes is that of levels.
const BETWEEN: u8 = 0;
const ANY_LEVEL: &[u8] = b"+";
const ANY_REST: &[u8] = b"#";

/// Who subscribed with which filter.
pub(super) struct Filters<M> {
    members: Sorted<Box<[u8]>, Vec<M>>,
}

impl<M> Default for Filters<M> {
    fn default() -> Self {
        Self { members: Sorted::default() }
    }
}

impl<M: Copy> Filters<M> {
    /// Adds a member of a filter, and tells its place among them.
    pub(super) fn add(&mut self, filter: &str, member: M) -> usize {
        let members = self.members.get_or_default(key_of(filter));
        members.push(member);
        members.len() - 1
    }

    /// Removes the member at this place, and tells which one stands there now. A filter goes with its last member.
    pub(super) fn remove(&mut self, filter: &str, place: usize) -> Option<M> {
        let key = key_of(filter);
        let members = self.members.get_mut(&*key)?;
        if place < members.len() {
            members.swap_remove(place);
        }
        let moved = members.get(place).copied();
        if members.is_empty() {
            self.members.remove(&*key);
        }
        moved
    }

    /// The members of all filters that match a topic.
    pub(super) fn matching(&self, topic: &str) -> Vec<M> {
        let mut matching = Vec::new();
        for (matches, members) in self.walk(topic) {
            if matches {
                matching.extend_from_slice(members);
            }
        }
        matching
    }

    /// Each step looks up one filter, always behind the last: at most as many steps as there are filters, whatever a peer
    /// subscribes to. Those looked at in vain end, or leave what matches, at a node that a walk through a trie of nodes
    /// would visit too: at most five at each, one that ends there and one before, between and behind its candidates.
    fn walk<'a>(&'a self, topic: &'a str) -> Walk<'a, M> {
        let (mut levels, mut open) = (Vec::new(), 0);
        for level in name::levels_of(topic) {
            levels.push(level);
            if name::is_reserved_level(level) {
                open = levels.len();
            }
        }
        Walk { filters: self, levels, open, from: Some(Vec::new()) }
    }

    /// How many filters a walk looks at.
    #[cfg(test)]
    pub(super) fn steps(&self, topic: &str) -> usize {
        self.walk(topic).count()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.members.len()
    }
}

fn key_of(filter: &str) -> Box<[u8]> {
    filter.bytes().map(|byte| if byte == b'/' { BETWEEN } else { byte }).collect()
}

/// Steps through the filters that may match; says of each whether it does.
struct Walk<'a, M> {
    filters: &'a Filters<M>,
    levels: Vec<&'a [u8]>,
    /// From this level on `#` matches what is left of the topic: nothing there is reserved.  SPEC §13
    open: usize,
    /// The least filter that may match and was not looked at; `None` at the end.
    from: Option<Vec<u8>>,
}

impl<'a, M> Iterator for Walk<'a, M> {
    type Item = (bool, &'a [M]);

    fn next(&mut self) -> Option<Self::Item> {
        let from = self.from.as_deref()?;
        let (filter, members) = self.filters.members.at_or_behind(from)?;
        let (matches, depth, start) = self.compare(filter);
        self.skip(filter, depth, start);
        Some((matches, members))
    }
}

impl<'a, M> Walk<'a, M> {
    /// Whether a filter matches; and the first of its levels that does not, or that ends the filter, by its depth and
    /// its first byte. Behind the end where all levels match.
    fn compare(&self, filter: &[u8]) -> (bool, usize, usize) {
        let (mut depth, mut start) = (0, 0);
        for level in filter.split(|byte| *byte == BETWEEN) {
            if !self.candidates(depth).contains(&Some(level)) {
                return (false, depth, start);
            }
            if level == ANY_REST {
                return (true, depth, start);
            }
            depth += 1;
            start += level.len() + 1;
        }
        (depth == self.levels.len(), depth, start)
    }

    /// Goes on behind a filter: at the least one that begins with the same levels up to `depth` and has a greater one
    /// there that can match, or the same at the next level up.
    fn skip(&mut self, filter: &[u8], mut depth: usize, mut start: usize) {
        let mut above = filter.get(start..).and_then(|rest| rest.split(|byte| *byte == BETWEEN).next());
        loop {
            let mut least = None;
            for level in self.candidates(depth).into_iter().flatten() {
                if above.is_none_or(|above| level > above) && least.is_none_or(|least| level < least) {
                    least = Some(level);
                }
            }
            if let Some(level) = least {
                let mut from = self.from.take().unwrap_or_default();
                from.clear();
                from.extend_from_slice(&filter[..start.min(filter.len())]);
                if start > filter.len() {
                    from.push(BETWEEN);
                }
                from.extend_from_slice(level);
                self.from = Some(from);
                return;
            }
            if depth == 0 {
                self.from = None;
                return;
            }
            depth -= 1;
            let end = start - 1;
            start = filter[..end].iter().rposition(|byte| *byte == BETWEEN).map_or(0, |at| at + 1);
            above = Some(&filter[start..end]);
        }
    }

    /// What a filter may have at this depth.  SPEC §13
    fn candidates(&self, depth: usize) -> [Option<&'a [u8]>; 3] {
        let level = self.levels.get(depth).copied();
        let is_free = level.is_some_and(|level| !name::is_reserved_level(level));
        [(depth >= self.open).then_some(ANY_REST), is_free.then_some(ANY_LEVEL), level]
    }
}
