//! Bugs planted on purpose, one by one, each of which a named test must notice: a bug that nobody notices shows that a test is
//! missing.
//!
//! Each test runs in a process of its own, with the bug's name in `CFGWAL_PLANTED`. To see one:
//! `CFGWAL_PLANTED=SyncRetried cargo test --test simulated a_failed_sync`. `tools/planted` prints the table.

use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use cfgwal::sim::Bug;

/// A test that takes longer than this on a bug has not noticed it.
const PATIENCE: Duration = Duration::from_secs(300);

const CRASH: &str = "crash_states::every_crash_state_keeps_every_acknowledged_edit";
const SYNC: &str = "failing_calls::a_failed_sync_is_never_taken_for_one_that_worked";
const EDITOR: &str = "editors::a_save_between_any_two_calls_is_merged_and_no_line_is_lost";
const FLIPPED: &str = "damage::every_flipped_bit_leaves_the_state_or_an_error";
const REWRITE: &str = "rewriting::a_crash_while_the_file_is_written_over_leaves_what_the_next_command_completes";

/// Who must notice.
fn killer(bug: Bug) -> &'static str {
    match bug {
        Bug::FramesNotSynced
        | Bug::SegmentNotSynced
        | Bug::SnapshotNotSynced
        | Bug::JournalDirectoryNotSynced
        | Bug::BirthNotSynced
        | Bug::ConfigDirectoryNotSynced
        | Bug::NewTextNotSynced
        | Bug::AcknowledgedEarly
        | Bug::SegmentNamedEarly
        | Bug::SnapshotNamedEarly
        | Bug::ShownEarly
        | Bug::RetiredEarly => CRASH,
        Bug::NotedIgnored => {
            "meanwhile::a_text_put_back_by_hand_does_not_beat_a_newer_edit_when_another_edit_is_not_durable_yet"
        }
        Bug::NoteLeftOut => "editors::nor_when_the_program_is_killed_right_after_the_save",
        Bug::HeaderUnchecked => "torn_records::a_torn_record_is_whole_or_not_there_and_never_called_damage",
        Bug::SyncErrorIgnored | Bug::SyncRetried => SYNC,
        Bug::RewriteNotSynced | Bug::KeptTextsNotSynced | Bug::MixtureTakenOver => REWRITE,
        Bug::MarkIgnored => "twice::a_sync_that_failed_as_its_process_was_killed_is_not_made_up_for_by_another",
        Bug::FoundByNumber => {
            "twice::an_edit_that_went_with_a_failed_sync_is_not_taken_for_the_one_that_has_its_number_now"
        }
        Bug::SaveNotSynced => "rules::a_save_that_is_taken_over_is_on_the_disk_from_then_on",
        Bug::ReadersAhead => "crash_states::nobody_sees_an_edit_that_a_crash_can_take_back",
        Bug::AppendLockNotTaken | Bug::NotCaughtUp => {
            "scenes::an_edit_that_another_process_makes_meanwhile_is_neither_lost_nor_overlooked"
        }
        Bug::RefusedEarly | Bug::UnchangedEarly => "scenes::an_answer_holds_after_a_crash_though_nothing_was_written",
        Bug::RotatedUnsynced => "scenes::a_compaction_after_a_killed_writer_leaves_what_opens_after_a_crash",
        Bug::RoomNotSynced => "scenes::room_that_a_killed_writer_made_is_synced_before_frames_go_there",
        Bug::OneSnapshotKept => "scenes::a_damaged_snapshot_costs_no_data",
        Bug::FailedWriteLeft => "scenes::a_write_that_fails_half_way_leaves_nothing_behind",
        Bug::UnwrittenKept => "scenes::an_edit_after_one_that_could_not_be_written_is_judged_without_it",
        Bug::TailInherited | Bug::UnsettledIgnored => "scenes::a_tail_that_a_killed_writer_left_is_not_appended_to",
        Bug::TornTailThrownAway => "scenes::the_bytes_of_a_torn_tail_are_kept",
        Bug::PayloadUnchecked | Bug::SnapshotUnchecked | Bug::LaterFramesIgnored => FLIPPED,
        Bug::SaltIgnored => "scenes::old_frames_behind_the_end_are_no_frames",
        Bug::ChainIgnored => "scenes::a_frame_that_followed_another_one_does_not_count",
        Bug::StoreIgnored => "scenes::a_segment_of_another_store_is_damage",
        Bug::FeaturesIgnored => "scenes::a_store_with_unknown_features_is_refused_untouched",
        Bug::WatermarkIgnored => "scenes::damage_to_the_newest_record_is_told_while_the_system_runs",
        Bug::SuccessorIgnored => "scenes::damage_before_a_segment_that_goes_on_is_told",
        Bug::CutIgnored => "damage::every_truncation_leaves_the_state_or_an_error",
        Bug::ReadLimitTighter => "scenes::what_can_be_written_can_be_read",
        Bug::LockNotLookedAtAgain => "scenes::a_watermark_that_was_replaced_ends_the_work_of_whoever_had_the_old_one",
        Bug::OrphanAppendedTo => "scenes::a_segment_that_was_replaced_is_not_written_to",
        Bug::KeyForgotten | Bug::KeysNotInSnapshot => "scenes::an_idempotency_key_counts_once_for_ever",
        Bug::ExpectedIgnored => "scenes::an_edit_that_insists_on_an_older_revision_is_refused",
        Bug::ExchangeUnchecked | Bug::SaveNotPutBack | Bug::LeaseIgnored | Bug::NewestBaseTaken => EDITOR,
        Bug::ReaderLeftBehind => "editors::who_reads_the_file_right_after_a_save_finds_that_save",
        Bug::DisplacedIgnored => "editors::a_save_after_a_kill_counts_as_made_on_the_text_that_was_there",
        Bug::SaveSwept => "scenes::a_save_into_a_file_that_was_exchanged_long_ago_is_kept",
        Bug::HandEditOvertaken => "scenes::an_older_hand_edit_does_not_beat_a_newer_edit",
        Bug::ShrinkTaken => "scenes::an_emptied_file_is_held_back",
        Bug::InvalidTakenForEmpty => "scenes::a_text_that_does_not_parse_is_left_alone",
        Bug::OlderValueNotReported => "scenes::a_save_of_an_older_value_is_reported",
        Bug::LinkParted => {
            "rewriting::a_call_that_fails_while_the_file_is_written_over_leaves_a_file_that_is_whole_in_the_end"
        }
        Bug::FilesWide | Bug::DirectoryWide | Bug::ModeNotKept => {
            "scenes::nothing_is_readable_by_more_people_than_the_config_file"
        }
    }
}

