use tokio::net::TcpListener;

use super::*;

/// Long enough for a busy machine, and only waited out when the test fails.
const PLENTY: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_socket_that_is_not_there_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control");
    let error = connect(&ControlAddress::Unix(path.clone())).await.unwrap_err();
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    assert!(error.to_string().contains("No such file"), "{error}");
}

#[tokio::test]
async fn a_token_with_a_line_break_is_refused_before_connecting() {
    let address =
        ControlAddress::Tcp { address: "127.0.0.1:1".to_owned(), token: "a\nb".to_owned() };
    let error = wait_until_ready(&address, PLENTY).await.unwrap_err();
    assert!(matches!(error, NotReady::Address(ConnectError::Address { .. })), "{error}");
}

#[tokio::test]
async fn a_silent_listener_ends_at_the_deadline_and_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = ControlAddress::Tcp {
        address: listener.local_addr().unwrap().to_string(),
        token: "t".to_owned(),
    };
    let error = wait_until_ready(&address, Duration::from_millis(100)).await.unwrap_err();
    assert!(matches!(error, NotReady::Deadline { waited_ms: 100, .. }), "{error}");
}

#[tokio::test]
async fn a_service_that_lacks_the_call_is_not_asked_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = ControlAddress::Tcp {
        address: listener.local_addr().unwrap().to_string(),
        token: "t".to_owned(),
    };
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    // Routes without the control service answer UNIMPLEMENTED.
    let server = tonic::transport::Server::builder()
        .add_routes(tonic::service::Routes::default())
        .serve_with_incoming(incoming);
    let server = tokio::spawn(server);
    let error = wait_until_ready(&address, PLENTY).await.unwrap_err();
    assert!(matches!(error, NotReady::Refused { .. }), "{error}");
    server.abort();
}
