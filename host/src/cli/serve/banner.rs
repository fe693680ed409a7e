//! What a start prints: where the server listens, whom it lets in, what guards are on, and one
//! command line that works at once.

use std::net::SocketAddr;
use std::path::Path;

use belljar_bundle::DurationText;
use belljar_screen::{FieldKind, Mode};
use belljar_wall::Report;

use super::super::rows::Rows;
use crate::app::{ADMIN_KEY_FILE, App, DiscoveryFile};
use crate::auth::AdminKey;
use crate::config::Settings;
use crate::guard::Violation;
use crate::http::ProxyProtocol;
use crate::net::NetworkAcl;
use crate::tls::ClientAuth;

/// What is shown beside what the parts say themselves.
pub(super) struct Shown<'a> {
    pub(super) settings: &'a Settings,
    pub(super) address: SocketAddr,
    pub(super) file: &'a DiscoveryFile,
    /// Where the metrics are served apart.
    pub(super) metrics: Option<SocketAddr>,
    /// What is known of the wall around the server; none where there is none.
    pub(super) wall: Option<&'a Report>,
}

/// The whole text, without an end of line.
pub(super) fn of(app: &App, shown: &Shown<'_>) -> String {
    let Shown {
        settings,
        address,
        file,
        metrics,
        wall,
    } = *shown;
    let url = &file.url;
    let admin_key = settings.data_dir.join(ADMIN_KEY_FILE);
    let key_required = app.keys().key_required();
    let mut banner = Rows::under(format!("belljar {}", env!("CARGO_PKG_VERSION")));
    let scheme = if settings.tls.is_on() {
        "https"
    } else {
        "http"
    };
    banner.row(
        "listening",
        &format!("{scheme}://{address}{}", reach(address)),
    );
    if let Some(path) = &settings.unix.path {
        let mode = settings.unix.mode;
        banner.row("socket", &format!("{} (mode {mode})", path.display()));
    }
    banner.row("data", &settings.data_dir.display().to_string());
    let state = match app.admin_key() {
        AdminKey::Kept => "",
        AdminKey::Made(_) => " (made just now)",
        AdminKey::Taken(_) => " (that was there already; the server knows it from now on)",
        AdminKey::Renewed(_) => {
            " (made anew: the file was gone or useless; the secret before it is void)"
        }
        AdminKey::Elsewhere => " holds no key that works; another admin key does",
    };
    banner.row("admin key", &format!("{}{state}", admin_key.display()));
    let keys = match (key_required, address.ip().is_loopback()) {
        (true, _) if settings.insecure => {
            "required: `--insecure` allows `--require-api-key=false` and turns nothing off itself"
        }
        (true, _) => "required",
        (false, true) => "not required to run models (only this machine can reach the server)",
        (false, false) => "NOT required, and other machines can reach the server (insecure)",
    };
    banner.row("keys", keys);
    if let Some(issuer) = &settings.auth.jwt.issuer {
        banner.row("tokens", &format!("of {issuer} are taken as well"));
    }
    banner.row("slots", &format!("cleaned by {}", app.slot_reset()));
    if settings.tls.is_on() {
        let files = settings.tls.certificates.iter();
        let files: Vec<_> = files.map(|file| file.display().to_string()).collect();
        let version = settings.tls.min_version;
        banner.row(
            "tls",
            &format!("{version} and newer, with {}", files.join(", ")),
        );
        banner.row("clients", &client_certificates(settings));
    }
    if let Some(address) = metrics {
        banner.row("metrics", &format!("http://{address}/metrics"));
    }
    guards(app, &mut banner);
    walled(wall, &mut banner);
    let key = key_required.then_some(admin_key.as_path());
    format!(
        "{}\n\n{}\n",
        banner.into_text(),
        first_request(url, key, settings)
    )
}

/// Whether clients show certificates, and what those are good for.
fn client_certificates(settings: &Settings) -> String {
    let tls = &settings.tls;
    let shown = match tls.client_auth {
        ClientAuth::Off => return "are asked for no certificates".to_owned(),
        ClientAuth::Optional => "may show a certificate",
        ClientAuth::Required => "must show a certificate",
    };
    let rights = match tls.client_rules.len() {
        0 => "which stands for no key".to_owned(),
        1 => "which 1 rule gives the rights of a key".to_owned(),
        rules => format!("which {rules} rules give the rights of keys"),
    };
    let lists = match tls.client_revocations.len() {
        0 => "no list of revoked ones",
        _ => "held against the lists of revoked ones",
    };
    format!("{shown}, {rights}; {lists}")
}

