//! `drives/{id}` and `users/{id}/drive`: their items, by id and by names.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};
use tidings_domain::resource::ChangeType;

use super::{
    Answer, GraphError, answer,
    call::Call,
    delta,
    page::{self, Window},
    route::{DriveName, DrivePart, DrivePlace, DriveRoute},
};
use crate::{
    directory::User,
    drive::{Drive, DriveError},
    mailbox::item::Item,
    notify::{self, Changed},
};

/// How many items a page holds unless `$top` says otherwise (Microsoft's "list children of a driveItem" page).
const PAGE: usize = 200;

/// Answers a call to a drive.
pub(super) fn serve(call: &Call<'_>, method: &Method, route: DriveRoute<'_>) -> Answer {
    call.caller.need("Files", *method != Method::GET)?;
    let user = match route.drive {
        DriveName::User(name) => call.user(&name)?,
        DriveName::Id(id) => {
            let owner = call.caller.tenant.owner_of_drive(&id);
            owner.ok_or_else(|| not_found(&DriveError::NotFound))?
        }
    };
    let drive = &user.drive;
    match route.what {
        DrivePart::Drive if *method == Method::GET => Ok(describe(&user)),
        DrivePart::Delta { token } if *method == Method::GET => {
            delta::items(call, &user, token.as_deref())
        }
        DrivePart::Item(place) => item(call, method, &user, &place),
        DrivePart::Children(place) => {
            let folder = find(drive, &place)?;
            match *method {
                Method::GET => children(call, drive, &folder),
                Method::POST => create(call, &user, &folder),
                _ => Err(answer::method_not_allowed()),
            }
        }
        DrivePart::Content(place) if *method == Method::PUT => put_content(call, &user, place),
        _ => Err(answer::method_not_allowed()),
    }
}

fn item(call: &Call<'_>, method: &Method, user: &User, place: &DrivePlace<'_>) -> Answer {
    let drive = &user.drive;
    let found = find(drive, place)?;
    match *method {
        Method::GET => Ok(entity(StatusCode::OK, drive, &found)),
        Method::PATCH => {
            let stamp = user.stamp(call.moment(), &*call.world.entropy);
            let changed = drive.change(&found.id, &call.members()?, &stamp)?;
            raise(call, user, std::slice::from_ref(&changed));
            Ok(entity(StatusCode::OK, drive, &changed))
        }
        Method::DELETE => {
            let gone = drive.delete(&found.id, call.moment())?;
            raise(call, user, &gone);
            Ok(answer::empty(StatusCode::NO_CONTENT))
        }
        _ => Err(answer::method_not_allowed()),
    }
}

fn children(call: &Call<'_>, drive: &Drive, folder: &Item) -> Answer {
    call.refuse_options()?;
    let window = Window::read(call, PAGE)?;
    let all = drive.children(&folder.id);
    let (page, more) = window.cut(&all);
    let values = page.iter().map(|item| Value::Object(drive.json(item)));
    let context = format!("drives('{}')/items('{}')/children", drive.id, folder.id);
    Ok(answer::json(
        StatusCode::OK,
        page::of_values(call, &context, values, window, more),
    ))
}

/// Makes a folder, or an empty file, in a folder.
fn create(call: &Call<'_>, user: &User, folder: &Item) -> Answer {
    let members = call.members()?;
    let name = members
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let drive = &user.drive;
    let stamp = user.stamp(call.moment(), &*call.world.entropy);
    let made = if members.contains_key("folder") {
        drive.create_folder(folder, name, &stamp)?
    } else if drive.walk(&folder.id, [name]).is_some() {
        return Err(DriveError::NameTaken.into());
    } else {
        drive.put_file(folder, name, 0, &stamp)?
    };
    raise(call, user, std::slice::from_ref(&made));
    Ok(entity(StatusCode::CREATED, drive, &made))
}

/// Puts a file, or another content in one that is there.
fn put_content(call: &Call<'_>, user: &User, mut place: DrivePlace<'_>) -> Answer {
    let drive = &user.drive;
    let stamp = user.stamp(call.moment(), &*call.world.entropy);
    let size = u64::try_from(call.body.len()).unwrap_or(u64::MAX);
    let there = find(drive, &place).ok();
    let (status, put) = match (there, place.names.pop()) {
        (Some(file), _) => (StatusCode::OK, drive.put_content(&file, size, &stamp)?),
        (None, Some(name)) => {
            let folder = find(drive, &place)?;
            let made = drive.put_file(&folder, &name, size, &stamp)?;
            (StatusCode::CREATED, made)
        }
        (None, None) => return Err(DriveError::NotFound.into()),
    };
    raise(call, user, std::slice::from_ref(&put));
    Ok(entity(status, drive, &put))
}

fn find(drive: &Drive, place: &DrivePlace<'_>) -> Result<Arc<Item>, GraphError> {
    let names = place.names.iter().map(|name| &**name);
    drive
        .walk(&place.from, names)
        .ok_or_else(|| DriveError::NotFound.into())
}

fn describe(user: &User) -> Response<Full<Bytes>> {
    let body = json!({
        "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#drives/$entity",
        "driveType": "business",
        "id": user.drive.id,
        "name": "OneDrive",
        "owner": {"user": {"displayName": user.name, "email": user.mail, "id": user.id}},
        "quota": {"deleted": 0, "remaining": 1_099_511_627_776_u64, "state": "normal", "total": 1_099_511_627_776_u64},
    });
    answer::json(StatusCode::OK, body.to_string().into())
}

fn entity(status: StatusCode, drive: &Drive, item: &Item) -> Response<Full<Bytes>> {
    let mut fields = drive.json(item);
    let context = format!(
        "https://graph.microsoft.com/v1.0/$metadata#drives('{}')/items/$entity",
        drive.id
    );
    fields.insert("@odata.context".into(), context.into());
    answer::json(status, Value::Object(fields).to_string().into())
}

fn raise(call: &Call<'_>, user: &User, items: &[Arc<Item>]) {
    let tenant = call.caller.tenant.id;
    notify::changed(
        call.world,
        tenant,
        Changed::Drive(user, items),
        ChangeType::Updated,
    );
}

fn not_found(error: &DriveError) -> GraphError {
    GraphError::new(StatusCode::NOT_FOUND, "itemNotFound", error.to_string())
}

impl From<DriveError> for GraphError {
    fn from(error: DriveError) -> Self {
        let (status, code) = match error {
            DriveError::NotFound => return not_found(&error),
            DriveError::NameTaken => (StatusCode::CONFLICT, "nameAlreadyExists"),
            DriveError::Invalid(_) => (StatusCode::BAD_REQUEST, "invalidRequest"),
        };
        Self::new(status, code, error.to_string())
    }
}
