//! A stub of STS that costs next to nothing: it reads a request and sends the same AssumeRole reply, whatever was asked.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use writ_engine::Moment;

/// Starts it on loopback, in the runtime it is called in. Its sessions end at `expires_at`.
pub(crate) async fn start(expires_at: Moment) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let at = listener.local_addr().expect("an address");
    let reply = reply(expires_at);
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(serve(connection, reply.clone()));
        }
    });
    at
}

async fn serve(mut connection: TcpStream, reply: String) -> Option<()> {
    connection.set_nodelay(true).ok()?;
    let mut asked = Vec::new();
    loop {
        let whole = loop {
            if let Some(whole) = length(&asked).filter(|whole| asked.len() >= *whole) {
                break whole;
            }
            if connection.read_buf(&mut asked).await.ok()? == 0 {
                return None;
            }
        };
        asked.drain(..whole);
        connection.write_all(reply.as_bytes()).await.ok()?;
    }
}

/// The length of the first request, head and body, once its head is there.
fn length(asked: &[u8]) -> Option<usize> {
    let head = asked.windows(4).position(|bytes| bytes == b"\r\n\r\n")? + 4;
    let body = std::str::from_utf8(&asked[..head])
        .ok()?
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |(_, length)| length.trim().parse().expect("a length"));
    Some(head + body)
}

fn reply(expires_at: Moment) -> String {
    let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    let token = "FwoGZXIvYXdzEXAMPLE".repeat(20);
    let xml = format!(
        r#"<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleResult>
    <AssumedRoleUser>
      <AssumedRoleId>AROAEXAMPLE:writ</AssumedRoleId>
      <Arn>arn:aws:sts::123456789012:assumed-role/bench/writ</Arn>
    </AssumedRoleUser>
    <Credentials>
      <AccessKeyId>ASIAIOSFODNN7EXAMPLE</AccessKeyId>
      <SecretAccessKey>{secret}</SecretAccessKey>
      <SessionToken>{token}</SessionToken>
      <Expiration>{expires_at}</Expiration>
    </Credentials>
    <PackedPolicySize>12</PackedPolicySize>
  </AssumeRoleResult>
  <ResponseMetadata><RequestId>c6104cbe-af31-11e0-8154-cbc7ccf896c7</RequestId></ResponseMetadata>
</AssumeRoleResponse>
"#
    );
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\nx-amzn-requestid: c6104cbe-af31-11e0-8154-cbc7ccf896c7\r\ncontent-length: {}\r\n\r\n{xml}",
        xml.len()
    )
}
