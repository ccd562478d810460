//! The sources of examples that are one package.

use super::{CURL, FMT, Source, debian, krate};

pub(super) const SOURCES: &[Source] = &[
    Source {
        example: "lua",
        origin: krate("lua-src", "546.0.2"),
        into: "",
        copies: &[("lua-5.4.6", "")],
    },
    // lua-src leaves out the interpreter; this crate carries it, of the same release.
    Source {
        example: "lua",
        origin: krate("rlua-lua54-sys", "0.1.6"),
        into: "",
        copies: &[("lua-5.4.6/src/lua.c", "lua.c")],
    },
    // The last release whose crate carries zlib's own tests.
    Source {
        example: "zlib",
        origin: krate("libz-sys", "1.1.16"),
        into: "",
        copies: &[("src/zlib/*", ""), ("src/zlib/test", "test")],
    },
    Source {
        example: "sqlite",
        origin: krate("libsqlite3-sys", "0.33.0"),
        into: "",
        copies: &[("sqlite3", "")],
    },
    // libsqlite3-sys leaves out the shell; this crate carries it, of the same release.
    Source {
        example: "sqlite",
        origin: krate("sqlite3-src", "0.7.1"),
        into: "",
        copies: &[("source/shell.c", "shell.c")],
    },
    Source {
        example: "zstd",
        origin: krate("zstd-sys", "2.1.2"),
        into: "",
        copies: &[("zstd/lib", ""), ("zstd/LICENSE", "LICENSE")],
    },
    Source {
        example: "bzip2",
        origin: krate("bzip2-sys", "0.1.13"),
        into: "",
        copies: &[("bzip2-1.0.8", "")],
    },
    Source {
        example: "lz4",
        origin: krate("lz4-sys", "1.11.1"),
        into: "",
        copies: &[("liblz4/lib/*", "lib"), ("liblz4/programs/*", "programs")],
    },
    Source {
        example: "blake3",
        origin: krate("blake3", "1.8.7"),
        into: "",
        copies: &[("c/*", "")],
    },
    Source {
        example: "esaxx",
        origin: krate("esaxx-rs", "0.1.10"),
        into: "",
        copies: &[("src", ""), ("LICENSE", "LICENSE")],
    },
    Source {
        example: "pigz",
        origin: debian(
            "p/pigz/pigz_2.8.orig.tar.xz",
            "bec34f9d61e28b9b069da9efd53e73d22cd207a4798ed664832dc9b17aa486aa",
        ),
        into: "",
        copies: &[("", "")],
    },
    Source {
        example: "googletest",
        origin: debian(
            "g/googletest/googletest_1.12.1.orig.tar.gz",
            "81964fe578e9bd7c94dfdb09c8e4d6e6759e19967e397dbea48d1c10e45d0df2",
        ),
        into: "",
        copies: &[
            ("googletest", "googletest"),
            ("googlemock", "googlemock"),
            ("LICENSE", "LICENSE"),
        ],
    },
    Source {
        example: "leveldb",
        origin: debian(
            "l/leveldb/leveldb_1.23.orig.tar.gz",
            "9a37f8a6174f09bd622bc723b55881dc541cd50747cbd08831c2a82d620f6d76",
        ),
        into: "",
        copies: &[("", "")],
    },
    Source { example: "fmt", origin: FMT, into: "", copies: &[("", "")] },
    Source {
        example: "jq",
        origin: debian(
            "j/jq/jq_1.6.orig.tar.gz",
            "3ba940b97571c866923f0409678033d33b5a98758dfc174fad8397ed908bc4d9",
        ),
        into: "",
        copies: &[("src", "src"), ("tests", "tests"), ("COPYING", "COPYING")],
    },
    // jq brings it as a submodule, where it has no manifest of ours.
    Source {
        example: "jq",
        origin: debian(
            "libo/libonig/libonig_6.9.8.orig.tar.gz",
            "26372720bab6733c869a9eb69377f73971138dc5e3eff4a81f5ba8aea5435fb2",
        ),
        into: "",
        copies: &[("", "modules/oniguruma")],
    },
    Source {
        example: "htop",
        origin: debian(
            "h/htop/htop_3.2.2.orig.tar.gz",
            "3829c742a835a0426db41bb039d1b976420c21ec65e93b35cd9bfd2d57f44ac8",
        ),
        into: "",
        copies: &[("", "")],
    },
    Source {
        example: "redis",
        origin: debian(
            "r/redis/redis_7.0.15.orig.tar.gz",
            "4b1dc4ee6d622a09fff9c6777191209750fb5e5a725ef78ea012d6eef4c22982",
        ),
        into: "",
        copies: &[
            ("src", "src"),
            ("deps/Makefile", "deps/Makefile"),
            ("deps/hiredis", "deps/hiredis"),
            ("deps/linenoise", "deps/linenoise"),
            ("deps/lua", "deps/lua"),
            ("deps/hdr_histogram", "deps/hdr_histogram"),
            ("COPYING", "COPYING"),
        ],
    },
    Source {
        example: "curl",
        origin: CURL,
        into: "",
        copies: &[
            ("include", "include"),
            ("lib", "lib"),
            ("src", "src"),
            ("tests/unit", "tests/unit"),
            ("tests/libtest", "tests/libtest"),
            ("libcurl.pc.in", "libcurl.pc.in"),
            ("COPYING", "COPYING"),
        ],
    },
];
