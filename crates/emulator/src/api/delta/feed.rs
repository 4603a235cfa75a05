//! One call: its page, its link, what faults make of it.

use http::StatusCode;
use serde_json::{Value, json};

use super::{
    begin::{self, Start},
    show::{self, Style},
};
use crate::{
    api::{Answer, GraphError, answer, call::Call},
    delta::{Ask, Baked, Change, DeltaOf, Journal, Page, Position, Scope, Token},
    fault::{DeltaFault, Fault},
};

/// A collection as delta queries show it.
pub(super) struct Feed<'a> {
    /// Which kind of collection.
    pub(super) of: DeltaOf,
    /// Which one: a link works for no other.
    pub(super) collection: String,
    /// What follows `$metadata#` in `@odata.context`.
    pub(super) context: &'a str,
    /// What of it is wanted, unless the call says.
    pub(super) scope: Scope,
    /// The generation of the service's memory: links of others are void.
    pub(super) generation: u32,
    /// How many changes a page holds unless the client says otherwise.
    pub(super) page: usize,
    /// Which service keeps it.
    pub(super) family: Family,
    /// The query options that the first call can have.
    pub(super) options: &'static [&'static str],
    /// A token that stands in the path.
    pub(super) path_token: Option<&'a str>,
}

/// Which service keeps a collection: they differ in links and errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Directory,
    Drive,
    Outlook,
}

/// A round under way.
struct Round {
    position: Position,
    /// Where it began.
    began: u64,
    baked: Baked,
}

