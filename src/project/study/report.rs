//! What a study found: tables and plots, written as text, CSV and SVG.
//!
//! Constraint: each file is replaced atomically; the same findings give the same bytes.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::{Plot, Spread};
use crate::project::{ProjectError, atomic};

/// One field of a table.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(untagged)]
pub enum Cell {
    Text(String),
    Count(u64),
    Number(f64),
    /// Three columns in CSV: value, low, high.
    Spread(Spread),
    Nothing,
}

impl From<Option<Spread>> for Cell {
    fn from(spread: Option<Spread>) -> Self {
        spread.map_or(Self::Nothing, Self::Spread)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<usize> for Cell {
    fn from(count: usize) -> Self {
        Self::Count(count as u64)
    }
}

/// One table; every row has as many cells as there are columns.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Table {
    /// The file's name without ending.
    pub name: String,
    pub title: String,
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Cell>>,
}

impl Table {
    pub fn new(name: &str, title: &str, columns: &[&str]) -> Self {
        let columns = columns.iter().map(|column| (*column).to_owned()).collect();
        Self { name: name.to_owned(), title: title.to_owned(), columns, rows: Vec::new() }
    }

    /// A column with an interval anywhere has three columns: its name, `_low` and `_high`.
    pub fn csv(&self) -> String {
        let is_spread = |at: usize| self.rows.iter().any(|row| matches!(row.get(at), Some(Cell::Spread(_))));
        let spreads: Vec<bool> = (0..self.columns.len()).map(is_spread).collect();
        let header: Vec<String> = self
            .columns
            .iter()
            .zip(&spreads)
            .flat_map(|(name, spread)| {
                let names = [quoted(name), quoted(&format!("{name}_low")), quoted(&format!("{name}_high"))];
                names.into_iter().take(if *spread { 3 } else { 1 })
            })
            .collect();
        let mut out = header.join(",") + "\n";
        for row in &self.rows {
            let fields: Vec<String> = row
                .iter()
                .zip(&spreads)
                .flat_map(|(cell, spread)| {
                    let fields = match cell {
                        Cell::Text(text) => [quoted(text), String::new(), String::new()],
                        Cell::Count(count) => [count.to_string(), String::new(), String::new()],
                        Cell::Number(value) => [format!("{value:.6}"), String::new(), String::new()],
                        Cell::Spread(found) => [found.value, found.low, found.high].map(|value| format!("{value:.6}")),
                        Cell::Nothing => [String::new(), String::new(), String::new()],
                    };
                    fields.into_iter().take(if *spread { 3 } else { 1 })
                })
                .collect();
            out.push_str(&fields.join(","));
            out.push('\n');
        }
        out
    }

    fn text(&self, out: &mut String) -> std::fmt::Result {
        let shown = |cell: &Cell| match cell {
            Cell::Text(text) => text.replace('|', "/"),
            Cell::Count(count) => count.to_string(),
            Cell::Number(value) => format!("{value:.4}"),
            Cell::Spread(found) if found.low == found.high => format!("{:.4}", found.value),
            Cell::Spread(found) => format!("{:.4} ({:.4} to {:.4})", found.value, found.low, found.high),
            Cell::Nothing => "-".to_owned(),
        };
        writeln!(out, "## {}\n", self.title)?;
        let rows: Vec<Vec<String>> = self.rows.iter().map(|row| row.iter().map(shown).collect()).collect();
        let widths: Vec<usize> = self
            .columns
            .iter()
            .enumerate()
            .map(|(at, name)| {
                let cells = rows.iter().filter_map(|row| row.get(at));
                cells.map(|cell| cell.chars().count()).fold(name.chars().count(), usize::max)
            })
            .collect();
        let mut line = |cells: &[String]| -> std::fmt::Result {
            for (cell, width) in cells.iter().zip(&widths) {
                write!(out, "| {cell}{} ", " ".repeat(width - cell.chars().count().min(*width)))?;
            }
            writeln!(out, "|")
        };
        line(&self.columns)?;
        line(&widths.iter().map(|width| "-".repeat(*width)).collect::<Vec<_>>())?;
        rows.iter().try_for_each(|row| line(row))?;
        writeln!(out)
    }
}

/// A text as a field of CSV.
pub(super) fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

/// What a study found.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// `ablation` and so on; the text is NAME.md.
    pub name: String,
    /// What was measured how, one sentence a line.
    pub about: Vec<String>,
    pub tables: Vec<Table>,
    pub plots: Vec<Plot>,
}

impl Report {
    /// The tables as one Markdown page that is readable as it is.
    pub fn text(&self) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = writeln!(out, "# Study: {}\n", self.name);
        for line in &self.about {
            let _ = writeln!(out, "{line}");
        }
        let _ = writeln!(out);
        for table in &self.tables {
            let _ = table.text(&mut out);
        }
        for plot in &self.plots {
            let _ = writeln!(out, "![{}]({}.svg)\n", plot.title, plot.name);
        }
        out
    }

    /// Writes `NAME.md`, every table as CSV, and every plot as SVG with its data as CSV; the paths in that order.
    ///
    /// # Errors
    /// The folder or a file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<Vec<PathBuf>, ProjectError> {
        std::fs::create_dir_all(folder).map_err(ProjectError::io(folder))?;
        let mut files = vec![(format!("{}.md", self.name), self.text())];
        files.extend(self.tables.iter().map(|table| (format!("{}.csv", table.name), table.csv())));
        for plot in &self.plots {
            files.push((format!("{}.svg", plot.name), plot.svg()));
            files.push((format!("{}.data.csv", plot.name), plot.csv()));
        }
        files
            .into_iter()
            .map(|(name, content)| {
                let path = folder.join(name);
                atomic::write(&path, content.as_bytes())?;
                Ok(path)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_take_three_columns_and_texts_are_quoted() {
        let mut table = Table::new("t", "T", &["set", "auroc", "rows"]);
        table.rows.push(vec!["a, b".into(), Cell::Spread(Spread { value: 0.5, low: 0.4, high: 0.6 }), 7usize.into()]);
        table.rows.push(vec!["c".into(), Cell::Nothing, Cell::Number(1.5)]);
        assert_eq!(
            table.csv(),
            "set,auroc,auroc_low,auroc_high,rows\n\"a, b\",0.500000,0.400000,0.600000,7\nc,,,,1.500000\n"
        );
        let report =
            Report { name: "r".to_owned(), about: vec!["How.".to_owned()], tables: vec![table], plots: vec![] };
        assert!(report.text().contains("| a, b | 0.5000 (0.4000 to 0.6000) | 7      |"), "{}", report.text());
        let folder = tempfile::tempdir().expect("folder");
        let files = report.write(&folder.path().join("new")).expect("writes");
        assert_eq!(files.iter().filter(|path| path.is_file()).count(), 2);
    }
}
