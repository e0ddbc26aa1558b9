//! Lists of sessions, a page at a time: what fits a filter, with what a row shows besides.

use hatchery_protocol::{AgentId, SessionId, SessionKey};
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, Row, params_from_iter};

use crate::read::{SESSION_COLUMNS, SESSION_JOINS, session_view};
use crate::{ReadError, SessionView, Store};

/// How many children of a session a row names, the newest.
const NAMED_CHILDREN: u32 = 50;

/// Which sessions to list, and which page of them. What is `None` leaves out nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SessionQuery {
    /// At most so many, those first that were used last.
    pub limit: u32,
    /// Without the first so many.
    pub offset: u32,
    /// Only this session and those below it.
    pub below: Option<SessionId>,
    /// Only the session of this key or id.
    pub named: Option<String>,
    /// Only sessions of this agent.
    pub agent: Option<AgentId>,
    /// Only sessions of this label.
    pub label: Option<String>,
    /// Only sessions started from this one, by id or key.
    pub spawned_by: Option<String>,
    /// Only sessions in which something happened since, in milliseconds since 1970.
    pub active_since_ms: Option<u64>,
    /// Only sessions that are archived, by whoever, or only those that are not.
    pub archived: Option<bool>,
    /// Archived ones too, where `archived` does not say which; one that is named is found anyway.
    pub include_archived: bool,
    /// Only sessions whose id, key or label holds this text, in whatever case.
    pub search: Option<String>,
}

/// A session as a row of a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedSession {
    /// The session.
    pub session: SessionView,
    /// The key of the session it was started from.
    pub parent_key: Option<SessionKey>,
    /// The keys of sessions started from it that are not archived, the newest first and not all
    /// where there are many.
    pub children: Vec<SessionKey>,
}

/// A page of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionPage {
    /// How many sessions fit the filter.
    pub total: u64,
    /// Those on this page.
    pub sessions: Vec<ListedSession>,
}

/// The conditions of a query, with what stands for each `?`.
#[derive(Default)]
struct Conditions {
    with: &'static str,
    conditions: Vec<&'static str>,
    values: Vec<Sql>,
}

impl Conditions {
    fn of(query: &SessionQuery) -> Self {
        let mut made = Self::default();
        made.conditions.push("s.deleted_at_ms IS NULL");
        match query.archived {
            // Who names a session means it, archived or not.
            None if query.include_archived || query.named.is_some() => {}
            None => made.conditions.push("s.archived_at_ms IS NULL"),
            Some(true) => made.conditions.push(
                "(s.archived_at_ms IS NOT NULL OR instr(s.settings, '\"archived\":true') > 0)",
            ),
            Some(false) => {
                made.conditions.push("s.archived_at_ms IS NULL");
                made.conditions.push("instr(s.settings, '\"archived\":true') = 0");
            }
        }
        if let Some(root) = &query.below {
            made.with = "WITH RECURSIVE tree (id) AS (
                SELECT ? UNION SELECT c.id FROM sessions c JOIN tree t ON c.parent = t.id) ";
            made.values.push(root.as_str().to_owned().into());
            made.conditions.push("s.id IN tree");
        }
        if let Some(name) = &query.named {
            made.add("(s.key = ? OR s.id = ?)", name);
            made.values.push(name.clone().into());
        }
        if let Some(agent) = &query.agent {
            made.add("s.agent = ?", agent.as_str());
        }
        if let Some(label) = &query.label {
            made.add("s.label = ?", label);
        }
        if let Some(parent) = &query.spawned_by {
            made.add("s.parent = (SELECT p.id FROM sessions p WHERE ? IN (p.id, p.key))", parent);
        }
        if let Some(since) = query.active_since_ms {
            made.conditions
                .push("(s.updated_at_ms >= ? OR (s.run IS NOT NULL AND r.ended IS NULL))");
            made.values.push(since.cast_signed().into());
        }
        if let Some(text) = &query.search {
            // `instr` has no wildcards to escape. Ids and keys are in lower case.
            made.add(
                "instr(lower(s.key || ' ' || s.id || ' ' || coalesce(s.label, '')), ?) > 0",
                &text.to_lowercase(),
            );
        }
        made
    }

    fn add(&mut self, condition: &'static str, value: &str) {
        self.conditions.push(condition);
        self.values.push(value.to_owned().into());
    }

    fn wherever(&self) -> String {
        format!("WHERE {}", self.conditions.join(" AND "))
    }
}

