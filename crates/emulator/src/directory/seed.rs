//! What every emulator begins with.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use tidings_domain::{Entropy, Secret};

use super::{Consent, Directory, Tenant, User};
use crate::ids;

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

/// What the app may do: the application permissions that subscriptions and data of mail, calendar and users need.
pub(crate) const ROLES: [&str; 3] = [
    "Calendars.ReadWrite",
    "Mail.ReadWrite",
    "User.ReadWrite.All",
];

/// Two tenants with three users each, one app consented in both: the same for each seed of `entropy`.
pub(super) fn directory(entropy: &dyn Entropy) -> Directory {
    let directory = Directory {
        tenants: std::sync::RwLock::default(),
        apps: std::sync::RwLock::default(),
    };
    let app = ids::guid(entropy);
    directory.put_app(app, secret(entropy));
    for (domain, names) in TENANTS {
        let tenant = Tenant::new(ids::guid(entropy), domain.to_owned());
        tenant.consent(Consent {
            app,
            service_principal: ids::guid(entropy),
            roles: ROLES.map(str::to_owned).to_vec(),
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
                .add_user(user)
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
