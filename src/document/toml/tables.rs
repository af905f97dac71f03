//! Which entries of a text make which table: one table may be written in several places and ways.

use std::collections::HashMap;
use std::ops::Range;

use super::scan::{Scanned, What};
use crate::document::flow::Id;
use crate::value::{Map, Value};

/// A node's place in [`Tables`].
pub(super) type Node = usize;

pub(super) enum Kind {
    /// A value behind a key: in its entry, this one of the tree.
    Value(usize, Id),
    Table,
    /// An array of tables, by its elements.
    Array(Vec<Node>),
}

pub(super) struct Named {
    pub(super) kind: Kind,
    /// The words that name it, wherever they stand.
    pub(super) words: Vec<Range<usize>>,
    /// What is in a table, in the order of its first mention.
    pub(super) children: Vec<(String, Node)>,
    by_name: HashMap<String, Node>,
    /// The header of a table that has one of its own.
    pub(super) header: Option<usize>,
    /// For a table that dotted keys make: the last entry that does, and how many of its words lead here.
    pub(super) dotted: Option<(usize, usize)>,
    /// The first and the last entry that have to do with it.
    pub(super) entries: Option<(usize, usize)>,
}

pub(super) struct Tables<'s, 'a> {
    pub(super) text: &'s Scanned<'a>,
    nodes: Vec<Named>,
    /// For every entry, the header of the part of the text that it is in.
    headers: Vec<Option<usize>>,
}

impl<'s, 'a> Tables<'s, 'a> {
    pub(super) const ROOT: Node = 0;

    pub(super) fn new(text: &'s Scanned<'a>) -> Tables<'s, 'a> {
        let mut tables = Tables { text, nodes: Vec::new(), headers: Vec::with_capacity(text.entries.len()) };
        tables.add(Kind::Table);
        // The tables from the root to the one whose pairs are being read.
        let mut open = vec![Self::ROOT];
        let mut header = None;
        for (at, entry) in text.entries.iter().enumerate() {
            let (last, outer) = entry.keys.split_last().expect("an entry has a key");
            if !matches!(entry.what, What::Pair(_)) {
                (header, open) = (Some(at), vec![Self::ROOT]);
            }
            tables.headers.push(header);
            let mut way = open.clone();
            for (depth, word) in outer.iter().enumerate() {
                let array = tables.step(&way, word, || Kind::Table);
                way.push(array);
                if let Kind::Array(elements) = &tables.nodes[array].kind {
                    way.push(*elements.last().expect("an array of tables has an element"));
                } else if matches!(entry.what, What::Pair(_)) {
                    tables.nodes[array].dotted = Some((at, depth + 1));
                }
            }
            match entry.what {
                What::Pair(id) => way.push(tables.step(&way, last, || Kind::Value(at, id))),
                What::Table => {
                    let table = tables.step(&way, last, || Kind::Table);
                    tables.nodes[table].header = Some(at);
                    way.push(table);
                    open.clone_from(&way);
                }
                What::Element => {
                    let array = tables.step(&way, last, || Kind::Array(Vec::new()));
                    let element = tables.add(Kind::Table);
                    tables.nodes[element].header = Some(at);
                    if let Kind::Array(elements) = &mut tables.nodes[array].kind {
                        elements.push(element);
                    }
                    way.extend([array, element]);
                    open.clone_from(&way);
                }
            }
            for node in way {
                let entries = &mut tables.nodes[node].entries;
                *entries = Some((entries.map_or(at, |(first, _)| first), at));
            }
        }
        tables
    }

    fn add(&mut self, kind: Kind) -> Node {
        self.nodes.push(Named {
            kind,
            words: Vec::new(),
            children: Vec::new(),
            by_name: HashMap::new(),
            header: None,
            dotted: None,
            entries: None,
        });
        self.nodes.len() - 1
    }

    /// What `word` names in the last table of the way, made if it was not named before.
    fn step(&mut self, way: &[Node], word: &Range<usize>, kind: impl FnOnce() -> Kind) -> Node {
        let table = *way.last().expect("a way begins at the root");
        let name = self.text.key(word);
        let node = match self.nodes[table].by_name.get(&*name) {
            Some(&node) => node,
            None => {
                let node = self.add(kind());
                let table = &mut self.nodes[table];
                table.children.push((name.clone().into_owned(), node));
                table.by_name.insert(name.into_owned(), node);
                node
            }
        };
        self.nodes[node].words.push(word.clone());
        node
    }

    pub(super) fn get(&self, node: Node) -> &Named {
        &self.nodes[node]
    }

    pub(super) fn child(&self, table: Node, name: &str) -> Option<Node> {
        self.nodes[table].by_name.get(name).copied()
    }

    /// The header of the part of the text that an entry is in.
    pub(super) fn header_of(&self, entry: usize) -> Option<usize> {
        self.headers[entry]
    }

    /// The entries of the part that begins with this header or, without one, with the text.
    pub(super) fn part(&self, header: Option<usize>) -> Range<usize> {
        // Entries are in order, and so are the headers of their parts.
        let start = self.headers.partition_point(|&other| other < header);
        start..self.headers.partition_point(|&other| other <= header)
    }

    /// The pairs of a part.
    pub(super) fn pairs(&self, header: Option<usize>) -> Range<usize> {
        let part = self.part(header);
        part.start + usize::from(header.is_some())..part.end
    }

    /// Whether it is written as a table with a header, its own or one of a table inside of it.
    pub(super) fn is_block(&self, node: Node) -> bool {
        let named = self.get(node);
        match &named.kind {
            Kind::Value(..) => false,
            Kind::Array(_) => true,
            Kind::Table => named.header.is_some() || named.dotted.is_none(),
        }
    }

    pub(super) fn value(&self, node: Node) -> Value {
        match &self.get(node).kind {
            Kind::Value(_, id) => self.text.values.value(*id),
            Kind::Array(elements) => elements.iter().map(|&element| self.value(element)).collect::<Vec<_>>().into(),
            Kind::Table => {
                let children = self.get(node).children.iter();
                Value::Object(children.map(|(key, child)| (key.as_str(), self.value(*child))).collect::<Map>())
            }
        }
    }

    /// Whether it stands for this value, whatever the order of keys.
    pub(super) fn matches(&self, node: Node, value: &Value) -> bool {
        match (&self.get(node).kind, value) {
            (Kind::Value(_, id), value) => self.text.values.matches(*id, value),
            (Kind::Array(elements), Value::Array(list)) => {
                elements.len() == list.len()
                    && elements.iter().zip(list).all(|(&node, value)| self.matches(node, value))
            }
            (Kind::Table, Value::Object(map)) => {
                let children = &self.get(node).children;
                let alike =
                    |(key, child): &(String, Node)| map.get(key).is_some_and(|value| self.matches(*child, value));
                children.len() == map.len() && children.iter().all(alike)
            }
            _ => false,
        }
    }

    /// The entries of a node and of all that is in it.
    pub(super) fn entries_of(&self, node: Node, out: &mut Vec<usize>) {
        let named = self.get(node);
        out.extend(named.header);
        match &named.kind {
            Kind::Value(entry, _) => out.push(*entry),
            Kind::Array(elements) => elements.iter().for_each(|&element| self.entries_of(element, out)),
            Kind::Table => named.children.iter().for_each(|(_, child)| self.entries_of(*child, out)),
        }
    }
}
