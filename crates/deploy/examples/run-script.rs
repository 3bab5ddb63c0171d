//! The helper alone, for the tests of this crate; in the shipped program it is `consign run-script`.

fn main() -> std::io::Result<()> {
    deploy::script::help()
}
