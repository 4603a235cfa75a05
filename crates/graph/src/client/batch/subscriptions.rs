//! The calls about subscriptions, many in one.

use http::Method;
use serde::Serialize;

use super::{GraphClient, Part, PartAnswer, unanswered};
use crate::{
    client::{Access, subscriptions::path_below_version, unreadable},
    error::CallError,
    resource::table::Version,
    wire::subscription::{NewSubscription, SubscriptionPatch, SubscriptionResource},
};

/// The most of an answer about one subscription that is read. With a certificate it has some 10 KB.
const CAP: usize = 64 * 1024;

impl GraphClient {
    /// Creates subscriptions as [`create_subscription`](GraphClient::create_subscription) does. Graph calls our URLs for
    /// each of them before it answers, so allow for that.
    pub async fn create_subscriptions(
        &self,
        access: &Access,
        new: &[(Version, NewSubscription)],
    ) -> Vec<Result<SubscriptionResource, CallError>> {
        let parts = new
            .iter()
            .map(|(version, new)| part(*version, Method::POST, Ok("subscriptions".to_owned()), new))
            .collect();
        self.subscriptions(access, parts).await
    }

    /// Changes subscriptions as [`patch_subscription`](GraphClient::patch_subscription) does: each by its id.
    pub async fn patch_subscriptions(
        &self,
        access: &Access,
        patches: &[(String, SubscriptionPatch)],
    ) -> Vec<Result<SubscriptionResource, CallError>> {
        let parts = patches
            .iter()
            .map(|(id, patch)| part(Version::V1, Method::PATCH, path_below_version(id), patch))
            .collect();
        self.subscriptions(access, parts).await
    }

    /// Deletes subscriptions as [`delete_subscription`](GraphClient::delete_subscription) does.
    pub async fn delete_subscriptions(
        &self,
        access: &Access,
        ids: &[String],
    ) -> Vec<Result<(), CallError>> {
        let parts = ids
            .iter()
            .map(|id| {
                path_below_version(id).map(|path| Part::new(Version::V1, Method::DELETE, &path))
            })
            .collect();
        let answers = self.those_that_can_be_sent(access, parts).await;
        answers
            .into_iter()
            .map(|answer| answer.map(|_| ()))
            .collect()
    }

    async fn subscriptions(
        &self,
        access: &Access,
        parts: Vec<Result<Part, CallError>>,
    ) -> Vec<Result<SubscriptionResource, CallError>> {
        let read = |answer: PartAnswer| {
            serde_json::from_slice(&answer.body).map_err(|error| unreadable(&error))
        };
        let answers = self.those_that_can_be_sent(access, parts).await;
        answers
            .into_iter()
            .map(|answer| answer.and_then(read))
            .collect()
    }

    /// Sends the parts that could be made, and gives the answers in the places of all.
    async fn those_that_can_be_sent(
        &self,
        access: &Access,
        parts: Vec<Result<Part, CallError>>,
    ) -> Vec<Result<PartAnswer, CallError>> {
        let sent: Vec<Part> = parts.iter().flatten().cloned().collect();
        let mut answers = self.batch(access, &sent, CAP).await.into_iter();
        let lacking = || Err(unanswered());
        parts
            .into_iter()
            .map(|part| part.and_then(|_| answers.next().unwrap_or_else(lacking)))
            .collect()
    }
}

fn part(
    version: Version,
    method: Method,
    path: Result<String, CallError>,
    body: &impl Serialize,
) -> Result<Part, CallError> {
    let body = serde_json::value::to_raw_value(body)
        .map_err(|error| CallError::unavailable(error.to_string()))?;
    Ok(Part::new(version, method, &path?).with_body(body))
}
