//! `cfgwal verify`

use cfgwal::Value;
use clap::Args;

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::progress::Progress;
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
    let Some(file) = context.find()? else {
        out.chat("no journal here, so nothing to verify")?;
        return Ok(Exit::Done);
    };
    let progress = Progress::start(out, format!("verifying {}", file.display()));
    let report = cfgwal::verify(&file)?;
    drop(progress);
    if out.json() {
        let finding = |finding: &cfgwal::Finding| -> Value {
            [
                ("file", Value::from(finding.file.to_string_lossy().as_ref())),
                ("offset", Value::from(finding.offset)),
                ("what", Value::from(finding.what.to_string())),
            ]
            .into_iter()
            .collect()
        };
        let fields = [
            ("clean", Value::from(report.is_clean())),
            ("revision", Value::from(report.revision)),
            ("records", Value::from(report.records)),
            ("segments", Value::from(report.segments)),
            ("snapshots", Value::from(report.snapshots)),
            ("findings", Value::from(report.findings.iter().map(finding).collect::<Vec<_>>())),
        ];
        out.value(&fields.into_iter().collect())?;
    } else {
        for finding in &report.findings {
            out.line(&format!("{}, byte {}: {}", finding.file.display(), finding.offset, finding.what))?;
        }
        out.chat(&format!(
            "{}: {} at revision {}; {} records in {} segments, {} snapshots",
            file.display(),
            if report.is_clean() { "all is well" } else { "not all is well" },
            report.revision,
            report.records,
            report.segments,
            report.snapshots,
        ))?;
    }
    Ok(if report.is_clean() { Exit::Done } else { Exit::Damaged })
}
