//! Secrets are searched for in everything that is printed or left lying about where nobody asked for them.

use std::fs;

use crate::support::{Store, ran};

const CANARY: &str = "c4n4ry";

/// Paths whose values are secret by their names.
const SECRET_PATHS: [&str; 12] = [
    "secret",
    "servers.a.token",
    "db.password",
    "db.passwd",
    "apiKey",
    "api_key",
    "x.PRIVATE-KEY",
    "credentials.aws",
    "auth.header",
    "env.GITHUB_TOKEN",
    "oauth.clientSecret",
    "\"access token\"",
];

#[test]
fn no_verb_prints_a_secret_that_it_was_not_asked_for() {
    let mut cases = 0;
    for (at, path) in SECRET_PATHS.into_iter().enumerate() {
        let store = Store::with("{\"n\": 1, \"list\": [1]}\n");
        let secret = |n: usize| format!("{CANARY}-{at}-{n}");
        store.ok(&["set", path, &secret(0)]);
        store.ok(&["compact"]);
        store.ok(&["set", path, &secret(1)]);
        // Saved by hand, and not taken over yet.
        store.write(&store.text().replace(&secret(1), &secret(2)));
        let deeper = format!("{path}.deeper");
        let condition = format!("{path}={}", secret(9));
        let verbs: Vec<Vec<&str>> = vec![
            vec!["status"],
            vec!["verify"],
            vec!["log"],
            vec!["log", path],
            vec!["log", "--conflicts"],
            vec!["ls"],
            vec!["recover", "--dry-run"],
            vec!["set", "n", "2", "--dry-run"],
            vec!["set", path, "c4n4ry-new", "--dry-run"],
            vec!["unset", path, "--dry-run"],
            vec!["move", path, "elsewhere.token", "--dry-run"],
            vec!["push", path, "c4n4ry-pushed"],
            vec!["increment", path],
            vec!["set", &deeper, "c4n4ry-deep"],
            vec!["set", "n", "2", "--if", &condition],
            vec!["set", "n", "2", "--if-absent", path],
            vec!["merge", "{\"token\": \"c4n4ry-merged\", \"n\": {\"x\": 1}}"],
            vec!["set", path, "c4n4ry-again"],
            vec!["compact"],
            vec!["recover"],
            vec!["unset", path],
            vec!["log", "-n", "50"],
        ];
        for verb in verbs {
            for more in [&[][..], &["--json"], &["-vvv"]] {
                let args = [&verb[..], more].concat();
                let mut command = store.command(&args);
                command.env("RUST_LOG", "trace");
                let ran = ran(command.output());
                assert!(!ran.out.contains(CANARY), "{args:?} prints it: {ran:?}");
                assert!(!ran.err.contains(CANARY), "{args:?} tells it: {ran:?}");
                cases += 1;
            }
        }
        // Who waits for a lock is told who holds it, but not what for.
        let page = fs::read(store.journal().join("watermark")).unwrap();
        assert!(!page.windows(CANARY.len()).any(|bytes| bytes == CANARY.as_bytes()), "{path}: it is in the watermark");
    }
    println!("{cases} commands");
}

#[test]
fn a_batch_tells_no_secret_in_its_errors() {
    let store = Store::with("{}\n");
    let lines = [
        r#"{"op":"set","path":"token","value":"c4n4ry-1"}"#,
        r#"{"op":"increment","path":"token"}"#,
        r#"{"op":"set","path":"token.x","value":"c4n4ry-2"}"#,
        r#"{"op":"txn","if":[{"path":"token","value":"c4n4ry-3"}],"ops":[{"op":"set","path":"a","value":1}]}"#,
        r#"{"op":"txn","if":[{"path":"token","absent":true}],"ops":[{"op":"set","path":"a","value":1}]}"#,
        r#"{"op":"push","path":"token","value":"c4n4ry-4"}"#,
        r#"{"op":"frobnicate","path":"token","value":"c4n4ry-5"}"#,
        r#"{"op":"set","path":"token","value":"c4n4ry-6""#,
        r#"{"op":"set","password":"c4n4ry-7"}"#,
        r#"{"op":"move","from":"token","to":"token.inner"}"#,
    ];
    let mut command = store.command(&["batch", "-vvv"]);
    command.env("RUST_LOG", "trace");
    let ran = crate::support::feed(command, &(lines.join("\n") + "\n"));
    assert_eq!(ran.out.lines().count(), lines.len(), "{ran:?}");
    assert!(!ran.out.contains(CANARY) && !ran.err.contains(CANARY), "{ran:?}");
}

#[test]
fn debug_of_the_librarys_types_tells_no_secret() {
    use cfgwal::{Journal, Op, Transaction, View};
    let store = Store::with("{}\n");
    let journal = Journal::open(store.file()).unwrap();
    let transaction = Transaction::new().set("db.password", "c4n4ry").set("x.token", "c4n4ry");
    let shown = format!("{transaction:?} {:?}", Op::set("secret", "c4n4ry"));
    assert!(!shown.contains(CANARY), "{shown}");
    journal.append(transaction).unwrap();
    let refused = journal.append(Transaction::new().test("x.token", "c4n4ry-else").set("a", 1)).unwrap_err();
    let view = View::open(store.file()).unwrap();
    let shown = format!("{journal:?} {view:?} {refused} {refused:?} {:?}", view.history().unwrap());
    assert!(!shown.contains(CANARY), "{shown}");
}
