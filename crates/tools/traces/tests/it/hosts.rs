//! Under which names the viewer answers.

use reqwest::Method;

use crate::Viewer;

impl Viewer {
    /// How a request with that `Host` is answered. It goes to `127.0.0.1`, whatever the host.
    async fn asked_as(&self, host: &str, method: Method, path: &str) -> u16 {
        let request = reqwest::Client::new()
            .request(method, format!("http://127.0.0.1:{}{path}", self.port()))
            .header("host", host)
            .header("content-type", "application/x-protobuf");
        request.send().await.unwrap().status().as_u16()
    }

    fn port(&self) -> &str {
        self.url.rsplit(':').next().unwrap()
    }
}

#[tokio::test]
async fn exporters_and_browsers_on_this_machine_are_answered_and_foreign_names_are_not() {
    let viewer = Viewer::start().await;
    let port = viewer.port();
    let asked = async |host: &str, method, path| viewer.asked_as(host, method, path).await;
    for ours in [
        format!("127.0.0.1:{port}"),
        format!("localhost:{port}"),
        "localhost:1".to_owned(),
    ] {
        assert_eq!(asked(&ours, Method::GET, "/").await, 200);
        assert_eq!(asked(&ours, Method::GET, "/readyz").await, 200);
        assert_eq!(asked(&ours, Method::POST, "/v1/traces").await, 200);
    }
    for foreign in [format!("evil.example:{port}"), "evil.example".to_owned()] {
        for path in ["/", "/all", "/traces/0", "/api/traces/0", "/nowhere"] {
            assert_eq!(asked(&foreign, Method::GET, path).await, 421, "{foreign}{path}");
        }
        assert_eq!(asked(&foreign, Method::POST, "/v1/traces").await, 421);
    }
}
