//! Random ids of requests and events (ULID) and of browsers.

use base64ct::{Base64UrlUnpadded, Encoding};
use snapshots::time::Timestamp;
use xxhash_rust::xxh3::xxh3_64;

const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// `N` random bytes; zeros if the platform has no random source, which does not happen on Workers.
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    let _ = getrandom::fill(&mut bytes);
    bytes
}

/// A ULID: 26 characters that sort by time, with 80 random bits.
pub fn ulid(now: Timestamp) -> String {
    encode_ulid(now, random())
}

fn encode_ulid(now: Timestamp, random: [u8; 10]) -> String {
    let time = u128::from(now.0.clamp(0, (1 << 48) - 1).unsigned_abs());
    let bits = random.iter().fold(time, |bits, byte| bits << 8 | u128::from(*byte));
    (0..26)
        .rev()
        .filter_map(|place| CROCKFORD.get((bits >> (place * 5) & 31) as usize))
        .map(|byte| char::from(*byte))
        .collect()
}

/// A browser's id: 128 random bits as 22 characters of base64url.
pub fn visitor() -> String {
    Base64UrlUnpadded::encode_string(&random::<16>())
}

/// A random number.
pub fn random_number() -> u64 {
    u64::from_le_bytes(random())
}

/// A random number derived from a request's id, so that its draws can be repeated.
pub fn random_of(id: &str) -> u64 {
    xxh3_64(id.as_bytes())
}

/// Whether `text` has the form of an id by [`visitor`].
pub fn is_visitor(text: &str) -> bool {
    text.len() == 22 && Base64UrlUnpadded::decode_vec(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ulid_matches_the_specification() {
        // The specification's own example of a time, 01ARYZ6S41, is 1469918176385.
        assert_eq!(encode_ulid(Timestamp(1_469_918_176_385), [0; 10]), "01ARYZ6S410000000000000000");
        assert_eq!(encode_ulid(Timestamp(1_469_918_176_385), [0xff; 10]), "01ARYZ6S41ZZZZZZZZZZZZZZZZ");
        assert_eq!(encode_ulid(Timestamp(i64::MAX), [0xff; 10]), "7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
        assert_eq!(encode_ulid(Timestamp(-1), [0; 10]), "0".repeat(26));
    }

    #[test]
    fn visitor_ids_are_random_and_valid() {
        let (one, other) = (visitor(), visitor());
        assert_ne!(one, other);
        assert!(
            is_visitor(&one)
                && !is_visitor("")
                && !is_visitor(&"a".repeat(23))
                && !is_visitor("é".repeat(11).as_str())
        );
    }
}
