//! Recommendations over HTTP.

use serde_json::{Value, json};

use super::bounded::number;
use super::show::list;
use crate::handlers::api::{ApiError, Series};
use crate::handlers::recommend::{RECOMMEND, Reason, Recommendation};
use crate::proto::http1::{Method, Response};
use crate::proto::routes::{Family, HttpInput, Route};

pub(super) fn routes() -> Vec<Route> {
    vec![Route::http(Family::V1, Method::Get, "/api/v1/users/recommendations", RECOMMEND, limit)]
}

fn limit(input: &HttpInput<'_>) -> Result<u32, ApiError> {
    Ok(number(input, "limit", 1, LIMIT_MAX)?.unwrap_or(LIMIT_USUAL) as u32)
}

pub(super) fn show(recommendations: &[Recommendation]) -> Response {
    let items: Vec<Value> = recommendations.iter().map(recommendation).collect();
    let count = items.len();
    list(items, json!({"count": count}))
}

fn recommendation(recommendation: &Recommendation) -> Value {
    let titles = || recommendation.because.iter().map(|series| series.title.as_str()).collect::<Vec<_>>().join(", ");
    let (score, reason) = match &recommendation.reason {
        Reason::Like(score, _) => {
            (Some((f64::from(*score) * 1000.0).round() / 1000.0), format!("because you read {}", titles()))
        }
        Reason::PopularIn(genre) => (None, format!("popular in {genre}")),
        Reason::Popular => (None, "popular".to_owned()),
    };
    let named = |series: &Series| json!({"manga_id": series.slug, "title": series.title});
    json!({
        "manga_id": recommendation.series.slug,
        "manga_key": recommendation.series.id,
        "manga_title": recommendation.series.title,
        "score": score,
        "reason": reason,
        "because": recommendation.because.iter().map(|series| named(series)).collect::<Vec<Value>>(),
    })
}

/// How many series are recommended unasked, and at most.
const LIMIT_USUAL: i64 = 20;
const LIMIT_MAX: i64 = 50;
