//! Kinds of differences between a checkout and what was uploaded from another.

use std::fs;

use larder_testkit::files::{script, write};

use crate::{Checkout, archive};

/// Changes a checkout.
pub type Edit = fn(&mut Checkout);

/// By kind: what is done to a checkout, and each cause that is to be named then, with `…` for anything.
pub const KINDS: &[(&str, Edit, &[&str])] = &[
    ("nothing", |_| (), &[]),
    ("an argument that does not count", |it| it.replace("larder.toml", "-Wall", "-Wextra"), &[]),
    ("a source", |it| it.replace("src/main.c", "a()", "b()"), &["src/main.c changed"]),
    (
        "a source of a library",
        |it| it.file("src/util/a.c", "int a(void) { return 3; }\n"),
        &["src/util/a.c changed"],
    ),
    ("a header", |it| it.replace("include/util.h", "int b", "long b"), &["include/util.h changed"]),
    (
        "a header of a header",
        |it| it.replace("include/deep.h", "DEEP 1", "DEEP 2"),
        &["include/deep.h changed"],
    ),
    (
        "a header that is gone",
        |it| fs::remove_file(it.tree.join("include/deep.h")).unwrap(),
        &["include/deep.h changed"],
    ),
    (
        "a header found first",
        |it| it.file("early/util.h", "#define DEEP 1\n"),
        &["early/util.h is new"],
    ),
    (
        "a header beside the source",
        |it| it.file("src/util/util.h", "#define DEEP 1\n"),
        &["src/util/util.h is new"],
    ),
    (
        "a header that was asked for",
        |it| it.file("include/maybe.h", ""),
        &["include/maybe.h is new"],
    ),
    (
        "an argument",
        |it| it.replace("larder.toml", "\"-O1\"", "\"-O2\""),
        &["arguments changed from [\"-O1\",\"-DLEVEL=1\"] to [\"-O2\",\"-DLEVEL=1\"]"],
    ),
    (
        "a define",
        |it| it.replace("larder.toml", "LEVEL=1", "LEVEL=2"),
        &["arguments changed from …"],
    ),
    (
        "one more argument",
        |it| it.replace("larder.toml", "\"-O1\",", "\"-O1\", \"-g\","),
        &["arguments changed from …"],
    ),
    (
        "one more include directory",
        |it| it.replace("larder.toml", "\"early\", ", "\"early\", \"src\", "),
        &["includes changed from [\"early\",…", "includes changed from [\"<build>\",…"],
    ),
    (
        "include directories in another order",
        |it| it.replace("larder.toml", "\"early\", \"include\"", "\"include\", \"early\""),
        &["includes changed from [\"early\",…", "includes changed from [\"<build>\",…"],
    ),
    (
        "a wrapper as the compiler",
        |it| script(&it.tree.join("bin/cc"), "#!/bin/sh\nexec gcc \"$@\"\n"),
        &["cc driver changed", "cc gcc is new", "cc sh is new"],
    ),
    (
        "a part of the toolchain",
        |it| it.file("tools/part", "another\n"),
        &["cc more tools/part changed"],
    ),
    (
        "one more part of the toolchain",
        |it| it.replace("larder.toml", "\"tools/part\"", "\"tools/part\", \"./vend.c\""),
        &["cc more ./vend.c is new"],
    ),
    ("a variable that is passed", |it| it.channel = Some("nightly"), &["pass-env CHANNEL changed"]),
    ("a variable that is not set", |it| it.channel = None, &["pass-env CHANNEL changed"]),
    (
        "one more variable that is passed",
        |it| it.replace("larder.toml", "\"CHANNEL\",", "\"CHANNEL\", \"HOME\","),
        &["pass-env HOME is new"],
    ),
    (
        "a variable",
        |it| it.replace("larder.toml", "MODE = \"a\"", "MODE = \"b\""),
        &["env MODE changed from a to b"],
    ),
    (
        "one more variable",
        |it| it.replace("larder.toml", "MODE = \"a\"", "MODE = \"a\", MORE = \"c\""),
        &["env MORE is new"],
    ),
    (
        "one variable less",
        |it| it.replace("larder.toml", "MODE = \"a\", ", ""),
        &["env MODE is gone"],
    ),
    ("an input of a command", |it| it.file("data/table.txt", "2\n"), &["data/table.txt changed"]),
    ("a script", |it| it.replace("data/gen.sh", "echo", "printf"), &["data/gen.sh changed"]),
    (
        "one more input",
        |it| it.replace("larder.toml", "\"data/table.txt\",", "\"data/table.txt\", \"vend.c\","),
        &["vend.c is new"],
    ),
    (
        "one input less",
        |it| it.replace("larder.toml", "\"data/gen.sh\", \"data/tree\"", "\"data/gen.sh\""),
        &["data/tree is gone"],
    ),
    (
        "a file in a directory",
        |it| it.file("data/tree/sub/two.txt", "2\n"),
        &["data/tree sub/two.txt changed"],
    ),
    (
        "one more file in a directory",
        |it| it.file("data/tree/three.txt", "3\n"),
        &["data/tree three.txt is new"],
    ),
    (
        "a command",
        |it| it.replace("larder.toml", "\"{out}\"]", "\"{out}\", \"more\"]"),
        &["run changed from …"],
    ),
    (
        "a tool",
        |it| script(&it.tree.join("bin/shown"), "#!/bin/sh\necho  shown\n"),
        &["tool shown changed", "probe shown probe program changed"],
    ),
    (
        "one more tool",
        |it| it.replace("larder.toml", "[\"shown\"]\nsys", "[\"shown\", \"sed\"]\nsys"),
        &["tool sed is new"],
    ),
    (
        "a probe's answer",
        |it| script(&it.tree.join("bin/shown"), "#!/bin/sh\necho other\n"),
        &[
            "probe shown probe answer changed from shown (succeeded) to other (succeeded)",
            "tool shown changed",
            "probe shown probe program changed",
        ],
    ),
    (
        "one more probe",
        |it| {
            it.replace(
                "larder.toml",
                "[\"shown\", \"probe\"]",
                "[\"shown\", \"probe\"], [\"shown\", \"more\"]",
            )
        },
        &["probe shown more is new"],
    ),
    ("a file of the system", |it| write(&it.system, "other\n"), &["…/system.txt changed"]),
    (
        "another file of the system",
        |it| it.replace("larder.toml", "there/system.txt", "there/none.txt"),
        &["…/none.txt is new", "…/system.txt is gone"],
    ),
    (
        "an argument of a link",
        |it| it.replace("larder.toml", "-Wl,-O1", "-Wl,-O2"),
        &["arguments changed from …"],
    ),
    (
        "one more library",
        |it| it.replace("larder.toml", "[\"util\"]", "[\"util\", \"extra\"]"),
        &["libextra.a is new"],
    ),
    (
        "a library that is found first",
        |it| archive(&it.tree, "first/libvend.a"),
        &["first/libvend.a is new"],
    ),
    (
        "a library that is linked",
        |it| {
            it.file("vend.c", "int vend(void) { return 7; }\n");
            archive(&it.tree, "second/libvend.a");
        },
        &["second/libvend.a changed"],
    ),
    (
        "one source less",
        |it| fs::remove_file(it.tree.join("src/util/b.c")).unwrap(),
        &["obj/libutil/src/util/b.c.o is gone"],
    ),
    (
        "one source more",
        |it| it.file("src/util/c.c", "int c(void) { return 1; }\n"),
        &["never uploaded"],
    ),
    (
        "one more output",
        |it| it.replace("larder.toml", "[\"gen.h\"]", "[\"gen.h\", \"more.h\"]"),
        &["outputs changed from …"],
    ),
    (
        "another name of an output",
        |it| it.replace("larder.toml", "[\"gen.h\"]", "[\"genuine.h\"]"),
        &["never uploaded"],
    ),
    (
        "variables in another order",
        |it| it.replace("larder.toml", "\"CHANNEL\", \"NEVER_SET\"", "\"NEVER_SET\", \"CHANNEL\""),
        &["the order of inputs changed"],
    ),
    (
        "any platform",
        |it| {
            it.replace(
                "larder.toml",
                "name = \"demo\"",
                "name = \"demo\"\nplatform-independent = true",
            )
        },
        &[
            "platform is gone",
            "program changed",
            "tool shown changed",
            "probe shown probe program changed",
        ],
    ),
];
