//! `/admin/usage` and `/usage`: what was used, by day, key and model, as JSON or CSV.

mod csv;

use super::Failures;
use crate::auth::{Administer, Authorized, KeyStore, Scope};
use crate::http::HttpState;
use crate::http::error::{ApiError, ErrorType, Status};
use crate::http::extract::Query;
use crate::http::json::Json;
use crate::http::policy::{RoutePolicy, Routes};
use crate::ids::KeyId;
use crate::inference::RequestContext;
use crate::ledger::{self, Budget, Cursor, Day, Dimension, Measure, MonthUse, Report, Value};
use crate::limits::Counts;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, Uri, header};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use utoipa::ToSchema;
use utoipa_axum::routes;

pub(super) fn routes() -> Routes {
    let admin = RoutePolicy::scope(Scope::Admin).counting(Counts::Nothing);
    // Who has used up a month's budget may ask when it renews.
    let own = RoutePolicy::any_caller().counting(Counts::Pace);
    Routes::default()
        .add(admin, routes!(of_all))
        .add(own, routes!(own_use))
}

/// Rows of a page where the caller does not say.
const ROWS_DEFAULT: u32 = 1_000;
/// Rows of a page at most.
const ROWS_MAX: u32 = 10_000;
/// Bytes of the id of a key or of the name of a model that is asked for.
const NAME_BYTES_MAX: usize = 256;
/// What stands in a query for callers without a key, and for requests that ran no model.
const NONE: &str = "none";

/// What is asked. An empty value says nothing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UsageQuery {
    by: Option<String>,
    from: Option<String>,
    to: Option<String>,
    key: Option<String>,
    model: Option<String>,
    format: Option<String>,
    limit: Option<u32>,
    after: Option<String>,
}

/// A page of what was used.
#[derive(Serialize, ToSchema)]
struct UsageList {
    /// `list`.
    object: &'static str,
    /// The first day.
    #[schema(format = Date)]
    from: String,
    /// The last day.
    #[schema(format = Date)]
    to: String,
    /// What rows are summed up and sorted by.
    by: Vec<&'static str>,
    data: Vec<UsageRow>,
    has_more: bool,
    /// What `after` says for the next page.
    next: Option<String>,
    /// The month of the key, where one is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    budget: Option<BudgetView>,
}

/// A sum, with what it is the sum of.
#[derive(Default, Serialize, ToSchema)]
struct UsageRow {
    /// By `day`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = Date)]
    day: Option<String>,
    /// By `month`, such as `2030-01`.
    #[serde(skip_serializing_if = "Option::is_none")]
    month: Option<String>,
    /// By `key`: its id; null for callers without one, `(other)` beyond the rows of a day.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    key_id: Option<Option<String>>,
    /// By `key`: its name, while there is such a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    key_name: Option<Option<String>>,
    /// By `model`: its name; null for requests that ran none, `(other)` beyond the rows of a day.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    model: Option<Option<String>>,
    /// Requests that were admitted.
    requests: u64,
    /// Of those, requests that were answered with an error or broken off by one.
    failed_requests: u64,
    prompt_tokens: u64,
    completion_tokens: u64,
    /// Units of fuel, of failed runs as well.
    fuel: u64,
    /// Microseconds of runs on the wall clock.
    run_us: u64,
}

/// What a key has used in the month that it is, and what it may.
#[derive(Serialize, ToSchema)]
struct BudgetView {
    /// Such as `2030-01`.
    month: String,
    /// When the next month begins.
    #[schema(format = DateTime)]
    renews_at: String,
    fuel: MeasureView,
    tokens: MeasureView,
    requests: MeasureView,
}

/// One budget of a month.
#[derive(Serialize, ToSchema)]
struct MeasureView {
    used: u64,
    /// How much there may be; null is without bound.
    limit: Option<u64>,
    /// How much is left of it.
    remaining: Option<u64>,
}

