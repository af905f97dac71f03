//! The power goes again while recovery is at work: at every call of it, after every crash. What the second boot makes of that
//! is what the first would have made, had it been left alone.
//!
//! `CFGWAL_CRASH_LENGTH` and `CFGWAL_ALL` as in `crash_states`. A failure prints `CFGWAL_CRASH_AGAIN='...'`: with that
//! in the environment, `cargo test --test simulated recovery_can_be_cut_short -- --nocapture` tries these crashes alone.

use std::sync::{Arc, Mutex};

use cfgwal::sim::{Disk, DiskImage};
use cfgwal::{Error, Journal, Op, RecoverOptions};

use crate::after_crash::{At, FEW, FILE, Known, Tally, Truth, boot, open, options, timeless_disk};
use crate::crash_states::{Place, Sequence, chunks, each_crash, length_or, on_all_cores, replay, sequences};

/// Of so many images one is chosen, by what is in it.
#[derive(Debug, Clone, Copy)]
struct Shares {
    /// Crash states that recovery is cut short after.
    second: u128,
    /// Of what that leaves: states that recovery is cut short after once more.
    third: u128,
}

impl Shares {
    fn of_environment() -> Shares {
        if std::env::var_os("CFGWAL_ALL").is_some() {
            Shares { second: 1, third: 500 }
        } else {
            Shares { second: 48, third: 4000 }
        }
    }
}

/// Boot an image and let recovery run to its end, watched.
fn recover(image: &DiskImage, mut look: impl FnMut(&Disk, u64) + Send + 'static) {
    let disk = Disk::from_image(image);
    let process = disk.process();
    let has_journal = Journal::plan_recovery_seated(&process.seat(), FILE).unwrap().is_some();
    let look = Arc::new(Mutex::new(move |disk: &Disk, call| look(disk, call)));
    {
        let (disk, look) = (disk.clone(), look.clone());
        let mut last = None;
        process.observe(move |seen| {
            if last.replace(disk.generation()) != Some(disk.generation()) && !std::thread::panicking() {
                look.lock().unwrap()(&disk, seen.number);
            }
        });
    }
    // As `cfgwal recover` does it, or as any command does.
    if has_journal && image.hash().is_multiple_of(2) {
        Journal::recover_seated(options(&process), FILE, &RecoverOptions::default()).unwrap();
    } else {
        open(&process).unwrap().materialise().unwrap();
    }
    look.lock().unwrap()(&disk, process.calls() + 1);
    process.kill();
}

/// What recovery left alone makes of an image is what must come of it, however often it is cut short.
fn settled(image: &DiskImage, truth: &Truth, known: &Known, place: &str) -> Truth {
    let found = boot(image, truth, truth.key(), known, place);
    let mut only = Truth { acknowledged: found.revision, ..truth.clone() };
    only.history.retain(|at: &At| at.revision < found.revision);
    only.history.push(found);
    only
}

struct Explorer {
    first: Arc<Known>,
    later: Arc<Known>,
    shares: Shares,
}

impl Explorer {
    fn new(shares: Shares) -> Explorer {
        Explorer { first: Arc::default(), later: Arc::default(), shares }
    }

    fn explore(&self, sequence: &Sequence, chunks: &'static [usize]) -> Tally {
        let (first, later, shares) = (self.first.clone(), self.later.clone(), self.shares);
        each_crash(sequence, chunks, &self.first, move |image, truth, place| {
            if image.hash() % shares.second != 0 || first.is_alike(image, truth.key()) {
                return Tally::default();
            }
            let only = settled(image, truth, &first, &place().to_string());
            Tally { booted: 1, ..crash_again(image, &only, &later, shares, place()) }
        })
    }
}

/// Crash at every call of the recovery of an image; of what that leaves, recover a share watched in the same way.
fn crash_again(image: &DiskImage, only: &Truth, known: &Arc<Known>, shares: Shares, place: Place) -> Tally {
    let tally = Arc::new(Mutex::new(Tally::default()));
    let (counted, only, known, key) = (tally.clone(), only.clone(), known.clone(), only.key());
    recover(image, move |disk, call| {
        for image in disk.crash_images(&FEW) {
            let place = || {
                let mut place = place.clone();
                place.crashes.push((call, image.id()));
                place
            };
            let mut tally = Tally { again: 1, ..Tally::default() };
            if known.is_new(&image, key) && !known.is_alike(&image, key) {
                tally.continued = 1;
                boot(&image, &only, key, &known, &place().to_string());
                if (image.hash() >> 64) % shares.third == 0 {
                    let third = crash_again(&image, &only, &known, shares, place());
                    tally.again += third.again;
                    tally.continued += third.continued;
                }
            }
            *counted.lock().unwrap() += tally;
        }
    });

    *tally.lock().unwrap()
}

