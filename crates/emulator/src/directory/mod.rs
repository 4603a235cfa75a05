//! Tenants, the apps consented in them, their users and groups.

mod groups;
mod seed;
mod tenant;
mod user;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, PoisonError, RwLock},
};

use serde::Serialize;
use tidings_domain::{Entropy, Secret};
use uuid::Uuid;

pub(crate) use groups::{Deletion, Groups};
pub(crate) use seed::{roles as all_roles, secret as new_secret};
pub(crate) use tenant::{Consent, Tenant};
pub use user::NewUser;
pub(crate) use user::User;

/// All tenants and apps.
#[derive(Debug)]
pub(crate) struct Directory {
    tenants: RwLock<Tenants>,
    apps: RwLock<BTreeMap<Uuid, Secret>>,
}

#[derive(Debug, Default)]
struct Tenants {
    by_age: Vec<Arc<Tenant>>,
    by_id: HashMap<Uuid, Arc<Tenant>>,
}

/// A tenant as tests and the command line need it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TenantInfo {
    /// Its id.
    pub tenant_id: Uuid,
    /// Its domain, which sign-in takes as well.
    pub domain: String,
    /// An app that is consented in it.
    pub client_id: Uuid,
    /// The secret of that app. It protects emulated data only, so it is shown.
    pub client_secret: String,
    /// Its users.
    pub users: Vec<UserInfo>,
}

/// A user as tests and the command line need it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UserInfo {
    /// Their id.
    pub id: Uuid,
    /// Their address, which paths take as well.
    pub mail: String,
}

/// Something to be made exists already.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} exists already: choose another")]
pub struct Exists(pub String);

impl Directory {
    /// The two tenants that every emulator begins with, with one app consented in both.
    pub(crate) fn seeded(entropy: &dyn Entropy) -> Self {
        seed::directory(entropy)
    }

    /// The tenant that sign-in calls by its id or domain.
    pub(crate) fn tenant(&self, name: &str) -> Option<Arc<Tenant>> {
        match name.parse() {
            Ok(id) => self.tenant_by_id(id),
            Err(_) => self
                .tenants()
                .into_iter()
                .find(|tenant| tenant.domain.eq_ignore_ascii_case(name)),
        }
    }

    /// The tenant with this id.
    pub(crate) fn tenant_by_id(&self, id: Uuid) -> Option<Arc<Tenant>> {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        tenants.by_id.get(&id).cloned()
    }

    /// Every tenant, oldest first.
    pub(crate) fn tenants(&self) -> Vec<Arc<Tenant>> {
        self.tenants
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .by_age
            .clone()
    }

    /// The secret of an app, if there is such an app.
    pub(crate) fn secret(&self, app: Uuid) -> Option<Secret> {
        let apps = self.apps.read().unwrap_or_else(PoisonError::into_inner);
        apps.get(&app).cloned()
    }

    /// Adds a tenant.
    pub(crate) fn add_tenant(&self, tenant: Tenant) -> Result<Arc<Tenant>, Exists> {
        let mut tenants = self.tenants.write().unwrap_or_else(PoisonError::into_inner);
        if tenants
            .by_age
            .iter()
            .any(|other| other.id == tenant.id || other.domain.eq_ignore_ascii_case(&tenant.domain))
        {
            return Err(Exists(format!(
                "a tenant {} or {}",
                tenant.id, tenant.domain
            )));
        }
        let tenant = Arc::new(tenant);
        tenants.by_age.push(Arc::clone(&tenant));
        tenants.by_id.insert(tenant.id, Arc::clone(&tenant));
        Ok(tenant)
    }

    /// Adds an app, or gives one another secret.
    pub(crate) fn put_app(&self, app: Uuid, secret: Secret) {
        let mut apps = self.apps.write().unwrap_or_else(PoisonError::into_inner);
        apps.insert(app, secret);
    }

    /// Every tenant as tests need it, oldest first. A tenant without a consented app shows nil and an empty secret.
    pub(crate) fn info(&self) -> Vec<TenantInfo> {
        self.tenants()
            .iter()
            .map(|tenant| {
                let client_id = tenant.first_app().unwrap_or_default();
                TenantInfo {
                    tenant_id: tenant.id,
                    domain: tenant.domain.clone(),
                    client_id,
                    client_secret: self
                        .secret(client_id)
                        .map(|secret| secret.expose().to_owned())
                        .unwrap_or_default(),
                    users: tenant.users().iter().map(|user| user.info()).collect(),
                }
            })
            .collect()
    }
}
