//! The checker itself: histories that are in order, and each kind of history that is not.

use crate::checker::{Call, Config, Do, Told, Verdict, check};

fn call(begin: u64, end: u64, what: Do, told: Told) -> Call {
    Call { who: 0, what, begin, end: Some(end), told }
}

fn unknown(begin: u64, what: Do) -> Call {
    Call { who: 0, what, begin, end: None, told: Told::Unknown }
}

fn set(number: u64) -> Do {
    Do::Set { key: 0, number }
}

fn applied(revision: u64) -> Told {
    Told::Applied { revision, sum: None }
}

fn read(revision: u64, value: u64) -> Told {
    Told::Read { revision: Some(revision), value: Some(value) }
}

const GET: Do = Do::Get { key: 0 };

#[track_caller]
fn is(verdict: Verdict, history: &[Call]) {
    assert_eq!(check(history), verdict, "{history:#?}");
}

#[test]
fn one_after_the_other_is_in_order() {
    let all = Told::ReadAll { revision: 2, config: Config { keys: [(0, 5004)].into(), list: vec![] } };
    is(
        Verdict::Linearizable,
        &[
            call(0, 1, set(4), applied(1)),
            call(2, 3, Do::Increment { key: 0, number: 5 }, Told::Applied { revision: 2, sum: Some(5004) }),
            call(4, 5, GET, read(2, 5004)),
            call(6, 7, Do::GetAll, all),
            call(8, 9, Do::SetIf { key: 0, expected: Some(4), number: 6 }, Told::Refused),
        ],
    );
}

#[test]
fn calls_at_the_same_time_may_come_in_either_order() {
    is(Verdict::Linearizable, &[call(0, 9, set(1), applied(2)), call(0, 9, set(2), applied(1))]);
    is(
        Verdict::Linearizable,
        &[call(0, 9, set(1), applied(1)), call(1, 2, GET, read(1, 1)), call(3, 4, GET, read(1, 1))],
    );
}

#[test]
fn the_order_of_revisions_must_agree_with_the_clock() {
    is(Verdict::Not, &[call(0, 1, set(1), applied(2)), call(2, 3, set(2), applied(1))]);
}

#[test]
fn a_lost_update_is_not_in_order() {
    is(Verdict::Not, &[call(0, 1, set(1), applied(1)), call(2, 3, set(2), applied(3))]);
    let sum = |revision, sum| Told::Applied { revision, sum: Some(sum) };
    let add = |number| Do::Increment { key: 0, number };
    is(Verdict::Not, &[call(0, 9, add(1), sum(1, 1000)), call(0, 9, add(2), sum(2, 2000))]);
}

#[test]
fn one_revision_given_twice_is_not_in_order() {
    is(Verdict::Not, &[call(0, 9, set(1), applied(1)), call(0, 9, set(2), applied(1))]);
}

#[test]
fn a_stale_read_is_not_in_order() {
    is(Verdict::Not, &[call(0, 1, set(1), applied(1)), call(2, 3, set(2), applied(2)), call(4, 5, GET, read(1, 1))]);
    let nothing = Told::Read { revision: None, value: None };
    is(Verdict::Not, &[call(0, 1, set(1), applied(1)), call(2, 3, GET, nothing)]);
}

#[test]
fn a_read_of_what_is_taken_back_is_not_in_order() {
    is(Verdict::Not, &[unknown(0, set(1)), call(1, 2, GET, read(1, 1)), call(3, 4, set(2), applied(1))]);
    is(
        Verdict::Not,
        &[
            unknown(0, set(1)),
            call(1, 2, GET, read(1, 1)),
            call(3, 4, Do::SetIf { key: 0, expected: None, number: 2 }, applied(2)),
        ],
    );
}

#[test]
fn an_unknown_outcome_may_be_either_but_not_both() {
    let happened = [unknown(0, set(1)), call(5, 6, GET, read(1, 1))];
    is(Verdict::Linearizable, &happened);
    is(Verdict::Linearizable, &[unknown(0, set(1)), call(5, 6, set(2), applied(1))]);
    is(Verdict::Not, &[call(0, 1, set(2), applied(1)), unknown(2, set(1)), call(3, 4, set(3), applied(4))]);
    // It cannot have happened before it began.
    is(Verdict::Not, &[call(0, 1, set(2), applied(2)), unknown(2, set(1))]);
}

#[test]
fn a_refusal_must_have_had_a_reason() {
    let if_one = Do::SetIf { key: 0, expected: Some(1), number: 2 };
    is(Verdict::Not, &[call(0, 1, set(1), applied(1)), call(2, 3, if_one, Told::Refused)]);
    is(Verdict::Linearizable, &[call(0, 3, set(1), applied(1)), call(2, 3, if_one, Told::Refused)]);
}

#[test]
fn half_a_transaction_is_not_in_order() {
    let both = Do::Both { keys: [0, 1], number: 7 };
    let half = Told::ReadAll { revision: 1, config: Config { keys: [(0, 7)].into(), list: vec![] } };
    is(Verdict::Not, &[call(0, 9, both, applied(1)), call(1, 2, Do::GetAll, half)]);
}

#[test]
fn an_edit_that_is_said_not_to_be_applied_must_not_be_seen() {
    is(Verdict::Not, &[call(0, 1, set(1), Told::NotApplied), call(2, 3, GET, read(1, 1))]);
}
