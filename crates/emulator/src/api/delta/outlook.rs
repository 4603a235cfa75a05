//! Delta queries on mailboxes.

use std::sync::Arc;

use super::{
    feed::{Family, Feed},
    show,
};
use crate::{
    api::{
        Answer,
        call::Call,
        folders::{self, Of},
    },
    delta::{DeltaOf, Scope},
    directory::User,
};

/// How many changes a page holds unless the client prefers otherwise. Microsoft states none; the lists have 10.
const PAGE: usize = 10;

/// The events that lie in a window.
pub(super) fn events(call: &Call<'_>, user: &str) -> Answer {
    call.caller.need("Calendars", false)?;
    let user = call.user(user)?;
    let feed = Feed {
        context: "Collection(event)",
        // The window alone bounds it: no other option is taken ("event: delta").
        options: &[],
        ..feed(&user, DeltaOf::Events, "events", "")
    };
    feed.answer(call, &user.mailbox.events.journal, &show::plain)
}

/// The messages of a folder.
pub(super) fn messages(call: &Call<'_>, user: &str, folder: &str) -> Answer {
    call.caller.need("Mail", false)?;
    let user = call.user(user)?;
    let folder = folders::find(&user, Of::Mail, folder)?;
    let feed = Feed {
        context: "Collection(message)",
        scope: Scope::Folder(Arc::clone(&folder.id)),
        options: &["filter", "select", "top"],
        ..feed(&user, DeltaOf::Messages, "messages", &folder.id)
    };
    feed.answer(call, &user.mailbox.messages.journal, &show::plain)
}

/// The contacts of a folder: of the one that every mailbox has, unless the path names another.
pub(super) fn contacts(call: &Call<'_>, user: &str, folder: Option<&str>) -> Answer {
    call.caller.need("Contacts", false)?;
    let user = call.user(user)?;
    let folder = folders::find(&user, Of::Contacts, folder.unwrap_or("contacts"))?;
    let feed = Feed {
        context: "Collection(contact)",
        scope: Scope::Folder(Arc::clone(&folder.id)),
        ..feed(&user, DeltaOf::Contacts, "contacts", &folder.id)
    };
    feed.answer(call, &user.mailbox.contacts.journal, &show::plain)
}

/// All mail folders, also those in others.
pub(super) fn mail_folders(call: &Call<'_>, user: &str) -> Answer {
    let context = "Collection(mailFolder)";
    all_folders(call, user, Of::Mail, DeltaOf::MailFolders, context)
}

/// All contact folders, also those in others.
pub(super) fn contact_folders(call: &Call<'_>, user: &str) -> Answer {
    let context = "Collection(contactFolder)";
    all_folders(call, user, Of::Contacts, DeltaOf::ContactFolders, context)
}

fn all_folders(call: &Call<'_>, user: &str, of: Of, kind: DeltaOf, context: &str) -> Answer {
    call.caller.need(of.family(), false)?;
    let user = call.user(user)?;
    let feed = Feed {
        context,
        ..feed(&user, kind, of.family(), "folders")
    };
    feed.answer(call, &of.folders(&user).journal, &|change, style| {
        let mut value = show::plain(change, style);
        // How many items lie in a folder is counted when it is shown.
        if let (None, serde_json::Value::Object(counted)) =
            (change.removed, folders::json(&user, of, &change.item))
        {
            for (name, count) in counted {
                if !change.item.fields.contains_key(&name) && style.selects(&name) {
                    value[name] = count;
                }
            }
        }
        value
    })
}

fn feed<'a>(user: &User, of: DeltaOf, name: &str, folder: &str) -> Feed<'a> {
    Feed {
        of,
        collection: format!("{name}/{}/{folder}", user.id),
        context: "",
        scope: Scope::All,
        generation: user.mailbox.generation(),
        page: PAGE,
        family: Family::Outlook,
        options: &["select"],
        path_token: None,
    }
}
