//! The list of what is installed.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use larder_project::{
    manifest::{Module, Template},
    path::BuildPath,
    plan::{Kind, PackageId, Plan, Target, TargetId},
};

use super::{
    Content, Contents, InstallError, Installed, Layout, Library, cmake, headers, is_shared,
    link_args, pkg_config,
};
use crate::build::BuildReport;

/// A library as others are told of it.
#[derive(Debug, Default)]
pub struct Offered {
    /// Its package.
    pub package: String,
    /// The version of that.
    pub version: String,
    pub name: String,
    /// The file name of the static library, if it is installed.
    pub archive: Option<String>,
    /// The file name of the shared library, if it is installed.
    pub shared: Option<String>,
    /// The file name of what is linked in its place, if that is another.
    pub import: Option<String>,
    /// The libraries that it is linked with and that are installed, too: package and name.
    pub libraries: Vec<(String, String)>,
    /// What its users are linked with besides: `-lm`, `-pthread`, `-framework X`; arguments that are a pair stand together.
    pub link_args: Vec<Vec<String>>,
    /// What C++ is linked with, if there is any in it.
    pub cxx: Option<&'static str>,
    /// The libraries of the system that `pkg-config` knows.
    pub modules: Vec<Module>,
    /// The macros for whoever uses it: `NAME` or `NAME=VALUE`.
    pub defines: Vec<String>,
}

impl Offered {
    /// Its package and its name.
    fn id(&self) -> (String, String) {
        (self.package.clone(), self.name.clone())
    }
}

/// Files by their places below the prefix.
#[derive(Default)]
pub struct Files(BTreeMap<PathBuf, Installed>);

impl Files {
    /// Adds a file.
    ///
    /// # Errors
    /// There is another in its place.
    pub fn add(
        &mut self,
        path: PathBuf,
        from: PathBuf,
        executable: bool,
    ) -> Result<(), InstallError> {
        let new = Installed { path: path.clone(), executable, content: Content::File(from) };
        match self.0.get(&path) {
            Some(known) if *known != new && !new.is_like(known) => {
                let shown = |file: &Installed| match &file.content {
                    Content::File(from) => from.clone(),
                    Content::Text(_) | Content::Link(_) => file.path.clone(),
                };
                Err(InstallError::Twice { one: shown(known), other: shown(&new), path })
            }
            _ => {
                self.0.insert(path, new);
                Ok(())
            }
        }
    }

    fn text(&mut self, path: PathBuf, text: String) {
        self.own(path, Content::Text(text));
    }

    /// Adds a file of larder's own making.
    fn own(&mut self, path: PathBuf, content: Content) {
        let file = Installed { path: path.clone(), executable: false, content };
        self.0.insert(path, file);
    }
}

impl Installed {
    /// Whether another file has the same bytes.
    fn is_like(&self, other: &Self) -> bool {
        let read = |content: &Content| match content {
            Content::File(path) => fs::read(path).ok(),
            Content::Text(text) => Some(text.clone().into_bytes()),
            Content::Link(_) => None,
        };
        read(&self.content).is_some_and(|own| read(&other.content) == Some(own))
    }
}

