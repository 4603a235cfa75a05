//! Paths of drives and what lies in them.

use std::borrow::Cow;

use http::Method;

/// A drive, or something in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::api) struct DriveRoute<'a> {
    pub(in crate::api) drive: DriveName<'a>,
    pub(in crate::api) what: DrivePart<'a>,
}

/// How a path calls a drive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::api) enum DriveName<'a> {
    /// By its own id.
    Id(Cow<'a, str>),
    /// As that of a user.
    User(Cow<'a, str>),
}

/// What of a drive a path means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::api) enum DrivePart<'a> {
    Children(DrivePlace<'a>),
    Content(DrivePlace<'a>),
    Delta {
        /// A token in the form `delta(token='…')`.
        token: Option<String>,
    },
    Drive,
    Item(DrivePlace<'a>),
}

/// An item of a drive: where to begin, and the names to follow from there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::api) struct DrivePlace<'a> {
    pub(in crate::api) from: Cow<'a, str>,
    pub(in crate::api) names: Vec<Cow<'a, str>>,
}

impl<'a> DriveRoute<'a> {
    pub(super) fn parse(words: &[&str], at: impl Fn(usize) -> Cow<'a, str>) -> Option<Self> {
        let (drive, begin) = match *words {
            ["drives", _, ..] => (DriveName::Id(at(1)), 2),
            ["users", _, "drive", ..] => (DriveName::User(at(1)), 3),
            _ => return None,
        };
        let what = part(&words[begin..], |place| at(begin + place))?;
        Some(Self { drive, what })
    }

    pub(super) fn count_name(&self, method: &Method) -> &'static str {
        match self.what {
            DrivePart::Children(_) => by_method!(method, "drives/{id}/items/{id}/children"),
            DrivePart::Content(_) => by_method!(method, "drives/{id}/items/{id}/content"),
            DrivePart::Delta { .. } => by_method!(method, "drives/{id}/root/delta"),
            DrivePart::Drive => by_method!(method, "drives/{id}"),
            DrivePart::Item(_) => by_method!(method, "drives/{id}/items/{id}"),
        }
    }
}

/// What follows the name of a drive.
fn part<'a>(words: &[&str], at: impl Fn(usize) -> Cow<'a, str>) -> Option<DrivePart<'a>> {
    let [first, ..] = *words else {
        return Some(DrivePart::Drive);
    };
    if let ["root", last] = *words
        && let Some(delta) = delta(last, &at(1))
    {
        return Some(delta);
    }
    // `root`, `items/{id}`, each with names between two colons: `root:/a/b.txt:/content`.
    let (from, mut next) = match first.strip_suffix(':').unwrap_or(first) {
        "root" => (Cow::Borrowed("root"), 1),
        "items" if words.len() > 1 => (at(1), 2),
        _ => return None,
    };
    let by_names = words[next - 1].ends_with(':');
    let from = match from.strip_suffix(':') {
        Some(id) => Cow::Owned(id.to_owned()),
        None => from,
    };
    let mut names = Vec::new();
    while by_names && next < words.len() {
        let name = at(next);
        next += 1;
        if let Some(name) = name.strip_suffix(':') {
            names.push(Cow::Owned(name.to_owned()));
            break;
        }
        names.push(name);
    }
    let place = DrivePlace { from, names };
    match words[next..] {
        [] => Some(DrivePart::Item(place)),
        ["children"] => Some(DrivePart::Children(place)),
        ["content"] => Some(DrivePart::Content(place)),
        _ => None,
    }
}

/// `delta`, `delta()`, `microsoft.graph.delta()` or `delta(token='…')`; `None` if it is none of them.
fn delta<'a>(word: &str, segment: &str) -> Option<DrivePart<'a>> {
    let (name, arguments) = word.split_once('(').unwrap_or((word, ""));
    if !matches!(name, "delta" | "microsoft.graph.delta") {
        return None;
    }
    if matches!(arguments, "" | ")") {
        return Some(DrivePart::Delta { token: None });
    }
    // Tokens know case: the segment has it.
    let token = segment.split_once("='")?.1.strip_suffix("')")?;
    Some(DrivePart::Delta {
        token: Some(token.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::route::Route;

    fn parsed(path: &str) -> DriveRoute<'_> {
        match Route::parse(path) {
            Route::Drive(route) => route,
            other => panic!("{path}: {other:?}"),
        }
    }

    #[test]
    fn items_are_called_by_id_and_by_names() {
        let place = |from: &str, names: &[&str]| DrivePlace {
            from: Cow::Owned(from.to_owned()),
            names: names
                .iter()
                .map(|name| Cow::Owned((*name).to_owned()))
                .collect(),
        };
        for (path, what) in [
            ("drives/b!x", DrivePart::Drive),
            ("drives/b!x/root", DrivePart::Item(place("root", &[]))),
            ("drives/b!x/items/01A", DrivePart::Item(place("01A", &[]))),
            (
                "drives/b!x/items/01A/children",
                DrivePart::Children(place("01A", &[])),
            ),
            (
                "drives/b!x/root:/Work/a%20b.txt",
                DrivePart::Item(place("root", &["Work", "a b.txt"])),
            ),
            (
                "drives/b!x/root:/a.txt:/content",
                DrivePart::Content(place("root", &["a.txt"])),
            ),
            (
                "drives/b!x/items/01A:/a.txt:/content",
                DrivePart::Content(place("01A", &["a.txt"])),
            ),
        ] {
            assert_eq!(parsed(path).what, what, "{path}");
        }
        let user = DriveName::User("u".into());
        assert_eq!(parsed("users/u/drive/root").drive, user);
        assert_eq!(Route::parse("users/u/drive/special/x"), Route::Unknown);
    }

    #[test]
    fn a_token_stands_in_the_path_too() {
        let delta = |path| match parsed(path).what {
            DrivePart::Delta { token } => token,
            other => panic!("{path}: {other:?}"),
        };
        assert_eq!(delta("drives/b!x/root/delta"), None);
        assert_eq!(delta("users/u/drive/root/microsoft.graph.delta()"), None);
        assert_eq!(
            delta("drives/b!x/root/delta(token='AbC-_')"),
            Some("AbC-_".to_owned())
        );
    }
}
