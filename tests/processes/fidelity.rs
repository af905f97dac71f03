//! An edit of one value changes the bytes of that value and no other; an edit of nothing changes nothing.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use rustix::fs::{XattrFlags, getxattr, setxattr};

use crate::support::sandbox::skipped;
use crate::support::{Store, ran};

/// A config that people edit: groups on one line, a blank line, odd spacing.
const PROXY: &str = r#"{
  "listen": ":8081",
  "debug_search":   false,
  "mcpServers": [
    {
      "name": "everything",
      "protocol": "stdio",
      "command": "npx",
      "args": [ "-y", "@example/server-everything" ],
      "oauth": null,
      "enabled": true,
      "created": "2025-01-01T00:00:00Z"
    },
    {
      "name": "launcher",
      "url": "http:\/\/127.0.0.1:39933\/mcp",
      "args": ["--port", "39933"],
      "enabled": false, "quarantined": true
    }
  ],

  "top_k": 10,
  "ratio": 1.0,
  "id": 9007199254740993,
  "environment": {"inherit": true, "allowed": ["PATH", "HOME"], "custom": {}}
}
"#;

/// A state that a program writes, and does not end with a newline.
const DASHBOARD: &str = r#"{
  "agents": {},
  "metrics_history": [],
  "stop_requests": {
    "stop-456": {
      "id": "stop-456",
      "reason": "task_complete \u2014 d\u00e9j\u00e0 vu",
      "created_at": "2025-12-22T21:41:20.4962466-06:00",
      "approved": true
    }
  },
  "thresholds": {
    "failed_tests_max": 5,
    "token_usage_max": 100000
  },
  "session_stats": { "total_estimated_cost": 1e-7, "completed_tasks": 2 },
  "captain_messages": null
}"#;

/// A cache: 351 KB on one line, with prices as a computer makes them.
fn providers() -> String {
    let model = |provider: usize, n: usize| {
        format!(
            "{{\"id\":\"p{provider}-model-{n}\",\"name\":\"Model {provider}.{n}\",\"cost_per_1m_in\":{}.{n},\"cost_per_1m_out\":{n}e-1,\
             \"cost_per_1m_out_cached\":0.{}9999999999999{n},\"context_window\":1000000,\"default_max_tokens\":64000,\"can_reason\":true,\
             \"reasoning_levels\":[\"low\",\"medium\",\"high\",\"max\"],\"supports_attachments\":{}}}",
            n % 7,
            n % 10,
            n.is_multiple_of(2)
        )
    };
    let provider = |provider: usize| {
        let models: Vec<String> = (0..50).map(|n| model(provider, n)).collect();
        format!(
            "{{\"name\":\"Provider {provider}\",\"id\":\"p{provider}\",\"api_key\":\"$P{provider}_KEY\",\"models\":[{}]}}",
            models.join(",")
        )
    };
    let providers: Vec<String> = (0..25).map(provider).collect();
    format!("[{}]", providers.join(","))
}

/// A text in which one literal stands once, and the text with another in its place.
fn replaced(text: &str, old: &str, new: &str) -> String {
    assert_eq!(text.matches(old).count(), 1, "{old} must stand once");
    text.replacen(old, new, 1)
}

/// Sets a value, and asserts what that does to the text.
fn changes(text: &str, path: &str, value: &str, old: &str, new: &str) {
    let store = Store::with(text);
    store.ok(&["set", path, value]);
    let (found, wanted) = (store.text(), replaced(text, old, new));
    let differs = found.bytes().zip(wanted.bytes()).position(|(found, wanted)| found != wanted);
    assert!(
        found == wanted,
        "{path}: differs from byte {differs:?} on, {} bytes instead of {}",
        found.len(),
        wanted.len()
    );
    assert_eq!(store.run(&["verify"]).code, 0);
}

#[test]
fn one_changed_value_changes_only_its_bytes_in_a_config_that_people_edit() {
    changes(PROXY, "listen", ":9090", "\":8081\"", "\":9090\"");
    changes(PROXY, "debug_search", "true", "  false,", "  true,");
    changes(PROXY, "mcpServers[0].enabled", "false", "\"enabled\": true,\n", "\"enabled\": false,\n");
    changes(PROXY, "mcpServers[1].quarantined", "false", "\"quarantined\": true", "\"quarantined\": false");
    changes(PROXY, "mcpServers[1].args[1]", "40000", "\"--port\", \"39933\"", "\"--port\", 40000");
    changes(PROXY, "top_k", "10.50", "10,", "10.50,");
    changes(PROXY, "id", "9007199254740995", "9007199254740993", "9007199254740995");
    changes(PROXY, "environment.allowed[0]", "LANG", "\"PATH\"", "\"LANG\"");
}

