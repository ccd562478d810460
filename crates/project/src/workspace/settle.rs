//! From manifests as they are written to plain ones: who chooses which options, and what holds then.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::{Package, Workspace};
use crate::{
    diagnostic::{Diagnostic, Diagnostics, suggest},
    manifest::{Document, OptionValue},
    setting::{BuiltFor, Choice, Choices, Facts, Platform, Setting},
    triple::Triple,
};

/// The values of a package's options.
type Values = BTreeMap<String, OptionValue>;

impl Workspace<Document> {
    /// Returns the workspace with the parts of its manifests that hold with `setting`.
    ///
    /// # Errors
    /// Options that are not there or cannot have the values that are chosen, and users that choose
    /// different values.
    pub fn settle(self, setting: &Setting) -> Result<Workspace, Diagnostics> {
        let mut errors = Vec::new();
        let wishes = self.wishes(&setting.choices, &mut errors);
        let mut options = self.options(&setting.choices, &[], &mut errors);
        errors.extend(self.no_profile(&setting.choices));
        if !errors.is_empty() {
            return Err(Diagnostics(errors));
        }
        for (number, chosen) in wishes {
            for (name, (value, _)) in chosen {
                options[number].insert(name, value);
            }
        }
        for (number, chosen) in self.chosen(&setting.choices) {
            // It has been checked.
            let declared = self.packages[number].manifest.options.get(&chosen.name);
            let value = declared.and_then(|declared| declared.parse(&chosen.value).ok());
            options[number].extend(value.map(|value| (chosen.name.clone(), value)));
        }
        let profiles = self.packages.first().map(|root| root.manifest.profiles.clone());
        let profiles = profiles.unwrap_or_default();
        let settled = |(package, options): (Arc<Package<Document>>, Values), side| {
            let Package { place, manifest, is_root, .. } =
                Arc::try_unwrap(package).unwrap_or_else(|shared| (*shared).clone());
            let cross = setting.cross.as_ref().filter(|_| side == BuiltFor::Target);
            let target = cross.map(|cross| cross.triple.clone());
            let platform = target.as_ref().map_or_else(Platform::default, Triple::platform);
            let facts = Facts {
                options,
                platform: platform.clone(),
                compiler: setting.compilers.of(side).get(&place.name).copied(),
                profile: setting.choices.profile.clone(),
                target,
            };
            let manifest = manifest.settle(&facts, &profiles);
            let place = Arc::new((*place).clone().built(&setting.choices, side));
            Arc::new(Package { place, manifest, is_root, platform })
        };
        let all: Vec<_> = self.packages.into_iter().zip(options).collect();
        let host = if setting.cross.is_some() { all.clone() } else { Vec::new() };
        let host = host.into_iter().map(|one| settled(one, BuiltFor::Host));
        let target = all.into_iter().map(|one| settled(one, BuiltFor::Target));
        let packages = target.chain(host).collect();
        Ok(Workspace {
            root: self.root,
            packages,
            checkouts: self.checkouts,
            overlays: self.overlays,
            cross: setting.cross.clone().map(Arc::new),
        })
    }

    /// Returns the workspace with all parts of its manifests, whether they hold or not.
    pub(crate) fn with_all_parts(self) -> Workspace {
        let package = |package: Arc<Package<Document>>| {
            let Package { place, manifest, is_root, platform } =
                Arc::try_unwrap(package).unwrap_or_else(|shared| (*shared).clone());
            Arc::new(Package { place, manifest: manifest.with_all_parts(), is_root, platform })
        };
        Workspace {
            root: self.root,
            packages: self.packages.into_iter().map(package).collect(),
            checkouts: self.checkouts,
            overlays: self.overlays,
            cross: None,
        }
    }

    /// Makes sure that the options in `choices` are there. Packages of the names `elsewhere` are known, and
    /// not read.
    ///
    /// # Errors
    /// Those that are not there, and values that they cannot have.
    pub(crate) fn check(&self, choices: &Choices, elsewhere: &[&str]) -> Result<(), Diagnostics> {
        let mut errors = Vec::new();
        self.options(choices, elsewhere, &mut errors);
        errors.extend(self.no_profile(choices));
        if errors.is_empty() { Ok(()) } else { Err(Diagnostics(errors)) }
    }

