//! Bicep as far as the rules need it: what is declared, and which literals stand under which name. Nothing is
//! evaluated. A value that is put together counts with all of the literals in it, which is why the templates
//! keep those in one place.

use tree_sitter::{Node, Parser, Tree};

/// A parsed `.bicep` file.
pub(super) struct Template<'a> {
    pub(super) path: &'a str,
    text: &'a str,
    tree: Tree,
}

pub(super) struct Parameter<'a> {
    pub(super) name: &'a str,
    pub(super) description: Option<&'a str>,
    pub(super) allowed: Vec<&'a str>,
    pub(super) has_default: bool,
}

pub(super) struct Resource<'t> {
    /// Without its version.
    pub(super) kind: &'t str,
    /// Declared elsewhere, and only referred to here.
    pub(super) is_existing: bool,
    pub(super) node: Node<'t>,
}

pub(super) struct Module<'t> {
    /// Relative to the template.
    pub(super) path: &'t str,
    pub(super) node: Node<'t>,
    pub(super) parameters: Vec<&'t str>,
}

impl Resource<'_> {
    /// What the template calls it.
    pub(super) fn name<'a>(&self, template: &Template<'a>) -> Option<&'a str> {
        Some(template.text(self.node.named_child(0)?))
    }
}

impl<'a> Template<'a> {
    pub(super) fn parse(path: &'a str, text: &'a str) -> Template<'a> {
        let mut parser = Parser::new();
        parser.set_language(&tree_sitter_bicep::LANGUAGE.into()).expect("grammar and parser go together");
        let tree = parser.parse(text, None).expect("there is a language and no time limit");
        Template { path, text, tree }
    }

    /// The lines that are not Bicep.
    pub(super) fn errors(&self) -> Vec<usize> {
        let nodes = descendants(self.root());
        let broken = nodes.into_iter().filter(|node| node.is_error() || node.is_missing());
        broken.map(|node| node.start_position().row + 1).collect()
    }

    pub(super) fn root(&self) -> Node<'_> {
        self.tree.root_node()
    }

    pub(super) fn text(&self, node: Node<'_>) -> &'a str {
        &self.text[node.byte_range()]
    }

    pub(super) fn of_kind<'t>(&self, within: Node<'t>, kind: &str) -> Vec<Node<'t>> {
        descendants(within).into_iter().filter(|node| node.kind() == kind).collect()
    }

    /// The values of all properties of a name, at any depth.
    pub(super) fn values<'t>(&self, within: Node<'t>, name: &str) -> Vec<Node<'t>> {
        let properties = descendants(within).into_iter().filter(|node| node.kind() == "object_property");
        let named = properties.filter(|property| {
            property.named_child(0).is_some_and(|key| self.text(key).trim_matches('\'') == name)
        });
        named.filter_map(last_named_child).collect()
    }

    /// All string literals in it, without their quotes.
    pub(super) fn strings(&self, within: Node<'_>) -> Vec<&'a str> {
        let strings = descendants(within).into_iter().filter(|node| node.kind() == "string");
        strings.map(|string| self.text(string).trim_matches('\'')).collect()
    }

    /// The names of the functions that are called, methods included.
    pub(super) fn calls(&self) -> Vec<&'a str> {
        let calls = descendants(self.root()).into_iter().filter(|node| node.kind() == "call_expression");
        let called = calls.filter_map(|call| call.named_child(0));
        called.map(|called| self.text(called).rsplit('.').next().unwrap_or_default()).collect()
    }

    pub(super) fn parameters(&self) -> Vec<Parameter<'a>> {
        let declarations = self.declarations("parameter_declaration");
        declarations.map(|node| self.parameter(node)).collect()
    }

    pub(super) fn resources(&self) -> Vec<Resource<'_>> {
        let nodes = descendants(self.root()).into_iter().filter(|node| node.kind() == "resource_declaration");
        let resources = nodes.filter_map(|node| {
            let of_type = children(node).into_iter().find(|child| child.kind() == "string")?;
            let kind = self.text(of_type).trim_matches('\'').split('@').next()?;
            let is_existing = children(node).iter().any(|child| child.kind() == "existing");
            Some(Resource { kind, is_existing, node })
        });
        resources.collect()
    }

    pub(super) fn modules(&self) -> Vec<Module<'_>> {
        let modules = self.declarations("module_declaration").filter_map(|node| {
            let path = children(node).into_iter().find(|child| child.kind() == "string")?;
            let given = self.values(node, "params").first().map(|object| children(*object));
            let names = given.unwrap_or_default().into_iter().filter_map(|property| property.named_child(0));
            Some(Module {
                path: self.text(path).trim_matches('\''),
                node,
                parameters: names.map(|name| self.text(name)).collect(),
            })
        });
        modules.collect()
    }

    fn declarations(&self, kind: &'static str) -> impl Iterator<Item = Node<'_>> {
        children(self.root()).into_iter().filter(move |node| node.kind() == kind)
    }

    fn parameter(&self, node: Node<'_>) -> Parameter<'a> {
        let children = children(node);
        let decorators = node.prev_named_sibling().filter(|sibling| sibling.kind() == "decorators");
        let decorator = |name: &str| {
            let all = decorators.map(descendants).unwrap_or_default();
            let call = all.into_iter().find(|node| {
                node.kind() == "call_expression"
                    && node.named_child(0).is_some_and(|called| self.text(called) == name)
            });
            call.map(|call| self.strings(call)).unwrap_or_default()
        };
        Parameter {
            name: children.first().map(|name| self.text(*name)).unwrap_or_default(),
            description: decorator("description").first().copied(),
            allowed: decorator("allowed"),
            has_default: children.iter().any(|child| !matches!(child.kind(), "identifier" | "type")),
        }
    }
}

/// The node itself and everything below it, in the order of the text.
fn descendants(node: Node<'_>) -> Vec<Node<'_>> {
    let mut all = Vec::new();
    let mut cursor = node.walk();
    loop {
        all.push(cursor.node());
        if cursor.goto_first_child() {
            continue;
        }
        while !cursor.goto_next_sibling() {
            if !cursor.goto_parent() {
                return all;
            }
        }
    }
}

fn children(node: Node<'_>) -> Vec<Node<'_>> {
    let mut cursor = node.walk();
    node.children(&mut cursor).filter(|child| child.is_named() || child.kind() == "existing").collect()
}

fn last_named_child(node: Node<'_>) -> Option<Node<'_>> {
    children(node).into_iter().next_back()
}
