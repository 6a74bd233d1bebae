//! The module tree of a crate. It follows re-exports to the module that defines an imported name.

use super::source::SourceFile;
use super::syntax::{PathUse, Token, paths};
use std::collections::{BTreeMap, BTreeSet};

/// The maximum number of re-exports between an import and the definition. This limit ends circular chains of
/// re-exports.
const MAX_RE_EXPORTS: usize = 16;

/// The keywords before the name of an item.
const DEFINITIONS: [&str; 10] =
    ["const", "enum", "fn", "macro_rules", "static", "struct", "trait", "type", "union", "mod"];

/// The path of a module in its crate: `["analysis", "shift"]`. The root has an empty path.
pub(super) type ModulePath = Vec<String>;

/// A module with its own file.
pub(super) struct Module<'a> {
    pub(super) source: &'a SourceFile,
    pub(super) paths: Vec<PathUse>,
    /// The names of the items in this module.
    items: BTreeSet<&'a str>,
}

/// The modules of a crate, without test modules.
pub(super) struct ModuleTree<'a> {
    pub(super) modules: BTreeMap<ModulePath, Module<'a>>,
}

impl<'a> ModuleTree<'a> {
    /// Builds the tree of the library in the directory `src` (`crates/rtt-client/src/`). It skips `src/bin`.
    pub(super) fn new(sources: &'a [SourceFile], src: &str) -> Self {
        let mut modules = BTreeMap::new();
        for source in sources {
            let Some(relative) = source.path.strip_prefix(src) else { continue };
            if relative.starts_with("bin/") {
                continue;
            }
            let module = Module {
                source,
                paths: paths(&source.code.tokens),
                items: defined_names(&source.code.tokens),
            };
            modules.insert(module_path(relative), module);
        }
        let test_modules: Vec<ModulePath> = modules
            .iter()
            .flat_map(|(path, module)| {
                module
                    .source
                    .code
                    .test_modules
                    .iter()
                    .map(|name| [&path[..], std::slice::from_ref(name)].concat())
            })
            .collect();
        modules.retain(|path, _| !test_modules.iter().any(|test| path.starts_with(test)));
        Self { modules }
    }

    /// The module that defines the item with this `path`. `module` is the module in which the path occurs. If there
    /// is no definition, returns the last module on the path. If the path starts in another crate, returns `None`.
    pub(super) fn defining_module(
        &self,
        module: &ModulePath,
        path: &PathUse,
    ) -> Option<ModulePath> {
        let (start, names) = self.absolute(module, path)?;
        Some(self.find(&start, &names, 0).unwrap_or(start))
    }

    /// Whether the import in `module` names a module, and not an item of a module.
    pub(super) fn imports_module(&self, module: &ModulePath, import: &PathUse) -> bool {
        import.imported_as.is_some()
            && self.absolute(module, import).is_some_and(|(_, names)| names.is_empty())
    }

    /// The last module on the path, and the names after this module. `None` if the path starts in another crate.
    fn absolute(&self, module: &ModulePath, path: &PathUse) -> Option<(ModulePath, Vec<String>)> {
        let first = path.names.first()?;
        self.absolute_without_imports(module, path).or_else(|| {
            // The path can start with an imported module: `use crate::net; … net::resolve()`.
            let mut imports = self.modules.get(module)?.paths.iter();
            let import = imports.find(|import| import.imported_as.as_ref() == Some(first))?;
            let (start, below) = self.absolute_without_imports(module, import)?;
            below.is_empty().then(|| self.descend(start, &path.names[1..]))
        })
    }

    fn absolute_without_imports(
        &self,
        module: &ModulePath,
        path: &PathUse,
    ) -> Option<(ModulePath, Vec<String>)> {
        let mut start = module.clone();
        start.extend(path.inside.iter().cloned());
        let mut names = &path.names[..];
        match names.first()?.as_str() {
            "crate" => {
                start.clear();
                names = &names[1..];
            }
            "self" => names = &names[1..],
            "super" => {
                while names.first().is_some_and(|name| name == "super") {
                    start.pop();
                    names = &names[1..];
                }
            }
            child => {
                let child = [&start[..], &[child.to_owned()]].concat();
                self.modules.contains_key(&child).then_some(())?;
            }
        }
        Some(self.descend(start, names))
    }

    /// Follows `names` from `start` as long as they are modules. Returns the last module and the other names.
    fn descend(&self, mut start: ModulePath, mut names: &[String]) -> (ModulePath, Vec<String>) {
        while let Some(name) = names.first() {
            let child = [&start[..], std::slice::from_ref(name)].concat();
            if !self.modules.contains_key(&child) {
                break;
            }
            start = child;
            names = &names[1..];
        }
        (start, names.to_vec())
    }

