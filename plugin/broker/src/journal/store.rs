//! The journal's file: its schema, its settings, and the SQL that reads and writes it.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior, params};
use writ_engine::digest::{Commitment, SaltedText};
use writ_engine::event::Event;
use writ_engine::request::RequestId;

use super::audit::Damage;
use super::entry::{Prepared, Stored, commitment};
use super::merkle::{self, Frontier, Hash};

/// `WRIT` in ASCII, in the SQLite header: the file says whose it is.
pub const APPLICATION_ID: i32 = 0x5752_4954;

/// The schema's number. A broker opens its own only: another would misread, or drop what it does not know.
pub const EPOCH: i32 = 1;

/// How long a lock of another process is waited for. Below the append's deadline, so that the answer is a plain one.
const BUSY_MAX: Duration = Duration::from_secs(1);

/// One checkpoint is kept for this many events, besides the newest: enough to say where damage lies, and few enough that
/// their signatures take no time to verify.
pub const CHECKPOINT_EVERY: u64 = 1_024;

/// The triggers are a belt, not the lock: who can write the file can drop them. The tree finds that out.
const SCHEMA: &str = "
CREATE TABLE events (
  seq INTEGER PRIMARY KEY CHECK (seq >= 0),
  leaf BLOB NOT NULL CHECK (length(leaf) = 32),
  seal BLOB CHECK (length(seal) = 32),
  body BLOB NOT NULL
) STRICT;
CREATE TABLE texts (
  seq INTEGER NOT NULL REFERENCES events (seq),
  salt BLOB NOT NULL CHECK (length(salt) = 16),
  text TEXT NOT NULL,
  PRIMARY KEY (seq)
) STRICT;
CREATE TABLE checkpoints (
  size INTEGER PRIMARY KEY CHECK (size >= 0),
  note TEXT NOT NULL
) STRICT;
CREATE TRIGGER events_are_appended BEFORE INSERT ON events
WHEN NEW.seq <> (SELECT coalesce(max(seq) + 1, 0) FROM events)
BEGIN SELECT RAISE(ABORT, 'events are appended in order'); END;
CREATE TRIGGER events_are_not_edited BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER events_are_not_deleted BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
";

/// A connection to the journal's file.
pub(super) struct Store {
    connection: Connection,
}

/// Why a file was not opened.
#[derive(Debug)]
pub(super) enum NoStore {
    Io(io::Error),
    TooOpen,
    Damaged(Damage),
}

impl From<rusqlite::Error> for NoStore {
    fn from(error: rusqlite::Error) -> NoStore {
        NoStore::Damaged(error.into())
    }
}

impl From<Damage> for NoStore {
    fn from(damage: Damage) -> NoStore {
        NoStore::Damaged(damage)
    }
}

