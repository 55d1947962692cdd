//! Who the edge is to the issuer: what its enrolments printed. It comes from the environment of the
//! virtual machine, which is a secret of the host, or from the machine's configuration, which a control
//! plane delivers; never from the policy.

use postern_verify::EdgeCredential;

use crate::host;

/// The variable that the proxy hands over, as `host_env_keys` says.
const VARIABLE: &str = "POSTERN_EDGE";
const CONFIGURATION: &str = "vm_config.configuration";

/// All credentials; or what is wrong with one of them, which never quotes it.
pub(crate) type Credentials = Result<Vec<EdgeCredential>, String>;

/// Reads the credentials of this virtual machine.
pub(crate) fn read() -> Credentials {
    let variable = host::variable(VARIABLE).unwrap_or_default();
    let configuration = host::vm_configuration();
    let mut credentials = Vec::new();
    for (place, document) in [(VARIABLE, &variable), (CONFIGURATION, &configuration)] {
        if document.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let read = EdgeCredential::parse_all(document);
        credentials.extend(read.map_err(|error| format!("{place}: {error}"))?);
    }
    Ok(credentials)
}
