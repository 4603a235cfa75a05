//! The rules about what people configure.

use std::os::unix::fs::PermissionsExt as _;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use tidings_domain::{Secret, key::Scope};
use uuid::Uuid;

use super::*;
use crate::testing::{Graph, TENANT, World, reply};

mod doubt;

struct Desk {
    world: World,
    manage: Manage,
    deliver: Wake,
    _graph: Graph,
}

impl Desk {
    /// A desk whose sign-in answers the tenant `contoso.example` with a token of `tid`, and refuses all others.
    async fn new(tid: &str) -> Self {
        let claims = URL_SAFE_NO_PAD.encode(format!(r#"{{"tid":"{tid}"}}"#));
        let granted = format!(
            r#"{{"token_type":"Bearer","expires_in":3600,"access_token":"e30.{claims}.x"}}"#
        );
        let graph = Graph::start_with_sign_in(move |seen| {
            let answer = if seen.path.starts_with("/contoso.example/") {
                reply(200, granted.clone())
            } else {
                reply(
                    401,
                    r#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid.","error_codes":[7000215]}"#,
                )
            };
            std::future::ready(answer)
        })
        .await;
        let world = World::new(&graph.url).await;
        let mut egress = world.config.egress.clone();
        egress.allow_graph = vec!["127.0.0.0/8".parse().unwrap()];
        let deliver = Wake::new();
        let manage = manage(&world, Arc::clone(&world.store), egress, &deliver);
        Self {
            world,
            manage,
            deliver,
            _graph: graph,
        }
    }

    async fn connect(
        &self,
        tenant: &str,
    ) -> Result<tidings_domain::connection::Connection, ManageError> {
        let new = NewConnection {
            environment: self.world.environment,
            integration: "mail".to_owned(),
            tenant_id: tenant.to_owned(),
        };
        self.manage.connect(new).await
    }

    fn webhook(&self) -> NewWebhook {
        NewWebhook {
            environment: self.world.environment,
            url: "https://app.example/hook".to_owned(),
            description: "a test".to_owned(),
            triggers: vec!["event.created".to_owned()],
            connections: Vec::new(),
            secret: None,
        }
    }

    fn integration(&self) -> NewIntegration {
        NewIntegration {
            environment: self.world.environment,
            key: "calendar".to_owned(),
            client_id: "6f2b1c33-8a0e-4d6b-9b57-0a4f5c6d7e8f".to_owned(),
            client_secret: Secret::new("app secret"),
            webhook_secret: None,
            login_url: None,
            graph_url: None,
        }
    }
}

/// The verbs over the world, with its rows in `store`.
fn manage(world: &World, store: Arc<dyn Store>, egress: EgressConfig, deliver: &Wake) -> Manage {
    Manage::new(ManageParts {
        store,
        directory: Arc::clone(&world.directory),
        graph: world.graph.clone(),
        clock: Arc::new(world.clock.clone()),
        entropy: Arc::clone(&world.entropy),
        ids: Arc::clone(&world.ids),
        egress,
        public_url: "https://tidings.example".parse().unwrap(),
        deliver: deliver.clone(),
        policies: Wake::new(),
        connections: Wake::new(),
    })
}

/// Which member is refused.
fn refused<T>(answer: Result<T, ManageError>) -> &'static str {
    match answer {
        Err(ManageError::Invalid { pointer, .. }) => pointer,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was taken"),
    }
}

const NEW_TENANT: &str = "3f6a9f0e-77aa-4a57-9a2d-64f1b2d7c3a1";

#[tokio::test]
async fn a_tenant_given_by_domain_is_known_by_its_id() {
    let desk = Desk::new(NEW_TENANT).await;
    let connection = desk.connect("Contoso.Example").await.unwrap();
    assert_eq!(connection.tenant_id, NEW_TENANT.parse::<Uuid>().unwrap());
    let found = desk
        .world
        .directory
        .connection_for_tenant(desk.world.integration, connection.tenant_id);
    assert_eq!(found.unwrap().id, connection.id);
    for again in ["contoso.example", NEW_TENANT] {
        let answer = desk.connect(again).await;
        assert!(
            matches!(answer, Err(ManageError::Conflict { .. })),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn a_domain_of_a_connected_tenant_is_a_conflict() {
    let desk = Desk::new(TENANT).await;
    let answer = desk.connect("contoso.example").await;
    assert!(
        matches!(answer, Err(ManageError::Conflict { .. })),
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_refused_sign_in_connects_nothing_and_says_why() {
    let desk = Desk::new(NEW_TENANT).await;
    match desk.connect(NEW_TENANT).await {
        Err(ManageError::Graph(CallError::Credentials { code, .. })) => {
            assert_eq!(code, Some(7_000_215));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(refused(desk.connect("common").await), "/tenant_id");
    let missing = NewConnection {
        environment: desk.world.environment,
        integration: "nobody".to_owned(),
        tenant_id: NEW_TENANT.to_owned(),
    };
    assert!(matches!(
        desk.manage.connect(missing).await,
        Err(ManageError::Missing { .. })
    ));
}

#[tokio::test]
async fn integrations_get_a_secret_and_only_reachable_addresses() {
    let desk = Desk::new(TENANT).await;
    let made = desk
        .manage
        .create_integration(desk.integration())
        .await
        .unwrap();
    assert_eq!(made.webhook_secret.expose().len(), 43);
    assert_eq!(
        made.login_url.as_str(),
        "https://login.microsoftonline.com/"
    );
    assert_eq!(
        desk.manage.notification_url(&made).as_str(),
        format!(
            "https://tidings.example/webhook/{}/calendar",
            desk.world.environment
        )
    );
    let again = desk.manage.create_integration(desk.integration()).await;
    assert!(matches!(again, Err(ManageError::Conflict { .. })));
    let local = NewIntegration {
        key: "local".to_owned(),
        graph_url: Some("http://127.0.0.1:8080".to_owned()),
        ..desk.integration()
    };
    desk.manage.create_integration(local).await.unwrap();
    for (pointer, wrong) in [
        (
            "/key",
            NewIntegration {
                key: "No".to_owned(),
                ..desk.integration()
            },
        ),
        (
            "/client_id",
            NewIntegration {
                client_id: " ".to_owned(),
                ..desk.integration()
            },
        ),
        (
            "/client_secret",
            NewIntegration {
                client_secret: Secret::new("a\nb"),
                ..desk.integration()
            },
        ),
        (
            "/webhook_secret",
            NewIntegration {
                webhook_secret: Some(Secret::new("short")),
                ..desk.integration()
            },
        ),
        (
            "/login_url",
            NewIntegration {
                login_url: Some("http://10.0.0.1".to_owned()),
                ..desk.integration()
            },
        ),
        (
            "/graph_url",
            NewIntegration {
                graph_url: Some("https://169.254.169.254".to_owned()),
                ..desk.integration()
            },
        ),
        (
            "/graph_url",
            NewIntegration {
                graph_url: Some("https://graph.example/v1.0".to_owned()),
                ..desk.integration()
            },
        ),
        (
            "/graph_url",
            NewIntegration {
                graph_url: Some("graph.example".to_owned()),
                ..desk.integration()
            },
        ),
    ] {
        assert_eq!(
            refused(desk.manage.create_integration(wrong).await),
            pointer
        );
    }
}

#[tokio::test]
async fn webhooks_get_a_secret_and_what_they_name_must_exist() {
    let desk = Desk::new(TENANT).await;
    let made = desk.manage.create_webhook(desk.webhook()).await.unwrap();
    assert!(made.secret.expose().starts_with("whsec_"));
    assert!(desk.world.directory.webhook(made.id).is_some());
    let elsewhere = desk.manage.create_environment("dev").await.unwrap().id;
    let of_another = vec![desk.world.connection.to_string()];
    for (pointer, wrong) in [
        (
            "/url",
            NewWebhook {
                url: "http://app.example/".to_owned(),
                ..desk.webhook()
            },
        ),
        (
            "/url",
            NewWebhook {
                url: "https://127.0.0.1/".to_owned(),
                ..desk.webhook()
            },
        ),
        (
            "/url",
            NewWebhook {
                url: "app.example".to_owned(),
                ..desk.webhook()
            },
        ),
        (
            "/triggers",
            NewWebhook {
                triggers: vec!["event.create".to_owned()],
                ..desk.webhook()
            },
        ),
        (
            "/triggers",
            NewWebhook {
                triggers: Vec::new(),
                ..desk.webhook()
            },
        ),
        (
            "/connections",
            NewWebhook {
                connections: vec!["conn_x".to_owned()],
                ..desk.webhook()
            },
        ),
        (
            "/connections",
            NewWebhook {
                environment: elsewhere,
                connections: of_another,
                ..desk.webhook()
            },
        ),
        (
            "/secret",
            NewWebhook {
                secret: Some(Secret::new("whsec_c2hvcnQ=")),
                ..desk.webhook()
            },
        ),
        (
            "/description",
            NewWebhook {
                description: "x".repeat(1_001),
                ..desk.webhook()
            },
        ),
    ] {
        assert_eq!(refused(desk.manage.create_webhook(wrong).await), pointer);
    }
    let edit = WebhookEdit {
        enabled: Some(true),
        ..WebhookEdit::default()
    };
    let unseen = desk
        .manage
        .change_webhook(elsewhere, made.id, edit.clone())
        .await;
    assert!(
        unseen.unwrap().is_none(),
        "another environment's webhook is none"
    );
    desk.manage
        .change_webhook(desk.world.environment, made.id, edit)
        .await
        .unwrap()
        .unwrap();
    // What was held is due now.
    desk.deliver.wait().await;
}

#[tokio::test]
async fn a_key_opens_until_it_is_removed() {
    let desk = Desk::new(TENANT).await;
    let new = NewKey {
        environment: Some(desk.world.environment),
        name: "ci".to_owned(),
        scope: Scope::Read,
    };
    let (key, text) = desk.manage.create_key(new).await.unwrap();
    assert!(text.expose().starts_with(&key.prefix) && key.prefix.len() < 12);
    // From the store, then from memory.
    for _ in 0..2 {
        assert_eq!(
            desk.manage.key(text.expose()).await.unwrap(),
            Some(key.clone())
        );
    }
    for wrong in [
        "",
        "tdk_",
        "Bearer x",
        &text.expose()[1..],
        &format!("{}x", text.expose()),
    ] {
        assert_eq!(desk.manage.key(wrong).await.unwrap(), None, "{wrong}");
    }
    assert!(desk.manage.delete_key(key.id).await.unwrap());
    assert_eq!(desk.manage.key(text.expose()).await.unwrap(), None);
}

#[tokio::test]
async fn the_first_start_makes_one_admin_key_that_only_its_owner_can_read() {
    let desk = Desk::new(TENANT).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("admin.key");
    let environment = desk.manage.first_start(folder.path()).await.unwrap();
    assert_eq!(
        environment.id, desk.world.environment,
        "the oldest is the default one"
    );
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let key = desk.manage.key(&text).await.unwrap().unwrap();
    assert_eq!((key.environment, key.scope), (None, Scope::Admin));
    desk.manage.first_start(folder.path()).await.unwrap();
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        text,
        "a later start changes nothing"
    );
}
