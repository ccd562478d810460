//! Files for `pkg-config`.

use super::{Layout, collect::Offered};

/// Returns the text of a library's `.pc` file. Paths begin where it lies.
pub fn text(library: &Offered, layout: &Layout) -> String {
    let up = "/..".repeat(layout.libraries.split('/').count() + 1);
    let Offered { package, name, .. } = library;
    let version = if library.version.is_empty() { "0" } else { &library.version };
    let modules = library.modules.iter().map(ToString::to_string);
    let needs: Vec<String> =
        library.libraries.iter().map(|(_, name)| name.clone()).chain(modules).collect();
    let needs = needs.join(", ");
    let words = library.link_args.iter().flatten().map(|word| quoted(word));
    let besides: Vec<String> = words.chain(library.cxx.map(str::to_owned)).collect();
    let besides = besides.join(" ");
    // Who links a shared library needs nothing of what that needs.
    let private = if library.shared.is_some() { ".private" } else { "" };
    let defines: String =
        library.defines.iter().map(|define| format!(" -D{}", quoted(define))).collect();
    let mut text = format!(
        "prefix=${{pcfiledir}}{up}\nlibdir=${{prefix}}/{}\nincludedir=${{prefix}}/include\n\n\
         Name: {name}\nDescription: {name} of {package}\nVersion: {version}\n",
        layout.libraries
    );
    // Headers of what it needs may be in its own, also where that is linked privately.
    if !needs.is_empty() {
        text += &format!("Requires{private}: {needs}\n");
    }
    let has_file = library.shared.is_some() || library.archive.is_some();
    let own = has_file.then(|| format!("-L${{libdir}} -l{name}"));
    let lines = match private {
        "" => [("Libs", own.into_iter().chain(Some(besides)).collect::<Vec<_>>().join(" ")), NONE],
        _ => [("Libs", own.unwrap_or_default()), ("Libs.private", besides)],
    };
    for (key, value) in lines.iter().filter(|(_, value)| !value.trim().is_empty()) {
        text += &format!("{key}: {}\n", value.trim());
    }
    text + &format!("Cflags: -I${{includedir}}{defines}\n")
}

const NONE: (&str, String) = ("", String::new());

/// A word as `pkg-config` reads it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-+=./,:@%".contains(c);
    let escape = |c: char| if plain(c) { c.to_string() } else { format!("\\{c}") };
    word.chars().map(escape).collect()
}
