//! What administrators do to an app: its access to a tenant, or its secret, is broken for a while.

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tidings_domain::Timestamp;
use uuid::Uuid;

use super::SignInError;
use crate::api::GraphError;

/// How an app's access to one tenant is broken. Until it is healed, sign-in answers with the code, and Graph refuses the tokens
/// that are there, at once or after the time that a switch says.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// The app is disabled: AADSTS7000112, and 401 of Graph.
    AppDisabled,
    /// The tenant does not know the app: AADSTS700016, and 401.
    AppNotFound,
    /// The administrator took the consent back: AADSTS65001, and 403.
    ConsentRevoked,
    /// The permissions were taken away, the app stayed: tokens are given and open nothing, 403.
    RolesRemoved,
    /// The app's own object in the tenant was deleted: AADSTS7000229, and 401.
    ServicePrincipalMissing,
}

/// How an app's secret is broken, for all tenants. Tokens that are there stay good.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretTrouble {
    /// It has expired: AADSTS7000222.
    Expired,
    /// It is another one: AADSTS7000215.
    Wrong,
}

/// All that is broken.
#[derive(Debug, Default)]
pub(crate) struct Troubles {
    access: RwLock<HashMap<(Uuid, Uuid), (Trouble, Timestamp)>>,
    secrets: RwLock<HashMap<Uuid, SecretTrouble>>,
}

impl Troubles {
    /// Breaks the access of `app` to `tenant` at `now`.
    pub(crate) fn break_access(&self, tenant: Uuid, app: Uuid, trouble: Trouble, now: Timestamp) {
        let mut access = self.access.write().unwrap_or_else(PoisonError::into_inner);
        access.insert((tenant, app), (trouble, now));
    }

    /// Heals it; whether it was broken.
    pub(crate) fn heal_access(&self, tenant: Uuid, app: Uuid) -> bool {
        let mut access = self.access.write().unwrap_or_else(PoisonError::into_inner);
        access.remove(&(tenant, app)).is_some()
    }

    /// Breaks the secret of `app`.
    pub(crate) fn break_secret(&self, app: Uuid, trouble: SecretTrouble) {
        let mut secrets = self.secrets.write().unwrap_or_else(PoisonError::into_inner);
        secrets.insert(app, trouble);
    }

    /// Heals it; whether it was broken.
    pub(crate) fn heal_secret(&self, app: Uuid) -> bool {
        let mut secrets = self.secrets.write().unwrap_or_else(PoisonError::into_inner);
        secrets.remove(&app).is_some()
    }

    /// How the access of `app` to `tenant` is broken now.
    pub(super) fn access(&self, tenant: Uuid, app: Uuid) -> Option<Trouble> {
        let access = self.access.read().unwrap_or_else(PoisonError::into_inner);
        access.get(&(tenant, app)).map(|(trouble, _)| *trouble)
    }

    /// How the secret of `app` is broken.
    pub(super) fn secret(&self, app: Uuid) -> Option<SecretTrouble> {
        let secrets = self.secrets.read().unwrap_or_else(PoisonError::into_inner);
        secrets.get(&app).copied()
    }

    /// Why Graph refuses `app` in `tenant` at `now`, if it has heard of the trouble, which takes `delay`.
    pub(crate) fn refusal(
        &self,
        tenant: Uuid,
        app: Uuid,
        now: Timestamp,
        delay: Duration,
    ) -> Option<GraphError> {
        let access = self.access.read().unwrap_or_else(PoisonError::into_inner);
        let (trouble, since) = access.get(&(tenant, app))?;
        if *since + delay > now {
            return None;
        }
        Some(match trouble {
            Trouble::AppDisabled | Trouble::AppNotFound | Trouble::ServicePrincipalMissing => {
                GraphError::token(
                    "The identity of the calling application could not be established.",
                )
            }
            Trouble::ConsentRevoked | Trouble::RolesRemoved => GraphError::forbidden(),
        })
    }
}

impl Trouble {
    /// Why sign-in gives no token, if it gives none.
    pub(super) fn error(self, app: &str, tenant: &str) -> Option<SignInError> {
        let (app, tenant) = (app.to_owned(), tenant.to_owned());
        match self {
            Self::AppDisabled => Some(SignInError::AppDisabled { app }),
            Self::AppNotFound => Some(SignInError::AppNotFound { app, tenant }),
            Self::ConsentRevoked => Some(SignInError::NotConsented { app }),
            Self::RolesRemoved => None,
            Self::ServicePrincipalMissing => Some(SignInError::NoServicePrincipal { app, tenant }),
        }
    }
}
