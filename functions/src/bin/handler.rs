//! The Azure Functions custom handler.

fn main() -> std::process::ExitCode {
    keyholder_functions::handler::main()
}
