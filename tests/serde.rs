//! Values and the caller's own types: the mapping is serde_json's, exactness and limits are ours.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use cfgwal::document::{Format, parse};
use cfgwal::{DEPTH_MAX, Journal, Number, SerdeError, Transaction, Value};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde::de::value::MapDeserializer;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Config {
    name: String,
    port: u16,
    #[serde(default)]
    note: Option<String>,
    ratio: f64,
    narrow: f32,
    id: u64,
    offset: i64,
    letter: char,
    pair: (i8, bool),
    unit: (),
    mode: Mode,
    modes: Vec<Mode>,
    by_number: BTreeMap<i32, Wrapped>,
    by_flag: BTreeMap<bool, u8>,
    by_mode: BTreeMap<Plain, Option<Option<u8>>>,
    #[serde(flatten)]
    rest: BTreeMap<String, Loose>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Mode {
    Off,
    Level(u8),
    Range(i16, i16),
    Named { name: String, inner: Box<Option<Mode>> },
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Plain {
    First,
    NotFirst,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Wrapped(String);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Loose {
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Loose>),
}

fn mode() -> impl Strategy<Value = Mode> {
    let leaf = prop_oneof![
        Just(Mode::Off),
        any::<u8>().prop_map(Mode::Level),
        any::<(i16, i16)>().prop_map(|(a, b)| Mode::Range(a, b)),
    ];
    leaf.prop_recursive(4, 8, 1, |inner| {
        (".{0,3}", proptest::option::of(inner)).prop_map(|(name, inner)| Mode::Named { name, inner: Box::new(inner) })
    })
}

fn loose() -> impl Strategy<Value = Loose> {
    let leaf =
        prop_oneof![any::<i64>().prop_map(Loose::Int), float().prop_map(Loose::Float), ".{0,4}".prop_map(Loose::Text)];
    leaf.prop_recursive(3, 10, 4, |inner| vec(inner, 0..4).prop_map(Loose::List))
}

/// Finite, of every size.
fn float() -> impl Strategy<Value = f64> {
    use proptest::num::f64::{NORMAL, SUBNORMAL, ZERO};
    prop_oneof![NORMAL | SUBNORMAL | ZERO, (-1e6..1e6_f64), any::<i32>().prop_map(f64::from)]
}

fn config() -> impl Strategy<Value = Config> {
    let plain = prop_oneof![Just(Plain::First), Just(Plain::NotFirst)];
    // Of some f32 there are two shortest texts, and they differ as f64.
    let narrow = any::<i16>().prop_map(|eighths| f32::from(eighths) / 8.0);
    (
        (
            ".{0,6}",
            any::<u16>(),
            proptest::option::of(".{0,3}"),
            float(),
            narrow,
            any::<u64>(),
            any::<i64>(),
            any::<char>(),
        ),
        (any::<(i8, bool)>(), mode(), vec(mode(), 0..3), btree_map(any::<i32>(), ".{0,3}".prop_map(Wrapped), 0..3)),
        btree_map(any::<bool>(), any::<u8>(), 0..2),
        // `Some(None)` is null, and null is `None`, as with serde_json.
        btree_map(plain, proptest::option::of(any::<u8>().prop_map(Some)), 0..2),
        btree_map("extra-[a-z]{1,3}", loose(), 0..3),
    )
        .prop_map(|(a, b, by_flag, by_mode, rest)| Config {
            name: a.0,
            port: a.1,
            note: a.2,
            ratio: a.3,
            narrow: a.4,
            id: a.5,
            offset: a.6,
            letter: a.7,
            pair: b.0,
            unit: (),
            mode: b.1,
            modes: b.2,
            by_number: b.3,
            by_flag,
            by_mode,
            rest,
        })
}

proptest! {
    #[test]
    fn types_become_what_serde_json_makes_of_them_and_come_back(config in config()) {
        let value = Value::from_serialize(&config).unwrap();
        let text = serde_json::to_string(&config).unwrap();
        prop_assert_eq!(plain(&value.to_string()), plain(&text));
        prop_assert_eq!(&value.to::<Config>().unwrap(), &config);
        // And a value is a type like others.
        prop_assert_eq!(plain(&serde_json::to_string(&value).unwrap()), plain(&text));
        let read: Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(serde_json::to_value(&read).unwrap(), serde_json::from_str::<serde_json::Value>(&text).unwrap());
    }

    #[test]
    fn numbers_are_exact(int in any::<i128>(), unsigned in any::<u128>(), float in float()) {
        let value = Value::from_serialize(&(int, unsigned, float)).unwrap();
        let numbers: Vec<String> = value.as_array().unwrap().iter().map(Value::to_string).collect();
        prop_assert_eq!(&numbers[..2], [int.to_string(), unsigned.to_string()]);
        prop_assert_eq!(plain(&numbers[2]), plain(&serde_json::to_string(&float).unwrap()));
        prop_assert_eq!(value.to::<(i128, u128, f64)>().unwrap(), (int, unsigned, float));
    }
}

/// What a text says, order of keys included, with floats spelled in one way.
fn plain(text: &str) -> Value {
    fn spell(value: &Value) -> Value {
        match value {
            Value::Number(number) if number.text().contains(['.', 'e']) => Value::from(number.as_f64().unwrap()),
            Value::Array(list) => list.iter().map(spell).collect(),
            Value::Object(map) => map.iter().map(|(key, value)| (key, spell(value))).collect(),
            other => other.clone(),
        }
    }
    spell(&parse(&Format::Json, text.as_bytes()).unwrap())
}

fn number(text: &str) -> Value {
    Value::Number(Number::parse(text).unwrap())
}

#[test]
fn a_value_inside_a_type_keeps_the_text_of_its_numbers() {
    #[derive(Serialize, Deserialize)]
    struct Partly {
        known: u8,
        open: BTreeMap<String, Value>,
        one: Option<Number>,
    }
    let odd = ["1.0", "1e3", "2.50", "-0", "123456789012345678901234567890", "1e400", "18446744073709551615"];
    let open: Value = BTreeMap::from(odd.map(|text| (text, number(text)))).into_iter().collect();
    let value: Value = [("known", Value::from(1)), ("open", open), ("one", number("1E2"))].into_iter().collect();
    let typed: Partly = value.to().unwrap();
    assert_eq!(Value::from_serialize(&typed).unwrap(), value);
    assert_eq!(Value::from_serialize(&value).unwrap(), value);
    assert_eq!(value.to::<Value>().unwrap(), value);
}

#[test]
fn other_formats_get_numbers_they_can_hold() {
    let value: Value = ["1e3", "2.50", "18446744073709551615", "-9"].map(number).into_iter().collect();
    assert_eq!(serde_json::to_string(&value).unwrap(), "[1000.0,2.5,18446744073709551615,-9]");
    let error = serde_json::to_string(&number("1e400")).unwrap_err();
    assert_eq!(error.to_string(), "the number 1e400 is too large for a machine");
}

#[test]
fn strings_can_be_borrowed() {
    let value = Value::from("text");
    assert_eq!(value.to::<&str>().unwrap(), "text");
}

#[test]
fn what_a_config_cannot_hold_is_refused() {
    let why = |error: SerdeError| error.to_string();
    assert_eq!(
        why(Value::from_serialize(&BTreeMap::from([("a", vec![1.0, f64::NAN])])).unwrap_err()),
        "a[1]: NaN is not a number that a config can hold"
    );
    assert!(Value::from_serialize(&f32::INFINITY).is_err());
    assert_eq!(
        why(Value::from_serialize(&BTreeMap::from([(vec![1], 1)])).unwrap_err()),
        "a sequence cannot be the key of an object"
    );
    let twice = Twice { a: 1, rest: BTreeMap::from([("a".to_owned(), 2)]) };
    assert_eq!(why(Value::from_serialize(&twice).unwrap_err()), "a: two entries have this key");
}

#[derive(Serialize)]
struct Twice {
    a: u8,
    #[serde(flatten)]
    rest: BTreeMap<String, u8>,
}

#[test]
fn an_error_says_where_and_what() {
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Server {
        #[expect(dead_code, reason = "only the refusal counts")]
        port: u16,
    }
    let servers = |server: Value| -> Value {
        let server = Value::from(vec![server]);
        [("servers", server)].into_iter().collect()
    };
    let refused = |server: Value| servers(server).to::<BTreeMap<String, Vec<Server>>>().unwrap_err();
    let entry = |key: &str, value: Value| -> Value { [(key, value)].into_iter().collect() };

    let error = refused(entry("port", "x".into()));
    assert_eq!(error.to_string(), "servers[0].port: invalid type: string \"x\", expected u16");
    assert_eq!(error.path().to_string(), "servers[0].port");
    let error = refused(entry("port", 65536.into()));
    assert_eq!(error.to_string(), "servers[0].port: invalid value: integer `65536`, expected u16");
    let error = refused(entry("prot", 1.into()));
    assert_eq!(error.to_string(), "servers[0].prot: unknown field `prot`, expected `port`");
    assert_eq!(refused(Value::object()).to_string(), "servers[0]: missing field `port`");
    let error = refused(entry("port", number("1e400")));
    assert_eq!(error.to_string(), "servers[0].port: invalid type: 1e400, expected u16");

    let too_many = Value::from(vec![1, 2, 3]).to::<(u8, u8)>().unwrap_err();
    assert_eq!(too_many.to_string(), "invalid length 3, expected fewer elements in array");
    let variant = entry("Level", "x".into()).to::<Mode>().unwrap_err();
    assert_eq!(variant.to_string(), "Level: invalid type: string \"x\", expected u8");
    for wrong in [Value::Null, "Level".into(), entry("Off", 1.into()), entry("Range", 1.into()), Value::object()] {
        assert!(wrong.to::<Mode>().is_err(), "{wrong}");
    }
}

#[test]
fn an_error_never_shows_a_secret() {
    let value: Value = [("db", [("password", "hunter2")].into_iter().collect::<Value>())].into_iter().collect();
    let error = value.to::<BTreeMap<String, BTreeMap<String, u8>>>().unwrap_err();
    assert_eq!(error.to_string(), "db.password: not a value of the right type");
    assert!(!format!("{error:?} {error:#?}").contains("hunter2"));
}

#[test]
fn an_error_of_a_value_that_was_asked_for_says_where_it_is_and_shows_no_secret() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path().join("settings.json")).unwrap();
    let ops = Transaction::new().set("server.port", "x").set("api.token", "hunter2");
    journal
        .append(ops.set("credentials", Value::from_serialize(&BTreeMap::from([("user", "hunter2")])).unwrap()))
        .unwrap();
    let why = |path: &str| {
        let parsed: cfgwal::Path = path.parse().unwrap();
        let (by_text, by_path) = (journal.get::<u16>(path).unwrap_err(), journal.get::<u16>(parsed).unwrap_err());
        assert_eq!(by_text.to_string(), by_path.to_string());
        by_text.to_string()
    };
    assert_eq!(why("server.port"), "server.port: invalid type: string \"x\", expected u16");
    assert_eq!(why("api.token"), "api.token: not a value of the right type");
    let inside = journal.get::<BTreeMap<String, u16>>("credentials").unwrap_err();
    assert_eq!(inside.to_string(), "credentials.user: not a value of the right type");
}

