//! By which name an item is known: the same, whether a notification or an enumeration has told of it.

use tidings_graph::resource::{ItemPath, SubscriptionPath, path::PathError};

/// The name under which an item of a subscription is known: the end of its path in canonical form.
///
/// The beginning of the path is left out, since a user may stand there by id or by name.
pub fn of(item: &ItemPath) -> &str {
    let path = item.canonical();
    path.rsplit_once('/').map_or(path, |(_, key)| key)
}

/// The path of the item that is known by `key`.
pub(super) fn path(subscription: &SubscriptionPath, key: &str) -> Result<ItemPath, PathError> {
    // The one thing that the canonical form of an id encodes; a `%` is in none.
    subscription.item(&key.replace("%2F", "/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_and_an_enumeration_give_the_same_key() {
        let subscription = SubscriptionPath::parse("users/ada@contoso.example/messages").unwrap();
        let shown = subscription.item("AAMk/1=").unwrap();
        let notified = "Users/0F8FAD5B-D9CB-469F-A165-70867728950E/Messages/AAMk%2F1=";
        let notified = ItemPath::parse(notified).unwrap();
        assert_eq!(of(&shown), of(&notified));
        assert_eq!(path(&subscription, of(&shown)).unwrap(), shown);
    }
}
