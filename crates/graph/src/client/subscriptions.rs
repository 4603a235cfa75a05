//! The calls about subscriptions (Microsoft's pages "Create subscription", "Get subscription", "List subscriptions",
//! "Update subscription", "Delete subscription").

use bytes::Bytes;
use http::Method;
use tidings_domain::Timestamp;
use url::Url;

use super::{ANSWER_CAP, Access, Call, GraphClient, unreadable};
use crate::{
    error::CallError,
    resource::table::Version,
    wire::subscription::{
        NewSubscription, SubscriptionPage, SubscriptionPatch, SubscriptionResource,
    },
};

/// Graph gives some 100 on a page; whoever sends more pages than this sends them in a circle.
const MOST_PAGES: usize = 10_000;

impl GraphClient {
    /// Creates a subscription. Graph calls our notification URL and lifecycle URL before it answers, so allow over 20 s.
    ///
    /// `version` is the one that has the resource. `Conflict` if one with the same resource and change types exists.
    pub async fn create_subscription(
        &self,
        access: &Access,
        version: Version,
        new: &NewSubscription,
    ) -> Result<SubscriptionResource, CallError> {
        let path = format!("{}/subscriptions", version.as_str());
        let call = Call {
            method: Method::POST,
            path: &path,
            body: json(new)?,
            cap: ANSWER_CAP,
        };
        self.subscription(access, call).await
    }

    /// One subscription, with its clientState.
    pub async fn get_subscription(
        &self,
        access: &Access,
        id: &str,
    ) -> Result<SubscriptionResource, CallError> {
        let path = path_of(id)?;
        self.subscription(access, Call::get(&path, ANSWER_CAP))
            .await
    }

    /// Every subscription that the app has in the tenant, without clientState.
    pub async fn list_subscriptions(
        &self,
        access: &Access,
    ) -> Result<Vec<SubscriptionResource>, CallError> {
        let mut all = Vec::new();
        let mut next: Option<Url> = None;
        for _ in 0..MOST_PAGES {
            let call = Call::get("v1.0/subscriptions", ANSWER_CAP);
            let answer = match &next {
                None => self.call(access, call).await?,
                Some(url) => self.call_url(access, url, call).await?,
            };
            let page: SubscriptionPage =
                serde_json::from_slice(&answer.body).map_err(|error| unreadable(&error))?;
            all.extend(page.value);
            let Some(link) = page.next_link else {
                return Ok(all);
            };
            next = Some(own_link(&access.graph_url, &link)?);
        }
        Err(CallError::unavailable(
            "the list of subscriptions does not end",
        ))
    }

    /// Moves the end of a subscription, which also tells Graph that it is still wanted and allowed.
    pub async fn renew_subscription(
        &self,
        access: &Access,
        id: &str,
        expires_at: Timestamp,
    ) -> Result<SubscriptionResource, CallError> {
        let patch = SubscriptionPatch {
            expires_at: Some(expires_at),
            ..SubscriptionPatch::default()
        };
        self.patch_subscription(access, id, &patch).await
    }

    /// Changes a subscription.
    pub async fn patch_subscription(
        &self,
        access: &Access,
        id: &str,
        patch: &SubscriptionPatch,
    ) -> Result<SubscriptionResource, CallError> {
        let path = path_of(id)?;
        let call = Call {
            method: Method::PATCH,
            path: &path,
            body: json(patch)?,
            cap: ANSWER_CAP,
        };
        self.subscription(access, call).await
    }

    /// Deletes a subscription. `NotFound` if it was gone already.
    pub async fn delete_subscription(&self, access: &Access, id: &str) -> Result<(), CallError> {
        let path = path_of(id)?;
        let call = Call {
            method: Method::DELETE,
            path: &path,
            body: Bytes::new(),
            cap: ANSWER_CAP,
        };
        self.call(access, call).await.map(|_| ())
    }

    async fn subscription(
        &self,
        access: &Access,
        call: Call<'_>,
    ) -> Result<SubscriptionResource, CallError> {
        let answer = self.call(access, call).await?;
        serde_json::from_slice(&answer.body).map_err(|error| unreadable(&error))
    }
}

fn json(value: &impl serde::Serialize) -> Result<Bytes, CallError> {
    serde_json::to_vec(value)
        .map(Bytes::from)
        .map_err(|error| CallError::unavailable(error.to_string()))
}

/// An id that came from Graph once, and may have gone through hands since.
fn path_of(id: &str) -> Result<String, CallError> {
    let fits = (1..=128).contains(&id.len())
        && id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if fits {
        Ok(format!("v1.0/subscriptions/{id}"))
    } else {
        Err(CallError::NotFound)
    }
}

/// A link of Graph's, as long as it leads to the same Graph: the token must not go anywhere else.
pub(super) fn own_link(graph_url: &Url, link: &str) -> Result<Url, CallError> {
    Url::parse(link)
        .ok()
        .filter(|url| {
            url.origin() == graph_url.origin()
                && url.username().is_empty()
                && url.password().is_none()
        })
        .ok_or_else(|| CallError::unavailable("a link in the answer leads to another host"))
}
