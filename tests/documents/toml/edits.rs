//! One edit at a time: what it looks like.

use cfgwal::document::{Format, parse, render};
use cfgwal::{Op, Value};

use super::{edited, is_judged, value};

fn json(text: &str) -> Value {
    parse(&Format::Json, text.as_bytes()).unwrap()
}

#[track_caller]
fn becomes(text: &str, ops: &[Op], expected: &str) {
    let result = edited(text, ops);
    assert!(result == expected, "from\n{text}\nto\n{result}\ninstead of\n{expected}");
}

#[test]
fn values_are_what_a_program_wants() {
    let text = "i = 1_000\nh = 0x1F\no = 0o17\nb = 0b11\np = +5\nf = 2.50\ne = 1e3\ng = 1_0.5\nn = -0.0\n\
        inf = -inf\nnan = nan\nd = 1979-05-27T07:32:00Z\nl = 1979-05-27 07:32:00.5\nday = 1979-05-27\nt = 07:32:00\n\
        s = 'a\\b'\nm = \"\"\"\nx\\\n   y\"\"\"\nok = true\na = [1, \"2\", [3]]\nx = { y.z = 1 }\n";
    let expected = r#"{"i":1000,"h":31,"o":15,"b":3,"p":5,"f":2.50,"e":1e3,"g":10.5,"n":-0.0,
        "inf":"-inf","nan":"nan","d":"1979-05-27T07:32:00Z","l":"1979-05-27 07:32:00.5","day":"1979-05-27","t":"07:32:00",
        "s":"a\\b","m":"xy","ok":true,"a":[1,"2",[3]],"x":{"y":{"z":1}}}"#;
    assert_eq!(value(text), json(expected));
}

#[test]
fn numbers_and_dates_are_written_as_they_come_and_kept_as_they_are() {
    let text = "a = 0x1F # hex\nb = 1_000\nc = 2.5\nd = 1979-05-27\n";
    becomes(text, &[Op::set("c", json("2.50"))], "a = 0x1F # hex\nb = 1_000\nc = 2.50\nd = 1979-05-27\n");
    becomes(text, &[Op::increment("a", 1)], "a = 32 # hex\nb = 1_000\nc = 2.5\nd = 1979-05-27\n");
    becomes(text, &[Op::set("a", 31), Op::set("d", "1979-05-27")], text);
    becomes(text, &[Op::set("d", "1979-05-28")], &text.replace("1979-05-27", "\"1979-05-28\""));
}

#[test]
fn a_changed_value_leaves_its_comment_and_spacing() {
    becomes(
        "a=1# one\nb   = \"x\"   # two\n",
        &[Op::set("a", "y"), Op::set("b", 2)],
        "a=\"y\"# one\nb   = 2   # two\n",
    );
    becomes("[a.b]\n\"c d\" . 'e' = [1] # x\n", &[Op::set("a.b.\"c d\".e", true)], "[a.b]\n\"c d\" . 'e' = true # x\n");
}

#[test]
fn a_new_key_is_written_as_the_ones_around_it() {
    becomes("a=1\n[t]\n  b=2\n\n[u]\n", &[Op::set("t.c", 3)], "a=1\n[t]\n  b=2\n  c=3\n\n[u]\n");
    becomes("a = 1\n\n[t]\nb = 2\n", &[Op::set("z", 3)], "a = 1\nz = 3\n\n[t]\nb = 2\n");
    becomes("[t]\nb = 2\n", &[Op::set("z", 3), Op::set("y", 4)], "z = 3\ny = 4\n\n[t]\nb = 2\n");
    becomes("# licence\n\n[t]\n", &[Op::set("t.\"a b\"", "x")], "# licence\n\n[t]\n\"a b\" = \"x\"\n");
    becomes("# licence\n\n[t]\n", &[Op::set("a", 1)], "# licence\n\na = 1\n\n[t]\n");
    becomes("", &[Op::set("a", 1)], "a = 1\n");
    becomes("# licence\n", &[Op::set("a", 1), Op::set("b", 1)], "# licence\n\na = 1\nb = 1\n");
    becomes("a = 1", &[Op::set("b", 2)], "a = 1\nb = 2");
    becomes("a = 1\r\n", &[Op::set("b", 2)], "a = 1\r\nb = 2\r\n");
    becomes("\u{feff}a = 1\r\n[t]", &[Op::set("t.b", json("[1,2]"))], "\u{feff}a = 1\r\n[t]\r\nb = [1, 2]");
}

