//! What a step works on.

use larder_trace::BuildTrace;

use crate::{artifact::Artifact, job::Built};

/// Artifacts that a step works on, and the trace of all of them. The trace is that of the artifact where
/// there is one, else a group with one part an artifact, in order.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// The artifacts.
    pub artifacts: &'a [Artifact],
    /// Their trace.
    pub trace: &'a BuildTrace,
}

impl<'a> From<&'a Built<Vec<Artifact>>> for Inputs<'a> {
    fn from(built: &'a Built<Vec<Artifact>>) -> Self {
        Self { artifacts: &built.value, trace: &built.trace }
    }
}

impl<'a> From<&'a Built<Artifact>> for Inputs<'a> {
    fn from(built: &'a Built<Artifact>) -> Self {
        Self { artifacts: std::slice::from_ref(&built.value), trace: &built.trace }
    }
}

impl Inputs<'_> {
    pub(super) fn to_owned(self) -> Built<Vec<Artifact>> {
        Built { value: self.artifacts.to_vec(), trace: self.trace.clone() }
    }
}
