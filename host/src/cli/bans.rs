//! `belljar bans`: who is banned, and who never is.

use std::net::IpAddr;
use std::str::FromStr;

use anyhow::Result;
use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use super::answers::{array, text};
use super::client::{Client, ClientArgs};
use super::{Failure, block_on, output};
use crate::ids::KeyId;
use crate::net::{InvalidNetwork, Network};

#[derive(Debug, Subcommand)]
pub(super) enum BansCommand {
    /// List the bans in force, or what is exempt from bans
    List {
        /// List the exempt networks instead
        #[arg(long)]
        exempt: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        client: ClientArgs,
    },
    /// End the ban of an address or a key and forget what led to it
    Lift {
        /// Address, network as `bans list` shows it, or id of a key
        #[arg(value_name = "ADDRESS")]
        address: Banned,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Never ban a network again, and end its bans
    Exempt {
        /// Address or network, as in 10.0.0.0/8
        #[arg(value_name = "NETWORK")]
        network: Network,
        /// Why, for whoever reads the list
        #[arg(long, default_value = "")]
        note: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        client: ClientArgs,
    },
    /// End an exemption
    Unexempt {
        /// Address or network, as the list shows it
        #[arg(value_name = "NETWORK")]
        network: Network,
        #[command(flatten)]
        client: ClientArgs,
    },
}

pub(super) fn bans(command: &BansCommand) -> Result<(), Failure> {
    block_on(async {
        match command {
            BansCommand::List {
                exempt,
                json,
                client,
            } => list(*exempt, *json, client).await,
            BansCommand::Lift {
                address,
                json,
                client,
            } => lift(address, *json, client).await,
            BansCommand::Exempt {
                network,
                note,
                json,
                client,
            } => exempt(*network, note, *json, client).await,
            BansCommand::Unexempt { network, client } => {
                let (client, network) = (Client::new(client)?, network.to_string());
                let path = ["admin", "exemptions", network.as_str()];
                client.send(client.request(Method::DELETE, &path)).await?;
                Ok(output::line(format!("{network} is no longer exempt"))?)
            }
        }
    })
}

async fn list(exempt: bool, json: bool, client: &ClientArgs) -> Result<(), Failure> {
    let client = Client::new(client)?;
    let what = if exempt { "exemptions" } else { "bans" };
    let request = client.request(Method::GET, &["admin", what]);
    let list = client.send(request).await?;
    if json {
        return Ok(output::json(&list)?);
    }
    let rows = array(&list, "data");
    if exempt {
        let row = |row: &Value| {
            let columns = ["network", "source", "created", "note"];
            columns.map(|column| text(row, column).to_owned())
        };
        let head = ["network", "source", "created", "note"];
        Ok(output::table(head, rows.iter().map(row))?)
    } else {
        let number =
            |row: &Value, field: &str| row.get(field).map_or(0, |n| n.as_u64().unwrap_or(0));
        let row = |row: &Value| {
            [
                text(row, "address").to_owned(),
                text(row, "key_id").to_owned(),
                text(row, "reason").to_owned(),
                number(row, "violations").to_string(),
                format!("{} s", number(row, "seconds_left")),
            ]
        };
        let head = ["address", "key", "reason", "violations", "left"];
        Ok(output::table(head, rows.iter().map(row))?)
    }
}

/// Who is banned.
#[derive(Clone, Debug)]
pub(super) enum Banned {
    Address(IpAddr),
    Key(KeyId),
}

impl FromStr for Banned {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        match text.parse() {
            Ok(key_id) => Ok(Self::Key(key_id)),
            Err(_) => text
                .parse()
                .map(|network: Network| Self::Address(network.address())),
        }
    }
}

async fn lift(banned: &Banned, json: bool, client: &ClientArgs) -> Result<(), Failure> {
    let address = match banned {
        Banned::Address(address) => address.to_string(),
        Banned::Key(id) => id.to_string(),
    };
    let client = Client::new(client)?;
    let path = ["admin", "bans", address.as_str()];
    let lifted = client.send(client.request(Method::DELETE, &path)).await?;
    if json {
        return Ok(output::json(&lifted)?);
    }
    for ban in array(&lifted, "data") {
        output::line(format!("the ban of {} is lifted", text(ban, "address")))?;
    }
    Ok(())
}

async fn exempt(
    network: Network,
    note: &str,
    json: bool,
    client: &ClientArgs,
) -> Result<(), Failure> {
    let client = Client::new(client)?;
    let request = client.request(Method::POST, &["admin", "exemptions"]);
    let body = json!({"network": network.to_string(), "note": note});
    let exemption = client.send(request.json(&body)).await?;
    if json {
        return Ok(output::json(&exemption)?);
    }
    Ok(output::line(format!("{network} is exempt from bans"))?)
}
