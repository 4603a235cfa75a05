//! Delta queries on users and groups.

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

fn feed<'a>(call: &Call<'_>, of: DeltaOf, context: &'a str) -> Feed<'a> {
    Feed {
        of,
        collection: format!("{context}/{}", call.caller.tenant.id),
        context,
        scope: Scope::All,
        generation: 0,
        page: PAGE,
        family: Family::Directory,
        options: &["select"],
        path_token: None,
    }
}
