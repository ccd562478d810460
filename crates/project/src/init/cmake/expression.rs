//! Generator expressions, as far as they are plain.

/// More expressions in each other than this mean nothing here.
const DEEPEST: usize = 20;

/// Returns what a text with generator expressions means for a build; `None` where only CMake can tell.
pub fn generated(text: &str) -> Option<String> {
    evaluated(text, 0)
}

fn evaluated(text: &str, depth: usize) -> Option<String> {
    let mut whole = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("$<") {
        whole += &rest[..at];
        let inner = &rest[at + 2..];
        let end = closing(inner)?;
        whole += &one(&inner[..end], depth)?;
        rest = &inner[end + 1..];
    }
    (depth < DEEPEST).then(|| whole + rest)
}

/// What the expression means whose inside is `inner`.
fn one(inner: &str, depth: usize) -> Option<String> {
    let name_end = separator(inner, ':').unwrap_or(inner.len());
    let name = evaluated(&inner[..name_end], depth + 1)?;
    let value = inner.get(name_end + 1..).unwrap_or_default();
    let below = |text: &str| evaluated(text, depth + 1);
    let truth = |text: &str| -> Option<bool> {
        match &*below(text)? {
            "1" => Some(true),
            "0" => Some(false),
            _ => None,
        }
    };
    let said = |holds: bool| Some(if holds { "1" } else { "0" }.to_owned());
    let os = match std::env::consts::OS {
        "macos" => "Darwin",
        _ => "Linux",
    };
    match &*name {
        "0" | "INSTALL_INTERFACE" => Some(String::new()),
        "1" | "BUILD_INTERFACE" | "LINK_ONLY" | "TARGET_NAME" => below(value),
        "BOOL" => {
            let value = below(value)?;
            said(super::condition::constant(&value).unwrap_or(true))
        }
        "NOT" => said(!truth(value)?),
        "AND" | "OR" => {
            let parts: Option<Vec<bool>> = parts(value).into_iter().map(truth).collect();
            let parts = parts?;
            said(if name == "AND" { parts.iter().all(|it| *it) } else { parts.contains(&true) })
        }
        "STREQUAL" => match parts(value)[..] {
            [one, other] => said(below(one)? == below(other)?),
            _ => None,
        },
        // As CMake is asked, too.
        "CONFIG" => said(value == "Release"),
        // Which of the others it is, nobody knows.
        "C_COMPILER_ID" | "CXX_COMPILER_ID" if value == "MSVC" => said(false),
        "PLATFORM_ID" => said(parts(value).contains(&os)),
        _ => None,
    }
}

/// Where an expression ends whose inside begins here.
fn closing(text: &str) -> Option<usize> {
    separator(text, '>')
}

/// Where `wanted` is first, outside of other expressions.
fn separator(text: &str, wanted: char) -> Option<usize> {
    let (mut depth, mut before) = (0_usize, ' ');
    for (at, c) in text.char_indices() {
        match c {
            _ if c == wanted && depth == 0 => return Some(at),
            '<' if before == '$' => depth += 1,
            '>' => depth = depth.saturating_sub(1),
            _ => {}
        }
        before = c;
    }
    None
}

fn parts(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = separator(rest, ',') {
        found.push(&rest[..at]);
        rest = &rest[at + 1..];
    }
    found.push(rest);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_expressions_are_understood() {
        for (text, wanted) in [
            ("a/b", Some("a/b")),
            ("x$<BUILD_INTERFACE:y/$<1:z>>w", Some("xy/zw")),
            ("$<INSTALL_INTERFACE:include>", Some("")),
            ("$<$<NOT:$<BOOL:OFF>>:A>", Some("A")),
            ("$<$<AND:1,$<STREQUAL:a,b>>:A>", Some("")),
            ("$<$<CONFIG:Debug>:A>", Some("")),
            ("$<$<COMPILE_LANGUAGE:CXX>:A>", None),
            ("$<BUILD_INTERFACE:x", None),
        ] {
            assert_eq!(generated(text).as_deref(), wanted, "{text}");
        }
        assert_eq!(generated(&"$<1:".repeat(1000)), None);
        let deep = format!("{}x{}", "$<1:".repeat(1000), ">".repeat(1000));
        assert_eq!(generated(&deep), None);
    }
}