impl Store {
    /// Opens the file to write; makes it when there is none, readable by its owner only.
    ///
    /// `first_note` signs the empty root for a new journal: from its birth each has a checkpoint, so that none can be
    /// missing unnoticed.
    pub(super) fn writer(
        path: &Path,
        first_note: impl FnOnce(Hash) -> String,
    ) -> Result<Store, NoStore> {
        // Made here, not by SQLite, so that its mode never depends on the umask; SQLite gives its side files the same.
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(NoStore::Io)?;
        let mode = file.metadata().map_err(NoStore::Io)?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(NoStore::TooOpen);
        }
        drop(file);
        super::key::sync_folder(path).map_err(NoStore::Io)?;
        if super::log::is_damaged(path).map_err(NoStore::Io)? {
            let what =
                "its log is damaged in the middle, and what was written after that would be lost";
            return Err(Damage::Unreadable(what.to_owned()).into());
        }
        let mut store = Store::connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let unborn = store.number("SELECT count(*) FROM sqlite_schema")? == 0
            && store.number("PRAGMA application_id")? == 0
            && store.number("PRAGMA user_version")? == 0;
        if !unborn {
            store.check_schema()?;
        }
        let mode: String =
            store
                .connection
                .pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
        if mode != "wal" {
            return Err(Damage::Unreadable("it cannot be put in WAL mode".to_owned()).into());
        }
        store
            .connection
            .pragma_update(None, "synchronous", "FULL")?;
        store.connection.pragma_update(None, "foreign_keys", true)?;
        // Erased texts are overwritten with zeros, not only unlinked.
        store
            .connection
            .pragma_update_and_check(None, "secure_delete", true, |_| Ok(()))?;
        if unborn {
            // One transaction: a crash leaves a file without a schema, which is unborn still.
            let birth = store.begin()?;
            birth.pragma_update(None, "application_id", APPLICATION_ID)?;
            birth.pragma_update(None, "user_version", EPOCH)?;
            birth.execute_batch(SCHEMA)?;
            insert_checkpoint(&birth, 0, &first_note(Frontier::default().root()))?;
            birth.commit()?;
        }
        Ok(store)
    }

    /// Opens the file of a running journal to read.
    pub(super) fn reader(path: &Path) -> Result<Store, rusqlite::Error> {
        Store::connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
    }

    /// Opens any file to read, live or copied, and changes nothing in its folder if it can.
    pub(super) fn offline(path: &Path) -> Result<Store, Damage> {
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        let has_log = PathBuf::from(log)
            .metadata()
            .is_ok_and(|about| about.len() > 0);
        // Without a log nobody is writing, and SQLite need not make side files, which a read-only folder would refuse.
        let store = if has_log {
            Store::connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?
        } else {
            let uri = format!("file:{}?immutable=1", escaped(path)?);
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
            Store::connect(Path::new(&uri), flags)?
        };
        store.check_schema()?;
        Ok(store)
    }

    /// Opens any file to read as it is now: one snapshot, so that a running broker changes nothing in between.
    pub(super) fn frozen(path: &Path) -> Result<Store, Damage> {
        // SQLite would make a file that is not there, or read one that is too short, as an empty database.
        match path.metadata() {
            Ok(about) if about.len() == 0 => return Err(Damage::NotAJournal),
            Ok(_) => {}
            Err(error) => return Err(Damage::Unreadable(error.to_string())),
        }
        let mut store = Store::offline(path)?;
        store.snapshot()?;
        Ok(store)
    }

    fn connect(path: &Path, flags: OpenFlags) -> Result<Store, rusqlite::Error> {
        let connection =
            Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.busy_timeout(BUSY_MAX)?;
        // The file may be an attacker's: its schema runs no functions, and broken cells are looked for.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        connection.pragma_update(None, "cell_size_check", true)?;
        Ok(Store { connection })
    }

    #[cfg(test)]
    pub(super) fn raw(&self) -> &Connection {
        &self.connection
    }

    fn number(&self, sql: &str) -> Result<i64, rusqlite::Error> {
        self.connection.query_row(sql, [], |row| row.get(0))
    }

    /// Refuses a file that is not ours, is of another epoch, or whose schema was changed by a letter.
    fn check_schema(&self) -> Result<(), Damage> {
        if self.number("PRAGMA application_id")? != i64::from(APPLICATION_ID) {
            return Err(Damage::NotAJournal);
        }
        let epoch = self.number("PRAGMA user_version")?;
        if epoch != i64::from(EPOCH) {
            return Err(Damage::UnknownEpoch(epoch));
        }
        let ours = Connection::open_in_memory()?;
        ours.execute_batch(SCHEMA)?;
        if objects(&self.connection)? == objects(&ours)? {
            Ok(())
        } else {
            Err(Damage::Schema)
        }
    }

    /// Begins a write; the lock is taken at once, so that nothing fails for it later.
    pub(super) fn begin(&mut self) -> Result<Transaction<'_>, rusqlite::Error> {
        self.connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
    }

    /// Reads from now on what the file holds now.
    pub(super) fn snapshot(&mut self) -> Result<(), rusqlite::Error> {
        self.connection.execute_batch("BEGIN DEFERRED")
    }

    /// How many events there are, by the last one's seq.
    pub(super) fn size(&self) -> Result<u64, rusqlite::Error> {
        let size = self.number("SELECT coalesce(max(seq) + 1, 0) FROM events")?;
        Ok(size.unsigned_abs())
    }

    /// Whether rows lie where reading from 0 would not meet them.
    pub(super) fn has_hidden_rows(&self) -> Result<bool, rusqlite::Error> {
        self.number(
            "SELECT (SELECT count(*) FROM events WHERE seq < 0)
                  + (SELECT count(*) FROM texts WHERE seq NOT IN (SELECT seq FROM events))",
        )
        .map(|count| count != 0)
    }

    /// The stored checkpoints, smallest first.
    pub(super) fn checkpoints(&self) -> Result<Vec<(i64, String)>, rusqlite::Error> {
        self.connection
            .prepare("SELECT size, note FROM checkpoints ORDER BY size")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect()
    }

    /// The seal of event `seq`, if it has one.
    pub(super) fn seal(&self, seq: u64) -> Result<Option<Vec<u8>>, rusqlite::Error> {
        self.connection
            .prepare("SELECT seal FROM events WHERE seq = ?1")?
            .query_row([signed(seq)], |row| row.get(0))
    }

    /// Shows every event's seq, leaf and body, in order.
    pub(super) fn scan<E: From<Damage>>(
        &self,
        mut see: impl FnMut(i64, &[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let damaged = |error: rusqlite::Error| E::from(error.into());
        let mut statement = self
            .connection
            .prepare("SELECT seq, leaf, body FROM events ORDER BY seq")
            .map_err(damaged)?;
        let mut rows = statement.query([]).map_err(damaged)?;
        while let Some(row) = rows.next().map_err(damaged)? {
            let seq = row.get(0).map_err(damaged)?;
            let wrong_type = |_| E::from(Damage::Edited(i64::unsigned_abs(seq)));
            let leaf = row.get_ref(1).map_err(damaged)?;
            let body = row.get_ref(2).map_err(damaged)?;
            see(
                seq,
                leaf.as_blob().map_err(wrong_type)?,
                body.as_blob().map_err(wrong_type)?,
            )?;
        }
        Ok(())
    }

    /// Shows every text with its seq and the body of its event, in order.
    pub(super) fn scan_texts(
        &self,
        mut see: impl FnMut(u64, &SaltedText, &[u8]) -> Result<(), Damage>,
    ) -> Result<(), Damage> {
        let mut statement = self.connection.prepare(
            "SELECT texts.seq, salt, text, body FROM texts JOIN events USING (seq) ORDER BY texts.seq",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let seq = row.get::<_, i64>(0)?.unsigned_abs();
            let wrong = |_| Damage::Text(seq);
            let text = SaltedText {
                salt: row.get(1).map_err(wrong)?,
                text: row.get(2).map_err(wrong)?,
            };
            let body = row.get_ref(3)?.as_blob().map_err(|_| Damage::Edited(seq))?;
            see(seq, &text, body)?;
        }
        Ok(())
    }

    /// Up to `limit` events from seq `from`, each checked against its leaf and its text against its commitment.
    pub(super) fn page(&self, from: u64, limit: usize) -> Result<Vec<Stored>, Damage> {
        let mut statement = self.connection.prepare(
            "SELECT events.seq, leaf, body, salt, text FROM events LEFT JOIN texts USING (seq)
             WHERE events.seq >= ?1 ORDER BY events.seq LIMIT ?2",
        )?;
        let mut rows = statement.query(params![signed(from), signed(limit as u64)])?;
        let mut page = Vec::with_capacity(limit.min(1_024));
        while let Some(row) = rows.next()? {
            let seq = row.get::<_, i64>(0)?.unsigned_abs();
            let edited = |_| Damage::Edited(seq);
            let body = row.get_ref(2)?.as_blob().map_err(edited)?;
            let leaf = merkle::leaf(body);
            if row.get_ref(1)?.as_blob().map_err(edited)? != leaf {
                return Err(Damage::Edited(seq));
            }
            let event = Event::from_canonical(body)
                .map_err(|error| Damage::NotCanonical(seq, error.to_string()))?;
            let wrong = |_| Damage::Text(seq);
            let salt: Option<[u8; 16]> = row.get(3).map_err(wrong)?;
            let text: Option<String> = row.get(4).map_err(wrong)?;
            let text = salt.zip(text).map(|(salt, text)| SaltedText { salt, text });
            if text
                .as_ref()
                .is_some_and(|text| Some(text.commitment()) != commitment(&event.fact))
            {
                return Err(Damage::Text(seq));
            }
            page.push(Stored {
                seq,
                event: event.into(),
                texts: text.into_iter().collect(),
                leaf,
            });
        }
        Ok(page)
    }

    /// The leaves of `count` events from seq `from`.
    pub(super) fn leaves(&self, from: u64, count: u64) -> Result<Vec<Hash>, rusqlite::Error> {
        self.connection
            .prepare("SELECT leaf FROM events WHERE seq >= ?1 ORDER BY seq LIMIT ?2")?
            .query_map(params![signed(from), signed(count)], |row| row.get(0))?
            .collect()
    }

    /// The seqs of events whose text has this commitment.
    pub(super) fn seqs_of(&self, wanted: Commitment) -> Result<Vec<u64>, Damage> {
        let mut seqs = Vec::new();
        self.scan_texts(|seq, text, _| {
            if text.commitment() == wanted {
                seqs.push(seq);
            }
            Ok(())
        })?;
        Ok(seqs)
    }

    /// The seqs of events about this request.
    pub(super) fn seqs_about(&self, id: &RequestId) -> Result<Vec<u64>, Damage> {
        let mut statement = self
            .connection
            .prepare("SELECT seq, body FROM events WHERE instr(body, ?1) > 0 ORDER BY seq")?;
        let mut rows = statement.query([id.as_str().as_bytes()])?;
        let mut seqs = Vec::new();
        while let Some(row) = rows.next()? {
            let seq = row.get::<_, i64>(0)?.unsigned_abs();
            let body = row.get_ref(1)?.as_blob().map_err(|_| Damage::Edited(seq))?;
            let event = Event::from_canonical(body)
                .map_err(|error| Damage::NotCanonical(seq, error.to_string()))?;
            if event.fact.request() == Some(id) {
                seqs.push(seq);
            }
        }
        Ok(seqs)
    }

    /// Moves the log into the file and empties it; `false` while a reader still needs the log.
    pub(super) fn settle(&self) -> Result<bool, rusqlite::Error> {
        self.connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| {
                row.get::<_, i64>(0).map(|busy| busy == 0)
            })
    }
}

