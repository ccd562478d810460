//! What is known of the headers of systems.

use std::path::Path;

/// Libraries of the system that whoever includes a header is linked with.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("bzlib.h", &["-lbz2"]),
    ("curl/", &["-lcurl"]),
    ("curses.h", &["-lncurses"]),
    ("dlfcn.h", &["-ldl"]),
    ("expat.h", &["-lexpat"]),
    ("ffi.h", &["-lffi"]),
    ("gmp.h", &["-lgmp"]),
    ("jpeglib.h", &["-ljpeg"]),
    ("libxml/", &["-lxml2"]),
    ("lz4.h", &["-llz4"]),
    ("lzma.h", &["-llzma"]),
    ("math.h", &["-lm"]),
    ("cmath", &["-lm"]),
    ("complex.h", &["-lm"]),
    ("ncurses.h", &["-lncurses"]),
    ("openssl/", &["-lssl", "-lcrypto"]),
    ("pcre.h", &["-lpcre"]),
    ("png.h", &["-lpng"]),
    ("pthread.h", &["-pthread"]),
    ("thread", &["-pthread"]),
    ("threads.h", &["-pthread"]),
    ("readline/", &["-lreadline"]),
    ("semaphore.h", &["-pthread"]),
    ("sqlite3.h", &["-lsqlite3"]),
    ("uuid/", &["-luuid"]),
    ("uv.h", &["-luv"]),
    ("zlib.h", &["-lz"]),
    ("zstd.h", &["-lzstd"]),
];

/// What whoever includes the header `path` of the system is linked with.
pub fn link_args(path: &str) -> &'static [&'static str] {
    let is = |known: &str| path == known || (known.ends_with('/') && path.starts_with(known));
    LIBRARIES.iter().find(|(known, _)| is(known)).map_or(&[], |(_, arguments)| arguments)
}

/// Frameworks that tests are written with: the beginnings of their headers, and their names.
const FRAMEWORKS: &[(&str, &str)] = &[
    ("gtest/", "googletest"),
    ("gmock/", "googletest"),
    ("benchmark/", "Google Benchmark"),
    ("catch2/", "Catch2"),
    ("catch.hpp", "Catch2"),
    ("doctest", "doctest"),
    ("boost/", "Boost"),
    ("check.h", "Check"),
    ("cmocka.h", "cmocka"),
    ("criterion/", "Criterion"),
    ("cppunit/", "CppUnit"),
    ("CUnit/", "CUnit"),
    ("unity.h", "Unity"),
    ("QtTest", "Qt"),
];

/// The framework that the header `path` belongs to.
pub fn framework(path: &str) -> Option<&'static str> {
    FRAMEWORKS.iter().find(|(start, _)| path.starts_with(start)).map(|(_, name)| *name)
}

/// Packages that CMake looks for, in large letters as in the names of its variables, and what whoever uses them is linked
/// with.
const PACKAGES: &[(&str, &[&str])] = &[
    ("BZIP2", &["-lbz2"]),
    ("CMAKE_DL_LIBS", &["-ldl"]),
    ("CMAKE_THREAD_LIBS_INIT", &["-pthread"]),
    ("CURL", &["-lcurl"]),
    ("CURSES", &["-lncurses"]),
    ("EXPAT", &["-lexpat"]),
    ("FREETYPE", &["-lfreetype"]),
    ("JPEG", &["-ljpeg"]),
    ("LIBLZMA", &["-llzma"]),
    ("LIBXML2", &["-lxml2"]),
    ("OPENSSL", &["-lssl", "-lcrypto"]),
    ("OPENSSL_CRYPTO", &["-lcrypto"]),
    ("OPENSSL_SSL", &["-lssl", "-lcrypto"]),
    ("PNG", &["-lpng"]),
    ("SQLITE3", &["-lsqlite3"]),
    ("THREADS", &["-pthread"]),
    ("TIFF", &["-ltiff"]),
    ("ZLIB", &["-lz"]),
    ("ZSTD", &["-lzstd"]),
];

