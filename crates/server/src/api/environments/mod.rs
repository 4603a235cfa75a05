//! Environments: isolated spaces. Named by id or name.

use serde::Serialize;
use tidings_domain::{Timestamp, environment::Environment, ids::EnvironmentId};
use tidings_pipeline::gateway::Gateway;

use super::access::{self, Access};
use crate::problem::{Code, Problem};

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod list;

/// An environment as it is shown.
#[derive(Debug, Serialize)]
pub(crate) struct EnvironmentJson<'a> {
    id: EnvironmentId,
    name: &'a str,
    created_at: Timestamp,
}

impl<'a> From<&'a Environment> for EnvironmentJson<'a> {
    fn from(environment: &'a Environment) -> Self {
        Self {
            id: environment.id,
            name: &environment.name,
            created_at: environment.created_at,
        }
    }
}

/// The environments that the caller can see, oldest first.
async fn seen(gateway: &Gateway, access: &Access) -> Result<Vec<Environment>, Problem> {
    let mut environments = gateway.store.environments().await?;
    environments.retain(|environment| access.spans || environment.id == access.environment);
    Ok(environments)
}

/// The environment with this id or name that the caller can see.
async fn find(gateway: &Gateway, access: &Access, name: &str) -> Result<Environment, Problem> {
    let mut environments = seen(gateway, access).await?.into_iter();
    environments
        .find(|environment| access::is_named(environment, name))
        .ok_or_else(|| Problem::new(Code::NotFound, format!("there is no environment `{name}`")))
}

/// Refuses a key of one environment: which environments there are is for those that span all.
fn spanning(access: &Access) -> Result<(), Problem> {
    if access.spans {
        Ok(())
    } else {
        Err(Problem::new(
            Code::Forbidden,
            "this key belongs to one environment: making and removing environments needs the first admin key",
        ))
    }
}
