//! Sessions as a tree: who started whom.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::render;

/// The sessions in the order of the tree, each with its place drawn before its id. The newest
/// stand first on every level. A session whose parent is not in the list stands at the top.
pub(super) fn in_tree_order(sessions: &[Value]) -> Vec<(String, &Value)> {
    let ids: Vec<String> =
        sessions.iter().map(|session| render::text(session, "/sessionId")).collect();
    let mut children: BTreeMap<Option<&str>, Vec<usize>> = BTreeMap::new();
    let parents: Vec<String> = sessions.iter().map(|s| render::text(s, "/parent")).collect();
    for (index, parent) in parents.iter().enumerate() {
        let known = ids.iter().any(|id| id == parent) && parent != &ids[index];
        children.entry(known.then_some(parent.as_str())).or_default().push(index);
    }
    let mut lines = Vec::with_capacity(sessions.len());
    let mut open: Vec<(usize, String, String)> = Vec::new();
    let push = |open: &mut Vec<_>, parent: Option<&str>, indent: &str, top: bool| {
        let below = children.get(&parent).map_or(&[][..], Vec::as_slice);
        for (position, &index) in below.iter().enumerate().rev() {
            let last = position + 1 == below.len();
            let (branch, under) = match (top, last) {
                (true, _) => ("", ""),
                (false, true) => ("└─ ", "   "),
                (false, false) => ("├─ ", "│  "),
            };
            open.push((index, format!("{indent}{branch}"), format!("{indent}{under}")));
        }
    };
    push(&mut open, None, "", true);
    while let Some((index, place, indent)) = open.pop() {
        lines.push((format!("{place}{}", ids[index]), &sessions[index]));
        push(&mut open, Some(&ids[index]), &indent, false);
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::in_tree_order;

    fn session(id: &str, parent: Option<&str>) -> Value {
        json!({"sessionId": id, "parent": parent})
    }

    #[test]
    fn children_stand_under_their_parent_and_orphans_at_the_top() {
        let sessions = [
            session("e", Some("gone")),
            session("d", Some("a")),
            session("c", Some("b")),
            session("b", Some("a")),
            session("a", None),
        ];
        let lines: Vec<String> =
            in_tree_order(&sessions).into_iter().map(|(line, _)| line).collect();
        assert_eq!(lines, ["e", "a", "├─ d", "└─ b", "   └─ c"]);
    }
}
