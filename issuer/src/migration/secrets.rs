//! The secrets of another system's domains, in one JSON object: `{"shop": "…"}`.

use base64ct::{Base64UrlUnpadded, Encoding};

use super::{
    Migration, Place,
    line::domain_name,
    members::{Fault, Members, shown},
};
use crate::{
    administration::ImportedDomain,
    key::FOREIGN_SECRET_BYTES,
    secret::{SecretBytes, SecretText},
};

impl Migration {
    /// Reads one object whose members are domains, and their values the secrets that these sign
    /// HS256 with, used as they are written. `file` is what messages call it.
    pub fn read_secrets(&mut self, file: &str, text: &str) {
        let place = Place { file: file.into(), within: None };
        match Members::parse(text) {
            Ok(mut members) => {
                for name in members.names() {
                    if let Err(fault) = self.read_secret(&place, &name, &mut members) {
                        let fault = Fault::new(format!("domain `{}`: {fault}", shown(&name)));
                        self.problems.add(&place, &fault);
                    }
                }
            }
            Err(fault) => self.problems.add(&place, &fault),
        }
    }

    fn read_secret(
        &mut self,
        place: &Place,
        name: &str,
        members: &mut Members,
    ) -> Result<(), Fault> {
        let secret = members.required_text(name)?;
        let name = domain_name(name).map_err(Fault::new)?;
        let secret = SecretBytes::new(secret.expose().as_bytes().to_vec());
        let secret = checked_secret(secret).map_err(Fault::new)?;
        let domain = ImportedDomain { secret: Some(secret), ..ImportedDomain::named(name) };
        self.add_domain(place.clone(), domain)
    }
}

pub(super) fn decoded_secret(text: &SecretText) -> Result<SecretBytes, &'static str> {
    let decoded = Base64UrlUnpadded::decode_vec(text.expose());
    let reason = "it is not base64url without padding; for one that is used as it is written, \
                  say `{\"text\": …}`";
    decoded.map(SecretBytes::new).map_err(|_| reason)
}

pub(super) fn checked_secret(secret: SecretBytes) -> Result<SecretBytes, &'static str> {
    let length = secret.expose().len();
    if length < *FOREIGN_SECRET_BYTES.start() {
        return Err("the secret is shorter than the 32 bytes that HS256 needs, and no edge would \
                    take it: leave it out, and give the domain a line without `secret`, which makes \
                    it a fresh one");
    }
    if length > *FOREIGN_SECRET_BYTES.end() {
        return Err("the secret is longer than 1024 bytes");
    }
    Ok(secret)
}
