//! Threads whose edits go into the log together: one of them appends for all, and whatever becomes of it, nobody waits for
//! ever and nobody is overtaken.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use cfgwal::sim::{Call, Disk, Process};
use cfgwal::{Error, FileStatus, Journal, Materialise, Op, Transaction};

const FILE: &str = "/settings.json";
/// What takes longer than this hangs.
const HANGS: Duration = Duration::from_secs(20);
/// Long enough for a thread to fall asleep that is about to.
const MOMENT: Duration = Duration::from_millis(200);

fn open(process: &Process) -> Journal {
    let options = Journal::options().materialise(Materialise::Manual);
    options.seat(process.seat()).alone().open(FILE).unwrap()
}

/// Runs something that must not hang; `None`: it panicked.
fn in_time<T: Send + 'static>(what: &str, run: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    finishes(what, &begin(run))
}

fn begin<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> mpsc::Receiver<T> {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || tell.send(run()));
    told
}

fn finishes<T>(what: &str, told: &mpsc::Receiver<T>) -> Option<T> {
    match told.recv_timeout(HANGS) {
        Ok(result) => Some(result),
        Err(mpsc::RecvTimeoutError::Disconnected) => None,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("{what} hangs"),
    }
}

/// A waker that does something when it is woken, as one may that holds the last handle of a task.
struct Does<F>(Mutex<Option<F>>);

impl<F: FnOnce() + Send + 'static> Does<F> {
    fn waker(what: F) -> Waker {
        Waker::from(Arc::new(Does(Mutex::new(Some(what)))))
    }
}

impl<F: FnOnce() + Send + 'static> Wake for Does<F> {
    fn wake(self: Arc<Self>) {
        let what = self.0.lock().unwrap().take();
        what.into_iter().for_each(|what| what());
    }
}

#[test]
fn a_waker_may_edit_and_drop_the_last_clone_of_the_journal() {
    let disk = Disk::new();
    let process = disk.process();
    let journal = open(&process);
    let mut awaited = journal.submit(Op::increment("n", 1)).unwrap();
    let waited_for = journal.submit(Op::increment("n", 1)).unwrap();
    let waker = Does::waker(move || {
        journal.append(Op::increment("n", 1)).unwrap();
        drop(journal);
    });
    let mut context = Context::from_waker(&waker);
    assert!(Pin::new(&mut awaited).poll(&mut context).is_pending());
    in_time("a thread that wakes others", || waited_for.wait().unwrap()).unwrap();
    assert!(Pin::new(&mut awaited).poll(&mut context).is_ready());
    assert_eq!(open(&process).get::<u64>("n").unwrap(), Some(3));
}

#[test]
fn a_panic_of_the_thread_whose_turn_it_is_leaves_nobody_waiting() {
    let disk = Disk::new();
    let process = disk.process();
    let journal = open(&process);
    journal.append(Op::set("n", 0)).unwrap();
    let (leads, is_led) = mpsc::channel();
    let (asleep, go_on) = mpsc::channel::<()>();
    let mut first = true;
    process.observe(move |seen| match seen.call {
        // Whoever leads first goes on once the others sleep.
        Call::Sync if first => {
            first = false;
            leads.send(()).unwrap();
            go_on.recv().unwrap();
        }
        // Who is asked next comes to grief.
        Call::Stat if !first && seen.path.ends_with("settings.json") => {
            std::panic::resume_unwind(Box::new("on purpose"))
        }
        _ => {}
    });
    let edit = || {
        let journal = journal.clone();
        begin(move || journal.append(Op::increment("n", 1)))
    };
    let mut waiting = vec![edit()];
    is_led.recv().unwrap();
    waiting.extend((0..3).map(|_| edit()));
    std::thread::sleep(MOMENT);
    asleep.send(()).unwrap();
    let ends: Vec<_> = waiting.iter().map(|waiting| finishes("an edit beside a panic", waiting)).collect();
    assert!(ends[0].as_ref().unwrap().is_ok(), "{ends:?}");
    assert_eq!(ends.iter().filter(|end| end.is_none()).count(), 1, "one of them panics: {ends:?}");
    let last = in_time("an edit after a panic", move || journal.append(Op::set("after", 1)));
    last.unwrap().unwrap();
}