    /// The mistake of choosing a profile that is not there.
    fn no_profile(&self, choices: &Choices) -> Option<Diagnostic> {
        let (name, root) = choices.profile.as_deref().zip(self.packages.first())?;
        let profiles = &root.manifest.profiles;
        if profiles.names().any(|known| known == name) {
            return None;
        }
        let message =
            format!("--profile {name}: there is no such profile in `{}`", root.place.name);
        Some(Diagnostic::new(message).help(profiles.advice(name)))
    }

    /// The choices, each with the package that it is for, by number.
    fn chosen<'c>(&self, choices: &'c Choices) -> impl Iterator<Item = (usize, &'c Choice)> {
        choices.options.iter().filter_map(|choice| {
            let number = match &choice.package {
                Some(name) => self.package_named(name)?,
                None => 0,
            };
            Some((number, choice))
        })
    }

    /// The options of each package where nobody chooses, and what is wrong with the choices.
    fn options(
        &self,
        choices: &Choices,
        elsewhere: &[&str],
        errors: &mut Vec<Diagnostic>,
    ) -> Vec<Values> {
        for choice in &choices.options {
            let known = choice
                .package
                .as_deref()
                .is_none_or(|name| self.package_named(name).is_some() || elsewhere.contains(&name));
            if let (false, Some(package)) = (known, &choice.package) {
                let names = self.packages.iter().map(|package| package.place.name.as_str());
                let message = format!("--option {choice}: there is no package `{package}` here");
                errors.push(match suggest(package, names) {
                    Some(known) => {
                        Diagnostic::new(message).help(format!("did you mean `{known}`?"))
                    }
                    None => Diagnostic::new(message).help("packages are named in [dependencies]"),
                });
            }
        }
        for (number, choice) in self.chosen(choices) {
            let package = &self.packages[number];
            let options = &package.manifest.options;
            let wrong = match options.get(&choice.name) {
                None => Err(options.unknown(&choice.name)),
                Some(declared) => declared.parse(&choice.value).map(drop).map_err(|help| {
                    (format!("the option `{}` cannot be `{}`", choice.name, choice.value), help)
                }),
            };
            if let Err((message, help)) = wrong {
                let message = format!("--option {choice}: {message} in `{}`", package.place.name);
                errors.push(Diagnostic::new(message).help(help));
            }
        }
        self.packages.iter().map(|package| package.manifest.options.defaults()).collect()
    }

    /// The values that packages choose for their dependencies, by the number of the dependency, with who
    /// chooses them. What `choices` say needs no agreement.
    fn wishes(
        &self,
        choices: &Choices,
        errors: &mut Vec<Diagnostic>,
    ) -> HashMap<usize, BTreeMap<String, (OptionValue, String)>> {
        let mut wishes: HashMap<usize, BTreeMap<String, (OptionValue, String)>> = HashMap::new();
        for user in &self.packages {
            for (name, declared) in &user.manifest.dependencies {
                let Some(number) = self.package_named(name) else { continue };
                let options = &self.packages[number].manifest.options;
                for (option, value) in &declared.options {
                    let at = |message: String, help: String| {
                        let source = &user.manifest.source;
                        Diagnostic::new(message).help(help).at(source, value.span.clone())
                    };
                    let Some(known) = options.get(option) else {
                        let (message, help) = options.unknown(option);
                        errors.push(at(format!("{message} in `{name}`"), help));
                        continue;
                    };
                    if let Err(help) = known.check(value) {
                        let message =
                            format!("the option `{option}` of `{name}` cannot be `{}`", **value);
                        errors.push(at(message, help));
                        continue;
                    }
                    let user = &user.place.name;
                    let chosen = wishes.entry(number).or_default();
                    let overruled = || {
                        let mut chosen = self.chosen(choices);
                        chosen.any(|(of, choice)| of == number && choice.name == *option)
                    };
                    match chosen.get(option) {
                        Some((other, by)) if *other != **value && !overruled() => {
                            let message = format!(
                                "two packages want different `{option}` of `{name}`: `{by}` wants {other}, and `{user}` wants {}",
                                **value
                            );
                            let help = format!(
                                "a package is built once: let both say the same, or choose with --option {name}/{option}=VALUE"
                            );
                            errors.push(at(message, help));
                        }
                        _ => {
                            chosen.insert(option.clone(), (value.value.clone(), user.clone()));
                        }
                    }
                }
            }
        }
        wishes
    }
}
