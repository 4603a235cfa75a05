//! One tenant.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use serde_json::{Map, Value};
use uuid::Uuid;

use super::{Exists, Groups, User};
use crate::{
    delta::{Journal, Moment, Removal},
    team::Teams,
};

/// One tenant: its consents, users, groups and teams.
#[derive(Debug)]
pub(crate) struct Tenant {
    /// Its id.
    pub(crate) id: Uuid,
    /// Its domain.
    pub(crate) domain: String,
    consents: RwLock<Vec<Consent>>,
    users: RwLock<Users>,
    /// Its groups.
    pub(crate) groups: Groups,
    /// Those of the groups that are teams.
    pub(crate) teams: Teams,
    /// Changes of users; written while `users` is held, so that both have the same order.
    pub(crate) user_journal: Journal,
}

/// An app's consent in a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Consent {
    /// The app.
    pub(crate) app: Uuid,
    /// The app's own object in the tenant: what `creatorId` names.
    pub(crate) service_principal: Uuid,
    /// What the app may do: the `roles` of its tokens.
    pub(crate) roles: Vec<String>,
}

#[derive(Debug, Default)]
struct Users {
    by_age: Vec<Arc<User>>,
    by_id: HashMap<Uuid, Arc<User>>,
    by_mail: HashMap<String, Arc<User>>,
    by_drive: HashMap<String, Arc<User>>,
    deleted: HashMap<Uuid, Arc<User>>,
}

impl Tenant {
    /// An empty tenant.
    pub(crate) fn new(id: Uuid, domain: String) -> Self {
        Self {
            id,
            domain,
            consents: RwLock::default(),
            users: RwLock::default(),
            groups: Groups::default(),
            teams: Teams::default(),
            user_journal: Journal::default(),
        }
    }

    /// Consents to an app, or to an app with other roles.
    pub(crate) fn consent(&self, consent: Consent) {
        let mut consents = self
            .consents
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        consents.retain(|other| other.app != consent.app);
        consents.push(consent);
    }

    /// Takes a consent back; whether there was one.
    pub(crate) fn revoke(&self, app: Uuid) -> bool {
        let mut consents = self
            .consents
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let before = consents.len();
        consents.retain(|consent| consent.app != app);
        consents.len() < before
    }

    /// The consent to an app.
    pub(crate) fn consent_to(&self, app: Uuid) -> Option<Consent> {
        let consents = self.consents.read().unwrap_or_else(PoisonError::into_inner);
        consents.iter().find(|consent| consent.app == app).cloned()
    }

    /// The app that was consented to first.
    pub(super) fn first_app(&self) -> Option<Uuid> {
        let consents = self.consents.read().unwrap_or_else(PoisonError::into_inner);
        consents.first().map(|consent| consent.app)
    }

    /// The user that a path calls by id or address.
    pub(crate) fn user(&self, name: &str) -> Option<Arc<User>> {
        let users = self.users.read().unwrap_or_else(PoisonError::into_inner);
        match name.parse() {
            Ok(id) => users.by_id.get(&id),
            Err(_) => users.by_mail.get(&name.to_lowercase()),
        }
        .cloned()
    }

    /// Whose drive it is.
    pub(crate) fn owner_of_drive(&self, drive: &str) -> Option<Arc<User>> {
        let users = self.users.read().unwrap_or_else(PoisonError::into_inner);
        users.by_drive.get(drive).cloned()
    }

    /// Whether a user was deleted and can be restored.
    pub(crate) fn is_deleted_user(&self, id: Uuid) -> bool {
        let users = self.users.read().unwrap_or_else(PoisonError::into_inner);
        users.deleted.contains_key(&id)
    }

    /// Every user, oldest first.
    pub(crate) fn users(&self) -> Vec<Arc<User>> {
        self.users
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .by_age
            .clone()
    }

    /// Adds a user.
    pub(crate) fn add_user(&self, user: User, moment: Moment) -> Result<Arc<User>, Exists> {
        let mut users = self.users.write().unwrap_or_else(PoisonError::into_inner);
        let user = Arc::new(user);
        users.put(&user)?;
        self.user_journal.record(&user.profile(), None, moment);
        Ok(user)
    }

    /// Changes members of a user's profile.
    pub(crate) fn update_user(&self, user: &User, members: Map<String, Value>, moment: Moment) {
        let _ordered = self.users.write().unwrap_or_else(PoisonError::into_inner);
        let profile = user.update(members);
        self.user_journal.record(&profile, None, moment);
    }

    /// Deletes a user so that they can be restored.
    pub(crate) fn delete_user(&self, id: Uuid, moment: Moment) -> Option<Arc<User>> {
        let mut users = self.users.write().unwrap_or_else(PoisonError::into_inner);
        let user = users.take(id)?;
        users.deleted.insert(id, Arc::clone(&user));
        self.user_journal
            .record(&user.profile(), Some(Removal::Changed), moment);
        Some(user)
    }

    /// Brings a deleted user back; `None` if there is none.
    pub(crate) fn restore_user(
        &self,
        id: Uuid,
        moment: Moment,
    ) -> Result<Option<Arc<User>>, Exists> {
        let mut users = self.users.write().unwrap_or_else(PoisonError::into_inner);
        let Some(user) = users.deleted.get(&id).cloned() else {
            return Ok(None);
        };
        users.put(&user)?;
        users.deleted.remove(&id);
        self.user_journal.record(&user.profile(), None, moment);
        Ok(Some(user))
    }

    /// Deletes a deleted user for good.
    pub(crate) fn purge_user(&self, id: Uuid, moment: Moment) -> Option<Arc<User>> {
        let mut users = self.users.write().unwrap_or_else(PoisonError::into_inner);
        let user = users.deleted.remove(&id)?;
        self.user_journal
            .record(&user.profile(), Some(Removal::Deleted), moment);
        Some(user)
    }
}

impl Users {
    fn put(&mut self, user: &Arc<User>) -> Result<(), Exists> {
        let mail = user.mail.to_lowercase();
        if self.by_mail.contains_key(&mail) || self.by_id.contains_key(&user.id) {
            return Err(Exists(format!("a user {}", user.mail)));
        }
        self.by_age.push(Arc::clone(user));
        self.by_id.insert(user.id, Arc::clone(user));
        self.by_mail.insert(mail, Arc::clone(user));
        self.by_drive
            .insert(user.drive.id.clone(), Arc::clone(user));
        Ok(())
    }

    fn take(&mut self, id: Uuid) -> Option<Arc<User>> {
        let user = self.by_id.remove(&id)?;
        self.by_mail.remove(&user.mail.to_lowercase());
        self.by_drive.remove(&user.drive.id);
        self.by_age.retain(|other| other.id != id);
        Some(user)
    }
}
