//! `subscriptions`, `subscriptions/{id}`, `subscriptions/{id}/reauthorize`.

use http::{Method, StatusCode};

use super::{
    Answer, GraphError, answer,
    call::Call,
    page::{self, Window},
};
use crate::{
    notify::{challenge, pause},
    subscription::{Subscription, change, create},
};

/// Lists or makes subscriptions.
pub(super) async fn collection(call: &Call<'_>, method: &Method) -> Answer {
    match *method {
        Method::GET => {
            call.refuse_options()?;
            let top = call.world.switches().subscription_page.max(1);
            let window = Window {
                skip: call.number("skip")?.unwrap_or(0),
                top,
            };
            let caller = &call.caller;
            let all = call
                .world
                .book
                .of(caller.app, caller.tenant.id, call.trace.now);
            let (page, more) = window.cut(&all);
            let values = page.iter().map(|subscription| subscription.listed());
            Ok(answer::json(
                StatusCode::OK,
                page::of_values(call, "subscriptions", values, window, more),
            ))
        }
        Method::POST => {
            let made = create::create(
                call.world,
                &call.caller,
                &call.body,
                call.preference("idtype") == Some("immutableid"),
                call.trace.request_id,
            );
            let subscription = made.await?;
            challenge::watch(call.world, &subscription);
            Ok(answer::json(
                StatusCode::CREATED,
                subscription.entity().to_string().into(),
            ))
        }
        _ => Err(answer::method_not_allowed()),
    }
}

/// Reads, renews or removes a subscription.
pub(super) async fn single(call: &Call<'_>, method: &Method, id: &str) -> Answer {
    let (world, caller) = (call.world, &call.caller);
    match *method {
        Method::GET => {
            let subscription = change::find(world, caller, id)?;
            Ok(answer::json(
                StatusCode::OK,
                subscription.entity().to_string().into(),
            ))
        }
        Method::PATCH => {
            let patched = change::patch(world, caller, id, &call.body, call.trace.request_id);
            let subscription = patched.await?;
            authorized(call, &subscription);
            Ok(answer::json(
                StatusCode::OK,
                subscription.entity().to_string().into(),
            ))
        }
        Method::DELETE => {
            let subscription = change::find(world, caller, id)?;
            world
                .book
                .remove(subscription.id, world.clock.now())
                .ok_or_else(GraphError::subscription_not_found)?;
            challenge::acted(world, subscription.id);
            pause::forget(world, subscription.id);
            Ok(answer::empty(StatusCode::NO_CONTENT))
        }
        _ => Err(answer::method_not_allowed()),
    }
}

/// Reauthorizes a subscription.
pub(super) fn reauthorize(call: &Call<'_>, id: &str) -> Answer {
    let subscription = change::reauthorize(call.world, &call.caller, id)?;
    authorized(call, &subscription);
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

/// What follows where a subscription is authorized anew.
fn authorized(call: &Call<'_>, subscription: &Subscription) {
    challenge::acted(call.world, subscription.id);
    pause::release(call.world, subscription);
}