#[test]
fn a_forked_child_waits_for_none_of_its_parents_threads() {
    let disk = Disk::new();
    let process = disk.process();
    let journal = open(&process);
    let (go_on, synced) = mpsc::channel::<()>();
    let (leads, is_led) = (Mutex::new(synced), Arc::new(AtomicBool::new(false)));
    let led = is_led.clone();
    process.observe(move |seen| {
        if seen.call == Call::Sync {
            led.store(true, SeqCst);
            let _ = leads.lock().unwrap().recv();
        }
    });
    let busy = journal.clone();
    let leader = begin(move || busy.append(Op::set("n", 1)).is_ok());
    while !is_led.load(SeqCst) {
        std::thread::yield_now();
    }
    // In the child of a fork that comes now, nobody leads, and the queue says that somebody does.
    let [waited, mut polled] = [0, 1].map(|n| journal.submit(Op::set("m", n)).unwrap());
    process.become_child();
    let waits = begin(move || waited.wait().map(drop));
    let polled = Pin::new(&mut polled).poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Ready(Err(Error::Forked { .. }))), "{polled:?}");
    let others = [journal.clone(), journal.clone()];
    let [writes, compacts] = others;
    let materialises = begin(move || writes.materialise().map(drop));
    let compacts = begin(move || compacts.compact().map(drop));
    let closes = begin(move || journal.close().map(drop));
    for (what, told) in [("wait", waits), ("materialise", materialises), ("compact", compacts), ("close", closes)] {
        let told = finishes(what, &told).unwrap();
        assert!(matches!(told, Err(Error::Forked { .. })), "{what}: {told:?}");
    }
    drop(go_on);
    finishes("the thread that stays with the parent", &leader).unwrap();
}

#[test]
fn who_waits_for_the_edits_made_so_far_does_not_wait_for_later_ones() {
    let disk = Disk::new();
    let process = disk.process();
    let journal = open(&process);
    let stop = Arc::new(AtomicBool::new(false));
    let busy: Vec<_> = (0..4)
        .map(|_| {
            let (journal, stop) = (journal.clone(), stop.clone());
            begin(move || {
                while !stop.load(SeqCst) {
                    journal.append(Op::increment("n", 1)).unwrap();
                }
            })
        })
        .collect();
    std::thread::sleep(MOMENT / 4);
    let submitted = journal.submit(Op::set("before", 1)).unwrap();
    let waits = journal.clone();
    let status = in_time("bringing the file up to date beside others who edit", move || waits.materialise());
    stop.store(true, SeqCst);
    assert!(status.unwrap().is_ok());
    assert_eq!(journal.get::<u64>("before").unwrap(), Some(1));
    submitted.wait().unwrap();
    busy.iter().for_each(|busy| finishes("an edit", busy).unwrap());
}

