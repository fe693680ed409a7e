//! `belljar jwt`: callers by token, and tokens that are not taken any more.

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use super::answers::{array, text};
use super::client::{Client, ClientArgs};
use super::{Failure, block_on, output};

#[derive(Debug, Subcommand)]
pub(super) enum JwtCommand {
    /// List the callers by token, those that came last first
    Callers {
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Revoke the tokens with an id: they are refused from now on, and their streams are ended
    Revoke {
        /// Id of the token, which is its claim `jti`
        #[arg(value_name = "JTI")]
        jti: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        client: ClientArgs,
    },
    /// List the tokens that were revoked
    Revoked {
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        client: ClientArgs,
    },
}

pub(super) fn jwt(command: &JwtCommand) -> Result<(), Failure> {
    block_on(async {
        match command {
            JwtCommand::Callers { json, client } => {
                let list = get(client, "callers").await?;
                if *json {
                    return Ok(output::json(&list)?);
                }
                let row = |row: &Value| {
                    let usage = row.get("usage").unwrap_or(&Value::Null);
                    let requests = usage.get("requests").and_then(Value::as_u64);
                    [
                        text(row, "id").to_owned(),
                        text(row, "caller").to_owned(),
                        requests.unwrap_or(0).to_string(),
                        text(usage, "last_used").to_owned(),
                    ]
                };
                let head = ["id", "caller", "requests", "last used"];
                Ok(output::table(head, array(&list, "data").iter().map(row))?)
            }
            JwtCommand::Revoke { jti, json, client } => {
                let client = Client::new(client)?;
                let request = client.request(Method::POST, &["admin", "jwt", "revoked"]);
                let revoked = client.send(request.json(&json!({"jti": jti}))).await?;
                if *json {
                    return Ok(output::json(&revoked)?);
                }
                let until = text(&revoked, "until");
                Ok(output::line(format!(
                    "the tokens with the id {} are revoked; none holds after {until}",
                    text(&revoked, "jti")
                ))?)
            }
            JwtCommand::Revoked { json, client } => {
                let list = get(client, "revoked").await?;
                if *json {
                    return Ok(output::json(&list)?);
                }
                let columns = ["jti", "revoked", "until"];
                let row = |row: &Value| columns.map(|column| text(row, column).to_owned());
                Ok(output::table(
                    columns,
                    array(&list, "data").iter().map(row),
                )?)
            }
        }
    })
}

async fn get(client: &ClientArgs, what: &str) -> Result<Value, Failure> {
    let client = Client::new(client)?;
    let request = client.request(Method::GET, &["admin", "jwt", what]);
    Ok(client.send(request).await?)
}
