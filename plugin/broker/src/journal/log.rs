//! The log beside the journal's file, looked at before SQLite reads it.
//!
//! SQLite reads its write-ahead log up to the first frame that is not whole, and drops the rest without a word. After a crash
//! that is right for the last commit, which nobody was told of. Each one before it was synced before the next was begun: what
//! follows a frame that is not whole is the rest of that one commit, or the log was damaged after it was written, and
//! commits that were acknowledged would be dropped with it.
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
        sum = checksum(lowest_first, sum, pages_and_size);
        sum = checksum(lowest_first, sum, page);
        // Frames with other salts are left over from before the log was begun anew.
        let is_ours = (word(named, 8), word(named, 12)) == salts;
        whole = whole && is_ours && sum == (word(sums, 0), word(sums, 4));
        if whole || !is_ours {
            continue;
        }
        if after_a_commit {
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
