//! Graph's HTTP face: what is below `/v1.0/` and `/beta/`.
//!
//! | module | holds |
//! | --- | --- |
//! | `call` | who calls, and what handlers need of a call |
//! | `batch` | `$batch`: many calls in one |
//! | `failure` | what faults make of a call before it is looked at |
//! | `route` | what a path means |
//! | `error`, `answer` | answers |
//! | `page` | lists, `$top`, `$skip`, `$select`, nextLink |
//! | `users`, `groups`, `deleted`, `teams` | the directory, and what Teams keeps of it |
//! | `events`, `messages`, `contacts`, `folders`, `read` | mailboxes |
//! | `drives` | files and folders |
//! | `delta` | delta queries |
//! | `subscriptions` | subscriptions |

mod answer;
mod batch;
mod call;
mod contacts;
mod deleted;
mod delta;
mod drives;
mod error;
mod events;
mod failure;
mod folders;
mod groups;
mod immutable;
mod messages;
mod page;
mod read;
mod route;
mod subscriptions;
mod teams;
mod users;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Response, StatusCode, Uri, header};
use http_body_util::Full;

pub(crate) use call::{Caller, Trace};
pub(crate) use error::GraphError;
pub(crate) use failure::{Failure, close, failure};
pub(crate) use route::segments;

use crate::{
    fault::Target,
    mailbox::InvalidItem,
    throttle::{Ask, Passage},
    world::World,
};
use call::Call;
use folders::Of;
use route::{ContactRoute, GroupRoute, Route};

/// What a handler makes.
type Answer = Result<Response<Full<Bytes>>, GraphError>;

/// A request, with its body read.
pub(crate) struct Incoming {
    /// The method.
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) uri: Uri,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The body.
    pub(crate) body: Bytes,
    /// Whether it came over TLS.
    pub(crate) tls: bool,
}

impl Incoming {
    /// The version, and the path below it.
    fn target(&self) -> (&str, &str) {
        let path = self.uri.path().trim_start_matches('/');
        path.split_once('/').unwrap_or_default()
    }
}

/// Marks an answer that is none: the connection is to be closed instead.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CloseConnection;

/// Answers a call to Graph.
pub(crate) async fn handle(world: &Arc<World>, incoming: Incoming) -> Response<Full<Bytes>> {
    let (_, path) = incoming.target();
    if path.trim_end_matches('/').eq_ignore_ascii_case("$batch") {
        return batch::handle(world, incoming).await;
    }
    single(world, incoming).await
}

/// Answers a call on its own, or as a part of a batch: it cannot tell.
async fn single(world: &Arc<World>, incoming: Incoming) -> Response<Full<Bytes>> {
    let trace = Trace::new(world, &incoming.headers);
    let (version, path) = incoming.target();
    let route = Route::parse(path);
    let count_name = route.count_name(&incoming.method);
    let shows_items = route.shows_mailbox_items();
    let caller = Caller::read(world, &incoming.headers, trace.now);
    let passage = caller.as_ref().ok().map(|caller| {
        let ask = Ask {
            caller,
            method: &incoming.method,
            path,
            query: incoming.uri.query(),
        };
        world.throttle.enter(&ask, world.clock.monotonic())
    });
    let result = match failure(world, Target::Graph, count_name).await {
        Some(Failure::Close) => return close(),
        Some(Failure::Error(error)) => Err(error),
        None => match passage.as_ref().and_then(Passage::refusal) {
            Some(refusal) => Err(refusal),
            None => serve(world, &trace, caller, &incoming, version, path, route).await,
        },
    };
    let mut response = result.unwrap_or_else(|error| error.into_response(&trace));
    if shows_items && call::prefers_immutable_ids(&incoming.headers) {
        response = immutable::translate(response).await;
    }
    if let Some(passage) = &passage {
        passage.tell(response.headers_mut());
    }
    world.ledger.called(count_name, response.status().as_u16());
    trace.name(&mut response);
    response
}

