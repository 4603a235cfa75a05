//! What a policy watches: the path of a subscription with a place for each user or each team.

use std::fmt;

use super::{PathError, SubscriptionPath};

/// What stands for an id until there is one. No user and no team has it.
const SAMPLE: &str = "00000000-0000-0000-0000-000000000000";

/// Of whom a policy makes a subscription each.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Each {
    /// Of every team: `teams/{team}/…`.
    Team,
    /// Of every user: `users/{user}/…`.
    User,
}

impl Each {
    /// How the place is written.
    pub const fn placeholder(self) -> &'static str {
        match self {
            Self::Team => "{team}",
            Self::User => "{user}",
        }
    }
}

/// The path of what a policy watches, such as `users/{user}/events`, or of one thing, such as `users`.
///
/// ```
/// use tidings_graph::resource::PolicyPath;
///
/// let path = PolicyPath::parse("Users/*/Events")?;
/// assert_eq!(path.canonical(), "users/{user}/events");
/// let id = "622eaaff-0683-4862-9de4-f2ec83c2bd98";
/// assert_eq!(path.of(id)?.canonical(), format!("users/{id}/events"));
/// # Ok::<(), tidings_graph::resource::path::PathError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyPath {
    each: Option<Each>,
    canonical: String,
    sample: SubscriptionPath,
}

impl PolicyPath {
    /// Reads what somebody wants a policy to watch. `*` is short for `{user}` or `{team}`.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let text = text.trim().trim_start_matches('/');
        let (path, query) = match text.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (text, None),
        };
        let mut segments: Vec<&str> = path.split('/').collect();
        let each = match segments.as_slice() {
            [first, place, ..] => each(first, place)?,
            _ => None,
        };
        if let Some(each) = each {
            segments[1] = SAMPLE;
            if segments.len() == 2 && each == Each::User {
                return Err(PathError::Segment {
                    part: "users/{user}".to_owned(),
                    problem: "would be a subscription for each user, of which Graph allows 100: one to `users` tells of all",
                });
            }
        }
        if let Some(part) = segments.iter().find(|part| is_place(part)) {
            return Err(PathError::Segment {
                part: part.chars().take(64).collect(),
                problem: "stands where no user and no team can: write `users/{user}/…` or `teams/{team}/…`",
            });
        }
        let mut filled = segments.join("/");
        if let Some(query) = query {
            filled.push('?');
            filled.push_str(query);
        }
        let sample = SubscriptionPath::parse(&filled)?;
        let canonical = each.map_or_else(
            || sample.canonical().to_owned(),
            |each| sample.canonical().replacen(SAMPLE, each.placeholder(), 1),
        );
        Ok(Self {
            each,
            canonical,
            sample,
        })
    }

    /// Of whom there is to be a subscription each; `None` if there is to be one only.
    pub const fn each(&self) -> Option<Each> {
        self.each
    }

    /// Without a leading slash, words in Microsoft's casing, the place as `{user}` or `{team}`.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// What would be watched of somebody, for what all of them have in common: the table's row, the changes.
    pub const fn sample(&self) -> &SubscriptionPath {
        &self.sample
    }

    /// What is watched of the user or team with this id. Where there is only one thing to be watched, that.
    pub fn of(&self, id: &str) -> Result<SubscriptionPath, PathError> {
        let Some(each) = self.each else {
            return Ok(self.sample.clone());
        };
        let id = super::encode_id(id)?;
        SubscriptionPath::parse(&self.canonical.replacen(each.placeholder(), &id, 1))
    }
}

impl fmt::Display for PolicyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.canonical)
    }
}

/// Of whom a path is that begins so; `None` if of nobody in particular.
fn each(first: &str, place: &str) -> Result<Option<Each>, PathError> {
    let is = |word: &str| first.eq_ignore_ascii_case(word);
    let wrong = |problem| PathError::Segment {
        part: format!("{first}/{place}").chars().take(64).collect(),
        problem,
    };
    match place {
        "*" | "{user}" if is("users") => Ok(Some(Each::User)),
        "*" if is("teams") => Ok(Some(Each::Team)),
        "{team}" if is("teams") || is("groups") => Ok(Some(Each::Team)),
        place if is_place(place) => Err(wrong(
            "names nobody: write `users/{user}/…`, `teams/{team}/…` or `groups/{team}/…`",
        )),
        _ => Ok(None),
    }
}

fn is_place(segment: &str) -> bool {
    segment.contains('*') || segment.contains(['{', '}'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_to_write_a_place_is_read() {
        for (text, canonical, each) in [
            ("users/*/events", "users/{user}/events", Some(Each::User)),
            (
                "/Users/{user}/Messages",
                "users/{user}/messages",
                Some(Each::User),
            ),
            (
                "users/*/contacts?$select=displayName",
                "users/{user}/contacts?$select=displayName",
                Some(Each::User),
            ),
            (
                "teams/*/channels",
                "teams/{team}/channels",
                Some(Each::Team),
            ),
            (
                "groups/{team}/members",
                "groups/{team}/members",
                Some(Each::Team),
            ),
            ("users", "users", None),
            ("teams/getAllChannels", "teams/getAllChannels", None),
            (
                "users/anna@contoso.example/events",
                "users/anna@contoso.example/events",
                None,
            ),
        ] {
            let path = PolicyPath::parse(text).unwrap();
            assert_eq!((path.canonical(), path.each()), (canonical, each));
            assert_eq!(PolicyPath::parse(canonical).unwrap(), path);
        }
    }

    #[test]
    fn a_place_is_filled_with_nothing_but_an_id() {
        let path = PolicyPath::parse("users/*/events?$select=subject").unwrap();
        assert_eq!(
            path.of("8D0B3C3E-5A0F-4B3E-9C43-0A52C5A0E1F7")
                .unwrap()
                .canonical(),
            "users/8d0b3c3e-5a0f-4b3e-9c43-0a52c5a0e1f7/events?$select=subject"
        );
        for id in ["", ".", "..", "a?b", "a#b"] {
            assert!(path.of(id).is_err(), "{id}");
        }
        assert_eq!(path.of("a/b").unwrap().owner(), Some("a%2Fb"));
        let one = PolicyPath::parse("users").unwrap();
        assert_eq!(one.of("x").unwrap().canonical(), "users");
    }

    #[test]
    fn a_place_where_nobody_can_be_is_refused() {
        for text in [
            "users/*",
            "users/{user}",
            "users/{team}/events",
            "teams/{user}/channels",
            "groups/*/members",
            "*/events",
            "users/u/mailFolders/*/messages",
            "users/{user}/mailFolders/{folder}/messages",
            "users/a*/events",
            "users/*/secrets",
            "drives/*/root",
        ] {
            assert!(PolicyPath::parse(text).is_err(), "{text}");
        }
    }
}
