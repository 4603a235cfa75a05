//! Lists, page by page (Microsoft's "paging Microsoft Graph data in your app" page).

use std::collections::BTreeMap;

use bytes::Bytes;
use url::Url;

use super::{ANSWER_CAP, Access, Call, DeltaLink, GraphClient, below, unreadable};
use crate::{
    error::CallError,
    resource::{ListRequest, MailFolders},
    throttle::Throttle,
    wire::{
        collection::{Entry, Page},
        mail_folder::MailFolder,
    },
};

/// Whoever sends more pages than this sends them in a circle.
const MOST_PAGES: usize = 10_000;

/// Where a list is.
#[derive(Clone, Copy, Debug)]
pub enum ListAt<'a> {
    /// At its beginning.
    Start(&'a ListRequest),
    /// At a further page.
    Link(&'a DeltaLink),
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListPage {
    /// What is on it. None of it is removed.
    pub entries: Vec<Entry>,
    /// How many more there were that have no id.
    pub unreadable: usize,
    /// Where the next page is; `None` if this is the last.
    pub next: Option<DeltaLink>,
    /// What the answer says of Graph's limits.
    pub throttle: Throttle,
}

impl GraphClient {
    /// Gets a page of a list, of at most `cap` bytes (`TooLarge` beyond).
    pub async fn list_page(
        &self,
        access: &Access,
        at: ListAt<'_>,
        cap: usize,
    ) -> Result<ListPage, CallError> {
        let graph = &access.graph_url;
        let url = match at {
            ListAt::Start(request) => below(graph, request.as_str())?,
            ListAt::Link(link) => link.at(graph)?.clone(),
        };
        let answer = self.call_url(access, &url, Call::get("", cap)).await?;
        let page = Page::parse(&answer.body).map_err(|error| unreadable(&error))?;
        Ok(ListPage {
            entries: page.entries,
            unreadable: page.unreadable,
            next: following(page.next_link.as_deref(), &url, graph)?,
            throttle: Throttle::parse(&answer.headers),
        })
    }

    /// Gets a whole list, of at most `cap` bytes on all its pages together (`TooLarge` beyond). An entry without an id
    /// fails it, since what is not in a whole list counts as deleted.
    pub async fn list(
        &self,
        access: &Access,
        request: &ListRequest,
        cap: usize,
    ) -> Result<Vec<Entry>, CallError> {
        let mut entries = Vec::new();
        self.pages(access, request.as_str(), cap, |body| {
            let page = Page::parse(&body)?;
            if page.unreadable > 0 {
                return Err(serde::de::Error::custom("an entry of the list has no id"));
            }
            entries.extend(page.entries);
            Ok(page.next_link)
        })
        .await?;
        Ok(entries)
    }

    /// The folders of a mailbox, those inside others too, in the order of their ids.
    pub async fn mail_folders(
        &self,
        access: &Access,
        mailbox: &MailFolders,
    ) -> Result<Vec<MailFolder>, CallError> {
        let mut folders = BTreeMap::new();
        self.pages(access, mailbox.folders().as_str(), ANSWER_CAP, |body| {
            let page = Page::parse(&body)?;
            for entry in page.entries {
                if entry.removed.is_some() {
                    folders.remove(&entry.id);
                } else {
                    let folder: MailFolder = serde_json::from_slice(&entry.object)?;
                    folders.insert(entry.id, folder);
                }
            }
            Ok(page.next_link)
        })
        .await?;
        Ok(folders.into_values().collect())
    }

    /// Hands every page of a list to `take`, which gives back the link to the next one. All together have at most `cap`
    /// bytes.
    pub(super) async fn pages(
        &self,
        access: &Access,
        first: &str,
        cap: usize,
        mut take: impl FnMut(Bytes) -> Result<Option<String>, serde_json::Error> + Send,
    ) -> Result<(), CallError> {
        let graph = &access.graph_url;
        let mut url = below(graph, first)?;
        let mut left = cap;
        for _ in 0..MOST_PAGES {
            let call = Call::get("", left.min(ANSWER_CAP));
            let answer = self.call_url(access, &url, call).await?;
            left = left.saturating_sub(answer.body.len());
            let next = take(answer.body).map_err(|error| unreadable(&error))?;
            match following(next.as_deref(), &url, graph)? {
                None => return Ok(()),
                Some(link) => url = link.into_url(),
            }
        }
        Err(CallError::unavailable("the list does not end"))
    }
}

/// Where the page after `asked` is.
fn following(
    link: Option<&str>,
    asked: &Url,
    graph_url: &Url,
) -> Result<Option<DeltaLink>, CallError> {
    let Some(link) = link else {
        return Ok(None);
    };
    let link = DeltaLink::parse(link, graph_url)?;
    if link.as_str() == asked.as_str() {
        return Err(CallError::unavailable("the list does not go on"));
    }
    Ok(Some(link))
}
