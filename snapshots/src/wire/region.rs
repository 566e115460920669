//! Names of regions, and where a visitor is.

/// The region of everywhere: always published, and served where a visitor's own region has no snapshot.
pub const WORLD: &str = "world";
/// What an area that is a continent begins with, before its code: af, an, as, eu, na, oc, sa.
pub const CONTINENT: &str = "continent-";

/// Whether `region` can be one: 1 to 32 of `a-z`, `0-9`, `-`.
pub fn is_region(region: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=32).contains(&region.len()) && region.bytes().all(legal)
}

/// Where a visitor is, beside the country. What is not known is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Lower-case code of the continent.
    pub continent: String,
    /// The second part of the lower-case ISO 3166-2 code.
    pub subdivision: String,
}

impl Place {
    /// The finest area known: `us-ca`, or the country itself.
    pub fn area(&self, country: &str) -> String {
        if self.subdivision.is_empty() {
            country.to_owned()
        } else {
            format!("{country}-{}", self.subdivision)
        }
    }
}