impl Feed<'_> {
    /// Answers a call. `show` makes the JSON of a change.
    pub(super) fn answer(
        &self,
        call: &Call<'_>,
        journal: &Journal,
        show: &dyn Fn(&Change, &Style) -> Value,
    ) -> Answer {
        let now = call.trace.now;
        let horizon = journal.horizon(now);
        let round = match begin::read(call, self)? {
            Start::Anew(baked) => Round {
                position: Position::start(horizon),
                began: 0,
                baked,
            },
            Start::Latest(baked) => {
                let round = Round {
                    position: Position::round(horizon),
                    began: horizon,
                    baked,
                };
                return Ok(self.respond(call, &round, horizon, false, &[]));
            }
            Start::On(token) => self.go_on(call, token)?,
            Start::Since(time, baked) => {
                let began = journal.before(time);
                Round {
                    position: Position::round(began),
                    began,
                    baked,
                }
            }
        };
        if self.hit(call, &DeltaFault::EmptyPage) {
            return Ok(self.respond(call, &round, round.position.after, true, &[]));
        }
        let Page {
            changes,
            after,
            more,
        } = self.read(call, journal, &round);
        let style = Style::of(call, self.family, &round.baked);
        let mut values: Vec<Value> = changes.iter().map(|one| show(one, &style)).collect();
        if let Some(first) = changes.first()
            && self.hit(call, &DeltaFault::Twice)
        {
            let current = std::mem::replace(&mut values[0], show::earlier(first));
            values.push(current);
        }
        Ok(self.respond(call, &round, after, more, &values))
    }

    /// Where the link of `token` leads.
    fn go_on(&self, call: &Call<'_>, token: Token) -> Result<Round, GraphError> {
        self.spoil(call, &token)?;
        if !token.round_ended {
            return Ok(Round {
                position: token.position,
                began: token.before,
                baked: token.baked,
            });
        }
        let from = if self.hit(call, &DeltaFault::Replay) {
            token.before
        } else {
            token.position.after
        };
        Ok(Round {
            position: Position::round(from),
            began: token.position.after,
            baked: token.baked,
        })
    }

    /// Answers a link with what a fault says.
    fn spoil(&self, call: &Call<'_>, token: &Token) -> Result<(), GraphError> {
        let spoilt = call.world.faults.hit(|fault| match fault {
            Fault::Delta {
                of,
                what: what @ (DeltaFault::Gone { .. } | DeltaFault::Void { .. }),
                ..
            } if of.is_none_or(|of| of == self.of) => Some(what.clone()),
            _ => None,
        });
        match spoilt {
            Some(DeltaFault::Gone { code }) => Err(self.gone(call, Some(&token.baked), code)),
            Some(DeltaFault::Void { code, status }) => {
                let mut error = begin::void("The sync state generation is not found.");
                if let Some(code) = code {
                    error.code = code.into();
                }
                if let Some(status) = status.and_then(|status| StatusCode::from_u16(status).ok()) {
                    error.status = status;
                }
                Err(error)
            }
            _ => Ok(()),
        }
    }

    fn hit(&self, call: &Call<'_>, wanted: &DeltaFault) -> bool {
        let hit = call.world.faults.hit(|fault| match fault {
            Fault::Delta { of, what, .. } if what == wanted => {
                of.is_none_or(|of| of == self.of).then_some(())
            }
            _ => None,
        });
        hit.is_some()
    }

    fn read(&self, call: &Call<'_>, journal: &Journal, round: &Round) -> Page {
        let switches = call.world.switches();
        let scope = round.baked.scope();
        let preferred = call
            .preference("odata.maxpagesize")
            .filter(|_| self.family == Family::Outlook)
            .and_then(|size| size.parse().ok());
        let limit = preferred.or(round.baked.top).unwrap_or(self.page).max(1);
        journal.read(&Ask {
            position: round.position,
            limit: match switches.delta_page {
                0 => limit,
                most => limit.min(most),
            },
            now: call.trace.now,
            scope: scope.as_ref().unwrap_or(&self.scope),
            outside: scope.is_some() && switches.delta_outside_window,
            early_removals: switches.delta_early_removals,
            wanted: &|change| show::is_wanted(change, self.family, &round.baked),
        })
    }

    fn respond(
        &self,
        call: &Call<'_>,
        round: &Round,
        after: u64,
        more: bool,
        values: &[Value],
    ) -> http::Response<http_body_util::Full<bytes::Bytes>> {
        let token = Token {
            collection: self.collection.clone(),
            generation: self.generation,
            made_at: call.trace.now.as_millis(),
            position: Position {
                after,
                ..round.position
            },
            before: round.began,
            round_ended: !more,
            baked: round.baked.clone(),
        };
        let context = format!(
            "https://graph.microsoft.com/v1.0/$metadata#{}",
            self.context
        );
        let mut body = json!({"@odata.context": context, "value": values});
        let name = if more {
            "@odata.nextLink"
        } else {
            "@odata.deltaLink"
        };
        body[name] = self.link(call, &token).into();
        answer::json(StatusCode::OK, body.to_string().into())
    }

    fn link(&self, call: &Call<'_>, token: &Token) -> String {
        let path = format!("{}/{}", call.base, stem(call));
        let text = token.encode();
        match (self.family, token.round_ended) {
            // Both forms are in Microsoft's examples.
            (Family::Drive, true) => format!("{path}?token={text}"),
            (Family::Drive, false) => format!("{path}(token='{text}')"),
            (_, true) => format!("{path}?$deltatoken={text}"),
            (_, false) => format!("{path}?$skiptoken={text}"),
        }
    }

    /// 410, with the place at which to begin again.
    pub(super) fn gone(
        &self,
        call: &Call<'_>,
        baked: Option<&Baked>,
        code: Option<String>,
    ) -> GraphError {
        let (name, usual) = match self.family {
            Family::Drive => ("token", "resyncChangesApplyDifferences"),
            Family::Directory | Family::Outlook => ("$deltatoken", "resyncRequired"),
        };
        let query = baked
            .map(|baked| baked.query.as_str())
            .filter(|query| !query.is_empty())
            .map(|query| format!("{query}&"))
            .unwrap_or_default();
        let location = format!("{}/{}?{query}{name}=", call.base, stem(call));
        GraphError {
            location: Some(location),
            ..GraphError::new(
                StatusCode::GONE,
                code.unwrap_or_else(|| usual.to_owned()),
                "Resync required. Replace any local items with the server's version (including deletes).",
            )
        }
    }
}

/// The path of a call, without a token and in the short form.
fn stem(call: &Call<'_>) -> String {
    let before = call.path.rsplit_once('/').map_or("", |(before, _)| before);
    format!("{before}/delta")
}
