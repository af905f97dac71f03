use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::op::arbitrary::{self, json};

fn encoded(transaction: &Transaction) -> Vec<u8> {
    let mut bytes = Vec::new();
    transaction.encode(&mut bytes).unwrap();
    bytes
}

/// One of everything. What it is written as is on the disks of users: these bytes must be read for ever.
fn one_of_everything() -> (Transaction, Vec<u8>) {
    let transaction = Transaction {
        time: 0x0102_0304_0506_0708,
        origin: Origin { program: "cfgwal".into(), pid: 300, host: "box".into(), kind: OriginKind::File },
        key: Some("k1".into()),
        base: Some(Base {
            text: [0xaa; 16],
            against: [0xbb; 16],
            revision: 41,
            own: vec![Op::remove("o")],
            conflicts: vec![Path::parse("c").unwrap()],
        }),
        ops: vec![
            Op::set("a[1]", json!({"n": null, "f": false, "t": true, "i": (-2), "d": (Number::parse("1.0").unwrap())})),
            Op::remove("a"),
            Op::merge("", json!(["x", []])),
            Op::increment("n", 250),
            Op::Push { path: Path::parse("p").unwrap(), value: json!("v"), cap: Some(3), unique: true },
            Op::insert("a.-", 70_000),
            Op::move_to("a", "b"),
            Op::test("t", 1),
            Op::test_absent("t"),
            Op::Place { path: Path::parse("p").unwrap(), value: json!(1), before: Some("q".into()) },
            Op::Place { path: Path::parse("p").unwrap(), value: json!(1), before: None },
        ],
    };
    let bytes = [
        &[1][..],                       // Version.
        &[253, 8, 7, 6, 5, 4, 3, 2, 1], // Time.
        b"\x06cfgwal",
        &[251, 44, 1],
        b"\x03box",
        &[1],          // Origin.
        b"\x01\x02k1", // Idempotency key.
        &[1],
        &[0xaa; 16],
        &[0xbb; 16],
        b"\x29\x01\x02\x01\x00\x01o\x01\x01\x00\x01c", // Base.
        &[11],                                         // So many ops:
        b"\x01\x02\x00\x01a\x01\x01",                  // set a[1],
        b"\x07\x05\x01n\x00\x01f\x01\x01t\x02\x01i\x03\x03\x01d\x04\x031.0", // an object of five,
        b"\x02\x01\x00\x01a",                          // remove,
        b"\x03\x00\x06\x02\x05\x01x\x06\x00",          // merge,
        b"\x04\x01\x00\x01n\x03\xfb\xf4\x01",          // increment,
        b"\x05\x01\x00\x01p\x05\x01v\x01\x03\x01",     // push,
        b"\x06\x02\x00\x01a\x00\x01-\x03\xfc\xe0\x22\x02\x00", // insert,
        b"\x07\x01\x00\x01a\x01\x00\x01b",             // move,
        b"\x08\x01\x00\x01t\x01\x03\x02",              // test,
        b"\x08\x01\x00\x01t\x00",                      // test for absence,
        b"\x09\x01\x00\x01p\x03\x02\x01\x01q",         // place before another,
        b"\x09\x01\x00\x01p\x03\x02\x00",              // place last.
        &[1],                                          // The end.
    ]
    .concat();
    (transaction, bytes)
}

#[test]
fn a_transaction_is_written_as_these_bytes() {
    let (transaction, bytes) = one_of_everything();
    assert_eq!(encoded(&transaction), bytes);
}

#[test]
fn these_bytes_are_read_as_that_transaction() {
    let (transaction, bytes) = one_of_everything();
    assert_eq!(Transaction::decode(&bytes).unwrap(), transaction);
}

#[test]
fn a_payload_cut_short_anywhere_is_refused_zeros_behind_it_or_not() {
    let (_, bytes) = one_of_everything();
    for end in 0..bytes.len() {
        Transaction::decode(&bytes[..end]).unwrap_err();
        let mut padded = bytes[..end].to_vec();
        padded.resize(bytes.len(), 0);
        Transaction::decode(&padded).unwrap_err();
    }
}

