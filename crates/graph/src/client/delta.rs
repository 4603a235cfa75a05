//! Delta queries (Microsoft's "use delta query to track changes in Microsoft Graph data" page).

use http::{StatusCode, header::LOCATION};
use tidings_egress::Answer;
use url::Url;

use super::{Access, Call, DeltaLink, GraphClient, below, unreadable};
use crate::{
    error::{self, CallError, ErrorBody},
    resource::DeltaRequest,
    throttle::Throttle,
    wire::collection::{Entry, Page},
};

/// Where a delta query is.
#[derive(Clone, Copy, Debug)]
pub enum DeltaAt<'a> {
    /// At its beginning: Graph will enumerate everything.
    Start(&'a DeltaRequest),
    /// Where Graph said that it goes on.
    Link(&'a DeltaLink),
}

/// A page of a delta query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeltaPage {
    /// What is on it, possibly nothing. The same item may come more than once in a round; the last is the newest. An
    /// item that has not changed may come again.
    pub entries: Vec<Entry>,
    /// How many more there were that have no id.
    pub unreadable: usize,
    /// How it goes on.
    pub next: Next,
    /// What the answer says of Graph's limits.
    pub throttle: Throttle,
}

/// How a delta query goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// There are more pages of this round.
    Page(DeltaLink),
    /// The round is complete. This link begins the next one, which tells what has changed since.
    Done(DeltaLink),
}

/// What a page of a delta query can fail with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeltaError {
    /// Another failure, as of any call.
    #[error(transparent)]
    Call(#[from] CallError),
    /// Graph no longer knows how far the query was: everything has to be enumerated again.
    #[error("Graph asks for the delta query to be begun again ({code})")]
    Resync {
        /// Where to begin, if Graph said. Else with the first request.
        restart: Option<DeltaLink>,
        /// Graph's code, such as `resyncChangesApplyDifferences`; may be empty.
        code: String,
    },
}

impl GraphClient {
    /// Gets a page of a delta query, of at most `cap` bytes (`TooLarge` beyond).
    ///
    /// `page_size` is the number of entries to ask for. Graph takes it as a wish.
    pub async fn delta_page(
        &self,
        access: &Access,
        at: DeltaAt<'_>,
        page_size: Option<u16>,
        cap: usize,
    ) -> Result<DeltaPage, DeltaError> {
        let url = match at {
            DeltaAt::Start(request) => below(&access.graph_url, request.as_str())?,
            DeltaAt::Link(link) => link.at(&access.graph_url).map_err(CallError::from)?.clone(),
        };
        let call = Call {
            page_size,
            ..Call::get("", cap)
        };
        let answer = self.exchange(access, &url, &call).await?;
        if !answer.status.is_success() {
            return Err(self.refused(access, &url, &answer));
        }
        let page = Page::parse(&answer.body).map_err(|error| unreadable(&error))?;
        let link = |text: &str| DeltaLink::parse(text, &access.graph_url).map_err(CallError::from);
        let next = match (page.next_link, page.delta_link) {
            (Some(next), _) => {
                let next = link(&next)?;
                if next.as_str() == url.as_str() {
                    return Err(CallError::unavailable("the delta query does not go on").into());
                }
                Next::Page(next)
            }
            (None, Some(delta)) => Next::Done(link(&delta)?),
            (None, None) => {
                return Err(CallError::unavailable(
                    "a page of the delta query does not say how it goes on",
                )
                .into());
            }
        };
        Ok(DeltaPage {
            entries: page.entries,
            unreadable: page.unreadable,
            next,
            throttle: Throttle::parse(&answer.headers),
        })
    }

    fn refused(&self, access: &Access, url: &Url, answer: &Answer) -> DeltaError {
        let code = ErrorBody::parse(&answer.body).unwrap_or_default().code;
        if !is_resync(answer.status, &code) {
            let now = self.inner.clock.now();
            return error::classify(answer.status, &answer.headers, &answer.body, now).into();
        }
        let restart = answer
            .headers
            .get(LOCATION)
            .and_then(|location| location.to_str().ok())
            .and_then(|location| DeltaLink::relative(location, url, &access.graph_url).ok());
        DeltaError::Resync { restart, code }
    }
}

/// Whether Graph refuses because it has lost the state of the query: with 410, or with another 40x and one of these
/// codes (the delta query page; `syncStateInvalid` and the drives' `resyncChanges…` are seen in practice).
fn is_resync(status: StatusCode, code: &str) -> bool {
    let code = code.to_ascii_lowercase();
    status == StatusCode::GONE
        || (status.is_client_error()
            && (code.starts_with("resync")
                || matches!(code.as_str(), "syncstatenotfound" | "syncstateinvalid")))
}
