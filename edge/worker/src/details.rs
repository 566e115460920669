//! The visitor's device and place, and testers' claims: the inputs of rules and experiments besides the recents. Read only
//! if a snapshot has rules, since reading them costs about as much as scoring.

use crate::reply::Problem;
use snapshots::manifest::Place;
use snapshots::rules::Device;
use snapshots::time::Timestamp;

/// The visitor's device and place. Unknown fields are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// The device.
    pub device: Option<Device>,
    /// IANA time zone.
    pub timezone: String,
    /// Subdivision and continent.
    pub place: Place,
}

impl Details {
    /// Reads the lines of `js/glue.js`: device, time zone, continent, subdivision.
    pub fn read(lines: &str) -> Self {
        let mut lines = lines.splitn(4, '\n');
        let mut next = || lines.next().unwrap_or_default();
        Self {
            device: Device::from_name(next()),
            timezone: next().to_owned(),
            place: Place { continent: next().to_ascii_lowercase(), subdivision: next().to_ascii_lowercase() },
        }
    }
}

/// A tester's claim to see a variant, `EXPERIMENT.VARIANT.EXPIRES.SIGNATURE` (expiry in Unix seconds), as `verge rules
/// force` prints it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TesterClaim<'a> {
    /// The experiment.
    pub experiment: &'a str,
    /// The variant.
    pub variant: &'a str,
    /// The signed text.
    pub signed: &'a str,
    /// The signature, base64url.
    pub signature: &'a str,
}

impl<'a> TesterClaim<'a> {
    /// Parses a claim that has not expired. The caller has to verify its signature.
    pub fn read(text: &'a str, now: Timestamp) -> Option<Self> {
        let (signed, signature) = text.rsplit_once('.')?;
        let mut parts = signed.split('.');
        let (experiment, variant, expires) = (parts.next()?, parts.next()?, parts.next()?);
        let expires: i64 = expires.parse().ok()?;
        let valid = parts.next().is_none() && now.0 < expires.saturating_mul(1_000);
        valid.then_some(Self { experiment, variant, signed, signature })
    }
}

/// The problem for an invalid claim.
pub fn invalid_claim() -> Problem {
    Problem::bad_request(
        "force",
        "Not signed with the Worker's secret TESTER_KEY, or expired. Sign a new claim with `verge rules force`.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn details_are_read_in_the_order_of_the_glue() {
        let details = Details::read("tablet\nEurope/Berlin\nEU\nBE");
        assert_eq!((details.device, &*details.timezone), (Some(Device::Tablet), "Europe/Berlin"));
        assert_eq!((&*details.place.continent, &*details.place.subdivision), ("eu", "be"));
        assert_eq!(Details::read(""), Details::default());
    }

    #[test]
    fn a_claim_is_valid_until_it_expires() {
        let claim = TesterClaim::read("home.b.1000.c2ln", Timestamp(999_999)).unwrap();
        assert_eq!((claim.experiment, claim.variant), ("home", "b"));
        assert_eq!((claim.signed, claim.signature), ("home.b.1000", "c2ln"));
        for (text, now) in
            [("home.b.1000.c2ln", 1_000_000), ("home.b.1000", 0), ("a.b.c.d", 0), ("a.b.1.2.d", 0), ("", 0)]
        {
            assert_eq!(TesterClaim::read(text, Timestamp(now)), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "\\PC{0,60}|([a-z]{0,3}[.]){3}[0-9]{0,20}[.]x") {
            Details::read(&text);
            let _ = TesterClaim::read(&text, Timestamp(0));
        }
    }
}
