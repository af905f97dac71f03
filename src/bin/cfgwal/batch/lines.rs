//! [`Lines`]: the input line by line, in bounded memory whatever comes in.

use std::io::{self, BufRead, Read};

use cfgwal::RECORD_MAX;

use crate::failure::Failure;

/// Reads lines, and passes over what of a line is more than a record can hold.
pub struct Lines<R> {
    input: R,
    line: Vec<u8>,
    limit: usize,
}

impl<R: BufRead> Lines<R> {
    pub fn new(input: R) -> Lines<R> {
        Lines { input, line: Vec::new(), limit: RECORD_MAX }
    }

    /// The next line without its end, a refusal of one that is too long, or nothing at the end of the input.
    pub fn next(&mut self) -> io::Result<Option<Result<&[u8], Failure>>> {
        // One long line is no reason to keep its memory.
        self.line.clear();
        self.line.shrink_to(super::LONG);
        let limit = u64::try_from(self.limit).unwrap_or(u64::MAX);
        if (&mut self.input).take(limit).read_until(b'\n', &mut self.line)? == 0 {
            return Ok(None);
        }
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
        } else if self.line.len() == self.limit {
            self.input.skip_until(b'\n')?;
            return Ok(Some(Err(Failure::TooLong { what: "the line", limit: self.limit })));
        }
        Ok(Some(Ok(&self.line)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_refused_and_the_next_one_served() {
        let mut lines = Lines { input: &b"abc\nabcdefghijklm\n\nlast"[..], line: Vec::new(), limit: 8 };
        let mut seen = Vec::new();
        while let Some(line) = lines.next().expect("reading from memory") {
            seen.push(line.map(|line| String::from_utf8_lossy(line).into_owned()).map_err(|error| error.code()));
        }
        let ok = |line: &str| Ok(line.to_owned());
        assert_eq!(seen, [ok("abc"), Err("too_large"), ok(""), ok("last")]);
    }
}
