//! `docs/reference/cli.md`.

use clap::{Arg, Command};

use super::Page;

/// The heading under which the options of every client command stand.
const SERVER: &str = "Server";

/// The page of `command` and all below it.
pub(super) fn page(mut command: Command) -> String {
    command.build();
    let mut page = Page::new("Commands", "the command line's own description");
    page.paragraph(
        "Every command takes `--help`, and `--json` to write for programs: one JSON value a line on standard output, errors\n\
         as one JSON object on standard error (`{\"error\":{\"code\",\"message\",\"hint\"}}`).",
    );
    let codes = [
        ("0", "done"),
        ("1", "failed, or a check says no"),
        (
            "2",
            "usage: the command line or the configuration is wrong, nothing was tried",
        ),
        ("3", "what was asked for does not exist"),
        (
            "4",
            "refused: no key, a wrong one, or one that may not do this",
        ),
        ("5", "the server cannot be reached"),
    ]
    .map(|(code, meaning)| vec![code.to_owned(), meaning.to_owned()]);
    page.table(&["exit code", "meaning"], &codes);
    page.heading(2, "Server options");
    page.paragraph(
        "All commands that talk to a server take these. Where `--url` is something else (`webhook create`,\n\
         `webhook update`), the server is `--server-url` only.",
    );
    page.table(TITLES, &server_options(&command));
    for sub in visible(&command) {
        add(&mut page, sub, "tidings", 2);
    }
    page.text
}

const TITLES: &[&str] = &["option", "variable", "default", "meaning"];

fn add(page: &mut Page, command: &Command, parent: &str, level: usize) {
    let name = format!("{parent} {}", command.get_name());
    page.heading(level, &name);
    if let Some(about) = command.get_long_about().or_else(|| command.get_about()) {
        page.paragraph(&format!("{about}."));
    }
    if !command.has_subcommands() {
        page.paragraph(&format!("    {}", usage(command, &name)));
        let (server, own): (Vec<&Arg>, Vec<&Arg>) =
            shown(command).partition(|arg| arg.get_help_heading() == Some(SERVER));
        if !own.is_empty() {
            let rows: Vec<Vec<String>> = own.into_iter().map(row).collect();
            page.table(TITLES, &rows);
        }
        if !server.is_empty() {
            page.paragraph("And the [server options](#server-options).");
        }
    }
    for sub in visible(command) {
        add(page, sub, &name, level + 1);
    }
}

fn usage(command: &Command, name: &str) -> String {
    let mut words = vec![name.to_owned()];
    let (places, options): (Vec<&Arg>, Vec<&Arg>) =
        shown(command).partition(|arg| arg.is_positional());
    let needed = options.iter().filter(|arg| arg.is_required_set());
    words.extend(needed.map(|arg| form(arg)));
    if options.iter().any(|arg| !arg.is_required_set()) {
        words.push("[OPTIONS]".to_owned());
    }
    words.extend(places.iter().map(|arg| form(arg)));
    words.join(" ")
}

/// The server's options, from the first command that has them all.
fn server_options(command: &Command) -> Vec<Vec<String>> {
    let here: Vec<Vec<String>> = shown(command)
        .filter(|arg| arg.get_help_heading() == Some(SERVER))
        .map(row)
        .collect();
    if here.is_empty() {
        visible(command)
            .map(server_options)
            .find(|rows| !rows.is_empty())
            .unwrap_or_default()
    } else {
        here
    }
}

fn row(arg: &Arg) -> Vec<String> {
    let variable = arg
        .get_env()
        .map(|name| format!("`{}`", name.to_string_lossy()))
        .unwrap_or_default();
    let mut default = Vec::new();
    let mut meaning = arg
        .get_long_help()
        .or_else(|| arg.get_help())
        .map(ToString::to_string)
        .unwrap_or_default();
    if arg.get_action().takes_values() {
        default.extend(
            arg.get_default_values()
                .iter()
                .filter(|value| !value.is_empty())
                .map(|value| format!("`{}`", value.to_string_lossy())),
        );
        let values: Vec<String> = arg
            .get_possible_values()
            .iter()
            .map(|value| format!("`{}`", value.get_name()))
            .collect();
        if !values.is_empty() {
            meaning = format!("{meaning}: {}", values.join(", "));
        }
    }
    if arg.is_required_set() {
        meaning.push_str(" (required)");
    }
    vec![
        format!("`{}`", form(arg)),
        variable,
        default.join(", "),
        meaning,
    ]
}

/// An argument as it is typed: `--limit N`, `ID`.
fn form(arg: &Arg) -> String {
    let value = arg
        .get_value_names()
        .unwrap_or_default()
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" ");
    let Some(long) = arg.get_long() else {
        return value;
    };
    let aliases = arg.get_visible_aliases().unwrap_or_default();
    let short = arg.get_short().map(|name| format!("-{name}"));
    let long = std::iter::once(long).chain(aliases);
    let names: Vec<String> = short
        .into_iter()
        .chain(long.map(|name| format!("--{name}")))
        .collect();
    let names = names.join(", ");
    if arg.get_action().takes_values() {
        format!("{names} {value}")
    } else {
        names
    }
}

/// What belongs to a command itself: not what every command takes.
fn shown(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|arg| {
        !arg.is_hide_set() && !matches!(arg.get_id().as_str(), "help" | "version" | "json")
    })
}

fn visible(command: &Command) -> impl Iterator<Item = &Command> {
    command
        .get_subcommands()
        .filter(|sub| !sub.is_hide_set() && sub.get_name() != "help")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_shows_commands_but_not_hidden_ones() {
        let page = page(crate::command());
        for heading in [
            "\n## tidings serve\n",
            "\n### tidings webhook create\n",
            "\n### tidings delivery redeliver\n",
            "\n## Server options\n",
        ] {
            assert!(page.contains(heading), "{heading}");
        }
        assert!(!page.contains("generate-docs"));
        assert!(
            page.contains(
                "| `--server-url, --url URL` | `TIDINGS_URL` | `http://127.0.0.1:8080` |"
            )
        );
    }
}