#[test]
fn bytes_too_many_are_refused() {
    let (_, mut bytes) = one_of_everything();
    bytes.push(TERMINATOR);
    assert!(matches!(Transaction::decode(&bytes), Err(DecodeError::LeftOver(1))));
}

#[test]
fn a_payload_of_a_later_layout_is_told_by_its_number() {
    let (_, mut bytes) = one_of_everything();
    bytes[0] = 2;
    let error = Transaction::decode(&bytes).unwrap_err();
    assert_eq!(error.to_string(), "the payload is written in layout 2, this build knows layout 1");
}

#[test]
fn a_count_beyond_the_bytes_that_are_left_is_refused_before_room_is_made() {
    // Texts, arrays and objects of 2^63 bytes or elements.
    for kind in [5, 6, 7] {
        let bytes = [kind, 253, 0, 0, 0, 0, 0, 0, 0, 128];
        assert!(matches!(decode::<Value>(&bytes), Err(DecodeError::Content(Fault::UnexpectedEnd { .. }))));
    }
}

#[test]
fn values_are_read_as_deep_as_they_may_be_written_and_no_deeper() {
    let nested = |depth| {
        let mut bytes = [6, 1].repeat(depth);
        bytes.push(0);
        decode::<Value>(&bytes)
    };
    let deepest = nested(DEPTH_MAX).unwrap();
    assert_eq!(encoded(&Op::set("", &deepest).into()), encoded(&Op::set("", deepest).into()));
    nested(DEPTH_MAX + 1).unwrap_err();
    nested(1_000_000).unwrap_err();
}

#[test]
fn values_side_by_side_are_not_deep() {
    let value = json!({"wide": (vec![Value::array(); 2 * DEPTH_MAX]), "next": [{}, {}]});
    let mut bytes = Vec::new();
    encode(&value, &mut bytes);
    assert_eq!(decode::<Value>(&bytes).unwrap(), value);
}

#[test]
fn the_largest_transaction_that_is_written_is_read_and_a_larger_one_is_refused() {
    // Millions of small numbers: two bytes each, but more in memory, which must not count.
    let numbers: Value = (0..4_000_000).map(|_| json!(7)).collect();
    let with_text = |len: usize| Transaction::new().set("numbers", &numbers).set("text", "x".repeat(len));
    let fixed = encoded(&with_text(1 << 20)).len() - (1 << 20);
    // A length beyond 2^16 is written in as many bytes, whatever it is.
    let most = RECORD_MAX - fixed;
    let bytes = encoded(&with_text(most));
    assert_eq!(bytes.len(), RECORD_MAX);
    assert!(Transaction::decode(&bytes).unwrap() == with_text(most));

    let mut out = vec![9];
    let refusal = with_text(most + 1).encode(&mut out).unwrap_err();
    assert_eq!(refusal.to_string(), "a transaction of 67108865 bytes is longer than 67108864");
    assert_eq!(out, [9], "a refusal leaves nothing behind");
}

#[test]
fn an_object_with_one_key_twice_is_refused() {
    decode::<Value>(b"\x07\x02\x01a\x00\x01b\x00").unwrap();
    decode::<Value>(b"\x07\x02\x01a\x00\x01a\x00").unwrap_err();
}

#[test]
fn a_set_of_a_scalar_at_keys_is_read_as_a_plain_set() {
    for path in ["", "a", "server.port"] {
        let payload = encoded(&Op::set(path, "x").into());
        let set = PlainSet::read(&payload, &[]).unwrap();
        let (keys, depth) = set.keys().unwrap();
        assert_eq!(keys[..depth].join("."), path);
        assert_eq!(set.value(), "x".into());
    }
    let nested = Op::set("a", vec![1]);
    for other in
        [nested, Op::set("a[0]", 1), Op::remove("a"), Op::set("a.b.c.d.e.f.g.h.i", 1), Op::set("x".repeat(251), 1)]
    {
        let other = Transaction::from(other);
        assert!(PlainSet::read(&encoded(&other), &[]).is_none());
        assert!(!other.is_plain_set());
    }
    assert!(PlainSet::read(&encoded(&Transaction::new().set("a", 1).idempotent("k")), &[]).is_none());
}

