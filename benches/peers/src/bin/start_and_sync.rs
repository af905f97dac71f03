//! What a command that makes one durable edit cannot do without: to start, and one write and sync.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

fn main() -> std::io::Result<()> {
    let path = std::env::args_os().nth(1).ok_or(std::io::ErrorKind::InvalidInput)?;
    let file = OpenOptions::new().write(true).open(path)?;
    file.write_all_at(&[b'x'; 100], 0)?;
    file.sync_data()
}
