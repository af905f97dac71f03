//! Programs that read the config file and know nothing of journals.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

/// Threads that read a file with `std::fs::read` in a loop, and look whether each text is whole and no older than one
/// that was read before, by whichever of them.
///
/// What they read is counted by the writer: every edit puts the same number at `/first` and `/last`.
pub struct Readers {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Result<u64, String>>>,
}

impl Readers {
    pub fn start(count: usize, file: &Path) -> Readers {
        let stop = Arc::new(AtomicBool::new(false));
        let newest = Arc::new(AtomicU64::new(0));
        let reader = |_| {
            let (file, stop, newest) = (file.to_owned(), stop.clone(), newest.clone());
            std::thread::spawn(move || {
                let mut reads = 0;
                while !stop.load(SeqCst) {
                    let before = newest.load(SeqCst);
                    let number = look(&file)?;
                    if number < before {
                        return Err(format!("read {number} where {before} had been read before"));
                    }
                    newest.fetch_max(number, SeqCst);
                    reads += 1;
                    // Readers that never pause would leave the writer no processor.
                    std::thread::sleep(Duration::from_millis(1));
                }
                Ok(reads)
            })
        };
        let threads = (0..count).map(reader).collect();
        Readers { stop, threads }
    }

    /// How many reads there were, all of them good.
    pub fn finish(self) -> u64 {
        self.stop.store(true, SeqCst);
        let reads = self.threads.into_iter().map(|thread| thread.join().expect("a reader does not panic"));
        reads.map(|reads| reads.unwrap_or_else(|why| panic!("a plain reader {why}"))).sum()
    }
}

/// Reads the file once: the number that it shows.
fn look(file: &Path) -> Result<u64, String> {
    let text = std::fs::read(file).map_err(|error| format!("could not read: {error}"))?;
    let torn = |what: String| format!("{what}; the {} bytes were: {}", text.len(), String::from_utf8_lossy(&text));
    let config: Value = serde_json::from_slice(&text).map_err(|error| torn(format!("found no JSON: {error}")))?;
    match (config["first"].as_u64(), config["last"].as_u64()) {
        (Some(first), Some(last)) if first == last => Ok(first),
        _ => Err(torn("found half an edit".to_owned())),
    }
}
