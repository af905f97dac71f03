//! [`Path`]: where in a config something is.
//!
//! Two ways to write one: dotted (`servers.a.port`, `args[0]`, `a."b.c"`) and, beginning with a slash, as
//! a JSON pointer (RFC 6901). The empty text is the root. What a path displays as, it is read from.

use std::{
    borrow::Cow,
    fmt::{self, Write},
    str::FromStr,
    sync::Arc,
};

use crate::{
    key,
    limits::{DEPTH_MAX, KEY_MAX},
    quote::{self, Fault},
};

/// The way from the root of a config to one of its values.
///
/// ```
/// use cfgwal::Path;
///
/// let path = Path::parse(r#"servers."example.org".args[0]"#)?;
/// assert_eq!(path.len(), 4);
/// assert_eq!(path.pointer(), "/servers/example.org/args/0");
/// assert_eq!(path.to_string(), r#"servers."example.org".args[0]"#);
/// # Ok::<(), cfgwal::PathError>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Path(Vec<Segment>);

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Segment {
    /// A key of an object. Where it meets an array, a number is a place in it, and `-` its end.
    Key(Arc<str>),
    /// A place in an array, counted from 0. Never a key.
    Index(usize),
}

/// A step as it is read from a text, before anybody keeps it.
#[derive(Clone, Copy)]
pub(crate) enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

impl Step<'_> {
    pub(crate) fn as_index(self) -> Option<usize> {
        match self {
            Step::Index(index) => Some(index),
            Step::Key(key) => plain_decimal(key),
        }
    }
}

/// Why a text is not a path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// As in `a..b`. An empty key is written `""`.
    #[error("the path lacks a key at byte {at} (an empty one is written \"\")")]
    NoKey {
        /// Where, in bytes from the start of the text.
        at: usize,
    },
    /// As in `a."b`.
    #[error("the quoted key at byte {at} of the path is not closed")]
    OpenQuote {
        /// Where, in bytes from the start of the text.
        at: usize,
    },
    /// Not an escape of JSON strings or, in a pointer, neither `~0` nor `~1`.
    #[error("the path has an unknown escape at byte {at}")]
    Escape {
        /// Where, in bytes from the start of the text.
        at: usize,
    },
    /// As in `a[x]`.
    #[error("the brackets at byte {at} of the path hold neither a number nor `-`")]
    Index {
        /// Where, in bytes from the start of the text.
        at: usize,
    },
    /// As in `a]` or `a[0]b`.
    #[error("the path goes wrong at byte {at}: `.`, `[` or its end is expected (other keys need quotes)")]
    Unexpected {
        /// Where, in bytes from the start of the text.
        at: usize,
    },
    /// More than [`DEPTH_MAX`] segments.
    #[error("the path has more than {DEPTH_MAX} segments")]
    TooDeep,
    /// A key of more than [`KEY_MAX`] bytes.
    #[error("a key in the path is longer than {KEY_MAX} bytes")]
    KeyTooLong,
}

impl Segment {
    /// The place that this segment means in an array, if it means one.
    ///
    /// A key does if it is the plain decimal form of a number: `0`, `12`, but not `01` or `+1`.
    pub fn as_index(&self) -> Option<usize> {
        self.step().as_index()
    }

    pub(crate) fn step(&self) -> Step<'_> {
        match self {
            Segment::Index(index) => Step::Index(*index),
            Segment::Key(key) => Step::Key(key),
        }
    }

    /// Whether it means the end of an array, where there is no item yet.
    pub fn is_end(&self) -> bool {
        self.as_key() == Some("-")
    }

    /// The key, if it is one.
    pub fn as_key(&self) -> Option<&str> {
        match self {
            Segment::Key(key) => Some(key),
            Segment::Index(_) => None,
        }
    }

    fn check(&self) -> Result<(), PathError> {
        match self {
            Segment::Key(key) if key.len() > KEY_MAX => Err(PathError::KeyTooLong),
            _ => Ok(()),
        }
    }
}

fn plain_decimal(text: &str) -> Option<usize> {
    match text.as_bytes() {
        [b'0'] | [b'1'..=b'9', ..] => text.parse().ok(),
        _ => None,
    }
}

