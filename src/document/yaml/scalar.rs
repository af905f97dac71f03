//! Block scalars that get another text.

use super::tree::Tree;
use crate::quote::is_treacherous;
use crate::value::Value;

/// `text` in the style of the block scalar `old`, where that style can say it. Where blank lines follow, a scalar that keeps its
/// last line breaks would take them in.
pub(super) fn restyled(old: &str, text: &str, line_break: &str, blank_follows: bool) -> Option<String> {
    let header = old.lines().next()?;
    let (indicators, comment) = header.split_at(header.find([' ', '\t']).unwrap_or(header.len()));
    let first = old.lines().skip(1).find(|line| !line.trim().is_empty())?;
    let indent = &first[..first.len() - first.trim_start_matches(' ').len()];
    let body = text.trim_end_matches('\n');
    let chomping = match text.len() - body.len() {
        0 => "-",
        1 if indicators.contains('+') && !blank_follows => "+",
        1 => "",
        _ if blank_follows => return None,
        _ => "+",
    };
    let is_folded = indicators.starts_with('>');
    let fits = |line: &str| {
        let odd = |c: char| c.is_control() || is_treacherous(c);
        !(line.ends_with(' ') || line.contains(odd) || is_folded && line.starts_with(' '))
    };
    if body.starts_with([' ', '\n']) || body.is_empty() || !body.split('\n').all(fits) {
        return None;
    }
    if indicators.contains(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let mut out = format!("{}{chomping}{comment}", &indicators[..1]);
    for (at, line) in body.split('\n').enumerate() {
        // In a folded scalar a single line break is a space.
        if is_folded && at > 0 && !line.is_empty() {
            out.push_str(line_break);
        }
        out.push_str(line_break);
        if !line.is_empty() {
            out.push_str(indent);
            out.push_str(line);
        }
    }
    (1..text.len() - body.len()).for_each(|_| out.push_str(line_break));
    let read = format!("--- {out}{line_break}");
    Tree::parse(&read).is_ok_and(|tree| tree.value() == Value::from(text)).then_some(out)
}
