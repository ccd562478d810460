//! What needs a header that another package makes is restored, wherever it was made.

use larder_testkit::project::Project;

/// A program that includes a header which a command of a dependency makes, in the directory that the dependency's
/// library names.
fn with_generated_header(includes: &str) -> Project {
    let project = Project::cached(
        "[dependencies]\ndep = { path = \"dep\" }\n\
         [[executable]]\nname = \"x\"\nsources = [\"x.c\", \"y.c\"]\nlibraries = [\"dep/d\"]\n",
    );
    project.file(
        "dep/larder.toml",
        format!(
            "[package]\nname = \"dep\"\n\
             [[command]]\nname = \"gen\"\ninputs = [\"v\"]\noutputs = [\"gen/\"]\n\
             run = [\"sh\", \"-c\", \"echo \\\"#define V $(cat v)\\\" > $1/v.h\", \"sh\", \"{{out}}\"]\n\
             [[library]]\nname = \"d\"\nsources = [\"d.c\"]\n{includes}\n"
        ),
    );
    project.file("dep/v", "3\n").file("dep/d.c", "#include \"v.h\"\nint d(void) { return V; }\n");
    project.file(
        "x.c",
        "#include <v.h>\nint d(void), y(void);\nint main(void) { return d() - V + y(); }\n",
    );
    project.file("y.c", "int y(void) { return 0; }\n");
    project
}

#[test]
fn objects_that_include_what_a_dependency_makes_are_restored() {
    for includes in ["includes = [\"{gen}\"]", "includes = [\"{build}/gen\"]\ninputs = [\"{gen}\"]"]
    {
        let project = with_generated_header(includes);
        project.build();
        project.forget();
        let built = project.build();
        assert!(built.built().is_empty(), "{includes}: {}", built.all);
        project.build().all("replayed");
        // Nor in another build directory, where all is the same.
        project.file("larder.toml", project.read("larder.toml") + "[profile.same]\n");
        let built = project.build_with(&["--profile", "same"]);
        assert!(built.built().is_empty(), "{includes}: {}", built.all);
        let checkout = project.checkout();
        let built = checkout.build();
        assert!(built.built().is_empty(), "{includes}: {}", built.all);
        // One that is made here after all finds the header that it needs.
        checkout.file("x.c", checkout.read("x.c") + "int more;\n");
        checkout.forget();
        assert_eq!(checkout.build().built(), ["obj/x/x.c.o", "x"]);
        // What it says still counts.
        checkout.file("dep/v", "4\n");
        let built = checkout.build();
        assert!(built.built().contains(&"obj/x/x.c.o"), "{}", built.all);
    }
}
