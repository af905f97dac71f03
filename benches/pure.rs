//! The half that does no I/O: paths, ops and their bytes, the state, and documents.
//!
//! ```text
//! cargo bench --bench pure                 all of it
//! cargo bench --bench pure -- state        what has this in its name
//! ```

use cfgwal::document::{self, Format};
use cfgwal::{Op, Path, State, Transaction, Value};
use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

/// Sizes of a config, in keys.
const KEYS: [usize; 3] = [100, 10_000, 1_000_000];

fn path_of(key: usize) -> String {
    format!("service{:04}.setting{:04}", key / 100, key % 100)
}

fn value_of(key: usize) -> String {
    format!("the value of setting {key}")
}

fn state(keys: usize) -> State {
    let mut state = State::new(Value::object());
    let sets: Vec<Op> = (0..keys).map(|key| Op::set(path_of(key).as_str(), value_of(key))).collect();
    state.apply(&sets).expect("nothing stands in the way");
    state
}

/// Keys in an order that no cache likes.
fn scattered(keys: usize) -> impl Iterator<Item = usize> {
    (0..).map(move |n: usize| n.wrapping_mul(7919) % keys)
}

mod path {
    use super::*;

    #[divan::bench(args = ["port", "server.port", "service0001.setting0042", "hosts.\"example.org\".args[3]", "/service0001/setting0042"])]
    fn parse(bencher: Bencher<'_, '_>, text: &str) {
        bencher.bench(|| Path::parse(black_box(text)));
    }

    #[divan::bench]
    fn display(bencher: Bencher<'_, '_>) {
        let path = Path::parse("hosts.\"example.org\".args[3]").expect("a path");
        bencher.bench(|| black_box(&path).to_string());
    }
}

mod op {
    use super::*;

    /// A transaction of so many sets, each of about 100 bytes.
    fn transaction(ops: usize) -> Transaction {
        let value = |key| format!("{key:0>77}");
        (0..ops).fold(Transaction::new(), |all, key| all.set(path_of(key).as_str(), value(key)))
    }

    #[divan::bench(args = [1, 1_000])]
    fn make(bencher: Bencher<'_, '_>, ops: usize) {
        bencher.counter(ItemsCount::new(ops)).bench(|| transaction(black_box(ops)));
    }

    #[divan::bench(args = [1, 1_000])]
    fn encode(bencher: Bencher<'_, '_>, ops: usize) {
        let transaction = transaction(ops);
        bencher.counter(ItemsCount::new(ops)).bench(|| black_box(&transaction).to_payload());
    }

    #[divan::bench(args = [1, 1_000])]
    fn decode(bencher: Bencher<'_, '_>, ops: usize) {
        let payload = transaction(ops).to_payload().expect("within all limits");
        bencher.counter(ItemsCount::new(ops)).bench(|| Transaction::from_payload(black_box(&payload)));
    }
}

mod of_state {
    use super::*;

    #[divan::bench(args = KEYS)]
    fn get(bencher: Bencher<'_, '_>, keys: usize) {
        let state = state(keys);
        let paths: Vec<Path> =
            scattered(keys).take(keys.min(10_000)).map(|key| Path::parse(&path_of(key)).expect("a path")).collect();
        let mut paths = paths.iter().cycle();
        bencher.bench_local(|| state.root().get(paths.next().expect("it has no end")).map(Value::as_str).is_some());
    }

    /// Nobody else holds the state.
    #[divan::bench(args = KEYS)]
    fn set(bencher: Bencher<'_, '_>, keys: usize) {
        let mut state = state(keys);
        let mut keys = scattered(keys).enumerate();
        let op = move || keys.next().map(|(n, key)| Op::set(path_of(key).as_str(), value_of(n))).expect("no end");
        bencher.with_inputs(op).bench_local_values(|op| state.apply(&[op]));
    }

    /// Somebody holds the revision before.
    #[divan::bench(args = KEYS)]
    fn set_beside_a_snapshot(bencher: Bencher<'_, '_>, keys: usize) {
        let mut state = state(keys);
        let mut keys = scattered(keys).enumerate();
        let op = move || keys.next().map(|(n, key)| Op::set(path_of(key).as_str(), value_of(n))).expect("no end");
        bencher.with_inputs(op).bench_local_values(|op| {
            let before = state.clone();
            state.apply(&[op]).is_ok().then_some(before)
        });
    }

    #[divan::bench(args = KEYS)]
    fn diff_of_one_edit(bencher: Bencher<'_, '_>, keys: usize) {
        let before = state(keys);
        let mut after = before.clone();
        after.apply(&[Op::set(path_of(keys / 2).as_str(), "another")]).expect("it is there");
        bencher.bench(|| black_box(&before).diff(black_box(&after)));
    }

    #[divan::bench(args = [10_000])]
    fn build(bencher: Bencher<'_, '_>, keys: usize) {
        let sets: Vec<Op> = (0..keys).map(|key| Op::set(path_of(key).as_str(), value_of(key))).collect();
        bencher.counter(ItemsCount::new(keys)).bench(|| {
            let mut state = State::new(Value::object());
            state.apply(black_box(&sets)).map(|_| state)
        });
    }
}

mod of_document {
    use super::*;

    const FORMATS: [&str; 5] = ["json", "jsonc", "toml", "yaml", "csv"];
    const KEYS: usize = 10_000;

    struct Case {
        format: Format,
        text: Vec<u8>,
        /// The document with one value changed.
        target: Value,
    }

    fn case(name: &str) -> Case {
        let format = Format::named(name).expect("it is built in");
        let path =
            |key: usize| if name == "csv" { format!("row{}.column{}", key / 10, key % 10) } else { path_of(key) };
        let mut state = State::new(Value::object());
        let sets: Vec<Op> = (0..KEYS).map(|key| Op::set(path(key).as_str(), value_of(key))).collect();
        state.apply(&sets).expect("nothing stands in the way");
        let text = document::render(&format, state.root());
        let mut target = State::new(document::parse(&format, &text).expect("what was rendered parses"));
        target.apply(&[Op::set(path(KEYS / 2).as_str(), "another")]).expect("it is there");
        Case { format, text, target: target.root().clone() }
    }

    #[divan::bench(args = FORMATS)]
    fn parse(bencher: Bencher<'_, '_>, name: &str) {
        let Case { format, text, .. } = case(name);
        bencher.counter(BytesCount::new(text.len())).bench(|| document::parse(&format, black_box(&text)));
    }

    #[divan::bench(args = FORMATS)]
    fn patch_of_one_value(bencher: Bencher<'_, '_>, name: &str) {
        let Case { format, text, target } = case(name);
        bencher.counter(BytesCount::new(text.len())).bench(|| document::patch(&format, black_box(&text), &target));
    }

    #[divan::bench(args = FORMATS)]
    fn render(bencher: Bencher<'_, '_>, name: &str) {
        let Case { format, target, text } = case(name);
        bencher.counter(BytesCount::new(text.len())).bench(|| document::render(&format, black_box(&target)));
    }
}
