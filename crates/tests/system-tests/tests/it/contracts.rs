//! Real messages and documents against `contracts/`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_nats::jetstream::{self, consumer::push};
use futures::StreamExt as _;
use jsonschema::Validator;
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use stack::{Source, Stack};
use tokio::time::timeout;

fn contracts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../contracts")
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// A message: its subject, headers and data, as the examples write them.
type Message = Value;

/// What the AsyncAPI document says of every type.
struct AsyncApi(Value);

impl AsyncApi {
    fn read() -> Self {
        Self(read(&contracts().join("asyncapi.json")))
    }

    fn types(&self) -> BTreeSet<String> {
        let messages = self.0["components"]["messages"].as_object().unwrap();
        messages
            .values()
            .map(|message| message["name"].as_str().unwrap().to_owned())
            .collect()
    }

    fn check(&self, message: &Message) {
        let kind = message["headers"]["ce-type"].as_str().unwrap();
        let messages = self.0["components"]["messages"].as_object().unwrap();
        let (id, described) = messages
            .iter()
            .find(|(_, m)| m["name"] == kind)
            .unwrap_or_else(|| panic!("{kind} is not described"));
        for (part, content) in [("headers", &message["headers"]), ("payload", &message["data"])] {
            let errors: Vec<_> = self
                .validator(&described[part])
                .iter_errors(content)
                .map(|e| e.to_string())
                .collect();
            assert!(errors.is_empty(), "{part} of {kind}: {errors:?} in {message}");
        }
        let subject = message["subject"].as_str().unwrap();
        let channels = self.0["channels"].as_object().unwrap().values();
        let addresses: Vec<_> = channels
            .filter(|c| c["messages"].get(id).is_some())
            .map(|c| c["address"].as_str().unwrap())
            .collect();
        let fits = |address: &str| match address.strip_suffix("{account}") {
            Some(prefix) => subject.strip_prefix(prefix) == message["headers"]["ce-subject"].as_str(),
            None => subject == address,
        };
        assert!(
            addresses.iter().any(|address| fits(address)),
            "{kind} on {subject}, described on {addresses:?}"
        );
    }

    fn validator(&self, reference: &Value) -> Validator {
        let schema = json!({ "$ref": reference["$ref"], "components": self.0["components"] });
        jsonschema::options()
            .should_validate_formats(true)
            .build(&schema)
            .unwrap()
    }
}

#[test]
fn there_is_one_example_of_every_message_and_it_fits() {
    let contract = AsyncApi::read();
    let mut types = BTreeSet::new();
    for file in std::fs::read_dir(contracts().join("examples")).unwrap() {
        let example = read(&file.unwrap().path());
        contract.check(&example);
        assert!(
            types.insert(example["headers"]["ce-type"].as_str().unwrap().to_owned()),
            "two of {example}"
        );
    }
    assert_eq!(types, contract.types());
}