enum Fate {
    Noticed(Duration),
    Survived(String),
}

/// Run the test that is to notice.
fn try_bug(bug: Bug) -> Fate {
    let began = Instant::now();
    let mut test = Command::new(std::env::current_exe().unwrap());
    test.args([killer(bug), "--exact", "--test-threads=1"]).env("CFGWAL_PLANTED", format!("{bug:?}"));
    // Short sequences show what long ones show later.
    test.env("CFGWAL_CRASH_LENGTH", "2").env("RUST_BACKTRACE", "0").stdout(Stdio::piped()).stderr(Stdio::null());
    let child = Mutex::new(test.spawn().unwrap());
    let done = Mutex::new(false);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            loop {
                std::thread::sleep(Duration::from_millis(5));
                let status = child.lock().unwrap().try_wait().unwrap();
                if status.is_some() || began.elapsed() > PATIENCE {
                    *done.lock().unwrap() = true;
                    let _ = child.lock().unwrap().kill();
                    return status;
                }
            }
        });
        let out = child.lock().unwrap().stdout.take().unwrap();
        let said = std::io::read_to_string(out).unwrap_or_default();
        let status = waiting.join().unwrap();
        match status {
            None => Fate::Survived(format!("no end after {PATIENCE:?}")),
            Some(_) if !said.contains("running 1 test") => Fate::Survived(format!("there is no test {}", killer(bug))),
            Some(status) if status.success() => Fate::Survived("the test passed".to_owned()),
            Some(_) => Fate::Noticed(began.elapsed()),
        }
    })
}

#[test]
fn each_planted_bug_is_noticed_by_the_test_that_is_to_notice_it() {
    if std::env::var_os("CFGWAL_PLANTED").is_some() {
        // One bug at a time is enough.
        return;
    }
    let (next, fates) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(bug) = Bug::ALL.get(next.fetch_add(1, SeqCst)) {
                    let fate = try_bug(*bug);
                    fates.lock().unwrap().push((*bug, fate));
                }
            });
        }
    });
    let mut fates = fates.into_inner().unwrap();
    fates.sort_by_key(|(bug, _)| *bug as usize);
    let mut survivors = Vec::new();
    println!("| bug | noticed by | ms |\n| --- | --- | ---: |");
    for (bug, fate) in &fates {
        let test = killer(*bug);
        match fate {
            Fate::Noticed(after) => println!("| {} | `{test}` | {} |", bug.what(), after.as_millis()),
            Fate::Survived(why) => survivors.push(format!("{bug:?} ({}) survives {test}: {why}", bug.what())),
        }
    }
    println!("{} of {} planted bugs noticed", fates.len() - survivors.len(), fates.len());
    assert!(survivors.is_empty(), "\n{}", survivors.join("\n"));
}
