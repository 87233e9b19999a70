//! The imports of a crate's modules, read from their text.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

/// A crate of this workspace: its modules, without their tests.
pub(crate) struct Crate(BTreeMap<String, Module>);

struct Module {
    file: String,
    text: String,
    children: BTreeSet<String>,
    /// What `use` brings in, by the name it has here.
    names: BTreeMap<String, Vec<String>>,
    /// Every path that is used.
    paths: Vec<Vec<String>>,
}

/// A path within the crate, as segments.
pub(crate) struct Import(Vec<String>);

impl Import {
    /// The top-level module it leads to.
    fn room(&self) -> &str {
        self.0.first().map_or("", String::as_str)
    }

    /// Whether it leads into this module.
    pub(crate) fn is_in(&self, module: &str) -> bool {
        is_in(&self.to_string(), module)
    }
}

impl fmt::Display for Import {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("::"))
    }
}

/// Where the workspace is.
pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

impl Crate {
    /// The crate whose root this is.
    pub(crate) fn read(root: &str) -> Crate {
        let mut modules = BTreeMap::new();
        load(&workspace().join(root), Vec::new(), &mut modules);
        Crate(modules)
    }

    /// What each module imports of the others; the modules are named by their paths.
    pub(crate) fn arrows(&self) -> BTreeMap<String, Vec<String>> {
        let arrows = self.0.iter().map(|(name, module)| {
            let targets = module.paths.iter().filter_map(|path| self.resolve(name, path, 0));
            let targets: BTreeSet<String> = targets.filter(|target| target != name).collect();
            (name.clone(), targets.into_iter().collect())
        });
        arrows.collect()
    }

    /// What a top-level module and those below it import, each with the file that does.
    pub(crate) fn imports_of(&self, room: &str) -> Vec<(&str, Import)> {
        let modules = self.0.iter().filter(|(name, _)| is_in(name, room));
        let imports = modules.flat_map(|(name, module)| {
            module.paths.iter().filter_map(move |path| {
                let target = self.resolve(name, path, 0)?;
                Some((module.file.as_str(), Import(target.split("::").map(str::to_owned).collect())))
            })
        });
        imports.filter(|(_, import)| import.room() != room).collect()
    }

    /// The text of a top-level module and of those below it.
    pub(crate) fn text_of(&self, room: &str) -> Vec<(&str, &str)> {
        let modules = self.0.iter().filter(|(name, _)| is_in(name, room));
        modules.map(|(_, module)| (module.file.as_str(), module.text.as_str())).collect()
    }

    /// The module in which what a path names is defined, if it is in this crate.
    fn resolve(&self, from: &str, path: &[String], depth: usize) -> Option<String> {
        let mut at: Vec<&str> = from.split("::").filter(|segment| !segment.is_empty()).collect();
        let mut rest: Vec<&str> = path.iter().map(String::as_str).collect();
        let here = &self.0[from];
        match rest[0] {
            "crate" => {
                at.clear();
                rest.remove(0);
            }
            "self" => drop(rest.remove(0)),
            "super" => {
                while rest.first() == Some(&"super") {
                    at.pop();
                    rest.remove(0);
                }
            }
            first if here.children.contains(first) => {}
            _ => return None,
        }
        loop {
            let name = at.join("::");
            let module = self.0.get(&name)?;
            let Some(next) = rest.first() else { return Some(name) };
            if module.children.contains(*next) {
                at.push(next);
                rest.remove(0);
                continue;
            }
            // What a facade hands on is defined elsewhere.
            let handed_on = module.names.get(*next).filter(|_| depth < 8);
            return match handed_on {
                Some(handed_on) => self.resolve(&name, handed_on, depth + 1),
                None => Some(name),
            };
        }
    }
}

fn is_in(module: &str, room: &str) -> bool {
    module.strip_prefix(room).is_some_and(|below| below.is_empty() || below.starts_with("::"))
}

fn load(file: &Path, name: Vec<String>, modules: &mut BTreeMap<String, Module>) {
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let text = flat(&without_tests(&without_comments(&text)));
    let stem = file.file_stem().unwrap().to_str().unwrap();
    let below = match stem {
        "lib" | "main" => file.parent().unwrap().to_owned(),
        _ => file.with_extension(""),
    };
    let mut module = Module {
        file: file.strip_prefix(workspace()).unwrap().display().to_string(),
        children: BTreeSet::new(),
        names: BTreeMap::new(),
        paths: Vec::new(),
        text: String::new(),
    };
    for statement in text.split_inclusive([';', '{', '}']) {
        let mut words = statement.trim_end_matches(';').split_whitespace().skip_while(|word| {
            word.starts_with("pub") || word.starts_with('#') || word.ends_with(']') || word.ends_with(')')
        });
        if statement.ends_with(';')
            && words.next() == Some("mod")
            && let Some(child) = words.next()
        {
            let child_file = below.join(format!("{child}.rs"));
            if child_file.exists() {
                module.children.insert(child.to_owned());
                let mut child_name = name.clone();
                child_name.push(child.to_owned());
                load(&child_file, child_name, modules);
            }
        }
    }
    let (uses, rest) = split_uses(&text);
    for import in uses.iter().flat_map(|tree| expand(tree)) {
        let (path, alias) = match import.split_once(" as ") {
            Some((path, alias)) => (path.trim().to_owned(), Some(alias.trim().to_owned())),
            None => (import.trim().to_owned(), None),
        };
        let mut segments: Vec<String> = path.split("::").map(|part| part.trim().to_owned()).collect();
        if segments.last().is_some_and(|last| last == "self") {
            segments.pop();
        }
        let known_as = alias.unwrap_or_else(|| segments.last().unwrap().clone());
        module.names.insert(known_as, segments.clone());
        module.paths.push(segments);
    }
    module.paths.extend(inline_paths(&rest, &module.children));
    module.text = text;
    modules.insert(name.join("::"), module);
}