impl Path {
    /// The root of a config.
    pub const fn root() -> Path {
        Path(Vec::new())
    }

    /// Reads a path, dotted or a pointer.
    pub fn parse(text: &str) -> Result<Path, PathError> {
        let mut path = Path::root();
        read(text, |step| {
            path.0.push(match step {
                Step::Key(key) => Segment::Key(key::kept(key)),
                Step::Index(index) => Segment::Index(index),
            });
        })?;
        Ok(path)
    }

    /// Whether it is within the limits. A path that was read from a text is.
    pub fn check(&self) -> Result<(), PathError> {
        if self.0.len() > DEPTH_MAX {
            return Err(PathError::TooDeep);
        }
        self.0.iter().try_for_each(Segment::check)
    }

    /// The steps from the root.
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// How many steps there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it is the root.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The last step; `None` at the root.
    pub fn last(&self) -> Option<&Segment> {
        self.0.last()
    }

    /// The path without its last step; `None` at the root.
    pub fn parent(&self) -> Option<Path> {
        self.0.split_last().map(|(_, rest)| Path(rest.to_vec()))
    }

    /// Adds a step.
    pub fn push(&mut self, segment: impl Into<Segment>) {
        self.0.push(segment.into());
    }

    /// Takes off the last step.
    pub fn pop(&mut self) -> Option<Segment> {
        self.0.pop()
    }

    /// The path one step further.
    #[must_use]
    pub fn join(&self, segment: impl Into<Segment>) -> Path {
        let mut path = Path(Vec::with_capacity(self.0.len() + 1));
        path.0.extend_from_slice(&self.0);
        path.push(segment);
        path
    }

    /// Whether `prefix` is this path or leads to it.
    pub fn starts_with(&self, prefix: &Path) -> bool {
        self.0.starts_with(&prefix.0)
    }

    /// As a JSON pointer (RFC 6901).
    pub fn pointer(&self) -> String {
        let mut text = String::new();
        for segment in &self.0 {
            text.push('/');
            match segment {
                Segment::Key(key) => text.push_str(&key.replace('~', "~0").replace('/', "~1")),
                Segment::Index(index) => text.push_str(&index.to_string()),
            }
        }
        text
    }
}

/// Reads a path, dotted or a pointer, and hands over its steps one by one; those before a fault, too.
pub(crate) fn read(text: &str, mut visit: impl FnMut(Step<'_>)) -> Result<(), PathError> {
    let mut left = DEPTH_MAX;
    // Refuses as soon as a limit is passed, however long the text goes on.
    let add = |step: Step<'_>| {
        if matches!(step, Step::Key(key) if key.len() > KEY_MAX) {
            return Err(PathError::KeyTooLong);
        }
        left = left.checked_sub(1).ok_or(PathError::TooDeep)?;
        visit(step);
        Ok(())
    };
    match text.strip_prefix('/') {
        Some(pointer) => read_pointer(pointer, add),
        None => read_dotted(text, add),
    }
}

