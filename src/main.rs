//! The command line. Everything is in the library; this file only exits.
fn main() -> std::process::ExitCode {
    orchestrate::main()
}
