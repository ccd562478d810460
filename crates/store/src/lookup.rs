//! Answers to [`Store::lookup`](crate::Store::lookup).

use std::fmt;

use larder_trace::Outputs;
use serde::{Deserialize, Serialize};

/// Where an answer was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Tier {
    /// The store itself.
    Local,
    /// A read-only store behind it.
    Offline,
    /// The mapping is known here, its artifacts are to be fetched from a service.
    Service,
}

impl Tier {
    /// Every tier, in the order of lookup.
    pub const ALL: [Self; 3] = [Self::Local, Self::Offline, Self::Service];
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Local => "in the store",
            Self::Offline => "in an offline store",
            Self::Service => "on a service",
        })
    }
}

/// Why a lookup or a restore found nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MissReason {
    /// The dep hash was never recorded.
    NotRecorded,
    /// It was, but with discovered inputs (headers) of other content.
    InputsDiffer,
    /// It was, but an artifact has been collected or was never fetched.
    ArtifactAbsent,
    /// It was, but an artifact is damaged.
    ArtifactCorrupt,
    /// The mapping entry is damaged.
    MappingCorrupt,
    /// An artifact could not be fetched.
    NotFetched,
}

impl MissReason {
    /// Every reason.
    pub const ALL: [Self; 6] = [
        Self::NotRecorded,
        Self::InputsDiffer,
        Self::ArtifactAbsent,
        Self::ArtifactCorrupt,
        Self::MappingCorrupt,
        Self::NotFetched,
    ];
}

impl fmt::Display for MissReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotRecorded => "never built with these inputs",
            Self::InputsDiffer => "a discovered input has different content",
            Self::ArtifactAbsent => "an artifact is not in the store",
            Self::ArtifactCorrupt => "an artifact was corrupt",
            Self::MappingCorrupt => "the mapping entry was corrupt",
            Self::NotFetched => "an artifact could not be fetched",
        })
    }
}

/// The answer to [`Store::lookup`](crate::Store::lookup).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// A record that fits.
    Hit(Hit),
    /// Nothing that fits.
    Miss(MissReason),
}

/// Outputs whose discovered inputs match and whose artifacts can be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// The outputs that a build would leave.
    pub outputs: Outputs,
    /// Where it was found.
    pub tier: Tier,
}
