//! The peers of the differential test: `jose` of npm, and `joserfc` of Python's package index.

use crate::npm;
use crate::setup;
use crate::steps::Failure;
use crate::workspace::Workspace;

/// Python's peer, and the cryptography that it stands on.
const PINS: [&str; 2] = ["cryptography==50.0.2", "joserfc==1.8.0"];

/// Set-up's note of what it installed of [`PINS`].
pub(crate) const STAMP: &str = "peers.txt";

/// Installs both, each whether or not the other can be had.
///
/// # Errors
/// When one cannot be installed; it says which, and what it needs.
pub(crate) fn install(workspace: &Workspace) -> Result<(), Failure> {
    let joserfc = setup::packages(workspace, STAMP, &PINS).map_err(|failure| {
        Failure::new(format!("could not install joserfc, which needs Python 3.11: {failure}"))
    });
    setup::together([joserfc, npm::JOSE.install(workspace)])
}

/// Whether both can be asked.
pub(crate) fn are_there(workspace: &Workspace) -> bool {
    npm::JOSE.are_there(workspace) && setup::is_stamped(workspace, STAMP, &PINS)
}
