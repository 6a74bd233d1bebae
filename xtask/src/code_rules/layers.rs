//! The layers of the client's library. Each module belongs to one layer. Each layer may import only certain layers,
//! and some layers must be pure.
//!
//! An import through a re-export counts as an import of the module that defines the name. Macros are not expanded, so
//! the paths that a macro creates are not checked.

use super::modules::ModuleTree;
use super::source::SourceFile;
use super::{Violation, purity};
use Layer::{
    Analysis, Capture, Engine, Event, Explanations, Facts, Model, Net, Plan, Protocol, Report,
};

/// The source directory of the client.
pub(super) const SRC: &str = "crates/rtt-client/src/";

/// The source directory of the client's binary. The binary is a separate crate, so the compiler allows it only the
/// library's public names. An attribute `#[path]` can circumvent this limit. The check reports such
/// an attribute.
const BINARY: &str = "crates/rtt-client/src/bin/";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layer {
    Model,
    /// The files `protocol/registry.rs`, `protocol/*/facts.rs` and `protocol/*/services.rs`.
    Facts,
    Plan,
    Analysis,
    Capture,
    /// The pure hooks of the protocols: [`EXPLANATION_LISTS`] and [`EXPLANATION_MODULES`].
    Explanations,
    Event,
    Report,
    Net,
    /// All other files in `protocol/`.
    Protocol,
    Engine,
}

/// The lists of the pure hooks of all protocols: `protocol/explanations.rs` and `protocol/dissectors.rs`.
const EXPLANATION_LISTS: [&str; 2] = ["explanations", "dissectors"];

/// The modules with the pure hooks in the folder of a protocol: `protocol/*/explain.rs` and `protocol/*/packets.rs`.
const EXPLANATION_MODULES: [&str; 2] = ["explain", "packets"];

impl Layer {
    const ALL: [Self; 11] =
        [Model, Facts, Plan, Analysis, Capture, Explanations, Event, Report, Net, Protocol, Engine];

    /// The layer of a module. The crate root and unknown modules have none.
    fn of_module(module: &[String]) -> Option<Self> {
        let names: Vec<&str> = module.iter().map(String::as_str).collect();
        match names[..] {
            ["protocol", "registry", ..] | ["protocol", _, "facts" | "services", ..] => Some(Facts),
            ["protocol", list, ..] if EXPLANATION_LISTS.contains(&list) => Some(Explanations),
            ["protocol", _, module, ..] if EXPLANATION_MODULES.contains(&module) => {
                Some(Explanations)
            }
            // The name of Facts and the name of Explanations contain a space, so no module has these names.
            [name, ..] => Self::ALL.into_iter().find(|layer| layer.name() == name),
            [] => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Model => "model",
            Facts => "protocol facts",
            Plan => "plan",
            Analysis => "analysis",
            Capture => "capture",
            Explanations => "protocol explanations",
            Event => "event",
            Report => "report",
            Net => "net",
            Protocol => "protocol",
            Engine => "engine",
        }
    }

    /// Whether this layer must not do I/O or read a clock.
    fn is_pure(self) -> bool {
        !matches!(self, Net | Protocol | Engine)
    }

    /// The other layers that this layer may import.
    fn may_import(self) -> &'static [Self] {
        match self {
            Model => &[Facts],
            Facts => &[Model],
            Plan => &[Model, Facts],
            Analysis => &[Model, Plan, Facts, Explanations],
            Capture => &[Model, Facts, Explanations],
            Explanations => &[Model, Facts, Plan, Analysis, Capture],
            Net => &[Model, Plan, Facts, Analysis],
            Event => &[Model, Plan, Analysis, Capture, Facts],
            Report => &[Model, Plan, Analysis, Capture, Event, Facts],
            Protocol => &[Model, Plan, Net, Facts, Analysis, Explanations],
            Engine => &[Model, Facts, Plan, Analysis, Capture, Explanations, Event, Net, Protocol],
        }
    }

    /// The text of the rule for the imports of this layer.
    fn rule(self) -> String {
        let others: Vec<&str> = self.may_import().iter().map(|layer| layer.name()).collect();
        format!("{} may import only {}", self.name(), others.join(", "))
    }
}

/// Checks the layers of the client.
pub(super) fn check(sources: &[SourceFile]) -> Vec<Violation> {
    let tree = ModuleTree::new(sources, SRC);
    let mut violations = Vec::new();
    for (path, module) in &tree.modules {
        // The crate root declares and re-exports modules of all layers, so it has no rule.
        if path.is_empty() {
            continue;
        }
        let source = module.source;
        let violation = |line: Option<usize>, found: String, rule: String| Violation {
            file: source.path.clone(),
            line,
            found,
            rule,
        };
        let Some(layer) = Layer::of_module(path) else {
            let layers: Vec<&str> = Layer::ALL.iter().map(|layer| layer.name()).collect();
            let found = format!("module `{}` belongs to no layer", path.join("::"));
            let rule = format!("each module of the client is in one of: {}", layers.join(", "));
            violations.push(violation(None, found, rule));
            continue;
        };
        for used in &module.paths {
            if let Some(target) = tree.defining_module(path, used) {
                let other = Layer::of_module(&target);
                // `use crate::protocol::udp;` alone is allowed, because code can then use `udp::facts`. The check
                // reports the use of other items, such as `udp::open`.
                let has_facts =
                    tree.modules.contains_key(&[&target[..], &["facts".to_owned()]].concat());
                if has_facts && tree.imports_module(path, used) {
                    continue;
                }
                let is_allowed = other
                    .is_some_and(|other| other == layer || layer.may_import().contains(&other));
                if !is_allowed {
                    let other = other.map_or("no layer", Layer::name);
                    let found = format!("imports {} ({other})", used.text());
                    violations.push(violation(Some(used.line), found, layer.rule()));
                }
            } else if layer.is_pure() && purity::is_impure(&used.names) {
                let rule = format!("{} is pure: {}", layer.name(), purity::RULE);
                let found = format!("uses {}", used.text());
                violations.push(violation(Some(used.line), found, rule));
            }
        }
        if layer.is_pure() {
            for line in purity::elapsed_calls(&source.code.tokens) {
                let rule = format!("{} is pure: {}", layer.name(), purity::RULE);
                violations.push(violation(Some(line), "calls elapsed()".to_owned(), rule));
            }
        }
    }
    violations.extend(sources.iter().flat_map(check_binary));
    violations
}

fn check_binary(source: &SourceFile) -> Vec<Violation> {
    if !source.path.starts_with(BINARY) {
        return Vec::new();
    }
    let tokens = source.code.tokens.windows(3);
    let attributes =
        tokens.filter(|next| ["#", "[", "path"].iter().zip(*next).all(|(a, b)| *a == b.text));
    attributes
        .map(|next| Violation {
            file: source.path.clone(),
            line: Some(next[0].line),
            found: "includes a file with #[path]".to_owned(),
            rule: "the binary uses only public names of the library (rtt_client::…)".to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests;