/// Reads what follows the first slash.
fn read_pointer(text: &str, mut add: impl FnMut(Step<'_>) -> Result<(), PathError>) -> Result<(), PathError> {
    let mut at = 1;
    for token in text.split('/') {
        if !token.contains('~') {
            add(Step::Key(token))?;
            at += token.len() + 1;
            continue;
        }
        let mut key = String::with_capacity(token.len().min(KEY_MAX + 1));
        for (i, part) in token.split('~').enumerate() {
            let rest = match part.as_bytes().first() {
                _ if i == 0 => part,
                Some(b'0') => {
                    key.push('~');
                    &part[1..]
                }
                Some(b'1') => {
                    key.push('/');
                    &part[1..]
                }
                _ => return Err(PathError::Escape { at: at - 1 }),
            };
            key.push_str(rest);
            at += part.len() + 1;
        }
        add(Step::Key(&key))?;
    }
    Ok(())
}

fn read_dotted(text: &str, mut add: impl FnMut(Step<'_>) -> Result<(), PathError>) -> Result<(), PathError> {
    let bytes = text.as_bytes();
    let mut at = 0;
    // A key is due at the start, unless brackets come first, and after every dot.
    let mut key_due = !matches!(bytes.first(), None | Some(b'['));
    while key_due || at < bytes.len() {
        if key_due {
            let (key, len) = read_key(&text[at..], at)?;
            add(Step::Key(&key))?;
            at += len;
            key_due = false;
            continue;
        }
        match bytes[at] {
            b'.' => {
                at += 1;
                key_due = true;
            }
            b'[' => {
                let fault = PathError::Index { at };
                let Some(len) = text[at..].find(']') else { return Err(fault) };
                add(match &text[at + 1..at + len] {
                    "-" => Step::Key("-"),
                    index => Step::Index(plain_decimal(index).ok_or(fault)?),
                })?;
                at += len + 1;
            }
            _ => return Err(PathError::Unexpected { at }),
        }
    }
    Ok(())
}

/// Reads the key that `text` begins with, which is at byte `at` of the path; also gives its length there.
fn read_key(text: &str, at: usize) -> Result<(Cow<'_, str>, usize), PathError> {
    if text.starts_with('"') {
        return match quote::unquote(text) {
            Ok((key, len)) => Ok((key.into(), len)),
            Err(Fault::Open) => Err(PathError::OpenQuote { at }),
            Err(Fault::Escape(offset)) => Err(PathError::Escape { at: at + offset }),
        };
    }
    let ends = |byte: &u8| matches!(byte, b'.' | b'[' | b']' | b'"');
    let len = text.as_bytes().iter().position(ends).unwrap_or(text.len());
    match len {
        0 => Err(PathError::NoKey { at }),
        _ => Ok((text[..len].into(), len)),
    }
}

/// The dotted form, on one line and safe to show.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Key(key) => {
                    if i > 0 {
                        f.write_char('.')?;
                    }
                    if is_bare(key) && !(i == 0 && key.starts_with('/')) {
                        f.write_str(key)?;
                    } else {
                        quote::quote(f, key, quote::is_treacherous)?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Whether a key can do without quotes.
fn is_bare(key: &str) -> bool {
    let needs_quotes = |char: char| {
        matches!(char, '.' | '[' | ']' | '"' | '\\') || char.is_whitespace() || quote::is_treacherous(char)
    };
    !key.is_empty() && !key.contains(needs_quotes)
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Path({self})")
    }
}

impl FromStr for Path {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Path, PathError> {
        Path::parse(text)
    }
}

impl TryFrom<&str> for Path {
    type Error = PathError;

    fn try_from(text: &str) -> Result<Path, PathError> {
        Path::parse(text)
    }
}

impl From<&str> for Segment {
    fn from(key: &str) -> Segment {
        Segment::Key(key.into())
    }
}

impl From<String> for Segment {
    fn from(key: String) -> Segment {
        Segment::Key(key.into())
    }
}

impl From<Arc<str>> for Segment {
    fn from(key: Arc<str>) -> Segment {
        Segment::Key(key)
    }
}

impl From<usize> for Segment {
    fn from(index: usize) -> Segment {
        Segment::Index(index)
    }
}

impl<S: Into<Segment>> FromIterator<S> for Path {
    fn from_iter<I: IntoIterator<Item = S>>(segments: I) -> Path {
        Path(segments.into_iter().map(Into::into).collect())
    }
}

/// What is a path or can be read as one; lets functions that take paths take texts.
pub trait IntoPath {
    /// The path, or why there is none.
    fn into_path(self) -> Result<Path, PathError>;

    /// The text that it is read from, if it is one: who only looks for a value follows that, and keeps no path of it.
    fn as_text(&self) -> Option<&str> {
        None
    }
}

impl IntoPath for Path {
    fn into_path(self) -> Result<Path, PathError> {
        Ok(self)
    }
}

impl IntoPath for &Path {
    fn into_path(self) -> Result<Path, PathError> {
        Ok(self.clone())
    }
}

impl IntoPath for &str {
    fn into_path(self) -> Result<Path, PathError> {
        Path::parse(self)
    }

    fn as_text(&self) -> Option<&str> {
        Some(self)
    }
}

impl IntoPath for &String {
    fn into_path(self) -> Result<Path, PathError> {
        Path::parse(self)
    }

    fn as_text(&self) -> Option<&str> {
        Some(self)
    }
}

impl IntoPath for String {
    fn into_path(self) -> Result<Path, PathError> {
        Path::parse(&self)
    }

    fn as_text(&self) -> Option<&str> {
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn segment() -> impl Strategy<Value = Segment> {
        prop_oneof![
            any::<String>().prop_map(Segment::from),
            r#"[-a-z0-9."/~\[\]\\ \n\u{1b}\u{202e}]{0,4}"#.prop_map(Segment::from),
            any::<usize>().prop_map(Segment::from),
        ]
    }

    proptest! {
        #[test]
        fn a_path_displays_as_what_it_is_read_from(segments in vec(segment(), 0..8)) {
            let path: Path = segments.into_iter().collect();
            let text = path.to_string();
            prop_assert!(!text.contains(quote::is_treacherous), "{:?}", text);
            prop_assert_eq!(Path::parse(&text), Ok(path), "{}", text);
        }

        #[test]
        fn a_pointer_reads_back_with_keys_for_places(segments in vec(segment(), 0..8)) {
            let path: Path = segments.into_iter().collect();
            let as_key = |segment: &Segment| match segment {
                Segment::Index(index) => Segment::from(index.to_string()),
                key => key.clone(),
            };
            let expected = path.segments().iter().map(as_key).collect();
            prop_assert_eq!(Path::parse(&path.pointer()), Ok(expected));
        }

        #[test]
        fn any_text_is_a_path_or_an_error_and_what_is_read_is_within_the_limits(text in r#"[-a-c0-9."/~\[\]\\]{0,12}"#) {
            if let Ok(path) = Path::parse(&text) {
                prop_assert_eq!(path.check(), Ok(()));
                prop_assert_eq!(Path::parse(&path.to_string()), Ok(path));
            }
        }
    }

    fn key(key: &str) -> Segment {
        key.into()
    }

    #[test]
    fn each_form_is_read() {
        let cases: [(&str, &[Segment]); 17] = [
            ("", &[]),
            ("a", &[key("a")]),
            ("servers.a.port", &[key("servers"), key("a"), key("port")]),
            (r#"a."b.c""#, &[key("a"), key("b.c")]),
            (r#""".a"#, &[key(""), key("a")]),
            (r#""\u00e9\n".b"#, &[key("é\n"), key("b")]),
            ("args[0]", &[key("args"), 0.into()]),
            ("args[0][12].x", &[key("args"), 0.into(), 12.into(), key("x")]),
            ("[0].x", &[0.into(), key("x")]),
            ("args.0", &[key("args"), key("0")]),
            ("args.-", &[key("args"), key("-")]),
            ("args[-]", &[key("args"), key("-")]),
            ("a b.é", &[key("a b"), key("é")]),
            ("/", &[key("")]),
            ("/a/0/-", &[key("a"), key("0"), key("-")]),
            ("/a.b//c[0]", &[key("a.b"), key(""), key("c[0]")]),
            ("a/b", &[key("a/b")]),
        ];
        for (text, segments) in cases {
            assert_eq!(Path::parse(text).map(|path| path.0), Ok(segments.to_vec()), "{text}");
        }
    }

    /// The table of RFC 6901, section 5.
    #[test]
    fn pointers_are_read_as_their_standard_says() {
        for (pointer, keys) in [
            ("/foo", &["foo"][..]),
            ("/foo/0", &["foo", "0"]),
            ("/", &[""]),
            ("/a~1b", &["a/b"]),
            ("/c%d", &["c%d"]),
            ("/e^f", &["e^f"]),
            ("/g|h", &["g|h"]),
            ("/i\\j", &["i\\j"]),
            ("/k\"l", &["k\"l"]),
            ("/ ", &[" "]),
            ("/m~0n", &["m~n"]),
            ("/~01", &["~1"]),
        ] {
            let path: Path = keys.iter().copied().collect();
            assert_eq!(Path::parse(pointer).as_ref(), Ok(&path), "{pointer}");
            assert_eq!(path.pointer(), pointer);
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (text, error) in [
            (".", PathError::NoKey { at: 0 }),
            (".a", PathError::NoKey { at: 0 }),
            ("a.", PathError::NoKey { at: 2 }),
            ("a..b", PathError::NoKey { at: 2 }),
            ("a.[0]", PathError::NoKey { at: 2 }),
            ("]", PathError::NoKey { at: 0 }),
            ("a]", PathError::Unexpected { at: 1 }),
            ("a\"b\"", PathError::Unexpected { at: 1 }),
            ("\"a\"b", PathError::Unexpected { at: 3 }),
            ("a[0]b", PathError::Unexpected { at: 4 }),
            ("é.\"b", PathError::OpenQuote { at: 3 }),
            ("a.\"b\\x\"", PathError::Escape { at: 4 }),
            ("a[", PathError::Index { at: 1 }),
            ("a[]", PathError::Index { at: 1 }),
            ("a[x]", PathError::Index { at: 1 }),
            ("a[-1]", PathError::Index { at: 1 }),
            ("a[+1]", PathError::Index { at: 1 }),
            ("a[01]", PathError::Index { at: 1 }),
            ("a[99999999999999999999]", PathError::Index { at: 1 }),
            ("/a~", PathError::Escape { at: 2 }),
            ("/a~2b", PathError::Escape { at: 2 }),
            ("/~0/é~0~x", PathError::Escape { at: 8 }),
        ] {
            assert_eq!(Path::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn keys_are_quoted_where_they_could_be_misread() {
        for (keys, text) in [
            (&["a-b_c", "é/~", "0"][..], "a-b_c.é/~.0"),
            (&["/a", "/a"], r#""/a"./a"#),
            (&["", "a.b", "a[0", "]"], r#"""."a.b"."a[0"."]""#),
            (&["a b", "\\", "\""], r#""a b"."\\"."\"""#),
            (&["\u{1b}[31m", "\u{202e}", "a\nb", "\u{a0}"], "\"\\u001b[31m\".\"\\u202e\".\"a\\nb\".\"\u{a0}\""),
        ] {
            assert_eq!(keys.iter().copied().collect::<Path>().to_string(), text);
        }
    }

    #[test]
    fn limits_hold_to_the_byte_in_every_form() {
        let (fits, long) = ("x".repeat(KEY_MAX), "x".repeat(KEY_MAX + 1));
        for (before, after) in [("", ""), ("/", ""), ("\"", "\""), ("a.", ".b")] {
            assert!(Path::parse(&format!("{before}{fits}{after}")).is_ok());
            assert_eq!(Path::parse(&format!("{before}{long}{after}")), Err(PathError::KeyTooLong));
        }
        for (first, more) in [("a", ".a"), ("", "/a"), ("", "[0]"), ("a", "[-]")] {
            let deep = |depth| Path::parse(&format!("{first}{}", more.repeat(depth - first.len())));
            assert_eq!(deep(DEPTH_MAX).map(|path| path.len()), Ok(DEPTH_MAX));
            assert_eq!(deep(DEPTH_MAX + 1), Err(PathError::TooDeep));
            assert_eq!(deep(200_000), Err(PathError::TooDeep));
        }
        let built: Path = std::iter::repeat_n("a", DEPTH_MAX + 1).collect();
        assert_eq!(built.check(), Err(PathError::TooDeep));
        assert_eq!(Path::root().join(long).check(), Err(PathError::KeyTooLong));
    }

    #[test]
    fn only_a_plain_decimal_is_a_place() {
        for (text, index) in [("0", Some(0)), ("10", Some(10)), ("18446744073709551615", Some(usize::MAX))] {
            assert_eq!(key(text).as_index(), index);
        }
        for text in ["", "-", "00", "01", "+1", "-1", "1 ", "1_0", "x", "18446744073709551616", "１"] {
            assert_eq!(key(text).as_index(), None, "{text}");
        }
        assert!(key("-").is_end());
        assert!(!Segment::from(0).is_end());
    }

    #[test]
    fn a_path_is_its_parent_and_its_last_segment() {
        let path = Path::parse("a.b[0]").unwrap();
        assert_eq!(path.parent(), Some(Path::parse("a.b").unwrap()));
        assert_eq!(path.last(), Some(&0.into()));
        assert_eq!(path.parent().unwrap().join(0), path);
        assert_eq!(Path::root().parent(), None);
        assert!(path.starts_with(&Path::root()) && path.starts_with(&path));
        assert!(!path.starts_with(&Path::parse("b").unwrap()));
    }
}
