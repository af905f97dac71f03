//! [`Splice`]: bytes of a text to be replaced, and nothing beside them.

use std::ops::Range;

use super::Unpatchable;

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
        out.push_str(&text[copied..at.start]);
        out.push_str(&with);
        copied = at.end;
    }
    out.push_str(&text[copied..range.end]);
    Ok(out)
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
}
