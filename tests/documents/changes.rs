//! Documents that lie some changes away from another, whatever the format.

use std::collections::BTreeSet;

use cfgwal::{List, Map, Value};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

/// What a speller draws its choices from.
pub fn noise() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 1..60)
}

/// One change somewhere in a document.
#[derive(Clone, Debug)]
pub struct Edit {
    pub kind: u8,
    pub node: Index,
    pub place: Index,
    pub key: String,
    pub fresh: Value,
}

pub fn edit(key: impl Strategy<Value = String>, fresh: impl Strategy<Value = Value>) -> impl Strategy<Value = Edit> {
    (0..8_u8, any::<Index>(), any::<Index>(), key, fresh).prop_map(|(kind, node, place, key, fresh)| Edit {
        kind,
        node,
        place,
        key,
        fresh,
    })
}

impl Edit {
    /// Changes, removes, adds, moves or renames something in one of the containers, or brings all of it into another order.
    pub fn apply(&self, root: &mut Value) {
        let mut left = self.node.index(count(root));
        self.apply_to(container(root, &mut left).unwrap());
    }

    pub fn apply_to(&self, value: &mut Value) {
        match value {
            Value::Array(list) => {
                let mut items: Vec<Value> = list.iter().cloned().collect();
                let place = self.place.index(items.len() + 1);
                match self.kind {
                    0 if place < items.len() => items[place] = self.fresh.clone(),
                    1 if place < items.len() => drop(items.remove(place)),
                    3 if place < items.len() => {
                        let item = items.remove(place);
                        items.insert(self.node.index(items.len() + 1), item);
                    }
                    // To another place, and changed there.
                    4 if place < items.len() => {
                        let mut item = items.remove(place);
                        match &mut item {
                            Value::Object(map) => drop(map.insert(&*self.key, self.fresh.clone())),
                            Value::Array(list) => list.push(self.fresh.clone()),
                            scalar => *scalar = self.fresh.clone(),
                        }
                        items.insert(self.node.index(items.len() + 1), item);
                    }
                    5 => items.reverse(),
                    6 if place < items.len() => items.insert(place, items[place].clone()),
                    _ => items.insert(place, self.fresh.clone()),
                }
                *list = items.into_iter().collect::<List>();
            }
            Value::Object(map) => {
                let mut items: Vec<(String, Value)> =
                    map.iter().map(|(key, value)| (key.to_owned(), value.clone())).collect();
                let place = self.place.index(items.len() + 1);
                let is_new = !map.contains(&self.key);
                match self.kind {
                    0 if place < items.len() => items[place].1 = self.fresh.clone(),
                    1 if place < items.len() => drop(items.remove(place)),
                    2 if is_new && place < items.len() => items[place].0.clone_from(&self.key),
                    3 if place < items.len() => {
                        let item = items.remove(place);
                        items.insert(self.node.index(items.len() + 1), item);
                    }
                    // To another place, and changed there.
                    4 if place < items.len() => {
                        let mut item = items.remove(place);
                        item.1 = self.fresh.clone();
                        items.push(item);
                    }
                    5 => items.reverse(),
                    6 => items.sort_by(|a, b| a.0.cmp(&b.0)),
                    _ if is_new => items.insert(place, (self.key.clone(), self.fresh.clone())),
                    _ => {}
                }
                *map = items.into_iter().collect::<Map>();
            }
            _ => unreachable!(),
        }
    }
}

fn count(value: &Value) -> usize {
    match value {
        Value::Array(list) => 1 + list.iter().map(count).sum::<usize>(),
        Value::Object(map) => 1 + map.values().map(count).sum::<usize>(),
        _ => 0,
    }
}

/// The container that has so many others before it.
fn container<'v>(value: &'v mut Value, left: &mut usize) -> Option<&'v mut Value> {
    if !matches!(value, Value::Array(_) | Value::Object(_)) {
        return None;
    }
    if *left == 0 {
        return Some(value);
    }
    *left -= 1;
    // Which one it is in is found before it is borrowed for good.
    let sizes: Vec<usize> = match &*value {
        Value::Array(list) => list.iter().map(count).collect(),
        Value::Object(map) => map.values().map(count).collect(),
        _ => Vec::new(),
    };
    let at = sizes.iter().position(|&size| {
        let inside = *left < size;
        if !inside {
            *left -= size;
        }
        inside
    })?;
    match value {
        Value::Array(list) => container(list.get_mut(at)?, left),
        Value::Object(map) => {
            let key = map.keys().nth(at)?.to_owned();
            container(map.get_mut(&key)?, left)
        }
        _ => None,
    }
}

/// The comments, each of which has a number of its own.
pub fn comments(text: &str) -> BTreeSet<String> {
    let starts = text.match_indices("# ").filter(|(at, _)| text[*at..].contains(" [x] = \""));
    let numbers = starts.map(|(at, _)| text[at + 2..].split(' ').next().unwrap_or("").to_owned());
    numbers.filter(|number| number.parse::<usize>().is_ok()).collect()
}

/// Where the scalars are that are in no array.
pub fn scalars_of(value: &Value, path: &mut Vec<String>, out: &mut Vec<Vec<String>>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                path.push(key.to_owned());
                scalars_of(value, path, out);
                path.pop();
            }
        }
        Value::Array(_) => {}
        _ => out.push(path.clone()),
    }
}

/// The paths of all tables that are in no array.
pub fn tables_of(value: &Value, path: &mut Vec<String>, out: &mut Vec<Vec<String>>) {
    if let Value::Object(map) = value {
        out.push(path.clone());
        for (key, value) in map {
            path.push(key.to_owned());
            tables_of(value, path, out);
            path.pop();
        }
    }
}
