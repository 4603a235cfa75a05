//! Which thing is changed, and what becomes of it.

use std::{collections::BTreeMap, sync::Arc};

use uuid::Uuid;

use super::{
    Action, Kind,
    deed::{self, Deed},
};
use crate::{control::ControlError, world::World};

/// What a scenario has made in a mailbox and beside it, and still knows of.
#[derive(Debug, Default)]
pub(super) struct Things {
    ids: BTreeMap<Kind, Vec<String>>,
    /// How many were ever made: names differ.
    made: u64,
    /// The team that channels are made in.
    team: Option<Uuid>,
}

/// Does something to one of `things`, or makes one; what was done, and to which. `draw` decides.
pub(super) fn act(
    world: &Arc<World>,
    user: Uuid,
    things: &mut Things,
    (kind, action): (Kind, Action),
    draw: u64,
) -> Result<(Action, Option<String>), ControlError> {
    if kind == Kind::Channels && things.team.is_none() {
        things.team = Some(deed::make_team(world, user)?);
    }
    let deed = Deed {
        world,
        user,
        team: things.team.unwrap_or_default(),
        draw,
    };
    let ids = things.ids.entry(kind).or_default();
    // Those who have the mailboxes are updated like those beside them, and are the last of them.
    let owners = usize::from(kind == Kind::Users && action == Action::Update);
    let Some(place) = place(draw, ids.len() + owners).filter(|_| action != Action::Create) else {
        things.made += 1;
        let id = deed.create(kind, things.made)?;
        ids.push(id.clone());
        return Ok((Action::Create, Some(id)));
    };
    let Some(id) = ids.get(place).cloned() else {
        deed.update(kind, &user.to_string())?;
        return Ok((action, Some(user.to_string())));
    };
    let moves = matches!(kind, Kind::DriveItems | Kind::Groups | Kind::Messages);
    let (action, done) = match action {
        Action::Delete => (action, deed.delete(kind, &id).map(|()| None)),
        Action::Move if moves => (action, deed.shift(kind, &id).map(Some)),
        _ => (
            Action::Update,
            deed.update(kind, &id).map(|()| Some(id.clone())),
        ),
    };
    match done {
        Ok(Some(left)) => {
            ids[place].clone_from(&left);
            Ok((action, Some(left)))
        }
        Ok(None) => {
            ids.swap_remove(place);
            Ok((action, Some(id)))
        }
        // An app, or a test, was faster.
        Err(ControlError::NotFound(_)) => {
            ids.swap_remove(place);
            Ok((action, None))
        }
        Err(error) => Err(error),
    }
}

fn place(draw: u64, count: usize) -> Option<usize> {
    let count = u64::try_from(count).ok().filter(|count| *count > 0)?;
    usize::try_from(draw % count).ok()
}