#[test]
fn dotted_keys_are_extended_by_dotted_keys() {
    becomes("a.b.c = 1\nx = 2\n", &[Op::set("a.b.d", 3)], "a.b.c = 1\na.b.d = 3\nx = 2\n");
    becomes("a . b . c=1\nx = 2\n", &[Op::set("a.d", json("{\"e\": 1}"))], "a . b . c=1\na . d={ e = 1 }\nx = 2\n");
    becomes("edition.workspace = true\n", &[Op::remove("edition.workspace")], "edition = {}\n");
    becomes("a.b = 1\na.c = 2\n", &[Op::remove("a")], "");
}

#[test]
fn a_new_table_comes_after_its_siblings() {
    let text = "[servers.a]\nport = 1\n\n[servers.b] # second\nport = 2\n# still b\n\n# clients\n[client]\nx = 1\n";
    let expected = "[servers.a]\nport = 1\n\n[servers.b] # second\nport = 2\n# still b\n\n\
        [servers.c]\nport = 3\ntags = [\"x\"]\n\n# clients\n[client]\nx = 1\n";
    becomes(text, &[Op::set("servers.c", json("{\"port\": 3, \"tags\": [\"x\"]}"))], expected);
    becomes("[a]\nx = 1", &[Op::set("b", json("{\"y\": {\"z\": 1}}"))], "[a]\nx = 1\n\n[b.y]\nz = 1");
    becomes("[a]\nx=1\n[b]\n", &[Op::set("c", json("{\"y\": 1}"))], "[a]\nx=1\n[b]\n[c]\ny=1\n");
    becomes("x = 1\n", &[Op::set("t", json("{}"))], "x = 1\n\n[t]\n");
    becomes("[a.b]\nx = 1\n", &[Op::set("a.y", 2)], "[a]\ny = 2\n\n[a.b]\nx = 1\n");
}

#[test]
fn a_new_table_is_inline_where_its_siblings_are() {
    let text = "[dependencies]\nserde = { version = \"1\", features = [\"derive\"] }\nlog = \"0.4\"\n\n[features]\n";
    let expected = text.replace("\"0.4\"\n", "\"0.4\"\nrand = { version = \"0.9\" }\n");
    becomes(text, &[Op::set("dependencies.rand", json("{\"version\": \"0.9\"}"))], &expected);
    let expected = text.replace("\"derive\"]", "\"derive\", \"rc\"]");
    becomes(text, &[Op::push("dependencies.serde.features", "rc")], &expected);
    let expected = text.replace("version = \"1\", ", "");
    becomes(text, &[Op::remove("dependencies.serde.version")], &expected);
}

#[test]
fn what_is_removed_takes_the_comment_that_touches_it_and_no_other() {
    let text = "# licence\n\n# of a\na = 1 # too\n# of b\nb = 2\n\n# apart\n\nc = 3\n";
    becomes(text, &[Op::remove("a")], "# licence\n\n# of b\nb = 2\n\n# apart\n\nc = 3\n");
    becomes(text, &[Op::remove("b")], "# licence\n\n# of a\na = 1 # too\n\n# apart\n\nc = 3\n");
    becomes(text, &[Op::remove("c")], "# licence\n\n# of a\na = 1 # too\n# of b\nb = 2\n\n# apart\n");
    becomes("# of a\na = 1\nb = 2", &[Op::remove("a")], "b = 2");
    becomes("a = 1\nb = 2", &[Op::remove("b")], "a = 1");
}

