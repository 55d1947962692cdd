//! `postern edge`.

use postern_issuer::{DomainName, EdgeStanding, Enrolment, Ports, Timestamp};
use serde_json::{Value, json};

use crate::{
    arguments::{EdgeCommand, EnrolEdge},
    command::{Outcome, print, write_line},
    table::table,
};

/// What [`standing_cells`] are called. The state has a space in it, so it comes last.
pub(crate) const STANDING: [&str; 5] = ["GENERATION", "INSTANCES", "LAST-CONTACT", "AGE", "STATE"];

pub(crate) async fn run(ports: &Ports, command: EdgeCommand) -> Outcome {
    match command {
        EdgeCommand::Enrol(edge) => enrol(ports, edge).await,
        EdgeCommand::List { json: true } => list_as_json(ports).await,
        EdgeCommand::List { json: false } => list(ports).await,
        EdgeCommand::Remove { name } => {
            ports.remove_edge(&name).await?;
            print(&format!("removed edge `{name}`\n"))
        }
    }
}

/// Prints the credential and nothing else: it may go into a file.
async fn enrol(ports: &Ports, edge: EnrolEdge) -> Outcome {
    let EnrolEdge { name, domain: domains, issuer_url, push_url } = edge;
    let enrolment = Enrolment { name, domains, issuer_url, push_url };
    let (_, credential) = ports.enrol_edge(enrolment).await?;
    write_line(credential.expose())
}

async fn list(ports: &Ports) -> Outcome {
    let (edges, now) = (ports.edges().await?, ports.clock.now());
    let rows = edges.iter().flat_map(|(edge, standings)| {
        standings.iter().map(move |(domain, standing)| {
            let [generation, instances, contact, age, state] = standing_cells(standing, now);
            let (name, domain) = (edge.name.to_string(), domain.to_string());
            [name, domain, generation, instances, contact, age, state]
        })
    });
    let [generation, instances, contact, age, state] = STANDING;
    print(&table(["NAME", "DOMAIN", generation, instances, contact, age, state], rows))
}

async fn list_as_json(ports: &Ports) -> Outcome {
    let (edges, now) = (ports.edges().await?, ports.clock.now());
    let edges = edges.iter().map(|(edge, standings)| {
        let domains =
            standings.iter().map(|(domain, standing)| standing_as_json(domain, standing, now));
        json!({
            "id": edge.id.as_str(),
            "name": edge.name.as_str(),
            "enrolled_at": edge.created_at.to_string(),
            "push_url": edge.push_url.as_ref().map(ToString::to_string),
            "domains": domains.collect::<Vec<_>>(),
        })
    });
    print(&format!("{:#}\n", Value::Array(edges.collect())))
}

/// How an edge stands, as a part of a line.
pub(crate) fn standing_cells(standing: &EdgeStanding, now: Timestamp) -> [String; 5] {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    [
        or_dash(standing.generation.map(|generation| generation.to_string())),
        standing.instances.to_string(),
        or_dash(standing.last_contact.map(|moment| moment.to_string())),
        or_dash(standing.last_contact.map(|moment| now.since(moment).to_string())),
        standing.state.as_str().to_owned(),
    ]
}

/// How an edge stands, for programs.
pub(crate) fn standing_as_json(
    domain: &DomainName,
    standing: &EdgeStanding,
    now: Timestamp,
) -> Value {
    json!({
        "domain": domain.as_str(),
        "name": standing.name.as_str(),
        "state": standing.state.as_str(),
        "generation": standing.generation,
        "instances": standing.instances,
        "last_contact": standing.last_contact.map(|moment| moment.to_string()),
        "age_seconds": standing.last_contact.map(|moment| now.since(moment)),
    })
}
