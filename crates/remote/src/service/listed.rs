//! What a service says of an object without sending it.

use std::time::{Duration, SystemTime};

use object_store::ObjectMeta;

/// An object on a service.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Its path below the directory that was listed; its name, where it was looked up.
    pub path: String,
    /// Its length in bytes.
    pub size: u64,
    /// When it was last written, by the service's clock.
    pub modified: SystemTime,
}

impl Listed {
    pub fn of(object: &ObjectMeta) -> Option<Self> {
        let name = object.location.filename()?;
        Self::below(object, object.location.as_ref().len() - name.len())
    }

    /// The object, with the part of its path that begins at `start`.
    pub fn below(object: &ObjectMeta, start: usize) -> Option<Self> {
        Some(Self {
            path: object.location.as_ref().get(start..)?.to_owned(),
            size: object.size,
            modified: object.last_modified.into(),
        })
    }

    /// Whether it was written less than `age` ago.
    pub fn is_younger_than(&self, age: Duration) -> bool {
        // One from the future was written just now, by a clock that is ahead.
        self.modified.elapsed().is_ok_and(|elapsed| elapsed < age)
            || self.modified > SystemTime::now()
    }
}
