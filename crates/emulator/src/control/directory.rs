//! Tenants, apps, users.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use tidings_domain::Secret;
use uuid::Uuid;

use super::ControlError;
use crate::{
    directory::{Consent, NewUser, Tenant, TenantInfo, User, UserInfo, all_roles, new_secret},
    world::World,
};

/// A tenant to add.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct NewTenant {
    /// Its id; one is made if it is missing.
    #[serde(default)]
    pub id: Option<Uuid>,
    /// Its domain.
    pub domain: String,
    /// Whether the first app is consented in it at once.
    #[serde(default = "yes")]
    pub consent: bool,
}

fn yes() -> bool {
    true
}

/// An app to add, or to change.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewApp {
    /// Its client id; one is made if it is missing.
    #[serde(default)]
    pub client_id: Option<Uuid>,
    /// Its secret; one is made if it is missing.
    #[serde(default)]
    pub client_secret: Option<Secret>,
    /// The tenants that consent to it.
    #[serde(default)]
    pub tenants: Vec<Uuid>,
    /// What it may do there: everything that the emulator has, unless given.
    #[serde(default)]
    pub roles: Option<Vec<String>>,
}

/// An app with its secret, which protects emulated data only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AppInfo {
    /// Its client id.
    pub client_id: Uuid,
    /// Its secret.
    pub client_secret: String,
}

/// Adds a tenant.
pub(crate) fn add_tenant(world: &World, new: NewTenant) -> Result<TenantInfo, ControlError> {
    let id = new.id.unwrap_or_else(|| world.guid());
    let tenant = world.directory.add_tenant(Tenant::new(id, new.domain))?;
    if new.consent
        && let Some(first) = world.directory.info().first()
    {
        consent(world, &tenant, first.client_id, None);
    }
    world
        .directory
        .info()
        .into_iter()
        .find(|tenant| tenant.tenant_id == id)
        .ok_or(ControlError::NotFound("tenant"))
}

/// Adds a user.
pub(crate) fn add_user(
    world: &World,
    tenant: Uuid,
    new: NewUser,
) -> Result<UserInfo, ControlError> {
    let tenant = find_tenant(world, tenant)?;
    let id = new.id.unwrap_or_else(|| world.guid());
    let name = new.name.unwrap_or_else(|| new.mail.clone());
    let user = tenant.add_user(
        User::new(id, new.mail, name, &*world.entropy),
        world.moment(),
    )?;
    Ok(user.info())
}

/// Adds or changes an app.
pub(crate) fn put_app(world: &World, new: NewApp) -> Result<AppInfo, ControlError> {
    let client_id = new.client_id.unwrap_or_else(|| world.guid());
    let tenants = new
        .tenants
        .into_iter()
        .map(|id| find_tenant(world, id))
        .collect::<Result<Vec<_>, _>>()?;
    let secret = new
        .client_secret
        .or_else(|| world.directory.secret(client_id))
        .unwrap_or_else(|| new_secret(&*world.entropy));
    world.directory.put_app(client_id, secret.clone());
    for tenant in tenants {
        consent(world, &tenant, client_id, new.roles.clone());
    }
    Ok(AppInfo {
        client_id,
        client_secret: secret.expose().to_owned(),
    })
}

/// Takes a consent back.
pub(crate) fn revoke(world: &World, tenant: Uuid, app: Uuid) -> Result<bool, ControlError> {
    Ok(find_tenant(world, tenant)?.revoke(app))
}

/// A user of any tenant, with the tenant.
pub(crate) fn find_user(world: &World, user: Uuid) -> Result<(Uuid, Arc<User>), ControlError> {
    let name = user.to_string();
    world
        .directory
        .tenants()
        .iter()
        .find_map(|tenant| tenant.user(&name).map(|user| (tenant.id, user)))
        .ok_or(ControlError::NotFound("user"))
}

pub(super) fn find_tenant(world: &World, id: Uuid) -> Result<Arc<Tenant>, ControlError> {
    world
        .directory
        .tenant_by_id(id)
        .ok_or(ControlError::NotFound("tenant"))
}

fn consent(world: &World, tenant: &Tenant, app: Uuid, roles: Option<Vec<String>>) {
    tenant.consent(Consent {
        app,
        service_principal: tenant
            .consent_to(app)
            .map_or_else(|| world.guid(), |consent| consent.service_principal),
        roles: roles.unwrap_or_else(all_roles),
    });
}

pub(super) async fn list(State(world): State<Arc<World>>) -> Json<Vec<TenantInfo>> {
    Json(world.directory.info())
}

pub(super) async fn create_tenant(
    State(world): State<Arc<World>>,
    Json(new): Json<NewTenant>,
) -> Result<(StatusCode, Json<TenantInfo>), ControlError> {
    Ok((StatusCode::CREATED, Json(add_tenant(&world, new)?)))
}

pub(super) async fn create_user(
    State(world): State<Arc<World>>,
    Path(tenant): Path<Uuid>,
    Json(new): Json<NewUser>,
) -> Result<(StatusCode, Json<UserInfo>), ControlError> {
    Ok((StatusCode::CREATED, Json(add_user(&world, tenant, new)?)))
}

pub(super) async fn create_app(
    State(world): State<Arc<World>>,
    Json(new): Json<NewApp>,
) -> Result<(StatusCode, Json<AppInfo>), ControlError> {
    Ok((StatusCode::CREATED, Json(put_app(&world, new)?)))
}

pub(super) async fn remove_consent(
    State(world): State<Arc<World>>,
    Path((tenant, app)): Path<(Uuid, Uuid)>,
) -> Result<StatusCode, ControlError> {
    if revoke(&world, tenant, app)? {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(ControlError::NotFound("consent"))
}
