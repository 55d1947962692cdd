//! `postern explain`: why a gate lets a token or a request pass or not.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, SystemTime},
};

use postern_verify::{Decision, End, Gate, KeySetId, MAX_TOKEN_BYTES, Policy, Request, Step};

use crate::{
    arguments::Explain,
    command::{Outcome, print},
    policy_command::read,
};

/// The exit code where the gate would not let pass.
const REFUSED: u8 = 4;

/// Runs the command to its end.
pub(crate) fn run(explain: &Explain) -> Outcome<ExitCode> {
    let now = match explain.now {
        Some(seconds) => Duration::try_from_secs_f64(seconds)?,
        None => SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?,
    };
    let token = token(&explain.token)?;
    let name = explain.policy.display();
    let policy = Policy::parse(read(&explain.policy)?.as_bytes())
        .map_err(|error| format!("{name}: {error}"))?;
    let mut gate = Gate::new(policy);
    hold_keys(&mut gate, explain, now)?;
    let passes = match &explain.request {
        None => explain_token(&gate, explain, &token, now),
        Some(line) => explain_request(&mut gate, explain, line, &token, now),
    }?;
    Ok(if passes { ExitCode::SUCCESS } else { ExitCode::from(REFUSED) })
}

/// The token itself, or the first line of standard input where it is `-`: what stands on a command
/// line, others can read.
fn token(argument: &str) -> Outcome<String> {
    let text = match argument {
        "-" => read(Path::new("-"))?.lines().next().unwrap_or_default().to_owned(),
        text => text.to_owned(),
    };
    let trimmed = text.trim();
    let bare = trimmed.strip_prefix("Bearer ").unwrap_or(trimmed);
    if bare.is_empty() || bare.len() > 4 * MAX_TOKEN_BYTES {
        return Err("there is no token, or one that no gate would look at".into());
    }
    Ok(bare.to_owned())
}

/// `--keys FILE` is for all providers whose keys are not in the policy, `--keys NAME=FILE` for one.
fn hold_keys(gate: &mut Gate, explain: &Explain, now: Duration) -> Outcome {
    let names: Vec<String> = gate.policy().provider_names().map(str::to_owned).collect();
    for argument in &explain.keys {
        let (chosen, file) = match argument.split_once('=') {
            Some((name, file)) => (Some(name), PathBuf::from(file)),
            None => (None, PathBuf::from(argument)),
        };
        if let Some(name) = chosen.filter(|name| !names.iter().any(|known| known == name)) {
            return Err(format!("--keys: there is no provider `{name}` in the policy").into());
        }
        let document = read(&file)?;
        for (provider, name) in names.iter().enumerate() {
            if chosen.is_none_or(|chosen| chosen == name) {
                gate.keys_mut()
                    .hold(
                        &KeySetId::new(provider, explain.domain.as_deref()),
                        document.as_bytes(),
                        now,
                    )
                    .map_err(|error| format!("{}: {error}", file.display()))?;
            }
        }
    }
    Ok(())
}

/// Whether any provider would take the token.
fn explain_token(gate: &Gate, explain: &Explain, token: &str, now: Duration) -> Outcome<bool> {
    let steps = gate.explain_token(token.as_bytes(), explain.domain.as_deref(), now);
    print_steps(&steps)?;
    let ends_well = steps.iter().filter(|step| step.end == Some(End::Taken));
    let accepting: Vec<&str> = ends_well.map(|step| step.provider.as_str()).collect();
    let waits = steps.iter().any(|step| step.end == Some(End::AwaitsKeys));
    let verdict = match accepting.as_slice() {
        [] if waits => "it waits for keys; give them with --keys".to_owned(),
        [] => "no provider of the policy takes this token".to_owned(),
        names => format!("it is a good token of `{}`", names.join("`, `")),
    };
    print(&format!("\n{verdict}\n"))?;
    Ok(!accepting.is_empty())
}

/// Whether the request would pass.
fn explain_request(
    gate: &mut Gate,
    explain: &Explain,
    line: &str,
    token: &str,
    now: Duration,
) -> Outcome<bool> {
    let (method, target) =
        line.split_once(' ').ok_or("--request: it is a method and a target, `GET /orders`")?;
    let filled = |text: &str| text.replace("{token}", token);
    let target = filled(target);
    let mut headers = Vec::new();
    for header in &explain.header {
        let (name, value) =
            header.split_once(':').ok_or("--header: it is a name and a value, `name: value`")?;
        headers.push((name.trim().to_owned(), filled(value.trim())));
    }
    if ![line]
        .into_iter()
        .chain(explain.header.iter().map(String::as_str))
        .any(|text| text.contains("{token}"))
    {
        headers.push(("authorization".to_owned(), format!("Bearer {token}")));
    }
    let fields = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let request = Request::new(method, target.as_bytes(), fields);
    print_steps(&gate.explain(&request, now))?;
    let (verdict, passes) = match gate.decide(&request, now) {
        Decision::Allow(forward) => (allowed(&forward), true),
        Decision::Deny(denied) => {
            let (status, code) = (denied.answer.status, denied.denial.code());
            (format!("denied: {status} {code}"), false)
        }
        Decision::AwaitKeys(_) => ("it waits for keys; give them with --keys".to_owned(), false),
    };
    print(&format!("\n{verdict}\n"))?;
    Ok(passes)
}

/// What goes upstream, in names only: values are identities.
fn allowed(forward: &postern_verify::Forward<'_>) -> String {
    let list = |names: Vec<&str>| {
        if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
    };
    let set = list(forward.set_headers().map(|(name, _)| name).collect());
    let removed = list(forward.removed_headers().collect());
    let report = match forward.report().and_then(|report| report.code) {
        Some(code) => format!(" (the rule is on trial; it would deny: {code})"),
        None => String::new(),
    };
    format!("allowed{report}; sets {set}; removes {removed}")
}

fn print_steps(steps: &[Step]) -> Outcome {
    let lines: Vec<String> = steps.iter().map(|step| format!("{step}\n")).collect();
    print(&lines.concat())
}
