//! What each op does, and when it is refused.

use super::*;
use crate::limits::{DEPTH_MAX, KEY_MAX};
use crate::op::arbitrary::json;
use crate::value::Number;

#[test]
fn set_replaces_adds_and_appends() {
    given(json!({"a": 1, "b": 2})).op(Op::set("a", "x")).makes(json!({"a": "x", "b": 2}));
    given(json!({"a": 1})).op(Op::set("b", 2)).makes(json!({"a": 1, "b": 2}));
    given(json!({"l": [1, 2]})).op(Op::set("l[0]", 9)).makes(json!({"l": [9, 2]}));
    given(json!({"l": [1, 2]})).op(Op::set("/l/1", 9)).makes(json!({"l": [1, 9]}));
    given(json!({"l": [1, 2]})).op(Op::set("l.-", 9)).makes(json!({"l": [1, 2, 9]}));
    given(json!({"l": [{"x": 1}]})).op(Op::set("l[0].x", 9)).makes(json!({"l": [{"x": 9}]}));
    given(json!({"a": 1})).op(Op::set("", json!([1]))).makes(json!([1]));
}

#[test]
fn set_creates_the_objects_on_the_way() {
    given(json!({})).op(Op::set("a.b.0.c", 1)).makes(json!({"a": {"b": {"0": {"c": 1}}}}));
    given(json!({"l": []})).op(Op::set("l.-.x", 1)).makes(json!({"l": [{"x": 1}]}));
    // The end of an array that is not there yet: the array begins with it.
    given(json!({})).op(Op::set("l.-", 1)).makes(json!({"l": [1]}));
    given(json!({})).op(Op::set("a.l[-].x", 1)).makes(json!({"a": {"l": [{"x": 1}]}}));
}

#[test]
fn set_to_what_is_there_changes_nothing() {
    given(json!({"a": {"b": [1, "x"]}})).op(Op::set("a", json!({"b": [1, "x"]}))).changes_nothing();
    // But another way to write a number is a change, and so is another order.
    given(json!({"n": 1})).op(Op::set("n", 1.0)).makes(json!({"n": (1.0)}));
    given(json!({"o": {"a": 1, "b": 2}}))
        .op(Op::set("o", json!({"b": 2, "a": 1})))
        .makes(json!({"o": {"b": 2, "a": 1}}));
}

#[test]
fn set_does_not_go_through_what_is_no_container() {
    let config = json!({"servers": {"a": {"port": 80, "name": null, "tags": ["x"]}}, "l": [1]});
    let refused = |path: &str, message: &str| drop(given(config.clone()).op(Op::set(path, 1)).refuses_with(message));
    refused("servers.a.port.x", "servers.a.port is a number, not an object");
    refused("servers.a.name.x", "servers.a.name is null, not an object");
    refused("servers.a.port[0]", "servers.a.port is a number, not an array");
    refused("servers[0]", "servers is an object, not an array");
    refused("l.x", "l is an array, not an object");
    refused("l.01", "l is an array, not an object");
    refused("l[1]", "l[1] is past the end of an array of 1");
    refused("l[7].x", "l[7] is past the end of an array of 1");
    refused("new.x[0]", "new.x is not there");
    given(json!(5)).op(Op::set("x", 1)).refuses_with("the config is a number, not an object");
}

#[test]
fn remove_takes_out_what_is_there() {
    given(json!({"a": 1, "b": 2})).op(Op::remove("a")).makes(json!({"b": 2}));
    given(json!({"l": [1, 2, 3]})).op(Op::remove("l[1]")).makes(json!({"l": [1, 3]}));
    given(json!({"a": 1})).op(Op::remove("b")).refuses_with("b is not there");
    given(json!({"a": 1})).op(Op::remove("a.b")).refuses_with("a.b is not there");
    given(json!({"l": [1]})).op(Op::remove("l[1]")).refuses_with("l[1] is not there");
    given(json!({"l": [1]})).op(Op::remove("l.-")).refuses_with("l.- is not there");
    given(json!({"a": 1}))
        .op(Op::remove(""))
        .refuses_with("the whole config cannot be removed or moved; set it to something else");
}