#[test]
fn one_changed_value_changes_only_its_bytes_in_a_state_that_a_program_writes() {
    changes(DASHBOARD, "thresholds.failed_tests_max", "6", "\"failed_tests_max\": 5", "\"failed_tests_max\": 6");
    changes(DASHBOARD, "session_stats.completed_tasks", "3", "\"completed_tasks\": 2", "\"completed_tasks\": 3");
    changes(DASHBOARD, "session_stats.total_estimated_cost", "2e-7", "1e-7", "2e-7");
    changes(DASHBOARD, "stop_requests.stop-456.approved", "false", "\"approved\": true", "\"approved\": false");
    changes(DASHBOARD, "captain_messages", "[]", "\"captain_messages\": null", "\"captain_messages\": []");
}

#[test]
fn one_changed_value_changes_only_its_bytes_in_351_kilobytes_on_one_line() {
    let text = providers();
    assert!((340_000..365_000).contains(&text.len()) && !text.contains('\n'), "{} bytes", text.len());
    let model = "\"id\":\"p11-model-3\",\"name\":\"Model 11.3\",\"cost_per_1m_in\":";
    changes(&text, "[11].models[3].cost_per_1m_in", "4.25", &format!("{model}3.3,"), &format!("{model}4.25,"));
    changes(&text, "[24].name", "The last", "\"Provider 24\"", "\"The last\"");
}

#[test]
fn spelling_line_ends_and_marks_of_a_file_stay() {
    let spellings = [
        PROXY.replace('\n', "\r\n"),
        format!("\u{feff}{PROXY}"),
        PROXY.trim_end().to_owned(),
        PROXY.replace("  ", "\t"),
        format!("\n\n{PROXY}\n\n  "),
    ];
    for text in spellings {
        changes(&text, "listen", ":9090", "\":8081\"", "\":9090\"");
    }
}

#[test]
fn an_edit_of_nothing_touches_neither_bytes_nor_time_nor_inode() {
    for text in [PROXY.to_owned(), DASHBOARD.to_owned(), providers()] {
        let store = Store::with(&text);
        store.ok(&["init", "settings.json"]);
        let identity = || {
            let meta = fs::metadata(store.file()).unwrap();
            (meta.ino(), meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec())
        };
        let (before, log) = (identity(), store.log());
        let edits: [&[&str]; 5] = match text.as_bytes()[0] {
            b'[' => [
                &["set", "[0].id", "p0"],
                &["set", "[0].models[0].cost_per_1m_out", "0e-1"],
                &["merge", "[0].models[0]", "{\"can_reason\":true}"],
                &["increment", "[0].models[0].context_window", "--by", "0"],
                &["push", "[0].models[0].reasoning_levels", "low", "--unique"],
            ],
            _ if text == PROXY => [
                &["set", "listen", ":8081"],
                &["set", "ratio", "1.0"],
                &["merge", "{\"top_k\":10,\"gone\":null,\"environment\":{\"custom\":{}}}"],
                &["increment", "id", "--by", "0"],
                &["push", "environment.allowed", "PATH", "--unique"],
            ],
            _ => [
                &["set", "agents", "{}"],
                &["set", "session_stats.total_estimated_cost", "1e-7"],
                &["merge", "{\"nothing\":null,\"agents\":{}}"],
                &["merge", "stop_requests", "{}"],
                &["set", "stop_requests.stop-456.reason", "task_complete — déjà vu"],
            ],
        };
        for edit in edits {
            let ran = store.run(edit);
            assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{edit:?}");
            assert_eq!(store.log(), log, "{edit:?} was logged");
        }
        for other in [&["compact"][..], &["recover"], &["verify"], &["status"]] {
            assert_eq!(store.run(other).code, 0, "{other:?}");
        }
        assert_eq!((identity(), store.text() == text), (before, true));
    }
}

#[test]
fn ten_toggles_of_one_switch_lead_back_to_the_same_bytes() {
    let long: Vec<String> = (0..45)
        .map(|n| format!("    {{\n      \"name\": \"server-{n}\",\n      \"url\": \"http://127.0.0.1:{}\",\n      \"args\": [\n        \"-y\", \"--quiet\"\n      ],\n      \"oauth\": null,\n      \"enabled\": true,\n      \"created\": \"2025-01-01T00:00:00Z\",\n      \"timeout\": 1.50\n    }}", 4000 + n))
        .collect();
    let text = format!("{{\n  \"listen\": \":8081\",\n\n  \"mcpServers\": [\n{}\n  ]\n}}\n", long.join(",\n"));
    assert!(text.lines().count() > 500);
    let store = Store::with(&text);
    for n in 1..=10 {
        store.ok(&["set", "mcpServers[20].enabled", if n % 2 == 1 { "false" } else { "true" }]);
        if n % 2 == 1 {
            let changed = store.text();
            let lines: Vec<_> = text.lines().zip(changed.lines()).filter(|(before, after)| before != after).collect();
            assert_eq!(lines, [("      \"enabled\": true,", "      \"enabled\": false,")]);
        } else {
            assert_eq!(store.text(), text);
        }
    }
}

