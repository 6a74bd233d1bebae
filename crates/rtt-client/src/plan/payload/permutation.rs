//! [`Permutation`]: converts the numbers of requests to unpredictable identifiers, and back.
//!
//! An identifier of a service, for example of a DNS query, has few bytes. A Feistel network with a secret key permutes
//! all numbers of this length (Luby and Rackoff, "How to construct pseudorandom permutations from pseudorandom
//! functions", 1988). So consecutive requests never have the same identifier, and the client needs no table.

use super::echo::TokenKey;

/// The number of rounds. Four rounds are a strong pseudorandom permutation.
const ROUNDS: u64 = 4;

/// A secret permutation of all numbers with a certain number of bits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Permutation {
    key: TokenKey,
    /// Half of the bits of a number.
    half_bits: u32,
}

impl Permutation {
    /// A random permutation of the numbers with `bytes` bytes, at most 8.
    pub(super) fn random(bytes: usize) -> Self {
        let half_bits = 4 * u32::try_from(bytes.min(8)).unwrap_or(8);
        Self { key: TokenKey::random(), half_bits }
    }

    /// The largest number.
    pub(super) fn mask(self) -> u64 {
        (self.half_mask() << self.half_bits) | self.half_mask()
    }

    /// The identifier of `number`. Higher bits than those of [`Permutation::mask`] have no effect.
    pub(super) fn apply(self, number: u64) -> u64 {
        let (mut left, mut right) = self.split(number);
        for round in 0..ROUNDS {
            (left, right) = (right, left ^ self.round(round, right));
        }
        self.join(left, right)
    }

    /// The number with this identifier, without its higher bits.
    pub(super) fn invert(self, identifier: u64) -> u64 {
        let (mut left, mut right) = self.split(identifier);
        for round in (0..ROUNDS).rev() {
            (left, right) = (right ^ self.round(round, left), left);
        }
        self.join(left, right)
    }

    fn round(self, round: u64, half: u64) -> u64 {
        // A half has at most 32 bits, so the input is different for each round.
        self.key.hash(round << 32 | half) & self.half_mask()
    }

    fn half_mask(self) -> u64 {
        (1 << self.half_bits) - 1
    }

    fn split(self, number: u64) -> (u64, u64) {
        (number >> self.half_bits & self.half_mask(), number & self.half_mask())
    }

    fn join(self, left: u64, right: u64) -> u64 {
        left << self.half_bits | right
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn each_number_has_its_own_identifier() {
        let permutation = Permutation::random(2);
        let identifiers: HashSet<u64> = (0..=0xFFFF).map(|n| permutation.apply(n)).collect();
        assert_eq!(identifiers.len(), 0x1_0000);
        assert!(identifiers.iter().all(|identifier| *identifier <= permutation.mask()));
    }

    #[test]
    fn inversion_returns_the_number() {
        for bytes in [1, 2, 4, 8] {
            let permutation = Permutation::random(bytes);
            for number in [0, 1, 2, 77, 0xFFFF, 0x1234_5678_9ABC, u64::MAX] {
                let identifier = permutation.apply(number);
                assert_eq!(permutation.invert(identifier), number & permutation.mask());
            }
        }
    }

    #[test]
    fn identifiers_of_two_runs_differ() {
        let identifiers = || {
            let permutation = Permutation::random(8);
            (0..4).map(|number| permutation.apply(number)).collect::<Vec<_>>()
        };
        assert_ne!(identifiers(), identifiers());
    }
}
