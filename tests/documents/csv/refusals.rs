//! What is not a table, what no table can hold, and what the person is told.

use cfgwal::Value;
use cfgwal::document::{Csv, Format, Invalid, Unpatchable, parse, patch};

use super::format;

#[track_caller]
fn says(text: &str, line: usize, column: usize, why: &str) -> Invalid {
    let invalid = parse(&format(), text.as_bytes()).unwrap_err();
    assert_eq!((invalid.line, invalid.column), (line, column), "{invalid}");
    assert!(invalid.why.contains(why), "{invalid}");
    assert_eq!(patch(&format(), text.as_bytes(), &Value::object()), Err(Unpatchable::Invalid(invalid.clone())));
    invalid
}

#[test]
fn a_row_with_too_few_or_too_many_cells_is_refused() {
    says("id,v\r\n# c\r\n\r\na,1\r\nb\r\n", 5, 1, "this row has 1 cells, and the header has 2");
    says("id,v\na,1,2\n", 2, 1, "this row has 3 cells, and the header has 2");
    says("id,v\n  # no comment\n", 2, 1, "1 cells");
}

#[test]
fn a_quote_that_is_never_closed_is_named_where_it_opened() {
    says("id,v\na,1\nb,\"2\nc,3\nd,4\n", 3, 3, "never closed");
    says("id,v\na,\"1\"x\n", 2, 6, "behind the quote");
}

#[test]
fn a_nul_byte_is_refused() {
    says("id,v\na,\u{0}1\n", 2, 3, "NUL");
    says("id,v\na,1\n\0\0\0", 3, 1, "NUL");
}

#[test]
fn no_row_is_shown_where_a_column_holds_secrets() {
    for row in ["a,c4n4ry,1", "a,\"c4n4ry", "a,c4n4ry\nb,1\na,c4n4ry", "\0,c4n4ry"] {
        let text = format!("# c\n\nid,Password\n{row}\n");
        let invalid = parse(&format(), text.as_bytes()).unwrap_err();
        assert!(invalid.shown == "***" && !invalid.to_string().contains("c4n4ry"), "{invalid}");
    }
    let latin = parse(&format(), b"id,password\na,c4n4ry\xFF\n").unwrap_err();
    assert_eq!((latin.line, &*latin.shown), (2, "***"));
    assert_eq!(says("id,password,id\na,1,2\n", 1, 13, "there twice").shown, "id,password,id");
}

#[test]
fn a_second_byte_order_mark_is_refused() {
    says("\u{feff}\u{feff}id,v\na,1\n", 1, 1, "a second byte order mark");
}

#[test]
fn a_header_with_another_delimiter_is_refused() {
    says("id;v\na;1\n", 1, 1, "';'");
    says("id\tv\na\t1\n", 1, 1, "'\\t'");
    let format = Format::Csv(Csv::default().delimiter(b';'));
    assert!(parse(&format, b"id,v\na,1\n").unwrap_err().why.contains("','"));
}

#[test]
fn two_columns_of_one_name_and_two_rows_of_one_key_are_refused_with_both_places() {
    says("id,v,v\na,1,2\n", 1, 6, "the column \"v\" is there twice; the first is at line 1, column 4");
    says(
        "id,v\na,1\n# c\n\"a\",2\n",
        4,
        1,
        "two rows have the key \"a\" in column \"id\"; the first is at line 2, column 1",
    );
    let invalid = says("x,y\n1,a\n1,b\n", 3, 1, "choose a column");
    let format = Format::Csv(Csv::default().key("y"));
    assert!(parse(&format, b"x,y\n1,a\n1,b\n").is_ok(), "{invalid}");
}

#[test]
fn a_key_column_that_is_not_there_is_refused() {
    let format = Format::Csv(Csv::default().key("name"));
    let invalid = parse(&format, b"# c\nid,v\na,1\n").unwrap_err();
    assert_eq!((invalid.line, invalid.why.as_str()), (2, "the key column \"name\" is not in the header"));
}

#[test]
fn no_header_is_no_table() {
    says("# nothing\n\n", 3, 1, "there is no header");
    says("", 1, 1, "empty");
    assert!(parse(&format(), b"id,v\na,\xff\n").unwrap_err().why.contains("UTF-8"));
}

#[test]
fn what_no_cell_can_hold_is_unwritable() {
    let json = |text: &str| parse(&Format::Json, text.as_bytes()).unwrap();
    for (target, why) in [
        ("[]", "an object of rows"),
        ("{\"a\": 1}", "the row \"a\" is no object"),
        ("{\"a\": {\"v\": [1]}}", "\"v\" of the row \"a\" is array"),
        ("{\"a\": {\"v\": null}}", "\"v\" of the row \"a\" is null"),
        ("{\"a\": {\"w\": \"1\"}}", "there is no column \"w\" for the row \"a\"; add it"),
        ("{\"a\": {\"id\": \"b\"}}", "to rename the row, move it"),
        ("{\"#a\": {}}", "would read as a comment"),
    ] {
        match patch(&format(), b"id,v\na,1\n", &json(target)) {
            Err(Unpatchable::Unwritable(said)) => assert!(said.contains(why), "{target}: {said}"),
            other => panic!("{target}: {other:?}"),
        }
    }
}

/// Without its rows such a file would be blank.
#[test]
fn a_header_of_one_blank_column_is_refused() {
    says("\u{c}\n1\n2\n", 1, 1, "without a name");
    says("# head\n\" \"\n1\n", 2, 1, "without a name");
}
