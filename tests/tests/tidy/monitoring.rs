//! What the alerts and the dashboard of `examples/monitoring` ask for is there to be asked for.

use std::collections::BTreeSet;

use belljar::telemetry::metrics::{METRICS, MetricKind, MetricRow};
use serde_json::Value;

use crate::markdown::spans;
use crate::tree::{expect_none, root};

const ALERTS: &str = "examples/monitoring/alerts.yml";
const DASHBOARD: &str = "examples/monitoring/dashboard.json";

/// Labels that Prometheus itself puts on what it asks for, and that histograms have.
const LABELS_OF_PROMETHEUS: [&str; 3] = ["instance", "job", "le"];

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap()
}

/// The expressions of the dashboard, from wherever they stand in it.
fn expressions(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(text) if name == "expr" => found.push(text.clone()),
                    _ => expressions(member, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| expressions(item, found)),
        _ => {}
    }
}

/// The expressions of the rules: `expr:` and the lines that are further in, as these files write it.
fn rules(text: &str) -> Vec<(String, String)> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    let mut alert = String::new();
    for (at, line) in lines.iter().enumerate() {
        if let Some(name) = line.trim_start().strip_prefix("- alert: ") {
            alert = name.to_owned();
        }
        if let Some(first) = line.trim_start().strip_prefix("expr: ") {
            let further = lines[at + 1..]
                .iter()
                .take_while(|next| indent(next) > indent(line));
            let mut parts = vec![first.trim_start_matches(">-").trim()];
            parts.extend(further.map(|line| line.trim()));
            found.push((alert.clone(), parts.join(" ").trim().to_owned()));
        }
    }
    found
}

fn words(text: &str) -> Vec<&str> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split(move |c| !is_word(c))
        .filter(|word| !word.is_empty())
        .collect()
}

fn row(series: &str) -> Option<&'static MetricRow> {
    let of_histogram = ["_bucket", "_sum", "_count"];
    METRICS.iter().copied().find(|row| {
        let rest = series.strip_prefix(row.name);
        rest.is_some_and(|rest| match row.kind {
            MetricKind::Histogram => of_histogram.contains(&rest),
            MetricKind::Counter | MetricKind::Gauge => rest.is_empty(),
        })
    })
}

/// The labels that an expression matches, groups by, or that stand in a legend or a sentence.
fn labels(expression: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for part in expression.split('{').skip(1) {
        let inside = part.split('}').next().unwrap_or_default();
        for matcher in inside.split("\",") {
            let name = matcher.split(['=', '!']).next().unwrap_or_default();
            found.insert(name.trim().to_owned());
        }
    }
    for part in expression.split("by (").skip(1) {
        let inside = part.split(')').next().unwrap_or_default();
        found.extend(words(inside).into_iter().map(str::to_owned));
    }
    found
}

/// What is wrong with an expression.
fn faults(place: &str, expression: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let opens = |open: char, close: char| {
        expression.matches(open).count() == expression.matches(close).count()
    };
    if !opens('(', ')') || !opens('{', '}') || !opens('[', ']') {
        wrong.push(format!("{place}: brackets do not match: {expression}"));
    }
    let mut known: BTreeSet<&str> = LABELS_OF_PROMETHEUS.into();
    for series in words(expression)
        .into_iter()
        .filter(|word| word.starts_with("belljar_"))
    {
        match row(series) {
            Some(row) => {
                known.extend(row.labels.iter().map(|(label, _)| *label));
                let is_over_time = expression.contains("rate(") || expression.contains("increase(");
                if row.kind == MetricKind::Counter && !is_over_time {
                    wrong.push(format!("{place}: {series} only grows: ask for its rate"));
                }
            }
            None => wrong.push(format!("{place}: there is no metric {series}")),
        }
    }
    for label in labels(expression) {
        if !known.contains(label.as_str()) {
            wrong.push(format!("{place}: no metric in it has the label {label}"));
        }
    }
    wrong
}