fn without_comments(text: &str) -> String {
    let bare = text.lines().map(|line| match line.find("//") {
        Some(at) if !line[..at].contains('"') => &line[..at],
        _ => line,
    });
    bare.collect::<Vec<_>>().join("\n")
}

/// Leaves out every item that is compiled for tests alone.
fn without_tests(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut kept = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at].trim_start();
        if !(line.starts_with("#[cfg(test)]") || line.starts_with("#[cfg(all(test")) {
            kept.push(lines[at]);
            at += 1;
            continue;
        }
        while lines.get(at).is_some_and(|line| line.trim_start().starts_with("#[")) {
            at += 1;
        }
        let (mut depth, mut opened) = (0_i32, false);
        while let Some(line) = lines.get(at) {
            at += 1;
            depth += i32::try_from(line.matches('{').count()).unwrap();
            depth -= i32::try_from(line.matches('}').count()).unwrap();
            opened |= line.contains('{');
            if (opened && depth <= 0) || (!opened && line.contains(';')) {
                break;
            }
        }
    }
    kept.join("\n")
}

/// Has `super` in a module that stands within the file mean that file.
fn flat(text: &str) -> String {
    let mut flat = String::new();
    let mut inside: Option<i32> = None;
    for line in text.lines() {
        let opens = i32::try_from(line.matches('{').count()).unwrap();
        let closes = i32::try_from(line.matches('}').count()).unwrap();
        let begins = line.trim_end().ends_with('{') && line.split_whitespace().any(|word| word == "mod");
        let line = if inside.is_some() { line.replace("super::", "self::") } else { line.to_owned() };
        inside = match inside {
            None if begins => Some(opens - closes),
            Some(depth) if depth + opens - closes > 0 => Some(depth + opens - closes),
            _ => None,
        };
        flat.push_str(&line);
        flat.push('\n');
    }
    flat
}

/// The trees of all `use` declarations, and the rest of the text.
fn split_uses(text: &str) -> (Vec<String>, String) {
    let (mut uses, mut rest, mut tree) = (Vec::new(), String::new(), None::<String>);
    for line in text.lines() {
        let trimmed = line.trim_start();
        let declared = trimmed.strip_prefix("pub").map_or(trimmed, |public| {
            let public = public.trim_start();
            match public.strip_prefix('(') {
                Some(scope) => scope.split_once(')').map_or(public, |(_, after)| after.trim_start()),
                None => public,
            }
        });
        match (&mut tree, declared.strip_prefix("use ")) {
            (None, Some(begun)) => tree = Some(begun.to_owned()),
            (Some(tree), _) => tree.push_str(trimmed),
            (None, None) => {
                rest.push_str(line);
                rest.push('\n');
            }
        }
        if tree.as_ref().is_some_and(|tree| tree.contains(';')) {
            uses.push(tree.take().unwrap().split(';').next().unwrap().to_owned());
        }
    }
    (uses, rest)
}

/// `a::{b, c::{d, e}}` as `a::b`, `a::c::d` and `a::c::e`.
fn expand(tree: &str) -> Vec<String> {
    let Some(open) = tree.find('{') else { return vec![tree.to_owned()] };
    let (before, inside) = (&tree[..open], &tree[open + 1..tree.rfind('}').unwrap()]);
    let (mut parts, mut depth, mut part) = (Vec::new(), 0, String::new());
    for character in inside.chars() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(std::mem::take(&mut part));
                continue;
            }
            _ => {}
        }
        part.push(character);
    }
    parts.push(part);
    let parts = parts.iter().filter(|part| !part.trim().is_empty());
    parts.flat_map(|part| expand(part.trim())).map(|part| format!("{before}{part}")).collect()
}

/// Paths that are written out where they are used.
fn inline_paths(text: &str, children: &BTreeSet<String>) -> Vec<Vec<String>> {
    let is_part = |character: char| character.is_alphanumeric() || character == '_' || character == ':';
    let words = text.split(|character: char| !is_part(character)).filter(|word| word.contains("::"));
    let paths = words.map(|word| {
        word.split("::").filter(|segment| !segment.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    });
    paths
        .filter(|path| path.len() > 1)
        .filter(|path| ["crate", "self", "super"].contains(&path[0].as_str()) || children.contains(&path[0]))
        .collect()
}