async fn serve(
    world: &Arc<World>,
    trace: &Trace,
    caller: Result<Caller, GraphError>,
    incoming: &Incoming,
    version: &str,
    path: &str,
    route: Route<'_>,
) -> Answer {
    let call = Call {
        world,
        caller: caller?,
        trace,
        query: call::query(incoming.uri.query()),
        base: base(incoming, version),
        prefer: call::prefer(&incoming.headers),
        path,
        body: incoming.body.clone(),
    };
    let method = &incoming.method;
    match route {
        Route::CalendarView { user } if *method == Method::GET => {
            events::calendar_view(&call, &user)
        }
        Route::Contact(route) => contact(&call, method, route),
        Route::DeletedItem { id } if *method == Method::DELETE => deleted::purge(&call, &id),
        Route::Delta(route) if *method == Method::GET => delta::serve(&call, route),
        Route::Event { user, id } => events::single(&call, method, &user, &id),
        Route::Events { user } => events::collection(&call, method, &user),
        Route::Folder { user, folder } => folders::single(&call, method, Of::Mail, &user, &folder),
        Route::Folders { user, parent } => {
            folders::collection(&call, method, Of::Mail, &user, parent.as_deref())
        }
        Route::Message { user, folder, id } => {
            messages::single(&call, method, &user, folder.as_deref(), &id)
        }
        Route::MessageMove { user, id } if *method == Method::POST => {
            messages::moves(&call, &user, &id)
        }
        Route::Messages { user, folder } => {
            messages::collection(&call, method, &user, folder.as_deref())
        }
        Route::Reauthorize { id } if *method == Method::POST => {
            subscriptions::reauthorize(&call, &id)
        }
        Route::Restore { id } if *method == Method::POST => deleted::restore(&call, &id),
        Route::SendMail { user } if *method == Method::POST => messages::send(&call, &user),
        Route::Subscription { id } => subscriptions::single(&call, method, &id).await,
        Route::Subscriptions => subscriptions::collection(&call, method).await,
        Route::User { user } => users::single(&call, method, &user),
        Route::Users => users::collection(&call, method),
        Route::Drive(route) => drives::serve(&call, method, route),
        Route::Group(route) => group(&call, method, route),
        Route::Me => Err(GraphError::new(
            StatusCode::BAD_REQUEST,
            "BadRequest",
            "/me request is only valid with delegated authentication flow.",
        )),
        Route::Unknown => Err(GraphError::new(
            StatusCode::BAD_REQUEST,
            "BadRequest",
            format!("Resource not found for the segment '{path}': the emulator does not have it."),
        )),
        _ => Err(answer::method_not_allowed()),
    }
}

fn contact(call: &Call<'_>, method: &Method, route: ContactRoute<'_>) -> Answer {
    match route {
        ContactRoute::Collection { user, folder } => {
            contacts::collection(call, method, &user, folder.as_deref())
        }
        ContactRoute::Folder { user, folder } => {
            folders::single(call, method, Of::Contacts, &user, &folder)
        }
        ContactRoute::Folders { user, parent } => {
            folders::collection(call, method, Of::Contacts, &user, parent.as_deref())
        }
        ContactRoute::Single { user, folder, id } => {
            contacts::single(call, method, &user, folder.as_deref(), &id)
        }
    }
}

fn group(call: &Call<'_>, method: &Method, route: GroupRoute<'_>) -> Answer {
    match route {
        GroupRoute::Channel { team, channel } => teams::channel(call, method, &team, &channel),
        GroupRoute::Channels { team } => teams::channels(call, method, &team),
        GroupRoute::Collection => groups::collection(call, method),
        GroupRoute::Member { group, member } if *method == Method::DELETE => {
            groups::remove_member(call, &group, &member)
        }
        GroupRoute::Members { group } if *method == Method::GET => groups::members(call, &group),
        GroupRoute::MemberRefs { group } if *method == Method::POST => {
            groups::add_member(call, &group)
        }
        GroupRoute::Single { group } => groups::single(call, method, &group),
        GroupRoute::Team { team } if *method == Method::GET => teams::single(call, &team),
        GroupRoute::TeamOf { group } if *method == Method::PUT => teams::create(call, &group),
        GroupRoute::Teams if *method == Method::GET => teams::collection(call),
        _ => Err(answer::method_not_allowed()),
    }
}

/// Scheme, host and version under which a client reached us.
fn base(incoming: &Incoming, version: &str) -> String {
    let host = incoming
        .headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .or_else(|| incoming.uri.authority().map(http::uri::Authority::as_str))
        .unwrap_or("graph.microsoft.com");
    let scheme = if incoming.tls { "https" } else { "http" };
    format!("{scheme}://{host}/{version}")
}

impl From<InvalidItem> for GraphError {
    fn from(invalid: InvalidItem) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            match invalid {
                InvalidItem::EndBeforeStart => "ErrorPropertyValidationFailure",
                InvalidItem::Member { .. } => "RequestBodyRead",
            },
            invalid.to_string(),
        )
    }
}
