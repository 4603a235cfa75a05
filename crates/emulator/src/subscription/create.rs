//! `POST /subscriptions`.

use std::sync::Arc;

use http::StatusCode;
use tidings_graph::resource::table::ResourceRow;

use super::{Subscription, book::Refused, handshake, lifetime, request::Body, target};
use crate::{
    api::{Caller, GraphError},
    world::World,
};

/// Members that are kept only to be given back.
const EXTRA: [&str; 5] = [
    "encryptionCertificate",
    "encryptionCertificateId",
    "latestSupportedTlsVersion",
    "notificationQueryOptions",
    "notificationUrlAppId",
];

/// Makes a subscription. The call stays open while the URLs are validated: first the one for notifications, then the
/// one for lifecycle notifications, even if it is the same. `immutable` says whether notifications are to have immutable ids.
pub(crate) async fn create(
    world: &World,
    caller: &Caller,
    body: &[u8],
    immutable: bool,
    request: uuid::Uuid,
) -> Result<Arc<Subscription>, GraphError> {
    let candidate = Subscription {
        immutable,
        ..read(world, caller, body)?
    };
    let check = world.book.check(&candidate, world.clock.now());
    check.map_err(|error| refused(&error))?;
    handshake::validate(world, &candidate.notification_url.url, request).await?;
    if let Some(lifecycle) = &candidate.lifecycle_url {
        handshake::validate(world, &lifecycle.url, request).await?;
    }
    // Another call may have made the same meanwhile.
    world
        .book
        .insert(candidate, world.clock.now())
        .map_err(|error| refused(&error))
}

fn read(world: &World, caller: &Caller, body: &[u8]) -> Result<Subscription, GraphError> {
    let body = Body::parse(body)?;
    body.refuse_web_push()?;
    let resource = body.need("resource")?;
    let change_type = body.need("changeType")?;
    let change_types = change_type.parse().map_err(|error| {
        GraphError::invalid(format!("Invalid 'changeType' attribute: {error}."))
    })?;
    let rich = body.flag("includeResourceData")?;
    let extra = body.strings(&EXTRA)?;
    if rich
        && !(extra.contains_key("encryptionCertificate")
            && extra.contains_key("encryptionCertificateId"))
    {
        return Err(GraphError::invalid(
            "encryptionCertificate and encryptionCertificateId are required when includeResourceData is true.",
        ));
    }
    check_certificate_id(&extra)?;
    check_tls_version(&extra)?;
    let notification_url = body
        .address("notificationUrl", world.require_https)?
        .ok_or_else(|| {
            GraphError::invalid("notificationUrl is a required property for subscription creation.")
        })?;
    let lifecycle_url = body.address("lifecycleNotificationUrl", world.require_https)?;
    let asked = body.time("expirationDateTime")?.ok_or_else(|| {
        GraphError::invalid("expirationDateTime is a required property for subscription creation.")
    })?;
    let found = target::find(&resource, change_types, rich, &caller.tenant)?;
    if !may(caller, found.row) {
        return Err(GraphError::forbidden());
    }
    let rule = lifetime::Rule::of(found.row, rich, &world.switches());
    let expires_at = lifetime::end(
        &rule,
        "Create",
        world.clock.now(),
        asked,
        lifecycle_url.is_some(),
    )?;
    Ok(Subscription {
        id: world.guid(),
        app: caller.app,
        tenant: caller.tenant.id,
        creator: caller.service_principal,
        resource,
        normal_resource: found.normal,
        row: found.row,
        watch: found.watch,
        folder: found.folder,
        change_type,
        change_types,
        notification_url,
        lifecycle_url,
        client_state: body.client_state()?,
        expires_at,
        rich,
        immutable: false,
        extra,
        patched_at: None,
        reauthorized_at: None,
        token_expires_at: caller.expires_at,
    })
}

/// Whether the token has a permission that suffices. A permission to write includes that to read in the emulator, where
/// apps have few permissions; Graph asks for the one to read.
fn may(caller: &Caller, row: &ResourceRow) -> bool {
    row.permissions.application.iter().any(|needed| {
        let stem = needed.split('.').next().unwrap_or(needed);
        caller
            .roles
            .iter()
            .any(|role| role == needed || role.split('.').next() == Some(stem))
    })
}

fn check_certificate_id(
    extra: &serde_json::Map<String, serde_json::Value>,
) -> Result<(), GraphError> {
    let id = extra
        .get("encryptionCertificateId")
        .and_then(|id| id.as_str());
    if id.is_some_and(|id| id.chars().count() > 128) {
        return Err(GraphError::invalid(
            "encryptionCertificateId must not be longer than 128 characters.",
        ));
    }
    Ok(())
}

fn check_tls_version(extra: &serde_json::Map<String, serde_json::Value>) -> Result<(), GraphError> {
    match extra
        .get("latestSupportedTlsVersion")
        .and_then(|version| version.as_str())
    {
        None | Some("v1_0" | "v1_1" | "v1_2" | "v1_3") => Ok(()),
        Some(other) => Err(GraphError::invalid(format!(
            "latestSupportedTlsVersion '{other}' is not one of v1_0, v1_1, v1_2, v1_3."
        ))),
    }
}

fn refused(refused: &Refused) -> GraphError {
    match refused {
        Refused::Duplicate(id) => GraphError::new(
            StatusCode::CONFLICT,
            "ObjectIdentifierInUse",
            format!("Subscription Id {id} already exists for the requested combination"),
        ),
        Refused::Quota(_) => GraphError::extension(
            StatusCode::FORBIDDEN,
            "Create",
            "Forbidden",
            "Maximum number of subscriptions has been reached",
        ),
    }
}
