//! What operators watch, in the text format of Prometheus: how edges stand, and nothing secret.

use std::{fmt::Write, sync::Arc};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};

use crate::{
    administration::{AdministrationError, KeysStatus},
    domain::DomainName,
    edge::{EdgeStanding, EdgeState},
    issuer::Issuer,
};

const CONTENT: &str = "text/plain; version=0.0.4";

/// `GET /metrics`, for a port that only those who watch can reach.
pub fn metrics_router(issuer: Arc<Issuer>) -> Router {
    Router::new().route("/metrics", get(metrics)).with_state(issuer)
}

async fn metrics(State(issuer): State<Arc<Issuer>>) -> Response {
    match statuses(&issuer).await {
        Ok(statuses) => ([(CONTENT_TYPE, CONTENT)], text(&issuer, &statuses)).into_response(),
        Err(error) => {
            tracing::error!(%error, "cannot read how edges stand");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}

async fn statuses(issuer: &Issuer) -> Result<Vec<(DomainName, KeysStatus)>, AdministrationError> {
    let mut statuses = Vec::new();
    for domain in issuer.ports().store.domains().await? {
        let status = issuer.ports().keys_status(&domain.name).await?;
        statuses.push((domain.name, status));
    }
    Ok(statuses)
}

fn text(issuer: &Issuer, statuses: &[(DomainName, KeysStatus)]) -> String {
    let mut page = Page::default();
    let domains = || statuses.iter();
    page.gauge(
        "postern_domain_generation",
        "The generation of the key set that a domain publishes.",
        domains().map(|(domain, status)| (of_domain(domain), status.generation)),
    );
    page.gauge(
        "postern_edges_late",
        "Edges that have not shown that they hold the next key.",
        domains().map(|(domain, status)| (of_domain(domain), late(status))),
    );
    let edges = || {
        domains().flat_map(|(domain, status)| {
            status.edges.iter().map(move |edge| (of_edge(domain, edge), status, edge))
        })
    };
    page.gauge(
        "postern_edge_last_contact_age_seconds",
        "Seconds since an edge last asked for the keys of a domain.",
        edges().filter_map(|(labels, status, edge)| {
            Some((labels, status.now.since(edge.last_contact?)))
        }),
    );
    page.gauge(
        "postern_edge_generation",
        "The lowest generation that a process of an edge holds.",
        edges().filter_map(|(labels, _, edge)| Some((labels, edge.generation?))),
    );
    page.gauge(
        "postern_edge_instances",
        "Processes of an edge that were heard of lately.",
        edges().map(|(labels, _, edge)| (labels, edge.instances.try_into().unwrap_or(u64::MAX))),
    );
    let counts = issuer.edge_counts();
    let polls = counts.polls.all().map(of_outcome);
    page.counter("postern_edge_polls_total", "Requests of edges, by what came of them.", polls);
    let pushes = counts.pushes.all().map(of_outcome);
    page.counter("postern_edge_pushes_total", "Pushes to edges, by what came of them.", pushes);
    page.0
}

fn late(status: &KeysStatus) -> u64 {
    let late = status.edges.iter().filter(|edge| edge.state != EdgeState::HoldsNext).count();
    late.try_into().unwrap_or(u64::MAX)
}

/// No name has a character that would have to be escaped.
fn of_domain(domain: &DomainName) -> String {
    format!("domain=\"{domain}\"")
}

fn of_edge(domain: &DomainName, edge: &EdgeStanding) -> String {
    format!("domain=\"{domain}\",edge=\"{}\"", edge.name)
}

fn of_outcome((outcome, count): (&'static str, u64)) -> (String, u64) {
    (format!("outcome=\"{outcome}\""), count)
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn gauge(&mut self, name: &str, help: &str, samples: impl Iterator<Item = (String, u64)>) {
        self.family(name, "gauge", help, samples);
    }

    fn counter(&mut self, name: &str, help: &str, samples: impl Iterator<Item = (String, u64)>) {
        self.family(name, "counter", help, samples);
    }

    fn family(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        samples: impl Iterator<Item = (String, u64)>,
    ) {
        // Writing to a text cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in samples {
            let _ = writeln!(self.0, "{name}{{{labels}}} {value}");
        }
    }
}