#[test]
fn the_alerts_ask_for_metrics_that_there_are() {
    let text = read(ALERTS);
    let rules = rules(&text);
    assert!(rules.len() >= 10, "{rules:?}");
    let mut wrong: Vec<String> = rules
        .iter()
        .flat_map(|(alert, expression)| faults(alert, expression))
        .collect();
    let names: BTreeSet<_> = rules.iter().map(|(alert, _)| alert).collect();
    assert_eq!(names.len(), rules.len(), "two alerts of one name");
    let written = |mark: &str| {
        text.lines()
            .filter(|line| line.trim_start().starts_with(mark))
            .count()
    };
    for mark in ["severity: ", "summary: ", "labels:", "annotations:"] {
        if written(mark) != rules.len() {
            wrong.push(format!("not every alert has `{mark}`"));
        }
    }
    if text.contains('\t') {
        wrong.push("YAML has no tabulators".to_owned());
    }
    // A label that an alert speaks of is one that its expression leaves.
    for block in text.split("- alert: ").skip(1) {
        let name = block.lines().next().unwrap_or_default();
        for part in block.split("$labels.").skip(1) {
            let label = words(part)[0].to_owned();
            let is_known = METRICS
                .iter()
                .filter(|row| block.contains(row.name))
                .any(|row| row.labels.iter().any(|(known, _)| *known == label));
            if !is_known && label != "instance" {
                wrong.push(format!("{name}: $labels.{label}"));
            }
        }
    }
    expect_none(&wrong, "The alerts ask for what the server does not give:");
}

/// What SECURITY.md wants an alert on has one.
#[test]
fn every_metric_that_security_names_has_an_alert() {
    let rules = rules(&read(ALERTS));
    let text = read("SECURITY.md");
    let spans = text.lines().flat_map(spans);
    let named: BTreeSet<String> = spans.filter(|span| span.starts_with("belljar_")).collect();
    assert!(named.len() >= 6, "{named:?}");
    let silent = named.into_iter().filter(|metric| {
        let has = |(_, expression): &(String, String)| words(expression).contains(&&**metric);
        !rules.iter().any(has)
    });
    expect_none(
        &silent.collect::<Vec<_>>(),
        "SECURITY.md names metrics to be alerted by, and no rule of alerts.yml does it:",
    );
}

#[test]
fn the_dashboard_asks_for_metrics_that_there_are() {
    let dashboard: Value = serde_json::from_str(&read(DASHBOARD)).unwrap();
    let mut found = Vec::new();
    expressions(&dashboard, &mut found);
    assert!(found.len() >= 20, "{found:?}");
    let wrong: Vec<String> = found
        .iter()
        .flat_map(|expression| faults(expression, expression))
        .collect();
    expect_none(
        &wrong,
        "The dashboard asks for what the server does not give:",
    );
    let ids: Vec<_> = dashboard["panels"]
        .as_array()
        .unwrap()
        .iter()
        .map(|panel| panel["id"].as_u64().unwrap())
        .collect();
    let distinct: BTreeSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len(), "two panels of one number");
}

#[test]
fn faults_of_an_expression_are_found() {
    let ok = r#"sum by (status) (rate(belljar_http_requests_total{status="5xx",instance=~"$instance"}[5m]))"#;
    assert_eq!(faults("", ok), Vec::<String>::new());
    for bad in [
        "rate(belljar_http_request_total[5m])",
        "rate(belljar_http_request_duration_seconds[5m])",
        "belljar_http_requests_total",
        r#"rate(belljar_http_requests_total{code="5xx"}[5m])"#,
        "sum by (model) (rate(belljar_http_requests_total[5m]))",
        "sum(rate(belljar_http_requests_total[5m])",
    ] {
        assert_eq!(faults("", bad).len(), 1, "{bad}");
    }
}