/// Who can reach an address that stands for many.
fn reach(address: SocketAddr) -> &'static str {
    if address.ip().is_unspecified() {
        " (every address of this machine)"
    } else {
        ""
    }
}

/// The guards of the server that are on and off, as the running parts say it.
fn guards(app: &App, banner: &mut Rows) {
    let rates = app.rates();
    let limits = if rates.is_enabled() {
        let rate = rates.server_rate();
        format!(
            "{} requests and {} tokens a minute",
            rate.requests, rate.tokens
        )
    } else {
        "OFF".to_owned()
    };
    banner.row("limits", &limits);
    let bans = app.bans().config();
    if bans.enabled {
        let thresholds = Violation::ALL.map(|violation| {
            let name = violation.name().replace('_', " ");
            format!("{name} {}", bans.threshold(violation))
        });
        let times = bans
            .durations
            .0
            .map(|time| DurationText::from(time).to_string());
        banner.row(
            "bans",
            &format!(
                "for {}, by what comes within {}:",
                times.join(", "),
                DurationText::from(bans.window)
            ),
        );
        banner.row("", &thresholds.join(", "));
    } else {
        banner.row("bans", "OFF");
    }
    let screening = [Mode::Block, Mode::Report, Mode::Off]
        .into_iter()
        .filter_map(|mode| {
            let of_mode = |kind: &FieldKind| app.screening().mode(*kind) == mode;
            let places = FieldKind::ALL.into_iter().filter(of_mode);
            let places: Vec<_> = places.map(FieldKind::name).collect();
            (!places.is_empty()).then(|| format!("{mode}: {}", places.join(", ")))
        })
        .collect::<Vec<_>>()
        .join("; ");
    banner.row("screening", &screening);
    let audit = app.audit().sinks().names();
    let audit = if audit.is_empty() {
        "OFF".to_owned()
    } else {
        audit.join(", ")
    };
    banner.row("audit log", &audit);
    let testing = match app.is_for_tests() {
        true => "ON: requests may ask for faults and worlds of their own (docs/testing.md)",
        false => "off",
    };
    banner.row("testing", testing);
    let http = app.http_config();
    let proxies = &http.origin.trusted_proxies;
    let mut proxies = if proxies.is_empty() {
        "none trusted: callers are their peers".to_owned()
    } else {
        proxies.to_string()
    };
    if http.proxy_protocol == ProxyProtocol::Required {
        proxies.push_str("; each connection begins with a PROXY header");
    }
    banner.row("proxies", &proxies);
    let NetworkAcl { allow, deny } = &http.acl;
    for (name, networks) in [("only from", allow), ("never from", deny)] {
        if !networks.is_empty() {
            banner.row(name, &networks.to_string());
        }
    }
}

/// The parts of the wall around the server, and what has shown them to hold or not.
fn walled(wall: Option<&Report>, banner: &mut Rows) {
    match wall {
        None => banner.row("wall", "OFF"),
        Some(Report(states)) => {
            for (index, state) in states.iter().enumerate() {
                let name = if index == 0 { "wall" } else { "" };
                banner.row(name, &state.to_string());
            }
        }
    }
}

/// One command line that works at once.
fn first_request(url: &str, key: Option<&Path>, settings: &Settings) -> String {
    let mut key = key.map_or_else(String::new, |path| {
        format!(" \\\n -H \"x-api-key: $(cat {})\"", shell_word(path))
    });
    // Good for certificates that this machine does not know otherwise, and harmless for others.
    if let Some(certificate) = settings.tls.certificates.first() {
        key.push_str(&format!(" \\\n --cacert {}", shell_word(certificate)));
    }
    if settings.models.fake {
        format!(
            "curl -N {url}/v1/chat/completions{key} \\\n -H 'content-type: application/json' \\\n -d \
             '{{\"model\":\"fake\",\"stream\":true,\"messages\":[{{\"role\":\"user\",\"content\":\"hi\"}}]}}'"
        )
    } else {
        format!("curl {url}/v1/models{key}")
    }
}

/// A path as one word of a shell.
fn shell_word(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::super::super::rows::COLUMNS;
    use super::*;

    #[test]
    fn the_first_request_fits_a_terminal() {
        let settings = Settings::default();
        let text = first_request("http://127.0.0.1:65535", None, &settings);
        for line in text.lines() {
            assert!(line.len() <= COLUMNS, "{line}");
        }
    }
}
