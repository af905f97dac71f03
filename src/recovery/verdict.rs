//! Torn or damaged: the decision, as a table over the evidence.

/// What is known about the first place in a segment that does not hold the next frame, where a later segment has not
/// taken over before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Evidence {
    /// A later segment begins beyond this place: every frame up to its first was durable when it was made.
    pub successor_needs_it: bool,
    /// A frame further on, intact under this segment's salt, was written by someone who knew this place to be durable.
    pub later_frame_vouches: bool,
    /// A snapshot covers this sequence, or the watermark of this boot does.
    pub vouched_elsewhere: bool,
    /// The file ends before the zeros that are synced ahead of every frame: someone cut it.
    pub cut_short: bool,
    /// Something other than zeros lies here or further on.
    pub bytes_left: bool,
}

/// What the first bad place means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The log ends here, as it was left.
    Clean,
    /// A crash cut the last writes short. They were never acknowledged: dropping them loses nothing.
    Torn,
    /// Records that had been acknowledged are gone. No crash does that: change nothing, ask a person.
    Damaged,
}

impl Evidence {
    pub(crate) fn verdict(self) -> Verdict {
        match self {
            Evidence { successor_needs_it: true, .. }
            | Evidence { later_frame_vouches: true, .. }
            | Evidence { vouched_elsewhere: true, .. }
            | Evidence { cut_short: true, .. } => Verdict::Damaged,
            Evidence { bytes_left: true, .. } => Verdict::Torn,
            Evidence { bytes_left: false, .. } => Verdict::Clean,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every combination, against the rules said in another way.
    #[test]
    fn the_verdict_is_total_and_disjoint() {
        let mut seen = [0; 3];
        for bits in 0..32u32 {
            let bit = |at: u32| bits >> at & 1 == 1;
            let evidence = Evidence {
                successor_needs_it: bit(0),
                later_frame_vouches: bit(1),
                vouched_elsewhere: bit(2),
                cut_short: bit(3),
                bytes_left: bit(4),
            };
            let acknowledged = bit(0) || bit(1) || bit(2) || bit(3);
            let rules = [
                (Verdict::Damaged, acknowledged),
                (Verdict::Torn, !acknowledged && bit(4)),
                (Verdict::Clean, !acknowledged && !bit(4)),
            ];
            let holding: Vec<_> = rules.iter().filter(|(_, holds)| *holds).collect();
            assert_eq!(holding.len(), 1, "{evidence:?}");
            assert_eq!(evidence.verdict(), holding[0].0, "{evidence:?}");
            seen[rules.iter().position(|(_, holds)| *holds).unwrap()] += 1;
        }
        assert_eq!(seen, [30, 1, 1]);
    }
}
