//! Names of regions, and a visitor's place.

/// The region that covers the whole world. It is always published, and serves visitors whose own region has no snapshot.
pub const WORLD: &str = "world";
/// Prefix of an area that is a continent; the code af, an, as, eu, na, oc or sa follows.
pub const CONTINENT: &str = "continent-";

/// Whether `region` is a valid name: 1 to 32 of `a-z`, `0-9`, `-`.
pub fn is_region(region: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=32).contains(&region.len()) && region.bytes().all(legal)
}

/// A visitor's place besides the country. Unknown fields are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The continent's lower-case code.
    pub continent: String,
    /// The second part of the ISO 3166-2 code, in lower case.
    pub subdivision: String,
}

impl Place {
    /// The finest known area: `us-ca`, or the country.
    pub fn area(&self, country: &str) -> String {
        if self.subdivision.is_empty() {
            country.to_owned()
        } else {
            format!("{country}-{}", self.subdivision)
        }
    }
}
