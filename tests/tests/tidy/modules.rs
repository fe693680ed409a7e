//! The modules of a package and which uses which, by file.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{Fact, Path, facts, is_test};
use crate::tree::files;

/// The modules of one package.
pub(crate) struct Modules {
    /// By path, as in `http::layers`; the root is empty.
    modules: BTreeMap<Vec<String>, Module>,
}

struct Module {
    file: String,
    children: BTreeSet<String>,
    imports: Vec<Import>,
    paths: Vec<Path>,
}

struct Import {
    path: Path,
    name: String,
    public: bool,
}

/// One module uses another, both by their files.
pub(crate) type Arrows = BTreeMap<String, BTreeSet<String>>;

impl Modules {
    /// Reads the package whose sources are in a folder, such as `host/src`.
    pub(crate) fn read(folder: &str) -> Self {
        let mut modules = BTreeMap::new();
        for file in files(folder, &[".rs"]) {
            if is_test(&file.name) || file.name.ends_with("/main.rs") {
                continue;
            }
            let inside = file.name.strip_prefix(folder).unwrap();
            let path = module_path(inside.trim_start_matches('/'));
            let mut module = Module {
                file: file.name.clone(),
                children: BTreeSet::new(),
                imports: Vec::new(),
                paths: Vec::new(),
            };
            for fact in facts(&file) {
                match fact {
                    Fact::Module(name) => drop(module.children.insert(name)),
                    Fact::Import { path, name, public } => {
                        module.imports.push(Import { path, name, public });
                    }
                    Fact::Path(path) if path.0.len() > 1 => module.paths.push(path),
                    Fact::Path(_) | Fact::Macro(_) | Fact::Attribute(_) => {}
                }
            }
            modules.insert(path, module);
        }
        assert!(modules.contains_key(&Vec::new()), "{folder} has no lib.rs");
        Self { modules }
    }

    /// Names of the modules right below the root.
    pub(crate) fn top(&self) -> BTreeSet<String> {
        let names = self.modules.keys().filter_map(|path| path.first());
        names.cloned().collect()
    }

    /// Which file uses which. What a module passes on from another (`pub use`) counts as the
    /// other's, and passing on is no use. Nor is what a file takes from the one that heads its
    /// folder (`http/json/scan.rs` from `http/json.rs`): it is a part of it.
    pub(crate) fn arrows(&self) -> Arrows {
        let mut arrows = Arrows::new();
        for (from, module) in &self.modules {
            let uses = arrows.entry(module.file.clone()).or_default();
            for target in self.targets(from, module) {
                if !from.starts_with(&target)
                    && let Some(target) = self.modules.get(&target)
                {
                    uses.insert(target.file.clone());
                }
            }
        }
        arrows
    }

    /// Which module right below the root uses which other, and which other packages.
    pub(crate) fn top_arrows(&self) -> Arrows {
        let mut arrows = Arrows::new();
        for (from, module) in &self.modules {
            let Some(top) = from.first() else { continue };
            let uses = arrows.entry(top.clone()).or_default();
            let targets = self.targets(from, module);
            let others = targets.iter().filter_map(|target| target.first());
            uses.extend(others.filter(|other| *other != top).cloned());
            let named = module.imports.iter().map(|import| &import.path);
            let packages = named.chain(&module.paths).filter_map(|path| path.0.first());
            uses.extend(
                packages
                    .filter(|name| name.starts_with("belljar_"))
                    .map(|name| name.replace('_', "-")),
            );
        }
        arrows
    }

    /// The modules in which what a module names is defined.
    fn targets(&self, from: &[String], module: &Module) -> BTreeSet<Vec<String>> {
        let imports = module.imports.iter().filter(|import| !import.public);
        let named = imports.map(|import| &import.path).chain(&module.paths);
        named
            .filter_map(|path| self.absolute(from, module, path))
            .map(|path| self.resolve(&path, 0))
            .collect()
    }