/// What was used, by day, key and model. What is shown is on disk.
#[utoipa::path(
    get,
    path = "/admin/usage",
    tag = "Administration",
    params(
        ("by" = Option<String>, Query, description = "What rows are summed up and sorted by: of `key`, `model`, `day` and `month`, with commas. `key,model` where it is missing."),
        ("from" = Option<String>, Query, description = "The first day, UTC, such as `2030-01-01`; the first of the month of `to` where it is missing."),
        ("to" = Option<String>, Query, description = "The last day, UTC; today where it is missing."),
        ("key" = Option<String>, Query, description = "Only the key of this id; `none` for callers without one."),
        ("model" = Option<String>, Query, description = "Only the model of this name; `none` for requests that ran none."),
        ("format" = Option<String>, Query, description = "`json` or `csv`; without it `Accept` decides."),
        ("limit" = Option<u32>, Query, description = "Rows of a page, 1 to 10000; 1000 where it is missing."),
        ("after" = Option<String>, Query, description = "Where the page before ended: its `next`."),
    ),
    responses((status = 200, content((UsageList = "application/json"), (String = "text/csv"))), Failures)
)]
async fn of_all(
    _: Authorized<Administer>,
    State(state): State<HttpState>,
    Query(query): Query<UsageQuery>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let record = said(&query.key).and_then(|key| state.keys().show(&key.parse().ok()?).ok());
    let month = record.map(|record| {
        let budget = state.limiter().quotas().budget_of(&record.allowance);
        BudgetView::of(state.ledger().ledger().month_of(&record.id), budget)
    });
    answer(&state, query, (&uri, &headers), "key,model", month).await
}

/// What the caller's key has used, by day and model, and what is left of its month. What is shown
/// is on disk.
#[utoipa::path(
    get,
    path = "/usage",
    tag = "Server",
    params(
        ("by" = Option<String>, Query, description = "What rows are summed up and sorted by: of `model`, `day`, `month` and `key`, with commas. `model` where it is missing."),
        ("from" = Option<String>, Query, description = "The first day, UTC, such as `2030-01-01`; the first of the month of `to` where it is missing."),
        ("to" = Option<String>, Query, description = "The last day, UTC; today where it is missing."),
        ("model" = Option<String>, Query, description = "Only the model of this name; `none` for requests that ran none."),
        ("format" = Option<String>, Query, description = "`json` or `csv`; without it `Accept` decides."),
        ("limit" = Option<u32>, Query, description = "Rows of a page, 1 to 10000; 1000 where it is missing."),
        ("after" = Option<String>, Query, description = "Where the page before ended: its `next`."),
    ),
    responses((status = 200, content((UsageList = "application/json"), (String = "text/csv"))), Failures)
)]
async fn own_use(
    context: RequestContext,
    State(state): State<HttpState>,
    Query(query): Query<UsageQuery>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let caller = context.caller().cloned();
    let caller = caller.and_then(|caller| Some((caller.key_id()?.clone(), caller)));
    let Some((key, caller)) = caller else {
        let message = "Only who has a key has a use of its own; send one as `Authorization: Bearer \
                       KEY` or `X-API-Key: KEY`.";
        let (status, kind) = (Status::Forbidden, ErrorType::Permission);
        return Err(ApiError::new(status, kind, "key_needed", message));
    };
    if query.key.is_some() {
        return Err(ApiError::unknown_argument("key".to_owned(), None));
    }
    let query = UsageQuery {
        key: Some(key.to_string()),
        ..query
    };
    let budget = state.limiter().quotas().budget(&caller);
    let month = BudgetView::of(state.ledger().ledger().month_of(&key), budget);
    let asked = (&uri, &headers);
    answer(&state, query, asked, "model", Some(month)).await
}

