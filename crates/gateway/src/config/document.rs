//! One JSON5 file as a tree of values that know where they stand.
//!
//! Text enters, [`Node`]s leave. What the values mean is no concern of this file.

use jsonc_parser::ast::{self, ObjectPropName};
use jsonc_parser::common::{Range, Ranged as _};
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

/// A place in a text; both count from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// A value and its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) at: Spot,
    pub(crate) content: Content,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Null,
    Bool(bool),
    Whole(i64),
    /// A number that is not whole or does not fit; no key takes one.
    OddNumber,
    Text(String),
    List(Vec<Node>),
    Object(Vec<Property>),
}

/// A name in an object and its value.
#[derive(Clone, Debug)]
pub(crate) struct Property {
    pub(crate) at: Spot,
    pub(crate) name: String,
    pub(crate) value: Node,
}

/// The text is not JSON5.
#[derive(Debug)]
pub(crate) struct SyntaxFault {
    pub(crate) at: Spot,
    pub(crate) reason: String,
}

impl Content {
    /// What to call it in a message.
    pub(crate) fn noun(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "true or false",
            Self::Whole(_) => "a number",
            Self::OddNumber => "a number with a fraction or out of reach",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }
}

/// JSON5 has no missing commas; the parser would take them, and then guess.
pub(crate) fn json5() -> ParseOptions {
    ParseOptions { allow_missing_commas: false, ..ParseOptions::default() }
}

/// Reads a text. One without any value is an empty object: a file of comments sets nothing.
pub(crate) fn parse(text: &str) -> Result<Node, SyntaxFault> {
    let parsed = parse_to_ast(text, &CollectOptions::default(), &json5()).map_err(|error| {
        SyntaxFault { at: spot(text, error.range()), reason: error.kind().to_string() }
    })?;
    Ok(match parsed.value {
        Some(value) => node(text, &value),
        None => Node { at: Spot { line: 1, column: 1 }, content: Content::Object(Vec::new()) },
    })
}

fn node(text: &str, value: &ast::Value<'_>) -> Node {
    let content = match value {
        ast::Value::NullKeyword(_) => Content::Null,
        ast::Value::BooleanLit(literal) => Content::Bool(literal.value),
        ast::Value::NumberLit(literal) => number(literal.value),
        ast::Value::StringLit(literal) => Content::Text(literal.value.clone().into_owned()),
        ast::Value::Array(array) => {
            Content::List(array.elements.iter().map(|element| node(text, element)).collect())
        }
        ast::Value::Object(object) => {
            Content::Object(object.properties.iter().map(|prop| property(text, prop)).collect())
        }
    };
    Node { at: spot(text, value.range()), content }
}

fn property(text: &str, property: &ast::ObjectProp<'_>) -> Property {
    let name = match &property.name {
        ObjectPropName::String(literal) => literal.value.clone().into_owned(),
        ObjectPropName::Word(literal) => literal.value.to_owned(),
    };
    Property { at: spot(text, property.name.range()), name, value: node(text, &property.value) }
}

/// Reads `18789`, `+5`, `0x4965`, and also `5.0` and `1e3`, which are whole all the same.
fn number(text: &str) -> Content {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let hex = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"));
    let whole = match hex {
        Some(hex) => i64::from_str_radix(hex, 16).ok(),
        None => digits.parse().ok().or_else(|| digits.parse().ok().and_then(whole)),
    };
    whole.map_or(Content::OddNumber, |whole| Content::Whole(sign * whole))
}

/// The float as an integer, where that loses nothing.
fn whole(float: f64) -> Option<i64> {
    let text = format!("{float:.0}");
    if float.fract() == 0.0 { text.parse().ok() } else { None }
}

fn spot(text: &str, range: Range) -> Spot {
    let before = text.get(..range.start).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Spot { line: count(line), column: count(column) }
}

/// Nobody reads past four thousand million lines.
fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
