//! One call: who makes it, and what of its query and body the handlers need.

use std::{borrow::Cow, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, header};
use serde_json::{Map, Value};
use tidings_domain::Timestamp;
use url::form_urlencoded;
use uuid::Uuid;

use super::GraphError;
use crate::{
    delta::Moment,
    directory::{Tenant, User},
    world::World,
};

/// What names a call in answers and logs.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    /// When it came.
    pub(crate) now: Timestamp,
    /// The service's name for it.
    pub(crate) request_id: Uuid,
    /// The client's name for it.
    client_request_id: Option<String>,
}

/// Who makes a call.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The app.
    pub(crate) app: Uuid,
    /// In which tenant.
    pub(crate) tenant: Arc<Tenant>,
    /// Its own object there.
    pub(crate) service_principal: Uuid,
    /// What it may do.
    pub(crate) roles: Vec<String>,
    /// When its token expires.
    pub(crate) expires_at: Timestamp,
}

/// One call.
pub(super) struct Call<'a> {
    /// The emulator.
    pub(super) world: &'a Arc<World>,
    /// Who makes it.
    pub(super) caller: Caller,
    /// Its names.
    pub(super) trace: &'a Trace,
    /// The query, decoded.
    pub(super) query: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// Scheme, host and version under which the client reached us: what nextLinks begin with.
    pub(super) base: String,
    /// What the client would like (`Prefer`), in lower case.
    pub(super) prefer: String,
    /// The path as it came, below the version.
    pub(super) path: &'a str,
    /// The body.
    pub(super) body: Bytes,
}

impl Trace {
    /// Names a call that came now.
    pub(crate) fn new(world: &World, headers: &HeaderMap) -> Self {
        Self {
            now: world.clock.now(),
            request_id: world.guid(),
            client_request_id: headers
                .get("client-request-id")
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned),
        }
    }

    /// Writes both names, and the version of the protocol, into an answer.
    pub(super) fn name<B>(&self, response: &mut Response<B>) {
        let headers = response.headers_mut();
        for (name, value) in [
            ("client-request-id", self.client_request_id()),
            ("request-id", self.request_id.to_string()),
        ] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
        headers.insert("odata-version", HeaderValue::from_static("4.0"));
    }

    /// The client's name for the call; the service's where it gave none.
    pub(super) fn client_request_id(&self) -> String {
        self.client_request_id
            .clone()
            .unwrap_or_else(|| self.request_id.to_string())
    }
}

impl Caller {
    /// Who the token of a call says it is.
    pub(super) fn read(
        world: &World,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Result<Self, GraphError> {
        let token = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer"))
            .map(|(_, token)| token.trim())
            .ok_or_else(|| GraphError::token("Access token is empty."))?;
        let claims = world
            .signer
            .read(token, now)
            .map_err(|error| GraphError::token(error.to_string()))?;
        let tenant = world
            .directory
            .tenant_by_id(claims.tid)
            .ok_or_else(|| GraphError::token("The tenant of the token does not exist."))?;
        // Tokens outlive a consent, but then its object is gone.
        let service_principal = tenant
            .consent_to(claims.appid)
            .map(|consent| consent.service_principal)
            .ok_or_else(|| {
                GraphError::token(
                    "The identity of the calling application could not be established.",
                )
            })?;
        let delay = Duration::from_secs(world.switches().revocation_seconds);
        let refusal = world.troubles.refusal(tenant.id, claims.appid, now, delay);
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        Ok(Self {
            app: claims.appid,
            tenant,
            service_principal,
            roles: claims.roles,
            expires_at: Timestamp::from_millis(claims.exp.saturating_mul(1_000)),
        })
    }

    /// Refuses callers without a permission of this family: `Mail`, `Calendars`, `User`.
    pub(super) fn need(&self, family: &str, write: bool) -> Result<(), GraphError> {
        let suffices = |role: &String| {
            role.strip_prefix(family)
                .and_then(|rest| rest.strip_prefix('.'))
                .is_some_and(|rest| !write || rest.starts_with("ReadWrite"))
        };
        if self.roles.iter().any(suffices) {
            return Ok(());
        }
        Err(GraphError::forbidden())
    }
}

impl Call<'_> {
    /// Now, for changes.
    pub(super) fn moment(&self) -> Moment {
        self.world.moment()
    }

    /// The value of a preference, such as `odata.maxpagesize`.
    pub(super) fn preference(&self, name: &str) -> Option<&str> {
        preference(&self.prefer, name)
    }

    /// A query parameter; names know no case, and `$` may be left out.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(other, _)| {
                let other = other.strip_prefix('$').unwrap_or(other);
                other.eq_ignore_ascii_case(name)
            })
            .map(|(_, value)| &**value)
    }

    /// A query parameter that is a number.
    pub(super) fn number(&self, name: &str) -> Result<Option<usize>, GraphError> {
        self.parameter(name)
            .map(|text| {
                text.parse().map_err(|_| {
                    GraphError::invalid(format!("Invalid value '{text}' for ${name}."))
                })
            })
            .transpose()
    }

    /// Refuses query options that the emulator does not have, rather than to answer something else than was asked.
    pub(super) fn refuse_options(&self) -> Result<(), GraphError> {
        for option in ["filter", "search", "expand", "orderby"] {
            if self.parameter(option).is_some() {
                return Err(GraphError::invalid(format!(
                    "The emulator does not have ${option} here."
                )));
            }
        }
        Ok(())
    }

    /// The members of the body.
    pub(super) fn members(&self) -> Result<Map<String, Value>, GraphError> {
        match serde_json::from_slice(&self.body) {
            Ok(Value::Object(members)) => Ok(members),
            _ => Err(GraphError::new(
                http::StatusCode::BAD_REQUEST,
                "BadRequest",
                "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of \
                 valid JSON format.",
            )),
        }
    }

    /// The user that the path names.
    pub(super) fn user(&self, name: &str) -> Result<Arc<User>, GraphError> {
        self.caller
            .tenant
            .user(name)
            .ok_or_else(|| GraphError::user_not_found(name))
    }
}

/// Whether a client wants the ids of Outlook items that stay.
pub(super) fn prefers_immutable_ids(headers: &HeaderMap) -> bool {
    preference(&prefer(headers), "idtype") == Some("immutableid")
}

fn preference<'a>(prefer: &'a str, name: &str) -> Option<&'a str> {
    prefer
        .split([',', ';'])
        .filter_map(|one| one.split_once('='))
        .find(|(other, _)| other.trim() == name)
        .map(|(_, value)| value.trim().trim_matches('"'))
}

/// All that a client would like, in lower case.
pub(super) fn prefer(headers: &HeaderMap) -> String {
    let values = headers.get_all("prefer").iter();
    let texts: Vec<_> = values.filter_map(|value| value.to_str().ok()).collect();
    texts.join(",").to_ascii_lowercase()
}

/// The pairs of a query.
pub(super) fn query(text: Option<&str>) -> Vec<(Cow<'_, str>, Cow<'_, str>)> {
    text.map(|text| form_urlencoded::parse(text.as_bytes()).collect())
        .unwrap_or_default()
}
