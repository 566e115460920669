//! Why bytes are not a usable snapshot.

use core::fmt;

/// What is wrong with a blob or manifest, and where. Bytes are hostile until they have been opened, so every
/// variant can be met in production; none of them leaves anything half-open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The bytes are no MessagePack envelope of Verge's.
    NotASnapshot(String),
    /// Written by a version of Verge whose format this one cannot read.
    Format {
        /// The version found.
        found: u32,
        /// The newest version that can be read.
        supported: u32,
    },
    /// A section's bytes do not have the checksum the envelope states.
    Checksum {
        /// The section's name.
        section: String,
    },
    /// A section is laid out in a way that cannot be read.
    Section {
        /// The section's name.
        section: &'static str,
        /// What is wrong.
        detail: &'static str,
    },
    /// A section that every snapshot needs is in none of the blobs.
    Missing {
        /// The section's name.
        section: &'static str,
    },
    /// Two sections count different catalogues, so that an index of one means another item in the other.
    Mixed {
        /// The section that disagrees with the item ids.
        section: &'static str,
    },
    /// The bytes are no manifest.
    Manifest(String),
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotASnapshot(why) => {
                write!(out, "not a Verge snapshot: {why}; build it with `verge build`")
            }
            Self::Format { found, supported } => write!(
                out,
                "snapshot format {found}, but this Verge reads up to {supported}; {}",
                if found > supported { "upgrade the reader" } else { "build the snapshot again" }
            ),
            Self::Checksum { section } => {
                write!(out, "section '{section}' is damaged: its checksum differs; publish it again")
            }
            Self::Section { section, detail } => write!(out, "section '{section}' is unusable: {detail}"),
            Self::Missing { section } => write!(out, "section '{section}' is missing; a blob was left out"),
            Self::Mixed { section } => write!(
                out,
                "section '{section}' belongs to another catalogue than the item ids; publish all blobs of \
                 one build together"
            ),
            Self::Manifest(why) => write!(out, "not a Verge manifest: {why}"),
        }
    }
}

impl core::error::Error for Error {}
