//! Writing what was read, after a last check against what is there.

use std::collections::HashSet;

use tokio::task::JoinSet;

use super::{Migration, MigrationError, Place, members::Fault};
use crate::{
    administration::{AdministrationError, ImportMode, Imported, ImportedUser, Ports},
    domain::DomainName,
    store::StoreError,
};

/// How many users are written at once.
const WRITERS: usize = 16;

/// What a migration did.
#[derive(Debug, Default)]
pub struct MigrationReport {
    /// The domains.
    pub domains: Tally,
    /// The users.
    pub users: Tally,
    /// What was left out, and why; nothing if everything was carried.
    pub left_out: Vec<String>,
}

/// How many of a kind were given, and what became of them.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// They are there now, or would be.
    pub created: u64,
    /// They were there.
    pub unchanged: u64,
    /// There are others of their names.
    pub left_out: u64,
}

impl Migration {
    /// Writes all of it, or nothing if any of it is wrong. What is there already is left alone. A
    /// second time it goes on where the first one stopped.
    ///
    /// # Errors
    ///
    /// [`MigrationError`].
    pub async fn carry_out(
        mut self,
        ports: &Ports,
        mode: ImportMode,
    ) -> Result<MigrationReport, MigrationError> {
        self.check_domains(ports).await.map_err(MigrationError::Unchecked)?;
        self.problems.result()?;
        let mut report = MigrationReport::default();
        let done = self.write(ports, mode, &mut report).await;
        let (domains, users) = (report.domains.created, report.users.created);
        done.map_err(|source| MigrationError::Stopped { domains, users, source })?;
        Ok(report)
    }

    /// A user's domain comes with it or is there.
    async fn check_domains(&mut self, ports: &Ports) -> Result<(), AdministrationError> {
        let coming = |domain: &DomainName| self.seen_domains.contains_key(domain);
        let named: HashSet<_> = self.users.iter().map(|(_, user)| &user.domain).collect();
        let mut missing = HashSet::new();
        for domain in named.into_iter().filter(|domain| !coming(domain)) {
            if ports.store.domain(domain).await?.is_none() {
                missing.insert(domain.clone());
            }
        }
        for (place, user) in self.users.iter().filter(|(_, user)| missing.contains(&user.domain)) {
            let name = &user.domain;
            let fault =
                format!("domain `{name}` is neither here nor in the input: create it first");
            self.problems.add(place, &Fault::new(fault));
        }
        Ok(())
    }

    async fn write(
        self,
        ports: &Ports,
        mode: ImportMode,
        report: &mut MigrationReport,
    ) -> Result<(), AdministrationError> {
        for (place, domain) in self.domains {
            let imported = ports.import_domain(&domain, mode).await?;
            let what = format!("domain `{}`", domain.name);
            report.left_out.extend(report.domains.count(imported, &place, &what));
        }
        write_users(self.users, ports, mode, report).await?;
        let counted = self.left_out.into_iter().map(|(what, count)| format!("{what}: {count}"));
        report.left_out.extend(counted);
        Ok(())
    }
}

async fn write_users(
    users: Vec<(Place, ImportedUser)>,
    ports: &Ports,
    mode: ImportMode,
    report: &mut MigrationReport,
) -> Result<(), AdministrationError> {
    let mut waiting = users.into_iter();
    let mut running = JoinSet::new();
    let mut failed = None;
    loop {
        while running.len() < WRITERS && failed.is_none() {
            let Some((place, user)) = waiting.next() else {
                break;
            };
            let ports = ports.clone();
            running.spawn(async move {
                let what = format!("user `{}` of domain `{}`", user.username, user.domain);
                (place, what, ports.import_user(user, mode).await)
            });
        }
        // What is under way is waited for, so that it is counted.
        match running.join_next().await {
            None => break,
            Some(Ok((place, what, Ok(imported)))) => {
                report.left_out.extend(report.users.count(imported, &place, &what));
            }
            Some(Ok((.., Err(error)))) => failed = failed.or(Some(error)),
            Some(Err(error)) => failed = failed.or(Some(StoreError::unavailable(error).into())),
        }
    }
    failed.map_or(Ok(()), Err)
}

impl Tally {
    /// What to tell of it, if it was left out.
    fn count(&mut self, imported: Imported, place: &Place, what: &str) -> Option<String> {
        match imported {
            Imported::Created => self.created += 1,
            Imported::Unchanged => self.unchanged += 1,
            Imported::Different(why) => {
                self.left_out += 1;
                return Some(format!("{what} ({place}) is there already: {why}"));
            }
        }
        None
    }
}