#[test]
fn a_removed_table_takes_its_header_its_lines_and_its_tables() {
    let text = "x = 1\n\n# of a\n[a] # a\ny = 1\n# in a\n\n[b]\nz = 1\n\n[a.c]\nz = 2\n\n# of d\n[d]\n";
    becomes(text, &[Op::remove("a")], "x = 1\n\n[b]\nz = 1\n\n# of d\n[d]\n");
    becomes(text, &[Op::remove("b")], &text.replace("[b]\nz = 1\n\n", ""));
    becomes(text, &[Op::remove("d")], text.strip_suffix("\n# of d\n[d]\n").unwrap());
    becomes(text, &[Op::remove("a.c")], &text.replace("[a.c]\nz = 2\n\n", ""));
    becomes("[a.b]\nx = 1\n[c]\n", &[Op::remove("a.b")], "[a]\n[c]\n");
    becomes("[a]\n", &[Op::remove("a")], "");
}

#[test]
fn an_array_of_lines_gets_a_line_more_with_the_comma_before_the_comment() {
    becomes(
        "a = [\n  1, # one\n  2 # two\n] # end\n",
        &[Op::push("a", 3)],
        "a = [\n  1, # one\n  2, # two\n  3\n] # end\n",
    );
    becomes("a = [\n  1,\n]\n", &[Op::push("a", json("[2]"))], "a = [\n  1,\n  [2],\n]\n");
    becomes("a = [1,2]\n", &[Op::push("a", 3)], "a = [1,2,3]\n");
    becomes("a = [ 1, 2 ]\n", &[Op::remove("a[0]")], "a = [ 2 ]\n");
    becomes(
        "a = [\n    # of 1\n    1,\n    # of 2\n    2,\n]\n",
        &[Op::set("a[1]", "x")],
        "a = [\n    # of 1\n    1,\n    # of 2\n    \"x\",\n]\n",
    );
    becomes("a = []\n", &[Op::push("a", "x")], "a = [\"x\"]\n");
    let long: Vec<Value> = (0..20).map(|at| Value::from(format!("element {at}"))).collect();
    let result = edited("b = 1\n", &[Op::set("a", long)]);
    assert!(result.starts_with("b = 1\na = [\n    \"element 0\",\n    \"element 1\",\n"), "{result}");
}

#[test]
fn arrays_of_tables_grow_shrink_and_change_in_the_middle() {
    let text = "[[s]]\nn = 1\n\n# of two\n[[s]] # two\nn = 2\n[s.t]\nx = 1\n\n[[s]]\nn = 3\n\n[other]\n";
    becomes(text, &[Op::push("s", json("{\"n\": 4}"))], &text.replace("n = 3\n", "n = 3\n\n[[s]]\nn = 4\n"));
    becomes(text, &[Op::insert("s[1]", json("{\"n\": 4}"))], &text.replace("n = 1\n", "n = 1\n\n[[s]]\nn = 4\n"));
    becomes(text, &[Op::insert("s[0]", json("{\"n\": 4}"))], &format!("[[s]]\nn = 4\n\n{text}"));
    becomes(text, &[Op::remove("s[1]")], &text.replace("# of two\n[[s]] # two\nn = 2\n[s.t]\nx = 1\n\n", ""));
    becomes(text, &[Op::remove("s[0]")], &text[text.find("# of two").unwrap()..]);
    becomes(text, &[Op::set("s[1].t.x", 5)], &text.replace("x = 1", "x = 5"));
    becomes(text, &[Op::set("s[1].t.y", 5)], &text.replace("x = 1\n", "x = 1\ny = 5\n"));
    becomes(
        text,
        &[Op::set("s[0].t", json("{\"deep\": {\"x\": 1}}"))],
        &text.replace("n = 1\n", "n = 1\n\n[s.t.deep]\nx = 1\n"),
    );
    becomes(text, &[Op::set("s", json("[]"))], "s = []\n\n[other]\n");
    becomes("[[s]]\n", &[Op::remove("s[0]")], "s = []\n");
    becomes("a = 1\n", &[Op::set("s", json("[{\"n\": 1}, {}]"))], "a = 1\n\n[[s]]\nn = 1\n\n[[s]]\n");
    becomes("[a]\nt = [ {x = 1} ]\n", &[Op::push("a.t", json("{\"x\": 2}"))], "[a]\nt = [ {x = 1}, { x = 2 } ]\n");
}

