//! Package files for CMake's `find_package`.

use super::{Layout, collect::Offered};

/// Returns the text of the file that defines imported targets: `PACKAGE::LIBRARY`, the shared one where there
/// is one, and then `PACKAGE::LIBRARY-static` besides. Paths begin where it lies.
pub fn config(libraries: &[Offered], layout: &Layout) -> String {
    let up = "/..".repeat(layout.libraries.split('/').count() + 2);
    let mut text = format!(
        "get_filename_component(_larder_prefix \"${{CMAKE_CURRENT_LIST_DIR}}{up}\" ABSOLUTE)\n"
    );
    for library in libraries {
        let target = format!("{}::{}", library.package, library.name);
        match (&library.shared, &library.archive) {
            (Some(shared), None) => text += &imported(&target, "SHARED", shared, library, layout),
            (None, Some(archive)) => text += &imported(&target, "STATIC", archive, library, layout),
            (Some(shared), Some(archive)) => {
                text += &imported(&target, "SHARED", shared, library, layout);
                text += &imported(&format!("{target}-static"), "STATIC", archive, library, layout);
            }
            (None, None) => text += &imported(&target, "INTERFACE", "", library, layout),
        }
    }
    text + "unset(_larder_prefix)\n"
}

fn imported(target: &str, kind: &str, file: &str, library: &Offered, layout: &Layout) -> String {
    let own = library.libraries.iter().map(|(package, name)| format!("{package}::{name}"));
    // Who links a shared library needs nothing of the system that that needs.
    let besides = library.link_args.iter().filter(|_| kind != "SHARED");
    let (mut single, mut options, mut directories) = (Vec::new(), Vec::new(), Vec::new());
    for words in besides {
        let (first, text) = (&*words[0], words.join(" "));
        match first.strip_prefix("-L") {
            Some("") => directories.extend(words.get(1).cloned()),
            Some(directory) => directories.push(directory.to_owned()),
            None if words.len() == 1 || first == "-framework" => single.push(text),
            None => options.push(format!("SHELL:{text}")),
        }
    }
    let modules =
        library.modules.iter().map(|module| format!("PkgConfig::{}", variable(&module.name)));
    let libraries: Vec<String> = own.chain(single).chain(modules).collect();
    let mut text = format!("\nif(NOT TARGET {target})\n");
    if !library.modules.is_empty() {
        text += "  find_package(PkgConfig REQUIRED)\n";
    }
    for module in &library.modules {
        let wanted = module.to_string().replace(' ', "");
        let name = variable(&module.name);
        text += &format!("  pkg_check_modules({name} REQUIRED IMPORTED_TARGET \"{wanted}\")\n");
    }
    text += &format!(
        "  add_library({target} {kind} IMPORTED)\n  set_target_properties({target} PROPERTIES\n    \
         INTERFACE_INCLUDE_DIRECTORIES \"${{_larder_prefix}}/include\""
    );
    if kind != "INTERFACE" {
        let import = library.import.as_ref().filter(|_| kind == "SHARED");
        let directory = if import.is_some() { "bin" } else { &layout.libraries };
        text += &format!("\n    IMPORTED_LOCATION \"${{_larder_prefix}}/{directory}/{file}\"");
        if let Some(import) = import {
            let libraries = &layout.libraries;
            text += &format!("\n    IMPORTED_IMPLIB \"${{_larder_prefix}}/{libraries}/{import}\"");
        }
    }
    let languages: Vec<String> =
        library.cxx.filter(|_| kind == "STATIC").map(|_| "CXX".to_owned()).into_iter().collect();
    for (property, values) in [
        ("IMPORTED_LINK_INTERFACE_LANGUAGES", &languages),
        ("INTERFACE_LINK_LIBRARIES", &libraries),
        ("INTERFACE_LINK_OPTIONS", &options),
        ("INTERFACE_LINK_DIRECTORIES", &directories),
        ("INTERFACE_COMPILE_DEFINITIONS", &library.defines),
    ] {
        if !values.is_empty() {
            text += &format!("\n    {property} \"{}\"", escaped(&values.join(";")));
        }
    }
    text + ")\nendif()\n"
}

/// The name of what CMake knows of a module of `pkg-config`.
fn variable(module: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    format!("larder_{}", module.chars().map(plain).collect::<String>())
}

/// Returns the text of the file that says which versions it stands for: those with the same first number
/// that are not newer.
pub fn version(version: &str) -> String {
    let version = escaped(version);
    format!(
        "set(PACKAGE_VERSION \"{version}\")\n\
         string(REGEX MATCH \"^[0-9]+\" _larder_major \"${{PACKAGE_VERSION}}\")\n\
         if(PACKAGE_VERSION VERSION_LESS PACKAGE_FIND_VERSION OR\n   \
         NOT \"${{PACKAGE_FIND_VERSION_MAJOR}}\" STREQUAL \"${{_larder_major}}\" AND NOT \"${{PACKAGE_FIND_VERSION}}\" STREQUAL \"\")\n  \
         set(PACKAGE_VERSION_COMPATIBLE FALSE)\nelse()\n  set(PACKAGE_VERSION_COMPATIBLE TRUE)\n  \
         if(PACKAGE_VERSION VERSION_EQUAL PACKAGE_FIND_VERSION)\n    set(PACKAGE_VERSION_EXACT TRUE)\n  endif()\nendif()\n\
         unset(_larder_major)\n"
    )
}

/// A text within quotes.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$")
}
