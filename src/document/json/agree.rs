//! A text and a value, walked side by side. Where they agree nothing is built, so this costs little more than reading both.
//!
//! Two questions are answered by it: whether a text stands for exactly this value, and whether all that differs is some
//! scalars, each of which can be replaced where it stands, which is what most edits come to. If what the text stands for is at
//! hand, only what differs from that is looked for in it.
//! A yes is certain. Whatever this walk does not understand or does not allow it leaves to `parse`, which can say why.

use std::ops::Range;

use super::Dialect;
use super::walk::Walk;
use crate::limits;
use crate::value::{self, List, Map, Value};

/// A scalar of the text that is to be another one.
#[derive(Debug, PartialEq)]
pub(super) struct Differing<'v> {
    pub(super) at: Range<usize>,
    pub(super) target: &'v Value,
}

/// What makes `text`, a document without a byte order mark, another one than `target`, if that is scalars alone.
///
/// With nothing in the list, the text stands for `target`. `None` says nothing about the text, not even that it is a document.
pub(super) fn differing<'v>(text: &str, dialect: Dialect, target: &'v Value) -> Option<Vec<Differing<'v>>> {
    let mut comparison = Comparison { walk: Walk::new(text, dialect), found: Vec::new(), left: 0 };
    comparison.value(target, 0)?;
    comparison.walk.skip_space()?;
    (comparison.walk.at == text.len()).then_some(comparison.found)
}

/// The same for a `text` that is known to stand for `known`. What that shares with `target` is passed over, and nothing is
/// looked at behind the last change.
pub(super) fn changed<'v>(
    text: &str,
    dialect: Dialect,
    known: &'v Value,
    target: &'v Value,
) -> Option<Vec<Differing<'v>>> {
    let mut comparison = Comparison { walk: Walk::new(text, dialect), found: Vec::new(), left: 0 };
    comparison.values(known, target)?;
    Some(comparison.found)
}

/// Whether `new` is `old` but for the scalars that were found to differ in it, in the order of the text, and stands for what
/// `old` was compared with: each of them is there as it is to be, and every other byte is the old one. A reader of `new` then
/// goes on behind each as it did in `old`.
pub(super) fn replaced_alone(old: &str, new: &str, dialect: Dialect, differing: &[Differing<'_>]) -> bool {
    let (mut copied, mut walk) = (0, Walk::new(new, dialect));
    let is_copy = |old: &str, new: &Walk<'_>, end: usize| {
        let new = new.text.as_bytes().get(new.at..end).filter(|new| new.len() == old.len());
        new.is_some_and(|new| limits::pieces(new).eq(old.as_bytes().chunks(limits::PIECE)))
    };
    for Differing { at, target } in differing {
        let between = &old[copied..at.start];
        let start = walk.at + between.len();
        if !is_copy(between, &walk, start) {
            return false;
        }
        walk.at = start;
        if !reads_as(&mut walk, target) {
            return false;
        }
        copied = at.end;
    }
    is_copy(&old[copied..], &walk, new.len())
}

/// Whether `text` is a scalar and nothing else, and stands for `target`.
pub(super) fn is(text: &str, dialect: Dialect, target: &Value) -> bool {
    let mut walk = Walk::new(text, dialect);
    reads_as(&mut walk, target) && walk.at == text.len()
}

/// Whether a scalar comes next that stands for `target`.
fn reads_as(walk: &mut Walk<'_>, target: &Value) -> bool {
    walk.peek().and_then(|first| walk.scalar(first, target)) == Some(true)
}

struct Comparison<'a, 'v> {
    walk: Walk<'a>,
    found: Vec<Differing<'v>>,
    /// So many of the innermost containers are done with: they are left when something is looked for behind them.
    left: usize,
}

