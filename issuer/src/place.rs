//! Opening the data, wherever it is.

use std::{path::Path, sync::Arc};

use postern_issuer::{Ports, Sqlite, SystemClock, aws::Aws};

use crate::{arguments::Place, command::Outcome};

/// The opened data.
pub(crate) struct Opened {
    pub(crate) ports: Ports,
    /// What only there is on AWS.
    pub(crate) aws: Option<Aws>,
}

impl Opened {
    /// AWS, or an error that says what needs it.
    pub(crate) fn aws(&self, what: &str) -> Outcome<&Aws> {
        self.aws.as_ref().ok_or_else(|| format!("{what} needs `--aws`").into())
    }
}

impl Place {
    pub(crate) async fn open(self) -> Outcome<Opened> {
        if !self.aws {
            return Ok(Opened { ports: open_folder(&self.data_dir)?, aws: None });
        }
        let table = self.table.ok_or("`--aws` needs `--table`, or `POSTERN_TABLE`")?;
        let prefix = self.secret_prefix;
        let prefix = prefix.ok_or("`--aws` needs `--secret-prefix`, or `POSTERN_SECRET_PREFIX`")?;
        let aws = Aws::connect(table, prefix).await;
        Ok(Opened { ports: aws.ports(Arc::new(SystemClock)), aws: Some(aws) })
    }
}

fn open_folder(data_dir: &Path) -> Outcome<Ports> {
    let sqlite = Sqlite::open(data_dir)
        .map_err(|error| format!("cannot open the data in `{}`: {error}", data_dir.display()))?;
    let clock = Arc::new(SystemClock);
    Ok(Ports { store: Arc::new(sqlite.clone()), vault: Arc::new(sqlite), clock })
}
