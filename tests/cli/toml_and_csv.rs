//! The verbs on files that are not JSON: what people wrote in them stays, and what they cannot hold is refused.

use std::fs;

use crate::support::{Ran, Store, ran};

/// A config file in a format that its name tells.
pub(crate) struct File {
    pub(crate) store: Store,
    pub(crate) name: &'static str,
}

impl File {
    pub(crate) fn with(name: &'static str, text: &str) -> File {
        let file = File { store: Store::empty(), name };
        file.write(text);
        file
    }

    pub(crate) fn write(&self, text: &str) {
        fs::write(self.store.dir().join(self.name), text).expect("the config file");
    }

    pub(crate) fn text(&self) -> String {
        fs::read_to_string(self.store.dir().join(self.name)).expect("the config file")
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        ran(self.store.bare(&[&["-f", self.name], args].concat()).output())
    }

    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let ran = self.run(args);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{args:?}: {ran:?}");
        ran.out
    }

    /// Emptied, the file stays so until somebody says that it is meant, and then shows what was set meanwhile.
    #[track_caller]
    pub(crate) fn is_held_back_once_emptied(&self, shows: &str) {
        self.ok(&["set", "a", "2"]);
        self.write("");
        let ran = self.run(&["set", "b", "1"]);
        assert_eq!(ran.code, 9, "{ran:?}");
        assert_eq!(self.text(), "");
        let read = self.run(&["get", "a"]);
        assert_eq!((read.code, read.out.trim_matches(['\'', '"', '\n'])), (0, "2"), "as the edit saw it: {read:?}");
        assert!(read.err.contains("--accept-file"), "{read:?}");
        self.ok(&["recover", "--accept-file"]);
        assert_eq!(self.text(), shows);
    }

    /// Refused with this code and these words, and nothing has changed.
    #[track_caller]
    pub(crate) fn refuses(&self, args: &[&str], code: i32, why: &str) {
        let before = self.trace();
        let ran = self.run(args);
        assert_eq!((ran.code, ran.out.as_str()), (code, ""), "{args:?}: {ran:?}");
        assert!(ran.err.contains(why), "{args:?}: {ran:?}");
        assert_eq!(self.trace(), before, "{args:?} left a trace");
    }

    /// The file, and what the log says of it.
    fn trace(&self) -> (String, Option<String>) {
        let has_journal = self.store.dir().join(format!("{}.cfgwal", self.name)).is_dir();
        (self.text(), has_journal.then(|| self.ok(&["status", "--json"])))
    }
}

const APP: &str = "# Settings of the app\r\n# (c) its author\r\n\r\ntitle = 'App' # shown\r\nsince = 1979-05-27\r\n\r\n\
    # where it listens\r\n[server]\r\nport = 8_080   # not 80\r\ntags = [\r\n  \"a\", # first\r\n]\r\n\r\n[[user]]\r\nname = \"x\"\r\n";

#[test]
fn a_toml_file_keeps_all_that_was_not_edited() {
    let file = File::with("app.toml", APP);
    assert_eq!(file.ok(&["get", "server.port"]), "8080\n");
    assert_eq!(file.ok(&["get", "since"]), "1979-05-27\n");
    file.ok(&["set", "server.port", "9090"]);
    file.ok(&["set", "server.rate", "2.50"]);
    file.ok(&["push", "server.tags", "b"]);
    file.ok(&["push", "user", "{\"name\": \"y\"}"]);
    file.ok(&["unset", "title"]);
    file.ok(&["set", "debug", "true"]);
    file.ok(&["move", "server", "listen"]);
    let expected = APP
        .replace("title = 'App' # shown\r\n", "")
        .replace("1979-05-27\r\n", "1979-05-27\r\ndebug = true\r\n")
        .replace("[server]", "[listen]")
        .replace("8_080", "9090")
        .replace("# first\r\n]\r\n", "# first\r\n  \"b\",\r\n]\r\nrate = 2.50\r\n");
    assert_eq!(file.text(), expected + "\r\n[[user]]\r\nname = \"y\"\r\n");
    file.ok(&["verify"]);
}

#[test]
fn a_hand_edit_of_a_toml_file_is_taken_over_and_says_what_changed() {
    let file = File::with("app.toml", APP);
    // In the state this key is the last, in the file it stands before the tables.
    file.ok(&["set", "debug", "true"]);
    let ours = file.text();
    file.write(&ours.replace("# not 80", "# not 81"));
    file.ok(&["set", "debug", "false"]);
    assert_eq!(file.ok(&["status", "--json"]).matches("\"revision\":2").count(), 1, "a comment is no revision");
    file.write(&file.text().replace("8_080", "8_081"));
    file.ok(&["set", "debug", "true"]);
    let expected = ours.replace("# not 80", "# not 81").replace("8_080", "8_081");
    assert_eq!(file.text(), expected);
    assert_eq!(file.ok(&["get", "server.port"]), "8081\n");
}

#[test]
fn what_toml_cannot_hold_is_refused_before_it_is_logged() {
    for journal in [false, true] {
        let file = File::with("app.toml", APP);
        if journal {
            file.ok(&["init"]);
        }
        file.refuses(
            &["set", "server.port", "null"],
            8,
            "server.port cannot be written: TOML has no null; remove the key",
        );
        file.refuses(&["set", "a", "[1, {\"b\": null}]"], 8, "TOML has no null");
        file.refuses(&["merge", "{\"a\": [null]}"], 8, "TOML has no null");
        file.refuses(
            &["set", "a", "123456789012345678901234567890"],
            8,
            "does not fit TOML's 64 bits; write a string or a float",
        );
        file.refuses(&["set", "server", "1"], 8, "server has comments inside, which would be lost");
        file.ok(&["merge", "{\"title\": null}"]);
        assert!(!file.text().contains("title"));
    }
}

