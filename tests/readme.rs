//! What the README says is there is there.

use std::fs;
use std::path::Path;

const README: &str = include_str!("../README.md");

/// Every second piece of a text that is cut at a mark: what stands between marks.
fn between(text: &str, mark: char) -> impl Iterator<Item = &str> {
    text.split(mark).skip(1).step_by(2)
}

fn sources(dir: &Path, found: &mut String) {
    for entry in fs::read_dir(dir).expect("a directory of the project").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            sources(&entry, found);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            found.push_str(&fs::read_to_string(&entry).expect("a source file"));
        }
    }
}

#[test]
fn the_tests_that_hold_the_promises_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut code = String::new();
    sources(&root.join("tests"), &mut code);
    sources(&root.join("src"), &mut code);
    let rows = README.lines().filter(|line| line.starts_with("| ")).flat_map(|line| between(line, '`'));
    let names: Vec<&str> = rows.filter(|name| name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric())).collect();
    let tests: Vec<&&str> = names.iter().filter(|name| name.matches('_').count() > 3).collect();
    assert!(tests.len() > 10, "the table was not found: {names:?}");
    for name in tests {
        assert!(code.contains(&format!("fn {name}(")), "the README names a test that is not there: {name}");
    }
}

#[test]
fn links_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let targets = README.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
    for target in targets.filter(|target| !target.starts_with("https://")) {
        assert!(root.join(target).exists(), "the README leads to {target}, which is not there");
    }
}
