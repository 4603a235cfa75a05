//! Paths of groups, teams and channels.

use std::borrow::Cow;

use http::Method;

/// Groups and who is in them, or teams and their channels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::api) enum GroupRoute<'a> {
    Channel {
        team: Cow<'a, str>,
        channel: Cow<'a, str>,
    },
    Channels {
        team: Cow<'a, str>,
    },
    Collection,
    /// One member, as a reference that can be removed.
    Member {
        group: Cow<'a, str>,
        member: Cow<'a, str>,
    },
    Members {
        group: Cow<'a, str>,
    },
    /// References to members, to which one can be added.
    MemberRefs {
        group: Cow<'a, str>,
    },
    Single {
        group: Cow<'a, str>,
    },
    Team {
        team: Cow<'a, str>,
    },
    /// The team that a group is to get.
    TeamOf {
        group: Cow<'a, str>,
    },
    Teams,
}

impl<'a> GroupRoute<'a> {
    pub(super) fn parse(words: &[&str], at: impl Fn(usize) -> Cow<'a, str>) -> Option<Self> {
        Some(match *words {
            ["groups"] => Self::Collection,
            ["groups", _] => Self::Single { group: at(1) },
            ["groups", _, "members"] => Self::Members { group: at(1) },
            ["groups", _, "members", "$ref"] => Self::MemberRefs { group: at(1) },
            ["groups", _, "members", _, "$ref"] => Self::Member {
                group: at(1),
                member: at(3),
            },
            ["groups", _, "team"] => Self::TeamOf { group: at(1) },
            ["teams"] => Self::Teams,
            ["teams", _] => Self::Team { team: at(1) },
            ["teams", _, "channels"] => Self::Channels { team: at(1) },
            ["teams", _, "channels", _] => Self::Channel {
                team: at(1),
                channel: at(3),
            },
            _ => return None,
        })
    }

    pub(super) fn count_name(&self, method: &Method) -> &'static str {
        match self {
            Self::Channel { .. } => by_method!(method, "teams/{id}/channels/{id}"),
            Self::Channels { .. } => by_method!(method, "teams/{id}/channels"),
            Self::Collection => by_method!(method, "groups"),
            Self::Member { .. } => by_method!(method, "groups/{id}/members/{id}/$ref"),
            Self::Members { .. } => by_method!(method, "groups/{id}/members"),
            Self::MemberRefs { .. } => by_method!(method, "groups/{id}/members/$ref"),
            Self::Single { .. } => by_method!(method, "groups/{id}"),
            Self::Team { .. } => by_method!(method, "teams/{id}"),
            Self::TeamOf { .. } => by_method!(method, "groups/{id}/team"),
            Self::Teams => by_method!(method, "teams"),
        }
    }
}
