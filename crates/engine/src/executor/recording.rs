//! Notes actions on their way to another executor.

use std::sync::{Arc, Mutex, PoisonError};

use super::{Bench, ExecuteError, Execution, Executor};
use crate::action::Action;

/// Notes each action, then has another executor run it: for tests, and for whoever wants to see what
/// a build runs.
pub struct RecordingExecutor {
    inner: Arc<dyn Executor>,
    actions: Mutex<Vec<Action>>,
}

impl RecordingExecutor {
    /// Records what `inner` runs.
    pub fn new(inner: Arc<dyn Executor>) -> Self {
        Self { inner, actions: Mutex::default() }
    }

    /// Returns the actions noted so far, in the order in which they began.
    pub fn actions(&self) -> Vec<Action> {
        self.actions.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Executor for RecordingExecutor {
    fn execute(&self, action: &Action, bench: &Bench<'_>) -> Result<Execution, ExecuteError> {
        self.actions.lock().unwrap_or_else(PoisonError::into_inner).push(action.clone());
        self.inner.execute(action, bench)
    }
}
