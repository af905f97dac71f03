//! Texts with one trait each, edited at the beginning, in the middle and at the end.

use cfgwal::{Op, Path, Value};

use super::{edited, value};
use crate::alike::alike;

/// All have the keys a, m and z in this order at `path`.
const TRAITS: &[(&str, &str, &str)] = &[
    ("plain", "", "a = 1\nm = 2\nz = 3\n"),
    ("no spaces", "", "a=1\nm=2\nz=3\n"),
    ("aligned", "", "a    = 1\nm    = 2\nz    = 3\n"),
    ("crlf", "", "a = 1\r\nm = 2\r\n\r\nz = 3\r\n"),
    ("byte order mark", "", "\u{feff}a = 1\nm = 2\nz = 3\n"),
    ("no final newline", "", "a = 1\nm = 2\nz = 3"),
    ("comments", "", "# head\n\n# of a\na = 1 # 1\n# of m\nm = 2 # 2\n\n# of z\nz = 3 # 3\n# end"),
    ("blank lines", "", "\n\na = 1\n\nm = 2\n\n\nz = 3\n\n"),
    ("before tables", "", "a = 1\nm = 2\nz = 3\n\n[t]\na = 1\n"),
    ("in a table", "t", "x = 1\n[t] # t\na = 1\nm = 2\nz = 3\n\n[u]\n"),
    ("in an indented table", "t", "[t]\n  a = 1\n  m = 2\n  z = 3\n  [t.u]\n    x = 1\n"),
    ("in an array of tables", "t[1]", "[[t]]\n[[t]]\na = 1\nm = 2\nz = 3\n[[t]]\n"),
    ("dotted keys", "t", "t.a = 1\nt.m = 2\nt.z = 3\n"),
    ("quoted keys", "", "\"a\" = 1\n'm' = 2\n\"\\u007A\" = 3\n"),
    ("numbers", "", "a = 0x1F\nm = 1_000\nz = +1e3\n"),
    ("dates", "", "a = 1979-05-27\nm = 07:32:00\nz = 1979-05-27 07:32:00Z\n"),
    ("strings", "", "a = 'x'\nm = \"\"\"\nx = 1\n\"\"\"\nz = '''\n# no comment'''\n"),
    ("arrays", "", "a = [ 1,2 , ]\nm = [\n  1, # one\n  # two\n  2\n] # end\nz = [[],[{}]]\n"),
    ("inline tables", "", "a = {}\nm = { x=1, y.z = 2 }\nz = { x = [\n1,\n] }\n"),
    ("inline, on one line", "t", "t = { a = 1, m = 2, z = 3 } # t\n"),
    ("inline, on several lines", "t", "t = {\n  a = 1, # 1\n  m = 2,\n  z = 3 # 3\n}\n"),
    ("tables", "", "[a]\nx = 1\n\n# of m\n[m] # m\nx = 2\n\n[z]\n"),
    ("tight tables", "", "[a]\nx = 1\n[m]\n[z]\nx = 3"),
    ("tables in a table", "t", "[t.a]\nx = 1\n\n[t.m.n]\nx = 2\n\n[t]\n\n[t.z]\n"),
    ("arrays of tables", "", "[[a]]\n\n[[m]]\nx = 1\n[[m]]\n\n[[z]]\n"),
    ("not latin", "", "a = \"é😀\"\nm = \"\u{202e}\" # ü\nz = 1\n"),
];

/// A new last item has its comma where the old one ends, and the rest behind the comment there.
fn without_commas(text: &str) -> String {
    text.replace(',', "")
}

fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

#[test]
fn whatever_the_layout_an_edit_changes_its_own_bytes() {
    for (name, table, text) in TRAITS {
        let table = Path::parse(table).unwrap();
        let old = value(text);
        let members = old.get(&table).unwrap().as_object().unwrap();
        for key in ["a", "m", "z"] {
            let path = table.join(key);
            let is_table = text.contains(&format!("{key}]")) || name.contains("tables in");

            let removed = edited(text, &[Op::remove(path.clone())]);
            assert_eq!(alike(text, &removed), removed.len(), "{name}, {key} removed: {removed}");
            assert_eq!(
                text.ends_with('\n') && !removed.is_empty(),
                removed.ends_with('\n'),
                "{name}, {key}: {removed:?}"
            );

            // An array with comments inside does not become a string.
            let has_comments = *name == "arrays" && key == "m";
            if !is_table && !has_comments {
                let changed = edited(text, &[Op::set(path.clone(), "new")]);
                let new = changed.find("\"new\"").unwrap();
                let after = &changed[new + "\"new\"".len()..];
                assert!(text.starts_with(&changed[..new]) && text.ends_with(after), "{name}, {key} changed: {changed}");
            }

            let place = Op::Place { path: table.join("n"), value: Value::from(9), before: Some(key.to_owned()) };
            let added = edited(text, &[place]);
            assert_eq!(alike(text, &added), text.len(), "{name}, before {key}: {added}");
            assert!(added.len() - text.len() < 15, "{name}, before {key}: {added}");
            assert_eq!(text.ends_with('\n'), added.ends_with('\n'), "{name}, {key}: {added:?}");

            let renamed = edited(text, &[Op::move_to(path, table.join("renamed"))]);
            let count = |text: &str| text.matches("renamed").count();
            assert!(
                count(&renamed) > 0 && lines(&renamed).len() == lines(text).len(),
                "{name}, {key} renamed: {renamed}"
            );
        }
        let added = edited(text, &[Op::set(table.join("n"), 9)]);
        let (plain, added) = (without_commas(text), without_commas(&added));
        assert_eq!(alike(&plain, &added), plain.len(), "{name}, added: {added}");
        assert_eq!(edited(text, &[Op::set(table.join("n"), 9), Op::remove(table.join("n"))]), *text, "{name}");
        assert!(members.len() >= 3, "{name}");
    }
}

#[test]
fn tables_come_where_they_belong_whatever_the_layout() {
    for (name, table, text) in TRAITS {
        let table = Path::parse(table).unwrap();
        let inner: Value = [("deep", [("x", 1)].into_iter().collect::<Value>())].into_iter().collect();
        for value in [inner.clone(), Value::from(vec![inner.clone(), inner])] {
            let added = edited(text, &[Op::set(table.join("n"), value)]);
            let (text, added) = (without_commas(text), without_commas(&added));
            assert_eq!(alike(&text, &added), text.len(), "{name}: {added}");
        }
    }
}
