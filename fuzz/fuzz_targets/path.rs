//! A path that parses is printed as what parses to it, in both notations, and finds what was set there.
#![no_main]

use cfgwal::{Op, Path, State, Value};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(path) = Path::parse(text) else { return };
    assert_eq!(Path::parse(&path.to_string()).as_ref(), Ok(&path));
    // A pointer does not tell the key `0` from the index 0.
    assert_eq!(Path::parse(&path.pointer()).map(|read| read.pointer()), Ok(path.pointer()));

    let mut state = State::new(Value::object());
    if state.apply(&[Op::set(&path, "x")]).is_ok() {
        // The end of an array has another name once something is there.
        let found = state.root().get(&path).and_then(Value::as_str);
        assert!(found == Some("x") || path.segments().iter().any(|segment| segment.is_end()));
    }
});