async fn answer(
    state: &HttpState,
    query: UsageQuery,
    (uri, headers): (&Uri, &HeaderMap),
    by_default: &str,
    budget: Option<BudgetView>,
) -> Result<Response, ApiError> {
    let is_csv = wants_csv(query.format.as_deref(), headers)?;
    let query = read(query, state.ledger().ledger().today(), by_default)?;
    let report = state.ledger().report(&query).await?;
    let next = report.next.as_ref().map(Cursor::to_string);
    let names = names(state.keys(), &report);
    let by: Vec<&'static str> = query.by.iter().map(|by| by.name()).collect();
    let mut response = if is_csv {
        let body = csv::write(&query.by, &report, &names);
        let file = format!(
            "attachment; filename=\"usage-{}-{}.csv\"",
            query.from, query.to
        );
        let mut response = body.into_response();
        let head = response.headers_mut();
        head.insert(header::CONTENT_TYPE, csv::MEDIA_TYPE);
        if let Ok(file) = HeaderValue::from_str(&file) {
            head.insert(header::CONTENT_DISPOSITION, file);
        }
        response
    } else {
        let rows = report.rows.into_iter().map(|row| view(row, &names));
        Json(UsageList {
            object: "list",
            from: query.from.to_string(),
            to: query.to.to_string(),
            by,
            data: rows.collect(),
            has_more: next.is_some(),
            next: next.clone(),
            budget,
        })
        .into_response()
    };
    let link = next.and_then(|next| HeaderValue::from_str(&link(uri, &next)).ok());
    if let Some(link) = link {
        response.headers_mut().insert(header::LINK, link);
    }
    Ok(response)
}

/// Understands a question.
fn read(query: UsageQuery, today: Day, by_default: &str) -> Result<ledger::Query, ApiError> {
    let by = dimensions(said(&query.by).unwrap_or(by_default))?;
    let day = |param: &str, text: &Option<String>| {
        let day = said(text).map(str::parse::<Day>).transpose();
        day.map_err(|error| ApiError::invalid_argument(param, error.to_string()))
    };
    let to = day("to", &query.to)?.unwrap_or(today);
    let from = day("from", &query.from)?.unwrap_or(to.month().first_day());
    if from > to {
        let message = format!("{from} is after {to}, the last day that is asked for");
        return Err(ApiError::invalid_argument("from", message));
    }
    let name = |param: &str, text: &Option<String>| match said(text) {
        Some(name) if name.len() > NAME_BYTES_MAX => {
            let message = format!("no name is longer than {NAME_BYTES_MAX} bytes");
            Err(ApiError::invalid_argument(param, message))
        }
        Some(NONE) => Ok(Some(String::new())),
        name => Ok(name.map(str::to_owned)),
    };
    let after = said(&query.after).map(str::parse::<Cursor>).transpose();
    let after = after
        .ok()
        .filter(|after| after.as_ref().is_none_or(|it| it.fits(&by)));
    let Some(after) = after else {
        let message = "expected the `next` of the page before, for the same `by`";
        return Err(ApiError::invalid_argument("after", message));
    };
    let rows_max = query.limit.unwrap_or(ROWS_DEFAULT);
    if !(1..=ROWS_MAX).contains(&rows_max) {
        let message = format!("a page has 1 to {ROWS_MAX} rows");
        return Err(ApiError::invalid_argument("limit", message));
    }
    Ok(ledger::Query {
        by,
        from,
        to,
        key: name("key", &query.key)?,
        model: name("model", &query.model)?,
        after,
        rows_max,
    })
}

/// A value that says something.
fn said(value: &Option<String>) -> Option<&str> {
    value.as_deref().filter(|value| !value.is_empty())
}

