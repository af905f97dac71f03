//! Bugs on purpose. A test plants each of them in turn and sees to it that another test notices: what survives shows that
//! a test is missing.
//!
//! One is planted by its name in `CFGWAL_PLANTED`, and only in builds with the feature `sim`, which no user has. In all
//! others [`planted`] is a constant.

macro_rules! bugs {
    ($($(#[doc = $what:literal])+ $name:ident,)*) => {
        /// A bug that can be planted, and what is wrong then.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[cfg_attr(not(feature = "sim"), allow(dead_code, reason = "some are planted in the simulated disk alone"))]
        pub enum Bug {
            $($(#[doc = $what])+ $name,)*
        }

        #[cfg(feature = "sim")]
        impl Bug {
            /// All of them.
            pub const ALL: &'static [Bug] = &[$(Bug::$name),*];

            /// What is wrong.
            pub fn what(self) -> &'static str {
                match self {
                    $(Bug::$name => concat!($($what),+).trim_ascii_start(),)*
                }
            }
        }
    };
}

bugs! {
    /// Frames are not synced.
    FramesNotSynced,
    /// A new segment is not synced before it gets its name.
    SegmentNotSynced,
    /// A snapshot is not synced before it gets its name.
    SnapshotNotSynced,
    /// The journal's directory is not synced.
    JournalDirectoryNotSynced,
    /// A journal that is being born is not synced.
    BirthNotSynced,
    /// The directory of the config file is not synced.
    ConfigDirectoryNotSynced,
    /// A new text is not synced before it takes the config file's place.
    NewTextNotSynced,
    /// A text that is written over where it lies is not synced.
    RewriteNotSynced,
    /// The texts of a rewriting are not synced before it begins.
    KeptTextsNotSynced,
    /// A failed sync is called good.
    SyncErrorIgnored,
    /// After a failed sync the same file is synced again.
    SyncRetried,
    /// That a syncer was killed at its sync is not looked at.
    MarkIgnored,
    /// An edit whose segment failed is looked for by its number alone.
    FoundByNumber,
    /// An edit is acknowledged before it is durable.
    AcknowledgedEarly,
    /// A refusal is answered before what it was judged on is durable.
    RefusedEarly,
    /// An edit that changes nothing is answered before what it was judged on is durable.
    UnchangedEarly,
    /// Frames go where a killed writer made room and did not sync it.
    RoomNotSynced,
    /// Readers are shown what is not durable yet.
    ReadersAhead,
    /// A segment gets its name before its content is written.
    SegmentNamedEarly,
    /// A snapshot gets its name before its content is written.
    SnapshotNamedEarly,
    /// Old segments go before the new snapshot is written.
    RetiredEarly,
    /// One snapshot is kept in place of two.
    OneSnapshotKept,
    /// Compaction goes over to the next segment while the old one is not durable.
    RotatedUnsynced,
    /// What an append wrote before it failed is not taken back.
    FailedWriteLeft,
    /// What could not be written goes on being what later edits are judged on.
    UnwrittenKept,
    /// Bytes of unknown standing at the end of a segment are appended to.
    TailInherited,
    /// The bytes of a torn tail are not kept.
    TornTailThrownAway,
    /// A frame's header is not checked.
    HeaderUnchecked,
    /// A frame's payload is not checked.
    PayloadUnchecked,
    /// Every file has the same salt.
    SaltIgnored,
    /// A frame need not follow the one before it.
    ChainIgnored,
    /// A segment of another store is taken for one's own.
    StoreIgnored,
    /// A file with features that this version does not know is read.
    FeaturesIgnored,
    /// A snapshot's content is not checked.
    SnapshotUnchecked,
    /// What frames further on say of a damaged one is not looked at.
    LaterFramesIgnored,
    /// What the watermark of this boot says of a damaged frame is not looked at.
    WatermarkIgnored,
    /// That a later segment needs a damaged frame is not looked at.
    SuccessorIgnored,
    /// A segment that was cut short is taken for one that ends there.
    CutIgnored,
    /// A longer record can be written than can be read.
    ReadLimitTighter,
    /// That whoever appended before was killed at it is not looked at.
    UnsettledIgnored,
    /// An edit is judged without a look at what others appended.
    NotCaughtUp,
    /// The append lock is not taken.
    AppendLockNotTaken,
    /// Whether what is locked is still what lies at the path is not looked at.
    LockNotLookedAtAgain,
    /// Whether the segment is still the one at the path is not looked at.
    OrphanAppendedTo,
    /// An idempotency key is forgotten.
    KeyForgotten,
    /// A snapshot does not carry the idempotency keys.
    KeysNotInSnapshot,
    /// The revision that an edit insists on is not compared.
    ExpectedIgnored,
    /// No note tells that the config file is about to show another text.
    NoteLeftOut,
    /// The config file shows an edit before that is durable.
    ShownEarly,
    /// What the log has noted of the config file counts only once it is durable.
    NotedIgnored,
    /// What comes out of an exchange is not looked at.
    ExchangeUnchecked,
    /// A save that came out of an exchange is not put back.
    SaveNotPutBack,
    /// Who asked for the file while a save was not in its place gets a text without that save.
    ReaderLeftBehind,
    /// A text that came out of an exchange is removed without a look at it.
    SaveSwept,
    /// Leases are not waited for.
    LeaseIgnored,
    /// Of two texts that a save may have been made on, the newest is taken for it.
    NewestBaseTaken,
    /// What came out of an exchange does not tell which text a save was made on.
    DisplacedIgnored,
    /// A hand edit is not looked for before an append.
    HandEditOvertaken,
    /// A save that is taken over is not synced.
    SaveNotSynced,
    /// A save that drops most of the values is taken over.
    ShrinkTaken,
    /// A text that does not parse is taken for an empty one.
    InvalidTakenForEmpty,
    /// A save that puts an older value back is not reported.
    OlderValueNotReported,
    /// A file with two names is replaced.
    LinkParted,
    /// A file that was half written over is taken for somebody's save.
    MixtureTakenOver,
    /// Files of the journal can be read by everybody.
    FilesWide,
    /// The journal's directory can be read by everybody.
    DirectoryWide,
    /// The config file does not keep its permissions.
    ModeNotKept,
}

/// Whether this bug is planted.
#[cfg(feature = "sim")]
pub(crate) fn planted(bug: Bug) -> bool {
    use std::sync::OnceLock;
    static PLANTED: OnceLock<Option<Bug>> = OnceLock::new();
    let named = || {
        let name = std::env::var("CFGWAL_PLANTED").ok()?;
        Bug::ALL.iter().copied().find(|bug| format!("{bug:?}") == name)
    };
    *PLANTED.get_or_init(named) == Some(bug)
}

/// Whether this bug is planted: none is.
#[cfg(not(feature = "sim"))]
pub(crate) const fn planted(_: Bug) -> bool {
    false
}
