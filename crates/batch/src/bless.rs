//! Which build of each package version counts first.
//!
//! Of all builds of a package version, in all universes and with all compilers, the blessed one has the newest
//! dependencies. Two closures are compared level by level, as they are [solved](crate::solve): first the direct
//! needs in the order of their names, then what those need in the order of their names, and so on; a package counts
//! where it comes first. At the first difference the newer version wins. As long as there is none, both have the
//! same packages at the same places, so there always is a version on both sides to be compared.
//!
//! Where two builds have the same dependencies, the compiler that the set file lists first wins, and if that is the
//! same, the smaller build hash. Nothing else decides: not the order in which packages were read or solved, and
//! nothing of an earlier run.

use crate::{
    catalogue::VersionId,
    graph::{Build, BuildId},
};

/// The key of a build among those of its package version: the blessed one has the smallest.
type Rank<'b> = (Vec<VersionId>, u32, &'b str);

/// Returns the blessed build of each package version, in the order of builds. Builds must stand after what they need.
pub fn blessed(builds: &[Build]) -> Vec<BuildId> {
    let mut by_package: Vec<(VersionId, BuildId)> =
        (0_u32..).map(BuildId).zip(builds).map(|(id, build)| (build.package, id)).collect();
    by_package.sort_unstable();
    let one_package = |a: &(VersionId, BuildId), b: &(VersionId, BuildId)| a.0 == b.0;
    let mut blessed: Vec<BuildId> = by_package
        .chunk_by(one_package)
        .filter_map(|chunk| match chunk {
            [(_, only)] => Some(*only),
            _ => chunk.iter().map(|(_, id)| (rank(builds, *id), *id)).min().map(|(_, id)| id),
        })
        .collect();
    blessed.sort_unstable();
    blessed
}

fn rank(builds: &[Build], id: BuildId) -> Rank<'_> {
    let build = &builds[id.index()];
    (levels(builds, id), build.compiler.0, build.hash.as_str())
}

/// The dependencies of a build, level by level, each level in the order of names.
///
/// Ids are in the order of names, and the newer version of a package has the smaller one. So of two such lists the
/// smaller has the newer dependencies.
pub fn levels(builds: &[Build], id: BuildId) -> Vec<VersionId> {
    let mut found: Vec<VersionId> = vec![builds[id.index()].package];
    let mut level = vec![id];
    while !level.is_empty() {
        let mut next: Vec<(VersionId, BuildId)> = level
            .iter()
            .flat_map(|user| &builds[user.index()].needs)
            .map(|need| (builds[need.index()].package, *need))
            .filter(|(package, _)| !found.contains(package))
            .collect();
        next.sort_unstable();
        next.dedup();
        found.extend(next.iter().map(|(package, _)| *package));
        level = next.into_iter().map(|(_, id)| id).collect();
    }
    found.remove(0);
    found
}
