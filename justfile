# What people and CI run. `just` alone lists it.

set positional-arguments

_list:
    @just --list --unsorted

# Hold the sources to rustfmt.
format:
    cargo fmt --all --check

# Hold the sources to clippy.
lint:
    cargo clippy --workspace --all-targets --locked -- --deny warnings

# Hold the dependencies to deny.toml.
dependencies:
    .ci/dependencies

# Run all tests, or those whose names hold the words: just test locks
test *words:
    cargo test --workspace -- "$@"

# Run black-box tests alone: just suite webhook
suite *words:
    cargo test --package keyholder-tests --test suite -- "$@"

# Write the files anew that tests hold to what is printed: golden files, docs/openapi.json, docs/answers.md, docs/coverage.md.
golden:
    UPDATE_EXPECT=1 cargo test --workspace -- openapi shell answers coverage

# Install the official clients and the browser that some tests drive.
clients:
    tests/clients/install
    tests/page/install

# Pack the function app: target/keyholder-functions.zip
package:
    infra/package/build

# Open the rustdoc of the workspace.
docs:
    cargo doc --workspace --no-deps --open

# Search for bytes that break a promise: just fuzz 60 pfx_secret
fuzz *arguments:
    tests/fuzz/run "$@"

# Change the code in one place at a time and see whether a test notices: just mutants --file shared/src/trust.rs
mutants *arguments:
    tests/mutants/run "$@"
