//! The calls about subscriptions (Microsoft's pages "Create subscription", "Get subscription", "List subscriptions",
//! "Update subscription", "Delete subscription").

use bytes::Bytes;
use http::Method;
use tidings_domain::Timestamp;

use super::{ANSWER_CAP, Access, Call, GraphClient, json, unreadable};
use crate::{
    error::CallError,
    resource::table::Version,
    wire::subscription::{
        NewSubscription, SubscriptionPage, SubscriptionPatch, SubscriptionResource,
    },
};

/// The most of a list of subscriptions that is read: some 100,000.
const LIST_CAP: usize = 128 * 1024 * 1024;

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
        let call = Call::new(Method::POST, &path, json(new)?, ANSWER_CAP);
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
        self.pages(access, "v1.0/subscriptions", LIST_CAP, |body| {
            let page: SubscriptionPage = serde_json::from_slice(&body)?;
            all.extend(page.value);
            Ok(page.next_link)
        })
        .await?;
        Ok(all)
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
        let call = Call::new(Method::PATCH, &path, json(patch)?, ANSWER_CAP);
        self.subscription(access, call).await
    }

    /// Deletes a subscription. `NotFound` if it was gone already.
    pub async fn delete_subscription(&self, access: &Access, id: &str) -> Result<(), CallError> {
        let path = path_of(id)?;
        let call = Call::new(Method::DELETE, &path, Bytes::new(), ANSWER_CAP);
        self.call(access, call).await.map(|_| ())
    }

    /// Tells Graph that a subscription is still wanted and allowed, and leaves its end as it is (Microsoft's
    /// "subscription: reauthorize" page). Never within ten minutes of another `reauthorize` or patch of the same one:
    /// Graph does not promise what comes of that.
    pub async fn reauthorize_subscription(
        &self,
        access: &Access,
        id: &str,
    ) -> Result<(), CallError> {
        let path = format!("{}/reauthorize", path_of(id)?);
        let call = Call::new(Method::POST, &path, Bytes::new(), ANSWER_CAP);
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

fn path_of(id: &str) -> Result<String, CallError> {
    path_below_version(id).map(|path| format!("v1.0/{path}"))
}

/// An id that came from Graph once, and may have gone through hands since.
pub(super) fn path_below_version(id: &str) -> Result<String, CallError> {
    let fits = (1..=128).contains(&id.len())
        && id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if fits {
        Ok(format!("subscriptions/{id}"))
    } else {
        Err(CallError::NotFound)
    }
}
