//! `POST /{tenant}/oauth2/v2.0/token`: the client credentials grant.

mod error;
pub(crate) mod jwt;
mod trouble;

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, header::AUTHORIZATION};
use serde_json::{Value, json};
use url::form_urlencoded;
use uuid::Uuid;

use crate::world::World;
pub(crate) use error::SignInError;
use jwt::Claims;
pub(crate) use trouble::Troubles;
pub use trouble::{SecretTrouble, Trouble};

/// The JSON of the answer to a request for a token.
pub(crate) fn token(
    world: &World,
    tenant: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Value, SignInError> {
    let form = Form::read(headers, body);
    let tenant = world
        .directory
        .tenant(tenant)
        .ok_or_else(|| SignInError::TenantNotFound {
            tenant: tenant.to_owned(),
        })?;
    let grant = form.need("grant_type")?;
    if grant != "client_credentials" {
        return Err(SignInError::UnsupportedGrant { grant });
    }
    let app = form.need("client_id")?;
    let scope = form.need("scope")?;
    // An emulator is called by another host name than Graph, and clients derive the scope from that.
    if !scope.ends_with("/.default") || scope.contains(' ') {
        return Err(SignInError::InvalidScope { scope });
    }
    let not_found = || SignInError::AppNotFound {
        app: app.clone(),
        tenant: tenant.domain.clone(),
    };
    let id: Uuid = app.parse().map_err(|_| not_found())?;
    let consent = tenant.consent_to(id).ok_or_else(not_found)?;
    let trouble = world.troubles.access(tenant.id, id);
    if let Some(error) = trouble.and_then(|trouble| trouble.error(&app, &tenant.domain)) {
        return Err(error);
    }
    let secret = world.directory.secret(id).ok_or_else(not_found)?;
    let broken = world.troubles.secret(id);
    if form.need("client_secret")? != secret.expose() || broken == Some(SecretTrouble::Wrong) {
        return Err(SignInError::InvalidSecret { app });
    }
    if broken == Some(SecretTrouble::Expired) {
        return Err(SignInError::ExpiredSecret { app });
    }
    let now = world.clock.now();
    let life = world.switches().token_seconds;
    let claims = Claims {
        tid: tenant.id,
        appid: id,
        roles: match trouble {
            Some(_) => Vec::new(),
            None => consent.roles,
        },
        exp: now
            .as_seconds()
            .saturating_add(i64::try_from(life).unwrap_or(i64::MAX)),
    };
    Ok(json!({
        "token_type": "Bearer",
        "expires_in": life,
        "ext_expires_in": life,
        "access_token": world.signer.issue(&claims, now, world.guid()),
    }))
}

/// The parameters of a request: of its form, or of HTTP Basic.
struct Form(Vec<(String, String)>);

impl Form {
    fn read(headers: &HeaderMap, body: &[u8]) -> Self {
        let mut pairs: Vec<(String, String)> = form_urlencoded::parse(body).into_owned().collect();
        if let Some((id, secret)) = basic(headers) {
            pairs.push(("client_id".to_owned(), id));
            pairs.push(("client_secret".to_owned(), secret));
        }
        Self(pairs)
    }

    fn need(&self, name: &'static str) -> Result<String, SignInError> {
        self.0
            .iter()
            .find(|(other, value)| other == name && !value.is_empty())
            .map(|(_, value)| value.clone())
            .ok_or(SignInError::Missing { parameter: name })
    }
}

/// Id and secret of HTTP Basic; both are form-encoded inside (RFC 6749 §2.3.1).
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let encoded = value.strip_prefix("Basic ")?;
    let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    let decode = |text: &str| {
        form_urlencoded::parse(format!("v={text}").as_bytes())
            .next()
            .map(|(_, value)| value.into_owned())
    };
    Some((decode(id)?, decode(secret)?))
}
