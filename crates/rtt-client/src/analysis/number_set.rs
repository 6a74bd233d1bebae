//! [`NumberSet`]: a set of request numbers, stored as ranges.

/// The maximum number of stored ranges. With more ranges, the set is incomplete.
const MAX_RANGES: usize = 1 << 16;

/// A set of request numbers. Consecutive numbers take the memory of one range. Numbers are usually added in ascending
/// order.
#[derive(Debug, Default)]
pub(crate) struct NumberSet {
    ranges: Vec<Range>,
    is_incomplete: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    first: u64,
    last: u64,
    /// How many numbers are in the ranges before this one.
    before: u64,
}

impl NumberSet {
    /// Adds a number. Returns whether it is new.
    pub(crate) fn add(&mut self, number: u64) -> bool {
        let index = self.ranges.partition_point(|range| range.first <= number);
        if index > 0 && number <= self.ranges[index - 1].last {
            return false;
        }
        let follows = index > 0 && self.ranges[index - 1].last + 1 == number;
        let precedes = self.ranges.get(index).is_some_and(|range| number + 1 == range.first);
        match (follows, precedes) {
            (true, true) => {
                self.ranges[index - 1].last = self.ranges[index].last;
                self.ranges.remove(index);
            }
            (true, false) => self.ranges[index - 1].last = number,
            (false, true) => self.ranges[index].first = number,
            (false, false) if self.ranges.len() == MAX_RANGES => {
                self.is_incomplete = true;
                return true;
            }
            (false, false) => {
                self.ranges.insert(index, Range { first: number, last: number, before: 0 });
            }
        }
        self.count_again_from(index.saturating_sub(1));
        true
    }

    /// How many numbers of the set are not above `number`. `None` if the set is incomplete.
    pub(crate) fn count_up_to(&self, number: u64) -> Option<u64> {
        if self.is_incomplete {
            return None;
        }
        let index = self.ranges.partition_point(|range| range.first <= number);
        let Some(range) = index.checked_sub(1).map(|index| self.ranges[index]) else {
            return Some(0);
        };
        Some(range.before + number.min(range.last) - range.first + 1)
    }

    /// How many numbers of the set are above `from` and not above `to`. `None` if the set is incomplete.
    pub(crate) fn count_between(&self, from: u64, to: u64) -> Option<u64> {
        self.count_up_to(to)?.checked_sub(self.count_up_to(from)?)
    }

    fn count_again_from(&mut self, index: usize) {
        let mut before = match index.checked_sub(1).map(|index| self.ranges[index]) {
            Some(range) => range.before + range.last - range.first + 1,
            None => 0,
        };
        for range in &mut self.ranges[index..] {
            range.before = before;
            before += range.last - range.first + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn set_with_too_many_ranges_has_no_counts() {
        let mut set = NumberSet::default();
        for number in 0..MAX_RANGES as u64 {
            set.add(2 * number);
        }
        assert_eq!(set.count_up_to(10), Some(6));
        set.add(1);
        assert_eq!(set.ranges.len(), MAX_RANGES - 1, "1 joins two ranges");
        set.add(1 << 40);
        set.add(1 << 41);
        assert_eq!(set.count_up_to(10), None);
    }

    proptest! {
        #[test]
        fn counts_equal_those_of_a_set_of_single_numbers(numbers in proptest::collection::vec(0_u64..60, 0..80)) {
            let (mut set, mut expected) = (NumberSet::default(), BTreeSet::new());
            for number in numbers {
                prop_assert_eq!(set.add(number), expected.insert(number));
            }
            for number in 0..62 {
                let count = expected.range(..=number).count() as u64;
                prop_assert_eq!(set.count_up_to(number), Some(count));
            }
        }
    }
}
