//! Two texts: one is parsed, and patched until it says what the other says. Input is `format byte, text, NUL, text`.
#![no_main]

use cfgwal::document::{self, Format};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((kind, texts)) = data.split_first() else { return };
    let format = if kind % 2 == 0 { Format::Json } else { Format::Jsonc };
    let split = texts.iter().position(|byte| *byte == 0).unwrap_or(texts.len());
    let (text, other) = (&texts[..split], texts.get(split + 1..).unwrap_or_default());

    let Ok(value) = document::parse(&format, text) else { return };
    let same = document::patch(&format, text, &value).expect("what is there can be asked for");
    assert_eq!(same, text, "nothing was to change");
    let rendered = document::render(&format, &value);
    assert_eq!(document::parse(&format, &rendered).expect("a rendered text is one"), value);

    let Ok(target) = document::parse(&format, other) else { return };
    let patched = document::patch(&format, text, &target).expect("what one text says another can say");
    assert_eq!(document::parse(&format, &patched).expect("a patched text is one"), target);
});
