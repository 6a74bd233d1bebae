//! [`TokenKey`]: the unpredictable text in each request of a series.
//!
//! The token of a request is SipHash-2-4 of its number, with a secret random key. So the client needs no memory for the
//! tokens, and only a host that has received a request can send its token. The token is text in base32 (RFC 4648,
//! section 6). The conversion to upper case does not change this text.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};

/// The length of a complete token, in bytes: 64 bits, and 5 bits in each character.
pub(crate) const TOKEN_LEN: usize = TOKEN_BITS.div_ceil(BITS_PER_CHARACTER) as usize;

/// The number of bits in a complete token. An attacker that sends a million forged replies each second finds one correct
/// token in about 300,000 years, on average.
pub(crate) const TOKEN_BITS: u32 = u64::BITS;

/// With fewer bits than this, a token is no evidence that the sender of an ICMP error has received the request, and the
/// summary has a note. An attacker that sends a million messages each second guesses a token of this length in about half an
/// hour.
pub(crate) const MIN_TOKEN_BITS: u32 = 32;

const BITS_PER_CHARACTER: u32 = 5;

/// The characters of base32 (RFC 4648, table 3).
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The secret key of the tokens of a run.
#[derive(Clone, Copy)]
pub(in crate::plan::payload) struct TokenKey([u64; 2]);

/// The key is secret, so it does not appear in any output.
impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenKey")
    }
}

impl TokenKey {
    /// A random key. The standard library gets its randomness from the system.
    pub(in crate::plan::payload) fn random() -> Self {
        let state = RandomState::new();
        Self([state.hash_one(0_u64), state.hash_one(1_u64)])
    }

    /// A pseudorandom number for `number`.
    pub(in crate::plan::payload) fn hash(self, number: u64) -> u64 {
        siphash_2_4(self.0, number)
    }

    /// Writes the token of request `number`. If `token` has less space than [`TOKEN_LEN`], writes the beginning of the
    /// token.
    pub(super) fn write(self, number: u64, token: &mut [u8]) {
        let mut rest = self.hash(number);
        for character in token {
            // The last character contains fewer than five bits of the hash. Zeros follow them.
            *character = ALPHABET[(rest >> (u64::BITS - BITS_PER_CHARACTER)) as usize];
            rest <<= BITS_PER_CHARACTER;
        }
    }
}

/// The number of bits in a token of `len` characters.
pub(super) fn bits_of(len: usize) -> u32 {
    u32::try_from(len).map_or(TOKEN_BITS, |len| (BITS_PER_CHARACTER * len).min(TOKEN_BITS))
}

/// SipHash-2-4 of a message that consists of the eight bytes of `number` (Aumasson and Bernstein, "`SipHash`: a fast
/// short-input PRF", 2012).
fn siphash_2_4([k0, k1]: [u64; 2], number: u64) -> u64 {
    /// The last block contains the length of the message in its highest byte.
    const LENGTH_BLOCK: u64 = 8 << 56;
    let mut v = [
        k0 ^ 0x736f_6d65_7073_6575,
        k1 ^ 0x646f_7261_6e64_6f6d,
        k0 ^ 0x6c79_6765_6e65_7261,
        k1 ^ 0x7465_6462_7974_6573,
    ];
    for block in [number, LENGTH_BLOCK] {
        v[3] ^= block;
        v = sip_round(sip_round(v));
        v[0] ^= block;
    }
    v[2] ^= 0xff;
    for _ in 0..4 {
        v = sip_round(v);
    }
    v[0] ^ v[1] ^ v[2] ^ v[3]
}

fn sip_round([mut v0, mut v1, mut v2, mut v3]: [u64; 4]) -> [u64; 4] {
    v0 = v0.wrapping_add(v1);
    v1 = v1.rotate_left(13) ^ v0;
    v0 = v0.rotate_left(32);
    v2 = v2.wrapping_add(v3);
    v3 = v3.rotate_left(16) ^ v2;
    v0 = v0.wrapping_add(v3);
    v3 = v3.rotate_left(21) ^ v0;
    v2 = v2.wrapping_add(v1);
    v1 = v1.rotate_left(17) ^ v2;
    v2 = v2.rotate_left(32);
    [v0, v1, v2, v3]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn token(key: TokenKey, number: u64) -> [u8; TOKEN_LEN] {
        let mut token = [0; TOKEN_LEN];
        key.write(number, &mut token);
        token
    }

    #[test]
    fn hash_agrees_with_the_reference_implementation() {
        // The key 00 01 … 0f and the message 00 01 … 07 (vectors_sip64 in the reference implementation).
        let key = [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908];
        let hash = u64::from_le_bytes([0x62, 0x24, 0x93, 0x9a, 0x79, 0xf5, 0xf5, 0x93]);
        assert_eq!(siphash_2_4(key, 0x0706_0504_0302_0100), hash);
    }

    #[test]
    fn token_is_the_hash_in_base32() {
        let key = TokenKey([0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908]);
        // The bytes 93 f5 f5 79 9a 93 24 62, as Python's base64.b32encode writes them, without the padding.
        assert_eq!(&token(key, 0x0706_0504_0302_0100), b"SP27K6M2SMSGE");
    }

    #[test]
    fn shorter_token_is_the_beginning_of_the_token() {
        let key = TokenKey::random();
        for len in 0..=TOKEN_LEN {
            let mut short = vec![0; len];
            key.write(7, &mut short);
            assert_eq!(short, token(key, 7)[..len]);
        }
        assert_eq!([0, 1, 12, 13].map(bits_of), [0, 5, 60, 64]);
    }

    #[test]
    fn each_request_of_each_run_has_another_token() {
        let keys = [TokenKey::random(), TokenKey::random()];
        let tokens = keys.iter().flat_map(|key| (0..10_000).map(|number| token(*key, number)));
        assert_eq!(tokens.collect::<BTreeSet<_>>().len(), 20_000);
    }

    #[test]
    fn conversion_to_upper_case_does_not_change_a_token() {
        let token = token(TokenKey::random(), 1);
        assert_eq!(token.to_ascii_uppercase(), token);
    }

    #[test]
    fn key_is_not_printed() {
        assert_eq!(format!("{:?}", TokenKey([1, 2])), "TokenKey");
    }
}
