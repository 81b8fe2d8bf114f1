//! Goals over HTTP.

use serde_json::{Value, json};

use super::show::data;
use super::stats::{ratio, zone};
use crate::handlers::api::ApiError;
use crate::handlers::goals::{DELETE, GET, LIST, Pursuit, Reply, SET};
use crate::proto::http1::{Method, Response};
use crate::proto::json::missing;
use crate::proto::routes::{Family, HttpInput, Route};
use crate::proto::time::rfc3339;
use crate::store::model::{Goal, Period};

pub(super) fn routes() -> Vec<Route> {
    use Method::{Delete, Get, Put};
    vec![
        Route::http(Family::V1, Get, "/api/v1/users/goals", LIST, zone),
        Route::http(Family::V1, Get, "/api/v1/users/goals/{period}", GET, |input| Ok((period(input)?, zone(input)?))),
        Route::http(Family::V1, Put, "/api/v1/users/goals/{period}", SET, read_set),
        Route::http(Family::V1, Delete, "/api/v1/users/goals/{period}", DELETE, period),
    ]
}

/// What is no period can have no goal.
fn period(input: &HttpInput<'_>) -> Result<Period, ApiError> {
    let expected = || format!("There is no such period: expected one of {}", Period::WORDS.join(", "));
    Period::parse(input.param()).ok_or_else(|| ApiError::not_found(expected()))
}

fn read_set(input: &HttpInput<'_>) -> Result<(Period, u32), ApiError> {
    let period = period(input)?;
    let target = input.body()?.integer("target", 1, TARGET_MAX)?.ok_or_else(|| missing("target"))?;
    Ok((period, target as u32))
}

pub(super) fn show(reply: Reply) -> Response {
    data(
        200,
        match reply {
            Reply::List(goals, zone, complete) => {
                let items: Vec<Value> = goals.iter().map(pursuit).collect();
                json!({"items": items, "timezone": zone.name, "complete": complete})
            }
            Reply::One(goal, zone, complete) => {
                json!({"goal": pursuit(&goal), "timezone": zone.name, "complete": complete})
            }
            Reply::Set(set) => json!({"goal": goal(&set)}),
        },
    )
}

pub(super) fn goal(goal: &Goal) -> Value {
    json!({
        "period": goal.period,
        "target": goal.target,
        "created_at": rfc3339(goal.created_at),
        "updated_at": rfc3339(goal.updated_at),
    })
}

fn pursuit(pursuit: &Pursuit) -> Value {
    let (goal, chapters) = (&pursuit.goal, pursuit.chapters);
    json!({
        "period": goal.period,
        "target": goal.target,
        "chapters": chapters,
        "left": u64::from(goal.target).saturating_sub(chapters),
        "share": ratio(chapters, goal.target.into()),
        "reached": chapters >= u64::from(goal.target),
        "from": pursuit.days.0.to_string(),
        "to": pursuit.days.1.to_string(),
        "created_at": rfc3339(goal.created_at),
        "updated_at": rfc3339(goal.updated_at),
    })
}

/// Nobody reads more in a year.
const TARGET_MAX: i64 = 100_000;