/// Every crash of a recovery, after a share of the crash states of every sequence of up to so many operations. Panics at the
/// first that ends in another state; all on this thread, and the same every time.
pub(crate) fn explore(length: usize, share: u128) -> Tally {
    let explorer = Explorer::new(Shares { second: share, third: 4000 });
    let mut tally = Tally::default();
    for sequence in sequences(length) {
        tally += explorer.explore(&sequence, &[512]);
    }
    tally
}

fn replay_again(image: &DiskImage, only: &Truth, place: &Place, rest: &[(u64, cfgwal::sim::StateId)]) {
    let [(call, state), rest @ ..] = rest else {
        boot(image, only, 0, &Known::default(), &place.to_string());
        return;
    };
    let left = Arc::new(Mutex::new(None));
    let (call, state, found) = (*call, state.clone(), left.clone());
    recover(image, move |disk, now| {
        if now == call {
            let image = disk.crash_image(&state).expect("the state is one of this moment");
            println!("{image:?}{}", disk.pending());
            *found.lock().unwrap() = Some(image);
        }
    });
    let left = left.lock().unwrap().take().expect("recovery came to this call");
    replay_again(&left, only, place, rest);
}

#[test]
fn recovery_can_be_cut_short_at_any_call_and_comes_to_the_same_state() {
    if let Ok(place) = std::env::var("CFGWAL_CRASH_AGAIN") {
        let place: Place = place.parse().expect("CFGWAL_CRASH_AGAIN");
        let own = place.clone();
        return replay(&place, move |image, truth| {
            let only = settled(image, truth, &Known::default(), &own.to_string());
            replay_again(image, &only, &own, &own.crashes[1..]);
        });
    }
    let (length, explorer) = (length_or(3), Explorer::new(Shares::of_environment()));
    let tally = on_all_cores(&sequences(length), |sequence| explorer.explore(sequence, chunks(sequence.0.len())));
    println!(
        "{} states of a second or third crash, {} of them booted, while {} crash states of sequences of up to {length} \
         operations were recovered",
        tally.again, tally.continued, tally.booted
    );
}

/// Giving up damaged records is a recovery as well: until it is done the store is as damaged as before, then it is sound.
#[test]
fn giving_up_damaged_records_can_be_cut_short_at_any_call() {
    let disk = timeless_disk();
    let process = disk.process();
    let journal = open(&process).unwrap();
    for n in 1..=4 {
        journal.append(Op::set("a", n)).unwrap();
        if n == 2 {
            journal.compact().unwrap();
        }
    }
    // Numbers go on above every one that was ever given.
    let kept = At { revision: 4, state: r#"{"a":2}"#.into() };
    process.kill();
    let segment = format!("{FILE}.cfgwal/wal-0000000000000002");
    let mut bytes = disk.image().read(&segment).unwrap();
    bytes[4096 + 50] ^= 1;
    let damaged = disk.image().with_file(&segment, bytes);

    let mut give_up = RecoverOptions::default();
    give_up.accept_loss = true;
    let watched = Disk::from_image(&damaged);
    let process = watched.process();
    let (inside, again) = (watched.clone(), give_up.clone());
    let seen = Arc::new(Mutex::new((0, 0)));
    let counted = seen.clone();
    let look = Arc::new(Mutex::new(move |call| {
        for image in inside.crash_images(&FEW) {
            let place = format!("before call {call}, state {}", image.id());
            let process = Disk::from_image(&image).process();
            let is_done = match open(&process) {
                Ok(_) => true,
                Err(Error::Damaged(_)) => false,
                Err(error) => panic!("{place}: {error}"),
            };
            if !is_done {
                let given_up = Journal::recover_seated(options(&process), FILE, &again);
                given_up.unwrap_or_else(|error| panic!("{place}, given up again: {error}"));
            }
            let journal = open(&process).unwrap_or_else(|error| panic!("{place}, and again: {error}"));
            assert_eq!(At::of(&journal), kept, "{place}");
            journal.append(Op::set("b", 1)).unwrap_or_else(|error| panic!("{place}, to append: {error}"));
            let mut seen = counted.lock().unwrap();
            *seen = if is_done { (seen.0, seen.1 + 1) } else { (seen.0 + 1, seen.1) };
            process.kill();
        }
    }));
    let watch = look.clone();
    process.observe(move |call| {
        if !std::thread::panicking() {
            watch.lock().unwrap()(call.number);
        }
    });
    Journal::recover_seated(options(&process), FILE, &give_up).unwrap();
    look.lock().unwrap()(process.calls() + 1);
    let (damaged, sound) = *seen.lock().unwrap();
    println!("{damaged} crash states as damaged as before, {sound} sound ones");
    assert!(damaged > 20 && sound > 20);
    process.kill();
}

#[test]
fn second_crashes_are_the_same_every_time() {
    assert_eq!(explore(1, 4), explore(1, 4));
}