/// Every method goes past what it is named after, and gives `None` where it cannot.
impl<'v> Comparison<'_, 'v> {
    /// `depth` containers are open around the value.
    fn value(&mut self, target: &'v Value, depth: usize) -> Option<()> {
        self.walk.pause();
        self.walk.skip_space()?;
        match (self.walk.peek()?, target) {
            (b'{' | b'[', _) if depth >= limits::DEPTH_MAX => None,
            (b'{', Value::Object(map)) => self.object(map, depth),
            (b'[', Value::Array(list)) => self.array(list, depth),
            (b'{' | b'[', _) | (_, Value::Object(_) | Value::Array(_)) => None,
            (first, target) => {
                let start = self.walk.at;
                if !self.walk.scalar(first, target)? {
                    self.found.push(Differing { at: start..self.walk.at, target });
                }
                Some(())
            }
        }
    }

    /// That the keys are those of a map, one by one, shows also that none is written twice.
    fn object(&mut self, map: &'v Map, depth: usize) -> Option<()> {
        self.walk.at += 1;
        for (at, (key, value)) in value::fetched(map).enumerate() {
            if at > 0 {
                self.walk.byte(b',')?;
            }
            self.walk.skip_space()?;
            if key.len() > limits::KEY_MAX || self.walk.peek()? != b'"' || !self.walk.string(key)? {
                return None;
            }
            self.walk.byte(b':')?;
            self.value(value, depth + 1)?;
        }
        self.close(b'}', map.is_empty())
    }

    fn array(&mut self, list: &'v List, depth: usize) -> Option<()> {
        self.walk.at += 1;
        let mut changed = 0;
        for (at, value) in list.iter().enumerate() {
            if at > 0 {
                self.walk.byte(b',')?;
            }
            let before = self.found.len();
            self.value(value, depth + 1)?;
            changed += usize::from(self.found.len() > before);
        }
        // Of several elements that differ some may have moved: which one is which is to be found out first.
        if changed > 1 {
            return None;
        }
        self.close(b']', list.is_empty())
    }

    fn close(&mut self, bracket: u8, is_empty: bool) -> Option<()> {
        self.walk.skip_space()?;
        if !is_empty && self.walk.dialect == Dialect::Comments && self.walk.peek()? == b',' {
            self.walk.at += 1;
        }
        self.walk.byte(bracket)
    }

    /// A value that is known and is to be another.
    fn values(&mut self, known: &'v Value, target: &'v Value) -> Option<()> {
        if known.same(target) {
            return self.walk.skip_value();
        }
        self.walk.skip_space()?;
        match (self.walk.peek()?, known, target) {
            (b'{', Value::Object(known), Value::Object(target)) => self.objects(known, target),
            (b'[', Value::Array(known), Value::Array(target)) => self.arrays(known, target),
            (b'{' | b'[', ..) | (_, _, Value::Object(_) | Value::Array(_)) => None,
            (first, known, target) => {
                let start = self.walk.at;
                // If something else is here, this is not the text that it was taken for.
                let is_known = self.walk.scalar(first, known)?;
                self.found.push(Differing { at: start..self.walk.at, target });
                is_known.then_some(())
            }
        }
    }

    fn objects(&mut self, known: &'v Map, target: &'v Map) -> Option<()> {
        self.walk.at += 1;
        let mut is_first = true;
        for change in known.changes(target, Value::same) {
            let (Some(known), Some(target), false) = (change.old, change.new, change.moved) else { return None };
            loop {
                if !std::mem::take(&mut is_first) {
                    self.walk.leave(std::mem::take(&mut self.left))?;
                    self.walk.byte(b',')?;
                }
                self.walk.skip_space()?;
                if self.walk.peek()? != b'"' {
                    return None;
                }
                let is_it = self.walk.string(change.key)?;
                self.walk.byte(b':')?;
                if is_it {
                    break;
                }
                self.walk.skip_value()?;
            }
            self.values(known, target)?;
        }
        self.left += 1;
        Some(())
    }

    fn arrays(&mut self, known: &'v List, target: &'v List) -> Option<()> {
        self.walk.at += 1;
        let mut pairs = known.iter().zip(target).enumerate();
        let (changed, (known_one, target_one)) = pairs.find(|(_, (known, target))| !known.same(target))?;
        // Of several elements that differ some may have moved.
        if known.len() != target.len() || !pairs.all(|(_, (known, target))| known.same(target)) {
            return None;
        }
        for _ in 0..changed {
            self.walk.skip_value()?;
            self.walk.byte(b',')?;
        }
        self.values(known_one, target_one)?;
        self.left += 1;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::document::flow::{self, Tree};
    use crate::document::json::{parse, replaced};
    use crate::document::{Format, edit};
    use crate::op::Op;
    use crate::path::Path;
    use crate::state::State;

    fn value(text: &str) -> Value {
        crate::document::parse(&Format::Json, text.as_bytes()).expect("a test's own text")
    }

    fn found(text: &str, dialect: Dialect, target: &str) -> Option<Vec<String>> {
        let target = value(target);
        let found = differing(text, dialect, &target)?;
        Some(found.into_iter().map(|scalar| format!("{} is {}", &text[scalar.at], scalar.target)).collect())
    }

    #[test]
    fn scalars_are_found_where_they_stand() {
        let text = "{\"a\\u0062\": [1, \"\\ud83d\\ude00\", {}], \"n\": -0, \"t\":true}\n";
        for (target, expected) in [
            (r#"{"ab":[1,"😀",{}],"n":-0,"t":true}"#, &[][..]),
            (r#"{"ab":[1,"😀",{}],"n":0,"t":null}"#, &["-0 is 0", "true is null"]),
            (r#"{"ab":[1,"x",{}],"n":-0,"t":true}"#, &["\"\\ud83d\\ude00\" is \"x\""]),
            (r#"{"ab":[1.0,"😀",{}],"n":"-0","t":"true"}"#, &["1 is 1.0", "-0 is \"-0\"", "true is \"true\""]),
        ] {
            assert_eq!(found(text, Dialect::Strict, target).expect("scalars alone differ"), expected, "{target}");
        }
    }

    #[test]
    fn what_is_more_than_scalars_or_no_document_is_left_to_the_parser() {
        let target = r#"{"a":[1,"b"],"c":{}}"#;
        for text in [
            r#"{"a":[2,"x"],"c":{}}"#,
            r#"{"a":[1,"b"],"c":[]}"#,
            r#"{"a":[1,"b"]}"#,
            r#"{"a":[1,"b"],"c":{},"d":1}"#,
            r#"{"c":{},"a":[1,"b"]}"#,
            r#"{"a":[1,"b"],"c":{"d":1}}"#,
            r#"{"a":[1,"b"],"c":{}"#,
            r#"{"a":[1,"b"],"c":{}}}"#,
            r#"{"a":[1,"b",],"c":{}}"#,
            r#"{"a":[1 "b"],"c":{}}"#,
            r#"{"a":[1,"b],"c":{}}"#,
            r#"{"a":[1,"b\q"],"c":{}}"#,
            "{\"a\":[1,\"b\t\"],\"c\":{}}",
            "{\"a\":[1,\"\\u0062\t\"],\"c\":{}}",
            "{\"a\":[1,\"b\"],\u{a0}\"c\":{}}",
            r#"{"a":[01,"b"],"c":{}}"#,
            r#"{"a":[1.,"b"],"c":{}}"#,
            r#"{"a":[true1,"b"],"c":{}}"#,
            r#"{"a":[1,"b"],/**/"c":{}}"#,
            "",
        ] {
            assert_eq!(found(text, Dialect::Strict, target), None, "{text}");
        }
        let comments = "// {\n{\"a\":[1,/*/ , */\"b\",],\"c\":{},}//";
        assert_eq!(found(comments, Dialect::Comments, target), Some(Vec::new()));
        for text in ["{\"a\":[1,\"b\"],\"c\":{,}}", "{\"a\":[1,\"b\"],\"c\":{}}/*/"] {
            assert_eq!(found(text, Dialect::Comments, target), None, "{text}");
        }
    }

    #[test]
    fn depth_and_keys_have_their_limits_here_too() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        let deepest = value(&nested(limits::DEPTH_MAX));
        assert!(differing(&nested(limits::DEPTH_MAX), Dialect::Strict, &deepest).is_some());
        let deeper: Value = [deepest].into_iter().collect();
        assert!(differing(&nested(limits::DEPTH_MAX + 1), Dialect::Strict, &deeper).is_none());
        for (len, expected) in [(limits::KEY_MAX, true), (limits::KEY_MAX + 1, false)] {
            let key = "k".repeat(len);
            let target: Value = [(&*key, 1)].into_iter().collect();
            assert_eq!(differing(&format!("{{\"{key}\":1}}"), Dialect::Strict, &target).is_some(), expected);
        }
    }

    #[test]
    fn of_a_text_that_is_known_only_what_changed_is_looked_at() {
        let text = "// {[\"\n{\"a]\\\"\": {\"x\": [1, \"}\\\\\"], /* \"] */ \"y\": -1e5,}, \"\\u0062\": {\"c\": [{}, true, null]}}";
        let known = crate::document::parse(&Format::Jsonc, text.as_bytes()).expect("a test's own text");
        let after = |ops: &[Op]| {
            let mut state = State::new(known.clone());
            state.apply(ops).expect("a test's own ops");
            state.root().clone()
        };
        let set = |path: &str, value: &str| {
            Op::set(path, crate::document::parse(&Format::Json, value.as_bytes()).expect("a scalar"))
        };
        for (ops, expected) in [
            (&[][..], Some(&[][..])),
            (&[set("b.c.2", "5")], Some(&["null is 5"])),
            (&[set("b.c.2", "5"), set(r#""a]\"".y"#, "\"\"")], Some(&["-1e5 is \"\"", "null is 5"])),
            (&[set("b.c.2", "5"), set("b.c.1", "5")], None),
            (&[set("b.c.0", "5")], None),
            (&[set("b.new", "5")], None),
            (&[Op::remove("b")], None),
        ] {
            let target = after(ops);
            let found = changed(text, Dialect::Comments, &known, &target);
            let found = found.map(|found| {
                found.iter().map(|one| format!("{} is {}", &text[one.at.clone()], one.target)).collect::<Vec<_>>()
            });
            assert_eq!(
                found.as_deref(),
                expected.map(|some| some.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>()).as_deref(),
                "{target}"
            );
        }
        let target = after(&[set("b.c.2", "5")]);
        for other in [
            text.replace("null", "false"),
            text.replace("\"c\"", "\"d\""),
            text.replace("\"c\": [{}, true, null]", ""),
            text.replace("\"c\": [{}, true, null]", "\"c\": 1"),
            text.replace("true, null", "true"),
            "[]".to_owned(),
            String::new(),
        ] {
            assert_eq!(changed(&other, Dialect::Comments, &known, &target), None, "{other}");
        }
        let cut = text.split_inclusive("null").next().expect("split gives one part at least");
        assert!(
            changed(cut, Dialect::Comments, &known, &target).is_some(),
            "behind the last change nothing is looked at"
        );
    }

    #[test]
    fn a_copy_with_anything_else_changed_proves_nothing() {
        let (old, target) = ("[\"ä\", 1, 2 ]", value("[\"ä\",1,12]"));
        let differing = differing(old, Dialect::Strict, &target).expect("a scalar alone");
        let proven = |new: &str| replaced_alone(old, new, Dialect::Strict, &differing);
        assert!(proven("[\"ä\", 1, 12 ]"));
        for wrong in [
            "[\"ä\", 1, 2 ]",
            "[\"ä\", 1, 123 ]",
            "[\"ä\", 1, 12]",
            "[\"ä\", 2, 12 ]",
            "[\"ö\", 1, 12 ]",
            "[\"ä\", 1, 12 ] ",
            "[\"ä\", 1, \"12\" ]",
            "[\"ä\", 1, ",
            "[\"ä\", 1, 12",
            "",
        ] {
            assert!(!proven(wrong), "{wrong}");
        }
        assert!(!replaced_alone(old, "[\"ä\", 1, 3 ]", Dialect::Strict, &[]));
        let large = |end: &str| format!("[\"{}\", {end}]", "x".repeat(3 * limits::PIECE));
        for (end, expected) in [("1, 2", true), ("2, 2", false), ("1, 2, 3", false), ("1", false)] {
            assert_eq!(replaced_alone(&large("1, 2"), &large(end), Dialect::Strict, &[]), expected, "{end}");
        }
    }

    #[test]
    fn a_scalar_stands_for_itself_and_with_anything_behind_it_for_nothing() {
        for (text, target, expected) in [
            ("12", "12", true),
            ("12", "1", false),
            ("12 ", "12", false),
            ("12,", "12", false),
            ("\"\\u0061\"", "\"a\"", true),
            ("\"a\"\"", "\"a\"", false),
            ("null", "null", true),
            ("nulls", "null", false),
            ("[]", "[]", false),
            ("", "\"\"", false),
        ] {
            assert_eq!(is(text, Dialect::Strict, &value(target)), expected, "{text} for {target}");
        }
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let scalar = prop_oneof![
            proptest::sample::select(&["null", "true", "1", "-0", "1.0", "1e3"][..]).prop_map(value),
            "[a-c\"\\\\\n]{0,10}".prop_map(Value::from),
        ];
        scalar.prop_recursive(3, 12, 4, |inner| {
            prop_oneof![
                vec(inner.clone(), 0..4).prop_map(Value::from),
                vec(("[a-c]", inner), 0..4).prop_map(|entries| entries.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_it_says_is_what_the_tree_says(old in any_value(), new in any_value(), is_wide: bool) {
            let text = if is_wide { format!("{old:#}") } else { old.to_string() };
            let tree = parse::parse(&text, Dialect::Strict).expect("it was written so");
            if let Some(found) = differing(&text, Dialect::Strict, &new) {
                prop_assert_eq!(found.is_empty(), old == new, "{} and {}", old, new);
                let by_tree = flow::patch(&tree, None, Tree::ROOT, &new).expect("it can be patched");
                let patched = |splices| edit::apply(&text, 0..text.len(), splices).expect("no two edits meet");
                prop_assert_eq!(patched(found.iter().map(replaced).collect()), patched(by_tree));
            } else {
                prop_assert!(old != new, "{}", text);
            }
        }

        #[test]
        fn a_text_that_is_another_one_than_known_is_gone_through_all_the_same(
            text in "([{}\\[\\],:/*\" \n\\\\]|\"a\":|true|1|é){0,40}", a in any_value(), b in any_value(), with_comments: bool,
        ) {
            let dialect = if with_comments { Dialect::Comments } else { Dialect::Strict };
            for text in [&text, &format!("{{\"a\":{text}"), &format!("[{text}")] {
                let known = [("a", a.clone()), ("b", b.clone())].into_iter().collect();
                let target = [("a", b.clone()), ("b", a.clone())].into_iter().collect();
                let found = changed(text, dialect, &known, &target).unwrap_or_default();
                prop_assert!(found.iter().all(|one| text.get(one.at.clone()).is_some()));
                let _ = changed(text, dialect, &a, &b);
            }
        }

        #[test]
        fn what_is_known_changes_no_answer(
            old in any_value(), sets in vec((any::<proptest::sample::Index>(), any_value(), any::<bool>()), 0..3), is_wide: bool,
        ) {
            let text = if is_wide { format!("{old:#}") } else { old.to_string() };
            let mut state = State::new(old.clone());
            for (place, value, anew) in sets {
                let mut paths = Vec::new();
                collect(state.root(), Path::root(), &mut paths);
                let path = paths[place.index(paths.len())].clone();
                let remove = anew.then(|| Op::Remove { path: path.clone() });
                // Not every op fits: then nothing is changed.
                let _ = state.apply(&remove.into_iter().chain([Op::Set { path, value }]).collect::<Vec<_>>());
            }
            let new = state.root();
            if let Some(found) = changed(&text, Dialect::Strict, &old, new) {
                prop_assert_eq!(Some(found), differing(&text, Dialect::Strict, new), "{} and {}", old, new);
            }
        }
    }

    /// All places in a value.
    fn collect(value: &Value, path: Path, into: &mut Vec<Path>) {
        match value {
            Value::Object(map) => map.iter().for_each(|(key, value)| collect(value, path.join(key), into)),
            Value::Array(list) => list.iter().enumerate().for_each(|(at, value)| collect(value, path.join(at), into)),
            _ => {}
        }
        into.push(path);
    }
}
