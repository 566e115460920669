//! Address ranges, such as those of the proxies in front of the service.
//!
//! May import: nothing of this crate.

use serde::Deserialize;
use std::{net::IpAddr, str::FromStr};

/// Loopback and private addresses (RFC 1918, RFC 4193, link-local), as `private`.
const PRIVATE: [&str; 7] =
    ["127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1", "fc00::/7", "fe80::/10"];

/// Addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    first: u128,
    bits: u32,
}

/// Address ranges: `192.0.2.7`, `10.0.0.0/8`, `fd00::/8`, or `private`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct Networks(Vec<Range>);

/// A text that is no address range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is no address range; expected an address such as 192.0.2.7, a range such as 10.0.0.0/8, or private"
)]
pub struct InvalidNetwork(String);

impl Networks {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an address is in one of the ranges.
    pub fn contain(&self, address: IpAddr) -> bool {
        let address = number(address);
        self.0.iter().any(|range| prefix(address, range.bits) == range.first)
    }
}

/// An address as a number: IPv4 addresses as those that are mapped to IPv6.
fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// The first bits of an address; the others are 0.
fn prefix(address: u128, bits: u32) -> u128 {
    address & u128::MAX.checked_shl(128 - bits).unwrap_or(0)
}

impl FromStr for Range {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let invalid = || InvalidNetwork(text.chars().take(64).collect());
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u32>().map_err(|_| invalid())?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| invalid())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(most);
        if bits > most {
            return Err(invalid());
        }
        let bits = bits + 128 - most;
        Ok(Self { first: prefix(number(address), bits), bits })
    }
}

impl TryFrom<Vec<String>> for Networks {
    type Error = InvalidNetwork;

    fn try_from(texts: Vec<String>) -> Result<Self, InvalidNetwork> {
        let mut ranges = Vec::new();
        for text in texts {
            match text.trim() {
                "private" => ranges.extend(PRIVATE.iter().filter_map(|range| range.parse::<Range>().ok())),
                text => ranges.push(text.parse()?),
            }
        }
        Ok(Self(ranges))
    }
}

impl FromStr for Networks {
    type Err = InvalidNetwork;

    /// Parses ranges with commas between.
    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        text.split(',').map(str::to_owned).collect::<Vec<_>>().try_into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_contain_the_addresses_that_begin_alike() {
        let networks: Networks = "10.0.0.0/8, 192.0.2.7,fd00::/8".parse().unwrap();
        for (address, inside) in [
            ("10.255.0.1", true),
            ("11.0.0.1", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("fd12::1", true),
            ("fe80::1", false),
            ("::ffff:10.1.1.1", true),
        ] {
            assert_eq!(networks.contain(address.parse().unwrap()), inside, "{address}");
        }
        let private: Networks = "private".parse().unwrap();
        assert_eq!(private.0.len(), PRIVATE.len());
        for address in ["127.0.0.1", "192.168.1.1", "172.31.9.9", "::1", "fe80::1"] {
            assert!(private.contain(address.parse().unwrap()), "{address}");
        }
        assert!(
            !private.contain("172.32.0.1".parse().unwrap()) && !private.contain("8.8.8.8".parse().unwrap())
        );
        assert!("0.0.0.0/0".parse::<Networks>().unwrap().contain("8.8.8.8".parse().unwrap()));
        for wrong in
            ["", "10.0.0.0/33", "::/129", "10.0.0", "example.org", "10.0.0.0/-1", "10.0.0.0/8/8", "publik"]
        {
            assert!(wrong.parse::<Networks>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_range_contains_exactly_the_addresses_with_its_prefix(
            base in any::<u32>(), other in any::<u32>(), bits in 0u32..=32,
        ) {
            let address = |number: u32| IpAddr::from(number.to_be_bytes());
            let networks: Networks = format!("{}/{bits}", address(base)).parse().unwrap();
            let same = bits == 0 || base >> (32 - bits) == other >> (32 - bits);
            prop_assert_eq!(networks.contain(address(other)), same);
        }

        #[test]
        fn any_text_is_ranges_or_an_error(text in "[0-9a-f:./, ]{0,20}|\\PC{0,9}") {
            let _ = text.parse::<Networks>();
        }
    }
}