#[test]
fn a_renamed_key_keeps_its_place_and_all_that_is_around_it() {
    becomes("# of a\na = 1 # one\nb = 2\n", &[Op::move_to("a", "\"c d\"")], "# of a\n\"c d\" = 1 # one\nb = 2\n");
    let text = "[ a . x ] # one\ny = 1\n[a]\nz = 1\n[a.x.w]\n";
    becomes(text, &[Op::move_to("a", "b")], "[ b . x ] # one\ny = 1\n[b]\nz = 1\n[b.x.w]\n");
    becomes(text, &[Op::move_to("a.x", "a.y")], "[ a . y ] # one\ny = 1\n[a]\nz = 1\n[a.y.w]\n");
    becomes("[[s]]\na.b = 1\n[[s]]\n", &[Op::move_to("s", "t")], "[[t]]\na.b = 1\n[[t]]\n");
    becomes("[[s]]\na.b = 1\n[[s]]\n", &[Op::move_to("s[0].a", "s[0].c")], "[[s]]\nc.b = 1\n[[s]]\n");
}

#[test]
fn a_value_moved_elsewhere_is_written_there() {
    becomes("[a]\nx = 1\ny = 2\n[b]\n", &[Op::move_to("a.x", "b.x")], "[a]\ny = 2\n[b]\nx = 1\n");
}

#[test]
fn super_tables_out_of_order_are_one_table() {
    let text = "[a.b]\nx = 1\n\n[c]\ny = 1\n\n[a]\nz = 1\n";
    becomes(
        text,
        &[Op::set("a.w", 2), Op::set("a.b.v", 3)],
        "[a.b]\nx = 1\nv = 3\n\n[c]\ny = 1\n\n[a]\nz = 1\nw = 2\n",
    );
    becomes(text, &[Op::remove("a")], "[c]\ny = 1\n");
}

#[test]
fn a_table_may_become_a_value_and_a_value_a_table_if_no_comment_is_lost() {
    becomes("[a]\nx = 1\n\n[b]\n", &[Op::set("a", 1)], "a = 1\n\n[b]\n");
    becomes("a = 1 # one\n[b]\n", &[Op::set("a", json("{\"x\": 1}"))], "a = { x = 1 } # one\n[b]\n");
}

#[test]
fn strings_of_every_sort_are_readable_again() {
    for text in
        ["", "\"", "\\", "a\nb", "\u{0}\u{1f}\u{7f}", "é😀\u{2028}\u{feff}", "'''", "1979-05-27", "true", "\r\n"]
    {
        edited("a = 1\n", &[Op::set("a", text), Op::set("b", text)]);
        let key: Value = [(text, 1)].into_iter().collect();
        edited("a = 1\n", &[Op::set("t", key.clone()), Op::set("u", Value::from(vec![key]))]);
    }
}