/// The table of appendix A of RFC 7396.
#[test]
fn merge_does_what_the_examples_of_the_rfc_say() {
    let merged = |target: Value, patch: Value, result: Value| {
        given(target.clone()).op(Op::merge("", &patch)).makes(result.clone());
        given(json!({"x": target})).op(Op::merge("x", patch)).makes(json!({"x": result}));
    };
    merged(json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"}));
    merged(json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"}));
    merged(json!({"a": "b"}), json!({"a": null}), json!({}));
    merged(json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"}));
    merged(json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"}));
    merged(json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]}));
    merged(json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}}));
    merged(json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]}));
    merged(json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"]));
    merged(json!({"a": "b"}), json!(["c"]), json!(["c"]));
    merged(json!({"a": "foo"}), json!(null), json!(null));
    merged(json!({"a": "foo"}), json!("bar"), json!("bar"));
    merged(json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1}));
    merged(json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"}));
    merged(json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}}));
}

#[test]
fn merge_creates_what_is_missing_and_knows_when_it_does_nothing() {
    given(json!({})).op(Op::merge("a.b", json!({"x": 1, "y": null}))).makes(json!({"a": {"b": {"x": 1}}}));
    given(json!({"a": {"x": 1, "o": {"y": 2}}}))
        .op(Op::merge("a", json!({"o": {"y": 2, "z": null}})))
        .changes_nothing();
    given(json!({"a": 1})).op(Op::merge("a.b", json!({}))).refuses_with("a is a number, not an object");
}

#[test]
fn increment_is_exact_and_tells_the_sum() {
    let applied = given(json!({"n": 41})).op(Op::increment("n", 1)).makes(json!({"n": 42}));
    assert_eq!(applied.results, [Some(json!(42))]);
    given(json!({})).op(Op::increment("a.n", 2)).op(Op::increment("a.n", -5)).makes(json!({"a": {"n": (-3)}}));
    let number = |text| Number::parse(text).unwrap();
    given(json!({"n": (number("0.1"))})).op(Op::increment("n", number("0.2"))).makes(json!({"n": (number("0.3"))}));
    given(json!({"n": (i64::MAX)})).op(Op::increment("n", 1)).makes(json!({"n": (number("9223372036854775808"))}));
    given(json!({"n": 1})).op(Op::increment("n", 0)).changes_nothing();
    given(json!({"n": "1"})).op(Op::increment("n", 1)).refuses_with("n is a string, not a number");
    let long = number(&"9".repeat(50));
    given(json!({"n": long}))
        .op(Op::increment("n", 1))
        .refuses_with("adding 1 to n gives a number too long to be exact");
}

#[test]
fn push_appends_within_its_cap() {
    let push = |cap, unique| Op::Push { path: path("l"), value: json!(9), cap, unique };
    given(json!({"l": [1]})).op(push(None, false)).makes(json!({"l": [1, 9]}));
    given(json!({})).op(push(None, false)).makes(json!({"l": [9]}));
    given(json!({"l": [1, 2, 3]})).op(push(Some(3), false)).makes(json!({"l": [2, 3, 9]}));
    given(json!({"l": [1, 2, 3, 4, 5]})).op(push(Some(2), false)).makes(json!({"l": [5, 9]}));
    given(json!({"l": [1]})).op(push(Some(0), false)).makes(json!({"l": []}));
    given(json!({})).op(push(Some(0), false)).makes(json!({"l": []}));
    given(json!({"l": [9, 1]})).op(push(None, false)).makes(json!({"l": [9, 1, 9]}));
    given(json!({"l": [9, 1]})).op(push(Some(1), true)).changes_nothing();
    given(json!({"l": {}})).op(push(None, false)).refuses_with("l is an object, not an array");
}

#[test]
fn insert_writes_only_where_nothing_is() {
    given(json!({"l": [1, 2]})).op(Op::insert("l[0]", 9)).makes(json!({"l": [9, 1, 2]}));
    given(json!({"l": [1, 2]})).op(Op::insert("l[2]", 9)).makes(json!({"l": [1, 2, 9]}));
    given(json!({"l": [1, 2]})).op(Op::insert("l.-", 9)).makes(json!({"l": [1, 2, 9]}));
    given(json!({"l": [1, 2]})).op(Op::insert("l[3]", 9)).refuses_with("l[3] is past the end of an array of 2");
    given(json!({"l": [1]})).op(Op::insert("l[1].x", 9)).refuses_with("l[1] is past the end of an array of 1");
    given(json!({})).op(Op::insert("a.b", 9)).makes(json!({"a": {"b": 9}}));
    given(json!({"a": 1})).op(Op::insert("a", 1)).refuses_with("a is there already");
    given(json!({"0": 1})).op(Op::insert("0", 1)).refuses_with("0 is there already");
    given(json!({"a": 1})).op(Op::insert("", 1)).refuses_with("the config is there already");
}

