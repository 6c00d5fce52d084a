//! The log beside the journal's file, looked at before SQLite reads it.
//!
//! SQLite reads its write-ahead log up to the first frame that is not whole, and drops the rest without a word. After a crash
//! that is right for the last commit, which nobody was told of. Each one before it was synced before the next was begun: what
//! follows a frame that is not whole is the rest of that one commit, or left over from commits that were given up, or the
//! log was damaged after it was written, and commits that were acknowledged would be dropped with it. Only these last go on
//! from one another: each frame's checksum is over those before it, and nothing is ever written behind a commit that failed.
//!
//! The format is SQLite's, <https://www.sqlite.org/fileformat2.html#walformat>.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

/// The header's length: magic, version, page size, sequence number, two salts, two checksums.
const HEADER: usize = 32;

/// The length of what stands before each page: its number, the file's size after a commit or 0, the salts, two checksums.
const FRAME_HEADER: usize = 24;

/// The first word of a log whose checksums read words with the lowest byte first; the last bit says highest first.
const MAGIC: u32 = 0x377f_0682;

/// SQLite's largest page, in bytes.
const PAGE_MAX: usize = 65_536;

/// Whether the log of the journal at `path` is damaged where more than the last commit would be lost. It must not be written
/// to meanwhile.
///
/// Damage to the last commit, or to the few bytes that mark the end of the one before, cannot be told from a write that was
/// torn; a checkpoint that was kept elsewhere can tell.
pub(super) fn is_damaged(path: &Path) -> io::Result<bool> {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    let mut log = match File::open(name) {
        Ok(file) => BufReader::new(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let mut header = [0; HEADER];
    if !fill(&mut log, &mut header)? {
        return Ok(false);
    }
    let (start, sums) = header.split_at(HEADER - 8);
    let lowest_first = word(start, 0) == MAGIC;
    let page = usize::try_from(word(start, 8)).unwrap_or(usize::MAX);
    let mut sum = checksum(lowest_first, (0, 0), start);
    let is_log = (word(start, 0) | 1) == (MAGIC | 1) && page <= PAGE_MAX;
    if !is_log || sum != (word(sums, 0), word(sums, 4)) {
        // It is synced before anything follows it.
        return Ok(log.bytes().any(|byte| byte.is_ok_and(|byte| byte != 0)));
    }

    let salts = (word(start, 16), word(start, 20));
    let (mut whole, mut after_a_commit) = (true, false);
    let mut frame = vec![0; FRAME_HEADER + page];
    while fill(&mut log, &mut frame)? {
        let (about, page) = frame.split_at(FRAME_HEADER);
        let (named, sums) = about.split_at(FRAME_HEADER - 8);
        let (pages_and_size, _) = named.split_at(8);
        let own = checksum(
            lowest_first,
            checksum(lowest_first, sum, pages_and_size),
            page,
        );
        sum = (word(sums, 0), word(sums, 4));
        // Frames with other salts are left over from before the log was begun anew.
        let goes_on = (word(named, 8), word(named, 12)) == salts && own == sum;
        whole = whole && goes_on;
        if !whole && after_a_commit && goes_on {
            return Ok(true);
        }
        after_a_commit = word(named, 4) != 0;
    }
    Ok(false)
}

/// Fills the buffer; `false` where there is less.
fn fill(log: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match log.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    let word = bytes.get(at..).and_then(<[u8]>::first_chunk);
    word.map_or(0, |word| u32::from_be_bytes(*word))
}

/// SQLite's running checksum, over pairs of words.
fn checksum(lowest_first: bool, before: (u32, u32), bytes: &[u8]) -> (u32, u32) {
    let read = match lowest_first {
        true => u32::swap_bytes,
        false => |word| word,
    };
    bytes.chunks_exact(8).fold(before, |(one, other), pair| {
        let one = one.wrapping_add(read(word(pair, 0))).wrapping_add(other);
        let other = other.wrapping_add(read(word(pair, 4))).wrapping_add(one);
        (one, other)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: usize = 512;
    const SALTS: [u32; 2] = [7, 11];

    /// A log as SQLite writes it, on a machine that reads the highest byte first.
    struct Log {
        bytes: Vec<u8>,
        sum: (u32, u32),
    }

    impl Log {
        fn new() -> Log {
            let words = [MAGIC | 1, 3_007_000, PAGE as u32, 0, SALTS[0], SALTS[1]];
            let mut log = Log {
                bytes: words.iter().flat_map(|word| word.to_be_bytes()).collect(),
                sum: (0, 0),
            };
            log.sum = checksum(false, (0, 0), &log.bytes);
            log.put_sum();
            log
        }

        fn put_sum(&mut self) {
            self.bytes.extend(self.sum.0.to_be_bytes());
            self.bytes.extend(self.sum.1.to_be_bytes());
        }

        /// One commit of so many pages, filled with this.
        fn commit(mut self, pages: u32, with: u8) -> Log {
            for page in 1..=pages {
                let size = if page == pages { 9_u32 } else { 0 };
                let about = [page.to_be_bytes(), size.to_be_bytes()].concat();
                self.sum = checksum(false, self.sum, &about);
                self.sum = checksum(false, self.sum, &[with; PAGE]);
                self.bytes.extend(about);
                self.bytes
                    .extend(SALTS.iter().flat_map(|salt| salt.to_be_bytes()));
                self.put_sum();
                self.bytes.extend([with; PAGE]);
            }
            self
        }

        /// What is left over where this was written over another log that had got further.
        fn over(mut self, other: &Log) -> Log {
            let left = other.bytes.get(self.bytes.len()..).unwrap_or_default();
            self.bytes.extend(left);
            self
        }

        fn is_damaged(&self) -> bool {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("writ.db");
            std::fs::write(folder.path().join("writ.db-wal"), &self.bytes).unwrap();
            is_damaged(&path).unwrap()
        }
    }

    #[test]
    fn what_was_given_up_and_written_over_is_no_damage() {
        let first = || Log::new().commit(2, 1);
        let longest = first().commit(6, 2);
        let long = first().commit(4, 3).over(&longest);
        let now = first().commit(2, 4).over(&long);
        assert!(now.bytes.len() == longest.bytes.len());
        for log in [Log::new(), first(), longest, long, now] {
            assert!(!log.is_damaged());
        }
    }

    #[test]
    fn a_bit_that_flips_before_the_last_commits_is_damage() {
        let sound = Log::new()
            .commit(2, 1)
            .commit(1, 2)
            .commit(3, 3)
            .commit(2, 4);
        assert!(!sound.is_damaged());
        let frame = FRAME_HEADER + PAGE;
        let whole = sound.bytes.len();
        // The last commit has two frames; the eight bytes of the sum that it goes on from are those of the frame before.
        for (at, damaged) in [
            (9, true),
            (HEADER + 3, true),
            (HEADER + 100, true),
            (HEADER + 3 * frame + 100, true),
            (whole - 3 * frame + 100, true),
            (whole - 2 * frame + 100, false),
            (whole - 100, false),
        ] {
            let mut log = Log {
                bytes: sound.bytes.clone(),
                sum: sound.sum,
            };
            log.bytes[at] ^= 1;
            assert_eq!(log.is_damaged(), damaged, "at {at} of {whole}");
        }
        // Cut anywhere, it is a write that was torn.
        for at in (0..whole).step_by(61) {
            let log = Log {
                bytes: sound.bytes[..at].to_vec(),
                sum: sound.sum,
            };
            assert!(!log.is_damaged(), "cut at {at}");
        }
    }
}
