//! A migration that is new is compiled in, although no source has changed.

fn main() {
    println!("cargo::rerun-if-changed=../database/migrations");
}
