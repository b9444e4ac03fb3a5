//! A request head as captured from the wire.

use crate::failure::{Failure, fail};

/// A head's shortest header line is `a:` and a line feed.
const SHORTEST_LINE: usize = 3;

/// Calls `then` with the method, the target and the headers of an HTTP/1.1 request head.
pub(super) fn with_head<R>(
    head: &[u8],
    then: impl FnOnce(&[u8], &[u8], &[httparse::Header<'_>]) -> R,
) -> Result<R, Failure> {
    let most = head.len() / SHORTEST_LINE;
    let mut room = 64;
    loop {
        let mut headers = vec![httparse::EMPTY_HEADER; room];
        let mut request = httparse::Request::new(&mut headers);
        match request.parse(head) {
            Ok(httparse::Status::Complete(_)) => {
                let method = request.method.unwrap_or_default().as_bytes();
                let target = request.path.unwrap_or_default().as_bytes();
                return Ok(then(method, target, request.headers));
            }
            Ok(httparse::Status::Partial) => return Err(unfinished()),
            Err(httparse::Error::TooManyHeaders) if room < most => room = most.min(room * 8),
            Err(error) => return Err(malformed(head, error)),
        }
    }
}

fn unfinished() -> Failure {
    fail(
        "request head: the empty line that ends it is missing, so headers may be missing too; \
         capture it again, up to the empty line",
        "请求头部:缺少表示结束的空行,可能也缺了请求头;请重新抓取,直到空行为止",
    )
}

fn malformed(head: &[u8], error: httparse::Error) -> Failure {
    let (en, zh) = match error {
        httparse::Error::Version => (
            "the version is not HTTP/1.1 or HTTP/1.0",
            "版本不是 HTTP/1.1 或 HTTP/1.0",
        ),
        httparse::Error::HeaderName => (
            "no header of the form \"Name: value\" (or a space before the colon, or at the line's start)",
            "不是“Name: value”形式的请求头(或冒号前、行首有空格)",
        ),
        httparse::Error::HeaderValue => (
            "the header's value holds a control character",
            "请求头的值含有控制字符",
        ),
        httparse::Error::NewLine => (
            "a carriage return without a line feed",
            "回车符后面没有换行符",
        ),
        _ => (
            "no request line of the form \"METHOD target HTTP/1.1\"",
            "不是“METHOD target HTTP/1.1”形式的请求行",
        ),
    };
    let line = bad_line(head);
    fail(
        format!("request head, line {line}: {en}"),
        format!("请求头部第 {line} 行:{zh}"),
    )
}

/// The number of the first line that cannot be parsed by itself.
fn bad_line(head: &[u8]) -> usize {
    let mut started = false;
    let mut number = 0;
    for line in head.split_inclusive(|byte| *byte == b'\n') {
        number += 1;
        // Empty lines before the request line are skipped.
        if !started && matches!(line, b"\n" | b"\r\n") {
            continue;
        }
        let (mut one, mut none) = ([httparse::EMPTY_HEADER; 1], []);
        let sound = if started {
            let ended = [line, b"\r\n"].concat();
            httparse::parse_headers(&ended, &mut one).is_ok()
        } else {
            httparse::Request::new(&mut none).parse(line).is_ok()
        };
        started = true;
        if !sound {
            break;
        }
    }
    number
}
