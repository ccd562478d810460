//! Why there is no solution, in PubGrub's words.

use larder_project::version::Answer;
use pubgrub::{
    DefaultStringReporter, DerivationTree, Derived, External, Map, ReportFormatter, Reporter, Term,
    VersionSet,
};

use super::{
    network::{Network, Reason},
    provider::{Node, Versions},
    search::Unsolvable,
};
use crate::catalogue::{CompilerId, VersionId};

/// Returns why a package version that cannot be chosen cannot: a phrase that follows its name.
pub(super) fn reason(
    network: &Network<'_>,
    id: VersionId,
    compiler: CompilerId,
    reason: Reason,
) -> String {
    match reason {
        Reason::Fault => {
            let fault = network.catalogue.get(id).fault.as_ref();
            let first = fault.and_then(|fault| fault.diagnostics.0.first());
            let said = first.map(|first| match (&first.place, first.line_column()) {
                (Some((source, _)), Some((line, column))) => {
                    format!(" ({}:{line}:{column}: {})", source.path.display(), first.message)
                }
                _ => format!(" ({})", first.message),
            });
            format!("cannot be read{}", said.unwrap_or_default())
        }
        Reason::OtherCompiler => {
            format!("is not for {}", network.catalogue.compiler(compiler).name)
        }
        Reason::NeedsItself => "needs itself".to_owned(),
    }
}

/// Returns why there is no solution: sentences, one a line.
pub(super) fn explain(
    network: &Network<'_>,
    target: VersionId,
    compiler: CompilerId,
    unsolvable: &Unsolvable,
) -> String {
    let formatter = Formatter { network, target: network.place(target), compiler, unsolvable };
    match &unsolvable.derivation {
        DerivationTree::External(external) => {
            let (cause, end) = (formatter.format_external(external), formatter.failed());
            format!("Because {cause}, {end}.")
        }
        derived => DefaultStringReporter::report_with_formatter(derived, &formatter),
    }
}

/// Returns the first line of what may have more.
pub(crate) fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

type Terms = Map<Node, Term<Versions>>;

struct Formatter<'f> {
    network: &'f Network<'f>,
    target: (u32, u32),
    compiler: CompilerId,
    unsolvable: &'f Unsolvable,
}

impl Formatter<'_> {
    fn failed(&self) -> String {
        format!("there is no solution for {}", self.one(self.target))
    }

    /// A package version.
    fn one(&self, (name, place): (u32, u32)) -> String {
        let version = &self.network.catalogue.get(self.network.id(name, place)).version;
        format!("{} {version}", self.network.name(name))
    }

    /// Some versions of a package, and whether that is more than one.
    fn some(&self, name: u32, versions: &Versions, and: &str) -> (String, bool) {
        let (package, count) = (self.network.name(name), self.network.count(name));
        let places: Vec<u32> = versions.places(count).collect();
        let text = |place: &u32| {
            self.network.catalogue.get(self.network.id(name, *place)).version.as_str()
        };
        // Oldest first, as people count.
        let mut texts: Vec<&str> = places.iter().rev().map(text).collect();
        let listed = match texts.len() {
            0 => return (format!("no version of {package}"), false),
            1 => return (format!("{package} {}", texts[0]), false),
            all if all == count as usize => return (format!("every version of {package}"), false),
            2..=4 => join(&mut texts, and),
            many => {
                let in_a_row = places.last().zip(places.first()).map(|(last, first)| last - first);
                match in_a_row {
                    Some(steps) if steps as usize == many - 1 => {
                        format!("{} to {}", texts[0], texts[many - 1])
                    }
                    _ => {
                        texts.truncate(3);
                        format!("{}, … ({many} versions)", texts.join(", "))
                    }
                }
            }
        };
        (format!("{package} {listed}"), true)
    }

    /// The versions of a circle but one.
    fn circle(&self, number: u32, but: Option<usize>) -> String {
        let circle = &self.unsolvable.circles[number as usize];
        let others = circle.iter().enumerate().filter(|(at, _)| Some(*at) != but);
        let mut names: Vec<String> = others.map(|(_, member)| self.one(*member)).collect();
        join(&mut names, "and")
    }

    /// A dependency: what stands in a manifest, where that is known.
    fn depends(&self, name: u32, versions: &Versions, on: u32, admitted: &Versions) -> String {
        let (users, many) = self.some(name, versions, "and");
        let needed = self.network.name(on);
        let of = versions.places(self.network.count(name)).filter_map(|place| {
            let version = self.network.catalogue.get(self.network.id(name, place));
            version.needs.get(needed).map(|required| required.to_string())
        });
        let mut required: Vec<String> = of.collect();
        required.sort();
        required.dedup();
        let required = match required.as_slice() {
            [] => return format!("{users} {} {}", verb(many), self.some(on, admitted, "or").0),
            [only] if only == "*" => String::new(),
            _ => format!(" {}", join(&mut required, "or")),
        };
        let depends = format!("{users} {} {needed}{required}", verb(many));
        if admitted.is_none() { format!("{depends}, and {}", self.missing(on)) } else { depends }
    }

    /// What there is of a package where no version satisfies a requirement.
    fn missing(&self, name: u32) -> String {
        let package = self.network.name(name);
        let all = self.network.catalogue.versions(package);
        let star = "=0.0.0".parse::<larder_project::version::Requirement>();
        let mut texts: Vec<String> = all
            .rev()
            .map(|id| {
                let text = &self.network.catalogue.get(id).version;
                let odd = star.as_ref().is_ok_and(|any| any.admits(text) == Answer::Incomparable);
                let note = if odd { " (which only \"*\" admits)" } else { "" };
                format!("{text}{note}")
            })
            .collect();
        match texts.len() {
            0 => format!("the set has no package {package}"),
            1..=4 => format!("the set has only {package} {}", join(&mut texts, "and")),
            many => {
                let (first, last) = (&texts[0], &texts[many - 1]);
                format!("the set has only {package} {first} to {last}")
            }
        }
    }
}

