//! How sources are assembled that no compiler takes.

use larder_project::{
    diagnostic::Diagnostic,
    path::PortablePath,
    plan::{Language, Objects},
    workspace::Package,
};
use larder_trace::BuildTrace;

use super::{Maker, compile::without_slash, said::Said};
use crate::{
    action::{Piece, text},
    builds::{Compile, Dialect, SearchPath, ToolUse, TracedArgument},
    toolchain::Role,
};

impl Maker<'_> {
    /// How sources for the assembler of `[toolchain]` are assembled, with `own` arguments of some of them. It gets
    /// macros, include directories and the arguments that are for assembly.
    pub(super) fn assemble(
        &mut self,
        package: &Package,
        objects: &Objects,
        own: &[String],
    ) -> Option<Compile> {
        let (toolchain, directory) = (&package.manifest.toolchain, &package.place.directory);
        let words = toolchain.asm.as_ref()?;
        let wrong = |message: String| {
            Diagnostic::new(message).at(&package.manifest.source, words.span.clone())
        };
        let found = self.tools_of(package).assembler(toolchain, directory);
        let assembler = self.check(found.map_err(|error| wrong(error.to_string())))?;
        let dialect = assembler.dialect;
        let given = [objects.arguments.of(Language::Asm), own].concat();
        let said = self.filled_in(package, objects, &given);
        let words_after = words.iter().skip(1).chain(&given);
        let names_format = words_after.clone().any(|word| word.starts_with("-f"));
        let mut trace_args = Vec::new();
        if dialect == Dialect::Nasm && !names_format {
            let (compiler, _) = self.compiler(package, Role::Cc, &[])?;
            let triple = compiler.triple.as_deref().unwrap_or_default();
            let Some(format) = format_of(triple) else {
                let message = format!("`{}` makes no objects for `{triple}`", words[0]);
                let help = "have a condition leave its sources out there, or say the format: asm = [\"nasm\", \"-f\", \"elf64\"]";
                self.errors.push(wrong(message).help(help));
                return None;
            };
            trace_args.push(TracedArgument::from(format!("-f{format}").as_str()));
        }
        trace_args.extend(words.iter().skip(1).map(|word| TracedArgument::from(word.as_str())));
        let debug =
            words_after.clone().any(|word| word.starts_with("-g") || word.starts_with("-F"));
        let traced = |said: Said| TracedArgument { argument: said.argument, traced: said.traced };
        trace_args.extend(said.into_iter().map(traced));
        let [includes, system] = [&objects.includes, &objects.system_includes].map(|directories| {
            let portable = |directory| self.portable(package, directory);
            directories.iter().map(portable).collect::<Vec<PortablePath>>()
        });
        let mut weak_args = Vec::new();
        if dialect == Dialect::GnuAs {
            let maps = self.path_maps(package);
            weak_args.extend(maps.into_iter().flat_map(|map| [text("--debug-prefix-map"), map]));
        }
        let include = |directory: &PortablePath| {
            vec![Piece::Text("-I".to_owned()), Piece::Path(directory.clone())]
        };
        weak_args.extend(includes.iter().chain(&system).map(include));
        let mut depends_on = self
            .made_by("object", package, assembler.program.trace.clone())
            .mix(BuildTrace::text("output", objects.directory.as_str()));
        if dialect == Dialect::Nasm && debug {
            // NASM writes the directory that it runs in into debug information, and no argument changes that.
            depends_on = depends_on.mix(BuildTrace::text("directory", directory.to_string_lossy()));
        }
        for (name, directories) in [("includes", &includes), ("system-includes", &system)] {
            if !directories.is_empty() {
                let names: Vec<&str> = directories.iter().map(without_slash).collect();
                depends_on = depends_on.mix(BuildTrace::list(name, &names));
            }
        }
        let own: Vec<PortablePath> = [includes, system].concat();
        // What is included is looked for where the assembler runs, then in these.
        let directories = [""].into_iter().chain(own.iter().map(without_slash)).map(str::to_owned);
        let directories = directories.collect();
        let tool = ToolUse::new(assembler.program.path.clone(), &assembler.program.trace);
        let mut compile = Compile::new(tool, dialect, weak_args, trace_args, depends_on);
        compile.search = SearchPath { own, directories, ..SearchPath::default() };
        Some(compile)
    }
}

/// The format of objects for a compiler's target, as NASM calls it.
fn format_of(triple: &str) -> Option<&'static str> {
    let (arch, rest) = triple.split_once('-')?;
    let is_64 = match arch {
        "x86_64" | "amd64" => !rest.ends_with("x32"),
        "i386" | "i486" | "i586" | "i686" => false,
        _ => return None,
    };
    let among = |names: &[&str]| names.iter().any(|name| rest.contains(name));
    Some(match (is_64, arch.starts_with('i')) {
        (true, _) if among(&["mingw", "windows", "cygwin"]) => "win64",
        (true, _) if among(&["darwin", "apple"]) => "macho64",
        (true, _) => "elf64",
        (false, false) => "elfx32",
        (false, true) if among(&["mingw", "windows", "cygwin"]) => "win32",
        (false, true) if among(&["darwin", "apple"]) => "macho32",
        (false, true) => "elf32",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_of_objects() {
        for (triple, format) in [
            ("x86_64-linux-gnu", Some("elf64")),
            ("x86_64-linux-gnux32", Some("elfx32")),
            ("x86_64-pc-windows-msvc", Some("win64")),
            ("x86_64-w64-mingw32", Some("win64")),
            ("x86_64-apple-darwin23", Some("macho64")),
            ("x86_64-unknown-freebsd14", Some("elf64")),
            ("i686-linux-gnu", Some("elf32")),
            ("i686-w64-mingw32", Some("win32")),
            ("aarch64-linux-gnu", None),
            ("", None),
        ] {
            assert_eq!(format_of(triple), format, "{triple}");
        }
    }
}