#[test]
#[should_panic(expected = "Additional properties")]
fn a_message_that_says_more_than_the_contract_is_found() {
    let mut message = read(&contracts().join("examples/samples.recorded.json"));
    message["data"]["surprise"] = json!(1);
    AsyncApi::read().check(&message);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_message_that_the_services_publish_is_as_described() {
    let stack = Stack::start().await;
    let id = stack.create_account("a").await;
    stack.rename_account(id, "b").await;
    let endpoint = stack.add_endpoint(id, "home", "https://example.org/").await;
    let url = stack.sources[Source::Endpoints].url(&format!("/accounts/{id}/endpoints/{endpoint}"));
    stack
        .send(
            stack
                .request(Method::PATCH, url.clone())
                .json(&json!({ "name": "start" })),
        )
        .await;
    stack.record(id, endpoint, 12).await;
    stack.send(stack.request(Method::DELETE, url)).await;
    stack.add_endpoint(id, "again", "http://example.org/").await;
    stack.delete_account(id).await;

    let contract = AsyncApi::read();
    let mut missing = contract.types();
    let mut messages = stream(&stack).await;
    while !missing.is_empty() {
        let message = timeout(Duration::from_secs(20), messages.next()).await;
        let message = message
            .unwrap_or_else(|_| panic!("never published: {missing:?}"))
            .unwrap();
        contract.check(&message);
        missing.remove(message["headers"]["ce-type"].as_str().unwrap());
    }
}

/// Everything on the stream, from its beginning.
async fn stream(stack: &Stack) -> impl futures::Stream<Item = Message> + Unpin {
    let client = async_nats::connect(stack.nats.url()).await.unwrap();
    let deliver_subject = client.new_inbox();
    let stream = jetstream::new(client).get_stream("EVENTS").await.unwrap();
    let consumer = stream
        .create_consumer(push::OrderedConfig {
            deliver_subject,
            ..Default::default()
        })
        .await
        .unwrap();
    consumer.messages().await.unwrap().map(|message| {
        let message = message.unwrap();
        let headers = message.headers.as_ref().unwrap().iter();
        let headers: serde_json::Map<_, _> = headers
            .map(|(name, values)| (name.to_string(), json!(values[0].as_str())))
            .collect();
        let data: Value = serde_json::from_slice(&message.payload).unwrap();
        json!({ "subject": message.subject.as_str(), "headers": headers, "data": data })
    })
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test has no config.rs")]
fn the_openapi_documents_are_those_of_the_code() {
    let documents = [
        ("accounts", accounts::openapi()),
        ("endpoints", endpoints::openapi()),
        ("metrics", metrics::openapi()),
        ("page", page::openapi()),
    ];
    for (name, document) in documents {
        let path = contracts().join(format!("openapi/{name}.json"));
        let now = document.to_pretty_json().unwrap() + "\n";
        if std::env::var("UPDATE_CONTRACTS").is_ok() {
            std::fs::write(&path, &now).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == now,
            "{name} has changed; if on purpose: UPDATE_CONTRACTS=1 cargo test -p system-tests --test it contracts"
        );
    }
}

/// The forms that sources answered in, by the version that is part of their `ETag`s.
type Forms = BTreeMap<String, BTreeMap<u32, String>>;

/// What `GET` of a source's fragment answers, without words for people.
fn form_of(document: &Value, path: &str) -> String {
    let mut form = BTreeMap::new();
    let answer = &document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"];
    collect(document, answer, &mut form);
    let hash = Sha256::digest(serde_json::to_vec(&form).unwrap());
    let digits = hash.iter().map(|byte| format!("{byte:02x}"));
    digits.collect::<Vec<_>>().concat()
}

fn collect(document: &Value, schema: &Value, form: &mut BTreeMap<String, Value>) {
    if let Some(name) = schema["$ref"].as_str().and_then(|name| name.rsplit('/').next()) {
        let named = &document["components"]["schemas"][name];
        if form.insert(name.to_owned(), without_words(named)).is_none() {
            collect(document, named, form);
        }
        return;
    }
    match schema {
        Value::Object(fields) => fields.values().for_each(|field| collect(document, field, form)),
        Value::Array(items) => items.iter().for_each(|item| collect(document, item, form)),
        _ => {}
    }
}

fn without_words(schema: &Value) -> Value {
    match schema {
        Value::Object(fields) => fields
            .iter()
            .filter(|(name, value)| !matches!(name.as_str(), "description" | "example") || value.is_object())
            .map(|(name, value)| (name.clone(), without_words(value)))
            .collect(),
        Value::Array(items) => items.iter().map(without_words).collect(),
        other => other.clone(),
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test has no config.rs")]
fn an_answer_of_another_form_has_another_version_in_its_etag() {
    let sources = [
        ("accounts", accounts::openapi(), "/accounts/{id}", accounts::FORM),
        (
            "endpoints",
            endpoints::openapi(),
            "/accounts/{id}/endpoints",
            endpoints::FORM,
        ),
        (
            "metrics",
            metrics::openapi(),
            "/accounts/{id}/metrics",
            metrics::FORM,
        ),
    ];
    let path = contracts().join("forms.json");
    let mut known: Forms = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    for (name, document, route, form) in sources {
        let now = form_of(&serde_json::to_value(document).unwrap(), route);
        let versions = known.entry(name.to_owned()).or_default();
        let newest = versions.keys().next_back().copied().unwrap_or(0);
        if form == newest + 1 && std::env::var("UPDATE_CONTRACTS").is_ok() {
            versions.insert(form, now.clone());
        }
        assert_eq!(
            versions.get(&form),
            Some(&now),
            "what {name} answers has changed: raise FORM in crates/services/{name}/src/answer.rs by one, then \
             UPDATE_CONTRACTS=1 cargo test -p system-tests --test it contracts"
        );
    }
    if std::env::var("UPDATE_CONTRACTS").is_ok() {
        std::fs::write(&path, serde_json::to_string_pretty(&known).unwrap() + "\n").unwrap();
    }
}
