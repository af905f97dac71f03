//! [`Splice`]: bytes of a text to be replaced, and nothing beside them.

use std::borrow::Cow;
use std::iter;
use std::ops::Range;
use std::thread;

use super::Unpatchable;
use crate::limits::PIECE;

pub(crate) struct Splice {
    pub(super) at: Range<usize>,
    pub(super) with: String,
}

/// A text with splices in it. A large one need not be copied for that.
#[derive(Clone, Copy)]
pub(crate) struct Spliced<'a> {
    text: &'a [u8],
    /// In their order; no two meet.
    splices: &'a [Splice],
}

impl<'a> From<&'a [u8]> for Spliced<'a> {
    /// A text as it is.
    fn from(text: &'a [u8]) -> Spliced<'a> {
        Spliced { text, splices: &[] }
    }
}

impl<'a> Spliced<'a> {
    pub(crate) fn new(text: &'a [u8], splices: &'a [Splice]) -> Spliced<'a> {
        debug_assert!(splices.is_sorted_by(|one, next| one.at.end <= next.at.start));
        Spliced { text, splices }
    }

    pub(crate) fn len(self) -> usize {
        self.parts().map(<[u8]>::len).sum()
    }

    /// Its bytes in pieces of [`PIECE`], with a turn for others between them. What is copied are the pieces with a splice.
    pub(crate) fn pieces(self) -> impl Iterator<Item = Cow<'a, [u8]>> {
        let mut parts = self.parts();
        let mut left: &[u8] = &[];
        iter::from_fn(move || {
            let mut piece: Cow<'a, [u8]> = Cow::default();
            while piece.len() < PIECE {
                if left.is_empty() {
                    let Some(part) = parts.next() else { break };
                    left = part;
                }
                let (taken, rest) = left.split_at(left.len().min(PIECE - piece.len()));
                left = rest;
                if piece.is_empty() { piece = Cow::Borrowed(taken) } else { piece.to_mut().extend_from_slice(taken) }
            }
            if piece.len() == PIECE {
                thread::yield_now();
            }
            (!piece.is_empty()).then_some(piece)
        })
    }

    fn parts(self) -> impl Iterator<Item = &'a [u8]> {
        let mut copied = 0;
        let behind = self.splices.last().map_or(0, |splice| splice.at.end);
        let until_then = self.splices.iter().flat_map(move |Splice { at, with }| {
            let between = &self.text[copied..at.start];
            copied = at.end;
            [between, with.as_bytes()]
        });
        until_then.chain([&self.text[behind..]])
    }

    /// All of it in a row.
    pub(crate) fn bytes(self) -> Cow<'a, [u8]> {
        if self.splices.is_empty() {
            return Cow::Borrowed(self.text);
        }
        let mut bytes = Vec::with_capacity(self.len());
        self.pieces().for_each(|piece| bytes.extend_from_slice(&piece));
        Cow::Owned(bytes)
    }
}

impl PartialEq<[u8]> for Spliced<'_> {
    fn eq(&self, other: &[u8]) -> bool {
        self.len() == other.len() && self.pieces().zip(other.chunks(PIECE)).all(|(piece, other)| *piece == *other)
    }
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
        thread::yield_now();
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
    fn a_spliced_text_is_told_in_whole_pieces_and_no_other_than_an_edited_one() {
        assert_eq!(Spliced::from(&[][..]).pieces().count(), 0);
        for len in [4, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 5] {
            let text: String = (b'a'..=b'z').cycle().take(len).map(char::from).collect();
            let (start, middle, end) = (0..1, len / 2..len / 2 + 2, len..len);
            for chosen in 0..8 {
                let places = [&start, &middle, &end].into_iter().enumerate().filter(|(n, _)| chosen & 1 << n != 0);
                let splice = |(n, at): (usize, &Range<usize>)| Splice { at: at.clone(), with: "new".repeat(n) };
                let edited = apply(&text, 0..len, places.clone().map(splice).collect()).ok().map(String::into_bytes);
                let edited = edited.expect("no two edits meet");
                let splices: Vec<Splice> = places.map(splice).collect();
                let spliced = Spliced::new(text.as_bytes(), &splices);
                let pieces: Vec<_> = spliced.pieces().collect();
                assert!(pieces.iter().map(|piece| &**piece).eq(edited.chunks(PIECE)), "{chosen} in {len}");
                assert!(spliced.len() == edited.len() && spliced == *edited && *spliced.bytes() == *edited);
                assert!(spliced != *[&*edited, b"x"].concat());
                assert!(spliced != *[&edited[..edited.len() - 1], b"0"].concat());
            }
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
