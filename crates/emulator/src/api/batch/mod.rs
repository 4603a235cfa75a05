//! `$batch`: up to 20 calls in one (Microsoft's "JSON batching" page).
//!
//! Each part is routed, throttled, counted and spoilt by faults as if it had come alone.

mod read;
mod write;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use http_body_util::Full;
use tokio::{sync::Semaphore, task::JoinSet};
use uuid::Uuid;

use super::{
    Caller, CloseConnection, Failure, GraphError, Incoming, Trace, answer, close, failure, single,
};
use crate::{fault::Target, throttle::Service, world::World};
use read::Part;

/// The name under which batches are counted.
pub(super) const CALL: &str = "POST $batch";

/// How many parts of one batch are passed on to one mailbox at a time (Microsoft's "throttling limits" page).
const AT_A_TIME: usize = 4;

/// Answers a batch. Its own status says nothing about its parts.
pub(super) async fn handle(world: &Arc<World>, incoming: Incoming) -> Response<Full<Bytes>> {
    let trace = Trace::new(world, &incoming.headers);
    let result = match failure(world, Target::Graph, CALL).await {
        Some(Failure::Close) => return close(),
        Some(Failure::Error(error)) => Err(error),
        None => run(world, &trace, incoming).await,
    };
    let mut response = result.unwrap_or_else(|error| error.into_response(&trace));
    world.ledger.called(CALL, response.status().as_u16());
    trace.name(&mut response);
    response
}

async fn run(world: &Arc<World>, trace: &Trace, incoming: Incoming) -> super::Answer {
    let caller = Caller::read(world, &incoming.headers, trace.now)?;
    if incoming.method != Method::POST {
        return Err(answer::method_not_allowed());
    }
    let parts = read::parts(&incoming)?;
    let mailboxes = Mailboxes::default();
    let mut answers = Vec::with_capacity(parts.len());
    let mut waiting: Vec<Part> = Vec::new();
    let mut running = JoinSet::new();
    // What became of the parts that are done: whether they succeeded, by name.
    let mut done: HashMap<String, bool> = HashMap::new();
    let mut ready = parts;
    loop {
        for part in ready.drain(..) {
            if part.after.iter().all(|name| done.get(name) == Some(&true)) {
                let gate = mailboxes.gate(&caller, &part);
                running.spawn(one(Arc::clone(world), part, gate));
            } else if part.after.iter().any(|name| done.get(name) == Some(&false)) {
                done.insert(part.key(), false);
                let trace = Trace::new(world, &incoming.headers);
                let response = failed_dependency().into_response(&trace);
                answers.push((part.id, response));
            } else {
                waiting.push(part);
            }
        }
        if waiting.iter().any(|part| part.is_decided(&done)) {
            ready = std::mem::take(&mut waiting);
            continue;
        }
        let Some(ended) = running.join_next().await else {
            break;
        };
        // A part that panicked has failed a test already; the others are answered.
        let Ok((part, response)) = ended else {
            continue;
        };
        done.insert(part.key(), response.status().as_u16() < 400);
        answers.push((part.id, response));
        ready = std::mem::take(&mut waiting);
    }
    if world.switches().shuffled_batches {
        world.shuffle.shuffle(&mut answers);
    }
    let body = write::answers(answers).await;
    Ok(answer::json(StatusCode::OK, body))
}

/// One part, as if it had come alone.
async fn one(
    world: Arc<World>,
    mut part: Part,
    gate: Option<Arc<Semaphore>>,
) -> (Part, Response<Full<Bytes>>) {
    let _permit = match gate {
        None => None,
        Some(gate) => gate.acquire_owned().await.ok(),
    };
    let response = match part.incoming.take() {
        Some(incoming) => single(&world, incoming).await,
        None => gone(&world),
    };
    if response.extensions().get::<CloseConnection>().is_some() {
        // A part has no connection of its own that could be closed.
        return (part, gone(&world));
    }
    (part, response)
}

/// How many parts may be under way, by mailbox.
#[derive(Default)]
struct Mailboxes(Mutex<HashMap<Uuid, Arc<Semaphore>>>);

impl Mailboxes {
    /// What a part has to pass that goes to a mailbox.
    fn gate(&self, caller: &Caller, part: &Part) -> Option<Arc<Semaphore>> {
        let incoming = part.incoming.as_ref()?;
        let (_, path) = incoming.target();
        let Service::Outlook { mailbox } = Service::of(path) else {
            return None;
        };
        let user = caller.tenant.user(&mailbox)?;
        let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let gate = gates
            .entry(user.id)
            .or_insert_with(|| Arc::new(Semaphore::new(AT_A_TIME)));
        Some(Arc::clone(gate))
    }
}

/// What a part is answered that depends on one that failed.
fn failed_dependency() -> GraphError {
    GraphError::new(
        StatusCode::FAILED_DEPENDENCY,
        "FailedDependency",
        "The request failed because a request that it depends on failed.",
    )
}

/// What a part is answered that would have been no answer on a connection of its own.
fn gone(world: &World) -> Response<Full<Bytes>> {
    let trace = Trace::new(world, &http::HeaderMap::new());
    GraphError::new(
        StatusCode::GATEWAY_TIMEOUT,
        "UnknownError",
        "The service did not answer in time.",
    )
    .into_response(&trace)
}