#[test]
fn what_is_added_and_removed_again_leaves_the_bytes_that_were_there() {
    for text in [PROXY, DASHBOARD] {
        let store = Store::with(text);
        store.ok(&["set", "added", "{\"enabled\": true, \"list\": [1, 2]}"]);
        assert_ne!(store.text(), text);
        store.ok(&["unset", "added"]);
        assert_eq!(store.text(), text);
    }
}

#[test]
fn a_merge_is_deep_and_touches_only_what_it_names() {
    let store = Store::with(PROXY);
    store.ok(&["merge", "{\"environment\":{\"inherit\":false},\"mcpServers\":null}"]);
    let start = PROXY.find("  \"mcpServers\"").unwrap();
    let end = PROXY.find("  \"top_k\"").unwrap();
    let wanted = format!("{}\n{}", &PROXY[..start], &PROXY[end..]).replace("\"inherit\": true", "\"inherit\": false");
    let squeezed = |text: &str| text.lines().filter(|line| !line.trim().is_empty()).collect::<Vec<_>>().join("\n");
    assert_eq!(squeezed(&store.text()), squeezed(&wanted));
}

#[test]
fn mode_and_link_stay_as_they_are() {
    for mode in [0o600, 0o644, 0o640, 0o664] {
        let store = Store::with(PROXY);
        fs::set_permissions(store.file(), fs::Permissions::from_mode(mode)).unwrap();
        store.ok(&["set", "top_k", "11"]);
        assert_eq!(fs::metadata(store.file()).unwrap().permissions().mode() & 0o7777, mode);
    }
    let store = Store::empty();
    fs::create_dir(store.dir().join("dotfiles")).unwrap();
    fs::write(store.dir().join("dotfiles/real.json"), PROXY).unwrap();
    std::os::unix::fs::symlink("dotfiles/real.json", store.file()).unwrap();
    store.ok(&["set", "top_k", "11"]);
    assert_eq!(fs::read_link(store.file()).unwrap().to_str(), Some("dotfiles/real.json"), "the link is still a link");
    assert_eq!(store.text(), PROXY.replace("\"top_k\": 10", "\"top_k\": 11"));
    assert!(store.dir().join("dotfiles/real.json.cfgwal").is_dir(), "the journal lies beside the real file");
}

#[test]
fn a_link_that_leads_nowhere_yet_gets_its_file_where_it_leads() {
    for link in ["dotfiles/real.json", "absolute"] {
        let store = Store::empty();
        fs::create_dir(store.dir().join("dotfiles")).unwrap();
        let real = store.dir().join("dotfiles/real.json");
        let link = if link == "absolute" { real.clone() } else { link.into() };
        std::os::unix::fs::symlink(&link, store.file()).unwrap();
        store.ok(&["set", "top_k", "11"]);
        store.ok(&["set", "top_k", "12"]);
        assert_eq!(fs::read_link(store.file()).unwrap(), link, "the link is still a link");
        assert_eq!(fs::read_to_string(real).unwrap(), "{\n  \"top_k\": 12\n}\n");
        assert!(store.dir().join("dotfiles/real.json.cfgwal").is_dir(), "the journal lies beside the real file");
    }
    let store = Store::empty();
    std::os::unix::fs::symlink("nowhere/real.json", store.file()).unwrap();
    let ran = store.run(&["set", "top_k", "11"]);
    assert!(ran.code == 7 && ran.err.contains("nowhere"), "{ran:?}");
}

#[test]
fn a_file_in_a_directory_that_is_a_link_is_like_any_other() {
    for (links, file) in [
        (&[("dotfiles", "config")][..], "config/real.json"),
        (&[("dotfiles/", "config")], "config/./real.json"),
        (&[("other", "config"), ("dotfiles", "other")], "config/real.json"),
        (&[("dotfiles", "config"), ("config/real.json", "settings.json")], "settings.json"),
    ] {
        let store = Store::empty();
        let real = store.dir().join("dotfiles/real.json");
        fs::create_dir(store.dir().join("dotfiles")).unwrap();
        for (target, link) in links {
            std::os::unix::fs::symlink(target, store.dir().join(link)).unwrap();
        }
        for command in [&["set", "top_k", "11"][..], &["set", "top_k", "12"], &["compact"], &["verify"]] {
            let ran = ran(store.bare(&[&["-f", file], command].concat()).output());
            assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{file}: {command:?}: {ran:?}");
        }
        assert_eq!(fs::read_to_string(&real).unwrap(), "{\n  \"top_k\": 12\n}\n", "{file}");
        assert!(links.iter().all(|(_, link)| store.dir().join(link).is_symlink()), "{file}: a link is still a link");
        assert!(store.dir().join("dotfiles/real.json.cfgwal").is_dir(), "the journal lies beside the real file");
    }
}