#[test]
fn an_update_after_which_the_type_could_not_read_the_config_changes_nothing() {
    #[derive(Debug, Serialize, Deserialize)]
    struct Renamed {
        #[serde(alias = "listenOn")]
        port: u16,
        on: bool,
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("settings.json");
    std::fs::write(&file, r#"{"listenOn": 80, "on": false}"#).unwrap();
    let journal = Journal::open(&file).unwrap();
    journal.update(|config: &mut Renamed| config.on = true).unwrap();
    // It would be written as `port`, beside what is there.
    let error = journal.update(|config: &mut Renamed| config.port = 81).map(drop).unwrap_err();
    assert_eq!(error.to_string(), "after the change the type could not read the config: duplicate field `port`");
    assert_eq!(journal.snapshot().unwrap().revision(), 1);
    journal.append(Transaction::new().move_to("listenOn", "port")).unwrap();
    journal.update(|config: &mut Renamed| config.port = 81).unwrap();
    journal.close().unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), r#"{"port": 81, "on": true}"#);
}

#[test]
fn nesting_has_a_limit_both_ways() {
    #[derive(Debug, Serialize, Deserialize)]
    struct Deep(Vec<Deep>);
    let deep = |depth: usize| (1..depth).fold(Deep(Vec::new()), |inner, _| Deep(vec![inner]));
    let value = Value::from_serialize(&deep(DEPTH_MAX)).unwrap();
    value.to::<Deep>().unwrap();
    value.to::<Value>().unwrap();
    let error = Value::from_serialize(&deep(DEPTH_MAX + 1)).unwrap_err().to_string();
    assert!(error.ends_with("nested deeper than 128 levels"), "{error}");
    let error = Value::from(vec![value]).to::<Deep>().unwrap_err().to_string();
    assert!(error.ends_with("nested deeper than 128 levels"), "{error}");
    // An enum's name is a level too.
    let named = |depth: usize| {
        (0..depth).fold(Mode::Off, |inner, _| Mode::Named { name: String::new(), inner: Box::new(Some(inner)) })
    };
    assert!(Value::from_serialize(&named(DEPTH_MAX / 2)).is_ok());
    assert!(Value::from_serialize(&named(DEPTH_MAX / 2 + 1)).is_err());
}

#[test]
fn a_key_that_comes_twice_is_refused() {
    let error = serde_json::from_str::<Value>(r#"{"a": 1, "a": 2}"#).unwrap_err().to_string();
    assert!(error.contains("the key \"a\" is there twice"), "{error}");
}

/// serde_json with its `arbitrary_precision`, which any crate in a program can turn on for all of
/// them, hands over every number as a map of this one key.
#[test]
fn numbers_of_a_serde_json_with_arbitrary_precision_are_numbers() {
    let read = |entries: Vec<(&'static str, &'static str)>| {
        let map = MapDeserializer::<_, serde::de::value::Error>::new(entries.into_iter());
        Value::deserialize(map).unwrap()
    };
    assert_eq!(read(vec![("$serde_json::private::Number", "1.50")]), number("1.50"));
    assert_eq!(read(vec![("$serde_json::private::Number", "x")]).kind(), "object");
    assert_eq!(read(vec![("$serde_json::private::Number", "1"), ("a", "b")]).kind(), "object");
    // From a config it is what it says.
    let object: Value = [("$serde_json::private::Number", "1")].into_iter().collect();
    assert_eq!(object.to::<Value>().unwrap(), object);
}
