//! Values in brackets, with commas between them: the arrays and objects of JSON, the arrays and inline
//! tables of TOML.
//!
//! `tree` holds the spans of a text, `row` knows which text around an item belongs to it, `splice` walks
//! tree and target side by side and says which bytes to replace, `layout` writes what is new. What a
//! language spells in its own way, its [`Syntax`] knows.

mod layout;
mod row;
mod splice;
mod tree;

use std::borrow::Cow;

use crate::value::Value;

#[cfg(feature = "toml")]
pub(super) use layout::Style;
pub(super) use splice::patch;
#[cfg(feature = "toml")]
pub(super) use tree::Kind;
pub(super) use tree::{Builder, Comment, Id, Tree};

/// What differs between the languages that write values in brackets.
pub(super) trait Syntax {
    /// The characters that a string or a key stands for.
    fn string<'a>(&self, text: &'a str) -> Cow<'a, str>;
    /// The value that anything but a string, an array or an object stands for.
    fn scalar(&self, text: &str) -> Value;
    fn write_key(&self, out: &mut String, key: &str);
    /// Writes a value that is no container.
    fn write_scalar(&self, out: &mut String, value: &Value);
    /// What may stand between key and value, the usual first. Another one aligns values in columns, or holds a
    /// comment, and would be wrong for a key of another length.
    fn colons(&self) -> &'static [&'static str];
    /// The usual indentation.
    fn unit(&self) -> &'static str;
    /// What stands inside the braces of an object on one line.
    fn padding(&self) -> &'static str;
    /// Whether the order of keys says something.
    fn is_ordered(&self) -> bool;
    /// Whether what has nothing to imitate has its items on lines of their own: objects, and arrays that would fit one.
    fn has_lines(&self) -> bool;
}
