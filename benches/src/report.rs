//! How results are printed.

use serde_json::{Map, Value};

/// A table with a title; figures by row and column.
#[derive(Debug)]
pub(crate) struct Report {
    title: &'static str,
    rows: Vec<(String, Vec<(&'static str, f64)>)>,
}

impl Report {
    pub(crate) fn new(title: &'static str) -> Self {
        Self {
            title,
            rows: Vec::new(),
        }
    }

    pub(crate) fn row(&mut self, name: impl Into<String>, figures: Vec<(&'static str, f64)>) {
        self.rows.push((name.into(), figures));
    }

    /// Prints it, as a table or as one JSON object.
    #[expect(
        clippy::print_stdout,
        reason = "a benchmark's result goes to standard output"
    )]
    pub(crate) fn print(&self, json: bool) {
        if json {
            let rows: Vec<Value> = self.rows.iter().map(row_json).collect();
            println!(
                "{}",
                serde_json::json!({ "bench": self.title, "rows": rows })
            );
            return;
        }
        println!("{}", self.title);
        for (name, figures) in &self.rows {
            let figures: Vec<String> = figures
                .iter()
                .map(|(what, figure)| format!("{what} {}", shown(*figure)))
                .collect();
            println!("  {name:<44} {}", figures.join(" · "));
        }
    }
}

fn row_json((name, figures): &(String, Vec<(&'static str, f64)>)) -> Value {
    let mut row = Map::new();
    row.insert("name".to_owned(), Value::from(name.clone()));
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
