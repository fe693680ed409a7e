//! `belljar usage`: what was used, as a table, as CSV or as JSON.

use anyhow::{Result, bail};
use clap::Args;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use super::answers::{array, text};
use super::client::{Client, ClientArgs};
use super::keys::{self, Among};
use super::{Failure, block_on, output};
use crate::ids::KeyId;
use crate::ledger::{Day, Dimension};

#[derive(Args, Debug)]
pub(super) struct UsageArgs {
    /// Sum up and sort by these, of key, model, day and month
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "key,model",
        value_name = "WHAT"
    )]
    by: Vec<Dimension>,
    /// First day, UTC, such as 2030-01-01 (default: the first of that month)
    #[arg(long, value_name = "DAY")]
    from: Option<Day>,
    /// Last day, UTC (default: today)
    #[arg(long, value_name = "DAY")]
    to: Option<Day>,
    /// Only this key, by its name or id; `none` for callers without one
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Only this model; `none` for requests that ran none
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Print CSV
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Print JSON, a line a row
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    client: ClientArgs,
}

pub(super) fn usage(args: &UsageArgs) -> Result<(), Failure> {
    block_on(async {
        let client = Client::new(&args.client)?;
        let question = args.question(&client).await?;
        if args.csv {
            return Ok(print_csv(&client, &question).await?);
        }
        let rows = rows(&client, &question).await?;
        if args.json {
            rows.iter().try_for_each(output::line)?;
            return Ok(());
        }
        Ok(table(&args.by, &rows)?)
    })
}

/// A question, as pairs of a query.
type Question = Vec<(&'static str, String)>;

/// Rows of a page.
const ROWS: &str = "10000";

impl UsageArgs {
    async fn question(&self, client: &Client) -> Result<Question> {
        let by: Vec<&str> = self.by.iter().map(|by| by.name()).collect();
        let mut question = vec![("by", by.join(",")), ("limit", ROWS.to_owned())];
        let mut add = |name, value: Option<String>| question.extend(value.map(|it| (name, it)));
        add("from", self.from.map(|day| day.to_string()));
        add("to", self.to.map(|day| day.to_string()));
        add("model", self.model.clone());
        if let Some(key) = &self.key {
            add("key", Some(key_id(client, key).await?));
        }
        Ok(question)
    }
}

/// The id of a key that is named; what is no name of one goes as it is, because a key that is gone
/// has rows all the same.
async fn key_id(client: &Client, key: &str) -> Result<String> {
    if key == "none" || key.parse::<KeyId>().is_ok() {
        return Ok(key.to_owned());
    }
    let list = client.send(client.request(Method::GET, &["admin", "keys"]));
    let list = list.await?;
    Ok(keys::of_name(key, array(&list, "data"), Among::All)?.to_string())
}

fn request(client: &Client, question: &Question, after: Option<&str>) -> RequestBuilder {
    let request = client.request(Method::GET, &["admin", "usage"]);
    let request = request.query(question);
    match after {
        Some(after) => request.query(&[("after", after)]),
        None => request,
    }
}

/// All rows, page by page.
async fn rows(client: &Client, question: &Question) -> Result<Vec<Value>> {
    let mut rows = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = client.send(request(client, question, after.as_deref()));
        let page = page.await?;
        rows.extend_from_slice(array(&page, "data"));
        let next = text(&page, "next").to_owned();
        if next.is_empty() {
            return Ok(rows);
        }
        after = advanced(after, next)?;
    }
}

/// Prints all pages as one.
async fn print_csv(client: &Client, question: &Question) -> Result<()> {
    let mut after: Option<String> = None;
    loop {
        let page = request(client, question, after.as_deref()).query(&[("format", "csv")]);
        let (page, next) = client.send_for_text(page).await?;
        let body = match (&after, page.split_once("\r\n")) {
            (Some(_), Some((_head, rows))) => rows,
            _ => &page,
        };
        output::text(body)?;
        let Some(next) = next else { return Ok(()) };
        after = advanced(after, next)?;
    }
}

/// The place of the next page, which is another than that of the last.
fn advanced(before: Option<String>, next: String) -> Result<Option<String>> {
    if before.as_ref() == Some(&next) {
        bail!("the server gives the same page again");
    }
    Ok(Some(next))
}

/// A table: the columns that rows are summed up by, and the amounts.
fn table(by: &[Dimension], rows: &[Value]) -> Result<()> {
    let amounts = ["requests", "failed", "tokens", "fuel"];
    let head: Vec<&str> = by.iter().map(|by| by.name()).chain(amounts).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(|row| cells(by, row)).collect();
    match by.len() {
        1 => sized::<5>(&head, rows),
        2 => sized::<6>(&head, rows),
        3 => sized::<7>(&head, rows),
        _ => sized::<8>(&head, rows),
    }
}

fn sized<const N: usize>(head: &[&str], rows: Vec<Vec<String>>) -> Result<()> {
    let head: [&str; N] = head.try_into()?;
    let rows = rows.into_iter().filter_map(|row| row.try_into().ok());
    output::table(head, rows)
}

fn cells(by: &[Dimension], row: &Value) -> Vec<String> {
    let named = |field: &str| match text(row, field) {
        "" => "-".to_owned(),
        name => name.to_owned(),
    };
    let number = |field: &str| row.get(field).and_then(Value::as_u64).unwrap_or(0);
    let of = by.iter().map(|by| match by {
        Dimension::Key if !text(row, "key_name").is_empty() => named("key_name"),
        Dimension::Key => named("key_id"),
        Dimension::Model => named("model"),
        Dimension::Day => named("day"),
        Dimension::Month => named("month"),
    });
    let tokens = number("prompt_tokens").saturating_add(number("completion_tokens"));
    let amounts = [
        number("requests").to_string(),
        number("failed_requests").to_string(),
        tokens.to_string(),
        short(number("fuel")),
    ];
    of.chain(amounts).collect()
}

/// A large number in three or four digits: `999`, `12.3 k`, `4.5 G`.
fn short(number: u64) -> String {
    const UNITS: [char; 6] = ['k', 'M', 'G', 'T', 'P', 'E'];
    let mut unit = None;
    // In tenths, from the first unit on.
    let mut tenths = number.saturating_mul(10);
    for next in UNITS {
        if tenths < 10_000 {
            break;
        }
        tenths = if unit.is_none() {
            number / 100
        } else {
            tenths / 1_000
        };
        unit = Some(next);
    }
    match unit {
        None => number.to_string(),
        Some(unit) => format!("{}.{} {unit}", tenths / 10, tenths % 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn large_numbers_are_short() {
        for (number, expect) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1.0 k"),
            (12_345, "12.3 k"),
            (999_999, "999.9 k"),
            (1_000_000, "1.0 M"),
            (20_000_000_000, "20.0 G"),
            (u64::MAX, "18.4 E"),
        ] {
            assert_eq!(short(number), expect);
        }
    }

    #[test]
    fn a_key_is_shown_by_its_name_and_what_has_none_as_a_dash() {
        let by = [Dimension::Key, Dimension::Model];
        let row = json!({"key_id": "key_1", "key_name": "ci", "model": null, "requests": 2,
            "failed_requests": 1, "prompt_tokens": 3, "completion_tokens": 4, "fuel": 5_000});
        assert_eq!(cells(&by, &row), ["ci", "-", "2", "1", "7", "5.0 k"]);
        let gone = json!({"key_id": "key_1", "key_name": null});
        assert_eq!(cells(&by[..1], &gone), ["key_1", "0", "0", "0", "0"]);
    }
}
