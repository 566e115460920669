//! Errors of opening snapshots and manifests.

use core::fmt;

/// What is wrong with a blob or manifest, and where. Bytes are untrusted until they have been opened, so every variant
/// can occur in production.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The bytes are not a Verge envelope in MessagePack.
    NotASnapshot(String),
    /// The format or a section's layout has a version that this crate cannot read.
    Format {
        /// The version found.
        found: u32,
        /// The newest version that can be read.
        supported: u32,
    },
    /// A section's bytes do not match the checksum in the envelope.
    Checksum {
        /// The section's name.
        section: String,
    },
    /// A section's layout is damaged.
    Section {
        /// The section's name.
        section: &'static str,
        /// What is wrong.
        detail: &'static str,
    },
    /// A required section is in none of the blobs.
    Missing {
        /// The section's name.
        section: &'static str,
    },
    /// Sections belong to different catalogues, so that their item indices do not match.
    Mixed {
        /// The section that does not match the item ids.
        section: &'static str,
    },
    /// The bytes are not a valid manifest.
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