/// Each dimension once; a day says its month.
fn dimensions(text: &str) -> Result<Vec<Dimension>, ApiError> {
    let refuse = |message: String| ApiError::invalid_argument("by", message);
    let mut by: Vec<Dimension> = Vec::new();
    for name in text.split(',') {
        let dimension = name.trim().parse::<Dimension>();
        let dimension = dimension.map_err(|error| refuse(error.to_string()))?;
        if by.contains(&dimension) {
            return Err(refuse(format!("{} is there twice", dimension.name())));
        }
        by.push(dimension);
    }
    if by.contains(&Dimension::Day) && by.contains(&Dimension::Month) {
        return Err(refuse(
            "a day is of one month: name one of the two".to_owned(),
        ));
    }
    Ok(by)
}

/// Whether the answer is to be CSV.
fn wants_csv(format: Option<&str>, headers: &HeaderMap) -> Result<bool, ApiError> {
    match format {
        Some("csv") => return Ok(true),
        Some("json") => return Ok(false),
        None | Some("") => {}
        Some(_) => return Err(ApiError::invalid_argument("format", "expected json or csv")),
    }
    let accept = headers.get_all(header::ACCEPT).iter();
    let ranges = accept.filter_map(|value| value.to_str().ok());
    let mut ranges = ranges.flat_map(|value| value.split(','));
    // The first of the two that is named: nobody sends both and means neither.
    let first = ranges.find_map(|range| {
        let essence = range.split(';').next().unwrap_or_default().trim();
        let is = |name: &str| essence.eq_ignore_ascii_case(name);
        (is("text/csv") || is("application/json")).then(|| is("text/csv"))
    });
    Ok(first.unwrap_or(false))
}

/// The names of the keys of a page, while there are such keys.
type Names = HashMap<String, String>;

fn names(keys: &KeyStore, report: &Report) -> Names {
    let values = report.rows.iter().flat_map(|row| &row.of);
    let ids = values.filter_map(|value| match value {
        Value::Key(id) => Some(id),
        Value::Model(_) | Value::Day(_) | Value::Month(_) => None,
    });
    let mut names = Names::new();
    for id in ids {
        if !names.contains_key(id)
            && let Ok(key) = id.parse::<KeyId>()
            && let Ok(record) = keys.show(&key)
        {
            names.insert(id.clone(), record.name);
        }
    }
    names
}

fn view(row: ledger::Row, names: &Names) -> UsageRow {
    let amounts = row.amounts;
    let mut view = UsageRow {
        requests: amounts.requests,
        failed_requests: amounts.failed_requests,
        prompt_tokens: amounts.prompt_tokens,
        completion_tokens: amounts.completion_tokens,
        fuel: amounts.fuel,
        run_us: amounts.run_us,
        ..UsageRow::default()
    };
    let unless_empty = |name: String| (!name.is_empty()).then_some(name);
    for value in row.of {
        match value {
            Value::Key(id) => {
                view.key_name = Some(names.get(&id).cloned());
                view.key_id = Some(unless_empty(id));
            }
            Value::Model(name) => view.model = Some(unless_empty(name)),
            Value::Day(day) => view.day = Some(day.to_string()),
            Value::Month(month) => view.month = Some(month.to_string()),
        }
    }
    view
}

impl BudgetView {
    /// The month of a key with that budget.
    fn of(month: MonthUse, budget: Budget) -> Self {
        let of = |measure: Measure| {
            let (used, limit) = (month.used.of(measure), budget.of(measure));
            MeasureView {
                used,
                limit,
                remaining: limit.map(|limit| limit.saturating_sub(used)),
            }
        };
        Self {
            month: month.month.to_string(),
            renews_at: month.month.end().to_string(),
            fuel: of(Measure::Fuel),
            tokens: of(Measure::Tokens),
            requests: of(Measure::Requests),
        }
    }
}

/// Where the next page is (RFC 8288): the same question, from another place on.
fn link(uri: &Uri, next: &str) -> String {
    let query = uri.query().unwrap_or_default().split('&');
    let others = query.filter(|pair| !pair.is_empty() && !pair.starts_with("after="));
    let others: String = others.map(|pair| format!("{pair}&")).collect();
    format!("<{}?{others}after={next}>; rel=\"next\"", uri.path())
}
