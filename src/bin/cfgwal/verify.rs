//! `cfgwal verify`

use cfgwal::{Behind, FileStatus, Report, Value};
use clap::Args;

use crate::compact::count;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::{self, Failure};
use crate::progress::Progress;
use crate::status::{file_fields, file_line};
use crate::terminal::Terminal;

/// Check every checksum, every chain and the file against the journal; change nothing
///
/// Exit 0 if all is well or there is no journal, 5 if not.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cfgwal verify
  cfgwal verify --json | jq .findings")]
pub struct Verify {}

pub fn run(context: &Context, out: &mut Terminal) -> Result<Exit, Failure> {
    let report = match context.find()? {
        None => None,
        Some(file) => {
            let _progress = Progress::start(out, format!("verifying {}", file.display()));
            cfgwal::verify(&file)?
        }
    };
    let Some(report) = report else {
        no_journal("verify", out)?;
        return Ok(Exit::Done);
    };
    if out.json() {
        out.value(&to_value(&report))?;
    } else {
        print(&report, out)?;
    }
    Ok(if report.is_clean() { Exit::Done } else { Exit::Damaged })
}

/// Where there is no journal, nothing can be wrong with it.
pub fn no_journal(verb: &str, out: &mut Terminal) -> Result<(), Failure> {
    if out.json() {
        out.value(&[("clean", true), ("journal", false)].into_iter().collect())
    } else {
        out.chat(&format!("no journal here, so nothing to {verb}"))
    }
}

fn print(report: &Report, out: &mut Terminal) -> Result<(), Failure> {
    if let Some(damage) = &report.damage {
        out.line(&format!("damaged   {damage}"))?;
    }
    for finding in &report.findings {
        out.line(&format!("note      {finding}"))?;
    }
    let (records, segments) = (count(report.records, "record"), count(report.segments, "segment"));
    out.chat(&format!("log       {records} in {segments}, {}", count(report.snapshots, "snapshot")))?;
    out.chat(&format!("state     revision {}", report.revision))?;
    for (line, tag) in file_line(&report.file).lines().zip(["file"].into_iter().chain(std::iter::repeat(""))) {
        out.chat(&format!("{tag:8}  {line}"))?;
    }
    out.chat(match &report.file {
        _ if !report.is_clean() => "not all is well; `cfgwal recover --dry-run` says what to do",
        FileStatus::Current { .. } | FileStatus::Behind { why: Behind::Pending | Behind::EditedByHand, .. } => {
            "all is well"
        }
        FileStatus::Behind { .. } => "the journal is well; the file waits for you",
    })
}

fn to_value(report: &Report) -> Value {
    let file: Value = file_fields(&report.file).into_iter().collect();
    [
        ("clean", Value::from(report.is_clean())),
        ("revision", Value::from(report.revision)),
        ("records", Value::from(report.records)),
        ("segments", Value::from(report.segments)),
        ("snapshots", Value::from(report.snapshots)),
        ("file", file),
        ("damage", Value::from(report.damage.as_ref().map(failure::damage))),
        ("findings", findings(&report.findings)),
    ]
    .into_iter()
    .collect()
}

/// What is not as it should be, for programs.
pub fn findings(findings: &[cfgwal::Finding]) -> Value {
    let finding = |finding: &cfgwal::Finding| -> Value {
        [
            ("file", failure::text(&finding.file)),
            ("offset", Value::from(finding.offset)),
            ("what", Value::from(finding.what.as_str())),
        ]
        .into_iter()
        .collect()
    };
    findings.iter().map(finding).collect()
}
