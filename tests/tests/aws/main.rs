//! The issuer on AWS: its templates, the pipelines that deploy them, and what runs on emulated services.

mod pipelines;
mod template;
