//! Which parts of arguments are relative paths, as compilers and linkers read them.

use std::ops::Range;

/// Options that are followed by a path, in the same argument or in the next.
const JOINED: &[&str] = &[
    "-include-pch",
    "-include",
    "-imacros",
    "-isystem",
    "-cxx-isystem",
    "-iquote",
    "-idirafter",
    "-isysroot",
    "-iwithprefix",
    "-fplugin=",
    "-fprofile-use=",
    "-fprofile-instr-use=",
    "-fsanitize-ignorelist=",
    "-fsanitize-blacklist=",
    "-frandomize-layout-seed-file=",
    "-specs=",
    "-rpath-link",
    "-I",
    "-L",
    "-B",
    "-R",
    "@",
];

/// Options with two dashes, of which the linker also takes some with one. A path follows after `=` or in the next
/// argument.
const LONG: &[&str] = &[
    "include-directory",
    "include-directory-after",
    "embed-dir",
    "sysroot",
    "specs",
    "library-path",
    "script",
    "default-script",
    "version-script",
    "dynamic-list",
    "export-dynamic-symbol-list",
    "just-symbols",
    "retain-symbols-file",
    "rpath-link",
    "gcc-toolchain",
    "ld-path",
    "section-ordering-file",
    "symbol-ordering-file",
];

/// Options that begin as one of these does, and have no path.
const WORDS: &[&str] =
    &["-Bstatic", "-Bdynamic", "-Bsymbolic", "-Bgroup", "-Bshareable", "-Bno-symbolic", "-Rpass"];

/// Options whose value is the next argument, and no path.
const OTHERS: &[&str] = &[
    "-u",
    "-z",
    "-e",
    "-h",
    "-m",
    "-A",
    "-y",
    "-x",
    "-D",
    "-U",
    "-l",
    "-G",
    "-b",
    "-a",
    "-soname",
    "-framework",
    "-arch",
    "-target",
    "--param",
    "-rpath",
    "--rpath",
    "-dynamic-linker",
    "--dynamic-linker",
    "--defsym",
    "-mllvm",
    "--entry",
    "--undefined",
    "--soname",
    "-wrap",
    "--wrap",
    "-Xclang",
    "-Xassembler",
];

/// Ends of the names of files that are linked as they are.
const LINKED: &[&str] =
    &[".a", ".o", ".lo", ".so", ".ld", ".lds", ".def", ".dylib", ".obj", ".lib"];

/// Where the next word belongs to.
#[derive(Clone, Copy, PartialEq)]
enum Next {
    /// It stands for itself.
    Own,
    /// It is the path of the option before it.
    Path,
    /// It is another value of the option before it.
    Value,
}

/// Finds the relative paths in `arguments`: the argument's position, and where in it the path is. A word
/// that is no option is a path where it has a `/` in it or a name such as `libx.a`.
pub fn relative_paths<S: AsRef<str>>(arguments: &[S]) -> Vec<(usize, Range<usize>)> {
    let mut found = Vec::new();
    let mut next = Next::Own;
    for (at, argument) in arguments.iter().enumerate() {
        let argument = argument.as_ref();
        if matches!(argument, "-Xlinker" | "-Xpreprocessor") {
            continue;
        }
        let wrapped = ["-Wl,", "-Wp,"].iter().any(|wrapper| argument.starts_with(wrapper));
        let mut start = if wrapped { "-Wl,".len() } else { 0 };
        for word in argument[start..].split(if wrapped { ',' } else { '\0' }) {
            let path;
            (path, next) = path_in(word, next);
            if let Some(path) = path.filter(|path| is_relative(&word[path.clone()])) {
                found.push((at, start + path.start..start + path.end));
            }
            start += word.len() + 1;
        }
    }
    found
}

/// Whether the value of an option is the argument after it.
pub fn takes_next(word: &str) -> bool {
    path_in(word, Next::Own).1 != Next::Own
}

/// The path in a word, if there is one, and what the word after it is.
fn path_in(word: &str, what: Next) -> (Option<Range<usize>>, Next) {
    match what {
        Next::Path => return (Some(0..word.len()), Next::Own),
        Next::Value => return (None, Next::Own),
        Next::Own => {}
    }
    if OTHERS.contains(&word) {
        return (None, Next::Value);
    }
    if let Some(long) = word.strip_prefix('-').map(|word| word.strip_prefix('-').unwrap_or(word)) {
        let (name, value) = long.split_once('=').map_or((long, None), |(n, v)| (n, Some(v)));
        if LONG.contains(&name) {
            return match value {
                Some(value) => (Some(word.len() - value.len()..word.len()), Next::Own),
                None => (None, Next::Path),
            };
        }
    }
    if let Some(script) = word.strip_prefix("-T") {
        // Addresses of sections, not scripts.
        let address = ["text", "data", "bss", "rodata", "ldata"];
        return match script {
            "" => (None, Next::Path),
            _ if address.iter().any(|section| script.starts_with(section)) => (None, Next::Own),
            _ => (Some(2..word.len()), Next::Own),
        };
    }
    if WORDS.iter().any(|option| word.starts_with(option)) {
        return (None, Next::Own);
    }
    if let Some(option) = JOINED.iter().find(|option| word.starts_with(**option)) {
        return match word.len() == option.len() && !option.ends_with(['=', '@']) {
            true => (None, Next::Path),
            false => (Some(option.len()..word.len()), Next::Own),
        };
    }
    let linked = !word.starts_with('-')
        && (word.contains('/')
            || LINKED.iter().any(|end| word.ends_with(end))
            || word.contains(".so."));
    (linked.then_some(0..word.len()), Next::Own)
}

/// Whether a path starts where the tool runs: not at `/`, in the system's root (`=`), or where a variable says.
fn is_relative(path: &str) -> bool {
    !matches!(path, "" | "-") && !path.starts_with(['/', '=', '$', '{'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn paths(arguments: &str) -> String {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let found = relative_paths(&arguments).into_iter();
        found.map(|(at, range)| &arguments[at][range]).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn relative_paths_of_arguments() {
        for (arguments, expected) in [
            ("-Lvendor -lx -L b", "vendor b"),
            ("-L/usr/lib -L=lib -L$ORIGIN/x", ""),
            ("vendor/libx.a libx.a /usr/lib/liby.a libz.so.1", "vendor/libx.a libx.a libz.so.1"),
            ("-Wl,-T,script.ld -T s.ld -Ta.ld -Wl,-Ttext=0x10", "script.ld s.ld a.ld"),
            ("-Wl,--version-script=v.map,-z,now -Wl,--dynamic-list,d", "v.map d"),
            ("-Xlinker --version-script=v.map -Xlinker -T -Xlinker x", "v.map x"),
            ("-u main/x -z a/b -Wl,-soname,x.so -Wl,-rpath,lib/x", ""),
            ("-Ia -isystem b -isystemc -include d.h -iquote e", "a b c d.h e"),
            ("-DX=a/b.a -D Y=c/d -O2 -fuse-ld=gold", ""),
            ("--sysroot=s -specs=t @u -B v -fplugin=./w.so", "s t u v ./w.so"),
            ("-ffile-prefix-map=a=b -Wl,-R,v.sym", "v.sym"),
            ("-lx -l y/z -L", ""),
            ("-Wl,-Bstatic -lx -Wl,-Bsymbolic-functions -Rpass=inline -I-", ""),
        ] {
            assert_eq!(paths(arguments), expected, "{arguments}");
        }
    }
}