#[test]
fn move_renames_in_place_and_carries_elsewhere() {
    given(json!({"a": 1, "b": 2, "c": 3})).op(Op::move_to("b", "x")).makes(json!({"a": 1, "x": 2, "c": 3}));
    given(json!({"a": {"b": 1}})).op(Op::move_to("a.b", "x.y")).makes(json!({"a": {}, "x": {"y": 1}}));
    given(json!({"l": [1, 2, 3]})).op(Op::move_to("l[0]", "l[2]")).makes(json!({"l": [2, 3, 1]}));
    given(json!({"l": [1, 2, 3]})).op(Op::move_to("l[2]", "l.0")).makes(json!({"l": [3, 1, 2]}));
    given(json!({"l": [1, 2], "a": 3})).op(Op::move_to("a", "l.-")).makes(json!({"l": [1, 2, 3]}));
    given(json!({"a": 1})).op(Op::move_to("a", "a")).changes_nothing();
}

#[test]
fn move_is_refused_where_something_would_be_lost() {
    let config = json!({"a": {"b": 1}, "c": 2, "l": [{"x": 1}, 5]});
    let refused = |from: &str, to: &str, message: &str| {
        given(config.clone()).op(Op::move_to(from, to)).refuses_with(message);
    };
    refused("x", "y", "x is not there");
    refused("a", "c", "c is there already");
    refused("a.b", "c", "c is there already");
    refused("a", "a.b.c", "a cannot move into itself, to a.b.c");
    refused("l[0]", "l.0.y", "l[0] cannot move into itself, to l.0.y");
    refused("", "a", "the whole config cannot be removed or moved; set it to something else");
    refused("a", "", "the config is there already");
    refused("a", "c.x", "c is a number, not an object");
    refused("l[0]", "l[2]", "l[2] is past the end of an array of 1");
}

#[test]
fn test_lets_pass_what_is_so() {
    let config = json!({"a": {"x": 1, "y": [2]}, "n": null});
    given(config.clone()).op(Op::test("a", json!({"y": [2], "x": 1}))).changes_nothing();
    given(config.clone()).op(Op::test_absent("a.z.q")).op(Op::test_absent("a.y[1]")).changes_nothing();
    given(config.clone()).op(Op::test("a.x", 2)).refuses_with("a.x is 1, not 2");
    given(config.clone()).op(Op::test("a.y", json!([2, 3]))).refuses_with("a.y is [2], not [2,3]");
    given(config.clone()).op(Op::test("a.z", 2)).refuses_with("a.z is absent, not 2");
    given(config.clone()).op(Op::test_absent("n")).refuses_with("n is null, not absent");
    let refusal = given(config).op(Op::set("b", 1)).op(Op::test("b", 2)).refuses_with("b is 1, not 2");
    assert_eq!(refusal, Refusal::Precondition { path: path("b"), expected: Some(json!(2)), found: Some(json!(1)) });
}

#[test]
fn place_puts_a_key_where_it_is_told() {
    let place = |key: &str, value: i32, before: Option<&str>| Op::Place {
        path: path(key),
        value: value.into(),
        before: before.map(Into::into),
    };
    let config = json!({"a": 1, "b": 2, "c": 3});
    given(config.clone()).op(place("x", 9, Some("b"))).makes(json!({"a": 1, "x": 9, "b": 2, "c": 3}));
    given(config.clone()).op(place("c", 3, Some("a"))).makes(json!({"c": 3, "a": 1, "b": 2}));
    given(config.clone()).op(place("a", 9, None)).makes(json!({"b": 2, "c": 3, "a": 9}));
    given(config.clone()).op(place("a", 9, Some("b"))).makes(json!({"a": 9, "b": 2, "c": 3}));
    given(config.clone()).op(place("a", 9, Some("a"))).makes(json!({"a": 9, "b": 2, "c": 3}));
    given(config.clone()).op(place("a", 1, Some("b"))).changes_nothing();
    given(config.clone()).op(place("c", 3, None)).changes_nothing();
    given(json!({})).op(place("o.x", 9, None)).makes(json!({"o": {"x": 9}}));
    given(config.clone()).op(place("x", 9, Some("q"))).refuses_with("q is not there");
    given(config.clone()).op(place("o.x", 9, Some("q"))).refuses_with("o.q is not there");
    given(config.clone()).op(place("a.x", 9, None)).refuses_with("a is a number, not an object");
    given(config.clone()).op(place("[0]", 9, None)).refuses_with("the config is an object, not an array");
    given(json!({"l": [1]})).op(place("l[0]", 9, None)).refuses_with("l is an array, not an object");
}