#[test]
fn a_new_file_has_pairs_first_and_then_tables() {
    let value = json(r#"{"t": {"x": {"y": 1}}, "a": [], "s": [{"n": 1, "e": {}}, {}], "b": [1, {"c": 2.50}]}"#);
    let text = String::from_utf8(render(&Format::Toml, &value)).unwrap();
    let expected = "a = []\nb = [1, { c = 2.50 }]\n\n[t.x]\ny = 1\n\n[[s]]\nn = 1\n\n[s.e]\n\n[[s]]\n";
    assert_eq!(text, expected);
    assert!(is_judged(&text, &value));
    assert_eq!(render(&Format::Toml, &Value::object()), b"");
}

/// `text` patched to the value of another.
#[track_caller]
fn turns(text: &str, target: &str, expected: &str) {
    let result = super::patched(text, &value(target));
    assert!(result == expected, "from\n{text}\nto\n{result}\ninstead of\n{expected}");
}

#[test]
fn an_element_moves_with_its_tables_its_spelling_and_its_comments() {
    let text = "# licence\n\n# of one\n[[s]] # 1\nn = 0x1\n# inside\np = 'x'\n\n# apart\n\n[s.t] # t\nk = 1_000\n# end of t\n\n\
        [[s]]\nn = 2\n\n# of three\n[[s]]\nn = 3\n\n[other]\nx = 1\n";
    let (one, rest) = text.split_once("# of one").unwrap().1.split_once("[[s]]\nn = 2").unwrap();
    let one = format!("# of one{one}");
    turns(
        text,
        "other.x = 1\ns = [{n = 2}, {n = 3}, {n = 1, p = 'x', t.k = 1000}]\n",
        &format!(
            "# licence\n\n[[s]]\nn = 2{}",
            rest.replace("n = 3\n", &format!("n = 3\n\n{}", one.trim_end().to_owned() + "\n"))
        ),
    );
    // Changed on its way.
    turns(
        text,
        "other.x = 1\ns = [{n = 2}, {n = 3}, {n = 1, p = 'y', t.k = 1000}]\n",
        &format!(
            "# licence\n\n[[s]]\nn = 2{}",
            rest.replace("n = 3\n", &format!("n = 3\n\n{}", one.trim_end().replace("'x'", "\"y\"") + "\n"))
        ),
    );
    turns(
        text,
        "other.x = 1\ns = [{n = 3}, {n = 1, p = 'x', t.k = 1000}, {n = 2}]\n",
        &text
            .replace("# of three\n[[s]]\nn = 3\n\n", "")
            .replace("# of one\n", "# of three\n[[s]]\nn = 3\n\n# of one\n"),
    );
    turns("[[s]]\nn=1\n[[s]]\nn=0x2 # two", "s = [{n = 2}, {n = 1}]", "[[s]]\nn=0x2 # two\n[[s]]\nn=1");
}

#[test]
fn an_element_whose_lines_lie_apart_moves_by_its_values() {
    turns(
        "[[s]]\nn = 1\n[x]\n[s.t]\nk = 1\n[[s]]\nn = 2\n",
        "s = [{n = 2}, {n = 1, t.k = 1}]\n[x]\n",
        "[[s]]\nn = 2\n[[s]]\nn = 1\n[x]\n[s.t]\nk = 1\n",
    );
}

#[test]
fn an_element_that_is_changed_behind_a_new_one_keeps_its_comments() {
    turns(
        "# of a\n[[s]]\nname = 'a'\nport = 1 # one\n\n# of b\n[[s]]\nname = 'b'\nport = 1 # one\n",
        "s = [{name = 'x', port = 1}, {name = 'a', port = 2}, {name = 'b', port = 3}]",
        "[[s]]\nname = \"x\"\nport = 1\n\n# of a\n[[s]]\nname = 'a'\nport = 2 # one\n\n# of b\n[[s]]\nname = 'b'\nport = 3 # one\n",
    );
}

#[test]
fn a_table_that_has_another_name_and_a_change_in_it_is_known_again() {
    turns(
        "a = 1\n\n# of b\n[b] # b\nx = 0x1 # x\ny = 'y'\nz = 3 # z\n\n[b.in]\nw = 1\n\n[c]\nv = 1\n",
        "a = 1\nnew = {x = 1, y = 'y', z = 4, in.w = 1}\nc.v = 1\n",
        "a = 1\n\n# of b\n[new] # b\nx = 0x1 # x\ny = 'y'\nz = 4 # z\n\n[new.in]\nw = 1\n\n[c]\nv = 1\n",
    );
    // Too little is left of it.
    turns("[b] # b\nx = 1\ny = 2\n", "new = {x = 1, y = 3}\n", "[new]\nx = 1\ny = 3\n");
}
