//! The libraries of the system: of this machine, or of the target. `pkg-config` of this machine is never asked
//! for those of another, unless it is told where they are.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
};

use larder_project::{manifest::Module, setting::Cross};

use super::{
    Tools, call,
    find::{ToolError, on_path},
    pkg_config::{self, PkgConfig, Uses},
    program::Program,
};
use crate::environment::Environment;

/// The program for the libraries of this machine.
const USUAL: &str = "pkg-config";

/// The variables that say where libraries are described, and what stands for `/`.
const LIBDIR: &str = "PKG_CONFIG_LIBDIR";
const SYSROOT: &str = "PKG_CONFIG_SYSROOT_DIR";

impl Tools<'_> {
    /// What the users of a library of the system are given, as `pkg-config` says, or what `PKG_CONFIG` names.
    ///
    /// # Errors
    /// There is no such library, or nobody to ask.
    pub fn system(&mut self, module: &Module) -> Result<Arc<Uses>, ToolError> {
        if let Some(known) = self.modules.get(module) {
            return Ok(known.clone());
        }
        let asked = self.flags.pkg_config();
        let environment = self.pkg_config_environment();
        let (name, named_by) = match (asked.and_then(|asked| asked.words.first()), &self.cross) {
            (Some(name), _) => (name.clone(), asked.map(|asked| asked.read_from)),
            (None, Some(cross)) => (self.pkg_config_for(cross, &environment)?, None),
            (None, None) => (USUAL.to_owned(), None),
        };
        let path = match name.contains('/') {
            true => self.root.join(name).to_string_lossy().into_owned(),
            false => name,
        };
        let found = Program::find(&path, pkg_config::VARIABLE, self.index, &self.environment);
        let program = found.map_err(|error| match (error, named_by, &self.cross) {
            (ToolError::NotFound { name, where_, .. }, Some(variable), _) => {
                ToolError::NotAsNamed { name, where_, variable }
            }
            (ToolError::NotFound { name, where_, .. }, None, Some(cross)) => {
                let triple = cross.triple.to_string();
                ToolError::NotForTarget { name, where_, key: USUAL, triple }
            }
            (ToolError::NotFound { .. }, None, None) => ToolError::NoPkgConfig,
            (error, ..) => error,
        })?;
        let asker = PkgConfig {
            path: &program.path,
            arguments: asked.map_or(&[][..], |asked| asked.arguments()),
            trace: &program.trace,
            root: &self.root,
            environment: &environment,
        };
        let uses = match asker.remembered(module, self.index) {
            Some(uses) => uses,
            None => {
                let places = asker.named_directories();
                let mut visible: Vec<&Path> = places.iter().map(PathBuf::as_path).collect();
                visible.push(&program.path);
                self.confined(&visible, None, || asker.ask(module, self.index))?
            }
        };
        let uses = Arc::new(uses);
        self.modules.insert(module.clone(), uses.clone());
        Ok(uses)
    }

    /// The program that knows the libraries of the target: that which is declared, one with the usual name, or
    /// that of this machine where it is told where to look.
    fn pkg_config_for(
        &self,
        cross: &Cross,
        environment: &Environment,
    ) -> Result<String, ToolError> {
        if let Some(name) = &cross.toolchain.pkg_config {
            return Ok(name.clone());
        }
        let prefixes = cross.triple.prefixes().into_iter();
        let names: Vec<String> = prefixes.map(|prefix| format!("{prefix}-{USUAL}")).collect();
        if let Some(name) = names.iter().find(|name| on_path(name, &self.environment).is_some()) {
            return Ok(name.clone());
        }
        if environment.get(LIBDIR).is_some_and(|directories| !directories.is_empty()) {
            return Ok(USUAL.to_owned());
        }
        let triple = cross.triple.to_string();
        Err(ToolError::NoPkgConfigForTarget { triple, tried: call::listed(&names) })
    }

    /// The variables that `pkg-config` goes by: those that are set win over what is declared of the target.
    fn pkg_config_environment(&self) -> Environment {
        let mut set: Vec<(OsString, OsString)> = Vec::new();
        let own = self.environment.iter();
        set.extend(own.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let Some(cross) = &self.cross else { return set.into_iter().collect() };
        let rooted = |path: &str| self.root.join(path);
        let sysroot = cross.toolchain.sysroot.as_deref().map(rooted);
        let declared = cross.toolchain.pkg_config_libdir.as_ref();
        let directories: Vec<PathBuf> = match (declared, &sysroot) {
            (Some(directories), _) => directories.iter().map(|path| rooted(path)).collect(),
            (None, Some(sysroot)) => {
                let below = |path: String| sysroot.join(path);
                let prefixes = cross.triple.prefixes().into_iter().rev();
                let of_triple = prefixes.map(|prefix| format!("usr/lib/{prefix}/pkgconfig"));
                let of_all = ["usr/lib/pkgconfig", "usr/share/pkgconfig"].map(str::to_owned);
                of_triple.chain(of_all).map(below).collect()
            }
            (None, None) => Vec::new(),
        };
        let mut add = |name: &str, value: OsString| {
            if self.environment.get(name).is_none() && !value.is_empty() {
                set.push((name.into(), value));
            }
        };
        // A directory with a `:` in its name cannot be said.
        add(LIBDIR, env::join_paths(&directories).unwrap_or_default());
        add(SYSROOT, sysroot.map(PathBuf::into_os_string).unwrap_or_default());
        set.into_iter().collect()
    }
}
