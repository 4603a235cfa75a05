//! Who is in a group, as a part of what tells its versions apart.
//!
//! A group changes when somebody joins or leaves it, and the object that Graph gives of it looks as before. So its version is
//! made of both. Where Graph does not say who is in it (a hidden membership, some ten thousands of members), the object alone
//! has to do.

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use tidings_domain::resource::ResourceKind;
use tidings_graph::{
    CallError,
    client::{Access, GraphClient},
    resource::{ItemPath, ListRequest, People, SubscriptionPath},
};

/// The longest list that is read, in bytes: some thirty thousand members in thirty calls.
const CAP: usize = 4 << 20;

/// The name of a group's version with its `object`, where who is in it matters to the subscription; `None` of other kinds.
pub(crate) async fn version(
    graph: &GraphClient,
    access: &Access,
    watched: &SubscriptionPath,
    item: &ItemPath,
    object: &[u8],
) -> Result<Option<String>, CallError> {
    if item.kind() != ResourceKind::Group {
        return Ok(None);
    }
    let people = if watched.canonical().ends_with("/owners") {
        People::Owners
    } else {
        People::Members
    };
    let Some(request) = ListRequest::people_of(item, people) else {
        return Ok(None);
    };
    let listed = match graph.list(access, &request, CAP).await {
        Ok(listed) => Some(listed),
        Err(CallError::Forbidden { .. } | CallError::TooLarge | CallError::NotFound) => None,
        Err(error) => return Err(error),
    };
    let mut ids: Vec<String> = listed
        .into_iter()
        .flatten()
        .map(|entry| entry.id.to_ascii_lowercase())
        .collect();
    ids.sort_unstable();
    Ok(Some(name(object, &ids)))
}

fn name(object: &[u8], ids: &[String]) -> String {
    let mut text = digest(&SHA256, object).as_ref().to_vec();
    for id in ids {
        text.extend_from_slice(id.as_bytes());
        text.push(0);
    }
    URL_SAFE_NO_PAD.encode(digest(&SHA256, &text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_the_object_and_who_is_in_it() {
        let ids = |ids: &[&str]| ids.iter().map(|&id| id.to_owned()).collect::<Vec<_>>();
        let all = [
            name(b"{}", &ids(&[])),
            name(b"{}", &ids(&["a"])),
            name(b"{}", &ids(&["a", "b"])),
            name(b"{}", &ids(&["ab"])),
            name(b"{ }", &ids(&["a"])),
        ];
        for (place, one) in all.iter().enumerate() {
            assert!(!all[..place].contains(one));
        }
    }
}
