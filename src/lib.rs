//! A write-ahead log for config files.
mod storage;
