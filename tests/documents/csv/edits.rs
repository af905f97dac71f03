//! One edit at a time, in files of every layout.

use cfgwal::document::{Csv, Format, parse, render};
use cfgwal::{Op, Value};

use super::{edited, format, judge, patched};
use crate::alike::alike;

/// As a trading program's user keeps it: CRLF, comments of every sort, blank lines, decimals that must stay text.
const ORDERS: &str = "\u{feff}# orders, see the wiki\r\n\
    id,pair,volume,limit,enabled\r\n\
    \r\n\
    # big ones,,,,\r\n\
    btc_1,XXBTZUSD,0.0100,107886.30,true\r\n\
    \"# one cell with \"\"quotes\"\", by a spreadsheet\"\r\n\
    eth_1,XETHZUSD,\"1.00\",\"3,500.00\",true\r\n\
    \"# padded by a spreadsheet\",,,,\r\n\
    # too, many, commas, for, the, columns, here,,,\r\n\
    \r\n\
    sol_1,SOLUSD,10,,false\r\n\
    # the end\r\n";

/// Texts with one trait each. All have the keys a, m and z in this order, and the columns `id` and `v`.
const TRAITS: &[(&str, &str)] = &[
    ("plain", "id,v\na,1\nm,2\nz,3\n"),
    ("crlf", "id,v\r\na,1\r\nm,2\r\nz,3\r\n"),
    ("cr", "id,v\ra,1\rm,2\rz,3\r"),
    ("mixed line ends", "id,v\na,1\r\nm,2\nz,3\r\n"),
    ("byte order mark", "\u{feff}id,v\na,1\nm,2\nz,3\n"),
    ("no final newline", "id,v\na,1\nm,2\nz,3"),
    ("comments", "# head\nid,v\n# of a\na,1\n#,\"\nm,2\n# of z\nz,3\n# end\n"),
    ("comment without final newline", "id,v\na,1\nm,2\nz,3\n# end"),
    ("blank lines", "\nid,v\n\na,1\n\n\nm,2\nz,3\n\n"),
    ("all quoted", "\"id\",\"v\"\n\"a\",\"1\"\n\"m\",\"2\"\n\"z\",\"3\"\n"),
    ("some quoted", "id,\"v\"\na,\"1\"\nm,2\n\"z\",\"3\"\n"),
    ("quotes and breaks inside", "id,v\na,\"x\"\"y\"\nm,\"1\n2\"\nz,\"#,\r\n\"\n"),
    ("padded cells", "id, v\na , 1\nm,  2\nz,\t3\n"),
    ("quote inside a bare cell", "id,v\na,x\"y\nm,2\"\nz,3\n"),
    ("key not first", "v,id\n1,a\n2,m\n3,z\n"),
    ("more columns", "x,id,v,y\n,a,1,\n,m,2,é😀\n,z,3,\n"),
    ("empty cells", "id,v\na,\nm,\"\"\nz,\n"),
    ("spreadsheet comments", "id,v\n\"# c, \"\"d\"\"\",\na,1\n\"# e\"\nm,2\nz,3\n"),
];

#[test]
fn whatever_the_layout_an_edit_changes_its_own_bytes() {
    for (name, text) in TRAITS {
        let column = if *name == "padded cells" { " v" } else { "v" };
        for key in ["a", "m", "z"] {
            let key = if *name == "padded cells" && key == "a" { "a " } else { key };
            let old = parse(&format(), text.as_bytes()).unwrap();
            let row = old.as_object().unwrap().get(key).unwrap_or_else(|| panic!("{name}: {old}"));
            let old_len = row.as_object().unwrap().get(column).unwrap().as_str().unwrap().len();

            let changed = edited(&format(), text, &[Op::set(cfgwal::Path::root().join(key).join(column), "new")]);
            // The cell with its quotes, and what it was escaped with.
            assert!(alike(text, &changed) + old_len + 4 >= text.len(), "{name}, {key}: {changed:?}");
            assert!(changed.contains("new"), "{name}");

            let removed = edited(&format(), text, &[Op::remove(cfgwal::Path::root().join(key))]);
            assert_eq!(alike(text, &removed), removed.len(), "{name}, {key}: {removed:?}");
            assert!(text.len() - removed.len() < 26, "{name}, {key}: {removed:?}");
            assert_eq!(text.ends_with(['\n', '\r']), removed.ends_with(['\n', '\r']), "{name}, {key}: {removed:?}");

            let row: Value = [(column, "new")].into_iter().collect();
            let place = Op::Place { path: "n".parse().unwrap(), value: row, before: Some(key.to_owned()) };
            let added = edited(&format(), text, &[place]);
            assert_eq!(alike(text, &added), text.len(), "{name}, {key}: {added:?}");
        }
        let row: Value = [(column, "new")].into_iter().collect();
        let added = edited(&format(), text, &[Op::set("n", row)]);
        assert_eq!(alike(text, &added), text.len(), "{name}: {added:?}");
        assert_eq!(text.ends_with(['\n', '\r']), added.ends_with(['\n', '\r']), "{name}: {added:?}");
    }
}

