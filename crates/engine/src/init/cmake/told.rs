//! What a project's own variables and properties say, which the file API does not tell.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use larder_project::init::cmake_words;
use larder_trace::describe_io;

/// Runs at the end of the project's first directory, and writes what there is. CMake knows since 3.19 how to do that.
const TELL: &str = r#"
function(larder_tell directory)
  get_property(targets DIRECTORY "${directory}" PROPERTY BUILDSYSTEM_TARGETS)
  foreach(target IN LISTS targets)
    get_target_property(value "${target}" INTERFACE_INCLUDE_DIRECTORIES)
    if(value)
      file(APPEND "${LARDER_TOLD}" "includes ${target} ${value}\n")
    endif()
    get_target_property(value "${target}" INTERFACE_COMPILE_DEFINITIONS)
    if(value)
      file(APPEND "${LARDER_TOLD}" "defines ${target} ${value}\n")
    endif()
    set(links LINK_LIBRARIES)
    get_target_property(type "${target}" TYPE)
    if(type STREQUAL "INTERFACE_LIBRARY")
      set(links INTERFACE_LINK_LIBRARIES)
      file(APPEND "${LARDER_TOLD}" "interface ${target}\n")
    endif()
    get_target_property(value "${target}" ${links})
    foreach(library IN LISTS value)
      string(REGEX REPLACE "^\\$<BUILD_INTERFACE:(.*)>$" "\\1" library "${library}")
      if(TARGET "${library}")
        get_target_property(name "${library}" ALIASED_TARGET)
        if(NOT name)
          set(name "${library}")
        endif()
        file(APPEND "${LARDER_TOLD}" "link ${target} ${name}\n")
      endif()
    endforeach()
  endforeach()
  get_property(directories DIRECTORY "${directory}" PROPERTY SUBDIRECTORIES)
  foreach(directory IN LISTS directories)
    larder_tell("${directory}")
  endforeach()
endfunction()
set(LARDER_TOLD "${CMAKE_BINARY_DIR}/.larder/told")
file(WRITE "${LARDER_TOLD}" "")
larder_tell("${CMAKE_SOURCE_DIR}")
string(TOUPPER "${PROJECT_NAME}" LARDER_NAME)
foreach(name IN ITEMS PROJECT "${PROJECT_NAME}" "${LARDER_NAME}" PACKAGE)
  set(value "${${name}_VERSION}")
  if(value STREQUAL "" AND DEFINED ${name}_VERSION_MAJOR AND DEFINED ${name}_VERSION_MINOR)
    set(value "${${name}_VERSION_MAJOR}.${${name}_VERSION_MINOR}")
    if(NOT "${${name}_VERSION_PATCH}" STREQUAL "")
      string(APPEND value ".${${name}_VERSION_PATCH}")
    endif()
  endif()
  if(value MATCHES "^[0-9][^ ;]*$")
    file(APPEND "${LARDER_TOLD}" "version ${value}\n")
    break()
  endif()
endforeach()
"#;

const HOOK: &str = r#"
if(NOT CMAKE_VERSION VERSION_LESS 3.19 AND CMAKE_CURRENT_SOURCE_DIR STREQUAL CMAKE_SOURCE_DIR)
  cmake_language(DEFER ID larder CALL include "${CMAKE_BINARY_DIR}/.larder/tell.cmake")
endif()
"#;

/// What was told.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The include directories for users of each target.
    includes: BTreeMap<String, Vec<String>>,
    /// The macros for users of each target.
    defines: BTreeMap<String, Vec<String>>,
    /// Libraries of which nothing is built.
    pub interfaces: BTreeSet<String>,
    /// What each target is linked with, of those that the project declares.
    links: BTreeMap<String, Vec<String>>,
    /// The project's version, or nothing.
    pub version: String,
}

/// Has CMake tell, when it is run in `build`. Returns the argument that it needs for that.
///
/// # Errors
/// Files cannot be written.
pub fn ask(build: &Path) -> Result<String, String> {
    let directory = build.join(".larder");
    let hook = directory.join("hook.cmake");
    fs::create_dir_all(&directory)
        .and_then(|()| fs::write(directory.join("tell.cmake"), TELL))
        .and_then(|()| fs::write(&hook, HOOK))
        .map_err(|error| describe_io(&error))?;
    Ok(format!("-DCMAKE_PROJECT_INCLUDE={}", hook.display()))
}

impl Told {
    /// Reads what CMake told in `build`; nothing where it is too old, or the project did not let it.
    pub fn read(build: &Path) -> Option<Self> {
        let text = fs::read_to_string(build.join(".larder/told")).ok()?;
        let mut told = Self::default();
        for line in text.lines() {
            let Some((key, value)) = line.split_once(' ') else { continue };
            match (key, value.split_once(' ')) {
                ("version", _) => value.clone_into(&mut told.version),
                ("includes", Some((target, value))) => {
                    told.includes.insert(target.to_owned(), cmake_words(value));
                }
                ("defines", Some((target, value))) => {
                    told.defines.insert(target.to_owned(), macros(value));
                }
                ("interface", _) => _ = told.interfaces.insert(value.to_owned()),
                ("link", Some((target, library))) => {
                    told.links.entry(target.to_owned()).or_default().push(library.to_owned());
                }
                _ => {}
            }
        }
        Some(told)
    }

    /// The include directories for users of a target.
    pub fn public(&self, target: &str) -> &[String] {
        self.includes.get(target).map_or(&[], Vec::as_slice)
    }

    /// The macros for users of a target, without `-D`.
    pub fn defines(&self, target: &str) -> &[String] {
        self.defines.get(target).map_or(&[], Vec::as_slice)
    }

    /// What a target is linked with.
    pub fn links(&self, target: &str) -> impl Iterator<Item = &str> {
        self.links.get(target).into_iter().flatten().map(String::as_str)
    }
}

/// The macros that `COMPILE_DEFINITIONS` says, each of which may begin with `-D`.
fn macros(property: &str) -> Vec<String> {
    cmake_words(property).iter().map(|it| it.trim_start_matches("-D").to_owned()).collect()
}
