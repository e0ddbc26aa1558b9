//! `sessions.export`: everything that is kept of a session, page by page: what it is, its
//! transcript since it last began anew, and what its run printed.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use hatchery_access::{Permit, Read};
use hatchery_protocol::WireError;
use hatchery_store::{Page, ReadError, SessionView, Store};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

use super::sessions::{find, output_item, reading};
use crate::gateway::Shared;
use crate::talk::wire_message;

/// How much is put on a page, in bytes. An item that is longer has a page of its own.
const PAGE_BYTES: usize = 2 * 1024 * 1024;

/// How many messages are read at a time.
const BATCH: u32 = 100;

/// Parameters of `sessions.export`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Params {
    session: String,
    /// Where the page before ended; none for the first.
    cursor: Option<Cursor>,
}

/// A place in an export. Clients hand it back as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Cursor {
    /// Before everything.
    #[default]
    Start,
    /// After so many messages.
    Messages(u64),
    /// After this piece of output.
    Output(u64),
}

/// A page, and what follows it.
#[derive(Debug, Default)]
struct Sheet {
    items: Vec<Value>,
    bytes: usize,
}

/// One page. `next` is there where another follows.
pub(crate) async fn export(
    shared: &Arc<Shared>,
    permit: Permit<Read>,
    params: Params,
) -> Result<Value, WireError> {
    let session = find(shared, permit.caller(), params.session).await?;
    let cursor = params.cursor.unwrap_or_default();
    let (sheet, next) = reading(shared, move |store| page(store, &session, cursor)).await?;
    Ok(json!({"items": sheet.items, "next": next}))
}

fn page(
    store: &Store,
    session: &SessionView,
    from: Cursor,
) -> Result<(Sheet, Option<Cursor>), ReadError> {
    let mut sheet = Sheet::default();
    let mut cursor = from;
    if cursor == Cursor::Start {
        sheet.put(json!({"kind": "session", "session": session}));
        cursor = Cursor::Messages(0);
    }
    while let Cursor::Messages(given) = cursor {
        let (messages, read) = messages_after(store, session, given)?;
        if read == 0 {
            cursor = Cursor::Output(0);
            break;
        }
        for (place, message) in messages {
            if !sheet.put(message) {
                return Ok((sheet, Some(cursor)));
            }
            cursor = Cursor::Messages(place);
        }
        cursor = Cursor::Messages(given + read);
    }
    // What the turns of a conversation printed is their answers.
    let run = session.run.as_ref().filter(|_| session.kind.is_of_a_run());
    let (Cursor::Output(seen), Some(run)) = (cursor, run) else { return Ok((sheet, None)) };
    let mut given = seen;
    for output in store.kept_output(&run.run_id)?.iter().filter(|output| output.seq > seen) {
        let Some(item) = output_item(output) else { continue };
        if !sheet.put(item) {
            return Ok((sheet, Some(Cursor::Output(given))));
        }
        given = output.seq;
    }
    if let Some(outcome) = &run.outcome {
        let item = json!({"kind": "outcome", "outcome": outcome});
        if !sheet.put(item) {
            return Ok((sheet, Some(Cursor::Output(given))));
        }
    }
    Ok((sheet, None))
}

/// Some of the messages after the first so many, each with its place; and how many places that is.
fn messages_after(
    store: &Store,
    session: &SessionView,
    given: u64,
) -> Result<(Vec<(u64, Value)>, u64), ReadError> {
    // Pages are counted from the end, which moves when something is said.
    let mut total = store.transcript(session, Page { limit: 0, offset: 0 })?.total;
    loop {
        let left = total.saturating_sub(given);
        let count = u32::try_from(left).unwrap_or(BATCH).min(BATCH);
        if count == 0 {
            return Ok((Vec::new(), 0));
        }
        let page = Page { limit: count, offset: left - u64::from(count) };
        let read = store.transcript(session, page)?;
        if read.total != total {
            total = read.total;
            continue;
        }
        let messages = read.messages.iter().map(|message| {
            let mut item = wire_message(message);
            item["kind"] = json!("message");
            (message.seq, item)
        });
        return Ok((messages.collect(), u64::from(count)));
    }
}

impl Sheet {
    /// Puts an item where there is room. There always is on an empty page.
    fn put(&mut self, item: Value) -> bool {
        let size = item.to_string().len();
        if !self.items.is_empty() && self.bytes + size > PAGE_BYTES {
            return false;
        }
        self.bytes += size;
        self.items.push(item);
        true
    }
}

/// A text that is no place in an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the cursor is none: hand back `next` of the page before, as it was")]
struct NoCursor;

impl FromStr for Cursor {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Self, NoCursor> {
        let (part, place) = text.split_once(':').ok_or(NoCursor)?;
        let place = place.parse().map_err(|_| NoCursor)?;
        match part {
            "message" => Ok(Self::Messages(place)),
            "output" => Ok(Self::Output(place)),
            _ => Err(NoCursor),
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start => f.write_str("message:0"),
            Self::Messages(place) => write!(f, "message:{place}"),
            Self::Output(place) => write!(f, "output:{place}"),
        }
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Cursor, NoCursor, PAGE_BYTES, Sheet};

    #[test]
    fn a_cursor_is_read_back_as_it_was_written_and_nothing_else_is_one() {
        for cursor in [Cursor::Messages(7), Cursor::Output(0)] {
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
        for text in ["", "7", "message:", "message:-1", "tail:1"] {
            assert_eq!(text.parse::<Cursor>(), Err(NoCursor), "{text}");
        }
    }

    #[test]
    fn a_page_is_bounded_and_a_long_item_has_one_of_its_own() {
        let mut sheet = Sheet::default();
        assert!(sheet.put(json!("x".repeat(PAGE_BYTES))));
        assert!(!sheet.put(json!("y")));
        let mut sheet = Sheet::default();
        assert!(sheet.put(json!("x".repeat(PAGE_BYTES - 5))));
        assert!(sheet.put(json!("y")));
        assert!(!sheet.put(json!("z")));
    }
}
