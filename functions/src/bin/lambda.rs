//! The webhook as an AWS Lambda function.

#[global_allocator]
static ALLOCATOR: keyholder_functions::Wiping = keyholder_functions::WIPING;

fn main() -> std::process::ExitCode {
    keyholder_functions::lambda::main()
}
