//! Who asks: the API key, what it may do, and in which environment.

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts, Request, State},
    middleware::Next,
    response::Response,
};
use http::{HeaderMap, HeaderName, Method, header, request::Parts};
use tidings_domain::{
    environment::Environment,
    ids::EnvironmentId,
    key::{ApiKey, Scope},
};
use tidings_pipeline::gateway::Gateway;

use crate::problem::{Code, Problem};

/// Names the environment, by id or name, for keys that span all.
pub(crate) const ENVIRONMENT: HeaderName = HeaderName::from_static("tidings-environment");

/// What the caller may do, and where. Nothing of another environment exists for this caller.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Access {
    /// The environment that the request is about.
    pub(crate) environment: EnvironmentId,
    /// What the key may do.
    pub(crate) scope: Scope,
    /// Whether the key spans all environments.
    pub(crate) spans: bool,
    /// Whether the request named its environment.
    pub(crate) named: bool,
}

impl Access {
    /// The environment whose keys the caller sees; `None` is all of them.
    pub(crate) fn keys_of(&self) -> Option<EnvironmentId> {
        (!self.spans || self.named).then_some(self.environment)
    }
}

/// Lets a request pass that has a key for it, and notes its [`Access`]. Looking needs any key; all other methods need
/// the scope `admin`, so that no handler can forget to ask.
pub(crate) async fn check(
    State(gateway): State<Arc<Gateway>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let access = access(&gateway, request.headers()).await?;
    let looks = matches!(*request.method(), Method::GET | Method::HEAD);
    if !looks && access.scope != Scope::Admin {
        return Err(Problem::new(
            Code::Forbidden,
            "this key has the scope `read`: a change needs a key with the scope `admin`",
        ));
    }
    request.extensions_mut().insert(access);
    Ok(next.run(request).await)
}

impl<S: Sync> FromRequestParts<S> for Access {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let access = parts.extensions.get().copied();
        access.ok_or_else(|| Problem::internal("a route stands outside of the check of keys"))
    }
}

async fn access(gateway: &Gateway, headers: &HeaderMap) -> Result<Access, Problem> {
    let text = bearer(headers).ok_or_else(|| {
        Problem::new(
            Code::Unauthorized,
            "send an API key in the header `authorization: Bearer tdk_…`",
        )
    })?;
    // A key goes with its environment, also where it is still remembered.
    let lives = |key: &ApiKey| {
        key.environment
            .is_none_or(|id| gateway.directory.environment(id).is_some())
    };
    let key = gateway.manage.key(text).await?.filter(lives);
    let key =
        key.ok_or_else(|| Problem::new(Code::Unauthorized, "there is no such API key (any more)"))?;
    tracing::Span::current().record("key.id", tracing::field::display(key.id));
    let named = match headers.get(ENVIRONMENT) {
        None => None,
        Some(name) => Some(name.to_str().map_err(|_| {
            Problem::new(
                Code::InvalidParameter,
                "the header `tidings-environment` has characters beyond ASCII: give the environment's id",
            )
        })?),
    };
    let environment = match (key.environment, named) {
        (Some(own), None) => own,
        (own, named) => choose(&gateway.store.environments().await?, own, named)?,
    };
    Ok(Access {
        environment,
        scope: key.scope,
        spans: key.environment.is_none(),
        named: named.is_some(),
    })
}

/// The environment that is `named`, of those that a key can see: its `own` one, or all. Unnamed it is the oldest, which
/// was made at the first start.
fn choose(
    all: &[Environment],
    own: Option<EnvironmentId>,
    named: Option<&str>,
) -> Result<EnvironmentId, Problem> {
    let mut seen = all.iter().filter(|one| own.is_none_or(|own| own == one.id));
    let found = match named {
        None => seen.next(),
        Some(named) => seen.find(|one| is_named(one, named)),
    };
    found.map(|one| one.id).ok_or_else(|| {
        let detail = named.map_or_else(
            || "there is no environment yet: make one first".to_owned(),
            |named| format!("there is no environment `{named}`"),
        );
        Problem::new(Code::NotFound, detail)
    })
}

/// Whether `named` is the id or the name of an environment.
pub(crate) fn is_named(environment: &Environment, named: &str) -> bool {
    environment.name == named || named.parse() == Ok(environment.id)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, key) = headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, StatusCode};
    use tidings_domain::Timestamp;

    use super::*;

    #[test]
    fn the_scheme_is_bearer_in_any_case() {
        let with = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, HeaderValue::from_static(value));
            bearer(&headers).map(str::to_owned)
        };
        assert_eq!(with("Bearer tdk_1"), Some("tdk_1".to_owned()));
        assert_eq!(with("bearer  tdk_1"), Some("tdk_1".to_owned()));
        for other in ["tdk_1", "Basic dGRrXzE6", ""] {
            assert_eq!(with(other), None, "{other}");
        }
    }

    #[test]
    fn a_key_chooses_among_what_it_can_see() {
        let environment = |number: u128, name: &str| Environment {
            id: EnvironmentId(uuid::Uuid::from_u128(number)),
            name: name.to_owned(),
            created_at: Timestamp::from_millis(0),
        };
        let all = [environment(1, "default"), environment(2, "prod")];
        let [default, prod] = [all[0].id, all[1].id];
        let chosen = |own, named: Option<&str>| {
            choose(&all, own, named).map_err(|problem| problem.code().status())
        };
        let capitals = prod.to_string().to_uppercase();
        assert_eq!(chosen(None, None), Ok(default));
        assert_eq!(chosen(None, Some("prod")), Ok(prod));
        assert_eq!(chosen(None, Some(&capitals)), Ok(prod));
        assert_eq!(chosen(None, Some("stage")), Err(StatusCode::NOT_FOUND));
        assert_eq!(chosen(Some(prod), Some("prod")), Ok(prod));
        assert_eq!(
            chosen(Some(prod), Some("default")),
            Err(StatusCode::NOT_FOUND)
        );
    }
}
