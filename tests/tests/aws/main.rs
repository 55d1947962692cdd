//! The issuer on AWS: its templates, the pipelines that deploy them, and what runs on emulators that
//! speak AWS's own protocols.

mod pipelines;
mod template;
