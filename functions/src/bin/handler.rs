//! The Azure Functions custom handler, and the webhook.

#[global_allocator]
static ALLOCATOR: keyholder_functions::Wiping = keyholder_functions::WIPING;

fn main() -> std::process::ExitCode {
    let arguments: Vec<String> =
        std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned()).collect();
    keyholder_functions::handler::main(&arguments)
}