/// acl(5), as the kernel keeps it: version 2; then for the owner, a user, the group, the mask and others what each may.
fn access_list(entries: &[(u16, u16, u32)]) -> Vec<u8> {
    let mut list = vec![2, 0, 0, 0];
    for (tag, may, id) in entries {
        list.extend(tag.to_le_bytes().into_iter().chain(may.to_le_bytes()).chain(id.to_le_bytes()));
    }
    list
}

#[test]
fn access_lists_and_attributes_stay_as_they_are() {
    let list = access_list(&[(1, 6, u32::MAX), (2, 4, 1234), (4, 0, u32::MAX), (16, 4, u32::MAX), (32, 0, u32::MAX)]);
    let kept = [("user.origin", b"by hand".to_vec()), ("system.posix_acl_access", list)];
    let store = Store::with(PROXY);
    fs::set_permissions(store.file(), fs::Permissions::from_mode(0o640)).unwrap();
    for (name, value) in &kept {
        if let Err(error) = setxattr(store.file(), *name, value, XattrFlags::empty()) {
            return skipped("access_lists_and_attributes_stay_as_they_are", &format!("{name}: {error}"));
        }
    }
    store.ok(&["set", "top_k", "11"]);
    store.ok(&["compact"]);
    store.ok(&["set", "top_k", "12"]);
    assert_eq!(store.text(), PROXY.replace("\"top_k\": 10", "\"top_k\": 12"));
    for (name, value) in &kept {
        let mut found = vec![0; 256];
        let len = getxattr(store.file(), *name, &mut found).unwrap();
        assert_eq!(found[..len], value[..], "{name}");
    }
}

#[test]
fn a_list_that_a_directory_gives_to_new_files_opens_the_config_to_nobody() {
    const TEST: &str = "a_list_that_a_directory_gives_to_new_files_opens_the_config_to_nobody";
    let store = Store::with(PROXY);
    fs::set_permissions(store.file(), fs::Permissions::from_mode(0o640)).unwrap();
    let list = access_list(&[(1, 7, u32::MAX), (2, 4, 1234), (4, 5, u32::MAX), (16, 5, u32::MAX), (32, 0, u32::MAX)]);
    if let Err(error) = setxattr(store.dir(), "system.posix_acl_default", &list, XattrFlags::empty()) {
        return skipped(TEST, &format!("the directory takes no list: {error}"));
    }
    store.ok(&["set", "top_k", "11"]);
    let mut found = vec![0; 256];
    let list = getxattr(store.file(), "system.posix_acl_access", &mut found);
    assert_eq!(list.err(), Some(rustix::io::Errno::NODATA), "user 1234 may read it now: {found:?}");
    assert_eq!(fs::metadata(store.file()).unwrap().permissions().mode() & 0o7777, 0o640);
}

#[test]
fn in_a_directory_that_gives_its_group_to_new_files_the_config_keeps_its_own() {
    const TEST: &str = "in_a_directory_that_gives_its_group_to_new_files_the_config_keeps_its_own";
    let store = Store::with(PROXY);
    let (own, given) = (fs::metadata(store.file()).unwrap().gid(), Some(1234));
    if std::os::unix::fs::chown(store.dir(), None, given).is_err() {
        return skipped(TEST, "the directory cannot be given to another group");
    }
    fs::set_permissions(store.dir(), fs::Permissions::from_mode(0o2775)).unwrap();
    store.ok(&["set", "top_k", "11"]);
    let meta = fs::metadata(store.file()).unwrap();
    assert_eq!((meta.gid(), meta.permissions().mode() & 0o7777), (own, 0o644));
    assert_eq!(fs::metadata(store.dir()).unwrap().permissions().mode() & 0o7777, 0o2775);
    // A config that is made here belongs to whom anything made here would belong.
    let made = Store::at(store.dir().join("made"));
    fs::create_dir(made.dir()).unwrap();
    made.ok(&["set", "a", "1"]);
    made.ok(&["set", "a", "2"]);
    assert_eq!(fs::metadata(made.file()).unwrap().gid(), 1234);
}