/// Appends events from seq `from` on, and their texts; the last one bears the seal of the whole commit.
pub(super) fn insert(
    write: &Transaction<'_>,
    from: u64,
    events: &[&Prepared],
    seal: &[u8],
) -> Result<(), rusqlite::Error> {
    let mut event_row = write
        .prepare_cached("INSERT INTO events (seq, leaf, seal, body) VALUES (?1, ?2, ?3, ?4)")?;
    let mut text_row =
        write.prepare_cached("INSERT INTO texts (seq, salt, text) VALUES (?1, ?2, ?3)")?;
    for (place, event) in events.iter().enumerate() {
        let seq = signed(from.saturating_add(place as u64));
        let seal = (place + 1 == events.len()).then_some(seal);
        event_row.execute(params![seq, event.leaf, seal, event.body])?;
        for text in event.texts.iter() {
            text_row.execute(params![seq, text.salt, text.text])?;
        }
    }
    Ok(())
}

/// Stores a checkpoint, and lets go of the earlier ones in its stretch of [`CHECKPOINT_EVERY`].
pub(super) fn insert_checkpoint(
    write: &Transaction<'_>,
    size: u64,
    note: &str,
) -> Result<(), rusqlite::Error> {
    let stretch = size - size % CHECKPOINT_EVERY;
    write.execute(
        "DELETE FROM checkpoints WHERE size > ?1 AND size < ?2",
        params![signed(stretch), signed(size)],
    )?;
    write.execute(
        "INSERT INTO checkpoints (size, note) VALUES (?1, ?2)",
        params![signed(size), note],
    )?;
    Ok(())
}

/// Forgets the text of event `seq` and its salt; how many there were.
pub(super) fn delete_text(write: &Transaction<'_>, seq: u64) -> Result<usize, rusqlite::Error> {
    write.execute("DELETE FROM texts WHERE seq = ?1", [signed(seq)])
}

/// SQLite's integers have a sign; a seq past their end is never reached, and finds nothing.
fn signed(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

type Object = (String, String, String, Option<String>);

fn objects(connection: &Connection) -> Result<Vec<Object>, rusqlite::Error> {
    connection
        .prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name")?
        .query_map([], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })?
        .collect()
}

/// The path as part of a SQLite URI.
fn escaped(path: &Path) -> Result<String, Damage> {
    let text = path
        .to_str()
        .ok_or_else(|| Damage::Unreadable("its path is not UTF-8".to_owned()))?;
    Ok(text
        .replace('%', "%25")
        .replace('?', "%3f")
        .replace('#', "%23"))
}
