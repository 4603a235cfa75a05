//! Tokens by client credentials (Microsoft's "OAuth 2.0 client credentials flow" page), kept and refreshed early.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method,
    header::{ACCEPT, CONTENT_TYPE},
};
use serde::Deserialize;
use tidings_domain::{Secret, Timestamp, ids::IntegrationId};
use url::{Url, form_urlencoded};
use uuid::Uuid;

use super::{Access, GraphClient, below, unreadable};
use crate::{
    error::{CallError, classify_token_error},
    wire::token::TokenAnswer,
};

/// The most of an answer that is read. Tokens have some 2 KB, with many roles some more.
const ANSWER_CAP: usize = 64 * 1024;

/// For so long a refusal stands without asking again, so that a broken credential is not hammered.
const REFUSAL_KEPT: Duration = Duration::from_secs(15);
/// The same for an outage.
const OUTAGE_KEPT: Duration = Duration::from_secs(2);
/// Nobody who asks for more waiting keeps a tenant shut for longer.
const LONGEST_KEPT: Duration = Duration::from_mins(1);

/// A token is not used in the last part of its life: the call that it goes out with takes its time.
const MARGIN: Duration = Duration::from_mins(1);

/// How many tokens are kept. More tenants than this only sign in more often.
const MOST_KEPT: usize = 8_192;

/// A token for one tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The token itself.
    pub value: Secret,
    /// The tenant that it says it is for (claim `tid`); `None` if it is not readable.
    pub tenant_id: Option<Uuid>,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// The tokens that are kept.
#[derive(Debug, Default)]
pub(super) struct Cache {
    slots: Mutex<HashMap<(IntegrationId, String), Arc<Slot>>>,
}

/// The token of one integration and tenant.
#[derive(Debug, Default)]
struct Slot {
    kept: Mutex<Option<Kept>>,
    /// Held by whoever is asking for a token, so that one asks for all.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Clone, Debug)]
struct Kept {
    /// What it was asked for with: other credentials make it worthless.
    access: Access,
    outcome: Result<Token, CallError>,
    /// On the monotonic clock: until when it can be used.
    until: Duration,
    /// From when on it is replaced by whoever comes first, while the others still use it.
    refresh_from: Duration,
}

impl GraphClient {
    /// A token to call Graph with.
    ///
    /// It is kept per integration and tenant, replaced before it ends, and asked for once however many wait for it. A
    /// refusal is kept some seconds too. Other credentials are asked with at once.
    pub async fn token(&self, access: &Access) -> Result<Token, CallError> {
        let slot = self.inner.tokens.slot(access, self.inner.clock.monotonic());
        let now = self.inner.clock.monotonic();
        let (guard, old) = match slot.usable(access, now) {
            Some(kept) if now < kept.refresh_from => return kept.outcome,
            Some(kept) => match slot.asking.try_lock() {
                Ok(guard) => (guard, Some(kept)),
                Err(_) => return kept.outcome,
            },
            None => (slot.asking.lock().await, None),
        };
        // Somebody else may have asked while we waited.
        let now = self.inner.clock.monotonic();
        if let Some(kept) = slot.usable(access, now)
            && now < kept.refresh_from
        {
            return kept.outcome;
        }
        let outcome = self.ask(access).await;
        let kept = match (outcome, old) {
            // The old one still works: it is used on, and replaced a little later.
            (Err(_), Some(old)) => Kept {
                refresh_from: self.inner.clock.monotonic() + REFUSAL_KEPT,
                ..old
            },
            (outcome, _) => self.keep(access, outcome),
        };
        let outcome = kept.outcome.clone();
        *slot.lock() = Some(kept);
        drop(guard);
        outcome
    }

