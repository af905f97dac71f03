//! [`Terminal`]: everything that the command prints goes through here, and is made safe and coloured here.
//!
//! Data goes to stdout, talk to stderr. Data that no terminal is going to show is exact to the byte; all
//! that a terminal shows, and all talk, is escaped.

use std::io::{self, BufWriter, IsTerminal, Stderr, Stdout, Write};

use anstream::{AutoStream, ColorChoice};
use cfgwal::Value;
use clap::builder::styling::{AnsiColor, Style};
use tracing_subscriber::EnvFilter;

use crate::arguments::{Colour, Global};
use crate::escape::{Spelling, escape};
use crate::failure::Failure;

/// The two streams of the command and how they are written to.
pub struct Terminal {
    out: BufWriter<Stdout>,
    out_is_terminal: bool,
    out_coloured: bool,
    json: bool,
    quiet: bool,
    show_secrets: bool,
}

impl Terminal {
    /// As the options say. Tracing goes to stderr from here on.
    pub fn new(global: &Global) -> Terminal {
        match global.color {
            Colour::Auto => ColorChoice::Auto,
            Colour::Always => ColorChoice::Always,
            Colour::Never => ColorChoice::Never,
        }
        .write_global();
        trace(global.verbose);
        let out = io::stdout();
        Terminal {
            out_is_terminal: out.is_terminal(),
            out_coloured: AutoStream::choice(&out) != ColorChoice::Never,
            out: BufWriter::new(out),
            json: global.json,
            quiet: global.quiet,
            show_secrets: global.show_secrets,
        }
    }

    /// Whether output is for programs.
    pub fn json(&self) -> bool {
        self.json
    }

    /// Whether values under keys that look secret are shown where nobody asked for just them.
    pub fn show_secrets(&self) -> bool {
        self.show_secrets
    }

    /// Whether a person is going to read stdout on a screen.
    pub fn is_watched(&self) -> bool {
        self.out_is_terminal
    }

    /// Whether to show that something is going on.
    pub fn shows_progress(&self) -> bool {
        !self.json && !self.quiet && io::stderr().is_terminal()
    }

    /// Print what was asked for, byte for byte unless a terminal shows it.
    pub fn data(&mut self, text: &str) -> Result<(), Failure> {
        let text = if self.out_is_terminal { escape(text, Spelling::Text) } else { text.into() };
        self.out.write_all(text.as_bytes()).map_err(Failure::Output)
    }

    /// Print exactly these bytes, whatever is going to show them.
    pub fn raw(&mut self, text: &str) -> Result<(), Failure> {
        self.out.write_all(text.as_bytes()).map_err(Failure::Output)
    }

    /// Print a value as JSON on a line of its own.
    pub fn value(&mut self, value: &Value) -> Result<(), Failure> {
        self.json_text(&value.to_string())
    }

    /// Print a value as indented JSON.
    pub fn pretty(&mut self, value: &Value) -> Result<(), Failure> {
        self.json_text(&format!("{value:#}"))
    }

    fn json_text(&mut self, json: &str) -> Result<(), Failure> {
        let json = if self.out_is_terminal { escape(json, Spelling::Json) } else { json.into() };
        writeln!(self.out, "{json}").map_err(Failure::Output)
    }

    /// Print a line about what was done or found. What it quotes cannot leave the line.
    pub fn line(&mut self, line: &str) -> Result<(), Failure> {
        writeln!(self.out, "{}", escape(line, Spelling::Line)).map_err(Failure::Output)
    }

    /// As [`line`](Terminal::line), in colour where there is colour; exact where no terminal shows it.
    pub fn coloured(&mut self, colour: AnsiColor, line: &str) -> Result<(), Failure> {
        let line = if self.out_is_terminal { escape(line, Spelling::Line) } else { line.into() };
        let style = style(self.out_coloured, colour);
        writeln!(self.out, "{style}{line}{style:#}").map_err(Failure::Output)
    }

    /// Print a line that nobody needs who knows what they are doing.
    pub fn chat(&mut self, line: &str) -> Result<(), Failure> {
        if self.quiet { Ok(()) } else { self.line(line) }
    }

    /// Say on stderr that something is not as it should be, though the command goes on.
    pub fn warn(&self, message: &str) {
        if self.json {
            let inner: Value = [("message", Value::from(message))].into_iter().collect();
            complain_json("warning", inner);
        } else if !self.quiet {
            complain("warning:", AnsiColor::Yellow, message);
        }
    }

    /// Say on stderr why the command ends.
    pub fn fail(&self, failure: &Failure) {
        fail(self.json, failure);
    }

    /// Write out what was printed so far.
    pub fn flush(&mut self) -> Result<(), Failure> {
        self.out.flush().map_err(Failure::Output)
    }
}

/// Say on stderr why the command ends, to a program or to a person.
pub fn fail(json: bool, failure: &Failure) {
    if json {
        complain_json("error", failure.to_value());
    } else {
        complain("cfgwal:", AnsiColor::Red, &failure.to_string());
    }
}

fn style(coloured: bool, colour: AnsiColor) -> Style {
    if coloured { colour.on_default() } else { Style::new() }
}

/// A message of one or more lines. No line of it can be taken for the beginning of another message.
fn complain(tag: &str, colour: AnsiColor, message: &str) {
    let stderr = io::stderr();
    let style = style(AutoStream::choice(&stderr) != ColorChoice::Never, colour);
    let message = escape(message, Spelling::Text).replace('\n', "\n  ");
    // Who closed stderr does not want to know.
    let _ = writeln!(stderr.lock(), "{style}{tag}{style:#} {message}");
}

/// `{"error":{...}}`, for programs.
fn complain_json(kind: &'static str, inner: Value) {
    let outer: Value = [(kind, inner)].into_iter().collect();
    let json = outer.to_string();
    let _ = writeln!(io::stderr().lock(), "{}", escape(&json, Spelling::Json));
}

fn trace(verbosity: u8) {
    let level = match verbosity {
        0 => return,
        1 => "cfgwal=info",
        2 => "cfgwal=debug",
        _ => "cfgwal=trace",
    };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(level))
        .with_ansi(false)
        .with_writer(|| Safe(io::stderr()));
    // Fails only where one is set already, and nobody else sets one.
    let _ = subscriber.try_init();
}

/// Stderr with what tracing writes made safe: fields quote paths and keys.
struct Safe(Stderr);

impl Write for Safe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        self.0.write_all(escape(&text, Spelling::Text).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
