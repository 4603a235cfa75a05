//! Which changes a subscription wants to be told.

use tidings_domain::resource::{ChangeType, ChangeTypes};
use tidings_graph::resource::SubscriptionPath;

/// Which changes somebody wants to be told.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    asked_for: ChangeTypes,
    told_by_graph: &'static [ChangeType],
}

impl Wanted {
    /// Of what is watched, the changes that were asked for.
    pub fn new(path: &SubscriptionPath, asked_for: ChangeTypes) -> Self {
        Self {
            asked_for,
            told_by_graph: path.row().changes.allowed(),
        }
    }

    /// Whether such a change is wanted. One for which Graph has no word, and which it calls an update, is wanted by
    /// whoever wants updates.
    pub fn has(self, change: ChangeType) -> bool {
        self.asked_for.contains(change)
            || (self.asked_for.contains(ChangeType::Updated) && !self.is_told(change))
    }

    /// Whether Graph itself tells of such a change.
    pub fn is_told(self, change: ChangeType) -> bool {
        self.told_by_graph.contains(&change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_graph_has_no_word_for_is_an_update() {
        let users = SubscriptionPath::parse("users").unwrap();
        let wanted = Wanted::new(&users, "updated".parse().unwrap());
        assert!(wanted.has(ChangeType::Created) && wanted.has(ChangeType::Updated));
        assert!(!wanted.has(ChangeType::Deleted), "it was not asked for");
        let mail = SubscriptionPath::parse("users/u/messages").unwrap();
        let wanted = Wanted::new(&mail, "updated".parse().unwrap());
        assert!(
            !wanted.has(ChangeType::Created),
            "it could have been asked for"
        );
    }
}
