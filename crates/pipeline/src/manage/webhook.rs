//! Webhooks.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tidings_domain::{
    Secret,
    ids::{ConnectionId, EnvironmentId, WebhookId},
    trigger::Trigger,
    webhook::{DisabledReason, Webhook, WebhookState, WebhookUrl},
};
use tidings_storage::record::WebhookChange;

use super::{Manage, ManageError, invalid};
use crate::directory::Change;

/// What a signing secret begins with (the Standard Webhooks specification, "symmetric").
const PREFIX: &str = "whsec_";

/// A webhook that somebody asks for, as typed.
#[derive(Clone, Debug)]
pub struct NewWebhook {
    /// Whose events it is to hear of.
    pub environment: EnvironmentId,
    /// Where deliveries are to be sent.
    pub url: String,
    /// What it is for.
    pub description: String,
    /// Names of triggers, at least one.
    pub triggers: Vec<String>,
    /// Ids of connections; none means all of the environment.
    pub connections: Vec<String>,
    /// `whsec_` and the base64 of 24 to 64 bytes; made at random if none is given.
    pub secret: Option<Secret>,
}

/// A change to a webhook that somebody asks for, as typed. `None` leaves a member as it is.
#[derive(Clone, Debug, Default)]
pub struct WebhookEdit {
    /// Where deliveries are to be sent.
    pub url: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// Names of triggers, at least one.
    pub triggers: Option<Vec<String>>,
    /// Ids of connections; none means all of the environment.
    pub connections: Option<Vec<String>>,
    /// Whether deliveries are to be sent.
    pub enabled: Option<bool>,
}

impl Manage {
    /// Makes a webhook. Its secret is in the answer.
    pub async fn create_webhook(&self, new: NewWebhook) -> Result<Webhook, ManageError> {
        let webhook = Webhook {
            id: self.ids.next(),
            environment: new.environment,
            url: self.webhook_url(&new.url)?,
            description: description(new.description)?,
            triggers: triggers(&new.triggers)?,
            connections: self.wanted_connections(new.environment, &new.connections)?,
            secret: self.signing_secret(new.secret)?,
            state: WebhookState::Active,
            failing_since: None,
            created_at: self.clock.now(),
        };
        let create = self.store.create_webhook(webhook.clone());
        let change = Change::Webhook(webhook.id);
        self.directory.change(change, create).await?;
        Ok(webhook)
    }

    /// Changes a webhook of `environment`, and gives it as it then is; `None` if there is none.
    ///
    /// Enabling one sends its held deliveries.
    pub async fn change_webhook(
        &self,
        environment: EnvironmentId,
        id: WebhookId,
        edit: WebhookEdit,
    ) -> Result<Option<Webhook>, ManageError> {
        if self
            .directory
            .webhook(id)
            .is_none_or(|webhook| webhook.environment != environment)
        {
            return Ok(None);
        }
        let change = WebhookChange {
            url: edit.url.map(|url| self.webhook_url(&url)).transpose()?,
            description: edit.description.map(description).transpose()?,
            triggers: edit.triggers.map(|names| triggers(&names)).transpose()?,
            connections: edit
                .connections
                .map(|ids| self.wanted_connections(environment, &ids))
                .transpose()?,
            state: edit.enabled.map(|enabled| {
                if enabled {
                    WebhookState::Active
                } else {
                    WebhookState::Disabled {
                        reason: DisabledReason::Operator,
                        since: self.clock.now(),
                    }
                }
            }),
        };
        let _deliver = self.deliver.at_the_end();
        let change = self.store.change_webhook(id, change);
        Ok(self.directory.change(Change::Webhook(id), change).await?)
    }

    /// Removes a webhook with its deliveries that have not arrived; `false` if there is none.
    pub async fn delete_webhook(&self, id: WebhookId) -> Result<bool, ManageError> {
        let delete = self.store.delete_webhook(id);
        let change = Change::Webhook(id);
        Ok(self.directory.change(change, delete).await?)
    }

    fn webhook_url(&self, text: &str) -> Result<WebhookUrl, ManageError> {
        let url = WebhookUrl::parse(text).map_err(|error| invalid("/url", error.to_string()))?;
        self.webhook_reach
            .check(url.expose())
            .map_err(|detail| invalid("/url", detail))?;
        Ok(url)
    }

    fn wanted_connections(
        &self,
        environment: EnvironmentId,
        ids: &[String],
    ) -> Result<Vec<ConnectionId>, ManageError> {
        if ids.len() > 1_000 {
            return Err(invalid(
                "/connections",
                "a webhook names at most 1,000 connections: leave them out for all",
            ));
        }
        let mut wanted: Vec<ConnectionId> = Vec::with_capacity(ids.len());
        for text in ids {
            let id = text
                .parse()
                .map_err(|error| invalid("/connections", format!("{error}")))?;
            // One of another environment is answered like one that does not exist.
            if self
                .directory
                .connection(id)
                .is_none_or(|there| there.environment != environment)
            {
                return Err(invalid(
                    "/connections",
                    format!("there is no connection {id} in this environment"),
                ));
            }
            if !wanted.contains(&id) {
                wanted.push(id);
            }
        }
        Ok(wanted)
    }

    fn signing_secret(&self, given: Option<Secret>) -> Result<Secret, ManageError> {
        let Some(given) = given else {
            return Ok(Secret::new(format!(
                "{PREFIX}{}",
                STANDARD.encode(self.entropy.bytes::<32>())
            )));
        };
        let length = given
            .expose()
            .strip_prefix(PREFIX)
            .and_then(|base64| STANDARD.decode(base64).ok())
            .map(|key| key.len());
        if length.is_some_and(|length| (24..=64).contains(&length)) {
            Ok(given)
        } else {
            Err(invalid(
                "/secret",
                "a signing secret is `whsec_` and the base64 of 24 to 64 bytes: leave it out to have one made",
            ))
        }
    }
}

fn description(text: String) -> Result<String, ManageError> {
    if text.chars().count() > 1_000 {
        return Err(invalid(
            "/description",
            "a description has at most 1,000 characters",
        ));
    }
    Ok(text)
}

fn triggers(names: &[String]) -> Result<Vec<Trigger>, ManageError> {
    let mut triggers = Vec::with_capacity(names.len());
    for name in names {
        let trigger =
            Trigger::parse(name).map_err(|error| invalid("/triggers", error.to_string()))?;
        if !triggers.contains(&trigger) {
            triggers.push(trigger);
        }
    }
    if triggers.is_empty() {
        return Err(invalid(
            "/triggers",
            "name at least one trigger: `tidings webhook triggers` lists them",
        ));
    }
    Ok(triggers)
}
