//! Keyholder from a shell.

fn main() -> std::process::ExitCode {
    keyholder_functions::cli::main()
}