#[test]
fn what_is_no_toml_is_refused_with_its_place() {
    for (text, why) in [
        ("a = 1\nb = [\n", "app.toml, line "),
        ("a = 1\na = 2\n", "app.toml, line 2, column 1: duplicate key"),
        ("a = 1\r\nb = 2\n", "app.toml, line 2, column 6: this line ends in LF"),
    ] {
        let file = File::with("app.toml", text);
        file.refuses(&["set", "c", "1"], 3, why);
        file.refuses(&["get", "a"], 3, why);
    }
    let file = File::with("app.toml", &format!("a = {}", "[".repeat(100_000)));
    file.refuses(&["get", "a"], 3, "app.toml, line 1");
}

#[test]
fn an_emptied_toml_file_is_held_back() {
    File::with("app.toml", "a = 1\n").is_held_back_once_emptied("b = 1\n");
}

#[test]
fn new_files_are_written_in_their_format() {
    let file = File { store: Store::empty(), name: "new.toml" };
    file.ok(&["set", "server.port", "1"]);
    assert_eq!(file.text(), "[server]\nport = 1\n");
    file.ok(&["unset", "server"]);
    assert_eq!(file.text(), "");
    file.ok(&["set", "a", "1"]);
    assert_eq!(file.text(), "a = 1\n");
    let file = File { store: Store::empty(), name: "new.csv" };
    file.ok(&["set", "a", "{\"x\": 1, \"y\": \"b,c\"}"]);
    assert_eq!(file.text(), "id,x,y\na,1,\"b,c\"\n");
}

const ORDERS: &str = "# orders\r\nid,pair,limit,enabled\r\n\r\n# big ones,,,\r\n\
    btc_1,XXBTZUSD,107886.30,true\r\n\"# a \"\"comment\"\", by a spreadsheet\",,,\r\neth_1,XETHZUSD,\"3,500.00\",true\r\n# end\r\n";

#[test]
fn a_csv_file_keeps_all_that_was_not_edited() {
    let file = File::with("orders.csv", ORDERS);
    assert_eq!(file.ok(&["get", "btc_1.limit"]), "107886.30\n");
    file.ok(&["set", "eth_1.limit", "3600.50"]);
    file.ok(&["set", "btc_1.enabled", "false"]);
    file.ok(&["set", "sol_1", "{\"pair\": \"SOLUSD\", \"limit\": 1.00}"]);
    file.ok(&["move", "btc_1", "btc_2"]);
    let expected = ORDERS
        .replace("\"3,500.00\"", "\"3600.50\"")
        .replace("107886.30,true", "107886.30,false")
        .replace("btc_1", "btc_2")
        .replace("# end", "sol_1,SOLUSD,\"1.00\",\r\n# end");
    assert_eq!(file.text(), expected);
    assert_eq!(file.ok(&["get", "sol_1.limit", "--json"]), "\"1.00\"\n");
    file.ok(&["unset", "sol_1"]);
    assert_eq!(file.text(), expected.replace("sol_1,SOLUSD,\"1.00\",\r\n", ""));
}

#[test]
fn a_hand_edit_of_a_csv_file_is_no_edit_of_the_cells_it_left() {
    let file = File::with("orders.csv", ORDERS);
    file.ok(&["set", "sol_1", "{\"limit\": 5, \"pair\": \"SOLUSD\"}"]);
    file.write(&file.text().replace("# orders", "# all orders"));
    file.ok(&["set", "btc_1.limit", "1"]);
    assert_eq!(file.ok(&["status", "--json"]).matches("\"revision\":2").count(), 1, "a comment is no revision");
    file.write(&file.text().replace("SOLUSD,5", "SOLUSD,6"));
    file.ok(&["set", "eth_1.enabled", "false"]);
    assert_eq!(file.ok(&["get", "sol_1.limit"]), "6\n");
    assert!(file.ok(&["log"]).contains("sol_1.limit"));
}

#[test]
fn what_csv_cannot_hold_is_refused_before_it_is_logged() {
    for journal in [false, true] {
        let file = File::with("orders.csv", ORDERS);
        if journal {
            file.ok(&["init"]);
        }
        file.refuses(&["set", "btc_1.limit", "null"], 8, "CSV has no null; set an empty string");
        file.refuses(&["set", "btc_1.limit", "[1]"], 8, "a cell of CSV holds one text");
        file.refuses(&["set", "btc_1.limit.deep", "1"], 8, "a cell of CSV has nothing inside");
        file.refuses(&["set", "btc_1", "1"], 8, "must be an object of cells by column");
        file.refuses(&["increment", "btc_1.limit"], 8, "a cell of CSV is text");
        file.refuses(&["push", "btc_1.limit", "1"], 8, "a cell of CSV is text");
        file.refuses(&["set", "btc_1.volume", "1"], 8, "there is no column \"volume\"");
        file.refuses(&["set", "btc_1.id", "x"], 8, "to rename the row, move it");
    }
}

#[test]
fn what_is_no_table_is_refused_with_its_place() {
    for (text, why) in [
        ("id,v\na,1\nb\n", "line 3, column 1: this row has 1 cells"),
        ("id,v\na,\"1\nb,2\n", "line 2, column 3: this quote is never closed"),
        ("id;v\na;1\n", "choose it as the delimiter"),
        ("id,v\na,1\na,2\n", "line 3, column 1: two rows have the key \"a\""),
        ("id,v,v\n", "the column \"v\" is there twice"),
        ("id,v\na,\0x\n", "a NUL byte"),
    ] {
        let file = File::with("orders.csv", text);
        file.refuses(&["set", "a.v", "1"], 3, why);
        file.refuses(&["get", "a.v"], 3, why);
    }
}
