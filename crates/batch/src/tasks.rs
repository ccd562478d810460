//! The tasks of a run: the stages of its builds, and which of them wait for which.

use std::time::Duration;

use larder_runs::result::Stage;

use crate::{
    catalogue::Catalogue,
    graph::{BuildId, Builds},
    schedule::{Need, Task, TaskId},
};

/// The stage of a build that a task does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// The build.
    pub build: BuildId,
    /// The stage.
    pub stage: Stage,
}

/// All tasks of a run: each has those that it needs before it.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    parts: Vec<Part>,
    needs: Vec<Vec<Need>>,
}

impl Tasks {
    /// These stages of the `wanted` builds, which have needs first. A test and documentation need the build; documentation also waits for that of
    /// what the build needs, and can do without it.
    pub fn new(
        builds: &Builds,
        wanted: impl Iterator<Item = BuildId>,
        catalogue: &Catalogue,
        stages: &[Stage],
    ) -> Tasks {
        let mut tasks = Tasks::default();
        let mut built: Vec<Option<TaskId>> = vec![None; builds.len()];
        let mut documented = built.clone();
        for id in wanted {
            let build = builds.get(id);
            let recipe = &catalogue.get(build.package).recipe;
            let of_needs = |of: &[Option<TaskId>]| -> Vec<TaskId> {
                build.needs.iter().filter_map(|need| of[need.index()]).collect()
            };
            let needs = of_needs(&built).into_iter().map(Need::required).collect();
            let own = tasks.add(id, Stage::Build, needs);
            built[id.index()] = Some(own);
            if recipe.has_tests() && stages.contains(&Stage::Test) {
                tasks.add(id, Stage::Test, vec![Need::required(own)]);
            }
            if recipe.has_docs() && stages.contains(&Stage::Doc) {
                let mut needs = vec![Need::required(own)];
                needs.extend(of_needs(&documented).into_iter().map(Need::optional));
                documented[id.index()] = Some(tasks.add(id, Stage::Doc, needs));
            }
        }
        tasks
    }

    fn add(&mut self, build: BuildId, stage: Stage, needs: Vec<Need>) -> TaskId {
        self.parts.push(Part { build, stage });
        self.needs.push(needs);
        self.parts.len() - 1
    }

    /// The part that a task does.
    pub fn part(&self, task: TaskId) -> Part {
        self.parts[task]
    }

    /// The parts of all tasks, in their order.
    pub fn parts(&self) -> impl ExactSizeIterator<Item = &Part> {
        self.parts.iter()
    }

    /// Only the tasks of parts that are wanted. What is left out is over for those that need it.
    pub fn only(self, wanted: impl Fn(Part) -> bool) -> Tasks {
        let mut places: Vec<Option<TaskId>> = Vec::with_capacity(self.parts.len());
        let mut tasks = Tasks::default();
        for (part, needs) in self.parts.into_iter().zip(self.needs) {
            let place = |need: Need| Some(Need { task: places[need.task]?, ..need });
            let needs = needs.into_iter().filter_map(place).collect();
            places.push(wanted(part).then(|| tasks.add(part.build, part.stage, needs)));
        }
        tasks
    }

    /// How many tasks there are.
    pub fn len(&self) -> usize {
        self.parts.len()
    }

    /// Whether there is nothing to do at all.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The same as a schedule takes them, each with how long it is expected to take.
    pub fn expecting(&self, expected: impl Fn(Part) -> Duration) -> Vec<Task> {
        let parts = self.parts.iter().zip(&self.needs);
        parts
            .map(|(part, needs)| Task { needs: needs.clone(), expected: expected(*part) })
            .collect()
    }
}
