//! Integrations.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use tidings_domain::{
    Secret,
    ids::{EnvironmentId, IntegrationId},
    integration::{GLOBAL_GRAPH_URL, GLOBAL_LOGIN_URL, Integration, IntegrationKey, WebhookSecret},
};
use url::Url;

use super::{Manage, ManageError, invalid};
use crate::directory::Change;

/// An integration that somebody asks for, as typed.
#[derive(Clone, Debug)]
pub struct NewIntegration {
    /// Where it is to live.
    pub environment: EnvironmentId,
    /// Its name in URLs.
    pub key: String,
    /// The app registration's id.
    pub client_id: String,
    /// The app registration's secret.
    pub client_secret: Secret,
    /// The clientState of subscriptions made by hand; made at random if none is given.
    pub webhook_secret: Option<Secret>,
    /// Where tokens come from; the global cloud if none is given.
    pub login_url: Option<String>,
    /// Where Graph is; the global cloud if none is given.
    pub graph_url: Option<String>,
}

impl Manage {
    /// Makes an integration.
    pub async fn create_integration(
        &self,
        new: NewIntegration,
    ) -> Result<Integration, ManageError> {
        let integration = Integration {
            id: self.ids.next(),
            environment: new.environment,
            key: new
                .key
                .parse::<IntegrationKey>()
                .map_err(|error| invalid("/key", error.to_string()))?,
            client_id: client_id(&new.client_id)?,
            client_secret: client_secret(new.client_secret)?,
            webhook_secret: self.webhook_secret(new.webhook_secret.as_ref())?,
            login_url: self.service_url(
                "/login_url",
                new.login_url.as_deref(),
                GLOBAL_LOGIN_URL,
            )?,
            graph_url: self.service_url(
                "/graph_url",
                new.graph_url.as_deref(),
                GLOBAL_GRAPH_URL,
            )?,
            created_at: self.clock.now(),
        };
        let create = self.store.create_integration(integration.clone());
        let change = Change::Integration(integration.id);
        self.directory.change(change, create).await?;
        Ok(integration)
    }

    /// Removes an integration without connections; `false` if there is none.
    pub async fn delete_integration(&self, id: IntegrationId) -> Result<bool, ManageError> {
        let delete = self.store.delete_integration(id);
        let change = Change::Integration(id);
        Ok(self.directory.change(change, delete).await?)
    }

    /// The URL that Graph is to send the notifications of `integration` to.
    pub fn notification_url(&self, integration: &Integration) -> Url {
        notification_url(&self.public_url, integration)
    }

    fn webhook_secret(&self, given: Option<&Secret>) -> Result<WebhookSecret, ManageError> {
        let made;
        let text = if let Some(given) = given {
            given.expose()
        } else {
            made = Secret::new(URL_SAFE_NO_PAD.encode(self.entropy.bytes::<32>()));
            made.expose()
        };
        WebhookSecret::parse(text).map_err(|error| invalid("/webhook_secret", error.to_string()))
    }

    fn service_url(
        &self,
        pointer: &'static str,
        given: Option<&str>,
        global: &str,
    ) -> Result<Url, ManageError> {
        let text = given
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .unwrap_or(global);
        let url = Url::parse(text)
            .map_err(|error| invalid(pointer, format!("this is no absolute URL: {error}")))?;
        // Paths, versions and tenants are ours to add: whoever gives some means something that would not happen.
        let plain = url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        if !plain {
            return Err(invalid(
                pointer,
                format!(
                    "give scheme, host and port only, as in {global}: tenant, version and path are added"
                ),
            ));
        }
        self.graph_reach
            .check(&url)
            .map_err(|detail| invalid(pointer, detail))?;
        Ok(url)
    }
}

/// The URL under `public_url` that Graph is to send the notifications of `integration` to.
///
/// A path of the public URL is kept: there may be a proxy in front that takes it off.
pub fn notification_url(public_url: &Url, integration: &Integration) -> Url {
    let mut url = public_url.clone();
    url.set_query(None);
    url.set_fragment(None);
    let environment = integration.environment.to_string();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty()
            .extend(["webhook", &environment, integration.key.as_str()]);
    }
    url
}

/// The URL under `public_url` that Graph is to send the lifecycle notifications of `integration` to.
pub fn lifecycle_url(public_url: &Url, integration: &Integration) -> Url {
    let mut url = notification_url(public_url, integration);
    if let Ok(mut path) = url.path_segments_mut() {
        path.push("lifecycle");
    }
    url
}

fn client_id(text: &str) -> Result<String, ManageError> {
    let text = text.trim();
    if text.is_empty() || text.len() > 128 || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(invalid(
            "/client_id",
            "give the app registration's `Application (client) ID`, a GUID",
        ));
    }
    Ok(text.to_owned())
}

fn client_secret(secret: Secret) -> Result<Secret, ManageError> {
    let text = secret.expose();
    if text.is_empty() || text.len() > 1_024 || text.chars().any(char::is_control) {
        return Err(invalid(
            "/client_secret",
            "give the value of a client secret of the app registration, without line breaks",
        ));
    }
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use tidings_domain::Timestamp;

    use super::*;

    fn integration() -> Integration {
        Integration {
            id: "int_01JDN7Q3F5Z8K0000000000000".parse().unwrap(),
            environment: "0d6e7a4e-5b3f-4f0a-9c61-7f7a4f0f6a11".parse().unwrap(),
            key: "mail.sync".parse().unwrap(),
            client_id: "app".to_owned(),
            client_secret: Secret::new("secret"),
            webhook_secret: WebhookSecret::parse("0123456789abcdef").unwrap(),
            login_url: Url::parse(GLOBAL_LOGIN_URL).unwrap(),
            graph_url: Url::parse(GLOBAL_GRAPH_URL).unwrap(),
            created_at: Timestamp::from_millis(0),
        }
    }

    #[test]
    fn notification_urls_stand_below_the_public_url() {
        let path = "webhook/0d6e7a4e-5b3f-4f0a-9c61-7f7a4f0f6a11/mail.sync";
        for (public, base) in [
            ("https://graph.example.com", "https://graph.example.com/"),
            (
                "https://example.com/tidings/",
                "https://example.com/tidings/",
            ),
            (
                "https://example.com/tidings?x=1#y",
                "https://example.com/tidings/",
            ),
        ] {
            let public = Url::parse(public).unwrap();
            assert_eq!(
                notification_url(&public, &integration()).as_str(),
                format!("{base}{path}")
            );
            assert_eq!(
                lifecycle_url(&public, &integration()).as_str(),
                format!("{base}{path}/lifecycle")
            );
        }
    }
}
