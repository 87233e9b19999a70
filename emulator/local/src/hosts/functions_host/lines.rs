//! What a child process prints, line by line.

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

/// Calls back for every line, whatever its bytes are.
pub(crate) async fn each_line(pipe: impl AsyncRead + Unpin, mut call: impl FnMut(&str)) {
    let mut pipe = BufReader::new(pipe);
    let mut line = Vec::new();
    while matches!(pipe.read_until(b'\n', &mut line).await, Ok(read) if read > 0) {
        call(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']));
        line.clear();
    }
}
