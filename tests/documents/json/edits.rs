//! One story each: a text, what it shall stand for, what comes out.

use super::{json, patched};
use cfgwal::document::{Format, parse, render};

fn edit(text: &str, target: &str, expected: &str) {
    assert_eq!(patched(&Format::Json, text, &json(target)), expected);
}

fn edit_jsonc(text: &str, target: &str, expected: &str) {
    assert_eq!(patched(&Format::Jsonc, text, &json(target)), expected);
}

#[test]
fn nothing_to_change_changes_nothing() {
    let text =
        "\u{feff} {\"a\" :1e3 ,\r\n\t\"\\u00e9\\/\": [ 1.0,-0, 123456789012345678901234567890 ] , \"\": {}\n}\n\n";
    edit(text, r#"{"a":1e3,"é/":[1.0,-0,123456789012345678901234567890],"":{}}"#, text);
}

#[test]
fn a_changed_scalar_changes_its_own_bytes() {
    edit(
        "{ \"a\" :  1 , \"b\":[true ,  null] }",
        r#"{"a":"x","b":[true,false]}"#,
        "{ \"a\" :  \"x\" , \"b\":[true ,  false] }",
    );
}

#[test]
fn numbers_are_written_as_they_are_given() {
    edit(r#"{"a": 2.5, "b": 1}"#, r#"{"a":2.50,"b":1.0}"#, r#"{"a": 2.50, "b": 1.0}"#);
    edit("1", "123456789012345678901234567890", "123456789012345678901234567890");
}

#[test]
fn the_way_a_neighbour_is_spelled_stays() {
    edit(r#"["\u00e9", "\/", 1E+2, 1]"#, r#"["é","/",1E+2,2]"#, r#"["\u00e9", "\/", 1E+2, 2]"#);
    edit(r#"{"\u0061": 1, "b": 2}"#, r#"{"a":3,"b":2}"#, r#"{"\u0061": 3, "b": 2}"#);
}

#[test]
fn byte_order_mark_line_ends_and_missing_final_newline_stay() {
    edit("\u{feff}{\r\n  \"a\": 1\r\n}", r#"{"a":1,"b":2}"#, "\u{feff}{\r\n  \"a\": 1,\r\n  \"b\": 2\r\n}");
    edit("{\r  \"a\": 1\r}\r", r#"{"a":1,"b":2}"#, "{\r  \"a\": 1,\r  \"b\": 2\r}\r");
}

#[test]
fn new_lines_in_a_file_of_mixed_line_ends_are_as_their_neighbours() {
    let text = "{\r\n  \"a\": {\n    \"x\": 1\n  },\r\n  \"b\": 2\r\n}";
    let expected =
        "{\r\n  \"a\": {\n    \"x\": 1,\n    \"y\": [\n      1\n    ]\n  },\r\n  \"b\": 2,\r\n  \"c\": 3\r\n}";
    edit(text, r#"{"a":{"x":1,"y":[1]},"b":2,"c":3}"#, expected);
}

#[test]
fn a_file_of_one_line_stays_on_one_line() {
    edit(r#"{"a":1}"#, r#"{"a":1,"b":{"c":[1,2],"d":{}}}"#, r#"{"a":1,"b":{"c":[1,2],"d":{}}}"#);
    edit(r#"{"a": 1}"#, r#"{"a":1,"b":{"c":[1,2]}}"#, r#"{"a": 1, "b": {"c": [1, 2]}}"#);
    edit(r#"{ "a": 1 }"#, r#"{"b":2,"a":1}"#, r#"{ "b": 2, "a": 1 }"#);
    edit("[1,2]", "[[3,4]]", "[[3,4]]");
    edit("[1,2]", r#"{"a":[1]}"#, r#"{"a": [1]}"#);
}

#[test]
fn the_colon_is_written_as_in_the_neighbour() {
    edit("{\n  \"a\" : 1\n}", r#"{"a":1,"b":2}"#, "{\n  \"a\" : 1,\n  \"b\" : 2\n}");
    edit("{\"a\": {\"x\" : 1}}", r#"{"a":{"x":1,"y":2}}"#, "{\"a\": {\"x\" : 1, \"y\" : 2}}");
    // Columns are not a way to write colons.
    edit("{\n  \"a\"   : 1\n}", r#"{"a":1,"b":2}"#, "{\n  \"a\"   : 1,\n  \"b\": 2\n}");
}

#[test]
fn a_new_nested_value_is_indented_as_the_file_is() {
    edit(
        "{\n\t\"a\": 1\n}\n",
        r#"{"a":1,"b":{"c":[1,{}],"d":[]}}"#,
        "{\n\t\"a\": 1,\n\t\"b\": {\n\t\t\"c\": [\n\t\t\t1,\n\t\t\t{}\n\t\t],\n\t\t\"d\": []\n\t}\n}\n",
    );
    edit("{\n    \"a\": 1\n}", r#"{"a":[1]}"#, "{\n    \"a\": [\n        1\n    ]\n}");
}

#[test]
fn an_empty_container_is_filled_as_its_surroundings_are_written() {
    edit("{}", r#"{"a":1}"#, "{\n  \"a\": 1\n}");
    edit("[ ]\n", "[1]", "[\n  1\n]\n");
    edit("{}\r\n", r#"{"a":1}"#, "{\r\n  \"a\": 1\r\n}\r\n");
    edit("{\n   \"a\": {}\n}", r#"{"a":{"b":1}}"#, "{\n   \"a\": {\n      \"b\": 1\n   }\n}");
    edit(r#"{"a":{},"b":1}"#, r#"{"a":{"c":1},"b":1}"#, r#"{"a":{"c":1},"b":1}"#);
    edit("{\n  \"a\": {\"b\": {}}\n}", r#"{"a":{"b":{"c":1}}}"#, "{\n  \"a\": {\"b\": {\"c\": 1}}\n}");
}

#[test]
fn an_emptied_container_closes_up() {
    edit("{\n  \"a\": {\n    \"b\": 1\n  }\n}\n", r#"{"a":{}}"#, "{\n  \"a\": {}\n}\n");
    edit("[ 1, 2 ]", "[]", "[]");
}

#[test]
fn a_new_item_is_written_as_the_item_before_it() {
    let servers = "{\n  \"a\": {\"port\": 1},\n  \"b\": {\"port\": 2}\n}";
    let expected = "{\n  \"a\": {\"port\": 1},\n  \"b\": {\"port\": 2},\n  \"c\": {\"port\": 3}\n}";
    edit(servers, r#"{"a":{"port":1},"b":{"port":2},"c":{"port":3}}"#, expected);
    edit("[{\n  \"a\": 1\n}]", r#"[{"a":1},{"a":2}]"#, "[{\n  \"a\": 1\n}, {\n  \"a\": 2\n}]");
    edit("[\n  1, 2, 3,\n  4, 5\n]", "[1,2,3,4,5,6]", "[\n  1, 2, 3,\n  4, 5, 6\n]");
}

#[test]
fn a_line_is_not_made_too_long_to_look_like_its_neighbour() {
    let text = "{\n  \"a\": [1]\n}";
    let long = format!("\"{}\"", "x".repeat(100));
    let target = format!("{{\"a\":[1],\"b\":[{long}]}}");
    edit(text, &target, &format!("{{\n  \"a\": [1],\n  \"b\": [\n    {long}\n  ]\n}}"));
}

#[test]
fn removing_takes_the_item_and_one_comma() {
    for (target, expected) in [
        (r#"{"b":2,"c":3}"#, "{ \"b\":  2,\"c\": 3 }"),
        (r#"{"a":1,"c":3}"#, "{ \"a\": 1, \"c\": 3 }"),
        (r#"{"a":1,"b":2}"#, "{ \"a\": 1, \"b\":  2 }"),
        (r#"{"c":3}"#, "{ \"c\": 3 }"),
        (r#"{"a":1}"#, "{ \"a\": 1 }"),
    ] {
        edit("{ \"a\": 1, \"b\":  2,\"c\": 3 }", target, expected);
    }
}

#[test]
fn removing_the_first_of_a_line_keeps_the_line() {
    edit("[\n  1, 2,\n  3, 4\n]", "[2,4]", "[\n  2,\n  4\n]");
    edit("[\n  1, 2,\n  3, 4\n]", "[1,2,4]", "[\n  1, 2,\n  4\n]");
    edit("[\n  1, 2,\n  3, 4\n]", "[4]", "[\n  4\n]");
}

#[test]
fn elements_alike_at_both_ends_keep_their_spelling() {
    edit("[1.0, 1e3, 2, 3, 1E9]", "[1.0,1e3,3,1E9]", "[1.0, 1e3, 3, 1E9]");
    edit("[ 1.0,1E9 ]", "[1.0,{\"a\":1},1E9]", "[ 1.0,{\"a\": 1},1E9 ]");
}

#[test]
fn a_new_key_stands_where_the_target_has_it() {
    edit("{\n  \"a\": 1,\n  \"c\": 3\n}", r#"{"a":1,"b":2,"c":3}"#, "{\n  \"a\": 1,\n  \"b\": 2,\n  \"c\": 3\n}");
    edit("{\n  \"b\": 2\n}", r#"{"a":1,"b":2}"#, "{\n  \"a\": 1,\n  \"b\": 2\n}");
    edit(r#"{"b":2}"#, r#"{"a":1,"b":2}"#, r#"{"a":1,"b":2}"#);
    edit(r#"{"b": 2}"#, r#"{"a":1,"b":2}"#, r#"{"a": 1, "b": 2}"#);
}

#[test]
fn a_renamed_key_stays_in_its_place() {
    edit(
        "{\n  \"a\": 1,\n  \"b\": 2,\n  \"c\": 3\n}",
        r#"{"a":1,"x":2,"c":3}"#,
        "{\n  \"a\": 1,\n  \"x\": 2,\n  \"c\": 3\n}",
    );
    edit(r#"{"a":1}"#, r#"{"x":1}"#, r#"{"x":1}"#);
}

#[test]
fn what_is_renamed_or_moved_keeps_what_is_said_in_it() {
    let text =
        "{\n  // above\n  \"a\" : { // in\n    \"x\": 1.0, // x\n    \"y\": [ 2 ]\n  }, // behind\n  \"b\": 1\n}\n";
    edit_jsonc(text, r#"{"new":{"x":1.0,"y":[2]},"b":1}"#, &text.replace("\"a\"", "\"new\""));
    edit_jsonc(
        text,
        r#"{"new":{"x":1.0,"y":[2]},"other":1}"#,
        &text.replace("\"a\"", "\"new\"").replace("\"b\"", "\"other\""),
    );
    edit_jsonc(
        "[\n  // above\n  {\"id\" : 1, /* why */ \"n\": 1}, // one\n  [ 2 ], // two\n  3 // three\n]\n",
        r#"[[2],3,{"id":1,"n":1}]"#,
        "[\n  // above\n  [ 2 ], // two\n  3, // three\n  {\"id\" : 1, /* why */ \"n\": 1} // one\n]\n",
    );
    edit_jsonc("[1, 2, [ 3 /* c */ ]]", "[[3],1,2]", "[[ 3 /* c */ ], 1, 2]");
}

#[test]
fn a_moved_key_takes_its_spelling_along() {
    let text = "{\n  \"\\u0061\": [ 1.0,2 ],\n  \"b\": 2,\n  \"c\": 3\n}";
    edit(text, r#"{"b":2,"c":3,"a":[1.0,9]}"#, "{\n  \"b\": 2,\n  \"c\": 3,\n  \"\\u0061\": [ 1.0,9 ]\n}");
    edit(r#"{"a":1,"b":2,"c":3}"#, r#"{"c":3,"b":2,"a":1}"#, r#"{"c":3,"b":2,"a":1}"#);
}

#[test]
fn a_value_of_another_kind_replaces_the_old_one() {
    edit("{\n  \"a\": 1,\n  \"b\": 2\n}", r#"{"a":{"x":1},"b":2}"#, "{\n  \"a\": {\n    \"x\": 1\n  },\n  \"b\": 2\n}");
    edit("{\n  \"a\": [\n    1\n  ]\n}", r#"{"a":null}"#, "{\n  \"a\": null\n}");
    edit("{\"a\": [1, 2],\n \"b\": 1}", r#"{"a":{"x":1},"b":1}"#, "{\"a\": {\"x\": 1},\n \"b\": 1}");
    edit("[]", "\"x\"", "\"x\"");
}

#[test]
fn strings_are_escaped_and_keys_too() {
    edit("{}", r#"{"a\"b\n":"\u0000\t\\é😀"}"#, "{\n  \"a\\\"b\\n\": \"\\u0000\\t\\\\é😀\"\n}");
}

#[test]
fn comments_stay() {
    let text = "// head\n{\n  // above a\n  \"a\": 1, // behind a\n  /* above b */\n  \"b\": 2 /* behind b */\n  // below\n}\n// foot\n";
    edit_jsonc(text, r#"{"a":1,"b":2}"#, text);
    edit_jsonc("[ // blanks at its end  \n  1,\n  2\n]", "[2]", "[ // blanks at its end  \n  2\n]");
    edit_jsonc(text, r#"{"a":9,"b":8}"#, &text.replace("1,", "9,").replace("2 /*", "8 /*"));
}

#[test]
fn a_comment_behind_an_item_goes_with_it_and_others_stay() {
    let text = "{\n  // above a\n  \"a\": 1, // behind a\n  // above b\n  \"b\": 2 // behind b\n}\n";
    edit_jsonc(text, r#"{"b":2}"#, "{\n  // above a\n  // above b\n  \"b\": 2 // behind b\n}\n");
    edit_jsonc(text, r#"{"a":1}"#, "{\n  // above a\n  \"a\": 1 // behind a\n  // above b\n}\n");
    edit_jsonc(text, "{}", "{\n  // above a\n  // above b\n}\n");
    edit_jsonc(
        text,
        r#"{"b":2,"a":1}"#,
        "{\n  \"b\": 2, // behind b\n  // above a\n  \"a\": 1 // behind a\n  // above b\n}\n",
    );
}

#[test]
fn new_items_leave_comments_with_their_items() {
    let text = "{ // head\n  // above a\n  \"a\": 1 // behind a\n}\n";
    edit_jsonc(text, r#"{"a":1,"b":2}"#, "{ // head\n  // above a\n  \"a\": 1, // behind a\n  \"b\": 2\n}\n");
    edit_jsonc(text, r#"{"x":0,"a":1}"#, "{ // head\n  \"x\": 0,\n  // above a\n  \"a\": 1 // behind a\n}\n");
    edit_jsonc("[1, /* two\nlines */\n2]", "[1,9,2]", "[1, /* two\nlines */\n9,\n2]");
    edit_jsonc("[1, /* b */ 2]", "[1,9,2]", "[1, 9, /* b */ 2]");
}

#[test]
fn a_line_comment_never_swallows_what_follows() {
    edit_jsonc("{\"a\": 1 // c\n}", r#"{"a":1,"b":2}"#, "{\"a\": 1, // c\n\"b\": 2\n}");
    edit_jsonc("[1, // c\n 2]", "[1]", "[1 // c\n ]");
    edit_jsonc("[ // c\n 1, 2]", "[2]", "[ // c\n 2]");
    edit_jsonc("[1, // c\n 2]", "[1,3,2]", "[1, // c\n 3,\n 2]");
    edit_jsonc("{ // c\n \"a\": 1,\n \"b\": 2}", "{}", "{ // c\n }");
    edit_jsonc("[1, // c\n 2, 3]", "[4,3]", "[4, // c\n 3]");
    let text = "{\"a\": 1, // c\n \"b\": 2, \"c\": 3}";
    edit_jsonc(text, r#"{"b":2,"c":3,"a":1}"#, "{\n \"b\": 2, \"c\": 3, \"a\": 1 // c\n }");
    edit_jsonc("{\"a\": 1, // c\n \"b\": 2}", r#"{"b":2,"a":1}"#, "{\"b\": 2,\n \"a\": 1 // c\n }");
}

#[test]
fn a_container_of_comments_is_filled_below_them() {
    edit_jsonc("{\n  // none yet\n}\n", r#"{"a":1}"#, "{\n  // none yet\n  \"a\": 1\n}\n");
    edit_jsonc("{ /* none */ }", r#"{"a":1,"b":2}"#, "{ /* none */ \"a\": 1, \"b\": 2 }");
    edit_jsonc("[\n  /* none */]", "[1]", "[\n  /* none */\n  1\n]");
    edit_jsonc("[ // none\n]", "[1,2]", "[ // none\n  1,\n  2\n]");
}

#[test]
fn a_trailing_comma_is_kept_and_never_brought_in() {
    edit_jsonc("[\n  1,\n]", "[1,2]", "[\n  1,\n  2,\n]");
    edit_jsonc("[\n  1,\n  2,\n]", "[1]", "[\n  1,\n]");
    edit_jsonc("[\n  1\n]", "[1,2]", "[\n  1,\n  2\n]");
    edit_jsonc("{\"a\": 1,}", r#"{"b":1}"#, "{\"b\": 1,}");
}

#[test]
fn a_new_file_is_indented_and_ends_its_last_line() {
    let text = render(&Format::Json, &json(r#"{"a":[1,{}],"b":"x"}"#));
    assert_eq!(String::from_utf8(text).unwrap(), "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": \"x\"\n}\n");
}

#[test]
fn jsonc_reads_comments_and_trailing_commas_json_does_not() {
    let text = b"// x\n[1, /* y */ 2,]";
    assert_eq!(parse(&Format::Jsonc, text).unwrap(), json("[1,2]"));
    assert!(parse(&Format::Json, text).is_err());
}

#[test]
fn elements_are_known_again_by_what_they_have_for_themselves() {
    edit_jsonc(
        "[\n  // of a\n  {\"name\": \"a\", \"port\": 1}, // one\n  {\"name\": \"b\", \"port\": 1} // two\n]\n",
        r#"[{"name":"x"},{"name":"a","port":2},{"name":"b","port":3}]"#,
        "[\n  {\"name\": \"x\"},\n  // of a\n  {\"name\": \"a\", \"port\": 2}, // one\n  {\"name\": \"b\", \"port\": 3} // two\n]\n",
    );
    edit_jsonc(
        "[\n  \"run -v\", // one\n  \"stop now\", // two\n  \"wait\" // three\n]\n",
        r#"["wait","run -q","stop then"]"#,
        "[\n  \"wait\", // three\n  \"run -q\", // one\n  \"stop then\" // two\n]\n",
    );
}

#[test]
fn what_has_another_name_and_a_change_in_it_is_known_again() {
    edit_jsonc(
        "{\n  \"a\": 1,\n  \"b\": {\n    // of x\n    \"x\": 1.0, // x\n    \"y\": [ 2 ],\n    \"z\": 3 // z\n  }, // b\n  \"c\": 2\n}\n",
        r#"{"a":1,"new":{"x":1.0,"y":[2],"z":4},"c":2}"#,
        "{\n  \"a\": 1,\n  \"new\": {\n    // of x\n    \"x\": 1.0, // x\n    \"y\": [ 2 ],\n    \"z\": 4 // z\n  }, // b\n  \"c\": 2\n}\n",
    );
    edit_jsonc(
        "{\n  \"b\": [ 2, /* in */ 1.0 ], // b\n  \"c\": 2\n}\n",
        r#"{"c":2,"new":[2,1.0]}"#,
        "{\n  \"c\": 2,\n  \"new\": [ 2, /* in */ 1.0 ] // b\n}\n",
    );
}
