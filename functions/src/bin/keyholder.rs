//! Keyholder from a shell.

#[global_allocator]
static ALLOCATOR: keyholder_functions::Wiping = keyholder_functions::WIPING;

fn main() -> std::process::ExitCode {
    keyholder_functions::cli::main()
}
