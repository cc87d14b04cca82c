//! A broker that asks for TLS.

use std::path::PathBuf;

use event_bus::{Broker, NatsConfig};
use test_support::{Certificates, NatsServer, eventually};

use crate::stack::{Consumer, LONG, Source, topology};

/// `JetStream`, and what is added to it.
fn with(more: &str) -> String {
    format!("{}{more}", NatsServer::JETSTREAM)
}

fn trusting(nats: &NatsServer, certificates: &Certificates) -> NatsConfig {
    NatsConfig {
        ca_file: Some(certificates.authority()),
        ..NatsConfig::from(&nats.url())
    }
}

async fn connect(config: NatsConfig) -> Broker {
    Broker::connect(config, "test", topology()).await.unwrap()
}

async fn until_it_says(broker: &Broker, wanted: &str) {
    eventually(LONG, async || {
        let said = broker.trouble().to_string();
        said.starts_with(wanted).then_some(()).ok_or(said)
    })
    .await;
}

#[tokio::test]
async fn changes_are_published_and_applied_over_tls() {
    let certificates = Certificates::make();
    let nats = NatsServer::start_set(&with(&certificates.nats_settings()));
    for scheme in ["nats", "tls"] {
        let mut config = trusting(&nats, &certificates);
        config.url = config.url.replace("nats://", &format!("{scheme}://"));
        let folder = tempfile::tempdir().unwrap();
        let source = Source::start_at("things", folder, config.clone()).await;
        let mut consumer = Consumer::start_at(config).await;
        source.announce(1).await;
        consumer.until_revision(1).await;
    }
}

#[tokio::test]
async fn a_broker_that_asks_for_a_clients_certificate_gets_it() {
    let certificates = Certificates::make();
    let nats = NatsServer::start_set(&with(&certificates.nats_settings_verifying()));
    let config = trusting(&nats, &certificates);
    let nobody = connect(config.clone()).await;
    until_it_says(
        &nobody,
        "the broker refuses this service: it asks for a certificate of this service",
    )
    .await;
    let (certificate, key) = certificates.client();
    let client = connect(NatsConfig {
        cert_file: Some(certificate),
        key_file: Some(key),
        ..config
    })
    .await;
    until_it_says(&client, "the broker is connected").await;
}

#[tokio::test]
async fn a_broker_that_asks_for_tls_for_a_while_is_used_again_after_it() {
    let certificates = Certificates::make();
    let mut nats = NatsServer::start();
    let (source, mut consumer) = (Source::start(&nats).await, Consumer::start(&nats).await);
    let broker = connect(NatsConfig::from(&nats.url())).await;
    until_it_says(&broker, "the broker is connected").await;

    nats.restart_set(&with(&certificates.nats_settings()));
    source.announce(1).await;
    let untrusted = "the broker cannot be used: it uses TLS with a certificate that is not trusted here";
    until_it_says(&broker, untrusted).await;

    nats.restart_set(NatsServer::JETSTREAM);
    consumer.until_revision(1).await;
    until_it_says(&broker, "the broker is connected").await;
}

#[tokio::test]
async fn a_tls_url_is_never_used_without_tls() {
    let mut nats = NatsServer::start();
    let certificates = Certificates::make();
    let mut config = trusting(&nats, &certificates);
    config.url = config.url.replace("nats://", "tls://");
    let broker = connect(config).await;
    until_it_says(&broker, "the broker cannot be used: it does not speak TLS").await;
    nats.restart_set(&with(&certificates.nats_settings()));
    until_it_says(&broker, "the broker is connected").await;
}

#[tokio::test]
async fn files_that_cannot_be_used_are_refused_at_the_start() {
    let certificates = Certificates::make();
    let refused = async |ca_file: PathBuf| {
        let config = NatsConfig {
            ca_file: Some(ca_file),
            ..NatsConfig::from("nats://127.0.0.1:1")
        };
        let refused = Broker::connect(config, "test", topology()).await.unwrap_err();
        std::error::Error::source(&refused).unwrap().to_string()
    };
    let missing = certificates.authority().with_extension("missing");
    let said = refused(missing).await;
    assert!(said.ends_with("authority.missing cannot be read"), "{said}");
    let (_, key) = certificates.client();
    let said = refused(key).await;
    assert!(said.starts_with("there is no certificate in "), "{said}");
}