    /// The module that defines the first of `names`. The search starts in `module` and follows its imports.
    fn find(&self, module: &ModulePath, names: &[String], re_exports: usize) -> Option<ModulePath> {
        let Some(name) = names.first().filter(|name| *name != "*") else {
            return Some(module.clone());
        };
        let here = self.modules.get(module)?;
        if here.items.contains(name.as_str()) {
            return Some(module.clone());
        }
        if re_exports == MAX_RE_EXPORTS {
            return None;
        }
        let follow = |import: &PathUse, more: &[String]| {
            let (start, mut below) = self.absolute(module, import)?;
            below.retain(|name| name != "*");
            below.extend_from_slice(more);
            if start == *module && below == names {
                return None;
            }
            self.find(&start, &below, re_exports + 1)
        };
        let imports = || here.paths.iter().filter(|path| path.inside.is_empty());
        if let Some(import) = imports().find(|import| import.imported_as.as_ref() == Some(name)) {
            return follow(import, &names[1..]);
        }
        let mut globs = imports().filter(|import| import.imported_as.as_deref() == Some("*"));
        globs.find_map(|glob| follow(glob, names))
    }
}

/// The module path of a file. `relative` is the path of the file in `src/`.
fn module_path(relative: &str) -> ModulePath {
    let path = relative.strip_suffix(".rs").unwrap_or(relative);
    let path = path.strip_suffix("/mod").unwrap_or(path);
    if path == "lib" { Vec::new() } else { path.split('/').map(str::to_owned).collect() }
}

fn defined_names(tokens: &[Token]) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    for pair in tokens.windows(2) {
        if DEFINITIONS.contains(&pair[0].text.as_str()) {
            names.insert(pair[1].text.as_str());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defining_module(files: &[(&str, &str)], module: &str, path: &str) -> Option<String> {
        let sources: Vec<SourceFile> = files
            .iter()
            .map(|(path, text)| SourceFile::new(&format!("src/{path}"), text))
            .collect();
        let tree = ModuleTree::new(&sources, "src/");
        let names = path.split("::").map(str::to_owned).collect();
        let path = PathUse { names, line: 1, inside: Vec::new(), imported_as: None };
        tree.defining_module(&module_path(module), &path).map(|module| module.join("::"))
    }

    const FILES: [(&str, &str); 5] = [
        (
            "lib.rs",
            "mod plan; mod net; pub use plan::*; pub use net::{resolve, Error as NetError};",
        ),
        ("plan.rs", "mod pace; pub use pace::Pace; pub struct Plan; use crate::net::Error;"),
        ("plan/pace.rs", "pub struct Pace;"),
        ("net/mod.rs", "pub mod resolve; pub use self::resolve::Error;"),
        ("net/resolve.rs", "pub enum Error {} pub fn resolve() {}"),
    ];

    #[test]
    fn re_exports_are_followed_to_the_definition() {
        let find = |path| defining_module(&FILES, "net/mod.rs", path).unwrap();
        assert_eq!(find("crate::plan::Plan"), "plan");
        assert_eq!(find("crate::plan::Pace"), "plan::pace");
        assert_eq!(find("crate::Pace"), "plan::pace");
        assert_eq!(find("crate::NetError"), "net::resolve");
        assert_eq!(find("super::plan"), "plan");
        assert_eq!(find("resolve::Error"), "net::resolve");
    }

    #[test]
    fn unknown_name_belongs_to_the_last_module_of_its_path() {
        assert_eq!(
            defining_module(&FILES, "lib.rs", "crate::plan::made_by_macro").unwrap(),
            "plan"
        );
    }

    #[test]
    fn paths_into_other_crates_have_no_module() {
        assert_eq!(defining_module(&FILES, "plan.rs", "std::fs::File"), None);
    }

    #[test]
    fn paths_can_start_with_an_imported_module() {
        let files = [
            ("lib.rs", "mod plan; mod net;"),
            ("plan.rs", "use crate::net as n; use crate::net::Error; use std::net;"),
            ("net.rs", "pub enum Error {}"),
        ];
        assert_eq!(defining_module(&files, "plan.rs", "n::Error").unwrap(), "net");
        assert_eq!(defining_module(&files, "plan.rs", "Error::Timeout"), None);
        assert_eq!(defining_module(&files, "plan.rs", "net::UdpSocket"), None);
    }

    #[test]
    fn super_is_the_parent_of_the_module() {
        assert_eq!(defining_module(&FILES, "plan/pace.rs", "super::Plan").unwrap(), "plan");
        assert_eq!(defining_module(&FILES, "plan/pace.rs", "super::super::net").unwrap(), "net");
    }
}