#[test]
fn a_path_that_does_not_parse_is_never_written() {
    let mut out = Vec::new();
    let refusal = Transaction::new().set("fine", 1).set("a..b", 1).encode(&mut out).unwrap_err();
    assert!(matches!(refusal, Refusal::Path(_)));
    assert!(out.is_empty());
}

proptest! {
    #[test]
    fn what_is_written_is_read(transaction in arbitrary::transaction()) {
        prop_assert_eq!(Transaction::decode(&encoded(&transaction)).unwrap(), transaction);
    }

    /// The ways that leave something out read what the whole way reads, damaged or not.
    #[test]
    fn a_replay_reads_what_a_reader_of_everything_reads(
        transaction in prop_oneof![
            arbitrary::transaction(),
            (vec("[a-c]{0,2}", 0..10), arbitrary::value())
                .prop_map(|(keys, value)| Op::Set { path: keys.into_iter().collect(), value }.into()),
        ],
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 0..2),
        other in arbitrary::transaction().prop_map(|transaction| transaction.origin),
    ) {
        let mut bytes = encoded(&transaction);
        prop_assert_eq!(PlainSet::read(&bytes, &[]).is_some(), transaction.is_plain_set());
        for (at, byte) in damage {
            *at.get_mut(&mut bytes) = byte;
        }
        let whole = Transaction::decode(&bytes).ok();
        let unsigned = whole.clone().map(|whole| Transaction { time: 0, origin: Origin::default(), ..whole });
        prop_assert_eq!(Transaction::decode_unsigned(&bytes).ok(), unsigned.clone());
        let plain = PlainSet::read(&bytes, &[]);
        if let Some((set, (keys, depth))) = plain.and_then(|set| Some((set, set.keys()?))) {
            let op = Op::Set { path: keys[..depth].iter().copied().collect(), value: set.value() };
            prop_assert_eq!(op.fits(), Ok(()));
            prop_assert_eq!(Some(op.into()), unsigned);
        }
        // An origin that is known spares a look at it and changes nothing else, whether or not it is this one's.
        let other = encoded(&Transaction { time: 0, origin: other, ..Op::set("a", 1).into() });
        let known = PlainSet::read(&other, &[]).unwrap().origin;
        for origin in plain.iter().map(|set| set.origin).chain([known]) {
            prop_assert_eq!(PlainSet::read(&bytes, origin), plain);
        }
    }

    #[test]
    fn values_come_back_one_after_the_other(values in vec(arbitrary::value(), 0..4)) {
        let mut bytes = Vec::new();
        for value in &values {
            encode(value, &mut bytes);
        }
        let mut rest = &bytes[..];
        for value in &values {
            prop_assert_eq!(&take_next(&mut rest, Value::take).unwrap(), value);
        }
        prop_assert!(rest.is_empty());
    }

    #[test]
    fn no_bytes_break_the_decoder(
        transaction in arbitrary::transaction(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = encoded(&transaction);
        for (at, byte) in damage {
            *at.get_mut(&mut bytes) = byte;
        }
        // Whatever it is now, it is read or refused; and what is read can be written.
        if let Ok(transaction) = Transaction::decode(&bytes) {
            for op in transaction.ops {
                let _ = Transaction::from(op).encode(&mut Vec::new());
            }
        }
    }

    #[test]
    fn noise_does_not_break_the_decoder(bytes in vec(any::<u8>(), 0..200)) {
        let _ = Transaction::decode(&bytes);
        let _ = decode::<Value>(&bytes);
    }
}
