//! [`Splice`]: bytes of a text to be replaced, and nothing beside them.

use std::ops::Range;

use super::Unpatchable;
use crate::limits::PIECE;

pub(super) struct Splice {
    pub(super) at: Range<usize>,
    pub(super) with: String,
}

/// The part of `text` that `range` says, with the splices in it. Every byte outside of them is copied,
/// once and in order.
pub(super) fn apply(text: &str, range: Range<usize>, mut splices: Vec<Splice>) -> Result<String, Unpatchable> {
    // Stable, and an insertion comes before the removal of what follows it.
    splices.sort_by_key(|splice| (splice.at.start, splice.at.end));
    let grown: usize = splices.iter().map(|splice| splice.with.len()).sum();
    let mut out = String::with_capacity(range.len() + grown);
    let mut copied = range.start;
    for Splice { at, with } in splices {
        if at.start < copied || at.end > range.end {
            return Err(Unpatchable::Unproven(format!("two edits meet at byte {}", at.start)));
        }
        copy(&mut out, &text[copied..at.start]);
        out.push_str(&with);
        copied = at.end;
    }
    copy(&mut out, &text[copied..range.end]);
    Ok(out)
}

/// Appends a text, which may be a large one.
fn copy(out: &mut String, mut text: &str) {
    while text.len() > PIECE {
        let end = (1..=PIECE).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
        let (piece, rest) = text.split_at(end);
        out.push_str(piece);
        std::thread::yield_now();
        text = rest;
    }
    out.push_str(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(edits: &[(Range<usize>, &str)]) -> Option<String> {
        let splices = edits.iter().map(|(at, with)| Splice { at: at.clone(), with: (*with).to_owned() });
        apply("0123456789", 1..9, splices.collect()).ok()
    }

    #[test]
    fn edits_land_in_order_and_all_else_is_copied() {
        assert_eq!(applied(&[]).as_deref(), Some("12345678"));
        assert_eq!(applied(&[(5..7, ""), (2..3, "ab"), (5..5, "x"), (5..5, "y")]).as_deref(), Some("1ab34xy78"));
    }

    #[test]
    fn edits_that_meet_or_leave_the_range_are_refused() {
        for edits in [&[(2..4, ""), (3..5, "")][..], &[(2..6, ""), (3..3, "x")], &[(8..10, "")], &[(0..1, "")]] {
            assert_eq!(applied(edits), None, "{edits:?}");
        }
    }

    #[test]
    fn a_large_text_is_copied_whole_whatever_its_pieces_end_in() {
        for start in ["", "x"] {
            let text = start.to_owned() + &"ä".repeat(PIECE + 7);
            let at = text.len() - 2;
            let done = apply(&text, 0..text.len(), vec![Splice { at: at..text.len(), with: "new".to_owned() }]);
            assert!(done.ok() == Some(text[..at].to_owned() + "new"));
        }
    }
}
