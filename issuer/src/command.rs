//! What each command does.

use std::{
    error::Error,
    io::{self, IsTerminal, Write},
    process::ExitCode,
    sync::Arc,
};

use postern_issuer::{
    DomainName, DomainSettings, Issuer, IssuerUrl, Ports, Rotation, SigningAlgorithm, router,
    serve, stop_signal,
};
use tokio::net::TcpListener;

use crate::{
    arguments::{
        Arguments, Command, CreateDomain, DomainCommand, KeysCommand, Place, Serve, StoredCommand,
        TableCommand, UserCommand, UserOfDomain,
    },
    explain,
    log_writer::{FlushOnDrop, LogWriter},
    migrate_command,
    password_prompt::read_password,
    place::Opened,
    policy_command,
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
        StoredCommand::Keys(KeysCommand::List { domain }) => list_keys(&ports, &domain).await,
        StoredCommand::Keys(KeysCommand::Rotate { domain, force, compromised }) => {
            rotate_keys(&ports, &domain, rotation(force, compromised)).await
        }
        StoredCommand::Table(TableCommand::Create) => create_table(&opened).await,
        StoredCommand::Keys(KeysCommand::Export { domain, dangerous_secrets }) => {
            export_keys(&ports, &domain, dangerous_secrets).await
        }
        StoredCommand::Migrate(arguments) => return migrate_command::run(&ports, arguments).await,
        StoredCommand::Serve(settings) => run_service(ports, settings).await,
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

async fn list_keys(ports: &Ports, domain: &DomainName) -> Outcome {
    let (key_set, now) = ports.key_set(domain).await?;
    let rows = key_set.keys(now).map(|(key, state, expires_at)| {
        [
            key.id.clone(),
            key.algorithm.to_string(),
            state.as_str().to_owned(),
            key.published_at.to_string(),
            expires_at.map_or_else(|| "-".to_owned(), |moment| moment.to_string()),
        ]
    });
    print(&table(["KID", "ALG", "STATE", "CREATED", "EXPIRES"], rows))
}

async fn export_keys(ports: &Ports, domain: &DomainName, secrets: bool) -> Outcome {
    let (key_set, now) = ports.key_set(domain).await?;
    if secrets {
        return write_line(key_set.export_secrets(now)?.expose());
    }
    if key_set.algorithm() == SigningAlgorithm::Hs256 {
        let reason = "signs HS256 and has no public keys: `--dangerous-secrets` prints its secrets";
        return Err(format!("domain `{domain}` {reason}").into());
    }
    write_line(&key_set.publish(u64::MAX, now)?.document)
}

async fn rotate_keys(ports: &Ports, domain: &DomainName, rotation: Rotation) -> Outcome {
    let key_set = ports.rotate_keys(domain, rotation).await?;
    let (generation, key_id) = (key_set.generation, &key_set.current.id);
    print(&format!(
        "rotated the keys of domain `{domain}`: generation {generation} signs with key `{key_id}`\n"
    ))?;
    if rotation != Rotation::Compromised {
        return Ok(());
    }
    let max_age = ports.domain(domain).await?.settings.jwks_max_age;
    print(&format!(
        "withdrew all keys before it: the tokens that they signed stop passing here now, and at \
         edges when they refetch the keys, within `{max_age}` seconds; their users must log in \
         again\n"
    ))
}

fn rotation(force: bool, compromised: bool) -> Rotation {
    match (compromised, force) {
        (true, _) => Rotation::Compromised,
        (false, true) => Rotation::Forced,
        (false, false) => Rotation::Regular,
    }
}

async fn run_service(ports: Ports, settings: Serve) -> Outcome {
    let Serve { listen, issuer_url, token_header, allow_origin } = settings;
    let listener = TcpListener::bind(&listen)
        .await
        .map_err(|error| format!("cannot listen on `{listen}`: {}", reason(&error)))?;
    let address = listener.local_addr()?;
    let url = match issuer_url {
        Some(url) => url,
        None => format!("http://{address}").parse::<IssuerUrl>()?,
    };
    let router = router(Arc::new(Issuer::new(ports, url)), token_header, &allow_origin);
    // Who reads that line may send the signal at once.
    let stop = stop_signal()?;
    print(&format!("listening on http://{address}\n"))?;
    Ok(serve(listener, router, stop).await?)
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

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "the port is taken".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}

/// Not `println!`, which panics when the reader has gone.
pub(crate) fn print(text: &str) -> Outcome {
    let mut output = io::stdout().lock();
    output.write_all(text.as_bytes())?;
    Ok(output.flush()?)
}

/// Without a copy of it: it may be a secret.
fn write_line(line: &[u8]) -> Outcome {
    let mut output = io::stdout().lock();
    output.write_all(line)?;
    output.write_all(b"\n")?;
    Ok(output.flush()?)
}
