//! Turns a Wasm module that cargo built into one that JavaScript can call, and makes the code that
//! calls it. It is wasm-bindgen's own command as far as `cargo xtask` needs it, at the version that
//! `Cargo.lock` names.

use anyhow::{Context, Result, bail};
use wasm_bindgen_cli_support::Bindgen;

const USAGE: &str = "usage: postern-bindgen web|bundler MODULE FOLDER NAME";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [target, module, folder, name] = arguments.as_slice() else { bail!(USAGE) };
    let mut bindgen = Bindgen::new();
    match target.as_str() {
        // With a function that begins anew with a fresh instance, for after a trap; and without an
        // address to load the module from, which is not the same in any two hosts.
        "web" => {
            bindgen.web(true)?.reset_state_function(true).omit_default_module_path(true);
        }
        "bundler" => {
            bindgen.bundler(true)?;
        }
        _ => bail!(USAGE),
    }
    bindgen.input_path(module).out_name(name).typescript(false);
    bindgen.remove_name_section(true).remove_producers_section(true);
    bindgen.generate(folder).with_context(|| format!("cannot bind `{module}`"))
}
