//! The programs of checks.

use std::fmt::Write;

/// The headers that are included where a check names none, as far as they are there.
const USUAL: &[&str] = &[
    "stddef.h",
    "stdio.h",
    "stdlib.h",
    "string.h",
    "inttypes.h",
    "stdint.h",
    "strings.h",
    "sys/types.h",
    "sys/stat.h",
    "unistd.h",
];

/// Marks a size in an object.
pub const SIZE_MARK: &str = "larder-size:";

/// How many digits a size has in an object.
pub const SIZE_DIGITS: u32 = 8;

/// Returns a program that includes `headers`; without any, the usual ones.
fn including(headers: Option<&[String]>) -> String {
    let mut program = String::new();
    match headers {
        Some(headers) => {
            for header in headers {
                _ = writeln!(program, "#include <{header}>");
            }
        }
        None => {
            program.push_str("#ifdef __has_include\n");
            for header in USUAL {
                _ = writeln!(
                    program,
                    "# if __has_include(<{header}>)\n#  include <{header}>\n# endif"
                );
            }
            program.push_str("#endif\n");
        }
    }
    program
}

/// Returns a program that compiles where `name` can be included after `headers`.
pub fn header(name: &str, headers: &[String]) -> String {
    including(Some(headers)) + &format!("#include <{name}>\n")
}

/// Returns a program that links where there is a function `name`: declared by `headers`, or by itself.
pub fn function(name: &str, headers: Option<&[String]>) -> String {
    match headers {
        // A macro of this name serves as well. The address is used in a way that no compiler can leave out.
        Some(headers) => {
            including(Some(headers))
                + &format!(
                    "int main(int count, char **arguments)\n{{\n    (void) arguments;\n#ifndef {name}\n    \
                     return ((int *) (&{name}))[count];\n#else\n    (void) count;\n    return 0;\n#endif\n}}\n"
                )
        }
        // The C library says in a macro which of its functions do nothing but fail.
        None => format!(
            "#define {name} larder_other_{name}\n#include <limits.h>\n#undef {name}\n\
             #if defined __stub_{name} || defined __stub___{name}\n#error it does nothing\n#endif\n\
             #ifdef __cplusplus\nextern \"C\"\n#endif\nchar {name}(void);\n\
             int main(void)\n{{\n    return {name}();\n}}\n"
        ),
    }
}

/// Returns a program that compiles where `name` is a type, and complete.
pub fn type_of(name: &str, headers: Option<&[String]>) -> String {
    including(headers)
        + &format!("typedef {name} larder_type;\nchar larder_size[sizeof(larder_type)];\n")
}

/// Returns a program whose object holds the size of the type `name`, after [`SIZE_MARK`].
pub fn size(name: &str, headers: Option<&[String]>) -> String {
    let mark = SIZE_MARK.chars().map(|c| format!("'{c}', "));
    let digits = (0..SIZE_DIGITS)
        .rev()
        .map(|place| format!("(char) ('0' + sizeof({name}) / {}u % 10), ", 10_u32.pow(place)));
    let values: String = mark.chain(digits).collect();
    including(headers) + &format!("char larder_size[] = {{ {values}0 }};\n")
}

/// Returns a program that compiles where `name` is declared or a macro.
pub fn declares(name: &str, headers: Option<&[String]>) -> String {
    including(headers)
        + &format!(
            "int main(void)\n{{\n#ifndef {name}\n    (void) {name};\n#endif\n    return 0;\n}}\n"
        )
}

/// Returns the size that is marked in an object.
pub fn size_in(object: &[u8]) -> Option<u64> {
    let at = memchr::memmem::find(object, SIZE_MARK.as_bytes())? + SIZE_MARK.len();
    let digits = object.get(at..at + SIZE_DIGITS as usize)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_from_objects() {
        assert_eq!(size_in(b"\x7fELF larder-size:00000016\0x"), Some(16));
        for object in [&b""[..], b"larder-size:", b"larder-size:0000001", b"larder-size:x0000001"] {
            assert_eq!(size_in(object), None);
        }
    }

    #[test]
    fn no_program_holds_a_mark_before_it_is_compiled() {
        assert!(!size("long", None).contains(SIZE_MARK));
    }
}
