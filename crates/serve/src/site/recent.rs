//! What was read last, kept for whoever asks for it next.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

/// A few things that were read last, by their names.
#[derive(Debug)]
pub struct Recent<K, V> {
    most: usize,
    kept: Mutex<VecDeque<(K, Arc<V>)>>,
}

impl<K: Clone + PartialEq, V> Recent<K, V> {
    /// So many at most, and none yet.
    pub fn new(most: usize) -> Self {
        Self { most, kept: Mutex::default() }
    }

    /// What has this name: read where it was not kept. What is not there is looked for again.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn get<E>(
        &self,
        name: &K,
        read: impl FnOnce() -> Result<Option<V>, E>,
    ) -> Result<Option<Arc<V>>, E> {
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept().iter().find(|(other, _)| other == name).map(|(_, it)| it.clone());
        if known.is_some() {
            return Ok(known);
        }
        // Nobody waits meanwhile; at worst two read the same.
        let Some(new) = read()?.map(Arc::new) else { return Ok(None) };
        let mut kept = kept();
        kept.push_back((name.clone(), new.clone()));
        if kept.len() > self.most {
            kept.pop_front();
        }
        Ok(Some(new))
    }
}
