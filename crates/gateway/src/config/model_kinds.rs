//! The values of the section `models` that are more than one text.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::document::{Content, Node, Property};
use super::kind::{Fault, Kind, Problem, fault};

/// What one field of a model's entry may be.
#[derive(Clone, Copy)]
enum Field {
    Of(Kind),
    Texts,
    /// Read for the sake of files that have it, and not kept: nothing is priced yet.
    PassedBy,
}

const TOKENS: Kind = Kind::Whole { min: 1, max: u32::MAX as i64 };

/// The fields of a model's entry.
const FIELDS: [(&str, Field); 7] = [
    ("id", Field::Of(Kind::Text)),
    ("name", Field::Of(Kind::Text)),
    ("contextWindow", Field::Of(TOKENS)),
    ("maxTokens", Field::Of(TOKENS)),
    ("reasoning", Field::Of(Kind::Bool)),
    ("input", Field::Texts),
    ("cost", Field::PassedBy),
];

/// `{ primary: "provider/id", fallbacks: ["provider/id"] }`.
pub(crate) fn choice(node: &Node, properties: &[Property]) -> Result<Value, Fault> {
    let mut choice = Map::new();
    for Property { at, name, value } in properties {
        let read = match name.as_str() {
            "primary" => Kind::Text.check(value, None)?,
            "fallbacks" => texts(value)?,
            _ => {
                let why = format!("`{name}` is unknown here. Known here: primary, fallbacks");
                return Err(Fault { at: *at, problem: Problem::Invalid(why) });
            }
        };
        choice.insert(name.clone(), read);
    }
    match choice.contains_key("primary") {
        true => Ok(Value::Object(choice)),
        false => Err(invalid(node, "it has no `primary`. Set it to \"provider/model\"")),
    }
}

/// Headers: names and values.
pub(crate) fn headers(properties: &[Property]) -> Result<Value, Fault> {
    let header = |property: &Property| {
        let value = Kind::Secret.check(&property.value, None)?;
        match property.name.parse::<axum::http::HeaderName>() {
            Ok(name) => Ok((name.to_string(), value)),
            Err(_) => {
                let why = format!("`{}` is no name of a header", property.name);
                Err(Fault { at: property.at, problem: Problem::Invalid(why) })
            }
        }
    };
    properties.iter().map(header).collect::<Result<Map<_, _>, _>>().map(Value::Object)
}

/// A provider's models.
pub(crate) fn models(items: &[Node]) -> Result<Value, Fault> {
    let mut ids = BTreeSet::new();
    let mut models = Vec::new();
    for item in items {
        let Content::Object(properties) = &item.content else {
            let expected = "an object in braces, such as { id: \"gpt-5\" }".to_owned();
            let found = item.content.noun();
            return Err(fault(item, Problem::WrongType { expected, found }));
        };
        let model = model(properties)?;
        let Some(id) = model.get("id").and_then(Value::as_str) else {
            return Err(invalid(
                item,
                "a model has no `id`. Set it to the provider's own name for it",
            ));
        };
        if !ids.insert(id.to_owned()) {
            return Err(invalid(item, &format!("the model `{id}` is listed twice. Remove one")));
        }
        models.push(Value::Object(model));
    }
    Ok(Value::Array(models))
}

fn model(properties: &[Property]) -> Result<Map<String, Value>, Fault> {
    let mut model = Map::new();
    for Property { at, name, value } in properties {
        let Some((_, field)) = FIELDS.iter().find(|(known, _)| known == name) else {
            let known: Vec<&str> = FIELDS.iter().map(|(known, _)| *known).collect();
            let why = format!("`{name}` is unknown in a model. Known: {}", known.join(", "));
            return Err(Fault { at: *at, problem: Problem::Invalid(why) });
        };
        let read = match field {
            Field::Of(kind) => kind.check(value, None)?,
            Field::Texts => texts(value)?,
            Field::PassedBy => continue,
        };
        model.insert(name.clone(), read);
    }
    Ok(model)
}

fn texts(node: &Node) -> Result<Value, Fault> {
    let Content::List(items) = &node.content else {
        let expected = "a list of texts".to_owned();
        return Err(fault(node, Problem::WrongType { expected, found: node.content.noun() }));
    };
    items.iter().map(|item| Kind::Text.check(item, None)).collect()
}

/// An address that requests can be sent to. A user and password in it would end up in messages.
pub(crate) fn url(text: &str) -> Result<Value, String> {
    let uri = text.parse::<axum::http::Uri>().ok();
    let usable = uri.as_ref().filter(|uri| {
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        matches!(uri.scheme_str(), Some("http" | "https"))
            && !authority.is_empty()
            && !authority.contains('@')
            && uri.query().is_none()
    });
    match usable {
        Some(_) => Ok(json!(text.trim_end_matches('/'))),
        None => Err("it is no address such as https://api.example.com/v1".to_owned()),
    }
}

fn invalid(node: &Node, why: &str) -> Fault {
    fault(node, Problem::Invalid(why.to_owned()))
}
