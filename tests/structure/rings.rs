//! Rings: modules that import each other, directly or by way of others.

use std::collections::BTreeMap;

use crate::imports::Crate;

/// Every ring of modules of a crate, with the imports that close it.
pub(crate) fn of(crate_: &Crate) -> Vec<String> {
    find(crate_.arrows())
}

/// Every ring of top-level modules, each taken as one with all that is below it. The crate's root only hands on.
pub(crate) fn between_rooms(crate_: &Crate) -> Vec<String> {
    let room = |module: &str| module.split("::").next().unwrap().to_owned();
    let mut rooms: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (module, targets) in crate_.arrows() {
        let from = room(&module);
        let targets = targets.iter().map(|target| room(target)).filter(|to| *to != from).collect::<Vec<_>>();
        rooms.entry(from).or_default().extend(targets);
    }
    find(rooms)
}

fn find(arrows: BTreeMap<String, Vec<String>>) -> Vec<String> {
    let mut search = Search {
        arrows: &arrows,
        index: BTreeMap::new(),
        low: BTreeMap::new(),
        stack: Vec::new(),
        rings: Vec::new(),
    };
    for module in arrows.keys() {
        if !search.index.contains_key(module.as_str()) {
            search.visit(module);
        }
    }
    search.rings.iter().map(|ring| describe(ring, &arrows)).collect()
}

fn describe(ring: &[&str], arrows: &BTreeMap<String, Vec<String>>) -> String {
    let within = |from: &&str| {
        let to = arrows[*from].iter().filter(|to| ring.contains(&to.as_str()));
        to.map(|to| format!("{from} -> {to}")).collect::<Vec<_>>()
    };
    ring.iter().flat_map(within).collect::<Vec<_>>().join(", ")
}

/// Tarjan's search for strongly connected components.
struct Search<'a> {
    arrows: &'a BTreeMap<String, Vec<String>>,
    index: BTreeMap<&'a str, usize>,
    low: BTreeMap<&'a str, usize>,
    stack: Vec<&'a str>,
    rings: Vec<Vec<&'a str>>,
}

impl<'a> Search<'a> {
    fn visit(&mut self, module: &'a str) {
        let number = self.index.len();
        self.index.insert(module, number);
        self.low.insert(module, number);
        self.stack.push(module);
        for next in self.arrows.get(module).into_iter().flatten() {
            if !self.index.contains_key(next.as_str()) {
                self.visit(next);
                self.lower(module, self.low[next.as_str()]);
            } else if self.stack.contains(&next.as_str()) {
                self.lower(module, self.index[next.as_str()]);
            }
        }
        if self.low[module] == number {
            let at = self.stack.iter().position(|found| *found == module).unwrap();
            let component = self.stack.split_off(at);
            if component.len() > 1 {
                self.rings.push(component);
            }
        }
    }

    fn lower(&mut self, module: &'a str, to: usize) {
        let low = self.low.get_mut(module).unwrap();
        *low = to.min(*low);
    }
}
