//! How results are printed.

use serde_json::{Map, Value};

/// A table with a title; figures by row and column. Rows are shown as they come: a whole run takes minutes.
#[derive(Debug)]
pub(crate) struct Report {
    title: &'static str,
    json: bool,
    rows: Vec<Value>,
}

impl Report {
    pub(crate) fn new(title: &'static str, json: bool) -> Self {
        if !json {
            line(title);
        }
        Self {
            title,
            json,
            rows: Vec::new(),
        }
    }

    pub(crate) fn row(&mut self, name: &str, figures: &[(&'static str, f64)]) {
        if self.json {
            self.rows.push(row_json(name, figures));
            return;
        }
        let figures: Vec<String> = figures
            .iter()
            .map(|(what, figure)| format!("{what} {}", shown(*figure)))
            .collect();
        line(&format!("  {name:<36} {}", figures.join(" · ")));
    }

    /// Ends the table: as JSON it is one object.
    pub(crate) fn end(self) {
        if self.json {
            let Self { title, rows, .. } = self;
            line(&serde_json::json!({ "bench": title, "rows": rows }).to_string());
        }
    }
}

#[expect(
    clippy::print_stdout,
    reason = "a benchmark's result goes to standard output"
)]
fn line(text: &str) {
    println!("{text}");
}

fn row_json(name: &str, figures: &[(&'static str, f64)]) -> Value {
    let mut row = Map::new();
    row.insert("name".to_owned(), Value::from(name));
    row.extend(
        figures
            .iter()
            .map(|(what, figure)| ((*what).to_owned(), Value::from(*figure))),
    );
    Value::Object(row)
}

fn shown(figure: f64) -> String {
    if figure >= 100.0 {
        format!("{figure:.0}")
    } else if figure >= 10.0 {
        format!("{figure:.1}")
    } else {
        format!("{figure:.3}")
    }
}
