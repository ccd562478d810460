//! The tasks of a run: the stages of its builds, and which of them wait for which.

use larder_runs::result::Stage;

use crate::{
    catalogue::Catalogue,
    docs,
    graph::{BuildId, Builds},
    schedule::{Expected, Need, Task, TaskId},
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
    /// These stages of the `wanted` builds, which have needs first. A test and documentation need the build; documentation also waits for that
    /// which it reads, and can do without it.
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
            let package = catalogue.get(build.package);
            let needs = build.needs.iter().filter_map(|need| built[need.index()]);
            let needs = needs.map(Need::required).collect();
            let own = tasks.add(id, Stage::Build, needs);
            built[id.index()] = Some(own);
            if package.recipe.has_tests() && stages.contains(&Stage::Test) {
                tasks.add(id, Stage::Test, vec![Need::required(own)]);
            }
            if !package.docs.lines.is_empty() && stages.contains(&Stage::Doc) {
                let mut needs = vec![Need::required(own)];
                let read = docs::read_by(build, builds, catalogue);
                let read = read.into_iter().filter_map(|need| documented[need.index()]);
                needs.extend(read.map(Need::optional));
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
    pub fn only(&self, wanted: impl Fn(Part) -> bool) -> Tasks {
        let mut places: Vec<Option<TaskId>> = Vec::with_capacity(self.parts.len());
        let mut tasks = Tasks::default();
        for (part, needs) in self.parts.iter().zip(&self.needs) {
            let place = |need: &Need| Some(Need { task: places[need.task]?, ..*need });
            let place_of_all = || needs.iter().filter_map(place).collect();
            let added = wanted(*part).then(|| tasks.add(part.build, part.stage, place_of_all()));
            places.push(added);
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

    /// The same as a schedule takes them, each with what it is expected to take.
    pub fn expecting(&self, expected: impl Fn(Part) -> Expected) -> Vec<Task> {
        let parts = self.parts.iter().zip(&self.needs);
        parts
            .map(|(part, needs)| Task { needs: needs.clone(), expected: expected(*part) })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        catalogue::{Docs, PackageVersion},
        testing::{builds, catalogue, package},
    };

    #[test]
    fn documentation_waits_for_that_which_it_reads() {
        let documented = |id: &str, needs: &[&str], line: &str| {
            let docs = Docs { lines: vec![line.to_owned()], system: None };
            PackageVersion { docs, ..package(id, needs) }
        };
        let catalogue = catalogue(
            vec![
                documented("app.1", &["png"], "cp {docs:zlib}/x {docs:png}/y {docs}"),
                package("png.1", &["zlib"]),
                documented("shy.1", &["zlib"], "cp x {docs}"),
                documented("zlib.1", &[], "cp x {docs}"),
            ],
            &["gcc.12"],
        );
        let builds = builds(&catalogue);
        let stages = [Stage::Doc];
        let all = builds.iter().map(|(id, _)| id);
        let tasks = Tasks::new(&builds, all, &catalogue, &stages);
        let name = |part: Part| {
            let package = &catalogue.get(builds.get(part.build).package).name;
            format!("{package} {}", part.stage.name())
        };
        let waits = |part: &str| -> Vec<(String, bool)> {
            let task = tasks.parts().position(|it| name(*it) == part).unwrap();
            let needs = tasks.needs[task].iter();
            needs.map(|need| (name(tasks.part(need.task)), !need.optional)).collect()
        };
        let need = |part: &str, required| (part.to_owned(), required);
        // By way of png, which has none, so nobody else waits for it.
        assert_eq!(waits("app doc"), [need("app build", true), need("zlib doc", false)]);
        assert_eq!(waits("shy doc"), [need("shy build", true)]);
    }
}
