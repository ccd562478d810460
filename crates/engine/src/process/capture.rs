//! The output of a command, kept within bounds.

use std::os::fd::AsFd;

use rustix::buffer::spare_capacity;

/// At least so much is read at once where there is so much: what a pipe holds.
const CHUNK: usize = 64 * 1024;

/// The first and the last of what a command prints. It holds at most twice its limit, in bytes.
#[derive(Debug)]
pub struct Capture {
    bytes: Vec<u8>,
    limit: usize,
    /// Where the first part ends, and how much was left out there.
    gap: Option<(usize, u64)>,
}

impl Capture {
    /// Nothing yet; of what comes, `limit` bytes are kept.
    pub fn new(limit: usize) -> Self {
        Self { bytes: Vec::new(), limit, gap: None }
    }

    /// Reads once from `pipe`, which has something to read, and returns how many bytes that were; 0 at
    /// the end. `heard` gets them.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn read(
        &mut self,
        pipe: impl AsFd,
        heard: impl FnOnce(&[u8]),
    ) -> rustix::io::Result<usize> {
        self.bytes.reserve(CHUNK);
        let before = self.bytes.len();
        let count = rustix::io::retry_on_intr(|| {
            rustix::io::read(pipe.as_fd(), spare_capacity(&mut self.bytes))
        })?;
        heard(&self.bytes[before..]);
        // Not each time: moving the last part costs as much as reading it did.
        if self.bytes.len() > self.limit.saturating_mul(2) {
            self.shorten();
        }
        Ok(count)
    }

    /// All of it as text, with a line in the middle that tells how much was left out there.
    pub fn into_text(mut self) -> String {
        if self.bytes.len() > self.limit {
            self.shorten();
        }
        let Some((at, count)) = self.gap else { return text(self.bytes) };
        let last = self.bytes.split_off(at);
        let note = format!("\n[{count} bytes of output left out here]\n");
        [text(self.bytes), note, text(last)].concat()
    }

    /// Leaves out of the middle what is over the limit. No character is cut in two.
    fn shorten(&mut self) {
        let continues = |at: usize| self.bytes.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
        let (from, before) = self.gap.unwrap_or_else(|| {
            let half = self.limit / 2;
            ((half.saturating_sub(3)..=half).rev().find(|&at| !continues(at)).unwrap_or(half), 0)
        });
        let over = self.bytes.len().saturating_sub(self.limit - from).max(from);
        let to = (over..over + 4).find(|&at| !continues(at)).unwrap_or(over);
        self.gap = Some((from, before + (to - from) as u64));
        self.bytes.drain(from..to);
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, Write};

    use proptest::prelude::*;

    use super::*;

    fn captured(limit: usize, printed: &[u8]) -> String {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(printed).unwrap();
        file.rewind().unwrap();
        let mut capture = Capture::new(limit);
        while capture.read(&file, |_| ()).unwrap() > 0 {
            assert!(capture.bytes.len() <= 2 * limit.max(CHUNK));
        }
        capture.into_text()
    }

    proptest! {
        #[test]
        fn what_is_kept_and_what_is_left_out_add_up(
            text in "[a-zß→🦀]{0,300}", repeat in 1..2000_usize, limit in 8..200_000_usize,
        ) {
            let printed = text.repeat(repeat);
            let kept = captured(limit, printed.as_bytes());
            match kept.split_once("\n[") {
                None => prop_assert_eq!(&kept, &printed),
                Some((first, rest)) => {
                    let (count, last) = rest.split_once(" bytes of output left out here]\n").unwrap();
                    let count: usize = count.parse().unwrap();
                    prop_assert!(printed.starts_with(first) && printed.ends_with(last));
                    prop_assert_eq!(first.len() + count + last.len(), printed.len());
                    prop_assert!(first.len() + last.len() <= limit);
                    prop_assert!(first.len() + last.len() + 8 > limit);
                }
            }
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_kept_as_well_as_they_can_be() {
        assert_eq!(captured(8, &[b'a', 0xff, b'b']), "a\u{fffd}b");
        let kept = captured(8, &[0x80; 100]);
        assert!(kept.contains(" bytes of output left out here]"), "{kept}");
    }
}