impl Store {
    /// A page of the sessions that fit a filter, those first that were used last.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn list_sessions(&self, query: &SessionQuery) -> Result<SessionPage, ReadError> {
        let connection = self.connection()?;
        let conditions = Conditions::of(query);
        let total = count(&connection, query, &conditions)?;
        // First which, then what there is of them: what is sorted is small.
        let order = "ORDER BY s.updated_at_ms DESC, s.number DESC";
        let sql = format!(
            "{}SELECT {SESSION_COLUMNS},
                 (SELECT p.key FROM sessions p WHERE p.id = s.parent) AS parent_key,
                 (SELECT group_concat(c.key, ' ') FROM (
                     SELECT key FROM sessions WHERE parent = s.id AND deleted_at_ms IS NULL
                         AND archived_at_ms IS NULL ORDER BY number DESC
                     LIMIT {NAMED_CHILDREN}) c) AS children
             {SESSION_JOINS} WHERE s.number IN (
                 SELECT s.number {} {} {order} LIMIT ? OFFSET ?) {order}",
            conditions.with,
            joins(query),
            conditions.wherever()
        );
        let mut values = conditions.values;
        values.push(query.limit.into());
        values.push(query.offset.into());
        let mut statement = connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params_from_iter(values))?;
        let mut sessions = Vec::new();
        while let Some(row) = rows.next()? {
            sessions.push(listed(row)?);
        }
        Ok(SessionPage { total, sessions })
    }

    /// Whether a session is `root` or stands below it. The cost follows from how deep it stands.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn stands_below(&self, session: &SessionId, root: &SessionId) -> Result<bool, ReadError> {
        let connection = self.connection()?;
        let mut statement = connection.prepare_cached(
            "WITH RECURSIVE above (id) AS (
                 SELECT ?1 UNION SELECT s.parent FROM sessions s JOIN above a ON s.id = a.id
                 WHERE s.parent IS NOT NULL)
             SELECT EXISTS (SELECT 1 FROM above WHERE id = ?2)",
        )?;
        Ok(statement.query_row([session.as_str(), root.as_str()], |row| row.get(0))?)
    }
}

/// What the conditions of a query look at. Only one looks beyond the table of sessions.
fn joins(query: &SessionQuery) -> &'static str {
    match query.active_since_ms {
        Some(_) => "FROM sessions s LEFT JOIN runs r ON r.accepted = s.run",
        None => "FROM sessions s",
    }
}

fn count(
    connection: &Connection,
    query: &SessionQuery,
    conditions: &Conditions,
) -> Result<u64, ReadError> {
    let (with, joins) = (conditions.with, joins(query));
    let sql = format!("{with}SELECT count(*) {joins} {}", conditions.wherever());
    let mut statement = connection.prepare_cached(&sql)?;
    let count: i64 =
        statement.query_row(params_from_iter(conditions.values.iter()), |row| row.get(0))?;
    Ok(count.cast_unsigned())
}

/// What [`SESSION_COLUMNS`] does not have stands behind it.
fn listed(row: &Row<'_>) -> Result<ListedSession, ReadError> {
    let children: Option<String> = row.get("children")?;
    let parent_key: Option<String> = row.get("parent_key")?;
    Ok(ListedSession {
        session: session_view(row)?,
        parent_key: parent_key.map(SessionKey::new),
        children: children
            .iter()
            .flat_map(|keys| keys.split(' '))
            .map(|key| SessionKey::new(key.to_owned()))
            .collect(),
    })
}
