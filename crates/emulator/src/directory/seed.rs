//! What every emulator begins with.

use std::{collections::BTreeSet, sync::RwLock};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use tidings_domain::{Entropy, Secret};
use tidings_graph::resource::table::ROWS;

use super::{Consent, Directory, Tenant, User};
use crate::{delta::Moment, ids};

/// Two tenants that have nothing in common but the app.
const TENANTS: [(&str, &[&str]); 2] = [
    (
        "fabrikam.example",
        &["Ada Byron", "Bo Lindqvist", "Chidi Okafor"],
    ),
    (
        "woodgrove.example",
        &["Dana Weiss", "Emre Aydin", "Farah Haddad"],
    ),
];

/// What an app may do unless told otherwise: change mailboxes, drives, users, groups and channels, and subscribe to everything in the table.
pub(crate) fn roles() -> Vec<String> {
    let written = [
        "Calendars.ReadWrite",
        "ChannelSettings.ReadWrite.All",
        "Contacts.ReadWrite",
        "Files.ReadWrite.All",
        "Group.ReadWrite.All",
        "Mail.ReadWrite",
        "User.ReadWrite.All",
    ];
    let needed = ROWS
        .iter()
        .filter_map(|row| row.permissions.application.first().copied());
    let all: BTreeSet<&str> = written.into_iter().chain(needed).collect();
    all.into_iter().map(str::to_owned).collect()
}

/// Two tenants with three users each, one app consented in both: the same for each seed of `entropy`.
pub(super) fn directory(entropy: &dyn Entropy) -> Directory {
    let directory = Directory {
        tenants: RwLock::default(),
        apps: RwLock::default(),
    };
    let app = ids::guid(entropy);
    directory.put_app(app, secret(entropy));
    for (domain, names) in TENANTS {
        let tenant = Tenant::new(ids::guid(entropy), domain.to_owned());
        tenant.consent(Consent {
            app,
            service_principal: ids::guid(entropy),
            roles: roles(),
        });
        for name in names {
            let first = name.split(' ').next().unwrap_or(name).to_lowercase();
            let user = User::new(
                ids::guid(entropy),
                format!("{first}@{domain}"),
                (*name).to_owned(),
                entropy,
            );
            tenant
                .add_user(user, Moment::default())
                .expect("invariant: the names of one tenant differ");
        }
        directory
            .add_tenant(tenant)
            .expect("invariant: the domains differ");
    }
    directory
}

/// A client secret in the form Entra gives: 40 characters, with `~` in it.
pub(crate) fn secret(entropy: &dyn Entropy) -> Secret {
    let text = URL_SAFE_NO_PAD.encode(entropy.bytes::<28>());
    Secret::new(format!("{}8Q~{}", &text[..3], &text[3..37]))
}

#[cfg(test)]
mod tests {
    use tidings_domain::entropy::SeededEntropy;

    use super::*;

    #[test]
    fn one_seed_gives_one_directory_with_the_app_in_both_tenants() {
        let one = directory(&SeededEntropy::new(5)).info();
        let same = directory(&SeededEntropy::new(5)).info();
        assert_eq!(one, same);
        assert_eq!(one.len(), 2);
        assert_eq!(one[0].client_id, one[1].client_id);
        assert_eq!(one[0].client_secret.len(), 40);
        assert_ne!(one[0].tenant_id, one[1].tenant_id);
        assert_eq!(one[0].users[0].mail, "ada@fabrikam.example");
        assert_ne!(one, directory(&SeededEntropy::new(6)).info());
    }
}