#[test]
fn submitted_edits_that_never_cease_do_not_keep_the_file_from_being_written() {
    let disk = Disk::new();
    let process = disk.process();
    let journal = Journal::options().seat(process.seat()).open(FILE).unwrap();
    // A disk that takes its time, so that more is submitted meanwhile.
    process.observe(|seen| {
        if seen.call == Call::Sync {
            std::thread::sleep(Duration::from_millis(2));
        }
    });
    let (submitted, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let busy = {
        let (journal, submitted, stop) = (journal.clone(), submitted.clone(), stop.clone());
        begin(move || {
            while !stop.load(SeqCst) {
                drop(journal.submit(Op::increment("n", 1)).unwrap());
                submitted.fetch_add(1, SeqCst);
                std::thread::sleep(Duration::from_micros(100));
            }
        })
    };
    let began = Instant::now();
    let shown = loop {
        let shown = process.read_file(FILE).is_ok();
        if shown || began.elapsed() > HANGS {
            break shown;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    stop.store(true, SeqCst);
    finishes("the stream", &busy).unwrap();
    assert!(shown, "{} edits, and no file", submitted.load(SeqCst));
}

#[test]
fn an_edit_that_came_after_a_save_counts_though_the_save_was_looked_for_before_both() {
    let disk = Disk::new();
    let (process, editor) = (disk.process(), disk.process());
    let journal = open(&process);
    journal.append(Transaction::new().set("a", 0).set("b", 0)).unwrap();
    journal.materialise().unwrap();
    editor.replace_file(FILE, "{\"a\": 0, \"b\": \"save\"}", true).unwrap();
    let later = Arc::new(Mutex::new(None));
    {
        // While the first save is being taken over, there is another one, and after it an edit.
        let (later, journal) = (later.clone(), journal.clone());
        let mut first = true;
        process.observe(move |seen| {
            if first && seen.call == Call::Unlock && seen.path.ends_with("watermark") {
                first = false;
                editor.replace_file(FILE, "{\"a\": \"save\", \"b\": \"save\"}", true).unwrap();
                let journal = journal.clone();
                *later.lock().unwrap() = Some(begin(move || journal.append(Op::set("a", "edit")).unwrap()));
                std::thread::sleep(MOMENT);
            }
        });
    }
    journal.append(Op::set("c", 0)).unwrap();
    let later = later.lock().unwrap().take().expect("the save was taken over");
    finishes("the later edit", &later).unwrap();
    assert!(matches!(journal.materialise().unwrap(), FileStatus::Current { .. }));
    assert_eq!(journal.get::<String>("a").unwrap().as_deref(), Some("edit"), "what was done last");
    assert_eq!(journal.take_conflicts(), []);
}

#[test]
fn a_waker_that_panics_keeps_no_other_task_asleep() {
    let disk = Disk::new();
    let journal = open(&disk.process());
    let woken = Arc::new(AtomicU64::new(0));
    let mut pending: Vec<_> = (0..5).map(|n| journal.submit(Op::set("n", n)).unwrap()).collect();
    for (at, pending) in pending.iter_mut().enumerate() {
        let woken = woken.clone();
        let waker = Does::waker(move || {
            assert!(at % 2 == 1, "a waker that panics");
            woken.fetch_add(1, SeqCst);
        });
        assert!(Pin::new(pending).poll(&mut Context::from_waker(&waker)).is_pending());
    }
    let ack = in_time("who writes for all", move || journal.append(Op::set("n", 5)).unwrap());
    assert_eq!(ack.expect("what others do when they are woken is nothing to who writes").revision, 6);
    assert_eq!(woken.load(SeqCst), 2);
}

#[test]
fn a_panic_in_the_background_leaves_no_submitted_edit_waiting() {
    let disk = Disk::new();
    let process = disk.process();
    let options = Journal::options().materialise(Materialise::After(Duration::ZERO));
    let journal = options.seat(process.seat()).open(FILE).unwrap();
    let (reached, at_work) = mpsc::channel();
    let (go_on, is_submitted) = mpsc::channel::<()>();
    process.observe(move |seen| {
        let is_keeper = std::thread::current().name() == Some("cfgwal");
        if is_keeper && seen.path.ends_with("settings.json") && reached.send(()).is_ok() && is_submitted.recv().is_ok()
        {
            panic!("a bug in what writes the file");
        }
    });
    // The second edit of a program has the background thread write the file.
    (1..3).for_each(|n| drop(journal.append(Op::set("n", n)).unwrap()));
    at_work.recv_timeout(HANGS).unwrap();
    let (tell, told) = mpsc::channel();
    let waker = Does::waker(move || tell.send(()).unwrap());
    let mut submitted = journal.submit(Op::set("n", 3)).unwrap();
    assert!(Pin::new(&mut submitted).poll(&mut Context::from_waker(&waker)).is_pending());
    drop(at_work);
    go_on.send(()).unwrap();
    drop(go_on);
    told.recv_timeout(HANGS).expect("somebody makes the edit and tells of it");
    assert_eq!(journal.get::<u64>("n").unwrap(), Some(3));
}

#[test]
fn a_compaction_that_panics_is_not_begun_anew_with_every_edit() {
    let disk = Disk::new();
    let process = disk.process();
    let options = Journal::options().materialise(Materialise::After(Duration::from_secs(3600)));
    let journal = options.seat(process.seat()).open(FILE).unwrap();
    let (tell, told) = mpsc::channel();
    panic_in_compaction(&process, tell);
    let began = Instant::now();
    for n in 0..12_u8 {
        journal.append(Op::set("large", char::from(b'a' + n).to_string().repeat(100_000))).unwrap();
    }
    told.recv_timeout(HANGS).expect("the log has outgrown its snapshot");
    (0..100).for_each(|n| drop(journal.append(Op::set("n", n)).unwrap()));
    std::thread::sleep(MOMENT);
    (0..100).for_each(|n| drop(journal.append(Op::set("m", n)).unwrap()));
    let again = told.try_iter().count() as u64;
    assert!(again <= began.elapsed().as_secs(), "once a second is enough: {again} more in {:?}", began.elapsed());
}

/// Every compaction in the background comes to nothing, each of which is told.
fn panic_in_compaction(process: &Process, tell: mpsc::Sender<()>) {
    let same = process.clone();
    process.observe(move |seen| {
        let is_keeper = std::thread::current().name() == Some("cfgwal");
        // The first step: the log is as long as before.
        if is_keeper && seen.call == Call::Open && seen.path.to_string_lossy().contains("wal-0000000000000002.tmp-") {
            // A panic takes the observer with it.
            panic_in_compaction(&same, tell.clone());
            let _ = tell.send(());
            panic!("a bug in what compacts");
        }
    });
}