#[test]
fn a_row_is_an_object_of_strings_and_its_key_is_not_repeated() {
    let value = parse(&format(), ORDERS.as_bytes()).unwrap();
    let rows: Vec<&str> = value.as_object().unwrap().keys().collect();
    assert_eq!(rows, ["btc_1", "eth_1", "sol_1"]);
    let eth = value.as_object().unwrap().get("eth_1").unwrap().to_string();
    assert_eq!(eth, r#"{"pair":"XETHZUSD","volume":"1.00","limit":"3,500.00","enabled":"true"}"#);
}

#[test]
fn one_cell_changes_and_comments_stay_of_whatever_sort() {
    let changed = edited(&format(), ORDERS, &[Op::set("eth_1.limit", "3600.10"), Op::set("sol_1.limit", 5)]);
    let expected = ORDERS.replace("3,500.00", "3600.10").replace("SOLUSD,10,,", "SOLUSD,10,5,");
    assert_eq!(changed, expected);
}

#[test]
fn a_new_row_goes_after_the_last_and_is_quoted_as_that_one_is() {
    let row: Value = [("pair", "A,B"), ("enabled", "true")].into_iter().collect();
    let added = edited(&format(), ORDERS, &[Op::set("new_1", row.clone())]);
    assert_eq!(added, ORDERS.replace("false\r\n", "false\r\nnew_1,\"A,B\",,,true\r\n"));

    let text = "\"id\",\"pair\",\"enabled\"\n\"a\",\"x\",\"y\"";
    let added = edited(&format(), text, &[Op::set("b", row)]);
    assert_eq!(added, format!("{text}\n\"b\",\"A,B\",\"true\""));
    let text = "id,v\na,\"1\"\n";
    assert_eq!(edited(&format(), text, &[Op::set("b.v", "2")]), format!("{text}b,\"2\"\n"));
    assert_eq!(edited(&format(), "id,v", &[Op::set("b.v", "2")]), "id,v\nb,2");
}

#[test]
fn a_removed_row_takes_its_line_and_no_comment() {
    let removed = edited(&format(), ORDERS, &[Op::remove("eth_1")]);
    assert_eq!(removed, ORDERS.replace("eth_1,XETHZUSD,\"1.00\",\"3,500.00\",true\r\n", ""));
    let text = "id,v\n# c\na,1\nb,2";
    assert_eq!(edited(&format(), text, &[Op::remove("b")]), "id,v\n# c\na,1");
    assert_eq!(edited(&format(), text, &[Op::remove("a"), Op::remove("b")]), "id,v\n# c");
}

#[test]
fn a_moved_row_is_renamed_where_it_is() {
    let renamed = edited(&format(), ORDERS, &[Op::move_to("eth_1", "eth_2")]);
    assert_eq!(renamed, ORDERS.replace("eth_1", "eth_2"));
}

#[test]
fn a_row_may_say_its_key_and_leave_cells_out() {
    let row: Value = [("id", "n"), ("pair", "P")].into_iter().collect();
    let added = edited(&format(), ORDERS, &[Op::set("n", row)]);
    assert!(added.contains("\r\nn,P,,,\r\n"), "{added}");
    let emptied = edited(&format(), ORDERS, &[Op::remove("eth_1.limit")]);
    assert_eq!(emptied, ORDERS.replace("\"3,500.00\"", "\"\""));
}

#[test]
fn what_would_read_as_something_else_is_quoted() {
    let text = "id,v\na,1\n";
    for (key, cell, line) in [
        ("#b", "1", "\"#b\",1"),
        ("b", "#", "b,#"),
        ("b", "x\ny", "b,\"x\ny\""),
        ("b", "\"", "b,\"\"\"\""),
        ("b", " x ", "b, x "),
        ("", "1", ",1"),
    ] {
        let target: Value = [("a", [("v", "1")]), (key, [("v", cell)])]
            .into_iter()
            .map(|(key, row)| (key, row.into_iter().collect::<Value>()))
            .collect();
        assert_eq!(patched(&format(), text, &target), format!("{text}{line}\n"));
    }
    let target: Value = [("a", Value::object()), ("", Value::object())].into_iter().collect();
    assert_eq!(patched(&format(), "id\na\n", &target), "id\na\n\"\"\n");
}

#[test]
fn the_key_column_is_the_chosen_one_or_id_or_the_first() {
    let key = |format: Format, text: &str| -> Vec<String> {
        parse(&format, text.as_bytes()).unwrap().as_object().unwrap().keys().map(str::to_owned).collect()
    };
    assert_eq!(key(format(), "name,id\nx,1\n"), ["1"]);
    assert_eq!(key(format(), "name,port\nx,1\n"), ["x"]);
    assert_eq!(key(Format::Csv(Csv::default().key("port")), "name,port\nx,1\n"), ["1"]);
    assert_eq!(key(Format::Csv(Csv::default().delimiter(b';')), "id;v\nx;1,5\n"), ["x"]);
    assert_eq!(key(Format::of("a/b.tsv".as_ref()).unwrap(), "id\tv\nx\t1\n"), ["x"]);
}

#[test]
fn a_new_file_has_a_column_for_every_cell() {
    let value: Value = [
        ("a", [("x", Value::from("1,5"))].into_iter().collect::<Value>()),
        ("#b", [("x", Value::from("\"")), ("y", Value::from(2))].into_iter().collect()),
    ]
    .into_iter()
    .collect();
    let text = String::from_utf8(render(&format(), &value)).unwrap();
    assert_eq!(text, "id,x,y\na,\"1,5\",\n\"#b\",\"\"\"\",2\n");
    assert_eq!(judge(&text).len(), 3);
    assert_eq!(render(&format(), &Value::object()), b"id\n");
    assert_eq!(
        render(&Format::Csv(Csv::default().key("name").delimiter(b';')), &value),
        b"name;x;y\na;1,5;\n\"#b\";\"\"\"\";2\n"
    );
}
