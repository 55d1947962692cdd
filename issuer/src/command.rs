//! What each command does.

use std::{
    error::Error,
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

use postern_issuer::{DomainName, DomainSettings, Ports};

use crate::{
    arguments::{
        Arguments, Command, CreateDomain, DomainCommand, Place, StoredCommand, TableCommand,
        UserCommand, UserOfDomain,
    },
    edge_command, explain, keys_command,
    log_writer::{FlushOnDrop, LogWriter},
    migrate_command,
    password_prompt::read_password,
    place::Opened,
    policy_command, serve_command,
    table::table,
};

pub(crate) type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Runs one command to its end. Only what stands on the data opens it, or makes it.
pub(crate) fn run(Arguments { place, command }: Arguments) -> Outcome<ExitCode> {
    match command {
        Command::Policy(command) => policy_command::run(command),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Stored(command) => run_stored(place, command),
    }
}

fn run_stored(place: Place, command: StoredCommand) -> Outcome<ExitCode> {
    // For every such command: what a rotation could not erase, say, has to be told.
    let _flush = start_log()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async { dispatch(place.open().await?, command).await })
}

async fn dispatch(opened: Opened, command: StoredCommand) -> Outcome<ExitCode> {
    let ports = opened.ports.clone();
    let done = match command {
        StoredCommand::Domain(DomainCommand::Create(domain)) => {
            create_domain(&opened, domain).await
        }
        StoredCommand::Domain(DomainCommand::List) => list_domains(&ports).await,
        StoredCommand::Domain(DomainCommand::EndSessions { domain }) => {
            end_sessions_of_domain(&ports, &domain).await
        }
        StoredCommand::User(UserCommand::Create(user)) => create_user(&ports, user).await,
        StoredCommand::User(UserCommand::List { domain }) => list_users(&ports, &domain).await,
        StoredCommand::User(UserCommand::Disable(user)) => disable_user(&ports, user).await,
        StoredCommand::User(UserCommand::EndSessions(user)) => {
            end_sessions_of_user(&ports, user).await
        }
        StoredCommand::Keys(command) => keys_command::run(&ports, command).await,
        StoredCommand::Edge(command) => edge_command::run(&ports, command).await,
        StoredCommand::Table(TableCommand::Create) => create_table(&opened).await,
        StoredCommand::Migrate(arguments) => return migrate_command::run(&ports, arguments).await,
        StoredCommand::Serve(settings) => serve_command::run(ports, settings).await,
    };
    done.map(|()| ExitCode::SUCCESS)
}

async fn create_domain(opened: &Opened, domain: CreateDomain) -> Outcome {
    let rotation = match domain.rotation_function {
        Some(function) => Some((opened.aws("`--rotation-function`")?, function)),
        None => None,
    };
    let settings = DomainSettings {
        audience: domain.audience.unwrap_or_else(|| domain.name.to_string()),
        token_lifetime: domain.token_lifetime,
        session_lifetime: domain.session_lifetime,
        jwks_max_age: domain.jwks_max_age,
    };
    let days = domain.rotation_days;
    let (domain, key_set) = opened.ports.create_domain(domain.name, domain.alg, settings).await?;
    let (algorithm, key_id) = (key_set.algorithm(), &key_set.current.id);
    print(&format!("created domain `{}`: signs {algorithm} with key `{key_id}`\n", domain.name))?;
    let Some((aws, function)) = rotation else {
        return Ok(());
    };
    aws.schedule_rotation(&domain.key_set, &function, days).await?;
    print(&format!("`{function}` rotates its keys every `{days}` days\n"))
}

async fn create_table(opened: &Opened) -> Outcome {
    let aws = opened.aws("`table create`")?;
    aws.create_table().await?;
    print(&format!("created table `{}`\n", aws.table()))
}

async fn list_domains(ports: &Ports) -> Outcome {
    let rows = ports.domains().await?.into_iter().map(|(domain, algorithm)| {
        let settings = domain.settings;
        [
            domain.name.to_string(),
            algorithm.map_or_else(|| "-".to_owned(), |algorithm| algorithm.to_string()),
            settings.token_lifetime.to_string(),
            settings.session_lifetime.to_string(),
            settings.jwks_max_age.to_string(),
            domain.created_at.to_string(),
            settings.audience,
        ]
    });
    let header = ["NAME", "ALG", "TOKEN", "SESSION", "JWKS-MAX-AGE", "CREATED", "AUDIENCE"];
    print(&table(header, rows))
}

async fn create_user(ports: &Ports, user: UserOfDomain) -> Outcome {
    let password = read_password()?;
    let user = ports.create_user(&user.domain, user.username, password).await?;
    print(&format!("created user `{}` in domain `{}`\n", user.username, user.domain))
}

async fn list_users(ports: &Ports, domain: &DomainName) -> Outcome {
    let rows = ports.users(domain).await?.into_iter().map(|user| {
        let state = if user.disabled_at.is_some() { "disabled" } else { "active" };
        [user.id, state.to_owned(), user.created_at.to_string(), user.username.to_string()]
    });
    print(&table(["ID", "STATE", "CREATED", "USERNAME"], rows))
}

async fn disable_user(ports: &Ports, user: UserOfDomain) -> Outcome {
    let UserOfDomain { domain, username } = user;
    ports.disable_user(&domain, &username).await?;
    print(&format!("disabled user `{username}` in domain `{domain}` and ended their sessions\n"))
}

async fn end_sessions_of_user(ports: &Ports, user: UserOfDomain) -> Outcome {
    let UserOfDomain { domain, username } = user;
    ports.end_sessions_of_user(&domain, &username).await?;
    print(&format!("ended all sessions of user `{username}` in domain `{domain}`\n"))
}

async fn end_sessions_of_domain(ports: &Ports, domain: &DomainName) -> Outcome {
    ports.end_sessions_of_domain(domain).await?;
    print(&format!("ended all sessions of domain `{domain}`\n"))
}

fn start_log() -> io::Result<FlushOnDrop> {
    let (writer, flush) = LogWriter::start(io::stderr())?;
    tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .with_ansi(io::stderr().is_terminal())
        .with_target(false)
        // It would tell of its own failures with `eprintln!`, which panics when stderr fails.
        .log_internal_errors(false)
        .init();
    Ok(flush)
}

/// Not `println!`, which panics when the reader has gone.
pub(crate) fn print(text: &str) -> Outcome {
    let mut output = io::stdout().lock();
    output.write_all(text.as_bytes())?;
    Ok(output.flush()?)
}

/// Without a copy of it: it may be a secret.
pub(crate) fn write_line(line: &[u8]) -> Outcome {
    let mut output = io::stdout().lock();
    output.write_all(line)?;
    output.write_all(b"\n")?;
    Ok(output.flush()?)
}
