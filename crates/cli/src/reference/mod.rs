//! `tidings generate-docs`: the pages under `docs/reference`, written from the code's own tables.
//!
//! `cargo xtask generate` calls it, and the tests fail when the pages that are checked in differ.

use std::{fs, path::PathBuf};

use clap::Args;

use crate::exit::{Exit, Failure};

mod cli;
mod configuration;
mod resources;
mod triggers;

/// Where the pages go.
#[derive(Args, Clone, Debug)]
pub struct GenerateDocs {
    /// The folder
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
}

impl GenerateDocs {
    /// Writes every page.
    pub fn run(&self) -> Result<(), Failure> {
        for (name, text) in pages() {
            let path = self.folder.join(name);
            fs::write(&path, text).map_err(|error| {
                Failure::new(
                    Exit::Failed,
                    format!("cannot write {}: {error}", path.display()),
                )
            })?;
        }
        Ok(())
    }
}

/// Every page: its file name and its text.
pub fn pages() -> Vec<(&'static str, String)> {
    vec![
        ("cli.md", cli::page(crate::command())),
        ("configuration.md", configuration::page()),
        ("resources.md", resources::page()),
        ("triggers.md", triggers::page()),
    ]
}

/// A page in Markdown, as it grows.
#[derive(Debug)]
struct Page {
    text: String,
}

impl Page {
    /// A page that says where it comes from, so that nobody edits it by hand.
    fn new(title: &str, source: &str) -> Self {
        let mut page = Self {
            text: String::new(),
        };
        page.heading(1, title);
        page.paragraph(&format!(
            "<!-- Written by `cargo xtask generate` from {source}. -->"
        ));
        page
    }

    fn heading(&mut self, level: usize, text: &str) {
        self.paragraph(&format!("{} {text}", "#".repeat(level)));
    }

    fn paragraph(&mut self, text: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(text);
        self.text.push('\n');
    }

    fn table(&mut self, titles: &[&str], rows: &[Vec<String>]) {
        let line = |cells: &mut dyn Iterator<Item = String>| {
            format!("| {} |", cells.collect::<Vec<_>>().join(" | "))
        };
        let mut lines = vec![
            line(&mut titles.iter().map(|title| cell(title))),
            line(&mut titles.iter().map(|_| "---".to_owned())),
        ];
        lines.extend(
            rows.iter()
                .map(|row| line(&mut row.iter().map(|text| cell(text)))),
        );
        self.paragraph(&lines.join("\n"));
    }
}

/// `text` in a cell of a table.
fn cell(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_has_a_title_and_ends_with_one_line_break() {
        for (name, text) in pages() {
            assert!(text.starts_with("# "), "{name}");
            assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{name}");
        }
    }

    #[test]
    fn bars_do_not_break_tables() {
        assert_eq!(cell("a|b\nc"), "a\\|b c");
    }
}