fn verb(many: bool) -> &'static str {
    if many { "depend on" } else { "depends on" }
}

/// `a, b and c`
fn join<T: AsRef<str> + ToString>(items: &mut Vec<T>, and: &str) -> String {
    let last = items.pop().map(|last| last.to_string()).unwrap_or_default();
    if items.is_empty() {
        return last;
    }
    let others: Vec<&str> = items.iter().map(AsRef::as_ref).collect();
    format!("{} {and} {last}", others.join(", "))
}

impl ReportFormatter<Node, Versions, Reason> for Formatter<'_> {
    type Output = String;

    fn format_external(&self, external: &External<Node, Versions, Reason>) -> String {
        match external {
            External::NotRoot(Node::Package(name), place) => {
                format!("{} is to be built", self.one((*name, *place)))
            }
            External::NoVersions(Node::Package(name), versions) => {
                let (some, _) = self.some(*name, versions, "or");
                format!("there is nothing of {some}")
            }
            External::FromDependencyOf(
                Node::Package(name),
                versions,
                Node::Package(on),
                admitted,
            ) => self.depends(*name, versions, *on, admitted),
            External::FromDependencyOf(Node::Package(_), _, Node::Circle(number), _) => {
                format!("{} need each other in a circle", self.circle(*number, None))
            }
            External::Custom(Node::Package(name), versions, why) => {
                let (users, _) = self.some(*name, versions, "and");
                let first = versions.places(self.network.count(*name)).next();
                let why = first.map(|place| {
                    reason(self.network, self.network.id(*name, place), self.compiler, *why)
                });
                format!("{users} {}", why.unwrap_or_default())
            }
            // Nothing depends on how a circle is kept open but the circle.
            External::NotRoot(Node::Circle(number), _)
            | External::NoVersions(Node::Circle(number), _)
            | External::FromDependencyOf(Node::Circle(number), ..)
            | External::Custom(Node::Circle(number), ..) => {
                format!("{} need each other in a circle", self.circle(*number, None))
            }
        }
    }

    fn format_terms(&self, terms: &Terms) -> String {
        let mut chosen = Vec::new();
        let mut needed = Vec::new();
        let mut sorted: Vec<_> = terms.iter().collect();
        sorted.sort_by_key(|(node, _)| **node);
        for (node, term) in sorted {
            match (node, term) {
                (Node::Package(name), Term::Positive(versions)) => chosen.push((*name, versions)),
                (Node::Package(name), Term::Negative(versions)) => {
                    needed.push(self.some(*name, versions, "or").0);
                }
                (Node::Circle(number), Term::Negative(open)) => {
                    let circle = &self.unsolvable.circles[*number as usize];
                    let places = open.places(circle.len() as u32);
                    let mut others: Vec<String> =
                        places.map(|place| self.one(circle[place as usize])).collect();
                    needed.push(format!("a choice without {}", join(&mut others, "or")));
                }
                (Node::Circle(number), Term::Positive(open)) => {
                    let circle = &self.unsolvable.circles[*number as usize];
                    let kept = open.places(circle.len() as u32).next();
                    needed.push(format!(
                        "no more of {}",
                        self.circle(*number, kept.map(|at| at as usize))
                    ));
                }
            }
        }
        let is_target = |(name, versions): &(u32, &Versions)| {
            *name == self.target.0 && versions.contains(&self.target.1)
        };
        match (chosen.as_slice(), needed.as_mut_slice()) {
            ([], []) => self.failed(),
            ([only], []) if is_target(only) => self.failed(),
            ([(name, versions)], []) => {
                format!("{} cannot be chosen", self.some(*name, versions, "and").0)
            }
            ([], _) => format!("{} must be chosen", join(&mut needed, "or")),
            ([(name, versions)], _) => {
                let (some, many) = self.some(*name, versions, "and");
                format!("{some} {} {}", verb(many), join(&mut needed, "or"))
            }
            (_, rest) => {
                let some = chosen.iter().map(|(name, versions)| self.some(*name, versions, "or").0);
                let mut some: Vec<String> = some.collect();
                let all = join(&mut some, "and");
                match rest.is_empty() {
                    true => format!("{all} do not go together"),
                    false => format!("{all} together depend on {}", join(&mut needed, "or")),
                }
            }
        }
    }

    fn explain_both_external(
        &self,
        external1: &External<Node, Versions, Reason>,
        external2: &External<Node, Versions, Reason>,
        terms: &Terms,
    ) -> String {
        let (one, other) = (self.format_external(external1), self.format_external(external2));
        self.because("Because", &[one, other], terms)
    }

    fn explain_both_ref(
        &self,
        ref_id1: usize,
        derived1: &Derived<Node, Versions, Reason>,
        ref_id2: usize,
        derived2: &Derived<Node, Versions, Reason>,
        terms: &Terms,
    ) -> String {
        let one = format!("{} ({ref_id1})", self.format_terms(&derived1.terms));
        let other = format!("{} ({ref_id2})", self.format_terms(&derived2.terms));
        self.because("Because", &[one, other], terms)
    }

    fn explain_ref_and_external(
        &self,
        ref_id: usize,
        derived: &Derived<Node, Versions, Reason>,
        external: &External<Node, Versions, Reason>,
        terms: &Terms,
    ) -> String {
        let one = format!("{} ({ref_id})", self.format_terms(&derived.terms));
        self.because("Because", &[one, self.format_external(external)], terms)
    }

    fn and_explain_external(
        &self,
        external: &External<Node, Versions, Reason>,
        terms: &Terms,
    ) -> String {
        self.because("And because", &[self.format_external(external)], terms)
    }

    fn and_explain_ref(
        &self,
        ref_id: usize,
        derived: &Derived<Node, Versions, Reason>,
        terms: &Terms,
    ) -> String {
        let one = format!("{} ({ref_id})", self.format_terms(&derived.terms));
        self.because("And because", &[one], terms)
    }

    fn and_explain_prior_and_external(
        &self,
        prior_external: &External<Node, Versions, Reason>,
        external: &External<Node, Versions, Reason>,
        terms: &Terms,
    ) -> String {
        let causes = [self.format_external(prior_external), self.format_external(external)];
        self.because("And because", &causes, terms)
    }
}

impl Formatter<'_> {
    fn because(&self, because: &str, causes: &[String], terms: &Terms) -> String {
        let mut causes = causes.to_vec();
        causes.dedup();
        format!("{because} {}, {}.", causes.join(" and "), self.format_terms(terms))
    }
}