pub fn contents(report: &BuildReport, layout: &Layout) -> Result<Contents, InstallError> {
    let plan = &report.plan;
    let mut files = Files::default();
    let mut libraries: BTreeMap<Library, Offered> = BTreeMap::new();
    let mut notes = Vec::new();
    for (id, outputs) in &report.targets {
        let target = plan.target(*id);
        let outputs = outputs.as_deref().unwrap_or_default();
        let versioned = versioned(plan, target);
        let mut put = |directory: &str, at: usize, file: Option<&BuildPath>, executable| {
            let Some((artifact, file)) = outputs.get(at).zip(file) else { return Ok(None) };
            let name = Path::new(file.as_str()).file_name().unwrap_or_default();
            let name = name.to_string_lossy().into_owned();
            let from = plan.workspace.root.join(artifact.path.as_str());
            let directory = Path::new(directory);
            let versioned = versioned.as_ref().filter(|longer| at == 0 && **longer != name);
            files.add(directory.join(versioned.unwrap_or(&name)), from, executable)?;
            if let Some(longer) = versioned {
                files.own(directory.join(&name), Content::Link(longer.clone()));
            }
            Ok(Some(name))
        };
        let Some(library) = Library::of(target) else {
            put("bin", 0, target.file(), true)?;
            continue;
        };
        let import = match &target.kind {
            Kind::Linked(linked) => linked.import.as_ref(),
            _ => None,
        };
        // Windows looks for libraries where programs are.
        let directory = if import.is_some() { "bin" } else { &layout.libraries };
        let name = put(directory, 0, target.file(), is_shared(target))?;
        let import = put(&layout.libraries, 1, import, false)?;
        let offered = libraries.entry(library).or_insert_with(|| offered(plan, *id, &mut notes));
        match is_shared(target) {
            true => (offered.shared, offered.import) = (name, import),
            false => offered.archive = name,
        }
        // By this name linkers find it; programs look for the one with its version.
        let platform = &plan.package_of(target).platform;
        let unversioned = platform.shared_library(&target.name, None);
        let by_name = offered.shared.as_ref().filter(|_| offered.import.is_none());
        if let Some(name) = by_name.filter(|name| **name != unversioned) {
            let path = Path::new(&layout.libraries).join(unversioned);
            files.own(path, Content::Link(name.clone()));
        }
    }
    for library in libraries.keys() {
        headers::collect(plan, *library, &mut files)?;
    }
    let mut libraries: Vec<Offered> = libraries.into_values().collect();
    let installed: Vec<_> = libraries.iter().map(Offered::id).collect();
    for library in &mut libraries {
        library.libraries.retain(|id| installed.contains(id));
    }
    for library in &libraries {
        let path = format!("{}/pkgconfig/{}.pc", layout.libraries, library.name);
        files.text(path.into(), pkg_config::text(library, layout));
    }
    let root = &plan.package(PackageId::ROOT).manifest.package;
    if !libraries.is_empty() {
        let directory = format!("{}/cmake/{}", layout.libraries, *root.name);
        let path =
            |end: &str| PathBuf::from(format!("{directory}/{}Config{end}.cmake", *root.name));
        files.text(path(""), cmake::config(&libraries, layout));
        if !root.version.is_empty() {
            files.text(path("Version"), cmake::version(&root.version));
        }
    }
    Ok(Contents { files: files.0.into_values().collect(), notes })
}

/// The name of a shared library's file where programs look for it by another one, which is a link to it. Windows has no such
/// links.
fn versioned(plan: &Plan, target: &Target) -> Option<String> {
    let Library { package, index } = Library::of(target).filter(|_| is_shared(target))?;
    let package = plan.package(package);
    let version = package.manifest.libraries[index].shared.file_version.as_ref()?;
    let is_linked_to = package.platform.import_library(&target.name).is_none();
    is_linked_to.then(|| package.platform.shared_library(&target.name, Some(version)))
}

/// What others are told of the library that `id` is a form of.
fn offered(plan: &Plan, id: TargetId, notes: &mut Vec<String>) -> Offered {
    let target = plan.target(id);
    let package = plan.package_of(target);
    let lists = plan.compiled(target).map(|compiled| &compiled.lists);
    // What its libraries ask for they say themselves.
    let own = lists.into_iter().flat_map(|lists| &lists.linking.link_args);
    let own: Vec<&Template> = own.map(|argument| &argument.value).collect();
    let (link_args, local) = link_args::for_users(&own);
    if !local.is_empty() {
        notes.push(format!(
            "users of `{}` are not told of {}: that leads into the package",
            target.name,
            local.join(" ")
        ));
    }
    let modules = lists.into_iter().flat_map(|lists| &lists.linking.system);
    Offered {
        package: package.place.name.clone(),
        version: package.manifest.package.version.clone(),
        name: target.name.clone(),
        libraries: target
            .direct_libraries()
            .iter()
            .map(|&id| {
                let library = plan.target(id);
                (plan.package_of(library).place.name.clone(), library.name.clone())
            })
            .collect(),
        cxx: link_args::cxx(plan, target, &own),
        link_args,
        modules: modules.map(|module| module.value.clone()).collect(),
        defines: lists
            .into_iter()
            .flat_map(|lists| &lists.public_defines)
            .map(|define| define.value.clone())
            .collect(),
        ..Offered::default()
    }
}