    /// The path from the root, if it is one of this package.
    fn absolute(&self, from: &[String], module: &Module, path: &Path) -> Option<Vec<String>> {
        let first = path.0.first()?;
        let mut absolute: Vec<String> = from.to_vec();
        let rest = match first.as_str() {
            "crate" => {
                absolute.clear();
                &path.0[1..]
            }
            "self" => &path.0[1..],
            "super" => {
                let ups = path.0.iter().take_while(|name| *name == "super").count();
                absolute.truncate(from.len().checked_sub(ups)?);
                &path.0[ups..]
            }
            name if module.children.contains(name) => &path.0[..],
            _ => return None,
        };
        absolute.extend(rest.iter().cloned());
        Some(absolute)
    }

    /// The module in which a path's last name is defined, as far as names tell: re-exports are
    /// followed, and what remains of a path below a module is an item of it.
    fn resolve(&self, path: &[String], depth: usize) -> Vec<String> {
        let length = (0..=path.len())
            .rev()
            .find(|length| self.modules.contains_key(&path[..*length]))
            .unwrap_or(0);
        let (inside, rest) = path.split_at(length);
        let Some(item) = rest.first().filter(|_| depth < 8) else {
            return inside.to_vec();
        };
        let module = &self.modules[inside];
        let passed_on = module.imports.iter().find(|import| import.name == *item);
        let target = passed_on.and_then(|import| self.absolute(inside, module, &import.path));
        match target {
            Some(mut target) => {
                target.extend(rest[1..].iter().cloned());
                self.resolve(&target, depth + 1)
            }
            None => inside.to_vec(),
        }
    }
}

/// `http/layers/gate.rs` is `http::layers::gate`.
fn module_path(inside: &str) -> Vec<String> {
    let stem = inside.strip_suffix(".rs").unwrap();
    let mut path: Vec<String> = stem.split('/').map(str::to_owned).collect();
    if matches!(path.last().map(String::as_str), Some("mod" | "lib")) {
        path.pop();
    }
    path
}

/// The circles: sets of more than one file in which each reaches each, by Tarjan's way.
pub(crate) fn circles(arrows: &Arrows) -> Vec<BTreeSet<String>> {
    let mut search = Search {
        arrows,
        numbers: BTreeMap::new(),
        lowest: BTreeMap::new(),
        stack: Vec::new(),
        found: Vec::new(),
    };
    for file in arrows.keys() {
        if !search.numbers.contains_key(file.as_str()) {
            search.visit(file);
        }
    }
    search.found
}

struct Search<'a> {
    arrows: &'a Arrows,
    numbers: BTreeMap<&'a str, usize>,
    lowest: BTreeMap<&'a str, usize>,
    stack: Vec<&'a str>,
    found: Vec<BTreeSet<String>>,
}

impl<'a> Search<'a> {
    fn visit(&mut self, file: &'a str) {
        let number = self.numbers.len();
        self.numbers.insert(file, number);
        self.lowest.insert(file, number);
        self.stack.push(file);
        for next in self.arrows.get(file).into_iter().flatten() {
            let reached = match self.numbers.get(next.as_str()) {
                None => {
                    self.visit(next);
                    self.lowest[next.as_str()]
                }
                Some(number) if self.stack.contains(&next.as_str()) => *number,
                Some(_) => continue,
            };
            let lowest = self.lowest[file].min(reached);
            self.lowest.insert(file, lowest);
        }
        if self.lowest[file] == number {
            let start = self.stack.iter().position(|other| *other == file).unwrap();
            let circle = self.stack.split_off(start);
            if circle.len() > 1 {
                self.found
                    .push(circle.into_iter().map(str::to_owned).collect());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn circles_are_found_and_ways_out_of_them_are_not_part() {
        let arrows = Arrows::from(
            [("a", "b"), ("b", "c"), ("c", "a"), ("d", "a"), ("e", "")].map(|(from, to)| {
                let to = Some(to).filter(|to| !to.is_empty()).map(str::to_owned);
                (from.to_owned(), to.into_iter().collect())
            }),
        );
        assert_eq!(
            circles(&arrows),
            [BTreeSet::from(["a", "b", "c"].map(str::to_owned))]
        );
    }
}
