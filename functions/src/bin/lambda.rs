//! The webhook as an AWS Lambda function.

fn main() -> std::process::ExitCode {
    keyholder_functions::lambda::main()
}
