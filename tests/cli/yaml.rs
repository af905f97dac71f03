//! The verbs on YAML files: a list of containers, as a person keeps it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use crate::support::feed;
use crate::toml_and_csv::File;

/// With so many spaces for each level.
fn containers(unit: usize) -> String {
    const TEXT: &str = "# Containers of the team\n\nproject: 'airyra' # the one\ncontainers:\n  # the first\n  \
        web:\n    image: debian:12 # stable\n    ports: [80, 443]\n    env:\n      - name: MODE # dev\n  \
        # end of containers\n\nlog: >-\n  all of\n  it\n";
    let lines = TEXT.lines().map(|line| {
        let text = line.trim_start();
        format!("{}{text}\n", " ".repeat((line.len() - text.len()) / 2 * unit))
    });
    lines.collect()
}

#[test]
fn a_container_is_added_to_a_commented_file_and_nobody_else_can_read_it() {
    for unit in [2, 4] {
        let text = containers(unit);
        let file = File::with("containers.yaml", &text);
        let path = file.store.dir().join(file.name);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        file.ok(&["set", "containers.db", "{\"image\": \"postgres:17\", \"ports\": [5432]}"]);
        file.ok(&["push", "containers.web.env", "{\"name\": \"TZ\", \"value\": \"no\"}"]);
        file.ok(&["push", "containers.web.ports", "8080"]);
        file.ok(&["set", "log", "nothing at all"]);
        file.ok(&["compact"]);
        let [one, two, three] = [1, 2, 3].map(|level| " ".repeat(level * unit));
        let env = format!("# dev\n{three}- name: TZ\n{three}  value: 'no'\n");
        let db = format!("{one}db:\n{two}image: postgres:17\n{two}ports:\n{three}- 5432\n");
        let expected = text
            .replace("443]", "443, 8080]")
            .replace("# dev\n", &(env + &db))
            .replace(&format!("{one}all of\n{one}it\n"), &format!("{one}nothing at all\n"));
        assert_eq!(file.text(), expected);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        for entry in fs::read_dir(file.store.dir().join("containers.yaml.cfgwal")).unwrap() {
            let mode = entry.unwrap().metadata().unwrap().mode();
            assert_eq!(mode & 0o077, 0, "{mode:o}");
        }
        file.ok(&["verify"]);
    }
}

#[test]
fn a_hand_edit_of_a_yaml_file_is_merged() {
    let file = File::with("containers.yaml", &containers(2));
    file.ok(&["set", "containers.db.image", "postgres:17"]);
    let ours = file.text();
    file.write(&ours.replace("debian:12 # stable", "debian:13 # testing").replace("# end", "# The end"));
    file.ok(&["set", "containers.db.image", "postgres:18"]);
    let expected = ours.replace("debian:12 # stable", "debian:13 # testing").replace("# end", "# The end");
    assert_eq!(file.text(), expected.replace("postgres:17", "postgres:18"));
    assert_eq!(file.ok(&["get", "containers.web.image"]), "debian:13\n");
}

#[test]
fn a_hand_edit_that_is_no_yaml_is_shown_and_both_sides_are_there_when_it_is_mended() {
    let file = File::with("containers.yaml", &containers(4));
    file.ok(&["set", "containers.db.image", "postgres:17"]);
    let ours = file.text();
    file.write(&ours.replace("[80, 443]", "[80, 443}"));
    file.refuses(&["set", "project", "x"], 3, "containers.yaml, line 8, column ");
    file.refuses(&["set", "project", "x"], 3, "ports: [80, 443}\n");
    let read = file.run(&["get", "project"]);
    assert_eq!((read.code, read.out.as_str()), (0, "airyra\n"), "{read:?}");
    assert!(read.err.starts_with("warning: containers.yaml: its text was changed by hand and does not parse: line 8"));
    let batch = file.store.bare(&["-f", file.name, "batch"]);
    let ran = feed(batch, "{\"op\":\"set\",\"path\":\"containers.db.image\",\"value\":\"postgres:18\"}\n");
    assert_eq!(ran.code, 9, "edits go on in the log: {ran:?}");
    file.write(&ours.replace("[80, 443]", "[80, 443, 8080]"));
    file.ok(&["recover"]);
    assert_eq!(file.text(), ours.replace("[80, 443]", "[80, 443, 8080]").replace("postgres:17", "postgres:18"));
}

#[test]
fn what_yaml_cannot_be_edited_without_harm_is_refused_before_it_is_logged() {
    let shared = "base: &base\n  image: x\n  ports: [1, # c\n    2]\nweb: *base\ndb:\n  <<: *base\nt: !t 1\n";
    for journal in [false, true] {
        let file = File::with("app.yaml", shared);
        if journal {
            file.ok(&["init"]);
        }
        file.refuses(&["set", "base.image", "y"], 8, "line 5, line 7; edit the file by hand");
        file.refuses(&["set", "web.image", "y"], 8, "this is an alias; change what it stands for");
        file.refuses(&["set", "db.<<.image", "y"], 8, "this is an alias");
        file.refuses(&["unset", "base"], 8, "an alias elsewhere stands for what is here");
        file.refuses(&["set", "t", "2"], 8, "has a tag");
        file.ok(&["set", "db.image", "z"]);
        assert_eq!(file.text(), shared.replace("<<: *base\n", "<<: *base\n  image: z\n"));
    }
    let file = File::with("app.yaml", "l: [1, # c\n  2]\nb: |\n  x");
    file.refuses(&["set", "c", "1"], 8, "end the file with a newline first");
    file.write("l: [1, # c\n  2]\nb: |\n  x\n");
    file.refuses(&["unset", "l[0]"], 8, "a comment would go with this; edit the file by hand");
    file.refuses(&["set", "l", "1"], 8, "there are comments inside, which would be lost");
    file.ok(&["set", "c", "1"]);
}

#[test]
fn what_is_no_yaml_is_refused_with_its_place() {
    let bomb = (1..9).fold("l0: &l0 [x]\n".to_owned(), |text, n| {
        format!("{text}l{n}: &l{n} [{}]\n", vec![format!("*l{}", n - 1); 10].join(", "))
    });
    for (text, why) in [
        ("a: 1\nb: [\n", "app.yaml, line 2, column 5: "),
        (
            "a: 1\nb: 2\na: 3\n",
            "app.yaml, line 3, column 1: the key \"a\" is written twice; the first is at line 1, column 1",
        ),
        (
            "a: 1\n---\nb: 2\n",
            "line 2, column 1: a second document begins here; only files with one document can be edited",
        ),
        ("? [a]\n: 1\n", "a key that is no scalar"),
        ("a: *x\n", "unknown anchor"),
        (&bomb, "the aliases stand for too many values"),
        (&"- ".repeat(100_000), "nested deeper than 128 levels"),
        (&format!("a: {}", "[".repeat(100_000)), "app.yaml, line 1"),
    ] {
        let file = File::with("app.yaml", text);
        file.refuses(&["set", "c", "1"], 3, why);
        file.refuses(&["get", "a"], 3, why);
    }
}

#[test]
fn an_emptied_yaml_file_is_held_back() {
    File::with("app.yaml", "a: 1\n").is_held_back_once_emptied("b: 1\n");
}