/// What whoever uses a package that CMake looks for is linked with.
pub fn of_package(name: &str) -> Option<&'static [&'static str]> {
    let name = name.to_ascii_uppercase();
    PACKAGES.iter().find(|(known, _)| *known == name).map(|(_, arguments)| *arguments)
}

/// The framework that a library belongs to, by what CMake and Meson call it.
pub fn framework_library(name: &str) -> Option<&'static str> {
    Some(match name.split("::").next().unwrap_or(name) {
        "GTest" | "GMock" | "gtest" | "gtest_main" | "gmock" | "gmock_main" => "googletest",
        "benchmark" | "benchmark_main" => "Google Benchmark",
        "Catch2" | "Catch2WithMain" | "catch2" | "catch2-with-main" => "Catch2",
        "doctest" => "doctest",
        "Boost" | "boost" => "Boost",
        "check" | "Check" => "Check",
        "cmocka" => "cmocka",
        "criterion" => "Criterion",
        "cppunit" => "CppUnit",
        "cunit" => "CUnit",
        "unity" | "Unity" => "Unity",
        _ => return None,
    })
}

/// What to do where a framework for tests is needed and not there.
pub fn advice(framework: &str) -> String {
    let modules = match framework {
        "googletest" => "gtest_main",
        "Google Benchmark" => "benchmark_main",
        "Catch2" => "catch2-with-main",
        "Check" => "check",
        "cmocka" => "cmocka",
        "Criterion" => "criterion",
        "CppUnit" => "cppunit",
        "CUnit" => "cunit",
        _ => "",
    };
    match modules {
        "" => format!("it needs {framework}: make that a dependency"),
        module => format!(
            "it needs {framework}: add system = [\"{module}\"] where that is installed, or make it a dependency"
        ),
    }
}

const STANDARD: &[&str] = &[
    "alloca.h",
    "assert.h",
    "complex.h",
    "ctype.h",
    "dirent.h",
    "dlfcn.h",
    "elf.h",
    "endian.h",
    "err.h",
    "errno.h",
    "error.h",
    "fcntl.h",
    "features.h",
    "fenv.h",
    "float.h",
    "fnmatch.h",
    "getopt.h",
    "glob.h",
    "grp.h",
    "iconv.h",
    "inttypes.h",
    "iso646.h",
    "langinfo.h",
    "libgen.h",
    "limits.h",
    "link.h",
    "locale.h",
    "malloc.h",
    "math.h",
    "memory.h",
    "netdb.h",
    "poll.h",
    "pthread.h",
    "pwd.h",
    "regex.h",
    "sched.h",
    "search.h",
    "semaphore.h",
    "setjmp.h",
    "signal.h",
    "spawn.h",
    "stdalign.h",
    "stdarg.h",
    "stdatomic.h",
    "stdbool.h",
    "stddef.h",
    "stdint.h",
    "stdio.h",
    "stdlib.h",
    "stdnoreturn.h",
    "string.h",
    "strings.h",
    "syslog.h",
    "termios.h",
    "tgmath.h",
    "threads.h",
    "time.h",
    "uchar.h",
    "ucontext.h",
    "unistd.h",
    "utime.h",
    "wchar.h",
    "wctype.h",
];

/// Whether `<path>` is a header of C or of the system, whatever else is called that.
pub fn is_standard(path: &str) -> bool {
    let of_system = ["sys/", "arpa/", "asm/", "linux/", "net/", "netinet/"];
    STANDARD.contains(&path) || of_system.iter().any(|start| path.starts_with(start))
}

/// Whether this system has a header where compilers look for it without being told.
pub fn has(path: &str) -> bool {
    let places = ["/usr/include", "/usr/local/include"];
    !path.starts_with('/') && places.iter().any(|place| Path::new(place).join(path).is_file())
}
