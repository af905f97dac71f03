//! How new text is laid out: as its surroundings are.

use super::Syntax;
use super::row::Row;
use super::tree::{Id, Kind, Tree};
use crate::value::Value;

/// The habits of a whole document, for where the next neighbour shows none.
#[derive(Clone, Copy)]
pub(in crate::document) struct Style<'a> {
    syntax: &'static dyn Syntax,
    pub(in crate::document) line_break: &'a str,
    /// One level of indentation.
    pub(super) unit: &'a str,
    /// The colon with what this document puts around it.
    pub(super) colon: &'static str,
    /// What follows a comma on the same line.
    pub(super) space: &'static str,
}

/// How one new value is laid out.
#[derive(Clone, Copy)]
pub(super) enum Layout<'a> {
    OneLine,
    /// Each item on a line of its own, one `unit` further in than `indent`.
    Lines {
        line_break: &'a str,
        indent: &'a str,
        unit: &'a str,
    },
}

/// A one-line neighbour is imitated up to this width.
const LINE_MAX: usize = 100;

impl<'a> Style<'a> {
    /// Those of a document that has none yet.
    #[cfg(feature = "toml")]
    pub(in crate::document) fn usual(syntax: &'static dyn Syntax) -> Style<'a> {
        Style { syntax, line_break: "\n", unit: syntax.unit(), colon: syntax.colons()[0], space: " " }
    }

    pub(in crate::document) fn of(tree: &Tree<'a>) -> Style<'a> {
        let (mut unit, mut colon, mut space) = (None, None, None);
        for container in tree.containers() {
            let mut items = tree.items(container);
            let Some(first) = items.next() else { continue };
            if let (None, Some(key)) = (colon, first.key) {
                let gap = &tree.text()[tree.span(key).end..tree.span(first.value).start];
                colon = Some(known_colon(tree, gap).unwrap_or(tree.syntax().colons()[0]));
            }
            if let (None, Some(comma), Some(second)) = (space, tree.comma(first), items.next()) {
                space = match &tree.text()[comma + 1..tree.start(second)] {
                    "" => Some(""),
                    gap if gap.contains(['\n', '\r']) => None,
                    _ => Some(" "),
                };
            }
            if unit.is_none() {
                unit = unit_of(tree, container, tree.start(first));
            }
            if let (Some(_), Some(_), Some(_)) = (unit, colon, space) {
                break;
            }
        }
        let line_break = match tree.text().find(['\n', '\r']) {
            Some(at) if tree.text()[at..].starts_with("\r\n") => "\r\n",
            Some(at) => &tree.text()[at..=at],
            None => "\n",
        };
        let colon = colon.unwrap_or(tree.syntax().colons()[0]);
        let space = space.unwrap_or(if colon.ends_with(' ') { " " } else { "" });
        Style { syntax: tree.syntax(), line_break, unit: unit.unwrap_or(tree.syntax().unit()), colon, space }
    }

    /// The layout for a value in the place of item `at` or right behind it.
    ///
    /// `old` is the value that it replaces. What that one looked like decides, then the neighbours,
    /// then whether items here have lines of their own.
    pub(super) fn beside(&self, row: &Row<'_, 'a>, at: usize, old: Option<Id>, new: &Value) -> Layout<'a> {
        let tree = row.tree;
        let lead = row.line_lead(at);
        let (line_break, indent) = lead.unwrap_or((self.line_break, tree.indent(row.start(at))));
        let unit = unit_of(tree, row.container, row.start(at)).unwrap_or(self.unit);
        let lines = Layout::Lines { line_break, indent, unit };

        let near = [at, at.wrapping_sub(1), at + 1];
        let models = near.iter().filter_map(|&index| row.items.get(index)).map(|item| item.value);
        for model in old.into_iter().chain(models).filter(|&model| tree.has_items(model)) {
            if tree.spans_lines(model) {
                return lines;
            }
            if same_kind(tree.kind(model), new) && self.fits_line(indent, new) {
                return Layout::OneLine;
            }
        }
        let wants_lines = lead.is_some() && (self.syntax.has_lines() || !self.fits_line(indent, new));
        if wants_lines { lines } else { Layout::OneLine }
    }

    /// The layout for a value without neighbours, in the place of `old`.
    pub(super) fn alone(&self, tree: &Tree<'a>, old: Id, new: &Value) -> Layout<'a> {
        let indent = tree.indent(tree.span(old).start);
        let one_line = match tree.has_items(old) {
            true => !tree.spans_lines(old),
            false => !self.syntax.has_lines() && self.fits_line(indent, new),
        };
        if one_line { Layout::OneLine } else { self.lines(indent) }
    }

    fn lines(&self, indent: &'a str) -> Layout<'a> {
        Layout::Lines { line_break: self.line_break, indent, unit: self.unit }
    }

    /// Writes a value that is on its own.
    #[cfg(feature = "toml")]
    pub(in crate::document) fn write_alone(&self, out: &mut String, indent: &'a str, value: &Value) {
        let layout = if self.fits_line(indent, value) { Layout::OneLine } else { self.lines(indent) };
        self.write(out, value, layout);
    }

    pub(in crate::document) fn fits_line(&self, indent: &str, value: &Value) -> bool {
        let mut line = String::new();
        self.write(&mut line, value, Layout::OneLine);
        indent.len() + line.chars().count() <= LINE_MAX
    }

    /// The separator of key and value, as the key in the given place has it.
    pub(super) fn colon(&self, row: &Row<'_, '_>, at: usize) -> &'static str {
        let Some(key) = row.items.get(at).and_then(|item| item.key) else { return self.colon };
        let gap = &row.tree.text()[row.tree.span(key).end..row.tree.span(row.items[at].value).start];
        known_colon(row.tree, gap).unwrap_or(self.colon)
    }

    pub(super) fn write(&self, out: &mut String, value: &Value, layout: Layout<'_>) {
        self.write_at(out, value, layout, 0);
    }

    fn write_at(&self, out: &mut String, value: &Value, layout: Layout<'_>, depth: usize) {
        match value {
            Value::Array(list) => {
                let items = list.iter().map(|value| (None, value));
                self.write_items(out, ['[', ']'], items, layout, depth);
            }
            Value::Object(map) => {
                let items = map.iter().map(|(key, value)| (Some(key), value));
                self.write_items(out, ['{', '}'], items, layout, depth);
            }
            scalar => self.syntax.write_scalar(out, scalar),
        }
    }

    fn write_items<'v>(
        &self,
        out: &mut String,
        [open, close]: [char; 2],
        items: impl Iterator<Item = (Option<&'v str>, &'v Value)>,
        layout: Layout<'_>,
        depth: usize,
    ) {
        let layout = if open == '{' && !self.syntax.has_lines() { Layout::OneLine } else { layout };
        let padding = if open == '{' && matches!(layout, Layout::OneLine) { self.syntax.padding() } else { "" };
        out.push(open);
        let mut empty = true;
        for (key, value) in items {
            if !empty {
                out.push(',');
            }
            match layout {
                Layout::OneLine if empty => out.push_str(padding),
                Layout::OneLine => out.push_str(self.space),
                Layout::Lines { .. } => layout.begin_line(out, depth + 1),
            }
            empty = false;
            if let Some(key) = key {
                self.syntax.write_key(out, key);
                out.push_str(self.colon);
            }
            self.write_at(out, value, layout, depth + 1);
        }
        if !empty {
            layout.begin_line(out, depth);
            out.push_str(padding);
        }
        out.push(close);
    }
}

impl Layout<'_> {
    /// On one line nothing.
    pub(super) fn begin_line(self, out: &mut String, depth: usize) {
        if let Layout::Lines { line_break, indent, unit } = self {
            out.push_str(line_break);
            out.push_str(indent);
            (0..depth).for_each(|_| out.push_str(unit));
        }
    }
}

/// How much further in the item at `start` is than the line on which its container begins.
fn unit_of<'a>(tree: &Tree<'a>, container: Id, start: usize) -> Option<&'a str> {
    let open = tree.span(container).start;
    if tree.line_start(open) == tree.line_start(start) {
        return None;
    }
    tree.indent(start).strip_prefix(tree.indent(open)).filter(|unit| !unit.is_empty())
}

fn known_colon(tree: &Tree<'_>, gap: &str) -> Option<&'static str> {
    tree.syntax().colons().iter().copied().find(|&known| known == gap)
}

fn same_kind(kind: Kind, value: &Value) -> bool {
    matches!((kind, value), (Kind::Array, Value::Array(_)) | (Kind::Object, Value::Object(_)))
}
