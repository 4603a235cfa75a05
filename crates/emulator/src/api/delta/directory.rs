//! Delta queries on users and groups.

use serde_json::json;

use super::{
    feed::{Family, Feed},
    show,
};
use crate::{
    api::{Answer, call::Call},
    delta::{DeltaOf, Scope},
};

/// How many changes a page holds. Microsoft states no number; the lists have 100.
const PAGE: usize = 100;

/// The users of the tenant.
pub(super) fn users(call: &Call<'_>) -> Answer {
    call.caller.need("User", false)?;
    let feed = feed(call, DeltaOf::Users, "users");
    feed.answer(call, &call.caller.tenant.user_journal, &show::plain)
}

/// The groups of the tenant, with who came into them and who went.
pub(super) fn groups(call: &Call<'_>) -> Answer {
    call.caller.need("Group", false)?;
    let groups = &call.caller.tenant.groups;
    let feed = feed(call, DeltaOf::Groups, "groups");
    feed.answer(call, &groups.journal, &|change, style| {
        let mut value = show::plain(change, style);
        if change.removed.is_some() || !style.selects("members") {
            return value;
        }
        let Ok(id) = change.item.id.parse() else {
            return value;
        };
        let changes = groups.member_changes(id, change.known, change.number, change.fresh);
        if !changes.is_empty() {
            let members = changes.into_iter().map(|(member, present)| {
                let mut one = json!({"@odata.type": "#microsoft.graph.user", "id": member});
                if !present {
                    one["@removed"] = json!({"reason": "deleted"});
                }
                one
            });
            value["members@delta"] = members.collect();
        }
        value
    })
}

fn feed<'a>(call: &Call<'_>, of: DeltaOf, context: &'a str) -> Feed<'a> {
    Feed {
        of,
        collection: format!("{context}/{}", call.caller.tenant.id),
        context,
        scope: Scope::All,
        generation: 0,
        page: PAGE,
        family: Family::Directory,
        options: &["filter", "select"],
        path_token: None,
    }
}
