//! The chain in the tables: written with each entry, and its head with each commit.

use rusqlite::{Connection, OptionalExtension, params};

use super::chain::{Chain, Covered, Hash, Head};
use super::{AuditEvent, Key};

/// Adds an entry to the journal and to the chain.
pub(crate) fn append(
    connection: &Connection,
    chain: &mut Chain,
    at_ms: i64,
    kind: &str,
    run: Option<&str>,
    body: &str,
) -> rusqlite::Result<()> {
    // Numbered by the chain and not by the table: where entries were taken from the end, the gap
    // stays for everybody to see.
    let seq = chain.head.seq.wrapping_add(1);
    let mac = chain.take(Covered { seq, at_ms, kind, run, body });
    connection
        .prepare_cached(
            "INSERT INTO journal (seq, at_ms, kind, run, body, mac)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![seq.cast_signed(), at_ms, kind, run, body, &mac[..]])
        .map(drop)
}

/// Writes where the chain ends, in the same transaction as the entries that moved it.
pub(crate) fn write_head(connection: &Connection, chain: &Chain) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO journal_head (id, seq, mac, seal) VALUES (1, ?1, ?2, ?3)
             ON CONFLICT (id) DO UPDATE SET seq = ?1, mac = ?2, seal = ?3",
        )?
        .execute(params![chain.head.seq.cast_signed(), &chain.head.mac[..], &chain.seal()[..]])
        .map(drop)
}

/// As [`write_head`], with the latest time among the entries that moved it.
pub(crate) fn move_head(
    connection: &Connection,
    chain: &Chain,
    newest_at_ms: i64,
) -> rusqlite::Result<()> {
    let Head { seq, mac } = &chain.head;
    connection
        .prepare_cached(
            "INSERT INTO journal_head (id, seq, mac, seal, newest_at_ms) VALUES (1, ?1, ?2, ?3, ?4)
             ON CONFLICT (id) DO UPDATE SET
                 seq = ?1, mac = ?2, seal = ?3, newest_at_ms = max(newest_at_ms, ?4)",
        )?
        .execute(params![seq.cast_signed(), &mac[..], &chain.seal()[..], newest_at_ms])
        .map(drop)
}

/// Takes entries from before there was a chain into one. Says so in the journal, and calls it
/// damage where there was a key already: a journal that has lost its chain is not an old one.
pub(crate) fn note_migration(
    connection: &Connection,
    key: &Key,
    now_ms: i64,
) -> rusqlite::Result<()> {
    let Some(mut chain) = Chain::new(&key.bytes) else {
        return Err(rusqlite::Error::InvalidQuery);
    };
    let mut last = 0;
    loop {
        let next = connection
            .prepare_cached(
                "SELECT seq, at_ms, kind, run, body FROM journal WHERE seq > ?1
                 ORDER BY seq LIMIT 1",
            )?
            .query_row([last], |row| {
                let seq: i64 = row.get(0)?;
                let (kind, body): (String, String) = (row.get(2)?, row.get(4)?);
                let run: Option<String> = row.get(3)?;
                let mac = chain.take(Covered {
                    seq: seq.cast_unsigned(),
                    at_ms: row.get(1)?,
                    kind: &kind,
                    run: run.as_deref(),
                    body: &body,
                });
                Ok((seq, mac))
            })
            .optional()?;
        let Some((seq, mac)) = next else { break };
        connection
            .prepare_cached("UPDATE journal SET mac = ?2 WHERE seq = ?1")?
            .execute(params![seq, &mac[..]])?;
        last = seq;
    }
    if last > 0 {
        let entries = last.cast_unsigned();
        let found = "a journal without its chain, though its key was there".to_owned();
        let event = if key.is_new {
            AuditEvent::JournalSealed { entries }
        } else {
            AuditEvent::JournalDamaged { found }
        };
        append_event(connection, &mut chain, now_ms, &event)?;
    }
    write_head(connection, &chain)
}

/// Goes on with a chain where it was left. An end that is not where it should be never keeps a
/// gateway from starting; it is written into the journal, where verification finds it for ever.
pub(crate) fn open(connection: &mut Connection, key: &Key, now_ms: i64) -> rusqlite::Result<Chain> {
    let Some(mut chain) = Chain::new(&key.bytes) else {
        return Err(rusqlite::Error::InvalidQuery);
    };
    let head = connection
        .query_row("SELECT seq, mac, seal FROM journal_head", [], |row| {
            let (seq, seal): (i64, Vec<u8>) = (row.get(0)?, row.get(2)?);
            Ok((Head { seq: seq.cast_unsigned(), mac: hash(row.get(1)?) }, seal))
        })
        .optional()?;
    let last = connection
        .query_row("SELECT seq, mac FROM journal ORDER BY seq DESC LIMIT 1", [], |row| {
            Ok(Head { seq: row.get::<_, i64>(0)?.cast_unsigned(), mac: hash(row.get(1)?) })
        })
        .optional()?
        .unwrap_or(Head::NONE);
    let (found, seq) = match head {
        None => ("no head".to_owned(), last.seq),
        Some((head, seal)) => {
            chain.head = head;
            if !chain.is_sealed_by(&seal) {
                ("a head that this key has not sealed".to_owned(), last.seq)
            } else if head != last {
                let found = format!("entry {} at the end where {} should be", last.seq, head.seq);
                (found, head.seq.max(last.seq))
            } else {
                return Ok(chain);
            }
        }
    };
    chain.head = Head { seq, mac: last.mac };
    let transaction = connection.transaction()?;
    append_event(&transaction, &mut chain, now_ms, &AuditEvent::JournalDamaged { found })?;
    write_head(&transaction, &chain)?;
    transaction.commit()?;
    Ok(chain)
}

fn append_event(
    connection: &Connection,
    chain: &mut Chain,
    at_ms: i64,
    event: &AuditEvent,
) -> rusqlite::Result<()> {
    let body = serde_json::to_string(event)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    append(connection, chain, at_ms, event.kind(), None, &body)
}

/// A stored hash. What has another length is none, and equals no hash there is.
pub(crate) fn hash(bytes: Vec<u8>) -> Hash {
    bytes.try_into().unwrap_or([0xff; 32])
}