#[test]
fn a_transaction_happens_as_a_whole_or_not_at_all() {
    given(json!({"a": 1})).op(Op::set("b", 2)).op(Op::move_to("a", "c")).op(Op::remove("b")).makes(json!({"c": 1}));
    given(json!({"a": 1})).op(Op::set("b", 2)).op(Op::remove("a")).op(Op::remove("a")).refuses_with("a is not there");
    given(json!({"a": 1})).changes_nothing();
}

#[test]
fn a_path_that_does_not_parse_is_refused_when_it_is_used() {
    let refusal = State::default().check(&[Op::set("a..b", 1)]).unwrap_err();
    assert!(matches!(refusal, Refusal::Path(_)));
    State::default().check(&[Op::move_to("a", "a[")]).unwrap_err();
}

#[test]
fn nothing_nests_deeper_than_allowed() {
    let keys = |len: usize| -> Path { (0..len).map(|_| "k").collect() };
    let nested = |depth: usize| (0..depth).fold(json!(0), |value, _| Value::from(vec![value]));
    let fits = |op: Op| State::new(Value::object()).apply(&[op]).map(drop);
    let too_deep = |op: Op| assert!(matches!(fits(op), Err(Refusal::TooDeep { .. })));

    fits(Op::set(keys(DEPTH_MAX), 1)).unwrap();
    fits(Op::set(keys(28), nested(DEPTH_MAX - 28))).unwrap();
    too_deep(Op::set(keys(28), nested(DEPTH_MAX - 27)));
    too_deep(Op::merge(keys(28), nested(DEPTH_MAX - 27)));
    too_deep(Op::insert(keys(DEPTH_MAX), nested(1)));
    fits(Op::push(keys(DEPTH_MAX - 1), 1)).unwrap();
    too_deep(Op::push(keys(DEPTH_MAX), 1));
    assert!(matches!(fits(Op::set(keys(DEPTH_MAX + 1), 1)), Err(Refusal::Path(_))));

    // A move can make it deeper, too.
    let mut state = State::new(json!({"o": (nested(100))}));
    state.check(&[Op::move_to("o", keys(28))]).unwrap();
    assert!(matches!(state.apply(&[Op::move_to("o", keys(29))]), Err(Refusal::TooDeep { .. })));
}

#[test]
fn keys_longer_than_allowed_are_refused_wherever_they_are() {
    let long = "k".repeat(KEY_MAX + 1);
    let object = Value::from_iter([(long.as_str(), 1)]);
    let message = "a key of 1025 bytes is longer than 1024";
    given(json!({})).op(Op::set("a", Value::from(vec![object.clone()]))).refuses_with(message);
    given(json!({})).op(Op::merge("a", object)).refuses_with(message);
    let before = Some(long.clone());
    given(json!({})).op(Op::Place { path: path("a"), value: json!(1), before }).refuses_with(message);
    assert!(matches!(State::default().check(&[Op::set(Path::from_iter([long]), 1)]), Err(Refusal::Path(_))));
}

#[test]
fn messages_show_no_secret_and_nothing_that_a_terminal_obeys() {
    let canary = "swordfish\u{1b}[2J\u{202e}";
    let config = json!({"db": {"password": canary}, "open": canary});
    let mut seen = String::new();
    for refused in [
        Op::test("db.password", "letmein"),
        Op::test("db", json!({"password": "letmein"})),
        Op::test_absent("db"),
        Op::increment("db.password", 1),
    ] {
        let refusal = State::new(config.clone()).check(std::slice::from_ref(&refused)).unwrap_err();
        seen += &format!("{refusal} {refusal:?} {refused:?}\n");
    }
    for op in
        [Op::set("", &config), Op::push("tokens", canary), Op::test("x.secret.y", canary), Op::merge("db", &config)]
    {
        seen += &format!("{op:?} {:?}\n", crate::Transaction::from(op.clone()));
    }
    seen += &format!("{:?}", State::new(config.clone()));
    assert!(seen.contains("***") && !seen.contains("letmein"), "{seen}");
    let open = State::new(config).check(&[Op::test("open", "x")]).unwrap_err().to_string();
    assert_eq!(open, r#"open is "swordfish\u001b[2J\u202e", not "x""#);
    // What is not secret may be shown, but `open` is shown above in full only.
    assert!(!seen.replace(r#""open":"swordfish\u001b[2J\u202e""#, "").contains("swordfish"), "{seen}");
    assert!(!seen.contains(['\u{1b}', '\u{202e}']));
}