    /// Forgets a token that Graph refused, unless it has been replaced already.
    pub(super) fn forget_token(&self, access: &Access, refused: &Token) {
        let slot = self.inner.tokens.slot(access, self.inner.clock.monotonic());
        let mut kept = slot.lock();
        if kept
            .as_ref()
            .is_some_and(|kept| kept.outcome.as_ref() == Ok(refused))
        {
            *kept = None;
        }
    }

    fn keep(&self, access: &Access, outcome: Result<Token, CallError>) -> Kept {
        let now = self.inner.clock.monotonic();
        let life = match &outcome {
            Ok(token) => {
                let life = self.inner.clock.now().until(token.expires_at);
                life.saturating_sub(MARGIN.min(life / 10))
            }
            Err(error) if error.is_transient() => error
                .retry_after()
                .unwrap_or_default()
                .clamp(OUTAGE_KEPT, LONGEST_KEPT),
            Err(_) => REFUSAL_KEPT,
        };
        // Between 80 and 90 % of its life, so that tokens that were got together are not replaced together.
        let early = life.mul_f64(0.8 + 0.1 * self.inner.entropy.fraction());
        Kept {
            access: access.clone(),
            refresh_from: now + if outcome.is_ok() { early } else { life },
            outcome,
            until: now + life,
        }
    }

    async fn ask(&self, access: &Access) -> Result<Token, CallError> {
        let url = below(&access.login_url, &token_path(&access.tenant)?)?;
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("client_id", &access.client_id)
            .append_pair("scope", &scope(&access.graph_url))
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_secret", access.client_secret.expose())
            .finish();
        let mut headers = HeaderMap::with_capacity(4);
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let answer = self
            .send(Method::POST, url, headers, Bytes::from(form), ANSWER_CAP)
            .await?;
        let now = self.inner.clock.now();
        if !answer.status.is_success() {
            return Err(classify_token_error(
                answer.status,
                &answer.headers,
                &answer.body,
                now,
            ));
        }
        let granted: TokenAnswer =
            serde_json::from_slice(&answer.body).map_err(|error| unreadable(&error))?;
        Ok(Token {
            tenant_id: tenant_of(granted.access_token.expose()),
            expires_at: now + Duration::from_secs(granted.expires_in),
            value: granted.access_token,
        })
    }
}

impl Cache {
    fn slot(&self, access: &Access, now: Duration) -> Arc<Slot> {
        let key = (access.integration, access.tenant.to_ascii_lowercase());
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= MOST_KEPT && !slots.contains_key(&key) {
            slots.retain(|_, slot| slot.lock().as_ref().is_some_and(|kept| now < kept.until));
            if slots.len() >= MOST_KEPT {
                slots.clear();
            }
        }
        Arc::clone(slots.entry(key).or_default())
    }
}

impl Slot {
    /// What is kept, if it was asked for with the same credentials and has not ended.
    fn usable(&self, access: &Access, now: Duration) -> Option<Kept> {
        self.lock()
            .as_ref()
            .filter(|kept| now < kept.until && kept.access == *access)
            .cloned()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a tenant's tokens come from.
fn token_path(tenant: &str) -> Result<String, CallError> {
    let fits = (1..=255).contains(&tenant.len())
        && tenant
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
        && !tenant.starts_with('.');
    if fits {
        Ok(format!("{tenant}/oauth2/v2.0/token"))
    } else {
        Err(CallError::Rejected {
            status: 0,
            code: String::new(),
            message: "a tenant is a GUID or a domain".to_owned(),
            request_id: None,
        })
    }
}

/// All that the app has been granted at this Graph. National clouds have their own address here.
fn scope(graph_url: &Url) -> String {
    format!("{}/.default", graph_url.as_str().trim_end_matches('/'))
}

/// The claim `tid` of a token. It is read, not verified: it came from the sign-in itself.
fn tenant_of(token: &str) -> Option<Uuid> {
    #[derive(Deserialize)]
    struct Claims {
        tid: Uuid,
    }
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Claims = serde_json::from_slice(&claims).ok()?;
    Some(claims.tid)
}
