//! Methods of what Meson itself brings: `meson`, machines, compilers.

use super::{
    run::Reader,
    syntax::Call,
    value::{Dependency, Value},
};

impl Reader<'_> {
    /// Returns what a method gives.
    pub(super) fn method(&mut self, of: &Value, call: &Call, arguments: &[Value]) -> Value {
        let source = self.root.join(&self.directory).to_string_lossy().into_owned();
        match (of, &*call.name) {
            (Value::Meson, "get_compiler") => Value::Compiler,
            (Value::Meson, "project_version") => Value::Text(self.version.clone()),
            (Value::Meson, "project_name") => Value::Text(self.project.clone()),
            (Value::Meson, "current_source_dir") => Value::Text(source),
            (Value::Meson, "source_root" | "project_source_root" | "global_source_root") => {
                Value::Text(self.root.to_string_lossy().into_owned())
            }
            (Value::Meson, "is_subproject" | "is_cross_build") => Value::Boolean(false),
            (Value::Meson, "get_option") => Value::Unknown,
            (Value::Machine, "system") => {
                Value::Text(std::env::consts::OS.replace("macos", "darwin"))
            }
            (Value::Machine, "cpu_family" | "cpu") => {
                Value::Text(std::env::consts::ARCH.to_owned())
            }
            (Value::Machine, "endian") => {
                Value::Text(if cfg!(target_endian = "big") { "big" } else { "little" }.to_owned())
            }
            (Value::Compiler, "find_library") => {
                let Some(name) = arguments.first().and_then(Value::text) else {
                    return Value::Unknown;
                };
                let required = call.named.iter().find(|(name, _)| name == "required").cloned();
                let required = required.is_none_or(|(_, it)| self.value(&it).holds() == Some(true));
                // The C library has these, or its parts.
                let usual = matches!(name, "m" | "dl" | "rt" | "pthread");
                Value::Dependency(Box::new(Dependency {
                    found: (required || usual).then_some(true),
                    name: name.to_owned(),
                    link_args: vec![format!("-l{name}")],
                    framework: crate::init::system::framework_library(name),
                    ..Dependency::default()
                }))
            }
            // Arguments for warnings and the like are left to the compiler that is there.
            (
                Value::Compiler,
                "get_supported_arguments"
                | "get_supported_link_arguments"
                | "first_supported_argument",
            ) => Value::List(Vec::new()),
            (Value::Text(text), "version_compare") => match arguments.first().and_then(Value::text)
            {
                Some(wanted) => compared(text, wanted).map_or(Value::Unknown, Value::Boolean),
                None => Value::Unknown,
            },
            _ => of.method(&call.name, arguments),
        }
    }
}

/// Whether a version is as wanted, such as `>=1.2`; `None` where that is not understood.
fn compared(version: &str, wanted: &str) -> Option<bool> {
    let at = wanted.find(|c: char| !"<>=!".contains(c))?;
    let (operator, wanted) = wanted.split_at(at);
    let numbers = |text: &str| -> Option<Vec<u64>> {
        text.trim().split('.').map(|part| part.parse().ok()).collect()
    };
    let order = numbers(version)?.cmp(&numbers(wanted)?);
    Some(match operator {
        ">=" => order.is_ge(),
        ">" => order.is_gt(),
        "<=" => order.is_le(),
        "<" => order.is_lt(),
        "=" | "==" | "" => order.is_eq(),
        "!=" => order.is_ne(),
        _ => return None,
    })
}
